"""Segmenters that move a mask or a surface: random walker, Chan-Vese, geodesic active contour, convex max-flow."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax
from skimage import segmentation

from sim.segmentation.classical.appearance import Floats, Labels, Mask, fit_scores, label_by_label
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter
from sim.segmentation.refinement.active_contours import chan_vese, edge_map, geodesic_active_contour
from sim.segmentation.refinement.max_flow import max_flow


def walk(image: NDArray[np.float32], scores: Floats, stiffness: float, sure: float) -> Labels:
    """Labels by the first seed that a random walk from each pixel meets.

    Args:
        image: shape (rows, columns).
        scores: shape (L, rows, columns).
        sure: share of each label's pixels, the surest ones, that are seeds.
        stiffness: how much an edge of the image holds the walk back.
    """
    best = scores.argmax(axis=0)
    certainty = softmax(scores, axis=0).max(axis=0)
    seeds = np.zeros(best.shape, dtype=np.int32)
    for label in np.unique(best):
        own = best == label
        seeds[own & (certainty >= np.quantile(certainty[own], 1 - sure))] = label + 1
    if len(np.unique(seeds[seeds > 0])) < 2 or np.ptp(image) == 0:
        return best.astype(np.int32)
    return np.asarray(segmentation.random_walker(image, seeds, beta=stiffness, mode="bf"), dtype=np.int32) - 1


def fit_random_walker(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Seeds by appearance, then walks on the image."""
    scores = fit_scores(examples, parameters["blur"], parameters["atlas"])

    def predict(images: Images) -> Labels:
        return np.stack([
            walk(image, each, parameters["stiffness"], parameters["sure"])
            for image, each in zip(images, scores(images), strict=True)
        ])  # fmt: skip

    return predict


def fit_chan_vese(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Two constant regions of each label's log ratio; without an atlas that is a curve of the grey value."""

    def move(image: Floats, ratio: Floats, start: Mask, label: int) -> Mask:
        return chan_vese(np.clip(ratio, -5, 5), start, parameters["length"])

    return label_by_label(fit_scores(examples, parameters["blur"], parameters["atlas"]), move, examples)


def fit_geodesic(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """The start, a little larger, moves onto the image's edges."""

    def move(image: Floats, ratio: Floats, start: Mask, label: int) -> Mask:
        wide = ndimage.binary_dilation(start, iterations=2)
        found = geodesic_active_contour(image, wide, parameters["balloon"], 1, parameters["edge_blur"], steps=30)
        return found if found.any() else start

    return label_by_label(fit_scores(examples, parameters["blur"], parameters["atlas"]), move, examples)


def fit_max_flow(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """The globally best surface of each label's log ratio, cheap where the image has an edge."""

    def move(image: Floats, ratio: Floats, start: Mask, label: int) -> Mask:
        smoothness = parameters["smoothness"] * edge_map(image, 1.0)
        return max_flow(-np.clip(ratio, -5, 5), smoothness, start).shares > 0.5

    return label_by_label(fit_scores(examples, parameters["blur"], parameters["atlas"]), move, examples)


_STARTED: dict[str, tuple[Any, ...]] = {"blur": (1.0, 0.5, 2.0), "atlas": (True, False)}
_LEARNED = "histograms of grey values and a mean label map give the start"

RANDOM_WALKER = Segmenter(
    name="random_walker",
    summary="random walks to the surest pixels of each label",
    task="segment",
    phantom="cells",
    survey="",
    source=f"Grady, 'Random walks for image segmentation', 2006 [unchecked]; seeds are automatic: {_LEARNED}",
    parameters={**_STARTED, "stiffness": (130.0, 10.0), "sure": (0.8, 0.9, 0.5)},
    fit=fit_random_walker,
)
CHAN_VESE = Segmenter(
    name="chan_vese",
    summary="Chan-Vese level set on the log ratio of each label",
    task="segment",
    phantom="liver",
    survey="",
    source=f"Chan, Vese, 'Active contours without edges', 2001 [unchecked]; on a log ratio, not the image; {_LEARNED}",
    parameters={**_STARTED, "length": (0.1, 0.02, 0.5)},
    fit=fit_chan_vese,
)
GEODESIC = Segmenter(
    name="geodesic_active_contour",
    summary="geodesic active contour that settles on edges",
    task="segment",
    phantom="ventricle",
    survey="",
    source=f"Caselles, Kimmel, Sapiro, 'Geodesic active contours', 1997 [unchecked], in morphological form; {_LEARNED}",
    parameters={**_STARTED, "edge_blur": (1.5, 1.0, 3.0), "balloon": (0.0, -1.0)},
    fit=fit_geodesic,
)
MAX_FLOW = Segmenter(
    name="convex_max_flow",
    summary="globally optimal surface by convex max-flow",
    task="segment",
    phantom="liver",
    survey="",
    source=f"Yuan, Bae, Tai, 'A study on continuous max-flow and min-cut approaches', 2010 [unchecked]; {_LEARNED}",
    parameters={**_STARTED, "smoothness": (1.0, 0.3, 3.0)},
    fit=fit_max_flow,
)
