"""Measure family `continuous`: errors of an estimator and, on the same images, of the exact predictors.

All errors are root mean squared errors over the test items, in units of the target's standard deviation.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, RidgeCV

from experiments.families.continuous import MAX_BINS
from experiments.spec import Trial
from experiments.tasks import bucket, key_words
from sim.losses import squared_error
from sim.networks.registry import NetworkSettings, num_parameters
from sim.segmentation.deep.rows import initial_row, row_apply
from sim.theory.offsets import DiscOffsets, decode_offsets, disc_offsets, offset_bins, offset_posterior
from sim.theory.regression import Bins, decode_bins, gaussian_bins, linear_gaussian_floor, predict
from sim.training import Recipe, TrainSettings, cross_entropy, make_train_on
from sim.types import FloatArray

DIMENSION = 16  # of the linear target's inputs; a weight has variance 1 / DIMENSION, so that the sum has variance 1
SIZE, RADIUS, REACH, LANES = 12, 2.5, 2.5, 8  # of the discs, in pixels
PENALTIES = np.logspace(-3, 4, 22)
DECAY_FROM = 0.75  # the share of the budget before the decay: "flat" is told in nats, too coarse to stop squared errors
ROOM = 4096  # training images are padded to so many, so that all I share a program


class Task(NamedTuple):
    """One trial's images and what exact learners say about the test images.

    Attributes:
        images: float32, (I + test_items, rows, columns), the training images first.
        targets: (I + test_items,), in the target's own units. spread: its standard deviation under the law.
        bins: the Q bins, None without. bayes: the best prediction of each test image.
        decoded: the exact Q-bin decoder's, `bayes` without bins. floor: the closed form of the best error, NaN if none.
    """

    images: NDArray[np.float32]
    targets: FloatArray
    spread: float
    bins: Bins | None
    bayes: FloatArray
    decoded: FloatArray
    floor: float


@lru_cache(maxsize=1)
def _discs() -> DiscOffsets:
    return disc_offsets(SIZE, RADIUS, REACH, MAX_BINS, LANES)


def _linear(factors: Mapping[str, Any], rng: np.random.Generator) -> Task:
    count, noise, num_bins = factors["inputs"], factors["noise"], factors["bins"]
    weights = rng.standard_normal(DIMENSION) / np.sqrt(DIMENSION)
    images = rng.standard_normal((count + factors["test_items"], DIMENSION))
    targets = images @ weights + noise * rng.standard_normal(len(images))
    spread = float(np.hypot(1.0, noise))
    bins = gaussian_bins(num_bins, spread) if num_bins else None
    law = predict(images[:count], targets[:count], images[count:], noise, 1 / DIMENSION)
    decoded = law.mean if bins is None else decode_bins(law, bins)
    floor = linear_gaussian_floor(images[:count], noise, 1 / DIMENSION) / spread
    shaped = images.astype(np.float32).reshape(-1, 1, DIMENSION)
    return Task(shaped, targets, spread, bins, law.mean, decoded, floor)


def _disc(factors: Mapping[str, Any], rng: np.random.Generator) -> Task:
    count, noise, num_bins, discs = factors["inputs"], factors["noise"], factors["bins"], _discs()
    total = count + factors["test_items"]
    step, lane = rng.integers(MAX_BINS, size=total), rng.integers(LANES, size=total)
    images = discs.images[step, lane] + noise * rng.standard_normal((total, SIZE * SIZE))
    posterior = offset_posterior(discs, images[count:], noise)
    bayes = decode_offsets(discs, posterior)
    return Task(
        images.astype(np.float32).reshape(-1, SIZE, SIZE),
        discs.offsets[step],
        float(discs.offsets.std()),
        offset_bins(discs, num_bins) if num_bins else None,
        bayes,
        decode_offsets(discs, posterior, num_bins) if num_bins else bayes,
        float("nan"),
    )


def make_task(trial: Trial) -> Task:
    """Draw a trial's images; every estimator of a cell and seed sees the same."""
    factors = dict(trial.factors)
    rng = np.random.default_rng(key_words(trial.data_identity, "images"))
    return _linear(factors, rng) if factors["target"] == "linear" else _disc(factors, rng)


def settings_of(factors: Mapping[str, Any]) -> NetworkSettings:
    """The network: one output, or one for each bin."""
    shape = (1, DIMENSION) if factors["target"] == "linear" else (SIZE, SIZE)
    classes = max(factors["bins"], 1)
    return NetworkSettings("mlp", "jway", shape, 1, classes, width=factors["width"], depth=factors["depth"])


@lru_cache(maxsize=32)
def _program(network: NetworkSettings, binned: bool, batch_size: int, max_steps: int) -> Callable[..., Any]:
    apply = row_apply(network)
    training = TrainSettings(batch_size, min_steps=int(DECAY_FROM * max_steps))
    train = make_train_on(apply, training, cross_entropy if binned else squared_error)

    def run(key: Any, recipe: Recipe, weights: Any, images: Any, targets: Any, count: Any, tests: Any) -> Any:
        weights, info = train(
            key, recipe, weights, lambda chosen: (images[chosen], targets[chosen]), count, network.classes
        )
        return apply(weights, tests)[:, 0], info

    return jax.jit(run)


def _train(trial: Trial, task: Task) -> tuple[FloatArray, Any]:
    """A trained network's prediction of each test image, and how training went."""
    factors = dict(trial.factors)
    count, network = factors["inputs"], settings_of(factors)
    seen = task.targets[:count]
    targets = (seen / task.spread).astype(np.float32) if task.bins is None else np.searchsorted(task.bins.edges, seen)
    room = max(ROOM, bucket(count)) - count
    recipe = Recipe(
        np.float32(factors["learning_rate"]), np.float32(factors["weight_decay"]), np.float32(factors["input_noise"]),
        np.int32(factors["max_steps"]),
    )  # fmt: skip
    words = key_words(trial.identity, f"initial weights {factors['init_seed']}")
    outputs, info = _program(network, task.bins is not None, factors["batch_size"], factors["max_steps"])(
        jax.random.wrap_key_data(jnp.asarray(key_words(trial.identity, "training"))),
        recipe,
        initial_row(network, int.from_bytes(words.tobytes(), "little")),
        np.pad(task.images[:count], ((0, room), (0, 0), (0, 0))),
        np.pad(targets if task.bins is None else targets.astype(np.int32), (0, room))[:, None],
        np.int32(count),
        task.images[count:],
    )
    found = np.asarray(outputs, dtype=np.float64)
    if task.bins is None:
        return found[:, 0] * task.spread, info
    weight = np.exp(found - found.max(axis=1, keepdims=True))
    return weight @ task.bins.centres / weight.sum(axis=1), info


def _fit(estimator: str, task: Task, count: int) -> FloatArray:
    model = LinearRegression() if estimator == "least_squares" else RidgeCV(alphas=PENALTIES)
    flat = task.images.reshape(len(task.images), -1).astype(np.float64)
    predicted: FloatArray = model.fit(flat[:count], task.targets[:count]).predict(flat[count:])
    return predicted


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of each trial, measured one by one.

    `error`: of the estimator; `bayes_error`: of the best predictor; `decoder_error`: of the exact Q-bin decoder (the
    best predictor without bins); `floor`: closed form of the best error; `excess`: error / bayes_error - 1.

    Raises:
        ValueError: bins where the estimator has none, or none where it needs them.
    """
    found = []
    for trial in trials:
        factors = dict(trial.factors)
        if (factors["estimator"] == "bins") != (factors["bins"] > 0):
            raise ValueError(f"bins must be >= 2 for estimator bins and 0 for others, got {factors['bins']}")
        task, count = make_task(trial), factors["inputs"]
        truth = task.targets[count:]

        def error(predicted: FloatArray, truth: FloatArray = truth, spread: float = task.spread) -> float:
            return float(np.sqrt(np.mean((predicted - truth) ** 2)) / spread)

        scores: dict[str, Any] = {
            "num_inputs": count, "bayes_error": error(task.bayes), "decoder_error": error(task.decoded),
            "floor": task.floor,
        }  # fmt: skip
        if factors["estimator"] in ("regression", "bins"):
            predicted, info = _train(trial, task)
            if not bool(info.finite) or not np.isfinite(predicted).all():
                found.append({"diverged": "the training loss or an output is no finite number"})
                continue
            scores |= {
                "steps": int(info.steps), "converged": bool(info.converged),
                "num_parameters": num_parameters(settings_of(factors)),
            }  # fmt: skip
        else:
            predicted = _fit(factors["estimator"], task, count)
        scores["error"] = error(predicted)
        scores["excess"] = scores["error"] / scores["bayes_error"] - 1
        found.append(scores)
    return found
