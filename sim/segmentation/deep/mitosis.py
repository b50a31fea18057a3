"""[16]: a patch classifier for small objects, its map smoothed, and the highest peaks taken one after another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from sim.metrics.detections import detection_scores
from sim.segmentation.deep.pixels import TRAINING, average_over_turns, fit_pixels
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter

Floats = NDArray[np.float64]


def discs(points: Sequence[Floats], shape: tuple[int, int], radius: float) -> NDArray[np.int32]:
    """Label maps, 1 within `radius` of a point: one list of points (row, column) an image.

    Example:
        >>> discs([np.array([[1.0, 1.0]])], (3, 4), 1.0)[0].tolist()
        [[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]]
    """
    down, right = np.indices(shape)
    maps = np.zeros((len(points), *shape), np.int32)
    for own, places in zip(maps, points, strict=True):
        for row, column in places:
            own[np.hypot(down - row, right - column) <= radius] = 1
    return maps


def pick_peaks(heights: ArrayLike, apart: float, lowest: float) -> tuple[Floats, Floats]:
    """Peaks from the highest down, each at least `apart` from all that were taken before (non-maximum suppression).

    Args:
        heights: float, shape (rows, columns). apart: pixels, > 0. lowest: peaks below are left out.

    Returns:
        places: (row, column), shape (peaks, 2); heights: shape (peaks,), falling.

    Example:
        >>> places, found = pick_peaks([[0.9, 0.8, 0.0, 0.7]], apart=2, lowest=0.5)
        >>> places.tolist(), found.tolist()
        ([[0.0, 0.0], [0.0, 3.0]], [0.9, 0.7])
    """
    left = np.array(heights, dtype=np.float64)
    down, right = np.indices(left.shape)
    places, found = [], []
    while left.max() >= lowest:
        row, column = np.unravel_index(left.argmax(), left.shape)
        places.append((row, column))
        found.append(left[row, column])
        left[np.hypot(down - row, right - column) < apart] = -np.inf
    return np.array(places, dtype=np.float64).reshape(-1, 2), np.array(found)


def best_threshold(found: Sequence[tuple[Floats, Floats]], truths: Sequence[Floats], tolerance: float) -> float:
    """The height from which peaks are best taken for objects: the largest F1 of all images together.

    Hits are matched one to one within each image. Without a true object nothing is taken.
    """
    heights = np.unique(np.concatenate([height for _, height in found]))
    candidates = np.quantile(heights, np.linspace(0, 1, 65)) if len(heights) > 65 else heights
    wanted = sum(len(truth) for truth in truths)
    if wanted == 0 or len(candidates) == 0:
        return float("inf")
    scores = []
    for candidate in candidates:
        kept = [places[height >= candidate] for places, height in found]
        hits = sum(
            detection_scores(places, truth, tolerance)["recall"] * len(truth)
            for places, truth in zip(kept, truths, strict=True)
            if len(truth)
        )
        scores.append(2 * hits / (sum(map(len, kept)) + wanted))
    return float(candidates[int(np.argmax(scores))])


def _fit(examples: Examples, settings: Mapping[str, Any], seed: int) -> Predict:
    radius, apart = settings["radius"], settings["apart"]
    shape = examples.images.shape[1:]
    maps = discs(examples.answers, (shape[0], shape[1]), radius)
    network = fit_pixels(
        "patch", Examples(examples.images, maps, 2), settings, seed, balanced=True,
        width=settings["width"], levels=2, receptive_field=settings["receptive_field"],
    )  # fmt: skip
    answer = average_over_turns(network)

    def peaks(images: Images) -> list[tuple[Floats, Floats]]:
        smooth = ndimage.gaussian_filter(answer(images)[..., 1], (0, radius / 2, radius / 2), mode="nearest")
        return [pick_peaks(heights, apart, lowest=0.05) for heights in smooth]

    threshold = best_threshold(peaks(examples.images), examples.answers, apart)

    def predict(images: Images) -> list[Floats]:
        return [places[heights >= threshold] for places, heights in peaks(images)]

    return predict


MITOSIS_DETECTOR = Segmenter(
    "mitosis_detector",
    "patch classifier, smoothed map, highest peaks at a distance from one another",
    "detect",
    "mitosis",
    "[16]",
    "Ciresan, Giusti, Gambardella, Schmidhuber, MICCAI 2013 [unchecked]. All pixels with balanced weights in place of "
    "two stages of mined negatives; a Gaussian in place of a disc; the threshold is the best on the training images.",
    TRAINING | {
        "receptive_field": (21, 29, 13), "width": (8, 16), "radius": (4.0, 2.0, 6.0), "apart": (8.0, 4.0, 12.0),
    },
    _fit,
    deep=True,
)  # fmt: skip
