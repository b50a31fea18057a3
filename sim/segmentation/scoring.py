"""How answers are scored on each phantom: one primary metric a phantom, fixed beforehand, with others beside it.

Every primary metric lies in [0, 1], more is better, and an image without an answer scores 0. `selected` is the mean of
those images that a study which leaves failures out would keep.

| phantom | primary | kept in `selected` |
|---|---|---|
| ventricle | Dice, mean of the cavity and the whole heart, both filled | mean distance of the outer contour < 5 mm |
| liver | 1 - VOE / 100 | an answer that is not empty |
| tumour | Dice of all lesions | an answer that meets a lesion |
| cells | Dice; over- and under-segmentation stand beside it as a pair | an answer that is not empty |
| membranes | V_Rand of the cells between them, membranes thinned | two cells or more |
| mitosis | F1 within 5 micrometres, counts of all images together | images with a detection |
| digits | share of right classes | all |

Cells are judged by Dice and not by the error rate (FP + FN)/TP = 2 (1 - D)/D, which orders single images alike but has
no bound: one missed image would outweigh all others.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import resize

from sim.metrics import detection_scores, partition_scores, segmentation_scores
from sim.segmentation.protocol import Answers

GOOD_CONTOUR = 5.0  # mm: the rule of the Sunnybrook set
HIT = 5.0  # micrometres
Image = dict[str, float]
Mask = NDArray[np.bool_]


class Truth(NamedTuple):
    """What is known of test images.

    Attributes:
        labels: int, shape (images, rows, columns); of task classify shape (images,).
        instances: int, shape (images, rows, columns). points: one array (points, 2) an image, in pixels.
        pixel: width of a pixel in the phantom's unit of length.
        fine: int, shape (images, fine rows, fine columns): labels on a finer grid, or None.
    """

    labels: NDArray[Any]
    instances: NDArray[Any]
    points: list[NDArray[np.float64]]
    pixel: float
    fine: NDArray[Any] | None = None


def _masks(found: Mask, truth: Mask, pixel: float) -> Image:
    scores = segmentation_scores(found, truth, (pixel, pixel))
    kept = ("dice", "iou", "voe", "asd", "sliver07", "over_segmentation", "under_segmentation", "error_rate")
    return {name: scores[name] for name in kept}


def _ventricle(found: NDArray[Any], truth: Truth, index: int) -> Image:
    labels = truth.labels[index]
    inner, outer = _masks(found == 1, labels == 1, truth.pixel), _masks(found > 0, labels > 0, truth.pixel)
    filled = (inner["dice"] + outer["dice"]) / 2
    wall = segmentation_scores(found == 2, labels == 2)["dice"]
    good = float(outer["asd"] < GOOD_CONTOUR)
    return {"primary": filled, "kept": good, "filled_dice": filled, "myocardium_dice": wall, "asd": outer["asd"],
            "dice": (inner["dice"] + wall) / 2, "good_contours": good}  # fmt: skip


def _liver(found: NDArray[Any], truth: Truth, index: int) -> Image:
    scores = _masks(found > 0, truth.labels[index] > 0, truth.pixel)
    if truth.fine is not None:
        # SLIVER07's constants are for voxels finer than these: a contour between pixels is what it can judge.
        fine = truth.fine[index] > 0
        between = resize((found > 0).astype(np.float64), fine.shape, order=1, mode="edge", anti_aliasing=False) > 0.5
        scores["sliver07"] = segmentation_scores(between, fine, (truth.pixel * len(found) / len(fine),) * 2)["sliver07"]
    return {"primary": scores["iou"], "kept": float((found > 0).any()), **scores}


def _tumour(found: NDArray[Any], truth: Truth, index: int) -> Image:
    scores = _masks(found > 0, truth.labels[index] > 0, truth.pixel)
    return {"primary": scores["dice"], "kept": float(scores["dice"] > 0), **scores}


def _cells(found: NDArray[Any], truth: Truth, index: int) -> Image:
    scores = _masks(found > 0, truth.labels[index] > 0, truth.pixel)
    return {"primary": scores["dice"], "kept": float((found > 0).any()), **scores}


def between_lines(lines: Mask) -> NDArray[np.int32]:
    """The regions that lines divide an image into, numbered from 1; a line's pixel goes to the nearest region.

    Example:
        >>> between_lines(np.array([[False, True, True, False]])).tolist()
        [[1, 1, 2, 2]]
    """
    parts = ndimage.label(~lines)[0]
    if not parts.any():
        return np.ones(lines.shape, np.int32)
    nearest = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    return np.asarray(parts[tuple(nearest)], dtype=np.int32)


def _membranes(found: NDArray[Any], truth: Truth, index: int) -> Image:
    regions = between_lines(found > 0)
    scores = partition_scores(regions, truth.instances[index])
    dice = segmentation_scores(found > 0, truth.labels[index] > 0)["dice"]
    return {"primary": scores["v_rand"], "kept": float(regions.max() > 1), "v_rand": scores["v_rand"],
            "v_info": scores["v_info"], "vi_split": scores["vi_split"], "vi_merge": scores["vi_merge"],
            "dice": dice}  # fmt: skip


def as_points(answer: Any) -> NDArray[np.float64]:
    """Points as they are, or the centres of a mask's components: float64, shape (points, 2).

    Example:
        >>> as_points(np.array([[1, 1, 0, 1]], np.int32)).tolist()
        [[0.0, 0.5], [0.0, 3.0]]
    """
    answer = np.asarray(answer)
    if answer.dtype == np.int32:
        parts, number = ndimage.label(answer > 0)
        answer = np.array(ndimage.center_of_mass(parts > 0, parts, np.arange(1, number + 1)))
    return np.asarray(answer, dtype=np.float64).reshape(-1, 2)


def _score_points(answers: Answers, truth: Truth) -> dict[str, float]:
    hits = number = wanted = 0.0
    single = []
    for answer, places in zip(answers, truth.points, strict=True):
        found = as_points(answer)
        recall = detection_scores(found, places, HIT / truth.pixel)["recall"] if len(places) else 0.0
        own = recall * len(places)
        hits, number, wanted = hits + own, number + len(found), wanted + len(places)
        single.append((2 * own, len(found) + len(places), len(found)))
    f1 = 2 * hits / (number + wanted) if number + wanted else 0.0
    kept = [row for row in single if row[2] > 0]
    selected = sum(row[0] for row in kept) / sum(row[1] for row in kept) if kept else 0.0
    return {
        "primary": f1, "f1": f1, "precision": hits / number if number else 0.0, "recall": hits / max(wanted, 1.0),
        "selected": selected, "failures": 1 - len(kept) / len(single),
    }  # fmt: skip


ONE_IMAGE: Mapping[str, Callable[[NDArray[Any], Truth, int], Image]] = {
    "ventricle": _ventricle, "liver": _liver, "tumour": _tumour, "cells": _cells, "membranes": _membranes,
}  # fmt: skip


def score_answers(phantom: str, answers: Answers, truth: Truth) -> dict[str, float]:
    """Mean scores of all images.

    Args:
        phantom: a row of the module's table. answers: one an image, as the system's task says.
        truth: of the same images.

    Returns:
        primary; selected and failures; and the other metrics of the phantom, distances in its unit of length. Images
        for which a metric is undefined are left out of its mean, never out of the primary one's.

    Raises:
        ValueError: no such phantom.
    """
    if phantom == "digits":
        right = float(np.mean(np.asarray(answers) == truth.labels))
        return {"primary": right, "test_accuracy": right, "selected": right, "failures": 0.0}
    if phantom == "mitosis":
        return _score_points(answers, truth)
    if phantom not in ONE_IMAGE:
        raise ValueError(f"phantom must be one of {', '.join([*ONE_IMAGE, 'mitosis', 'digits'])}, got {phantom!r}")
    rows = [ONE_IMAGE[phantom](np.asarray(answer), truth, index) for index, answer in enumerate(answers)]
    table = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
    kept = table.pop("kept") > 0
    means = {name: float(np.mean(column[np.isfinite(column)])) for name, column in table.items()
             if np.isfinite(column).any()}  # fmt: skip
    primary = table["primary"]
    return means | {
        "primary": float(primary.mean()), "primary_sd": float(primary.std()),
        "selected": float(primary[kept].mean()) if kept.any() else 0.0, "failures": float(1 - kept.mean()),
    }  # fmt: skip
