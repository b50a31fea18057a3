"""Fully connected conditional random field: mean field with exact sums over all pairs of pixels."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from scipy.special import softmax

from sim.segmentation.refinement.lattice import check_unary

LARGEST = 4096  # pixels: the matrix of all pairs then takes 64 megabytes
ROWS = 32  # of that matrix made at once: they fit into a core's cache


@lru_cache(maxsize=4)
def _gaussian(shape: tuple[int, int], scale: float) -> NDArray[np.float32]:
    """exp(-d^2 / (2 scale^2)) of all pairs of pixels of a grid: what images of one size share."""
    place = np.indices(shape).reshape(2, -1).T
    return np.exp(cdist(place, place, "sqeuclidean").astype(np.float32) / np.float32(-2 * scale**2))


def pair_kernel(
    image: ArrayLike, bilateral: float, reach: float, contrast: float, spatial: float, near: float
) -> NDArray[np.float32]:
    """k(p, q) = bilateral exp(-d^2/(2 reach^2) - g^2/(2 contrast^2)) + spatial exp(-d^2/(2 near^2)), 0 for p = q.

    Args:
        image: float, shape (rows, columns), at most `LARGEST` pixels.
        bilateral, spatial: weights >= 0.
        reach, near: lengths in pixels, > 0; d is the distance of two pixels.
        contrast: > 0, in grey values; g is the difference of two grey values.

    Returns:
        float32, shape (pixels, pixels).

    Raises:
        ValueError: too many pixels (sums over all pairs are exact here, not filtered on a lattice), or a parameter
            breaks its rule.
    """
    grey = np.asarray(image, dtype=np.float32)
    if grey.ndim != 2 or not 0 < grey.size <= LARGEST:
        raise ValueError(f"image must have rows and columns and at most {LARGEST} pixels, got shape {grey.shape}")
    for name, value in (("reach", reach), ("contrast", contrast), ("near", near)):
        if not value > 0:
            raise ValueError(f"{name} must be > 0, got {value}")
    for name, value in (("bilateral", bilateral), ("spatial", spatial)):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} must be >= 0 and finite, got {value}")
    shape = (grey.shape[0], grey.shape[1])
    close, closer = _gaussian(shape, reach), _gaussian(shape, near)
    level = grey.ravel() / np.float32(contrast * np.sqrt(2))
    kernel = np.empty(close.shape, np.float32)
    for start in range(0, len(kernel), ROWS):
        rows = slice(start, start + ROWS)
        alike = np.exp(-((level[rows, None] - level[None]) ** 2))
        kernel[rows] = np.float32(bilateral) * close[rows] * alike + np.float32(spatial) * closer[rows]
    np.fill_diagonal(kernel, 0)
    return kernel


def mean_field(unary: ArrayLike, kernel: ArrayLike, steps: int = 10) -> NDArray[np.float64]:
    """Approximate marginals of p(x) ~ exp(-sum unary[x_p, p] - sum_{p<q} k(p, q) [x_p != x_q]).

    Q_p(l) <- softmax_l(-unary[l, p] + sum_q k(p, q) Q_q(l)), all pixels at once, from the unary's own softmax.

    Args:
        unary: float, shape (L, rows, columns), such as -log of a network's probabilities.
        kernel: float, shape (pixels, pixels), symmetric, with zeros on its diagonal.

    Returns:
        float64, shape (L, rows, columns), summing to 1 over labels.

    Raises:
        ValueError: unary breaks its rule or the kernel does not fit it.

    Source: Krähenbühl, Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials", NIPS 2011
    [unchecked]; the sums are exact instead of filtered, and the kernels are not normalised.
    """
    costs = check_unary(unary)
    pairs = np.asarray(kernel)
    flat = costs.reshape(len(costs), -1)
    if pairs.shape != (flat.shape[1], flat.shape[1]):
        raise ValueError(f"kernel must have shape {(flat.shape[1], flat.shape[1])}, got {pairs.shape}")
    shares = softmax(-flat, axis=0)
    for _ in range(steps):
        shares = softmax(-flat + shares.astype(pairs.dtype) @ pairs, axis=0)
    return np.asarray(shares.reshape(costs.shape), dtype=np.float64)


def dense_crf(
    unary: ArrayLike,
    image: ArrayLike,
    bilateral: float = 0.005,
    reach: float = 8.0,
    contrast: float = 0.5,
    spatial: float = 0.1,
    near: float = 1.5,
    steps: int = 10,
) -> NDArray[np.int32]:
    """The most probable label of every pixel under the mean field of one image; arguments as in `pair_kernel`.

    Example:
        >>> unary = np.zeros((2, 3, 3)); unary[0] = 1.0; unary[:, 1, 1] = 0.0, 0.5
        >>> dense_crf(unary, np.zeros((3, 3)), bilateral=0.2).tolist()
        [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
    """
    kernel = pair_kernel(image, bilateral, reach, contrast, spatial, near)
    return mean_field(unary, kernel, steps).argmax(axis=0).astype(np.int32)
