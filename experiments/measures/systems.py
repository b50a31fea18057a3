"""Measure `systems`: draw phantoms, fit a system on some, score it on others and on shifted ones.

A system sees training images and their answers, nothing else. Its random numbers hang on the images and on its name, so
that all stages of a hybrid train the very same network.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from experiments.data import DIGITS, DigitsSpec
from experiments.families.systems import BASELINES
from experiments.spec import Trial
from experiments.tasks import key_words
from sim.generators.phantoms.imaging import Details, details
from sim.generators.phantoms.raters import HUMAN_ERROR, second_rater
from sim.generators.phantoms.registry import PHANTOMS, reference, shifted
from sim.segmentation.baselines import fit_chance, fit_constant
from sim.segmentation.protocol import Examples, Predict, check_examples, check_images, default_parameters
from sim.segmentation.registry import SEGMENTERS
from sim.segmentation.scoring import Truth, score_answers

FINE = 256  # pixels of the grid on which coarser livers are scored by SLIVER07
DRAWN = 192  # sets of images kept for the systems that follow, all of `laptop`: 3 MB each, livers 9
CHUNK = 16  # images of one compiled draw
STEPS = 1000  # budget of a network's training at effort 1


class Drawn(NamedTuple):
    """Images of one phantom with their answers as the systems of a task want them, and what scores need."""

    images: Any
    answers: Any
    truth: Truth


@lru_cache(maxsize=16)
def _draw_chunk(phantom: str) -> Any:
    def draw(words: Any, spec: Any, first: Any) -> Details:
        key = jax.random.wrap_key_data(words)
        return jax.lax.map(lambda index: details(PHANTOMS[phantom], key, spec, index), first + jnp.arange(CHUNK))

    return jax.jit(draw)


@lru_cache(maxsize=2)
def _draw_fine() -> Any:
    def draw(words: Any, spec: Any, first: Any) -> Any:
        key = jax.random.wrap_key_data(words)
        labels = lambda index: details(PHANTOMS["liver"], key, spec, index).labels  # noqa: E731
        return jax.lax.map(labels, first + jnp.arange(CHUNK))

    return jax.jit(draw)


def draw_phantoms(phantom: str, words: Any, spec: Any, first: int, number: int, fine: bool) -> Drawn:
    """Images `first`, first + 1, ... of a stream.

    Args:
        words: of the stream's key. spec: the task, its numbers traced. fine: livers' labels on `FINE` pixels as well.
    """
    starts = range(first, first + number, CHUNK)
    traced = jax.tree.map(jnp.asarray, spec)
    parts = [_draw_chunk(phantom)(words, traced, start) for start in starts]
    seen = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:number], *parts)
    points = [places[present].astype(np.float64) for places, present in zip(seen.points, seen.present, strict=True)]
    finer = None
    if fine and phantom == "liver" and spec.grid_size < FINE:
        same = jax.tree.map(jnp.asarray, type(spec)(**{**_fields(spec), "grid_size": FINE, "supersample": 1}))
        finer = np.concatenate([np.asarray(_draw_fine()(words, same, start), np.int8) for start in starts])[:number]
    truth = Truth(seen.labels, seen.instances, points, float(spec.extent) / spec.grid_size, finer)
    return Drawn(seen.image, points if phantom == "mitosis" else seen.labels, truth)


def _fields(spec: Any) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in type(spec).__dataclass_fields__}


def _digits(words: Any, first: int, number: int) -> Drawn:
    spec = DigitsSpec()
    batch = DIGITS.generate(jax.random.wrap_key_data(words), spec, first + number)
    images, labels = (np.asarray(part)[first:] for part in batch)
    empty = np.zeros(0, np.int32)
    return Drawn(images, labels[:, 0], Truth(labels[:, 0], empty, [], 1.0))


@lru_cache(maxsize=DRAWN)
def _draw(
    identity: str, phantom: str, pixels: int, inputs: int, noise_scale: float, items: int, others: int
) -> list[Drawn]:
    """Training, test and shifted test images of a trial; digits have no shifted ones."""
    words = key_words(identity, "data")
    if phantom == "digits":
        return [_digits(words, 0, inputs), _digits(words, inputs, items)]
    noise = noise_scale * reference(phantom).noise
    spec, other = (make(phantom, noise=noise, grid_size=pixels) for make in (reference, shifted))
    return [
        draw_phantoms(phantom, words, spec, 0, inputs, False),
        draw_phantoms(phantom, words, spec, inputs, items, True),
        draw_phantoms(phantom, words, other, inputs + items, others, True),
    ]


def model_seed(data_identity: str, system: str) -> int:
    """A seed of what a system draws; its members' seeds, a thousand apart, must fit into 32 bits."""
    return int(key_words(data_identity, f"model/{system}")[0]) % 1_000_000


def fit_system(system: str, examples: Examples, settings: Mapping[str, Any], seed: int, phantom: str) -> Predict:
    """Fit a system or a baseline; on mitoses, what answers with label maps learns the discs on them.

    Args:
        settings: parameters that replace the defaults.
    """
    if system in ("chance", "constant"):
        task = {"mitosis": "detect", "digits": "classify"}.get(phantom, "segment")
        if system == "chance":
            return fit_chance(examples, task, seed)

        def score(answers: Any, seen: Examples) -> float:
            return score_answers(phantom, answers, _truth_of(seen, phantom))["primary"]

        return fit_constant(examples, task, score)
    segmenter = SEGMENTERS[system]
    return segmenter.fit(check_examples(examples, segmenter.task), {**default_parameters(segmenter), **settings}, seed)


def _truth_of(examples: Examples, phantom: str) -> Truth:
    """What training answers tell of the truth: pixels of unit width, membranes' cells as they are divided."""
    if phantom == "mitosis":
        return Truth(np.zeros(0), np.zeros(0), list(examples.answers), 1.0)
    answers = np.asarray(examples.answers)
    if phantom == "membranes":
        return Truth(answers, np.stack([ndimage.label(answer == 0)[0] for answer in answers]), [], 1.0)
    return Truth(answers, answers, [], 1.0)


def _outlines(phantom: str, drawn: Drawn, identity: str) -> Any:
    error, length = HUMAN_ERROR[phantom]
    pixel, labels = drawn.truth.pixel, PHANTOMS[phantom].num_labels
    keys = jax.random.split(jax.random.wrap_key_data(key_words(identity, "rater")), len(drawn.images))
    rate = jax.jit(lambda pair: second_rater(pair[0], pair[1], error / pixel, labels, length / pixel))
    return np.asarray(jax.lax.map(rate, (jnp.asarray(drawn.truth.labels), keys)))


def measure_one(trial: Trial) -> dict[str, float]:
    """Scores of one trial: those of `score_answers` on phantoms alike, and as `shifted_...` on shifted ones."""
    f = dict(trial.factors)
    phantom, system = f["phantom"], f["system"]
    train, *tests = _draw(
        trial.data_identity, phantom, f["pixels"], f["inputs"], f["noise_scale"], f["test_items"], f["shifted_items"]
    )
    if system == "second_rater":
        answers = [_outlines(phantom, drawn, f"{trial.identity}/{index}") for index, drawn in enumerate(tests)]
    else:
        settings = json.loads(f["settings"])
        deep = system not in BASELINES and SEGMENTERS[system].deep
        if deep:
            steps = settings.get("steps", STEPS)
            settings["steps"] = max(50, round(steps * f["effort"]))
        if f["stage"] != "whole":
            settings["arm"] = f["stage"]
        masks = system not in BASELINES and SEGMENTERS[system].task == "segment" and phantom == "mitosis"
        labels = 10 if phantom == "digits" else PHANTOMS[phantom].num_labels
        examples = Examples(train.images, train.truth.labels if masks else train.answers, labels)
        predict = fit_system(system, examples, settings, model_seed(trial.data_identity, system), phantom)
        answers = [predict(check_images(drawn.images)) for drawn in tests]
    found = [score_answers(phantom, answer, drawn.truth) for answer, drawn in zip(answers, tests, strict=True)]
    others = {f"shifted_{name}": value for name, value in found[-1].items()} if len(found) > 1 else {}
    return found[0] | others


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of trials, one by one: nothing is shared between them but compiled programs."""
    return [measure_one(trial) for trial in trials]
