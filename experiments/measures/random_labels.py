"""Measure family `random_labels`: train on random labels, then score the training images themselves, without noise."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from experiments.families.random_labels import MAX_LOAD
from experiments.spec import Trial
from experiments.tasks import key_words
from sim.losses import bits_cross_entropy
from sim.networks.registry import NetworkSettings, num_parameters
from sim.segmentation.deep.rows import initial_row, row_apply
from sim.theory.dichotomies import linearly_separable
from sim.training import Recipe, TrainSettings, cross_entropy, make_train_on

Draws = tuple[NDArray[np.float32], NDArray[np.int32]]
DECAY_FROM = 0.75  # the share of the budget before the decay; a loss on its way to zero is not to be stopped earlier


def label_bits(outputs: int) -> int:
    """log2 J of a power of two.

    Raises:
        ValueError: J is no power of two.

    Example:
        >>> label_bits(1024)
        10
    """
    bits = outputs.bit_length() - 1
    if outputs != 2**bits:
        raise ValueError(f"outputs must be a power of two for random_labels, got {outputs}")
    return bits


def settings_of(factors: Mapping[str, Any]) -> NetworkSettings:
    """The narrowest network of its kind with at least `parameters` numbers.

    Raises:
        ValueError: a hyperplane with other than two labels and dimension + 1 parameters.

    Example:
        >>> task = {"answer": "bits", "outputs": 1024, "dimension": 32, "parameters": 10_240}
        >>> settings_of(task).width, num_parameters(settings_of(task))  # 33 w + 10 (w + 1)
        (238, 10244)
    """
    answer, dimension, outputs = factors["answer"], factors["dimension"], factors["outputs"]
    bits = label_bits(outputs)
    shape = (1, dimension)
    if answer in ("plane", "programme"):
        if (outputs, factors["parameters"]) != (2, dimension + 1):
            raise ValueError(
                f"a hyperplane must have outputs 2 and parameters {dimension + 1}, got {outputs} and "
                f"{factors['parameters']}"
            )
        return NetworkSettings("linear", "dense", image_shape=shape, units=1, classes=1)
    ends = bits if answer == "bits" else outputs
    width = max(1, math.ceil((factors["parameters"] - ends) / (dimension + 1 + ends)))
    units, classes, head = (bits, 1, "dense") if answer == "bits" else (1, outputs, "jway")
    return NetworkSettings("mlp", head, image_shape=shape, units=units, classes=classes, width=width, depth=1)


def count_inputs(factors: Mapping[str, Any]) -> int:
    """I, the nearest whole number to load P / log2 J, at least 1, P the network's true number of parameters."""
    return max(1, round(factors["load"] * num_parameters(settings_of(factors)) / label_bits(factors["outputs"])))


def draw(trial: Trial) -> Draws:
    """The training images, float32 (I, 1, dimension), and their labels, int32 (I,). More images only add to fewer."""
    factors = dict(trial.factors)
    count, shape = count_inputs(factors), (1, factors["dimension"])
    images, labels = (np.random.default_rng(key_words(trial.data_identity, role)) for role in ("images", "labels"))
    return (
        images.standard_normal((count, *shape)).astype(np.float32),
        labels.integers(factors["outputs"], size=count, dtype=np.int32),
    )


@lru_cache(maxsize=32)
def _program(network: NetworkSettings, as_bits: bool, batch_size: int, max_steps: int) -> Callable[..., Any]:
    """Training and score of one network; images are padded to the largest load, so that all loads share a program."""
    apply = row_apply(network)
    training = TrainSettings(batch_size=batch_size, min_steps=int(DECAY_FROM * max_steps))
    train = make_train_on(apply, training, bits_cross_entropy if as_bits else cross_entropy)

    def run(key: Any, recipe: Recipe, weights: Any, images: Any, targets: Any, count: Any) -> Any:
        weights, info = train(
            key, recipe, weights, lambda chosen: (images[chosen], targets[chosen]), count, network.classes
        )
        scores = apply(weights, images)
        said = (scores[..., 0] > 0).astype(jnp.int32) if as_bits else scores.argmax(axis=-1).astype(jnp.int32)
        real = jnp.arange(len(images)) < count
        right = (said == targets) & real[:, None]
        return jnp.sum(right.all(axis=1)), jnp.sum(right), info

    return jax.jit(run)


def _train(trial: Trial, network: NetworkSettings, drawn: Draws) -> dict[str, Any]:
    factors, (images, labels) = dict(trial.factors), drawn
    as_bits, count = factors["answer"] != "jway", len(labels)
    targets = (labels[:, None] >> np.arange(label_bits(factors["outputs"]))) & 1 if as_bits else labels[:, None]
    room = round(MAX_LOAD * num_parameters(network) / label_bits(factors["outputs"])) + 1 - count
    recipe = Recipe(
        np.float32(factors["learning_rate"]), np.float32(factors["weight_decay"]), np.float32(factors["input_noise"]),
        np.int32(factors["max_steps"]),
    )  # fmt: skip
    words = key_words(trial.identity, f"initial weights {factors['init_seed']}")
    run = _program(network, as_bits, factors["batch_size"], factors["max_steps"])
    exact, right, info = run(
        jax.random.wrap_key_data(jnp.asarray(key_words(trial.identity, "training"))),
        recipe,
        initial_row(network, int.from_bytes(words.tobytes(), "little")),
        np.pad(images, ((0, room), (0, 0), (0, 0))),
        np.pad(targets.astype(np.int32), ((0, room), (0, 0))),
        np.int32(count),
    )
    found = {
        "train_accuracy": int(exact) / count,
        "unit_accuracy": int(right) / targets.size,
        "fits": float(int(exact) == count),
        "loss": float(info.loss),
        "steps": int(info.steps),
        "converged": bool(info.converged),
    }
    return found if bool(info.finite) else {"diverged": "the training loss is no finite number"}


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of each trial, measured one by one: `train_accuracy` is the share of training images whose label comes
    back whole, `fits` whether all do; of the linear programme, `fits` alone."""
    found = []
    for trial in trials:
        factors = dict(trial.factors)
        network, drawn = settings_of(factors), draw(trial)
        parameters, bits = num_parameters(network), label_bits(factors["outputs"])
        common = {
            "num_inputs": len(drawn[1]), "num_parameters": parameters, "log2_outputs": float(bits),
            "bits_per_parameter": len(drawn[1]) * bits / parameters, "chance": 1 / factors["outputs"],
        }  # fmt: skip
        if factors["answer"] == "programme":
            points = drawn[0].reshape(len(drawn[1]), -1)
            common |= {"fits": float(linearly_separable(points, 2 * drawn[1] - 1))}
        else:
            common |= _train(trial, network, drawn)
        found.append(common)
    return found
