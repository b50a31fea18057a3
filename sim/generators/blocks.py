"""Images composed of tiles: J = L^m label maps, with and without a structure that a learner can use.

Tile i of label l shows the codeword

    c_il = sqrt(signal_power) [sqrt(s) shared_l + sqrt(1 - s) own_il],   shared_l, own_il ~ N(0, I),

side by side with the other tiles, under normal noise. A relabelling permutes the names of the J maps: images, J and
the best possible accuracy stay as they are, but the labels of the tiles no longer belong to the tiles.
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp

from sim.generators.label_maps import map_labels
from sim.generators.streams import add_noise, as_rounded, draw_class, draw_codewords, draw_images
from sim.generators.validation import (
    require,
    require_fraction,
    require_not_negative,
    require_positive,
    require_shape,
    require_whole,
)
from sim.types import UNLIMITED, Array, Batch, Generator, Key

MAX_MAPS = 2**20  # a world lists all its label maps twice


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BlocksSpec:
    """A task of composed images; `tiles`, `labels` and `tile_shape` are static, the rest may be traced.

    Attributes:
        tiles: m, tiles of an image, side by side.
        labels: L, labels of a tile; J = L^m label maps, at most 2^20.
        tile_shape: (rows, columns) of a tile, in pixels; an image has (rows, m * columns).
        similarity: s in [0, 1], correlation of the codewords of one label on two tiles.
        signal_power: variance of a codeword's pixel; 0 gives images that carry no information.
        noise: standard deviation of a pixel's noise, in the units of the image.
        relabelled: rename the J maps at random; leaves the images bit-identical.
        balanced: every J consecutive images from a multiple of J show every map once, in an order drawn once;
            otherwise maps are drawn uniformly and independently.

    Example:
        >>> BlocksSpec(similarity=1.5).validated()
        Traceback (most recent call last):
        ValueError: similarity must be in [0, 1], got 1.5
    """

    tiles: int = dataclasses.field(default=2, metadata={"static": True})
    labels: int = dataclasses.field(default=4, metadata={"static": True})
    tile_shape: tuple[int, int] = dataclasses.field(default=(2, 4), metadata={"static": True})
    similarity: float | Array = 1.0
    signal_power: float | Array = 1.0
    noise: float | Array = 1.0
    relabelled: bool | Array = False
    balanced: bool | Array = True

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        require_whole("tiles", self.tiles, 1, 20)
        require_whole("labels", self.labels, 2, MAX_MAPS)
        require("labels**tiles", f"<= {MAX_MAPS}", self.labels**self.tiles, lambda maps: maps <= MAX_MAPS)
        require_shape("tile_shape", self.tile_shape)
        require_fraction("similarity", self.similarity)
        require_not_negative("signal_power", self.signal_power)
        require_positive("noise", self.noise)
        return self


class BlocksWorld(NamedTuple):
    """What all images share.

    Attributes:
        codewords: float32, shape (tiles, labels, tile rows, tile columns), before any relabelling.
        relabelling: int32, shape (J,): the map shown in the image -> the map whose digits are its labels.
        order: int32, shape (J,): the maps in the order in which balanced images show them.
    """

    codewords: Array
    relabelling: Array
    order: Array


def make_world(key: Key, spec: BlocksSpec) -> BlocksWorld:
    """Draw codewords, relabelling and order, each from its own key.

    Raises:
        ValueError: a field of the spec breaks its rule.
    """
    spec.validated()
    codeword_key, relabelling_key, order_key = jax.random.split(key, 3)
    power = jnp.asarray(spec.signal_power, jnp.float32)
    similarity = jnp.asarray(spec.similarity, jnp.float32)
    normals = draw_codewords(codeword_key, 1 + spec.tiles, (spec.labels, *spec.tile_shape))
    shared, own = normals[:1], normals[1:]
    num_maps = spec.labels**spec.tiles
    # One sort for both permutations: it is half of this function's compile time.
    permutation_keys = jnp.stack([relabelling_key, order_key])
    relabelling, order = jax.vmap(lambda each: jax.random.permutation(each, num_maps))(permutation_keys)
    return BlocksWorld(
        codewords=as_rounded(jnp.sqrt(power * similarity) * shared)
        + as_rounded(jnp.sqrt(power * (1 - similarity)) * own),
        relabelling=jnp.where(jnp.asarray(spec.relabelled, bool), relabelling, jnp.arange(num_maps)),
        order=order,
    )


def draw(key: Key, spec: BlocksSpec, world: BlocksWorld, indices: Array) -> Batch:
    """Draw the images at `indices`: float32 (num_images, rows, tiles * columns), int32 labels (num_images, tiles)."""
    tile_rows, tile_columns = spec.tile_shape

    def draw_image(index: Array, label_key: Key, noise_key: Key) -> Batch:
        place = draw_class(index, label_key, spec.labels**spec.tiles, spec.balanced)
        shown = jnp.where(jnp.asarray(spec.balanced, bool), world.order[place], place)
        tiles = world.codewords[jnp.arange(spec.tiles), map_labels(shown, spec.labels, spec.tiles)]
        clean = tiles.transpose(1, 0, 2).reshape(tile_rows, spec.tiles * tile_columns)
        labels = map_labels(world.relabelling[shown], spec.labels, spec.tiles)
        return Batch(add_noise(noise_key, clean, spec.noise), labels)

    return draw_images(key, indices, draw_image)


BLOCKS = Generator(
    name="blocks",
    summary="images of m tiles with L labels each, J = L^m maps; tile similarity and relabelling are dials",
    spec=BlocksSpec,
    make_world=make_world,
    draw=draw,
    image_shape=lambda spec: (spec.tile_shape[0], spec.tiles * spec.tile_shape[1]),
    units=lambda spec: spec.tiles,
    max_labels=lambda spec: spec.labels,
    num_labels=lambda spec: spec.labels,
    available=lambda spec, world: UNLIMITED,
)
