"""How family `edge_map` is measured: every contour on the same images, edge maps and starts.

No contour is told how wrong its start is: parameters are one set a method, chosen by `choose_parameters` on other
images with start errors of 0, .2 and .4 together, for all methods from as many candidates.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from experiments.families.edge_map import EDGE_CONTOURS
from experiments.spec import Trial
from experiments.tasks import key_words
from sim.generators.closed_shapes import ClosedShapeSpec, draw_closed_shapes
from sim.metrics.masks import segmentation_scores
from sim.segmentation.deep.contours import contour_force, middle_disc
from sim.segmentation.refinement.active_contours import chan_vese
from sim.segmentation.refinement.edge_contours import (
    convex_contour,
    geodesic_contour,
    polar_contour,
    snake_contour,
    stopping_map,
)
from sim.segmentation.refinement.level_set import descend, region_scalable_fitting
from sim.segmentation.refinement.starts import KINDS, main_part, wrong_start

Mask = NDArray[np.bool_]
TRAINING_SHAPES, SHAPE_STEPS = 64, 100


class Scene(NamedTuple):
    """What a contour may see: the image, its edge map, and what the training shapes say of any image."""

    image: NDArray[np.float64]
    stopping: NDArray[np.float64]
    atlas: NDArray[np.float64]
    disc: Mask


Contour = Callable[..., Mask]


def _local_fit(scene: Scene, start: Mask, scale: float, length: float) -> Mask:
    return region_scalable_fitting(scene.image, start, scale, length)


def _chan_vese(scene: Scene, start: Mask, blur: float, length: float) -> Mask:
    image = ndimage.gaussian_filter(scene.image, blur) if blur else scene.image
    return chan_vese(image, start, length)


def _shape(scene: Scene, start: Mask, region: float, prior: float, blind: bool, length: float) -> Mask:
    """[18] with the start as the inferred shape: it begins the contour, or pulls at it all the way, or both."""
    begun = scene.disc if blind else start
    return descend(begun, contour_force(scene.image, start, region, prior), length, SHAPE_STEPS) > 0


CONTOURS: dict[str, Contour] = {
    "polar": lambda scene, start, **given: polar_contour(scene.stopping, start, **given),
    "convex": lambda scene, start, **given: convex_contour(scene.stopping, scene.atlas, start, **given),
    "geodesic": lambda scene, start, **given: geodesic_contour(scene.stopping, start, **given),
    "snake": lambda scene, start, **given: snake_contour(scene.stopping, start, **given),
    "local_fit": _local_fit,
    "chan_vese": _chan_vese,
    "shape_start": lambda scene, start, **given: _shape(scene, start, prior=0.0, blind=False, **given),
    "shape_prior": lambda scene, start, **given: _shape(scene, start, blind=True, **given),
    "shape_both": lambda scene, start, **given: _shape(scene, start, blind=False, **given),
}
_SHAPE = {"region": (0.1, 0.3, 1.0), "length": (0.3, 1.0)}
CANDIDATES: dict[str, dict[str, tuple[float, ...]]] = {  # six a method
    "polar": {"smallest": (2.0, 4.0, 8.0), "step": (1, 2)},
    "convex": {"weight": (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)},
    "geodesic": {"balloon": (0.0, -1.0, 1.0), "smoothing": (1, 2)},
    "snake": {"tension": (0.01, 0.1), "stiffness": (0.1, 1.0, 0.01)},
    "local_fit": {"scale": (3.0, 6.0), "length": (0.5, 1.0, 2.0)},
    "chan_vese": {"blur": (0.0, 1.0), "length": (0.1, 0.3, 0.03)},
    "shape_start": _SHAPE,
    "shape_prior": {"region": (0.3, 1.0, 3.0), "length": (1.0,), "prior": (0.25, 0.5)},
    "shape_both": {"region": (0.3, 1.0, 3.0), "length": (1.0,), "prior": (0.25, 0.5)},
}
CHOSEN: dict[str, dict[str, float]] = {
    "polar": {"smallest": 2.0, "step": 2},
    "convex": {"weight": 0.02},
    "geodesic": {"balloon": 0.0, "smoothing": 1},
    "snake": {"tension": 0.01, "stiffness": 1.0},
    "local_fit": {"scale": 3.0, "length": 1.0},
    "chan_vese": {"blur": 0.0, "length": 0.3},
    "shape_start": {"region": 1.0, "length": 1.0},
    "shape_prior": {"region": 1.0, "length": 1.0, "prior": 0.25},
    "shape_both": {"region": 1.0, "length": 1.0, "prior": 0.25},
}


@lru_cache(maxsize=8)
def _training(radius: float) -> tuple[NDArray[np.float64], Mask]:
    key = jax.random.wrap_key_data(key_words("edge_map", "training shapes"))
    masks = np.asarray(draw_closed_shapes(key, ClosedShapeSpec(radius=radius), TRAINING_SHAPES).masks)
    return masks.mean(axis=0), middle_disc(masks)


class _Images(NamedTuple):
    scenes: list[Scene]
    truths: NDArray[np.bool_]
    directions: NDArray[np.float64]


def _draw(trial: Trial) -> _Images:
    factors = dict(trial.factors)
    spec = ClosedShapeSpec(
        contrast=factors["edge_strength"], clutter=factors["clutter"], radius=factors["object_radius"]
    )
    key = jax.random.wrap_key_data(key_words(trial.data_identity, "data"))
    drawn = draw_closed_shapes(key, spec, factors["test_items"])
    images = np.asarray(drawn.images, dtype=np.float64)
    atlas, disc = _training(factors["object_radius"])
    turns = np.random.default_rng(key_words(trial.data_identity, "starts")).uniform(0, 2 * np.pi, len(images))
    return _Images([Scene(image, stopping_map(image), atlas, disc) for image in images], np.asarray(drawn.masks), turns)


def _dice(found: Mask, truth: Mask) -> float:
    return float(segmentation_scores(found, truth)["dice"])


def _answers(
    images: _Images, contour: str, error: float, parameters: Mapping[str, float], swapped: bool
) -> tuple[list[Mask], list[Mask]]:
    """Starts and answers: the kind of error goes round with the image's number."""
    starts, found = [], []
    for number, (scene, truth, turn) in enumerate(zip(images.scenes, images.truths, images.directions, strict=True)):
        if swapped:
            scene = scene._replace(stopping=images.scenes[(number + 1) % len(images.scenes)].stopping)
        starts.append(wrong_start(truth, KINDS[number % len(KINDS)], error, float(turn)))
        found.append(main_part(CONTOURS[contour](scene, starts[-1], **parameters), starts[-1]))
    return starts, found


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of each trial, means over its images: Dice of the answer and of the start; with a swapped edge map also
    Dice against the object of the image that the map belongs to.

    Raises:
        ValueError: a swapped edge map under a contour that uses none, or fewer than two images to swap.
    """
    drawn: dict[str, _Images] = {}
    scores = []
    for trial in trials:
        factors = dict(trial.factors)
        contour, swapped = factors["contour"], factors["swapped"]
        if swapped and (contour not in EDGE_CONTOURS or factors["test_items"] < 2):
            raise ValueError(f"swapped needs two images and one of {', '.join(EDGE_CONTOURS)}, got {contour}")
        if trial.data_identity not in drawn:
            drawn[trial.data_identity] = _draw(trial)
        images = drawn[trial.data_identity]
        starts, found = _answers(images, contour, factors["start_error"], CHOSEN[contour], swapped)
        row: dict[str, Any] = {
            "dice": float(np.mean([_dice(f, t) for f, t in zip(found, images.truths, strict=True)])),
            "start_dice": float(np.mean([_dice(s, t) for s, t in zip(starts, images.truths, strict=True)])),
        }
        if swapped:
            others = np.roll(images.truths, -1, axis=0)
            row["dice_other"] = float(np.mean([_dice(f, t) for f, t in zip(found, others, strict=True)]))
        scores.append(row)
    return scores


def choose_parameters(trials: Sequence[Trial]) -> dict[str, tuple[dict[str, float], float]]:
    """For each contour the candidate with the best mean Dice over the images of some tuning trials (seeds from 900000
    on, which no result uses) and start errors 0, .2 and .4, with that Dice.

    `CHOSEN` holds the winners over edge strength 4 with and without clutter, four seeds of six images each.
    """
    drawn = [_draw(trial) for trial in trials]
    best = {}
    for contour, listed in CANDIDATES.items():
        rated = []
        for values in itertools.product(*listed.values()):
            parameters = dict(zip(listed, values, strict=True))
            rates = [
                _dice(found, truth)
                for images in drawn
                for error in (0.0, 0.2, 0.4)
                for found, truth in zip(
                    _answers(images, contour, error, parameters, False)[1], images.truths, strict=True
                )
            ]
            rated.append((float(np.mean(rates)), parameters))
        dice, parameters = max(rated, key=lambda pair: pair[0])
        best[contour] = parameters, dice
    return best
