"""Baseline `flax_step`: a typical Flax loop, batches drawn by NumPy, one jitted Adam step a call, one network."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.workloads import LEARNING_RATE, Weights, Workload, initial_weights, make_data, steps_a_second

WARM_UP = 20


class PlainNetwork(nn.Module):
    """The workload's network as a user of Flax writes it: images (batch, rows, columns) -> (batch, units, classes)."""

    work: Workload

    @nn.compact
    def __call__(self, images: Any) -> Any:
        work = self.work
        dense = work.network == "mlp"
        hidden = images.reshape(len(images), -1) if dense else images[..., None]
        for layer in range(work.depth):
            name = f"layer{layer}"
            part = nn.Dense(work.width, name=name) if dense else nn.Conv(work.width, (3, 3), name=name)
            hidden = nn.relu(part(hidden))
        return nn.Dense(work.classes, name="head")(hidden).reshape(len(images), work.units, work.classes)


def flax_parameters(weights: Weights) -> Any:
    """The weights as the parameters of `PlainNetwork`."""
    names = [*(f"layer{layer}" for layer in range(len(weights) - 1)), "head"]
    parts = zip(names, weights, strict=True)
    return {"params": {name: {"kernel": jnp.asarray(k), "bias": jnp.asarray(b)} for name, (k, b) in parts}}


def plain_weights(parameters: Any) -> Weights:
    """The parameters of `PlainNetwork` as weights; compiled functions return the layers in alphabetical order."""
    layers = parameters["params"]
    names = sorted(layers, key=lambda name: (name == "head", name))
    return [(np.asarray(layers[name]["kernel"]), np.asarray(layers[name]["bias"])) for name in names]


def make_step(work: Workload) -> tuple[optax.GradientTransformation, Callable[..., tuple[Any, Any, Any]]]:
    """The optimiser, and step(parameters, state, images, targets) -> (parameters, state, loss), not yet compiled."""
    network, optimizer = PlainNetwork(work), optax.adam(LEARNING_RATE)

    def loss_of(parameters: Any, images: Any, targets: Any) -> Any:
        logits = network.apply(parameters, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()

    def step(parameters: Any, state: Any, images: Any, targets: Any) -> tuple[Any, Any, Any]:
        loss, gradient = jax.value_and_grad(loss_of)(parameters, images, targets)
        with jax.numpy_dtype_promotion("standard"):  # optax raises a float to the whole number of steps
            updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, updates), state, loss

    return optimizer, step


def train(work: Workload, weights: Weights, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Weights, Any]:
    """Train on the given batches; the weights afterwards and the losses, for comparison with other baselines."""
    optimizer, step = make_step(work)
    parameters, compiled, losses = flax_parameters(weights), jax.jit(step), []
    state = optimizer.init(parameters)
    for images, targets in batches:
        parameters, state, loss = compiled(parameters, state, images, targets)
        losses.append(float(loss))
    return plain_weights(parameters), np.asarray(losses)


def prepare(work: Workload) -> tuple[Callable[[int, float], float], str]:
    """Compile; returns measure(steps, limit) -> network-steps a second, and a note on how it runs."""
    images, targets = make_data(work)
    optimizer, step = make_step(work)
    compiled = jax.jit(step, donate_argnums=(0, 1))
    generator = np.random.default_rng(2)
    parameters = flax_parameters(initial_weights(work))
    carry = [parameters, optimizer.init(parameters)]

    def one() -> Any:
        chosen = generator.integers(0, work.inputs, work.batch_size)
        *carry[:], loss = compiled(*carry, images[chosen], targets[chosen])
        return loss

    def measure(steps: int, limit: float) -> float:
        return steps_a_second(one, steps, limit, jax.block_until_ready)

    measure(WARM_UP, 10.0)
    return measure, "one device, JAX's usual flags, one network after another"
