"""Change of grid size: images by area, label maps by majority or as fractions, and back up.

A block of `factor` x `factor` pixels becomes one. Averages keep the area of every label exactly; majorities do not.
"""

import jax
import jax.numpy as jnp

from sim.types import Array


def _blocks(pixels: Array, factor: int) -> Array:
    """(..., rows, columns) -> (..., rows / factor, columns / factor, factor^2)."""
    if not isinstance(factor, int) or factor < 1:
        raise ValueError(f"factor must be a whole number >= 1, got {factor}")
    *lead, rows, columns = pixels.shape
    if rows % factor or columns % factor:
        raise ValueError(f"factor must divide both sides {(rows, columns)}, got {factor}")
    cut = pixels.reshape(*lead, rows // factor, factor, columns // factor, factor)
    return jnp.moveaxis(cut, -3, -2).reshape(*lead, rows // factor, columns // factor, factor * factor)


def area_average(images: Array, factor: int) -> Array:
    """Mean of each block: float (..., rows, columns) -> (..., rows / factor, columns / factor).

    Raises:
        ValueError: the factor does not divide the sides.

    Example:
        >>> import jax.numpy as jnp
        >>> area_average(jnp.array([[0.0, 1.0], [1.0, 1.0]]), 2).item()
        0.75
    """
    return _blocks(images, factor).mean(axis=-1)


def label_fractions(labels: Array, factor: int, num_labels: int) -> Array:
    """Share of each label in each block: int (..., rows, columns) -> float32 (..., rows', columns', num_labels).

    The shares of a block sum to 1, and those of a label over all blocks to its share of the image.

    Raises:
        ValueError: the factor does not divide the sides.
    """
    return jax.nn.one_hot(_blocks(labels, factor), num_labels, dtype=jnp.float32).mean(axis=-2)


def majority(labels: Array, factor: int, num_labels: int) -> Array:
    """Most frequent label of each block, the smallest of those that tie: int32 (..., rows', columns').

    Raises:
        ValueError: the factor does not divide the sides.

    Example:
        >>> import jax.numpy as jnp
        >>> majority(jnp.array([[2, 1], [1, 2]]), 2, 3).item()
        1
    """
    counts = jax.nn.one_hot(_blocks(labels, factor), num_labels, dtype=jnp.int32).sum(axis=-2)
    return jnp.argmax(counts, axis=-1).astype(jnp.int32)


def repeat_pixels(pixels: Array, factor: int) -> Array:
    """Each pixel `factor` x `factor` times, any type: the inverse of each function above on constant blocks."""
    return jnp.repeat(jnp.repeat(pixels, factor, axis=-2), factor, axis=-1)


def enlarge_bilinear(images: Array, factor: int) -> Array:
    """Bilinear interpolation between block centres: float (..., r, c) -> (..., r factor, c factor)."""
    *lead, rows, columns = images.shape
    return jax.image.resize(images, (*lead, rows * factor, columns * factor), method="bilinear")
