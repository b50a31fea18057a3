"""The place of a disc in a small noisy image: exact posteriors by enumeration of every place it may have.

The disc's centre is one of `steps` x `lanes` points, all equally likely: `steps` offsets along the columns, which is
the target, and `lanes` along the rows, which nobody asks for. A pixel is the disc's cover of it plus normal noise.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sim.theory import checks
from sim.theory.regression import Bins
from sim.types import FloatArray


class DiscOffsets(NamedTuple):
    """Every image without noise, and its target.

    Attributes:
        images: shape (steps, lanes, size^2), from 0 outside to 1 inside the disc.
        offsets: the target in pixels from the middle of the image, shape (steps,), ascending.
    """

    images: FloatArray
    offsets: FloatArray


def disc_offsets(size: int, radius: float, reach: float, steps: int, lanes: int) -> DiscOffsets:
    """Draw the disc at every place. A pixel at distance r from its centre shows min(1, max(0, radius + 1/2 - r)).

    Args:
        size: rows and columns of the image, >= 2.
        radius: of the disc, in pixels, > 0.
        reach: largest offset of the centre from the middle in either direction, in pixels; the disc and its soft edge
            stay inside the image.
        steps: values of the target, >= 2, at the middles of equal parts of [-reach, reach].
        lanes: values of the other offset, >= 1, likewise.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> discs = disc_offsets(8, 2.0, 1.0, 4, 2)
        >>> discs.images.shape, discs.offsets.tolist()
        ((4, 2, 64), [-0.75, -0.25, 0.25, 0.75])
    """
    size = checks.require_whole("size", size, 2)
    radius, reach = checks.require_positive("radius", radius), checks.require_positive("reach", reach)
    steps, lanes = checks.require_whole("steps", steps, 2), checks.require_whole("lanes", lanes, 1)
    most = size / 2 - 0.5 - radius
    checks.require(reach <= most, "reach", f"<= size / 2 - 1/2 - radius = {most:g}", reach)

    def parts(count: int) -> FloatArray:
        return reach * ((2 * np.arange(count) + 1) / count - 1)

    place = np.arange(size) - (size - 1) / 2
    across, along = np.meshgrid(parts(steps), parts(lanes), indexing="ij")
    distance = np.hypot(place[:, None] - along[..., None, None], place - across[..., None, None])
    images = np.clip(radius + 0.5 - distance, 0.0, 1.0)
    return DiscOffsets(images.reshape(steps, lanes, -1), parts(steps))


def offset_posterior(discs: DiscOffsets, images: ArrayLike, noise: float) -> FloatArray:
    """P(offset | image), shape (num_images, steps), by Bayes' rule over all places. Exact.

    P(place | x) is proportional to exp[(x.m - |m|^2 / 2) / noise^2], m the image of that place; then the sum over
    lanes.

    Args:
        discs: every place.
        images: shape (num_images, size^2).
        noise: standard deviation of a pixel, > 0.

    Example:
        >>> discs = disc_offsets(8, 2.0, 1.0, 4, 2)
        >>> offset_posterior(discs, discs.images[0, :1], 0.5).argmax(axis=1).tolist()
        [0]
    """
    noise = checks.require_positive("noise", noise)
    x = np.asarray(images, dtype=np.float64)
    steps, lanes, pixels = discs.images.shape
    checks.require(x.ndim == 2 and x.shape[1] == pixels, "images", f"of shape (num_images, {pixels})", x.shape)
    means = discs.images.reshape(-1, pixels)
    found = np.empty((len(x), steps))
    for start in range(0, len(x), 512):  # a block of images at a time: the table of places is large
        score = (x[start : start + 512] @ means.T - 0.5 * np.sum(means**2, axis=1)) / noise**2
        weight = np.exp(score - score.max(axis=1, keepdims=True)).reshape(-1, steps, lanes).sum(axis=2)
        found[start : start + 512] = weight / weight.sum(axis=1, keepdims=True)
    return found


def offset_bins(discs: DiscOffsets, num_bins: int) -> Bins:
    """Q equal groups of neighbouring offsets and the mean offset of each.

    Args:
        num_bins: Q >= 1, a divisor of the number of offsets.

    Example:
        >>> offset_bins(disc_offsets(8, 2.0, 1.0, 4, 2), 2)
        Bins(edges=array([0.]), centres=array([-0.5,  0.5]))
    """
    steps = len(discs.offsets)
    num_bins = checks.require_whole("num_bins", num_bins, 1)
    checks.require(steps % num_bins == 0, "num_bins", f"a divisor of {steps} offsets", num_bins)
    groups = discs.offsets.reshape(num_bins, -1)
    return Bins((groups[:-1, -1] + groups[1:, 0]) / 2, groups.mean(axis=1))


def decode_offsets(discs: DiscOffsets, posterior: FloatArray, num_bins: int | None = None) -> FloatArray:
    """The mean offset of each image; through Q bins, the mean decoding of the exact posterior of the bins.

    sum_s P(s | x) c(s), c(s) the offset itself or the centre of its bin: shape (num_images,).

    Example:
        >>> discs = disc_offsets(8, 2.0, 1.0, 4, 2)
        >>> decode_offsets(discs, np.array([[0.5, 0.5, 0.0, 0.0]])).tolist()
        [-0.5]
    """
    centres = discs.offsets
    if num_bins is not None:
        centres = np.repeat(offset_bins(discs, num_bins).centres, len(discs.offsets) // num_bins)
    decoded: FloatArray = posterior @ centres
    return decoded
