"""Refiners of many prediction maps of two labels at once, each with the settings that are tried on held-out images.

Generic ones know that neighbours tend to agree; a dictionary knows which maps exist; a threshold refines nothing and is
the control of both.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sim.segmentation.refinement.dense_crf import pair_kernel
from sim.segmentation.refinement.graph_cut import binary_graph_cut
from sim.segmentation.refinement.lattice import Lattice, iterated_conditional_modes, make_lattice
from sim.segmentation.refinement.shapes import project
from sim.segmentation.refinement.watersheds import part_touching

Floats = NDArray[np.float64]
Maps = NDArray[np.int32]
SMALLEST = 1e-6  # of a probability: its cost stays finite
AT_ONCE = 50  # images in one graph: capacities of a minimum cut are whole numbers that share 30 bits
STRENGTHS = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0)


class Refiner(NamedTuple):
    """A refiner and what is tried.

    Attributes:
        settings: values tried on held-out images.
        refine: (chances, images, setting) -> 0/1 maps, int32; chances of label 1 and images are float64, shape
            (images, rows, columns).
    """

    settings: tuple[Any, ...]
    refine: Callable[[Floats, Floats, Any], Maps]


def costs(chances: Floats) -> Floats:
    """Costs -log p of both labels: (...) -> (2, ...).

    Example:
        >>> costs(np.array([0.5])).round(3).tolist()
        [[0.693], [0.693]]
    """
    safe = np.clip(chances, SMALLEST, 1 - SMALLEST)
    return np.stack([-np.log1p(-safe), -np.log(safe)])


def _stacked(chances: Floats, solve: Callable[[Floats, Lattice, Floats], Maps]) -> Maps:
    """Solve many images as one tall one of which no pair of neighbours crosses from one image to the next."""
    number, rows, columns = chances.shape
    parts = []
    for first in range(0, number, AT_ONCE):
        part = chances[first : first + AT_ONCE].reshape(-1, columns)
        lattice = make_lattice(part.shape, diagonals=False)
        inside = lattice.first // (rows * columns) == lattice.second // (rows * columns)
        parts.append(solve(costs(part), lattice, inside.astype(np.float64)).reshape(-1, rows, columns))
    return np.concatenate(parts).astype(np.int32)


def _modes(chances: Floats, images: Floats, strength: float) -> Maps:
    return _stacked(
        chances, lambda unary, lattice, inside: iterated_conditional_modes(unary, lattice, strength * inside)
    )


def _cut(chances: Floats, images: Floats, strength: float) -> Maps:
    return _stacked(chances, lambda unary, lattice, inside: binary_graph_cut(unary, lattice, strength * inside))


def _crf(chances: Floats, images: Floats, strengths: tuple[float, float]) -> Maps:
    bilateral, spatial = strengths
    spread, number = float(images.std()), len(chances)

    def kernel(image: Floats) -> NDArray[np.float32]:
        return pair_kernel(image, bilateral, reach=3.0, contrast=spread, spatial=spatial, near=1.0)

    if bilateral == 0:  # no image has a kernel of its own
        return _mean_field(chances, kernel(images[0]))
    parts = [slice(first, first + AT_ONCE) for first in range(0, number, AT_ONCE)]
    return np.concatenate([_mean_field(chances[part], np.stack(list(map(kernel, images[part])))) for part in parts])


def _mean_field(chances: Floats, kernels: NDArray[np.float32], steps: int = 10) -> Maps:
    """Argmax of `sim.segmentation.refinement.dense_crf.mean_field` for two labels and many images at once.

    Args:
        kernels: shape (pixels, pixels), or (images, pixels, pixels).
    """
    both = costs(chances.reshape(len(chances), -1))
    odds = both[0] - both[1]
    shares = special.expit(odds)
    for _ in range(steps):
        lead = (2 * shares - 1).astype(np.float32)
        pulled = lead @ kernels if kernels.ndim == 2 else (kernels @ lead[..., None])[..., 0]
        shares = special.expit(odds + pulled)
    return (shares > 0.5).astype(np.int32).reshape(chances.shape)


def _watershed(chances: Floats, images: Floats, confidence: float) -> Maps:
    """Flood from pixels that are sure of their label, over the slope of the chances; argmax where no two kinds are.

    All images are flooded at once, a row that is not flooded below each.
    """
    markers = np.where(chances >= confidence, 2, np.where(chances <= 1 - confidence, 1, 0))
    slope = np.hypot(*np.gradient(chances, axis=(1, 2)))
    below = ((0, 0), (0, 1), (0, 0))
    inside, seeds, height = (
        np.pad(part, below).reshape(-1, chances.shape[2]) for part in (np.ones(chances.shape), markers, slope)
    )
    flooded = part_touching(inside, seeds, height).reshape(len(chances), -1, chances.shape[2])[:, :-1] == 2
    parted = (markers == 1).any(axis=(1, 2), keepdims=True) & (markers == 2).any(axis=(1, 2), keepdims=True)
    return np.where(parted, flooded, chances > 0.5).astype(np.int32)


GENERIC = {
    "icm": Refiner(STRENGTHS, _modes),
    "graph_cut": Refiner(STRENGTHS, _cut),
    "dense_crf": Refiner(((0.0, 0.03), (0.0, 0.1), (0.0, 0.3), (0.0, 1.0), (0.03, 0.0), (0.1, 0.0)), _crf),
    "watershed": Refiner((0.6, 0.75, 0.9), _watershed),
}
THRESHOLD = Refiner(
    (0.2, 0.3, 0.4, 0.5, 0.6), lambda chances, images, threshold: (chances > threshold).astype(np.int32)
)


def dictionary_refiner(dictionary: Maps, base_rate: float) -> Refiner:
    """Projection on a list of maps; the settings are shares of the pixels' base rate that are taken out.

    Args:
        dictionary: 0/1, shape (maps, rows, columns). base_rate: share of label 1, in (0, 1).

    Raises:
        ValueError: the base rate is not in (0, 1).
    """
    if not 0 < base_rate < 1:
        raise ValueError(f"base_rate must be in (0, 1), got {base_rate}")

    def refine(chances: Floats, images: Floats, share: float) -> Maps:
        rates = np.array([1 - base_rate, base_rate]) ** share
        return project(np.moveaxis(-costs(chances), 0, 1), dictionary, rates)

    return Refiner((0.0, 0.5, 1.0), refine)


def tuned(
    refiner: Refiner,
    held_out: tuple[Floats, Floats, Maps],
    tested: tuple[Floats, Floats],
    scores: Mapping[str, Callable[[Maps, Maps], float]],
) -> dict[str, tuple[float, Maps]]:
    """Choose a refiner's setting on held-out images, for each score by itself, and refine the tested ones.

    Args:
        held_out: chances, images and true maps. tested: chances and images.
        scores: name -> (maps, true maps) -> score, higher is better; the first setting of those that tie is taken.

    Returns:
        name -> (score on the held-out images, refined maps of the tested ones).
    """
    chances, images, truth = held_out
    tried = [refiner.refine(chances, images, setting) for setting in refiner.settings]
    answers: dict[int, Maps] = {}
    found = {}
    for name, score in scores.items():
        values = [score(maps, truth) for maps in tried]
        best = int(np.argmax(values))
        if best not in answers:
            answers[best] = refiner.refine(*tested, refiner.settings[best])
        found[name] = (values[best], answers[best])
    return found
