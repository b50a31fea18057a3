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
from experiments.measures.linear_vs_deep_recipes import Recipe, candidates, recipe
from experiments.spec import Sweep, Trial
from experiments.tasks import key_words
from sim.generators.patch_rules import SIZE, WINDOW, PatchRuleSpec, draw_ruled_images
from sim.generators.phantoms.registry import PHANTOM_GENERATORS, PHANTOMS, reference
from sim.metrics.masks import segmentation_scores
from sim.segmentation.protocol import Examples, run
from sim.segmentation.registry import SEGMENTERS
from sim.segmentation.windows import DEEP, fit_windows, windows_of
from sim.theory.patch_rules import bayes_accuracy, linear_ceiling, regression_limit

GRID_SIZE, VALIDATION = 64, 8  # pixels of a phantom's side, images
SAMPLE = 8_000  # training windows on phantoms


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


def _label_windows(
    data: _Data, learner: str, window: int, seed: int, sample: int | None, options: Recipe
) -> NDArray[np.int32]:
    """Label maps of the images after the training ones, by a learner of windows."""
    wide = (data.images.shape[1] - data.labels.shape[1]) // 2  # what an image holds beyond its labelled pixels
    margin = window // 2 - wide
    padded = np.pad(data.images, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    seen, known = windows_of(padded[: data.inputs], window), data.labels[: data.inputs].ravel()
    if sample is not None and len(seen) > sample:
        some = np.random.default_rng(seed).choice(len(seen), sample, replace=False)
        seen, known = seen[some], known[some]
    predict = fit_windows(learner, seen, known, data.classes, seed, **options)
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


def _answer(trial: Trial, data: _Data, chosen: Recipe) -> NDArray[np.int32]:
    factors = dict(trial.factors)
    learner, on_rule, times = factors["learner"], factors["scene"] == RULE, factors["steps_times"]
    seed = int(key_words(trial.identity, "model")[0] % 100_000)
    options = dict(chosen)
    if learner in SEGMENTERS:
        if "steps" in options:
            options["steps"] *= times
        examples = Examples(data.images[: data.inputs], data.labels[: data.inputs], data.classes)
        found = run(SEGMENTERS[learner], examples, data.images[data.inputs :], seed, **options)
        return np.asarray(found, dtype=np.int32)
    window = options.pop("window", WINDOW)
    if learner in DEEP:
        options["steps_times"] = times
    return _label_windows(data, learner, window, seed, None if on_rule else SAMPLE, options)


def _score(scene: str, answers: NDArray[np.int32], data: _Data) -> float:
    truths = data.labels[data.inputs :]
    return float((answers == truths).mean()) if scene == RULE else mean_dice(answers, truths, data.classes)


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
        ValueError: a learner that has no recipe on the scene, such as a whole system on the rule's images.
    """
    scores: list[dict[str, Any]] = [{}] * len(trials)
    order = sorted(range(len(trials)), key=lambda number: trials[number].data_identity)
    identity, data = "", None
    for number in order:  # images of one task at a time, so that few are held
        trial = trials[number]
        factors = dict(trial.factors)
        if data is None or trial.data_identity != identity:
            identity, data = trial.data_identity, _draw(trial)
        chosen = recipe(factors["scene"], factors["learner"])
        answers, truths = _answer(trial, data, chosen), data.labels[data.inputs :]
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


def _tuning_trials(scene: str, learner: str, seed: int) -> list[Trial]:
    task: dict[str, Any] = {"generator": "linear_vs_deep", "scene": scene, "learner": learner, "seeds": [seed]}
    if scene != RULE:
        return Sweep(**task, inputs=32, test_items=4).trials()
    task |= {"noise": 0.3, "inputs": 64, "test_items": 32}
    cubic = Sweep(**task, nonlinearity=1.0, product_order=3)
    return [*Sweep(**task, nonlinearity=[0.0, 1.0]).trials(), *cubic.trials()]


def choose_recipes(scene: str, seed: int = 900_001, learners: Sequence[str] = ()) -> dict[str, list[float]]:
    """Mean score of every candidate of every learner on one scene: on 12 images of a phantom, or on 40 of the rule's at
    t = 0, t = 1 and with products of three. `CHOSEN` holds the number of each learner's best, the first of equal ones.

    Args:
        scene: one of the family. seed: from 900000 on, which no result uses. learners: those to rate; all by default.
    """
    known, rated = candidates(scene), dict[str, list[float]]()
    for learner in learners or known:
        tasks = [(trial, _draw(trial)) for trial in _tuning_trials(scene, learner, seed)]
        rated[learner] = [
            float(np.mean([_score(scene, _answer(trial, data, each), data) for trial, data in tasks]))
            for each in known[learner]
        ]
    return rated
