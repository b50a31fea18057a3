"""Label maps drawn uniformly from a dictionary of 2^bits disc maps: few label maps in an image of many pixels.

A scene is one disc, cut off at the border of its square: 256 centres on a lattice, four radii, 1,024 scenes in all.
Lengths are shares of the square's side, so a scene is the same at every `grid_size` (refine), or an image is a mosaic
of independent scenes whose pixels keep their size (extend: `scenes` grows with `grid_size`).

image = spacing * label + noise * N(0, 1),   pixel by pixel, 0 and without noise in the frame around it
"""

import dataclasses
from functools import lru_cache
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from sim.generators.streams import add_noise, draw_images, draw_uniform_labels
from sim.generators.validation import require, require_positive, require_whole
from sim.types import UNLIMITED, Array, Batch, Generator, Key

LATTICE = 16  # centres along a side, in the middle of the cells of a square lattice
RADII = (2, 3, 4, 5)  # in cells of the lattice
MOST_BITS = 10  # log2 of the scenes that exist


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DictionarySpec:
    """A task of dictionary maps; `grid_size`, `scenes`, `frame`, `spread` and `max_labels` are static.

    Attributes:
        grid_size: side of the image without its frame, in pixels.
        scenes: scenes along a side. A scene has grid_size / scenes pixels on a side, a multiple of 8 and 16 or more:
            then all 1,024 differ.
        frame: pixels of background without noise on every side: outputs that nothing depends on.
        spread: maps that lie far apart, the same for every key, instead of maps drawn by chance.
        max_labels: room for labels.
        labels: L, labels that an output may take, 2 to `max_labels`; only 0 and 1 occur.
        bits: the dictionary holds 2^bits maps, 2 to 10; every radius has a quarter of them.
        spacing: grey value of label 1; label 0 has 0.
        noise: standard deviation of a pixel's noise.

    Example:
        >>> DictionarySpec(grid_size=16, scenes=4).validated()
        Traceback (most recent call last):
        ValueError: grid_size / scenes must be a multiple of 8, >= 16, got 4.0
    """

    grid_size: int = dataclasses.field(default=16, metadata={"static": True})
    scenes: int = dataclasses.field(default=1, metadata={"static": True})
    frame: int = dataclasses.field(default=0, metadata={"static": True})
    spread: bool = dataclasses.field(default=False, metadata={"static": True})
    max_labels: int = dataclasses.field(default=2, metadata={"static": True})
    labels: int | Array = 2
    bits: int | Array = MOST_BITS
    spacing: float | Array = 2.0
    noise: float | Array = 1.0

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        require_whole("grid_size", self.grid_size, 16, 2**12)
        require_whole("scenes", self.scenes, 1, self.grid_size)
        side = self.grid_size / self.scenes
        require("grid_size / scenes", "a multiple of 8, >= 16", side, lambda pixels: (pixels >= 16) & (pixels % 8 == 0))
        require_whole("frame", self.frame, 0, 2**12)
        require_whole("max_labels", self.max_labels, 2, 2**15)
        require_whole("labels", self.labels, 2, self.max_labels)
        require_whole("bits", self.bits, 2, MOST_BITS)
        require("spacing", "finite", self.spacing, np.isfinite)
        require_positive("noise", self.noise)
        return self


class DictionaryWorld(NamedTuple):
    """What all images share.

    Attributes:
        maps: int32, 0 or 1, shape (1024, pixels of a scene); the first 2^bits are the dictionary.
    """

    maps: Array


def scene_maps(side: int) -> Any:
    """All scenes on a grid of side x side pixels: int32, shape (radii, centres, pixels); a pixel shows its centre.

    Whole numbers throughout (lengths in units of 1 / (2 side LATTICE)), so that no rounding decides about an edge.
    """
    pixel = (2 * np.arange(side) + 1) * LATTICE
    centre = (2 * np.arange(LATTICE) + 1) * side
    squared = (pixel[None, :] - centre[:, None]) ** 2  # along one axis: (centres, pixels)
    distance = squared[:, None, :, None] + squared[None, :, None, :]
    reach = (2 * side * np.array(RADII)) ** 2
    inside = distance[None] <= reach[:, None, None, None, None]
    return inside.reshape(len(RADII), LATTICE**2, side**2).astype(np.int32)


@lru_cache(maxsize=16)
def spread_order(side: int, bits: int = MOST_BITS) -> tuple[int, ...]:
    """Farthest-point order of the scenes, radii in turn: each is the one whose nearest among those before is farthest.

    Distance is the number of pixels that differ. The first is the small disc nearest to the corner; a tie goes to the
    first. Returns 2^bits numbers of scenes, radius * 256 + centre.
    """
    maps = scene_maps(side).reshape(-1, side**2).astype(np.float32)
    size, radius = maps.sum(axis=1), np.arange(len(maps)) // LATTICE**2
    order, nearest = [0], np.full(len(maps), np.inf)
    while len(order) < 2**bits:
        last = order[-1]
        nearest = np.minimum(nearest, size + size[last] - 2 * maps @ maps[last])
        nearest[last] = -1.0
        order.append(int(np.argmax(np.where(radius == len(order) % len(RADII), nearest, -1.0))))
    return tuple(order)


@lru_cache(maxsize=64)
def minimum_distance(side: int, bits: int) -> int:
    """Smallest number of pixels in which two maps of a spread dictionary differ.

    Example:
        >>> minimum_distance(16, 2) > minimum_distance(16, 6) > minimum_distance(16, 10)
        True
    """
    maps = scene_maps(side).reshape(-1, side**2)[list(spread_order(side, bits))].astype(np.float32)
    size = maps.sum(axis=1)
    distance = size[:, None] + size[None, :] - 2 * maps @ maps.T
    return int(np.min(distance[~np.eye(len(maps), dtype=bool)]))


def make_world(key: Key, spec: DictionarySpec) -> DictionaryWorld:
    """Put the scenes into an order of which any start is a dictionary: by chance within each radius, radii in turn.

    Raises:
        ValueError: a field of the spec breaks its rule.
    """
    spec.validated()
    side = spec.grid_size // spec.scenes
    maps = jnp.asarray(scene_maps(side))
    if spec.spread:
        return DictionaryWorld(maps.reshape(-1, side**2)[jnp.asarray(spread_order(side), jnp.int32)])
    orders = [jax.random.permutation(jax.random.fold_in(key, radius), LATTICE**2) for radius in range(len(RADII))]
    mixed = jnp.stack([part[order] for part, order in zip(maps, orders, strict=True)], axis=1)
    return DictionaryWorld(mixed.reshape(-1, side**2))


def draw(key: Key, spec: DictionarySpec, world: DictionaryWorld, indices: Array) -> Batch:
    """Draw the images at `indices`: float32 (num_images, side, side), int32 labels (num_images, side^2), side with
    its frame. The interior of an image depends neither on the frame nor on the number of labels."""
    number = jnp.left_shift(1, jnp.asarray(spec.bits, jnp.int32))

    def draw_image(index: Array, label_key: Key, noise_key: Key) -> Batch:
        chosen = draw_uniform_labels(label_key, (spec.scenes**2,), number)
        labels = _join(world.maps[chosen], spec)
        clean = jnp.asarray(spec.spacing, jnp.float32) * labels.astype(jnp.float32)
        image = add_noise(noise_key, clean, spec.noise)
        return Batch(jnp.pad(image, spec.frame), jnp.pad(labels, spec.frame).reshape(-1))

    return draw_images(key, indices, draw_image)


def _join(maps: Array, spec: DictionarySpec) -> Array:
    """Scenes (scenes^2, pixels of a scene) -> one map (grid_size, grid_size)."""
    side, along = spec.grid_size // spec.scenes, spec.scenes
    return maps.reshape(along, along, side, side).swapaxes(1, 2).reshape(spec.grid_size, spec.grid_size)


def split_scenes(images: Array, spec: DictionarySpec) -> Array:
    """Cut images into their scenes, without the frame: (batch, side, side) -> (batch, scenes^2, pixels of a scene)."""
    side, along = spec.grid_size // spec.scenes, spec.scenes
    inner = images[:, spec.frame : spec.frame + spec.grid_size, spec.frame : spec.frame + spec.grid_size]
    return inner.reshape(-1, along, side, along, side).swapaxes(2, 3).reshape(-1, along**2, side**2)


def join_scenes(scenes: Array, spec: DictionarySpec) -> Array:
    """The inverse of `split_scenes` with zeros in the frame, pixels in a row: (batch, scenes^2, pixels) -> (batch,
    side^2)."""
    joined = jax.vmap(lambda maps: jnp.pad(_join(maps, spec), spec.frame))(scenes)
    return joined.reshape(scenes.shape[0], -1)


def interior(spec: DictionarySpec) -> Any:
    """Numbers of the pixels inside the frame; None where there is none, so that all are scored."""
    if spec.frame == 0:
        return None
    side = spec.grid_size + 2 * spec.frame
    within = np.arange(spec.frame, spec.frame + spec.grid_size)
    return (within[:, None] * side + within[None, :]).ravel()


DICTIONARY = Generator(
    name="dictionary",
    summary="one disc a scene out of 2^bits, at any grid size, alone or as a mosaic; exact posterior by enumeration",
    spec=DictionarySpec,
    make_world=make_world,
    draw=draw,
    image_shape=lambda spec: (spec.grid_size + 2 * spec.frame,) * 2,
    units=lambda spec: (spec.grid_size + 2 * spec.frame) ** 2,
    max_labels=lambda spec: spec.max_labels,
    num_labels=lambda spec: spec.labels,
    available=lambda spec, world: UNLIMITED,
    scored=interior,
)
