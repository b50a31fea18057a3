"""The survey's [14]: probabilities of a random forest, cut by a graph that rewards going on along lines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage
from skimage import feature

from sim.segmentation.classical.appearance import Floats, Labels
from sim.segmentation.classical.pixel_models import fit_forest_scores
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter
from sim.segmentation.refinement.graph_cut import alpha_expansion
from sim.segmentation.refinement.lattice import Lattice, contrast_weights, make_lattice

FLOOR = 1e-3  # of a probability: a forest's zero is not certain


def continuation_weights(probability: Floats, lattice: Lattice, strength: float) -> Floats:
    """Weights of pairs that lie along a bright line: strength * line * cos^2(angle between pair and line).

    `line` is the larger of 0 and minus the smaller Hessian eigenvalue of the blurred probability, over its largest
    value in the image; pairs take the mean of both ends.

    Args:
        probability: of the labels that form lines, shape (rows, columns).
    """
    smooth = ndimage.gaussian_filter(probability, 1.0)
    hessian = feature.hessian_matrix(smooth, sigma=1.0, order="rc", mode="nearest", use_gaussian_derivatives=False)
    down, mixed, right = (np.asarray(part) for part in hessian)
    across = np.minimum(feature.hessian_matrix_eigvals(hessian)[1], 0.0)
    line = -across / max(float(-across.min()), 1e-12)
    turn = 0.5 * np.arctan2(2 * mixed, down - right)  # of the larger eigenvalue's direction, which lies along the line
    along = np.stack([np.cos(turn), np.sin(turn)])  # (down, right)
    field, direction = line.ravel(), along.reshape(2, -1)
    weight = np.zeros(len(lattice.first))
    for end in (lattice.first, lattice.second):
        cosine = (direction[:, end] * lattice.step.T).sum(axis=0)
        weight += 0.5 * field[end] * cosine**2
    return strength * weight / lattice.length


def fit_forest_cut(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Learn the forest; contrast and continuation are weighed by parameters."""
    settings = {"largest": 8.0, "place": False, "leaf": 4, "balance": parameters["balance"]}
    chances = fit_forest_scores(examples, settings, seed, lines=True)

    def predict(images: Images) -> Labels:
        lattice = make_lattice((images.shape[1], images.shape[2]))
        answers = []
        for image, chance in zip(images, chances(images), strict=True):
            weights = contrast_weights(ndimage.gaussian_filter(image, 1.0), lattice, parameters["strength"])
            weights = weights + continuation_weights(1 - chance[0], lattice, parameters["continuation"])
            answers.append(alpha_expansion(-np.log(np.maximum(chance, FLOOR)), lattice, weights))
        return np.stack(answers)

    return predict


FOREST_CUT = Segmenter(
    name="forest_graph_cut",
    summary="random forest probabilities, cut by a graph that rewards going on along lines",
    task="segment",
    phantom="membranes",
    survey="[14]",
    source=(
        "Laptev et al., 'Anisotropic ssTEM image segmentation using dense correspondence across sections', 2012 "
        "[unchecked], after Kaynig, Fuchs, Buhmann, 2010 [unchecked]; one section, so no correspondence; pairs along a "
        "line instead of a flux term"
    ),
    parameters={"strength": (0.3, 0.1, 1.0), "continuation": (0.5, 0.0, 1.5), "balance": (0.0, 0.5)},
    fit=fit_forest_cut,
)
