"""Noise images whose labels follow a rule of each pixel's neighbours: linear, a product, or a mixture of both.

    y = [sqrt(1 - t) l + sqrt(t) q + noise * e > 0],   pixels and e independent standard normal

l is the sum of the pixel and its four diagonal neighbours over sqrt 5, q the product of the left and the right
neighbour (order 2), or of the left, the right and the upper one (order 3). Both have variance 1 and are independent. At
t = 1 and order 2 the label is the exclusive or of two signs, plus noise. Labels are those of the inner pixels, whose
windows of `WINDOW` pixels lie in the image.
"""

import dataclasses
from functools import partial
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp

from sim.generators.streams import draw_normal
from sim.generators.validation import require, require_positive, require_whole
from sim.types import Array, Key

WINDOW = 5  # side in pixels of what a learner sees around a pixel; the rule itself needs 3
SIZE = 12  # labelled pixels along a side of an image


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class PatchRuleSpec:
    """A rule.

    Attributes:
        nonlinearity: t, the product's share of the score's variance, in [0, 1].
        noise: standard deviation of what is added to the score.
        order: pixels in the product, 2 or 3.
    """

    nonlinearity: float | Array = 0.0
    noise: float | Array = 0.3
    order: int | Array = 2

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        require("nonlinearity", "in [0, 1]", self.nonlinearity, lambda t: (t >= 0) & (t <= 1))
        require_positive("noise", self.noise)
        require_whole("order", self.order, 2, 3)
        return self


class RuledImages(NamedTuple):
    """Images, float32 (images, SIZE + WINDOW - 1, ditto); labels, int32 (images, SIZE, SIZE), 0 or 1."""

    images: Array
    labels: Array


def _draw_one(key: Key, spec: PatchRuleSpec, index: Array) -> RuledImages:
    pixel_key, noise_key = jax.random.split(jax.random.fold_in(key, index))
    image = draw_normal(pixel_key, (SIZE + WINDOW - 1, SIZE + WINDOW - 1))
    middle = WINDOW // 2

    def at(down: int, right: int) -> Array:
        return jax.lax.dynamic_slice(image, (middle + down, middle + right), (SIZE, SIZE))

    linear = (at(0, 0) + at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)) / jnp.sqrt(5.0)
    product = at(0, -1) * at(0, 1) * jnp.where(jnp.asarray(spec.order) == 3, at(-1, 0), 1.0)
    share = jnp.asarray(spec.nonlinearity, jnp.float32)
    score = jnp.sqrt(1 - share) * linear + jnp.sqrt(share) * product
    score = score + jnp.asarray(spec.noise, jnp.float32) * draw_normal(noise_key, (SIZE, SIZE))
    return RuledImages(image, (score > 0).astype(jnp.int32))


@partial(jax.jit, static_argnames=("first", "number"))
def _draw(key: Key, spec: PatchRuleSpec, first: int, number: int) -> RuledImages:
    return jax.lax.map(partial(_draw_one, key, spec), first + jnp.arange(number))


def draw_ruled_images(key: Key, spec: PatchRuleSpec, number: int, first: int = 0) -> RuledImages:
    """Draw images `first`, `first` + 1, ... of a stream; image i depends on (key, spec, i), its pixels on (key, i).

    Args:
        key: of the stream.
        spec: the rule.
        number: of images, at least 1. first: number of the first one.

    Raises:
        ValueError: a field of the spec or a number breaks its rule.

    Example:
        >>> import jax
        >>> found = draw_ruled_images(jax.random.key(0), PatchRuleSpec(nonlinearity=1.0), 2)
        >>> found.images.shape, found.labels.shape
        ((2, 16, 16), (2, 12, 12))
    """
    require_whole("number", number, 1, 2**20)
    require_whole("first", first, 0, 2**20)
    return _draw(key, spec.validated(), first, number)
