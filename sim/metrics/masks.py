"""Scores of a segmented object against its reference: overlap, volume, surface distance, and SLIVER07's score of them.

The border of a mask are its voxels that an erosion removes: with the 3 x 3 square in two dimensions, the ball of
radius one (18 neighbours) in three. What lies outside the image counts as object, so the edge of the image makes no
border. Distances from every border voxel to the nearest border voxel of the other mask are pooled over both borders.

Empty masks. Both empty: Dice and IoU are 1, VOE is 0; what divides by the reference, and all distances, are NaN. One
empty: Dice and IoU are 0, VOE is 100, distances are NaN and the SLIVER07 score is 0: an empty answer earns nothing.
A mask without a border (it fills the image) has no distances either, and scores NaN unless the other is empty.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

# Errors of a second human rater on livers, each worth 25 points: VOE and RVD in per cent, distances in millimetres.
SLIVER07_REFERENCE = {"voe": 6.4, "rvd": 4.7, "asd": 1.0, "rmsd": 1.8, "msd": 19.0}

Mask = NDArray[np.bool_]


def check_masks(prediction: ArrayLike, reference: ArrayLike) -> tuple[Mask, Mask]:
    """Both masks as arrays of bool, shapes equal; 0 and 1 of any type count as bool.

    Raises:
        ValueError: shapes differ or are empty, dimensions other than two or three, values other than 0 and 1.
    """
    masks = []
    for name, given in (("prediction", prediction), ("reference", reference)):
        array = np.asarray(given)
        if array.ndim not in (2, 3) or array.size == 0:
            raise ValueError(
                f"{name} must be a mask of 2 or 3 dimensions with a pixel or more, got shape {array.shape}"
            )
        if array.dtype != bool and not np.isin(array, (0, 1)).all():
            raise ValueError(f"{name} must hold true and false only, got {np.unique(array)[:5].tolist()}")
        masks.append(array.astype(bool))
    if masks[0].shape != masks[1].shape:
        raise ValueError(f"prediction and reference must have one shape, got {masks[0].shape} and {masks[1].shape}")
    return masks[0], masks[1]


def check_spacing(spacing: Sequence[float], dimensions: int) -> tuple[float, ...]:
    """The length of a voxel along each axis.

    Raises:
        ValueError: not one finite positive number an axis.
    """
    lengths = tuple(float(length) for length in spacing)
    if len(lengths) != dimensions or not all(0 < length < float("inf") for length in lengths):
        raise ValueError(f"spacing must be {dimensions} lengths > 0, got {lengths}")
    return lengths


def border(mask: Mask) -> Mask:
    """Object voxels that an erosion with SLIVER07's structuring element removes.

    Example:
        >>> import numpy as np
        >>> int(border(np.pad(np.ones((4, 4), bool), 1)).sum()), int(border(np.ones((4, 4), bool)).sum())
        (12, 0)
    """
    structure = ndimage.generate_binary_structure(mask.ndim, 2)  # 8 neighbours in the plane, 18 in space
    return np.asarray(mask & ~ndimage.binary_erosion(mask, structure, border_value=1))


def surface_distances(prediction: Mask, reference: Mask, spacing: Sequence[float]) -> NDArray[np.float64]:
    """Distance of every border voxel of either mask to the nearest of the other's border; empty where one has none."""
    edges = border(prediction), border(reference)
    if not edges[0].any() or not edges[1].any():
        return np.zeros(0)
    to_prediction, to_reference = (ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges)
    return np.concatenate([to_reference[edges[0]], to_prediction[edges[1]]])


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator) / float(denominator) if denominator else float("nan")


def segmentation_scores(
    prediction: ArrayLike, reference: ArrayLike, spacing: Sequence[float] | None = None
) -> dict[str, float]:
    """All scores of one object.

    With TP, FP, FN counted over pixels, P and R the sizes of prediction and reference and d the pooled distances:
    dice 2TP/(P+R), iou TP/(TP+FP+FN), voe 100 (1 - iou), rvd 100 (P-R)/R, asd mean d, rmsd sqrt(mean d^2), msd max d,
    sliver07 the mean over these five of max(0, 100 - 25 |error|/reference), over_segmentation FP/R,
    under_segmentation FN/R, error_rate (FP+FN)/TP, pixel_accuracy.

    Args:
        prediction, reference: masks, shape (rows, columns) or (slices, rows, columns).
        spacing: length of a pixel along each axis, 1 by default; SLIVER07's score takes it as millimetres.

    Returns:
        name -> value; NaN where undefined, and for empty masks as the module says.

    Raises:
        ValueError: masks or spacing break their rules.

    Example:
        >>> import numpy as np
        >>> square = np.zeros((8, 8), bool)
        >>> square[2:6, 2:6] = True
        >>> scores = segmentation_scores(np.roll(square, 1, axis=1), square)
        >>> scores["dice"], scores["voe"], scores["rvd"], scores["asd"], scores["msd"]
        (0.75, 40.0, 0.0, 0.5, 1.0)

    Source: Heimann et al., "Comparison and evaluation of methods for liver segmentation from CT datasets", IEEE
    Transactions on Medical Imaging 28, 2009 [unchecked], with the borders of its evaluation program.
    """
    found, truth = check_masks(prediction, reference)
    lengths = check_spacing(spacing if spacing is not None else (1.0,) * found.ndim, found.ndim)
    both, either = int((found & truth).sum()), int((found | truth).sum())
    size, reference_size = int(found.sum()), int(truth.sum())
    false_positive, false_negative = size - both, reference_size - both
    overlap = both / either if either else 1.0
    distances = surface_distances(found, truth, lengths)
    seen = len(distances) > 0
    scores: dict[str, Any] = {
        "dice": 2 * both / (size + reference_size) if either else 1.0,
        "iou": overlap,
        "voe": 100.0 * (either - both) / either if either else 0.0,
        "rvd": 100.0 * _ratio(size - reference_size, reference_size),
        "asd": float(distances.mean()) if seen else float("nan"),
        "rmsd": float(np.sqrt(np.mean(distances**2))) if seen else float("nan"),
        "msd": float(distances.max()) if seen else float("nan"),
    }
    points = [max(0.0, 100 - 25 * abs(scores[name]) / unit) for name, unit in SLIVER07_REFERENCE.items()]
    scores["sliver07"] = (
        0.0 if (size == 0) != (reference_size == 0) else float(np.mean(points)) if seen else float("nan")
    )
    return scores | {
        "over_segmentation": _ratio(false_positive, reference_size),
        "under_segmentation": _ratio(false_negative, reference_size),
        "error_rate": _ratio(false_positive + false_negative, both),
        "pixel_accuracy": 1 - (either - both) / found.size,
    }


def boundary_f(
    prediction: ArrayLike, reference: ArrayLike, tolerance: float, spacing: Sequence[float] | None = None
) -> float:
    """F-measure of borders: 2PR/(P+R), P the share of the prediction's border within `tolerance` of the reference's.

    1 where neither mask has a border, 0 where one has none.

    Args:
        prediction, reference: as in `segmentation_scores`.
        tolerance: largest distance that counts as hit, in units of `spacing`, >= 0.

    Raises:
        ValueError: an argument breaks its rule.

    Source: Csurka, Larlus, Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC 2013
    [unchecked].
    """
    found, truth = check_masks(prediction, reference)
    lengths = check_spacing(spacing if spacing is not None else (1.0,) * found.ndim, found.ndim)
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be >= 0, got {tolerance}")
    edges = border(found), border(truth)
    if not edges[0].any() or not edges[1].any():
        return float(edges[0].any() == edges[1].any())
    precision, recall = (
        float(np.mean(ndimage.distance_transform_edt(~other, sampling=lengths)[own] <= tolerance))
        for own, other in (edges, edges[::-1])
    )
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def mean_iou(predictions: ArrayLike, references: ArrayLike, num_labels: int) -> float:
    """Mean over labels of TP/(TP+FP+FN), counts pooled over all images.

    A label that is neither predicted nor true anywhere is left out; one predicted but never true counts 0.

    Args:
        predictions, references: whole numbers in 0..num_labels-1, any equal shapes.
        num_labels: L >= 1.

    Raises:
        ValueError: shapes differ, or a label outside its range.

    Example:
        >>> round(mean_iou([0, 0, 1, 2], [0, 1, 1, 1], 4), 4)  # 1/2, 1/3, 0; label 3 is left out
        0.2778

    Source: Everingham et al., "The PASCAL Visual Object Classes challenge", IJCV 88, 2010 [unchecked].
    """
    found, truth = np.asarray(predictions), np.asarray(references)
    if found.shape != truth.shape or found.size == 0:
        raise ValueError(
            f"predictions and references must have one shape with a pixel, got {found.shape}, {truth.shape}"
        )
    for name, labels in (("predictions", found), ("references", truth)):
        if labels.min() < 0 or labels.max() >= num_labels or not np.array_equal(labels, labels.astype(int)):
            raise ValueError(f"{name} must be whole numbers in 0..{num_labels - 1}, got {labels.min()}..{labels.max()}")
    pairs = np.bincount(truth.astype(int).ravel() * num_labels + found.astype(int).ravel(), minlength=num_labels**2)
    table = pairs.reshape(num_labels, num_labels)
    union = table.sum(axis=0) + table.sum(axis=1) - np.diag(table)
    return float(np.mean(np.diag(table)[union > 0] / union[union > 0]))
