"""Smooth random fields of a stated length in physical units, the same at every grid size."""

import jax.numpy as jnp
from jax.scipy.special import ndtri

from sim.generators.rendering import smooth_field
from sim.types import Array, Key

NODES = 64  # along a side; a texture finer than 0.7 of their distance is drawn at that


def texture_field(key: Key, size: int, length: float | Array, extent: float | Array) -> Array:
    """A normal field of mean 0 and variance 1, correlation exp(-d^2 / (4 length^2)): float32, shape (size, size).

    Args:
        length, extent: in one unit of length; at least 0.011 of the extent is used.
    """
    share = jnp.asarray(length, jnp.float32) / jnp.asarray(extent, jnp.float32)
    return smooth_field(key, size, NODES, jnp.maximum(share, 0.7 / NODES))


def squashed(field: Array, share: float | Array, sharpness: float = 4.0) -> Array:
    """A normal field turned into shares near 0 and 1 that are near 1 over `share` of the area.

    Args:
        share: in (0, 1); may be traced.
    """
    from jax.scipy.special import ndtri

    cut = ndtri(1 - jnp.asarray(share, jnp.float32))
    return 1 / (1 + jnp.exp(-sharpness * (field - cut)))
