"""A non-deep detector: peaks of a random forest's map, for what the survey's [16] does with networks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage
from skimage import feature

from sim.segmentation.classical.pixel_models import fit_forest_scores
from sim.segmentation.protocol import Answers, Examples, Images, Predict, Segmenter


def discs(points: list[np.ndarray], shape: tuple[int, int], radius: float) -> np.ndarray:
    """Label 1 within so many pixels of a point: int32, shape (images, rows, columns).

    Example:
        >>> discs([np.array([[0.0, 1.0]])], (2, 3), 1.0).tolist()
        [[[1, 1, 1], [0, 1, 0]]]
    """
    rows, columns = np.indices(shape)
    maps = np.zeros((len(points), *shape), dtype=np.int32)
    for near, found in zip(maps, points, strict=True):
        for down, right in found:
            near[np.hypot(rows - down, columns - right) <= radius] = 1
    return maps


def fit_forest_peaks(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Learn a forest of discs around points; its map, averaged over such a disc, peaks at detections."""
    radius = parameters["radius"]
    labels = discs(examples.answers, (examples.images.shape[1], examples.images.shape[2]), radius)
    settings = {"largest": 8.0, "place": False, "leaf": 4, "balance": 0.5}
    chances = fit_forest_scores(Examples(examples.images, labels, 2), settings, seed)
    reach = int(np.ceil(radius))
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= radius

    def predict(images: Images) -> Answers:
        answers = []
        for chance in chances(images)[:, 1]:
            smooth = ndimage.convolve(chance, disc / disc.sum(), mode="constant")
            peaks = feature.peak_local_max(
                smooth, min_distance=reach, threshold_abs=parameters["threshold"], exclude_border=False
            )
            answers.append(peaks.astype(np.float64).reshape(-1, 2))
        return answers

    return predict


FOREST_PEAKS = Segmenter(
    name="forest_peaks",
    summary="peaks of a random forest's map of spots",
    task="detect",
    phantom="mitosis",
    survey="",
    source=(
        "after Ciresan et al., 'Mitosis detection in breast cancer histology images with deep neural networks', 2013 "
        "[unchecked], with a forest on filter features in place of the networks; no second stage on hard negatives"
    ),
    parameters={"radius": (3.0, 2.0, 5.0), "threshold": (0.5, 0.35, 0.65)},
    fit=fit_forest_peaks,
)
