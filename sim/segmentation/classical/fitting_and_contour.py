"""The survey's [20]: region-scalable fitting for the inner object, closed dynamic programming for the outer contour."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage
from skimage import measure, morphology

from sim.segmentation.classical.appearance import Floats, Labels, Mask, fit_scores, log_ratio, start_mask
from sim.segmentation.classical.naming import fit_regularity, tidy
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter
from sim.segmentation.refinement.closed_contour import closed_contour
from sim.segmentation.refinement.level_set import region_scalable_fitting

CLEARANCE = 4  # dilations around the start within which the level set may move


def outer_edge(image: Floats, inner: Mask, outer: Mask) -> Floats:
    """How much a pixel looks like the outer contour: the slope along the outward normal, of the sign that is usual.

    Args:
        image: blurred, shape (rows, columns). inner, outer: where the two sides are expected.
    """
    down, right = np.gradient(image)
    away = ndimage.distance_transform_edt(~inner) - ndimage.distance_transform_edt(inner)
    normal = np.stack(np.gradient(ndimage.gaussian_filter(away, 1.0)))
    slope = (np.stack([down, right]) * normal).sum(axis=0) / np.maximum(np.hypot(*normal), 1e-6)
    sides = [image[side].mean() if side.any() else 0.0 for side in (inner, outer & ~inner)]
    return np.asarray(slope * (1.0 if sides[1] >= sides[0] else -1.0))


def surround(image: Floats, region: Mask, ratio: Floats, hull: bool) -> Mask:
    """The best closed contour near each component's border, from half to one and a half its radius."""
    found = np.zeros_like(region)
    outside = ndimage.binary_dilation(region, iterations=CLEARANCE)
    edge = outer_edge(image, region, outside)
    edge = edge / max(float(np.abs(edge).max()), 1e-12) + 0.05 * np.tanh(ratio)
    parts = measure.label(region, connectivity=1)
    for part in measure.regionprops(parts):
        radius = np.sqrt(part.area / np.pi)
        if radius < 2:
            found |= parts == part.label
            continue
        found |= closed_contour(edge, part.centroid, 0.5 * radius, 1.5 * radius + 1)
    return morphology.convex_hull_object(found) if hull and found.any() else found


def fit_fitting_and_contour(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Learn where the labels start; label 1 is inmost, and each further label a ring around those before it.

    Label 1 is fitted by the level set. With two labels its contour is then refined by dynamic programming; with more,
    dynamic programming finds the outer contour of labels 1..l for each l >= 2.
    """
    scores, regularity = fit_scores(examples, parameters["blur"], atlas=True), fit_regularity(examples)

    def answer(image: Floats, each: Floats) -> Labels:
        first = tidy(each.argmax(axis=0).astype(np.int32), regularity)
        ratio = log_ratio(each, 1)
        start = start_mask(first, ratio, 1, regularity)
        if not start.any():
            return first
        near = ndimage.binary_dilation(start, iterations=CLEARANCE)
        fitted = region_scalable_fitting(image, start, parameters["scale"], parameters["length"]) & near
        # A level set may settle on the side that is not meant; what the start covers more is the object.
        inside, outside = fitted[start].mean(), fitted[near & ~start].mean() if (near & ~start).any() else 0.0
        inner = fitted if inside >= outside else near & ~fitted
        inner = tidy(inner.astype(np.int32), regularity._replace(most=regularity.most[:2])) == 1
        smooth = ndimage.gaussian_filter(image, 1.0)
        if len(each) == 2:
            return surround(smooth, inner, ratio, parameters["hull"]).astype(np.int32)
        if parameters["hull"] and inner.any():
            inner = morphology.convex_hull_object(inner)
        answers, whole = inner.astype(np.int32), inner
        for label in range(2, len(each)):
            # Below log 1 for background against all labels up to this one.
            part = log_ratio(np.stack([each[0], each[1 : label + 1].max(axis=0)]), 1)
            expected = (first >= 1) & (first <= label) | whole
            ring = surround(smooth, ndimage.binary_fill_holes(expected), part, hull=False)
            answers[ring & ~whole] = label
            whole = whole | ring
        return answers

    def predict(images: Images) -> Labels:
        return np.stack([answer(np.asarray(i, np.float64), s) for i, s in zip(images, scores(images), strict=True)])

    return predict


FITTING_AND_CONTOUR = Segmenter(
    name="fitting_and_contour",
    summary="region-scalable fitting level set inside, closed dynamic-programming contour outside",
    task="segment",
    phantom="ventricle",
    survey="[20]",
    source=(
        "Hu et al., local binary fitting and dynamic programming for the left ventricle, 2013; the start comes from "
        "histograms and a mean label map instead of motion; one slice and one phase"
    ),
    parameters={"blur": (1.0, 2.0), "scale": (3.0, 6.0), "length": (0.5, 2.0), "hull": (False, True)},
    fit=fit_fitting_and_contour,
)
