"""Label maps as whole numbers: the labels of all units of an image are the digits of one class number.

An image of `units` tiles or pixels with L labels each has J = L^units label maps. The class of a map is

    index = sum_u labels_u * L^u,    unit 0 the least significant digit.
"""

import jax.numpy as jnp
import numpy as np

from sim.types import Array

MAX_MAPS = 2**31 - 1  # class numbers are int32


def map_index(labels: Array, num_labels: int | Array) -> Array:
    """Number of a label map: index = sum_u labels_u L^u.

    Args:
        labels: int32, shape (..., units), each in [0, num_labels).
        num_labels: L, labels of a unit; may be traced.

    Returns:
        int32, shape (...), in [0, L^units).

    Raises:
        ValueError: a known L for which L^units does not fit in int32. A traced L is not checked.

    Example:
        >>> map_index(jnp.array([1, 0, 2]), 3).item()
        19
    """
    units = labels.shape[-1]
    _check_fits(num_labels, units)
    base = jnp.asarray(num_labels, jnp.int32)
    index = jnp.zeros(labels.shape[:-1], jnp.int32)
    for unit in reversed(range(units)):
        index = index * base + jnp.asarray(labels[..., unit], jnp.int32)
    return index


def map_labels(index: Array, num_labels: int | Array, units: int) -> Array:
    """Labels of a numbered label map, the inverse of `map_index`.

    Args:
        index: int32, shape (...), in [0, num_labels**units).
        num_labels: L, labels of a unit; may be traced.
        units: tiles or pixels of an image.

    Returns:
        int32, shape (..., units).

    Raises:
        ValueError: a known L for which L^units does not fit in int32. A traced L is not checked.

    Example:
        >>> map_labels(jnp.array(19), 3, 3).tolist()
        [1, 0, 2]
    """
    _check_fits(num_labels, units)
    base = jnp.asarray(num_labels, jnp.int32)
    rest = jnp.asarray(index, jnp.int32)
    digits = []
    for _ in range(units):
        digits.append(rest % base)
        rest = rest // base
    return jnp.stack(digits, axis=-1)


def _check_fits(num_labels: int | Array, units: int) -> None:
    if isinstance(num_labels, int | np.integer) and int(num_labels) ** units > MAX_MAPS:
        raise ValueError(f"num_labels**units must be <= {MAX_MAPS}, got {num_labels}**{units}")
