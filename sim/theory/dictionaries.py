"""Exact posteriors when the label map is one of a finite list of equally likely maps: scenes with one disc.

The nominal number of label maps is 2^(pixels), but only as many exist as discs can be placed, and the list makes the
posterior a plain softmax. The mean over the noise is Monte Carlo with a fixed seed.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

from sim.theory import checks
from sim.types import FloatArray

SEED = 20240302
LARGEST_LIST = 2**23  # maps x pixels: 64 MB
_DICE_SIZES = 24  # sizes tried for the best Dice map; its expected score is flat around the optimum


class DiscCeilings(NamedTuple):
    """Exact limits of any predictor of a scene with one disc.

    Attributes:
        pixel_accuracy, joint_exact_match, marginal_exact_match: as in `FieldCeilings`.
        dice: the largest expected Dice score; its map is larger than the marginal one, which scores less.
        label_entropy_bits: log2 of the number of maps.
        conditional_entropy_bits: H(X|Y).
        standard_error: the largest Monte Carlo standard error of the first four.
    """

    pixel_accuracy: float
    joint_exact_match: float
    marginal_exact_match: float
    dice: float
    label_entropy_bits: float
    conditional_entropy_bits: float
    standard_error: float


def disc_maps(grid_size: int, radii: tuple[float, ...]) -> FloatArray:
    """All distinct maps of a disc around a pixel's centre, cut off at the border: 0/1, shape (maps, pixels)."""
    row, column = np.mgrid[:grid_size, :grid_size]
    squared = (row - row.reshape(-1, 1, 1)) ** 2 + (column - column.reshape(-1, 1, 1)) ** 2
    maps = np.concatenate([(squared <= radius**2).reshape(len(squared), -1) for radius in radii])
    return np.unique(maps, axis=0).astype(np.float64)


def _scores(maps: FloatArray, posterior: FloatArray) -> FloatArray:
    """Posterior scores, shape (5, N): pixel, joint, marginal, dice, entropy in nats; `posterior` is (N, maps)."""
    marginal = posterior @ maps
    sizes = maps.sum(axis=1)
    # a map of the list equals the thresholded marginals when it has all of their pixels and no other
    chosen = (marginal > 0.5).astype(np.float64)
    same = (chosen @ maps.T == sizes) & (chosen.sum(axis=1)[:, None] == sizes)
    dice = np.zeros(len(posterior))
    for size in np.unique(np.linspace(sizes.min(), sizes.max(), _DICE_SIZES).astype(int)):
        # the best map of a given size takes the pixels of the largest expected gain
        gain = (posterior * (2 / (size + sizes))) @ maps
        dice = np.maximum(dice, np.partition(gain, -size, axis=1)[:, -size:].sum(axis=1))
    return np.stack(
        [
            np.maximum(marginal, 1 - marginal).mean(axis=1),
            posterior.max(axis=1),
            np.sum(posterior * same, axis=1),
            dice,
            special.entr(posterior).sum(axis=1),
        ]
    )


@lru_cache(maxsize=256)
def disc_ceilings(grid_size: int, radii: tuple[float, ...], noise: float, num_draws: int | None = None) -> DiscCeilings:
    """Ceilings for one disc in a square image, all distinct disc maps equally likely, intensity 1 on 0.

    Args:
        grid_size: pixels on a side; maps x pixels at most 2^23 (32 x 32 with eight radii).
        radii: in pixels, > 0.
        noise: standard deviation, > 0.
        num_draws: images drawn; None takes 300 to 4,000 within a few seconds.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> disc_ceilings(16, (2, 3, 4, 5), 1.0, num_draws=100).label_entropy_bits
        10.0
    """
    grid_size = checks.require_whole("grid_size", grid_size, 1)
    noise = checks.require_positive("noise", noise)
    checks.require(len(radii) > 0 and min(radii) > 0, "radii", "one or more numbers > 0", radii)
    listed = grid_size**4 * len(radii)
    checks.require(listed <= LARGEST_LIST, "grid_size**4 * len(radii)", "<= 2^23 (maps x pixels)", listed)
    return dictionary_ceilings(disc_maps(grid_size, tuple(radii)), noise, num_draws)


def scene_maps(side: int, lattice: int, radii: tuple[float, ...]) -> FloatArray:
    """Maps of one disc at every centre of a lattice, lengths as shares of the side: 0/1, shape (maps, pixels).

    A pixel shows its centre. On `side` = `lattice` these are the maps of `disc_maps`, in another order.

    Args:
        side: pixels on a side. lattice: centres on a side, in the middle of its cells. radii: in cells of the lattice.
    """
    pixel = (np.arange(side) + 0.5) / side
    centre = (np.arange(lattice) + 0.5) / lattice
    down, right = (pixel[:, None] - centre) ** 2, (pixel[:, None] - centre) ** 2
    squared = down[:, None, :, None] + right[None, :, None, :]
    edge = (np.array(radii) / lattice) ** 2 * (1 + 1e-9)  # a pixel's centre on the edge is inside
    inside = squared[..., None] <= edge
    return inside.reshape(side**2, -1).T.astype(np.float64)


def dictionary_ceilings(maps: FloatArray, noise: float, num_draws: int | None = None) -> DiscCeilings:
    """Ceilings for label maps drawn uniformly from a list of different ones, intensity 1 on 0.

    Args:
        maps: 0/1, shape (maps, pixels), at most 2^23 numbers.
        noise, num_draws: as in `disc_ceilings`.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> dictionary_ceilings(scene_maps(20, 16, (2, 3, 4, 5)), 1.0, num_draws=100).label_entropy_bits
        10.0
    """
    noise = checks.require_positive("noise", noise)
    checks.require(maps.size <= LARGEST_LIST, "maps x pixels", "<= 2^23", maps.size)
    num_draws = checks.optional_draws(num_draws) or int(np.clip(5e8 / maps.size, 300, 4000))
    rng = np.random.default_rng(SEED)
    scores = []
    for first in range(0, num_draws, 500):
        truth = rng.integers(len(maps), size=min(500, num_draws - first))
        images = maps[truth] + noise * rng.standard_normal((len(truth), maps.shape[1]))
        log_posterior = (images @ maps.T - maps.sum(axis=1) / 2) / noise**2
        with np.errstate(under="ignore"):
            scores.append(_scores(maps, special.softmax(log_posterior, axis=1)))
    values = np.concatenate(scores, axis=1)
    means, errors = values.mean(axis=1), values.std(axis=1) / np.sqrt(num_draws)
    pixel, joint, marginal, dice, entropy = (float(mean) for mean in means)
    return DiscCeilings(
        min(pixel, 1.0),
        min(joint, 1.0),
        min(marginal, 1.0),
        min(dice, 1.0),
        float(np.log2(len(maps))),
        entropy / float(np.log(2)),
        float(errors[:4].max()),
    )
