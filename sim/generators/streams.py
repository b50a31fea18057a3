"""Random streams in which item `i` depends on (key, i) alone.

Item `i` draws from `fold_in(key, i)`: a longer stream starts with the shorter one, and items may be drawn in any
order and in pieces.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from sim.types import Array, Batch, Key

LARGEST = float(jnp.finfo(jnp.float32).max)


def as_rounded(values: Array) -> Array:
    """The same numbers, as float32 rounds them: a clamp that no finite number reaches.

    Otherwise the compiler may join a product to the sum or product that follows, rounding once for twice, in one
    program and not in another. A trial's images must be the same bits in all, alone or packed in a chunk of any width.
    (`lax.optimization_barrier` does not prevent it.)
    """
    return jnp.clip(values, -LARGEST, LARGEST)


def draw_normal(key: Key, shape: tuple[int, ...]) -> Array:
    """Draw standard normal numbers, float32, of any shape; same values as `jax.random.normal`.

    Drawn in one row: XLA's CPU compiler takes a third of the time for it (0.4 s, not 1.2 s), and a study has many
    shapes.
    """
    return as_rounded(jax.random.normal(key, (math.prod(shape),))).reshape(shape)


def draw_uniform_labels(key: Key, shape: tuple[int, ...], number: int | Array) -> Array:
    """Draw labels uniform on [0, number), int32: a random 32-bit word modulo `number`, so uniform within number/2^32.

    `number` is a scalar or an array of the given shape.
    `jax.random.randint` takes two words a label to be uniform within number/2^64, at twice the time.
    """
    words = jax.random.bits(key, (math.prod(shape),), jnp.uint32).reshape(shape)
    return (words % jnp.asarray(number, jnp.uint32)).astype(jnp.int32)


def draw_codewords(key: Key, number: int, shape: tuple[int, ...]) -> Array:
    """Draw `number` independent standard normal codewords, float32, shape (number, *shape).

    Example:
        >>> draw_codewords(jax.random.key(0), 3, (2, 4)).shape
        (3, 2, 4)
    """
    return jax.vmap(lambda codeword: draw_normal(jax.random.fold_in(key, codeword), shape))(jnp.arange(number))


def draw_images(key: Key, indices: Array, draw_image: Callable[[Array, Key, Key], Batch]) -> Batch:
    """Draw the images of a stream at `indices`.

    Args:
        key: key of the stream.
        indices: int32, shape (num_images,).
        draw_image: (index, label_key, noise_key) -> Batch of one image, without the leading axis. Separate keys keep
            the noise of an image the same whichever way its label is drawn.
    """

    def one(index: Array) -> Batch:
        label_key, noise_key = jax.random.split(jax.random.fold_in(key, index))
        return draw_image(index, label_key, noise_key)

    return jax.vmap(one)(indices)


def add_noise(key: Key, clean: Array, noise: float | Array) -> Array:
    """Add independent normal noise of standard deviation `noise` to every pixel of one image, float32."""
    added = jnp.asarray(noise, jnp.float32) * draw_normal(key, clean.shape)
    return as_rounded(clean) + as_rounded(added)


def draw_class(index: Array, key: Key, number: int | Array, balanced: bool | Array) -> Array:
    """Choose the class of image `index`: `index mod number` if balanced, else uniform on [0, number); int32 scalar."""
    number = jnp.asarray(number, jnp.int32)
    return jnp.where(jnp.asarray(balanced, bool), index % number, draw_uniform_labels(key, (), number))
