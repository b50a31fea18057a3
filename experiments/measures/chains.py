"""What the measures of rows of pixels share: keys and recipe of a trial, and scores as plain numbers."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from experiments.spec import Trial
from experiments.tasks import key_words
from sim.training import Recipe, TrainSettings
from sim.types import Array, Key


def keys_of(trial: Trial) -> tuple[Key, Key]:
    """The keys of a trial's images, shared by all trials of the same data, and of its weights and order."""
    data, model = key_words(trial.data_identity, "data"), key_words(trial.identity, "model")
    return jax.random.wrap_key_data(jnp.asarray(data)), jax.random.wrap_key_data(jnp.asarray(model))


def recipe_of(factors: Mapping[str, Any]) -> Recipe:
    """The traced numbers of training."""
    rate, decay, noise = (jnp.float32(factors[name]) for name in ("learning_rate", "weight_decay", "input_noise"))
    return Recipe(rate, decay, noise, jnp.int32(factors["max_steps"]))


def settings_of(factors: Mapping[str, Any]) -> TrainSettings:
    """The static settings of training."""
    return TrainSettings(batch_size=factors["batch_size"])


def finished(found: Mapping[str, Array], parameters: Any) -> dict[str, Any]:
    """Plain numbers, the parameter count, and the reason where training diverged.

    Args:
        found: scores and the fields of `TrainInfo`.
        parameters: a pytree of arrays or their shapes.
    """
    scores = {name: value.item() for name, value in found.items()}
    if not scores.pop("finite"):
        scores["diverged"] = f"training loss not finite at step {scores['steps']}"
    scores["train_loss"] = scores.pop("loss")
    scores["num_parameters"] = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    return scores
