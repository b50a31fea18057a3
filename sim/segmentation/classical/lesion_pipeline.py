"""The survey's [26]: an intensity model, a graph cut and an active contour find the organ, k-means its lesions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from sim.segmentation.classical.appearance import Floats, Labels, Mask, blurred, fit_scores, log_ratio, start_mask
from sim.segmentation.classical.clustering import group
from sim.segmentation.classical.naming import NAMING, fit_regularity, name_clusters, tidy
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter
from sim.segmentation.refinement.active_contours import snake
from sim.segmentation.refinement.graph_cut import binary_graph_cut
from sim.segmentation.refinement.lattice import contrast_weights, make_lattice

SURROUNDINGS = 3  # pixels around an object that belong to no known organ


def clusters_inside(image: Floats, organ: Mask, clusters: int, seed: int) -> Labels:
    """k-means clusters of an organ's grey values, from dark to bright; -1 outside."""
    answer = np.full(organ.shape, -1, dtype=np.int32)
    if organ.any():
        answer[organ] = group(image[organ][:, None], clusters, seed)[0]
    return answer


def fit_lesion_pipeline(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Learn the organ, which is all labels above 0, and the names of the clusters inside it.

    With two labels no organ is known: the object itself is cut and outlined, and k-means then may divide its
    surroundings anew into object and background.
    """
    organs = Examples(examples.images, (np.asarray(examples.answers) > 0).astype(np.int32), 2)
    scores = fit_scores(organs, parameters["blur"], atlas=True)
    organ_rule, label_rule = fit_regularity(organs), fit_regularity(examples)
    nested = examples.num_labels > 2
    clusters = max(examples.num_labels - 1, 2) + parameters["extra"]

    def find_organ(image: Floats, each: Floats) -> Mask:
        ratio = np.clip(log_ratio(each, 1), -5, 5)
        lattice = make_lattice((image.shape[0], image.shape[1]))
        weights = contrast_weights(image, lattice, parameters["strength"])
        cut = tidy(binary_graph_cut(np.stack([ratio, -ratio]) / 2, lattice, weights), organ_rule)
        start = start_mask(cut, ratio, 1, organ_rule)
        found = snake(image, start, blur=1.0)
        return found if found.any() else start

    def surroundings(organ: Mask) -> Mask:
        return organ if nested else np.asarray(ndimage.binary_dilation(organ, iterations=SURROUNDINGS))

    counts = np.zeros((clusters, examples.num_labels), dtype=np.int64)
    smooth = blurred(examples.images[:NAMING], parameters["blur"])
    for image, answer in zip(smooth, np.asarray(examples.answers)[:NAMING], strict=True):
        region = surroundings(answer > 0)
        np.add.at(counts, (clusters_inside(image, region, clusters, seed)[region], answer[region]), 1)
    names = name_clusters(counts)
    if nested:
        names[names == 0] = 1  # inside the organ there is no background

    def predict(images: Images) -> Labels:
        answers = np.zeros(images.shape, dtype=np.int32)
        grey = blurred(images, parameters["blur"])
        for index, each in enumerate(scores(images)):
            organ = find_organ(np.asarray(images[index], np.float64), each)
            answer = organ.astype(np.int32)
            if nested or parameters["divide"]:
                region = surroundings(organ)
                found = clusters_inside(grey[index], region, clusters, seed)
                answer = np.where(region, names[found], 0).astype(np.int32)
            answers[index] = tidy(answer, label_rule)
        return answers

    return predict


LESION_PIPELINE = Segmenter(
    name="lesion_pipeline",
    summary="intensity model, graph cut and snake for the organ, k-means for the lesions inside it",
    task="segment",
    phantom="tumour",
    survey="[26]",
    source=(
        "Massoptier, Casciaro, 'A new fully automatic and robust algorithm for fast segmentation of liver tissue and "
        "tumors from CT scans', 2008 [unchecked]; a snake on edges instead of gradient vector flow; the names "
        "of clusters are learned"
    ),
    parameters={"blur": (1.0, 0.5, 2.0), "strength": (1.0, 0.3, 3.0), "extra": (0, 1), "divide": (True, False)},
    fit=fit_lesion_pipeline,
)
