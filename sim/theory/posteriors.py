"""Exact posteriors of given images: Ising grids of up to 8 x 8 pixels, and lists of equally likely maps.

`sim.theory.fields` and `sim.theory.dictionaries` average over images of their own; here the images are the caller's, so
that a network can be held against the best answer to the very same ones.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sim.theory import checks
from sim.types import FloatArray

LARGEST_SIDE = 8  # the frontier of a grid has 2^side states
LARGEST_COUPLING = 10  # 16 pairs of a frontier then differ by 320 nats, and float64 goes down to -708
_AT_ONCE = 100  # images: the messages of a 8 x 8 grid then take 13 MB
_DICE_SIZES = 48  # sizes tried for the best Dice map, in equal ratios; its expected score is flat around the optimum


class Posterior(NamedTuple):
    """What is known of each image.

    Attributes:
        marginals: float64, shape (images, rows, columns), probability that a pixel shows label 1.
        joint: int32, shape (images, rows, columns), the most probable label map.
    """

    marginals: FloatArray
    joint: NDArray[np.int32]


def ising_posterior(images: ArrayLike, coupling: float, noise: float) -> Posterior:
    """Posterior of an Ising grid with free boundary, p(x) ~ exp(coupling sum x_i x_j), seen as y = x + noise * N(0, 1).

    Pixel after pixel in row order, a pixel depends on the pixels before it through the last `columns` ones alone, the
    frontier. Forward and backward sums over the 2^columns frontiers give the marginals, forward maxima the joint map.

    Args:
        images: float, shape (images, rows, columns), columns at most 8; labels are -1 (0) and +1 (1).
        coupling: energy of a pair of equal neighbours, in [-10, 10]: evidence and couplings then stay in range.
        noise: standard deviation, > 0.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> posterior = ising_posterior([[[0.2, 1.5]]], coupling=0.4, noise=1.0)
        >>> posterior.joint.tolist(), posterior.marginals.round(4).tolist()
        ([[[1, 1]]], [[[0.7534, 0.9589]]])

    Source: Binder, Physica 62 (1972), the transfer matrix one site at a time.
    """
    seen = np.asarray(images, dtype=np.float64)
    checks.require(seen.ndim == 3, "images", "of shape (images, rows, columns)", seen.shape)
    checks.require(seen.shape[2] <= LARGEST_SIDE, "columns", f"<= {LARGEST_SIDE}", seen.shape[2])
    checks.require(
        abs(coupling) <= LARGEST_COUPLING, "coupling", f"in [-{LARGEST_COUPLING}, {LARGEST_COUPLING}]", coupling
    )
    noise = checks.require_positive("noise", noise)
    parts = [_sweep(seen[k : k + _AT_ONCE], coupling, noise) for k in range(0, len(seen), _AT_ONCE)]
    return Posterior(np.concatenate([p.marginals for p in parts]), np.concatenate([p.joint for p in parts]))


def _sweep(images: FloatArray, coupling: float, noise: float) -> Posterior:
    """All weights are plain numbers, the largest of each image near 1: what underflows is beyond any pair's reach."""
    number, rows, columns = images.shape
    frontiers = np.arange(2**columns)
    pull = images.reshape(number, -1).T / noise**2  # log likelihood of +1 over -1, halved
    evidence = np.exp(np.stack([-pull, pull]) - np.abs(pull))  # (labels, pixels, images)
    pixels = rows * columns

    def factors(pixel: int) -> list[FloatArray]:
        """Weight of each label at a pixel, given each frontier before it and each image."""
        column = pixel % columns
        spins = np.zeros(len(frontiers))
        if pixel >= columns:
            spins += 2.0 * (frontiers >> column & 1) - 1
        if column:
            spins += 2.0 * (frontiers >> (column - 1) & 1) - 1
        energy = coupling * spins
        ties = np.exp(np.stack([-energy, energy]) - np.abs(energy).max())
        return [split(pixel, ties[label][:, None] * evidence[label, pixel]) for label in (0, 1)]

    def split(pixel: int, values: NDArray[Any]) -> NDArray[Any]:
        """(frontiers, images) as (bits above, the pixel's bit, bits below, images)."""
        return values.reshape(-1, 2, 1 << pixel % columns, number)

    ahead = np.zeros((len(frontiers), number))  # before the first pixel all frontiers are one: take 0
    ahead[0] = 1.0
    best, forward, pointers = ahead, [ahead], []
    for pixel in range(pixels):
        weights = factors(pixel)
        sent = [split(pixel, ahead) * weight for weight in weights]
        ahead = np.stack([part[:, 0] + part[:, 1] for part in sent], axis=1).reshape(ahead.shape)
        ahead = ahead / ahead.max(axis=0)
        forward.append(ahead)
        sent = [split(pixel, best) * weight for weight in weights]
        # whether the bit that the new one replaced was set
        pointers.append(np.stack([part[:, 1] > part[:, 0] for part in sent], axis=1).reshape(ahead.shape))
        best = np.stack([part.max(axis=1) for part in sent], axis=1).reshape(ahead.shape)
        best = best / best.max(axis=0)

    marginals, joint = np.empty((pixels, number)), np.empty((pixels, number), dtype=np.int32)
    state, each = best.argmax(axis=0), np.arange(number)
    behind = np.ones((len(frontiers), number))
    for pixel in reversed(range(pixels)):
        arrived = split(pixel, behind)
        ways = [weight * arrived[:, [label]] for label, weight in enumerate(factors(pixel))]
        total = [(split(pixel, forward[pixel]) * way).sum(axis=(0, 1, 2)) for way in ways]
        marginals[pixel] = total[1] / (total[0] + total[1])
        behind = (ways[0] + ways[1]).reshape(behind.shape)
        behind = behind / behind.max(axis=0)
        bit = 1 << pixel % columns
        joint[pixel] = (state & bit) > 0
        state = np.where(pointers[pixel][state, each], state | bit, state & ~bit)
    return Posterior(marginals.T.reshape(images.shape), joint.T.reshape(images.shape))


def list_weights(images: ArrayLike, maps: FloatArray, noise: float) -> FloatArray:
    """Posterior over a list of equally likely 0/1 maps seen as y = map + noise * N(0, 1): (images, maps).

    Args:
        images: float, shape (images, pixels). maps: 0/1, shape (maps, pixels).

    Example:
        >>> list_weights([[0.5, 1.0]], np.array([[0.0, 1.0], [1.0, 1.0]]), 1.0).tolist()
        [[0.5, 0.5]]
    """
    seen = np.asarray(images, dtype=np.float64)
    noise = checks.require_positive("noise", noise)
    return np.asarray(special.softmax((seen @ maps.T - maps.sum(axis=1) / 2) / noise**2, axis=1))


def best_dice_maps(weights: FloatArray, maps: FloatArray) -> NDArray[np.int32]:
    """The map with the largest expected Dice for each image, among all maps of each of 48 sizes: 0/1, (images, pixels).

    It may be larger than every map of the list: the union of two likely ones scores more than either. A map of s pixels
    gains sum over maps m of w_m 2 [pixel in m] / (s + |m|) from each of its pixels, so the best map of a size takes the
    pixels that gain most.

    Args:
        weights: posterior, shape (images, maps). maps: 0/1, shape (maps, pixels), none empty.
    """
    sizes = maps.sum(axis=1)
    best = np.zeros(len(weights))
    answer = np.zeros((len(weights), maps.shape[1]), dtype=np.int32)
    for size in np.unique(np.geomspace(1, maps.shape[1], _DICE_SIZES).round().astype(int)):
        gain = (weights * (2 / (size + sizes))) @ maps
        order = np.argpartition(-gain, size - 1, axis=1)[:, :size]
        expected = np.take_along_axis(gain, order, axis=1).sum(axis=1)
        better = np.flatnonzero(expected > best)
        best[better] = expected[better]
        answer[better] = 0
        answer[better[:, None], order[better]] = 1
    return answer
