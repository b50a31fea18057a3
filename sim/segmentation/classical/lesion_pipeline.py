"""The survey's [26]: an intensity model, a graph cut and an active contour find the organ, k-means its lesions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.segmentation.classical.appearance import Floats, Labels, Mask, blurred, fit_scores, log_ratio, start_mask
from sim.segmentation.classical.clustering import group
from sim.segmentation.classical.naming import NAMING, fit_regularity, name_clusters, tidy
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter
from sim.segmentation.refinement.active_contours import snake
from sim.segmentation.refinement.graph_cut import binary_graph_cut
from sim.segmentation.refinement.lattice import contrast_weights, make_lattice


def clusters_inside(image: Floats, organ: Mask, clusters: int, seed: int) -> Labels:
    """k-means clusters of an organ's grey values, from dark to bright; -1 outside."""
    answer = np.full(organ.shape, -1, dtype=np.int32)
    if organ.any():
        answer[organ] = group(image[organ][:, None], clusters, seed)[0]
    return answer


def _organ_examples(examples: Examples) -> Examples:
    return Examples(examples.images, (np.asarray(examples.answers) > 0).astype(np.int32), 2)


def fit_lesion_pipeline(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Learn the organ (all labels above 0) and, with more than two labels, the names of the clusters inside it."""
    organs = _organ_examples(examples)
    scores = fit_scores(organs, parameters["blur"], atlas=True)
    organ_rule, label_rule = fit_regularity(organs), fit_regularity(examples)
    labels, clusters = examples.num_labels, examples.num_labels - 1 + parameters["extra"]

    def find_organ(image: Floats, each: Floats) -> Mask:
        ratio = np.clip(log_ratio(each, 1), -5, 5)
        lattice = make_lattice((image.shape[0], image.shape[1]))
        weights = contrast_weights(image, lattice, parameters["strength"])
        cut = tidy(binary_graph_cut(np.stack([ratio, -ratio]) / 2, lattice, weights), organ_rule)
        start = start_mask(cut, ratio, 1, organ_rule)
        found = snake(image, start, blur=1.0)
        return found if found.any() else start

    names: NDArray[np.int32] = np.ones(clusters, dtype=np.int32)
    smooth = blurred(examples.images[:NAMING], parameters["blur"])
    if labels > 2:
        counts = np.zeros((clusters, labels), dtype=np.int64)
        for image, answer in zip(smooth, np.asarray(examples.answers)[:NAMING], strict=True):
            found = clusters_inside(image, answer > 0, clusters, seed)
            np.add.at(counts, (found[answer > 0], answer[answer > 0]), 1)
        counts[:, 0] = 0
        names = name_clusters(counts)
        names[names == 0] = 1  # inside the organ there is no background

    def predict(images: Images) -> Labels:
        answers = np.zeros(images.shape, dtype=np.int32)
        grey = blurred(images, parameters["blur"])
        for index, each in enumerate(scores(images)):
            organ = find_organ(np.asarray(images[index], np.float64), each)
            if labels > 2:
                found = clusters_inside(grey[index], organ, clusters, seed)
                answers[index] = tidy(np.where(organ, names[found], 0).astype(np.int32), label_rule)
            else:
                answers[index] = organ
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
        "tumors from CT scans', 2008; a snake on edges instead of gradient vector flow; names of clusters are learned"
    ),
    parameters={"blur": (1.0, 0.5, 2.0), "strength": (1.0, 0.3, 3.0), "extra": (0, 1, 2)},
    fit=fit_lesion_pipeline,
)
