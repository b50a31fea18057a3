"""Smooth random fields of a stated length in physical units, the same at every grid size."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from sim.generators.rendering import smooth_field
from sim.types import Array, Key

NODES = 64  # along a side; a texture finer than 0.7 of their distance is drawn at that


def texture_fields(key: Key, size: int, lengths: Sequence[float | Array], extent: float | Array) -> Array:
    """Independent normal fields of mean 0 and variance 1, correlation exp(-d^2 / (4 length^2)).

    Args:
        lengths: one a field, in the unit of the extent; at least 0.011 of the extent is used.

    Returns:
        float32, shape (fields, size, size).
    """
    shares = jnp.stack([jnp.asarray(length, jnp.float32) for length in lengths]) / jnp.asarray(extent, jnp.float32)
    keys = jax.random.split(key, len(lengths))
    return jax.vmap(smooth_field, in_axes=(0, None, None, 0))(keys, size, NODES, jnp.maximum(shares, 0.7 / NODES))


def squashed(field: Array, share: float | Array, sharpness: float = 4.0) -> Array:
    """A normal field turned into shares near 0 and 1 that are near 1 over `share` of the area.

    Args:
        share: in (0, 1); may be traced.
    """

    cut = ndtri(1 - jnp.asarray(share, jnp.float32))
    return 1 / (1 + jnp.exp(-sharpness * (field - cut)))
