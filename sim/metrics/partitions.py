"""Scores of a partition of an image into many objects: Rand and variation of information."""

import numpy as np
from numpy.typing import ArrayLike


def _entropy(shares: np.ndarray) -> float:
    used = shares[shares > 0]
    return float(-(used * np.log2(used)).sum())


def partition_scores(prediction: ArrayLike, reference: ArrayLike) -> dict[str, float]:
    """Agreement of two label images on the foreground of the reference (its label 0 is left out).

    With p_ij the share of pixels in segment i of the prediction and j of the reference, s_i and t_j its sums:

        v_rand = sum p_ij^2 / (sum s_i^2 / 2 + sum t_j^2 / 2),   rand_error = 1 - v_rand,
        v_info = I(S; T) / (H(S)/2 + H(T)/2),   vi_split = H(S|T),   vi_merge = H(T|S), in bits.

    A pair of a pixel with itself counts, as in the formula; scikit-image's adapted Rand error leaves these pairs out.
    Label 0 of the prediction is a segment like any other. v_info is 1 where both are one segment.

    Args:
        prediction, reference: whole numbers >= 0, equal shapes.

    Returns:
        rand_error, v_rand, v_info, vi_split, vi_merge; all NaN where the reference has no foreground.

    Raises:
        ValueError: shapes differ, or values are not whole numbers >= 0.

    Example:
        >>> scores = partition_scores([[1, 1, 2, 2]], [[1, 1, 1, 1]])
        >>> round(scores["v_rand"], 4), scores["vi_split"], scores["vi_merge"]
        (0.6667, 1.0, 0.0)

    Source: Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for connectomics",
    Frontiers in Neuroanatomy 9, 2015 [unchecked].
    """
    found, truth = np.asarray(prediction), np.asarray(reference)
    if found.shape != truth.shape:
        raise ValueError(f"prediction and reference must have one shape, got {found.shape} and {truth.shape}")
    for name, labels in (("prediction", found), ("reference", truth)):
        if labels.size and (labels.min() < 0 or not np.array_equal(labels, labels.astype(np.int64))):
            raise ValueError(f"{name} must be whole numbers >= 0, got {np.unique(labels)[:5].tolist()}")
    inside = truth != 0
    if not inside.any():
        return dict.fromkeys(("rand_error", "v_rand", "v_info", "vi_split", "vi_merge"), float("nan"))
    _, rows = np.unique(found[inside], return_inverse=True)
    _, columns = np.unique(truth[inside], return_inverse=True)
    width = int(columns.max()) + 1
    _, counts = np.unique(rows.ravel().astype(np.int64) * width + columns.ravel(), return_counts=True)
    total = counts.sum()
    joint = counts / total
    first = np.bincount(rows.ravel()) / total
    second = np.bincount(columns.ravel()) / total
    rand = float((joint**2).sum() / ((first**2).sum() / 2 + (second**2).sum() / 2))
    together, own, true = _entropy(joint), _entropy(first), _entropy(second)
    split, merge = max(together - true, 0.0), max(together - own, 0.0)
    mean_entropy = (own + true) / 2
    information = (own + true - together) / mean_entropy if mean_entropy > 0 else 1.0
    return {"rand_error": 1 - rand, "v_rand": rand, "v_info": information, "vi_split": split, "vi_merge": merge}
