"""All systems by name. One of your own needs no entry: pass the `Segmenter` itself wherever one is taken."""

import numpy as np
from numpy.typing import NDArray

from sim.segmentation.classical.pixel_models import fit_forest_scores
from sim.segmentation.classical.registry import CLASSICAL
from sim.segmentation.deep.pixels import Probabilities
from sim.segmentation.deep.refiners import Plane, Refiners
from sim.segmentation.deep.registry import DEEP, hybrids
from sim.segmentation.protocol import Examples, Segmenter, default_parameters
from sim.segmentation.refinement.components import fit_rejector
from sim.segmentation.refinement.dense_crf import dense_crf
from sim.segmentation.refinement.graph_cut import alpha_expansion
from sim.segmentation.refinement.lattice import contrast_weights, make_lattice
from sim.segmentation.refinement.level_set import descend
from sim.segmentation.refinement.max_flow import max_flow
from sim.segmentation.refinement.watersheds import part_touching
from sim.segmentation.self_taught import SELF_TAUGHT


def _cut(unary: Plane, image: Plane, strength: float) -> NDArray[np.int32]:
    lattice = make_lattice(image.shape)
    return alpha_expansion(unary, lattice, contrast_weights(image, lattice, strength))


def _forest(examples: Examples, seed: int) -> Probabilities:
    scores = fit_forest_scores(examples, default_parameters(CLASSICAL["random_forest"]), seed)
    return lambda images: np.moveaxis(scores(images), 1, -1).astype(np.float32)


REFINERS = Refiners(
    dense_crf=dense_crf,
    graph_cut=_cut,
    max_flow=lambda force, smoothness: max_flow(force, smoothness).shares > 0.5,
    level_set=lambda start, force, length, steps: descend(start, force, length, steps) > 0,
    part_touching=part_touching,
    fit_rejector=fit_rejector,
    fit_start=_forest,
)
SEGMENTERS: dict[str, Segmenter] = {**CLASSICAL, **DEEP, **hybrids(REFINERS), SELF_TAUGHT.name: SELF_TAUGHT}
