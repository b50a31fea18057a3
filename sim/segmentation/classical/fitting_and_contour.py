"""The survey's [20]: region-scalable fitting for the inner object, closed dynamic programming for the outer contour."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.special import expit, softmax
from skimage import measure, morphology

from sim.segmentation.classical.appearance import Floats, Labels, Mask, fit_scores, log_ratio, start_mask
from sim.segmentation.classical.naming import fit_regularity, tidy
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter
from sim.segmentation.refinement.closed_contour import closed_contour
from sim.segmentation.refinement.level_set import region_scalable_fitting, signed_distance

CLEARANCE = 4  # dilations around the start within which the level set may move


def outer_edge(image: Floats, share: Floats, region: Mask) -> Floats:
    """How much a pixel looks like a region's outer contour, in [0, 2].

    The slope of the image along the outward normal, of either sign, plus the fall of the region's probability along it,
    each blurred by a pixel and over its largest value.

    Args:
        image, share: grey values and probability of the region, shape (rows, columns).
        region: where it is expected; its signed distance gives the normal.
    """
    normal = np.stack(np.gradient(ndimage.gaussian_filter(-signed_distance(region), 1.0)))
    normal /= np.maximum(np.hypot(*normal), 1e-6)
    slopes = [
        (np.stack(np.gradient(ndimage.gaussian_filter(field, 1.0))) * normal).sum(axis=0) for field in (image, share)
    ]
    strengths = [np.abs(slopes[0]), np.maximum(-slopes[1], 0)]
    return np.asarray(sum(strength / max(float(strength.max()), 1e-12) for strength in strengths))


def surround(edge: Floats, region: Mask, inner: Mask) -> Mask:
    """The best closed contour near each component's border, from half to one and a half its radius, around `inner`."""
    found = np.zeros_like(region)
    free = np.where(inner, -1.0, edge)
    parts = measure.label(region, connectivity=1)
    for part in measure.regionprops(parts):
        radius = np.sqrt(part.area / np.pi)
        if radius < 2:
            found |= parts == part.label
        else:
            found |= closed_contour(free, part.centroid, 0.5 * radius, 1.5 * radius + 1)
    return found


def _hull(mask: Mask, wanted: bool) -> Mask:
    return np.asarray(morphology.convex_hull_object(mask)) if wanted and mask.any() else mask


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
        if len(each) == 2:
            answer = surround(outer_edge(image, expit(ratio), inner), inner, np.zeros_like(inner))
            return _hull(answer, parameters["hull"]).astype(np.int32)
        whole = _hull(inner, parameters["hull"])
        answers = whole.astype(np.int32)
        for label in range(2, len(each)):
            expected = ndimage.binary_fill_holes(((first >= 1) & (first <= label)) | whole)
            share = softmax(each, axis=0)[1 : label + 1].sum(axis=0)
            outer = surround(outer_edge(image, share, expected), expected, ndimage.binary_dilation(whole))
            answers[outer & ~whole] = label
            whole = whole | outer
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
        "Hu et al., 'Automatic segmentation of the left ventricle in cardiac MRI using local binary fitting model and "
        "dynamic programming techniques', 2014 [unchecked]; the start comes from "
        "histograms and a mean label map instead of motion; one slice and one phase"
    ),
    parameters={"blur": (1.0, 2.0), "scale": (3.0, 6.0), "length": (0.5, 2.0), "hull": (False, True)},
    fit=fit_fitting_and_contour,
)
