"""Heads: from features to logits of shape (batch, units, classes), padded classes masked.

Four ways to answer the same question about an image of `units` tiles or pixels with L labels each:

* `jway`: one unit whose classes are all J = L^units label maps, unrelated to one another (the survey's picture);
* `dense`: one unit a tile or pixel, every logit reading every feature;
* `shared`: the same weights for every tile or pixel, reading only that tile's or pixel's features;
* `placed`: shared, and told which tile or pixel it reads.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from sim.types import Array, Key

HEADS = {
    "jway": "one output for each of the J label maps",
    "dense": "one output for each unit and label, all reading the whole image",
    "shared": "the same output weights for every unit, reading that unit alone",
    "placed": "shared, and each unit is told its place",
}
MASKED = -1e9  # a logit whose probability is exactly zero in float32, finite so that its gradient is zero, not NaN


def column_initializer(units: int, classes: int) -> nn.initializers.Initializer:
    """Draw each output column from its own key, so that padding the classes leaves the real columns unchanged."""

    def initialize(key: Key, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
        features = shape[0]

        def column(unit: Array, label: Array) -> Array:
            column_key = jax.random.fold_in(jax.random.fold_in(key, unit), label)
            return jax.random.normal(column_key, (features,), dtype) / jnp.sqrt(jnp.asarray(features, dtype))

        over_labels = jax.vmap(column, in_axes=(None, 0))
        columns = jax.vmap(over_labels, in_axes=(0, None))(jnp.arange(units), jnp.arange(classes))
        return columns.reshape(units * classes, features).T

    return initialize


class Head(nn.Module):
    """One affine map to `units * classes` logits.

    Args of the call: features float32 (..., features). Returns float32 (..., units, classes).
    """

    units: int
    classes: int

    @nn.compact
    def __call__(self, features: Array) -> Array:
        kernel = self.param(
            "kernel",
            column_initializer(self.units, self.classes),
            (features.shape[-1], self.units * self.classes),
        )
        bias = self.param("bias", nn.initializers.zeros, (self.units * self.classes,))
        logits = features @ kernel + bias.reshape((1,) * (features.ndim - 1) + (-1,))
        return logits.reshape(*features.shape[:-1], self.units, self.classes)


def mask_classes(logits: Array, num_classes: Array) -> Array:
    """Set the logits of padded classes to `MASKED`: zero probability and exactly zero gradient.

    Args:
        logits: float32, shape (..., classes).
        num_classes: int32 scalar, classes that exist; may be traced.

    Example:
        >>> import jax.numpy as jnp
        >>> jnp.argmax(mask_classes(jnp.array([0.0, 1.0, 9.0]), 2)).item()
        1
    """
    real = jnp.arange(logits.shape[-1]) < num_classes
    return jnp.where(real.reshape((1,) * (logits.ndim - 1) + (-1,)), logits, MASKED)
