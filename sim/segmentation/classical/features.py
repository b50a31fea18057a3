"""What pixel classifiers see of a pixel, and which training pixels they see."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage import feature

from sim.segmentation.protocol import Examples, Images

Features = NDArray[np.float32]
SMALLEST = 0.5  # pixels: the finest filter
DIRECTIONS = 8  # of line filters, over half a turn


def line_responses(image: ArrayLike, length: int = 9) -> Features:
    """Largest and smallest mean grey value over straight pieces through each pixel, one in eight directions.

    Args:
        image: float, shape (rows, columns). length: of a piece, in pixels.

    Returns:
        float32, shape (rows, columns, 2).
    """
    grey = np.asarray(image, dtype=np.float32)
    along = np.linspace(-1, 1, 2 * length) * (length - 1) / 2
    means = []
    for turn in np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        kernel = np.zeros((length, length), dtype=np.float32)
        middle = (length - 1) / 2
        np.add.at(kernel, tuple(np.rint(middle + along * part).astype(int) for part in (np.sin(turn), np.cos(turn))), 1)
        means.append(ndimage.convolve(grey, kernel / kernel.sum(), mode="reflect"))
    return np.stack([np.max(means, axis=0), np.min(means, axis=0)], axis=-1)


def filter_features(images: Images, largest: float, place: bool = False, lines: bool = False) -> Features:
    """Gaussian, gradient and Hessian filters at scales that double from half a pixel.

    Args:
        images: float32, shape (images, rows, columns).
        largest: standard deviation of the widest Gaussian, in pixels.
        place: add the pixel's row and column, from -1 to 1 across the image.
        lines: add `line_responses`.

    Returns:
        float32, shape (images, rows, columns, features).

    Example:
        >>> filter_features(np.zeros((1, 8, 8), np.float32), largest=2.0).shape
        (1, 8, 8, 12)
    """
    found = []
    for image in images:
        parts = [
            feature.multiscale_basic_features(
                image, sigma_min=SMALLEST, sigma_max=max(largest, 2 * SMALLEST), workers=1
            ).astype(np.float32)
        ]
        if place:
            sides = [np.linspace(-1, 1, side, dtype=np.float32) for side in image.shape]
            parts.append(np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1))
        if lines:
            parts.append(line_responses(image))
        found.append(np.concatenate(parts, axis=-1))
    return np.stack(found)


class PixelSample(NamedTuple):
    """Training pixels, as many of each label as there are.

    Attributes:
        features: float32, shape (pixels, features). labels: int32, shape (pixels,).
        weights: float64, shape (pixels,), of mean 1.
        priors: float64, shape (L,): share of each label that the weights stand for.
    """

    features: Features
    labels: NDArray[np.int32]
    weights: NDArray[np.float64]
    priors: NDArray[np.float64]


def sample_pixels(features: Features, examples: Examples, most: int, balance: float, seed: int) -> PixelSample:
    """Draw pixels, an equal number of each label where possible, and weigh them back to their shares.

    Args:
        features: shape (images, rows, columns, features).
        most: pixels at most.
        balance: 0 weighs labels as they occur, 1 all alike, between them the powers 1 - balance of their shares.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    labels = np.asarray(examples.answers, dtype=np.int32).ravel()
    counts = np.bincount(labels, minlength=examples.num_labels)
    present = np.flatnonzero(counts)
    chosen = np.concatenate([
        rng.permutation(np.flatnonzero(labels == label))[: -(-most // len(present))] for label in present
    ])  # fmt: skip
    shares = np.where(counts > 0, (np.maximum(counts, 1) / counts.sum()) ** (1 - balance), 0.0)
    priors = shares / shares.sum()
    drawn = np.bincount(labels[chosen], minlength=examples.num_labels)
    weights = (priors / np.maximum(drawn, 1))[labels[chosen]] * len(chosen)
    return PixelSample(features.reshape(len(labels), -1)[chosen], labels[chosen], weights, priors)
