"""Label maps with a stated foreground share and number of labels, and predictors that err on them in stated places.

Objects are the discs of `scenes`, four to a map; each takes one of the labels 1, ..., L - 1. A predictor errs on a
share e of the pixels of all maps together:

    independent  every pixel by itself, to any other label
    boundary     where the contour has shifted: the pixels with the smallest |d|/|g| on the wrong side, d the distance
                 to the contour and g a smooth random shift, outwards and inwards alike
    missed       whole objects, in random order, become background
    renamed      whole objects take another object's label

Maps come from JAX's streams, mistakes from NumPy's. All of them are nested: with the same stream, pixels that are wrong
at a small e are wrong at a larger one.
"""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sim.generators.scenes import SCENES, ScenesSpec
from sim.types import Key

IntMaps = NDArray[np.int32]
PLACEMENTS = ("independent", "boundary", "missed", "renamed")
LATTICE = 2
OBJECTS = LATTICE**2  # a map
VARIATION = 0.4  # of discs' radii: the smallest is .6 of the largest
SMOOTHNESS = 4.0  # pixels over which a contour's shift changes
CHUNK = 50  # maps of one compiled draw
_MEAN_SQUARE = 1 - VARIATION + VARIATION**2 / 3  # of a radius over the largest
MAX_FOREGROUND = float(OBJECTS * np.pi * _MEAN_SQUARE / (2 * LATTICE) ** 2)  # discs that touch their cells' edges


@lru_cache(maxsize=4)
def _drawing(grid_size: int) -> Any:
    def draw(key: Key, radius: Any, indices: Any) -> Any:
        spec = ScenesSpec(kind="discs", grid_size=grid_size, lattice=LATTICE, max_labels=OBJECTS + 1,
                          labels=OBJECTS + 1, objects=OBJECTS, size=radius, size_variation=VARIATION)  # fmt: skip
        return SCENES.draw(key, spec, None, indices).labels  # as many labels as objects: each object has its own

    return jax.jit(draw)


def draw_instances(key: Key, num_maps: int, foreground: float, grid_size: int = 64) -> IntMaps:
    """Maps of numbered objects 1..4 on background 0.

    The radius is chosen so that objects cover the share `foreground` on average over maps.

    Args:
        key: of all maps; a longer draw starts with the shorter one.
        num_maps: >= 1.
        foreground: in (0, MAX_FOREGROUND], that is .51; so large that the smallest disc holds a pixel.
        grid_size: pixels on a side.

    Returns:
        int32, shape (num_maps, grid_size, grid_size).

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> import jax
        >>> maps = draw_instances(jax.random.key(0), 20, 0.3)
        >>> sorted(set(maps.ravel().tolist())), round(float((maps > 0).mean()), 1)
        ([0, 1, 2, 3, 4], 0.3)
    """
    if not 0 < foreground <= MAX_FOREGROUND:
        raise ValueError(f"foreground must be in (0, {MAX_FOREGROUND:.3f}], got {foreground}")
    if num_maps < 1:
        raise ValueError(f"num_maps must be >= 1, got {num_maps}")
    radius = float(np.sqrt(foreground / (OBJECTS * np.pi * _MEAN_SQUARE)))
    ScenesSpec(kind="discs", grid_size=grid_size, lattice=LATTICE, size=radius, size_variation=VARIATION).validated()
    starts = range(0, num_maps, CHUNK)
    parts = [_drawing(grid_size)(key, radius, start + jnp.arange(CHUNK)) for start in starts]
    return np.concatenate(parts)[:num_maps].astype(np.int32).reshape(num_maps, grid_size, grid_size)


def name_objects(instances: IntMaps, weights: Any, generator: np.random.Generator) -> IntMaps:
    """Label maps from numbered objects: each object draws its label 1, 2, ... by `weights`.

    Args:
        instances: as from `draw_instances`.
        weights: of the labels beside the background, > 0.

    Example:
        >>> name_objects(np.array([[[0, 1, 2]]]), [1.0], np.random.default_rng(0)).tolist()
        [[[0, 1, 1]]]
    """
    chances = np.asarray(weights, dtype=np.float64)
    drawn = 1 + generator.choice(len(chances), size=(len(instances), OBJECTS), p=chances / chances.sum())
    return _look_up(instances, drawn)


def _look_up(instances: IntMaps, values: NDArray[Any]) -> IntMaps:
    """Each pixel's value: that of its object, 0 on the background."""
    table = np.concatenate([np.zeros((len(instances), 1), dtype=np.int32), values.astype(np.int32)], axis=1)
    return np.take_along_axis(table, instances.reshape(len(instances), -1), axis=1).reshape(instances.shape)


def make_mistakes(
    labels: IntMaps, instances: IntMaps, num_labels: int, placement: str, error: float, generator: np.random.Generator
) -> IntMaps:
    """A predictor's answers that are wrong on a share `error` of all pixels.

    Independent errors have this share on average, boundaries to a pixel, whole objects as near as objects allow.

    Args:
        labels, instances: int32, shape (maps, rows, columns), as from `name_objects` and `draw_instances`.
        num_labels: L >= 2, background included; >= 3 to rename.
        placement: one of `PLACEMENTS`.
        error: in [0, 1], at most the foreground's share where whole objects err.

    Returns:
        int32, the shape of `labels`.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> labels = np.array([[[0, 0, 1, 1]]])
        >>> make_mistakes(labels, labels, 2, "missed", 0.5, np.random.default_rng(0)).tolist()
        [[[0, 0, 0, 0]]]
    """
    if placement not in PLACEMENTS:
        raise ValueError(f"placement must be one of {', '.join(PLACEMENTS)}, got {placement!r}")
    if not 0 <= error <= 1:
        raise ValueError(f"error must be in [0, 1], got {error}")
    if placement == "renamed" and num_labels < 3:
        raise ValueError(f"num_labels must be >= 3 where objects are renamed, got {num_labels}")
    if placement == "independent":
        wrong = generator.random(labels.shape) < error
        other = (labels + generator.integers(1, num_labels, labels.shape)) % num_labels
        return np.where(wrong, other, labels).astype(np.int32)
    if placement == "boundary":
        return _shift_boundaries(labels, error, generator)
    return _mistake_objects(labels, instances, num_labels, placement, error, generator)


def _shift_boundaries(labels: IntMaps, error: float, generator: np.random.Generator) -> IntMaps:
    depth, nearest = np.empty(labels.shape), np.empty_like(labels)
    for index, map_ in enumerate(labels):
        outside, (row, column) = ndimage.distance_transform_edt(map_ == 0, return_indices=True)
        depth[index] = ndimage.distance_transform_edt(map_ > 0) - outside
        nearest[index] = map_[row, column]
    shift = ndimage.gaussian_filter(generator.standard_normal(labels.shape), (0, SMOOTHNESS, SMOOTHNESS), mode="wrap")
    size = np.where(depth * shift < 0, np.abs(depth) / np.abs(shift), np.inf).ravel()
    number = round(error * labels.size)
    if number > np.isfinite(size).sum():
        raise ValueError(f"error must be at most {np.isfinite(size).mean():.3g} at these boundaries, got {error}")
    answer = labels.ravel().copy()
    wrong = np.argpartition(size, number)[:number] if number else np.zeros(0, dtype=int)
    answer[wrong] = np.where(answer[wrong] > 0, 0, nearest.ravel()[wrong])
    return answer.reshape(labels.shape)


def _mistake_objects(
    labels: IntMaps, instances: IntMaps, num_labels: int, placement: str, error: float, generator: np.random.Generator
) -> IntMaps:
    pixels = np.stack([(instances == number).sum(axis=(1, 2)) for number in range(1, OBJECTS + 1)], axis=1)
    order, others = generator.permutation(pixels.size), generator.integers(1, max(num_labels - 1, 2), pixels.size)
    covered = np.cumsum(pixels.ravel()[order])
    if error * labels.size > covered[-1]:
        raise ValueError(f"error must be at most the foreground's {covered[-1] / labels.size:.3g}, got {error}")
    number = int(np.argmin(np.abs(np.concatenate([[0], covered]) - error * labels.size)))
    step = np.zeros(pixels.size, dtype=np.int32)
    step[order[:number]] = others[:number]
    moved = _look_up(instances, step.reshape(pixels.shape))
    if placement == "missed":
        return np.where(moved > 0, 0, labels).astype(np.int32)
    return np.where(moved > 0, 1 + (labels - 1 + moved) % (num_labels - 1), labels).astype(np.int32)
