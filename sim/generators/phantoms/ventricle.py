"""A short-axis slice of the heart in magnetic resonance: left ventricle between lung, liver and right ventricle.

Labels: 1 the cavity of the left ventricle, its papillary muscles included; 2 its myocardium, a closed ring. The right
ventricle holds the same blood and touches the ring. Lengths in millimetres; grey value 1 is blood; the contrast is
blood minus myocardium; noise is Rician. At the default 112 mm and 64 pixels a pixel has 1.75 mm.
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp

from sim.generators.phantoms import shapes
from sim.generators.phantoms.imaging import Painted, Phantom, PhantomSpec
from sim.generators.phantoms.textures import texture_fields
from sim.generators.rendering import rician
from sim.generators.validation import require, require_whole
from sim.types import Array, Key

CAVITY_RADIUS = (17.5, 27.5)  # mm: 14 to 22 pixels of 1.25 mm
WALL = (6.9, 11.2)  # mm
SHIFT = 7.0  # mm, of the heart from the middle, each way
LUNG, LIVER, FAT = 0.15, 0.42, 0.75
GRAIN = 2.5  # mm, length of the texture


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class VentricleSpec(PhantomSpec):
    """A task of ventricles; see `PhantomSpec` for the common fields.

    Attributes:
        papillaries: papillary muscles in the cavity, 0 to 2.
    """

    extent: float | Array = 112.0
    contrast: float | Array = 0.5
    noise: float | Array = 0.05
    blur: float | Array = 1.2
    bias: float | Array = 0.15
    texture: float | Array = 0.12
    shape_variation: float | Array = 0.05
    decay: float | Array = 3.0
    papillaries: int | Array = 2

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        super().validated()
        require_whole("papillaries", self.papillaries, 0, 2)
        require("extent", ">= 108, so that the heart is in the image", self.extent, lambda side: side >= 108)
        self.require_pixels(WALL[0] / 1.5, "the wall has a pixel all round")
        return self


class Heart(NamedTuple):
    """One heart: lengths in mm, places from the image's middle, angles in radians."""

    centre: Array
    radius: Array
    wall: Array
    waves: Array  # (3, harmonics, 2): cavity, wall, right ventricle
    septum: Array
    muscles: Array  # (2, 3): down, right, radius of each papillary muscle
    right_radius: Array
    surroundings: Array  # (2,) uniform numbers
    texture: Key


def draw_scene(key: Key, spec: VentricleSpec) -> Heart:
    """Draw one heart."""
    draw_key, texture_key = jax.random.split(key)
    pool = shapes.Pool(draw_key, 29)
    centre = pool.take(2, low=-SHIFT, high=SHIFT)
    radius = pool.take(low=CAVITY_RADIUS[0], high=CAVITY_RADIUS[1])
    wall = pool.take(low=WALL[0], high=WALL[1])
    septum = jnp.pi + pool.take(low=-0.35, high=0.35)
    places = pool.take(2, 3, low=-1.0, high=1.0)
    angle = septum + jnp.pi + jnp.array([-1.15, 1.15]) + 0.25 * places[:, 0]
    away = radius * (0.66 + 0.06 * places[:, 1])
    thick = radius * (0.17 + 0.04 * places[:, 2])
    muscles = jnp.stack([centre[0] + away * jnp.sin(angle), centre[1] + away * jnp.cos(angle), thick], axis=-1)
    return Heart(
        centre, radius, wall, pool.take_waves(3, variation=spec.shape_variation, decay=spec.decay), septum, muscles,
        pool.take(low=25.0, high=33.0), pool.take(2), texture_key,
    )  # fmt: skip


def ring(heart: Heart, down: Array, right: Array) -> tuple[Array, Array]:
    """Depths inside the cavity and inside the outer contour, which is wall * (1 + wave) further out at every angle."""
    polar = shapes.seen_from(down, right, heart.centre)
    inner, inner_slope = shapes.wave(polar, heart.waves[0])
    outer, outer_slope = shapes.wave(polar, heart.waves[1])
    cavity, cavity_slope = heart.radius * (1 + inner), heart.radius * inner_slope
    outside, outside_slope = cavity + heart.wall * (1 + outer), cavity_slope + heart.wall * outer_slope
    return (
        (cavity - polar.distance) / jnp.sqrt(1 + (cavity_slope / cavity) ** 2),
        (outside - polar.distance) / jnp.sqrt(1 + (outside_slope / outside) ** 2),
    )


def paint(heart: Heart, spec: VentricleSpec, size: int) -> Painted:
    """Paint the heart and what lies around it."""
    down, right = shapes.centred_grid(size, spec.extent)
    width = jnp.asarray(spec.extent, jnp.float32) / size
    slow, grain = texture_fields(heart.texture, size, (9.0, GRAIN), spec.extent)
    muscle = 1 - jnp.asarray(spec.contrast, jnp.float32)
    inner, outer = ring(heart, down, right)
    cavity, whole = shapes.coverage(inner, width), shapes.coverage(outer, width)
    away = heart.radius + heart.wall + heart.right_radius - 16.0
    beside = heart.centre + away * jnp.stack([jnp.sin(heart.septum), jnp.cos(heart.septum)])
    right_depth = shapes.depth(shapes.seen_from(down, right, beside), heart.right_radius, heart.waves[2])
    u = heart.surroundings
    chest = 26.0 + 8.0 * u[0] - heart.radius - heart.wall + 2.0 * slow - (down - heart.centre[0] + 4.0) - 0.5 * right
    belly = (down - heart.centre[0]) - heart.radius - heart.wall - 3.0 - 5.0 * u[1] - 0.25 * right + 1.5 * slow
    signal = shapes.paint_over(
        LUNG + 0.03 * slow,
        [
            (shapes.coverage(chest - 34.0, 3 * width), FAT),
            (shapes.coverage(chest - 44.0, 2 * width), 0.8 * muscle),
            (shapes.coverage(belly, width), LIVER),
            (shapes.coverage(jnp.maximum(outer + 1.0, right_depth + 4.0) + 2.5 * slow, 2 * width), FAT),
            (shapes.coverage(right_depth + 2.5, width), muscle),
            (shapes.coverage(right_depth, width), 1.0),
            (whole, muscle),
            (cavity, 1.0),
        ],
    )
    dark = jnp.zeros_like(cavity)
    for index in range(2):
        place = shapes.seen_from(down, right, heart.muscles[index, :2])
        shown = (jnp.asarray(spec.papillaries, jnp.int32) > index).astype(jnp.float32)
        dark = jnp.maximum(dark, shown * shapes.coverage(heart.muscles[index, 2] - place.distance, width))
    dark = dark * cavity
    signal = shapes.paint_over(signal, [(dark, muscle)])
    signal = signal * (1 + jnp.asarray(spec.texture * spec.contrast, jnp.float32) * grain)
    return Painted(jnp.stack([1 - whole, cavity, whole - cavity]), signal, jnp.stack([cavity - dark, whole - cavity]))


def instances(heart: Heart, spec: VentricleSpec, size: int) -> Array:
    """One cavity."""
    return jnp.ones((size, size), jnp.int32)


def points(heart: Heart, spec: VentricleSpec) -> tuple[Array, Array]:
    """The middle of the cavity."""
    return heart.centre[None, :], jnp.ones((1,), bool)


VENTRICLE = Phantom(
    name="ventricle",
    summary="short-axis heart: cavity with papillary muscles, myocardium, right ventricle; Rician noise",
    spec=VentricleSpec,
    length="mm",
    signal="blood = 1",
    num_labels=3,
    draw_scene=draw_scene,
    paint=paint,
    instances=instances,
    points=points,
    add_noise=lambda key, clean, spec: rician(key, clean, spec.noise),
    difficulties={
        "easy": {"noise": 0.03, "bias": 0.05, "blur": 0.8, "papillaries": 0, "texture": 0.05},
        "hard": {"noise": 0.14, "bias": 0.3, "blur": 1.6, "contrast": 0.4, "shape_variation": 0.08},
        "shifted": {"contrast": 0.4, "blur": 1.7, "shape_variation": 0.08, "decay": 0.0},
    },
)
