"""Smooth star-shaped contours in physical units, evaluated at every place of a grid without trigonometry.

A contour is r(angle) = radius * (1 + sum_k a_k cos(k angle) + b_k sin(k angle)), k in `HARMONICS`, angles from the
rightward axis towards the downward one.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from sim.types import Array, Key

HARMONICS = (2, 3, 4, 5, 6)


class Polar(NamedTuple):
    """Places seen from a centre: distance, cosine and sine of the angle; float32, equal shapes."""

    distance: Array
    cosine: Array
    sine: Array


def centred_grid(size: int, extent: float | Array) -> tuple[Array, Array]:
    """Places (down, right) of the pixel centres from the image's middle, in units of length: float32 (size, size)."""
    middle = ((jnp.arange(size, dtype=jnp.float32) + 0.5) / size - 0.5) * jnp.asarray(extent, jnp.float32)
    down, right = jnp.meshgrid(middle, middle, indexing="ij")
    return down, right


def seen_from(down: Array, right: Array, centre: Array) -> Polar:
    """Polar coordinates of places about a centre, float32 (2,), as (down, right)."""
    away_down, away_right = down - centre[0], right - centre[1]
    distance = jnp.sqrt(away_down**2 + away_right**2 + 1e-12)
    return Polar(distance, away_right / distance, away_down / distance)


def _amplitudes(variation: float | Array, decay: float | Array) -> Array:
    power = jnp.exp(-jnp.asarray(decay, jnp.float32) * jnp.log(jnp.asarray(HARMONICS, jnp.float32)))
    return jnp.asarray(variation, jnp.float32) * jnp.sqrt(2 * power / jnp.sum(power))


def largest_wave(variation: float | Array, decay: float | Array) -> Array:
    """Bound of |r / radius - 1| over all contours of `Pool.take_waves`."""
    return jnp.sum(_amplitudes(variation, decay))


def wave(polar: Polar, waves: Array) -> tuple[Array, Array]:
    """The sum over harmonics at each place's angle, and its derivative by the angle.

    Args:
        waves: float32, shape (harmonics, 2).
    """
    cosine, sine = polar.cosine, polar.sine
    value = slope = jnp.zeros_like(cosine)
    for index, order in enumerate(HARMONICS):
        cosine, sine = cosine * polar.cosine - sine * polar.sine, sine * polar.cosine + cosine * polar.sine
        a, b = waves[index, 0], waves[index, 1]
        value = value + a * cosine + b * sine
        slope = slope + order * (b * cosine - a * sine)
    return value, slope


def depth(polar: Polar, radius: float | Array, waves: Array) -> Array:
    """Distance of each place inside a contour from it, negative outside; exact to first order near the contour."""
    value, slope = wave(polar, waves)
    reach = radius * (1 + value)
    return (reach - polar.distance) / jnp.sqrt(1 + (radius * slope / reach) ** 2)


def coverage(depths: Array, width: float | Array) -> Array:
    """Share of a point's square of side `width` that lies inside an edge at distance `depths`."""
    return jnp.clip(0.5 + depths / jnp.asarray(width, jnp.float32), 0.0, 1.0)


def paint_over(signal: Array, layers: Sequence[tuple[Array, float | Array]]) -> Array:
    """Paint layers (share, level) over a signal, later ones over earlier ones."""
    for share, level in layers:
        signal = signal + share * (jnp.asarray(level, jnp.float32) - signal)
    return signal


def turned(image: Array, pose: int | Array) -> Array:
    """The image turned by pose mod 4 quarter turns anticlockwise, mirrored left to right first from pose 4 on."""
    pose = jnp.asarray(pose, jnp.int32)
    image = jnp.where(pose >= 4, image[:, ::-1], image)
    image = jnp.where(pose % 4 >= 2, image[::-1, ::-1], image)
    return jnp.where(pose % 2 == 1, image.T[::-1], image)


def turned_back(image: Array, pose: int | Array) -> Array:
    """The inverse of `turned`: a turned and mirrored image is its own inverse, a turned one goes the other way."""
    pose = jnp.asarray(pose, jnp.int32)
    return turned(image, jnp.where(pose >= 4, pose, (4 - pose) % 4))


def turned_points(points: Array, pose: int | Array) -> Array:
    """Points (down, right) from the middle, float32 (number, 2), moved as `turned` moves pixels."""
    pose = jnp.asarray(pose, jnp.int32)
    down, right = points[:, 0], jnp.where(pose >= 4, -points[:, 1], points[:, 1])
    half = jnp.where(pose % 4 >= 2, -1.0, 1.0)
    down, right = down * half, right * half
    odd = pose % 2 == 1
    return jnp.stack([jnp.where(odd, -right, down), jnp.where(odd, down, right)], axis=-1)


class Pool:
    """Uniform numbers drawn at once and handed out in order: each separate draw costs a tenth of a second to compile.

    Example:
        >>> import jax
        >>> pool = Pool(jax.random.key(0), 6)
        >>> pool.take(2, 3).shape
        (2, 3)
        >>> pool.take()
        Traceback (most recent call last):
        ValueError: a pool of 6 numbers has 0 left, got a request for 1
    """

    def __init__(self, key: Key, number: int) -> None:
        self._numbers, self._used = jax.random.uniform(key, (number,)), 0

    def take(self, *shape: int, low: float | Array = 0.0, high: float | Array = 1.0) -> Array:
        """The next numbers, float32 of the given shape, uniform between the bounds."""
        number, total = math.prod(shape), len(self._numbers)
        if self._used + number > total:
            raise ValueError(f"a pool of {total} numbers has {total - self._used} left, got a request for {number}")
        numbers = self._numbers[self._used : self._used + number].reshape(shape)
        self._used += number
        return low + (high - low) * numbers

    def take_normal(self, *shape: int) -> Array:
        """The next numbers, standard normal, at most 5.4 standard deviations out."""
        return ndtri(jnp.clip(self.take(*shape), 2.0**-25, 1 - 2.0**-24))

    def take_ranks(self, number: int) -> Array:
        """A random order: int32, shape (number,), every number from 0 once."""
        return jnp.argsort(self.take(number)).astype(jnp.int32)

    def take_waves(self, *shape: int, variation: float | Array, decay: float | Array) -> Array:
        """Coefficients of random contours whose root-mean-square deviation from the circle is exactly `variation`.

        The power of harmonic k falls as k^-decay: 2 gives smooth ovals, 0 or less gives lobes.

        Returns:
            float32, shape (*shape, harmonics, 2): cosine and sine coefficients, relative to the radius.
        """
        phase = self.take(*shape, len(HARMONICS), high=2 * jnp.pi)
        amplitude = jnp.broadcast_to(_amplitudes(variation, decay), phase.shape)
        return jnp.stack([amplitude * jnp.cos(phase), amplitude * jnp.sin(phase)], axis=-1)


class Rivals(NamedTuple):
    """At each place the two objects that it lies deepest in: their depths, float32, and numbers, int32."""

    first: Array
    second: Array
    owner: Array
    runner_up: Array


def deepest_two(depth_in: Callable[[Any], Array], objects: Any, shape: tuple[int, ...]) -> Rivals:
    """The two largest of the objects' depths at each place, in one pass; the first of those that tie.

    Args:
        depth_in: one object -> float32 of the given shape, above -1e30.
        objects: a pytree with the objects along the first axis of its leaves, two or more.
    """

    def step(best: Rivals, numbered: tuple[Array, Any]) -> tuple[Rivals, None]:
        index, item = numbered
        depths = depth_in(item)
        leads, follows = depths > best.first, depths > best.second
        return Rivals(
            jnp.where(leads, depths, best.first),
            jnp.where(leads, best.first, jnp.where(follows, depths, best.second)),
            jnp.where(leads, index, best.owner),
            jnp.where(leads, best.owner, jnp.where(follows, index, best.runner_up)),
        ), None

    low, none = jnp.full(shape, -1e30, jnp.float32), jnp.zeros(shape, jnp.int32)
    number = jax.tree.leaves(objects)[0].shape[0]
    start = Rivals(low, low, none, none)
    # A few a pass: the maps stay in registers longer, and the program stays small.
    return jax.lax.scan(step, start, (jnp.arange(number, dtype=jnp.int32), objects), unroll=min(number, 3))[0]


def union(share_in: Callable[[Any], Array], objects: Any, shape: tuple[int, ...]) -> Array:
    """The largest of the objects' shares at each place, 0 or more.

    Args:
        share_in: one object -> float32 of the given shape.
        objects: a pytree with the objects along the first axis of its leaves.
    """

    def step(largest: Array, item: Any) -> tuple[Array, None]:
        return jnp.maximum(largest, share_in(item)), None

    return jax.lax.scan(step, jnp.zeros(shape, jnp.float32), objects)[0]
