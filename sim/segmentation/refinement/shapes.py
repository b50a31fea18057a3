"""Projection of prediction maps on a dictionary of whole label maps: the shape decides, not the pixel."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp


def map_scores(
    log_probabilities: ArrayLike,
    dictionary: ArrayLike,
    base_rate: ArrayLike | None = None,
    log_weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """log weight of each map + sum over pixels of log p(label | image) - log base rate(label).

    A pixelwise network already holds the base rate of its pixel's labels; over a whole map that prior would count once
    a pixel, so it is taken out and the map's own weight put in.

    Args:
        log_probabilities: float, shape (images, L, rows, columns).
        dictionary: int, shape (maps, rows, columns).
        base_rate: share of each label, shape (L,) or (L, rows, columns); nothing is taken out by default.
        log_weights: float, shape (maps,); equal by default.

    Returns:
        float64, shape (images, maps): log posterior, nats, normalised over maps.

    Raises:
        ValueError: shapes do not fit, a label is outside 0..L-1, or a base rate is not positive.
    """
    chances, maps = np.asarray(log_probabilities, dtype=np.float64), np.asarray(dictionary)
    if chances.ndim != 4 or maps.ndim != 3 or chances.shape[2:] != maps.shape[1:]:
        raise ValueError(
            "log_probabilities (images, L, rows, columns) and dictionary (maps, rows, columns) must share rows and "
            f"columns, got {chances.shape} and {maps.shape}"
        )
    labels = chances.shape[1]
    if maps.min() < 0 or maps.max() >= labels:
        raise ValueError(f"labels of the dictionary must be in 0..{labels - 1}, got {maps.min()}..{maps.max()}")
    if base_rate is not None:
        rate = np.asarray(base_rate, dtype=np.float64)
        if not (rate > 0).all():
            raise ValueError(f"base_rate must be > 0, got {rate.min()}")
        chances = chances - np.log(rate if rate.ndim == 3 else rate.reshape(-1, 1, 1))
    chosen = (maps[None] == np.arange(labels)[:, None, None, None]).astype(np.float64)  # (L, maps, rows, columns)
    scores = np.einsum("ilp,lmp->im", chances.reshape(*chances.shape[:2], -1), chosen.reshape(*chosen.shape[:2], -1))
    if log_weights is not None:
        scores = scores + np.asarray(log_weights, dtype=np.float64)[None]
    return np.asarray(scores - logsumexp(scores, axis=1, keepdims=True))


def project(
    log_probabilities: ArrayLike,
    dictionary: ArrayLike,
    base_rate: ArrayLike | None = None,
    log_weights: ArrayLike | None = None,
) -> NDArray[np.int32]:
    """The dictionary's most probable map for each image; arguments as in `map_scores`.

    Returns:
        int32, shape (images, rows, columns).

    Example:
        >>> chances = np.log([[[[0.4, 0.4, 0.9]], [[0.6, 0.6, 0.1]]]])
        >>> project(chances, [[[0, 0, 0]], [[1, 1, 1]]]).tolist()
        [[[0, 0, 0]]]
    """
    best = map_scores(log_probabilities, dictionary, base_rate, log_weights).argmax(axis=1)
    return np.asarray(dictionary, dtype=np.int32)[best]
