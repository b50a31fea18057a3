"""How family `linear_vs_deep` is measured: every learner on the same training, validation and test images.

Validation images are further images of the same stream, as many for every learner, and are never trained on; a judge
chooses within a tier by their score.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from experiments.families.linear_vs_deep import RULE
from experiments.spec import Trial
from experiments.tasks import key_words
from sim.generators.patch_rules import SIZE, WINDOW, PatchRuleSpec, draw_ruled_images
from sim.generators.phantoms.registry import PHANTOM_GENERATORS, PHANTOMS, reference
from sim.metrics.masks import segmentation_scores
from sim.segmentation.protocol import Examples, run
from sim.segmentation.registry import SEGMENTERS
from sim.segmentation.windows import fit_windows, windows_of
from sim.theory.patch_rules import bayes_accuracy, linear_ceiling, regression_limit

GRID_SIZE, VALIDATION = 64, 8  # pixels of a phantom's side, images
WINDOWS = {"quadratic_linear": 5, "quadratic_logistic": 5}  # pixels, on phantoms; others see 9
SAMPLE = 8_000  # training windows on phantoms
SETTINGS: dict[str, dict[str, Any]] = {  # of whole systems, where the default is not taken
    "random_forest": {"place": True},
    "logistic_regression": {"place": True},
    "unet": {"depth": 1, "steps": 200},
}
RATE = 3e-3  # of deep window learners; on seed 900000, 1e-3 stayed at chance on products of three


class _Data(NamedTuple):
    images: NDArray[np.float32]
    labels: NDArray[np.int32]
    inputs: int
    classes: int


@lru_cache(maxsize=16)
def _phantom_draw(scene: str) -> Callable[..., Any]:
    generator, spec = PHANTOM_GENERATORS[scene], reference(scene, grid_size=GRID_SIZE)
    return jax.jit(lambda key, indices: generator.draw(key, spec, None, indices))


def _draw(trial: Trial) -> _Data:
    """The training, validation and test images in one stream, in this order."""
    factors = dict(trial.factors)
    key = jax.random.wrap_key_data(key_words(trial.data_identity, "data"))
    number = factors["inputs"] + VALIDATION + factors["test_items"]
    if factors["scene"] == RULE:
        spec = PatchRuleSpec(
            nonlinearity=factors["nonlinearity"], noise=factors["noise"], order=factors["product_order"]
        )
        ruled = draw_ruled_images(key, spec, number)
        return _Data(np.asarray(ruled.images), np.asarray(ruled.labels), factors["inputs"], 2)
    drawn = _phantom_draw(factors["scene"])(key, jax.numpy.arange(number))
    images = np.asarray(drawn.images)
    labels = np.asarray(drawn.labels).reshape(images.shape)
    return _Data(images, labels, factors["inputs"], PHANTOMS[factors["scene"]].num_labels)


def _label_windows(data: _Data, learner: str, window: int, seed: int, sample: int | None) -> NDArray[np.int32]:
    """Label maps of the images after the training ones, by a learner of windows."""
    wide = (data.images.shape[1] - data.labels.shape[1]) // 2  # what an image holds beyond its labelled pixels
    margin = window // 2 - wide
    padded = np.pad(data.images, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    seen, known = windows_of(padded[: data.inputs], window), data.labels[: data.inputs].ravel()
    if sample is not None and len(seen) > sample:
        some = np.random.default_rng(seed).choice(len(seen), sample, replace=False)
        seen, known = seen[some], known[some]
    predict = fit_windows(learner, seen, known, data.classes, seed, learning_rate=RATE)
    others = padded[data.inputs :]
    return np.concatenate([predict(windows_of(image[None], window)) for image in others]).reshape(
        len(others), *data.labels.shape[1:]
    )


def mean_dice(answers: NDArray[np.int32], truths: NDArray[np.int32], classes: int) -> float:
    """Dice over images and labels from 1 on, each image's label counting once."""
    return float(np.mean([
        segmentation_scores(answer == label, truth == label)["dice"]
        for answer, truth in zip(answers, truths, strict=True)
        for label in range(1, classes)
    ]))  # fmt: skip


def _answer(trial: Trial, data: _Data) -> NDArray[np.int32]:
    factors = dict(trial.factors)
    learner, on_rule = factors["learner"], factors["scene"] == RULE
    seed = int(key_words(trial.identity, "model")[0] % 100_000)
    if learner in SEGMENTERS:
        if on_rule:
            raise ValueError(f"learner must be one of windows on scene {RULE}, got {learner}")
        examples = Examples(data.images[: data.inputs], data.labels[: data.inputs], data.classes)
        found = run(SEGMENTERS[learner], examples, data.images[data.inputs :], seed, **SETTINGS.get(learner, {}))
        return np.asarray(found, dtype=np.int32)
    window = WINDOW if on_rule else WINDOWS.get(learner, 9)
    return _label_windows(data, learner, window, seed, None if on_rule else SAMPLE)


def _limits(nonlinearity: float, order: int, noise: float) -> dict[str, float]:
    return {
        "chance": 0.5,
        "bayes_known": bayes_accuracy(nonlinearity, order, noise),
        "regression_limit": regression_limit(nonlinearity, order, noise),
        "linear_ceiling": linear_ceiling(nonlinearity, order, noise),
    }


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of each trial: pixel accuracy and Dice on validation and test images, and the rule's exact limits.

    `score` and `validation_score` are pixel accuracy on the rule's images and mean Dice on phantoms.

    Raises:
        ValueError: a whole system on the rule's images.
    """
    scores: list[dict[str, Any]] = [{}] * len(trials)
    order = sorted(range(len(trials)), key=lambda number: trials[number].data_identity)
    identity, data = "", None
    for number in order:  # images of one task at a time, so that few are held
        trial = trials[number]
        factors = dict(trial.factors)
        if data is None or trial.data_identity != identity:
            identity, data = trial.data_identity, _draw(trial)
        answers, truths = _answer(trial, data), data.labels[data.inputs :]
        parts = {"validation_": slice(None, VALIDATION), "": slice(VALIDATION, None)}
        row: dict[str, Any] = {}
        for name, part in parts.items():
            accuracy = float((answers[part] == truths[part]).mean())
            dice = mean_dice(answers[part], truths[part], data.classes) if factors["scene"] != RULE else np.nan
            row[name + "score"] = accuracy if factors["scene"] == RULE else dice
            if not name:
                row |= {"pixel_accuracy": accuracy, "dice": dice}
        if factors["scene"] == RULE:
            row |= _limits(factors["nonlinearity"], factors["product_order"], factors["noise"])
            row["labelled_pixels"] = data.inputs * SIZE**2
        scores[number] = row
    return scores
