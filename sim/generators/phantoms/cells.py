"""Touching fluorescent cells under a microscope: uneven light, blur, photon noise.

Label: 1 cells; a thin gap of background keeps neighbours apart, and `details(...).instances` numbers them. Lengths in
micrometres; grey values are brightness above the dark camera, with `haze` the mean background; the contrast is the mean
cell body minus the background. Noise is Poisson and Gaussian, `noise` its standard deviation at grey value 1.
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp

from sim.generators.phantoms import shapes
from sim.generators.phantoms.imaging import Painted, Phantom, PhantomSpec
from sim.generators.phantoms.textures import texture_fields
from sim.generators.rendering import poisson_gaussian
from sim.generators.validation import require, require_not_negative, require_positive, require_whole
from sim.types import Array, Key

SIDE = 4  # sites along a side
ROOM = SIDE * SIDE
SPACING = 15.0  # micrometres between sites
JITTER = 2.0  # micrometres, each way
SIZES = (0.88, 1.12)  # of a radius over its mean
GRAIN = 1.4  # micrometres
NUCLEUS = 0.45  # radius over the cell's


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class CellsSpec(PhantomSpec):
    """A task of cells; see `PhantomSpec` for the common fields.

    Attributes:
        cells: cells of an image, 1 to 16; they gather around a random place.
        radius: mean radius, micrometres; sites are 15 apart, so that cells of radius 7.5 and more touch.
        gap: background between touching cells, micrometres.
        brightness_variation: standard deviation of the logarithm of the cells' brightness.
        nucleus: nucleus over cell body in brightness, minus 1.
        haze: grey value of the background.
        photon_share: share of the noise's variance at grey value 1 that photons have.
    """

    extent: float | Array = 64.0
    contrast: float | Array = 1.0
    noise: float | Array = 0.2
    blur: float | Array = 1.1
    bias: float | Array = 0.35
    texture: float | Array = 0.15
    shape_variation: float | Array = 0.05
    cells: int | Array = 12
    radius: float | Array = 7.8
    gap: float | Array = 1.2
    brightness_variation: float | Array = 0.35
    nucleus: float | Array = 0.6
    haze: float | Array = 0.3
    photon_share: float | Array = 0.8

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        super().validated()
        require_whole("cells", self.cells, 1, ROOM)
        require("radius", "in [4, 8.5]", self.radius, lambda radius: (radius >= 4) & (radius <= 8.5))
        require("gap", "in [0, 2.5]", self.gap, lambda gap: (gap >= 0) & (gap <= 2.5))
        require("shape_variation", "in [0, 0.1]", self.shape_variation, lambda share: share <= 0.1)
        for name in ("brightness_variation", "nucleus", "haze"):
            require_not_negative(name, getattr(self, name))
        require("photon_share", "in (0, 1]", self.photon_share, lambda share: (share > 0) & (share <= 1))
        require_positive("haze", self.haze)
        require("extent", ">= 62, so that all cells' centres are in the image", self.extent, lambda side: side >= 62)
        self.require_pixels(2.8, "every cell has a pixel")
        return self


class Cells(NamedTuple):
    """The cells of one image: lengths in micrometres, places from the image's middle."""

    centres: Array  # (ROOM, 2)
    radii: Array  # (ROOM,)
    waves: Array  # (ROOM, harmonics, 2)
    brightness: Array  # (ROOM,)
    nuclei: Array  # (ROOM, 2) displacements
    present: Array  # (ROOM,) bool
    texture: Key


def draw_scene(key: Key, spec: CellsSpec) -> Cells:
    """Draw the cells of one image."""
    draw_key, texture_key = jax.random.split(key)
    pool = shapes.Pool(draw_key, 2 + ROOM * 12)
    line = (jnp.arange(SIDE, dtype=jnp.float32) - (SIDE - 1) / 2) * SPACING
    down, right = jnp.meshgrid(line, line, indexing="ij")
    shift = jnp.where(jnp.arange(SIDE) % 2 == 0, 0.25, -0.25)[:, None] * SPACING  # rows in quincunx, as cells pack
    sites = jnp.stack([down, right + shift], axis=-1).reshape(ROOM, 2)
    centres = sites + pool.take(ROOM, 2, low=-JITTER, high=JITTER)
    focus = pool.take(1, 2, low=-1.5 * SPACING, high=1.5 * SPACING)
    far = jnp.sum((centres - focus) ** 2, axis=-1) * pool.take(ROOM, low=0.4, high=1.6)
    rank = jnp.argsort(jnp.argsort(far))
    variation = jnp.asarray(spec.brightness_variation, jnp.float32)
    brightness = jnp.exp(variation * pool.take_normal(ROOM) - 0.5 * variation**2)  # mean 1
    return Cells(
        centres,
        jnp.asarray(spec.radius, jnp.float32) * pool.take(ROOM, low=SIZES[0], high=SIZES[1]),
        pool.take_waves(ROOM, variation=spec.shape_variation, decay=spec.decay),
        brightness,
        pool.take(ROOM, 2, low=-1.3, high=1.3),
        rank < jnp.asarray(spec.cells, jnp.int32),
        texture_key,
    )


def compete(scene: Cells, spec: CellsSpec, down: Array, right: Array) -> tuple[Array, Array]:
    """Depth inside the cells, micrometres, and which cell each place belongs to.

    A place belongs to the cell inside whose contour it is deepest; the second deepest ends half a gap from there.
    """

    def depth_in(cell: tuple[Array, Array, Array, Array]) -> Array:
        centre, radius, waves, present = cell
        polar = shapes.seen_from(down, right, centre)
        return jnp.where(present, radius * (1 + shapes.wave(polar, waves)[0]) - polar.distance, -1e4)

    rivals = shapes.deepest_two(depth_in, (scene.centres, scene.radii, scene.waves, scene.present), down.shape)
    between = 0.5 * (rivals.first - rivals.second - jnp.asarray(spec.gap, jnp.float32))
    return jnp.minimum(rivals.first, between), rivals.owner


def paint(scene: Cells, spec: CellsSpec, size: int) -> Painted:
    """Paint the background, then each place with the brightness of its cell."""
    down, right = shapes.centred_grid(size, spec.extent)
    width = jnp.asarray(spec.extent, jnp.float32) / size
    grain, slow = texture_fields(scene.texture, size, (GRAIN, 9.0), spec.extent)
    inside, owner = compete(scene, spec, down, right)
    share = shapes.coverage(inside, width)
    middles = (scene.centres + scene.nuclei)[owner]
    distance = jnp.sqrt((down - middles[..., 0]) ** 2 + (right - middles[..., 1]) ** 2)
    nucleus = shapes.coverage(NUCLEUS * scene.radii[owner] - distance, 2 * width)
    level = scene.brightness[owner]
    contrast = jnp.asarray(spec.contrast, jnp.float32)
    grain = jnp.asarray(spec.texture, jnp.float32) * grain
    light = contrast * level * (1 + jnp.asarray(spec.nucleus, jnp.float32) * nucleus) * (1 + grain)
    haze = jnp.asarray(spec.haze, jnp.float32) * (1 + 0.15 * slow)
    return Painted(jnp.stack([1 - share, share]), haze + share * light, jnp.stack([share * (1 - nucleus), 1 - share]))


def instances(scene: Cells, spec: CellsSpec, size: int) -> Array:
    """The cell that each place belongs to, numbered from 1 in the order of the points."""
    return 1 + compete(scene, spec, *shapes.centred_grid(size, spec.extent))[1]


def points(scene: Cells, spec: CellsSpec) -> tuple[Array, Array]:
    """The cells' centres."""
    return scene.centres, scene.present


CELLS = Phantom(
    name="cells",
    summary="touching fluorescent cells of uneven brightness under uneven light; Poisson and Gaussian noise",
    spec=CellsSpec,
    length="micrometres",
    signal="mean cell body minus background = contrast",
    num_labels=2,
    draw_scene=draw_scene,
    paint=paint,
    instances=instances,
    points=points,
    add_noise=lambda key, clean, spec: poisson_gaussian(key, clean, spec.noise, spec.photon_share),
    difficulties={
        "easy": {"noise": 0.08, "bias": 0.1, "radius": 6.5, "gap": 2.0, "brightness_variation": 0.1},
        "hard": {"noise": 0.4, "bias": 0.5, "blur": 1.8, "gap": 0.8, "cells": 16, "brightness_variation": 0.5},
        "shifted": {"contrast": 0.7, "blur": 1.8, "shape_variation": 0.08, "decay": 0.0},
    },
)
