"""Losses beside the cross-entropy of classes, for `sim.training`: one binary output a bit, and one number a unit."""

from typing import Any

import jax
import jax.numpy as jnp

from sim.types import Array


def bits_cross_entropy(logits: Any, targets: Array, num_classes: Any) -> Array:
    """Mean over images of the summed negative log-likelihood of the bits, in nats an image.

    sum_k [ln(1 + exp z_k) - t_k z_k], z_k the logit that bit k is one.

    Args:
        logits: float32, shape (batch, bits, 1).
        targets: int32, shape (batch, bits), each 0 or 1.
        num_classes: not used: a bit has two values.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{bits_cross_entropy(jnp.zeros((5, 3, 1)), jnp.ones((5, 3), jnp.int32), 2):.4f}")  # 3 ln 2
        2.0794
    """
    scores = logits[..., 0]
    return (jax.nn.softplus(scores) - targets.astype(scores.dtype) * scores).sum(axis=-1).mean()


def squared_error(outputs: Any, targets: Array, num_classes: Any) -> Array:
    """Mean of (output - target)^2 over images and units, in squared units of the target.

    Args:
        outputs: float32, shape (batch, units, 1).
        targets: float32, shape (batch, units).
        num_classes: not used: a number has no classes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(squared_error(jnp.ones((4, 1, 1)), jnp.full((4, 1), 3.0), 1))
        4.0
    """
    return jnp.mean((outputs[..., 0] - targets) ** 2)
