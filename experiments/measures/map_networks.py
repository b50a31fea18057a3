"""Networks that answer a label map of two labels, trained as a population one after another in one compiled program."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from experiments.spec import Trial
from experiments.tasks import key_words
from sim.networks.registry import Network, NetworkSettings, num_parameters
from sim.training import Recipe, TrainSettings, make_train_on
from sim.types import Array

Floats = NDArray[np.float64]


class Trained(NamedTuple):
    """What training gave, one entry a trial.

    Attributes:
        chances: float64, shape (trials, images asked, rows, columns), probability of label 1.
        scores: columns of each trial's row: steps, converged, train_loss, num_parameters.
        finite: bool, shape (trials,): training did not diverge.
    """

    chances: Floats
    scores: list[dict[str, Any]]
    finite: NDArray[np.bool_]


def soft_cross_entropy(logits: Any, shares: Array, num_classes: Any) -> Array:
    """Mean of -s log p - (1 - s) log(1 - p) over images and pixels, nats, s the share of label 1 in a pixel.

    Args:
        logits: float32, shape (batch, pixels, 2). shares: float32 in [0, 1], shape (batch, pixels).

    Example:
        >>> round(soft_cross_entropy(jnp.zeros((1, 3, 2)), jnp.array([[0.0, 0.3, 1.0]]), 2).item(), 4)
        0.6931
    """
    odds = logits[..., 1] - logits[..., 0]
    return jnp.mean(jax.nn.softplus(odds) - shares * odds)


def with_symmetries(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """All turned and mirrored copies of square maps: (trials, I, side, side) -> (trials, 8 I, side, side).

    Example:
        >>> with_symmetries(np.array([[[[0, 1], [2, 3]]]], np.float32))[0, :, 0, 0].tolist()
        [0.0, 1.0, 1.0, 3.0, 3.0, 2.0, 2.0, 0.0]
    """
    turned = [np.rot90(maps, turn, axes=(2, 3)) for turn in range(4)]
    return np.concatenate([copy for maps in turned for copy in (maps, maps[..., ::-1])], axis=1)


@lru_cache(maxsize=64)
def _program(settings: NetworkSettings, training: TrainSettings) -> Callable[..., Any]:
    network = Network(settings)

    def apply(parameters: Any, images: Array) -> Array:
        return jnp.asarray(network.apply(parameters, images))

    train = make_train_on(apply, training, soft_cross_entropy)

    def one(member: tuple[Any, ...]) -> Any:
        key, recipe, images, shares, asked = member
        init_key, train_key = jax.random.split(jax.random.wrap_key_data(key))
        parameters = network.init(init_key, images[:1])
        number = jnp.asarray(images.shape[0], jnp.int32)
        trained, info = train(train_key, recipe, parameters, lambda chosen: (images[chosen], shares[chosen]), number, 2)
        logits = lax.map(lambda image: apply(trained, image[None])[0], asked, batch_size=50)
        return jax.nn.sigmoid(logits[..., 1] - logits[..., 0]), info

    return jax.jit(lambda members: lax.map(one, members))


def train_maps(
    trials: Sequence[Trial],
    settings: NetworkSettings,
    images: NDArray[np.float32],
    shares: NDArray[np.float32],
    asked: NDArray[np.float32],
) -> Trained:
    """Train one network a trial until its loss is flat, and answer for other images.

    A trial's factors `learning_rate`, `weight_decay`, `input_noise` (0 where there is none) and `max_steps` are its
    recipe; `batch_size` and `least_steps` are the same for all. Every training image is shown
    turned and mirrored as well: the laws drawn here know no direction.

    Args:
        images: shape (trials, I, rows, columns). shares: of label 1 in each pixel, the same shape.
        asked: shape (trials, images asked, rows, columns).
    """
    factors = [dict(trial.factors) for trial in trials]
    recipes = Recipe(
        np.array([f["learning_rate"] for f in factors], np.float32),
        np.array([f.get("weight_decay", 0.0) for f in factors], np.float32),
        np.array([f.get("input_noise", 0.0) for f in factors], np.float32),
        np.array([f["max_steps"] for f in factors], np.int32),
    )
    keys = np.stack([key_words(trial.identity, "model") for trial in trials])
    turned, shown = (with_symmetries(maps) for maps in (images, shares))
    training = TrainSettings(batch_size=factors[0]["batch_size"], min_steps=factors[0]["least_steps"])
    program = _program(settings, training)
    chances, info = program((keys, recipes, turned, shown.reshape(*shown.shape[:2], -1), asked))
    scores = [
        {"steps": int(steps), "converged": bool(flat_loss), "train_loss": float(loss),
         "num_parameters": num_parameters(settings)}
        for steps, flat_loss, loss in zip(*map(np.asarray, (info.steps, info.converged, info.loss)), strict=True)
    ]  # fmt: skip
    return Trained(np.asarray(chances, np.float64).reshape(asked.shape), scores, np.asarray(info.finite))


def find_recipe(
    measure: Callable[[Sequence[Trial]], list[dict[str, Any]]], trials: Sequence[Trial], score: str
) -> dict[str, float]:
    """The learning rate and weight decay with the best mean score over all other factors and seeds of the trials.

    Args:
        measure: of the trials' family; trials of one compiled shape.
        score: a column, higher is better; a diverged trial counts 0.
    """
    rows = measure(trials)
    values: dict[tuple[float, float], list[float]] = {}
    for trial, row in zip(trials, rows, strict=True):
        factors = dict(trial.factors)
        values.setdefault((factors["learning_rate"], factors["weight_decay"]), []).append(row.get(score, 0.0))
    rate, decay = max(values, key=lambda recipe: float(np.mean(values[recipe])))
    return {"learning_rate": rate, "weight_decay": decay}
