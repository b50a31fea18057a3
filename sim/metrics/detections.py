"""Scores of detected points: one-to-one matching within a distance."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial.distance import cdist


def detection_scores(points: ArrayLike, reference_points: ArrayLike, tolerance: float) -> dict[str, float]:
    """Precision, recall and F1 of points against reference points.

    Each point may hit one reference point within `tolerance`, and each be hit once; TP is the largest number of such
    pairs, further hits are false. precision TP/(TP+FP), recall TP/(TP+FN), f1 2TP/(2TP+FP+FN).

    Args:
        points: shape (found, dimensions); an empty list for none.
        reference_points: shape (true, dimensions).
        tolerance: largest distance of a hit, > 0, in the units of the points; a point just at it hits.

    Returns:
        precision, recall, f1; NaN where nothing was found, nothing was there, or neither.

    Raises:
        ValueError: points are not finite rows of one length, or the tolerance breaks its rule.

    Example:
        >>> detection_scores([[0, 0], [0, 1], [9, 9]], [[0, 0], [5, 5]], tolerance=2)["f1"]
        0.4
    """
    if not 0 < tolerance < float("inf"):
        raise ValueError(f"tolerance must be > 0 and finite, got {tolerance}")
    found, true = (_rows(name, given) for name, given in (("points", points), ("reference_points", reference_points)))
    if found.size and true.size and found.shape[1] != true.shape[1]:
        raise ValueError(
            f"points must have as many coordinates as reference_points, got {found.shape[1]}, {true.shape[1]}"
        )
    hits = 0
    if found.size and true.size:
        near = cdist(found, true) <= tolerance
        hits = int((maximum_bipartite_matching(sparse.csr_array(near), perm_type="column") >= 0).sum())
    number, wanted = len(found), len(true)
    return {
        "precision": hits / number if number else float("nan"),
        "recall": hits / wanted if wanted else float("nan"),
        "f1": 2 * hits / (number + wanted) if number + wanted else float("nan"),
    }


def _rows(name: str, given: ArrayLike) -> np.ndarray:
    array = np.asarray(given, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 0))
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite rows of coordinates, got shape {array.shape}")
    return array
