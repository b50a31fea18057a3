"""Grey values and noise of computed tomography, for the phantoms of the abdomen."""

from typing import Any

import jax.numpy as jnp

from sim.generators.rendering import smooth_field
from sim.types import Array, Key

LEVEL, UNIT = 100.0, 50.0  # grey value = (HU - LEVEL) / UNIT
WINDOW = (-200.0, 300.0)  # HU, as a reading room's window; less is black, more is white
DARKNESS = (1000.0 + LEVEL) / UNIT  # grey value of vacuum with its sign turned: a bias multiplies HU + 1000


def grey(hounsfield: Array) -> Array:
    """Grey values of Hounsfield units within the window.

    Example:
        >>> import jax.numpy as jnp
        >>> grey(jnp.array([-1000.0, 100.0, 150.0])).tolist()
        [-6.0, 0.0, 1.0]
    """
    return (jnp.clip(hounsfield, *WINDOW) - LEVEL) / UNIT


def add_noise(key: Key, clean: Array, spec: Any) -> Array:
    """Add Gaussian noise of `noise` HU, correlated over `noise_length` in units of the extent; one variance everywhere.

    `noise_length` 0 leaves it white.
    """
    size = clean.shape[0]
    length = jnp.asarray(spec.noise_length, jnp.float32) / jnp.asarray(spec.extent, jnp.float32)
    return clean + jnp.asarray(spec.noise, jnp.float32) / UNIT * smooth_field(key, size, size, length)
