"""An abdominal slice in computed tomography: a liver that touches neighbours of nearly its own density.

Label: 1 the liver, its vessels included; one star-shaped region. Lengths in millimetres. Grey values are (HU - 100)/50,
windowed at -200 and 300 HU: the liver is at 0, fat at -4. The contrast, in HU, is liver minus the organs pressed
against it; noise, in HU, is Gaussian and correlated over `noise_length`.
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from sim.generators.phantoms import shapes
from sim.generators.phantoms.imaging import Painted, Phantom, PhantomSpec
from sim.generators.phantoms.textures import squashed, texture_fields
from sim.generators.phantoms.tomography import DARKNESS, UNIT, add_noise, grey
from sim.generators.validation import require, require_not_negative
from sim.types import Array, Key

HALF_WIDTH, HALF_DEPTH = 150.0, 108.0  # mm, of the body
SKIN, WALL = 10.0, 14.0  # mm of fat and of muscle around the abdomen
BODY_AREA = float(np.pi) * HALF_WIDTH * HALF_DEPTH
AREA_SHARE = (0.2, 0.29)  # of the liver in the body, before the wall presses on it
VESSELS = 6
NEIGHBOURS = (-1.0, 0.1, 1.2)  # radians, from the rightward axis downwards, seen from the liver
AIR, FAT, MUSCLE, BONE = -200.0, -95.0, 62.0, 260.0
MOTTLE = 4.0  # mm


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class LiverSpec(PhantomSpec):
    """A task of livers; see `PhantomSpec` for the common fields.

    Attributes:
        contact: share of the liver's contour, by angle, that neighbours press against.
        vessel_contrast: vessels minus liver, HU.
        noise_length: mm, standard deviation of the kernel that correlates the noise.
    """

    extent: float | Array = 336.0
    contrast: float | Array = 10.0
    noise: float | Array = 16.0
    blur: float | Array = 1.2
    bias: float | Array = 0.01
    texture: float | Array = 0.4
    shape_variation: float | Array = 0.05
    contact: float | Array = 0.35
    vessel_contrast: float | Array = 45.0
    noise_length: float | Array = 2.0

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        super().validated()
        require("contact", "in [0, 0.5]", self.contact, lambda share: (share >= 0) & (share <= 0.5))
        require_not_negative("vessel_contrast", self.vessel_contrast)
        require_not_negative("noise_length", self.noise_length)
        require("extent", ">= 336, so that the body is in the image", self.extent, lambda side: side >= 336)
        self.require_pixels(20.0, "the liver has pixels")
        return self


class Abdomen(NamedTuple):
    """One slice: lengths in mm, places from the image's middle, angles in radians."""

    body: Array  # (2,) factors of the body's axes
    centre: Array
    radius: Array
    waves: Array  # (5, harmonics, 2): liver, body, spleen, stomach, kidneys
    sectors: Array  # (3,) middles of the neighbours
    thickness: Array  # (3,) of the neighbours
    vessels: Array  # (VESSELS, 4): direction, length, bend, width
    organs: Array  # (5, 2) displacements
    texture: Key


def draw_scene(key: Key, spec: LiverSpec) -> Abdomen:
    """Draw one slice."""
    draw_key, texture_key = jax.random.split(key)
    pool = shapes.Pool(draw_key, 70 + 4 * VESSELS)
    body = pool.take(2, low=0.95, high=1.05)
    centre = jnp.array([-14.0, -62.0]) + pool.take(2, low=-8.0, high=8.0)
    waves = pool.take_waves(5, variation=spec.shape_variation, decay=spec.decay)
    # A right lobe that fills the flank and a left lobe that tapers across the middle.
    lobes = jnp.zeros(waves.shape[1:]).at[0].set(jnp.array([0.08, -0.12])).at[1].set(jnp.array([0.1, -0.07]))
    waves = waves.at[0].add(lobes)
    share = pool.take(low=AREA_SHARE[0], high=AREA_SHARE[1])
    radius = jnp.sqrt(share * BODY_AREA * jnp.prod(body) / jnp.pi / (1 + 0.5 * jnp.sum(waves[0] ** 2)))
    draws = pool.take(VESSELS, 4)
    vessels = jnp.stack(
        [
            jnp.pi + (jnp.arange(VESSELS, dtype=jnp.float32) - 2.5) * 0.62 + 0.4 * (draws[:, 0] - 0.5),
            radius * (0.55 + 0.5 * draws[:, 1]),
            radius * 0.5 * (draws[:, 2] - 0.5),
            3.6 + 2.4 * draws[:, 3],
        ],
        axis=-1,
    )
    return Abdomen(
        body, centre, radius, waves, jnp.array(NEIGHBOURS) + pool.take(3, low=-0.04, high=0.04),
        pool.take(3, low=20.0, high=34.0), vessels, pool.take(5, 2, low=-6.0, high=6.0), texture_key,
    )  # fmt: skip


def body_depth(scene: Abdomen, down: Array, right: Array) -> Array:
    """Depth under the skin, mm; an oval."""
    squeeze = HALF_WIDTH * scene.body[1] / (HALF_DEPTH * scene.body[0])
    polar = shapes.seen_from(down * squeeze, right, jnp.zeros(2))
    radius = HALF_WIDTH * scene.body[1]
    oval = radius * (1 + 0.25 * shapes.wave(polar, scene.waves[1])[0])
    # Distance in the squeezed plane over the length of its gradient: exact to first order.
    gradient = jnp.sqrt((squeeze * polar.sine) ** 2 + polar.cosine**2)
    return (oval - polar.distance) / gradient


def liver_depth(scene: Abdomen, inside: Array, down: Array, right: Array) -> tuple[Array, shapes.Polar]:
    """Depth inside the liver, which ends at the abdominal wall; and places seen from its centre."""
    polar = shapes.seen_from(down, right, scene.centre)
    own = shapes.depth(polar, scene.radius, scene.waves[0])
    return jnp.minimum(own, inside - SKIN - WALL), polar


def neighbour_thickness(scene: Abdomen, spec: LiverSpec, polar: shapes.Polar) -> Array:
    """How far the neighbours reach outwards from the liver's contour at each place's angle, mm; 0 between them."""
    half = 2 * jnp.pi * jnp.asarray(spec.contact, jnp.float32) / 3 / 2

    def bulge(neighbour: tuple[Array, Array]) -> Array:
        sector, thickness = neighbour
        cosine = polar.cosine * jnp.cos(sector) + polar.sine * jnp.sin(sector)
        apart = jnp.arccos(jnp.clip(cosine, -1.0, 1.0)) / jnp.maximum(half, 1e-6)
        return thickness * jnp.sqrt(jnp.maximum(1 - apart**2, 0.0))

    return shapes.union(bulge, (scene.sectors, scene.thickness), polar.cosine.shape)


def vessel_cover(scene: Abdomen, down: Array, right: Array, width: Array) -> Array:
    """Share of vessels: bent, tapering branches from the liver's gate."""
    gate = scene.centre + scene.radius * jnp.array([0.2, 0.35])
    away_down, away_right = down - gate[0], right - gate[1]

    def branch(vessel: Array) -> Array:
        angle, length, bend, thick = vessel
        along = away_right * jnp.cos(angle) + away_down * jnp.sin(angle)
        across = away_down * jnp.cos(angle) - away_right * jnp.sin(angle)
        part = jnp.clip(along / length, 0.0, 1.0)
        gap = jnp.sqrt((along - part * length) ** 2 + (across - bend * part**2) ** 2)
        return shapes.coverage(thick * (1 - 0.65 * part) - gap, width)

    return shapes.union(branch, scene.vessels, down.shape)


def paint(scene: Abdomen, spec: LiverSpec, size: int) -> Painted:
    """Paint the slice from the skin inwards."""
    down, right = shapes.centred_grid(size, spec.extent)
    width = jnp.asarray(spec.extent, jnp.float32) / size
    loops, mottle = texture_fields(scene.texture, size, (11.0, MOTTLE), spec.extent)
    liver_level = 100.0
    inside = body_depth(scene, down, right)
    liver, polar = liver_depth(scene, inside, down, right)

    def blob(index: int, place: tuple[float, float], radius: float, squeeze: float = 1.0) -> Array:
        middle = jnp.array(place) + scene.organs[index]
        seen = shapes.seen_from(down, middle[1] + (right - middle[1]) * squeeze, middle)
        return shapes.coverage(shapes.depth(seen, radius, scene.waves[min(index, 2) + 2]), width)

    bowel = squashed(loops, 0.4, 6.0)
    angle_wave = shapes.seen_from(down, right, jnp.zeros(2))
    ribs = squashed(_ripple(angle_wave), 0.22, 8.0)
    rib = ribs * shapes.coverage(4.0 - jnp.abs(inside - SKIN - WALL / 2), width)

    def cover(depths: Array) -> Array:
        return shapes.coverage(depths, width)

    spine = shapes.seen_from(down, right, jnp.array([62.0, 0.0]) + 0.4 * scene.organs[3])
    aorta = shapes.seen_from(down, right, jnp.array([31.0, 10.0]) + 0.4 * scene.organs[3])
    neighbour = cover(neighbour_thickness(scene, spec, polar) + liver) * cover(inside - SKIN)
    neighbour = neighbour * (1 - cover(liver))
    touching = liver_level - jnp.asarray(spec.contrast, jnp.float32)
    vessel = vessel_cover(scene, down, right, width)
    share = cover(liver)
    mottle = jnp.asarray(spec.texture * spec.contrast, jnp.float32) * mottle
    signal = shapes.paint_over(
        jnp.full_like(down, AIR),
        [
            (cover(inside), FAT),
            (cover(inside - SKIN), MUSCLE),
            (rib, BONE),
            (cover(inside - SKIN - WALL), FAT + 125.0 * bowel),
            (blob(0, (6.0, 98.0), 30.0), 118.0),
            (blob(1, (-34.0, 52.0), 36.0), 40.0),
            (blob(2, (48.0, 58.0), 20.0, 1.3), 165.0),
            (blob(4, (50.0, -52.0), 19.0, 1.3), 165.0),
            (cover(17.0 - jnp.maximum(jnp.abs(spine.distance * spine.cosine) - 34.0, 0.0)
                   - jnp.abs(spine.distance * spine.sine - 4.0)), MUSCLE),
            (cover(18.0 - spine.distance), 190.0),
            (cover(2.5 - jnp.abs(spine.distance - 17.0)), BONE),
            (cover(8.0 - jnp.sqrt((spine.distance * spine.sine - 22.0) ** 2 + (spine.distance * spine.cosine) ** 2)),
             40.0),
            (cover(10.0 - aorta.distance), 175.0),
            (neighbour, touching),
        ],
    )  # fmt: skip
    liver_signal = liver_level + jnp.asarray(spec.vessel_contrast, jnp.float32) * vessel
    signal = shapes.paint_over(signal, [(share, liver_signal)]) + mottle * cover(inside)
    return Painted(jnp.stack([1 - share, share]), grey(signal), jnp.stack([share * (1 - vessel), neighbour]))


def _ripple(polar: shapes.Polar) -> Array:
    """A wave of the angle with 12 crests and variance 1."""
    cosine, sine = polar.cosine, polar.sine
    for _ in range(2):
        cosine, sine = cosine**2 - sine**2, 2 * sine * cosine
    triple = cosine * (4 * cosine**2 - 3)
    return jnp.sqrt(2.0) * triple


def instances(scene: Abdomen, spec: LiverSpec, size: int) -> Array:
    """One liver."""
    return jnp.ones((size, size), jnp.int32)


def points(scene: Abdomen, spec: LiverSpec) -> tuple[Array, Array]:
    """The liver's centre."""
    return scene.centre[None, :], jnp.ones((1,), bool)


LIVER = Phantom(
    name="liver",
    summary="abdominal slice: a liver touching neighbours of nearly its density; correlated noise",
    spec=LiverSpec,
    length="mm",
    signal=f"(HU - 100) / {UNIT:g}",
    num_labels=2,
    draw_scene=draw_scene,
    paint=paint,
    instances=instances,
    points=points,
    add_noise=add_noise,
    difficulties={
        "easy": {"contrast": 40.0, "noise": 8.0, "contact": 0.2, "bias": 0.005, "texture": 0.1},
        "hard": {"contrast": 5.0, "noise": 25.0, "contact": 0.48, "bias": 0.02, "shape_variation": 0.08, "blur": 2.0},
        "shifted": {"contrast": 18.0, "blur": 2.2, "shape_variation": 0.08, "decay": 0.0},
    },
    darkness=DARKNESS,
)
