"""One closed shape in noise, alone or with a neighbour that touches it: images for contours and their starts.

    image = contrast * blur of (share of the object + NEIGHBOUR * share of the neighbour) + noise

The unit of grey values is the noise of a pixel, the unit of length the pixel. The neighbour's grey value lies between
object and background, so the edge between the two is there, and weaker than the neighbour's own outer edge.
"""

import dataclasses
from functools import partial
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp

from sim.generators.phantoms.shapes import Pool, centred_grid, coverage, depth, seen_from, wave
from sim.generators.rendering import blur_matrix
from sim.generators.streams import draw_normal
from sim.generators.validation import require, require_positive, require_whole
from sim.types import Array, Key

SPREAD = 0.15  # of the radius, as a share of its mean, each way
SHIFT = 4.0  # pixels, of the object from the middle, each way
VARIATION, DECAY = 0.08, 2.0  # of the contour, as in `Pool.take_waves`
BLUR = 1.0  # pixels
NEIGHBOUR, SIZE = 0.7, 0.8  # grey value and radius of the neighbour relative to the object's
GRID_SIZE = 64


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class ClosedShapeSpec:
    """A task of closed shapes.

    Attributes:
        contrast: strength of the object's edge: grey value inside minus outside, in standard deviations of the noise.
        clutter: whether a neighbour touches the object.
        radius: mean radius of the object in pixels, 6 to 18.
    """

    contrast: float | Array = 4.0
    clutter: bool | Array = False
    radius: float | Array = 17.0

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        require_positive("contrast", self.contrast)
        require_whole("clutter", self.clutter, 0, 1)
        require("radius", "in [6, 18], so that the object is in the image", self.radius, lambda r: (r >= 6) & (r <= 18))
        return self


class Shapes(NamedTuple):
    """Drawn images: float32 and bool, both of shape (images, rows, columns)."""

    images: Array
    masks: Array


def _draw_one(key: Key, spec: ClosedShapeSpec, index: Array) -> tuple[Array, Array]:
    shape_key, noise_key = jax.random.split(jax.random.fold_in(key, index))
    pool = Pool(shape_key, 14)
    centre = pool.take(2, low=-SHIFT, high=SHIFT)
    radius = jnp.asarray(spec.radius, jnp.float32) * pool.take(low=1 - SPREAD, high=1 + SPREAD)
    waves, angle = pool.take_waves(variation=VARIATION, decay=DECAY), pool.take(high=2 * jnp.pi)
    down, right = centred_grid(GRID_SIZE, float(GRID_SIZE))
    own = coverage(depth(seen_from(down, right, centre), radius, waves), 1.0)
    # The neighbour is a disc whose edge meets the object's contour a pixel inside it.
    direction = jnp.stack([jnp.sin(angle), jnp.cos(angle)])
    there = seen_from(direction[0], direction[1], jnp.zeros(2))
    reach = radius * (1 + wave(there, waves)[0])
    other = seen_from(down, right, centre + (reach + SIZE * radius - 1.0) * direction)
    beside = coverage(SIZE * radius - other.distance, 1.0) * (1 - own) * jnp.asarray(spec.clutter, jnp.float32)
    matrix = blur_matrix(GRID_SIZE, jnp.asarray(BLUR, jnp.float32))
    clean = jnp.asarray(spec.contrast, jnp.float32) * (matrix @ (own + NEIGHBOUR * beside) @ matrix.T)
    return clean + draw_normal(noise_key, clean.shape), own > 0.5


@partial(jax.jit, static_argnames="number")
def _draw(key: Key, spec: ClosedShapeSpec, number: int) -> Shapes:
    return Shapes(*jax.lax.map(partial(_draw_one, key, spec), jnp.arange(number)))


def draw_closed_shapes(key: Key, spec: ClosedShapeSpec, number: int) -> Shapes:
    """Draw the first images of a stream; image i depends on (key, spec, i) alone, and its object on (key, i).

    Args:
        key: of the stream.
        spec: the task.
        number: of images, at least 1.

    Raises:
        ValueError: a field of the spec or the number breaks its rule.

    Example:
        >>> import jax
        >>> found = draw_closed_shapes(jax.random.key(0), ClosedShapeSpec(clutter=True), 2)
        >>> found.images.shape, bool(found.masks[0, 32, 32])
        ((2, 64, 64), True)
    """
    require_whole("number", number, 1, 2**20)
    return _draw(key, spec.validated(), number)
