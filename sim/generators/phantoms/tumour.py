"""Lesions of low contrast in a part of the liver, in contrast-enhanced computed tomography.

Label: 1 the lesions, exactly as many separate ones as the spec says, all inside the liver; a lesion's edge is where its
ramp is half way. Lengths in millimetres; grey values are (HU - 100)/50, the liver at 0. The contrast, in HU, is liver
minus lesion; noise, in HU, is Gaussian and correlated over `noise_length`.
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp

from sim.generators.phantoms import shapes
from sim.generators.phantoms.imaging import Painted, Phantom, PhantomSpec
from sim.generators.phantoms.textures import squashed, texture_fields
from sim.generators.phantoms.tomography import DARKNESS, UNIT, add_noise, grey
from sim.generators.validation import require, require_not_negative, require_whole
from sim.types import Array, Key

ROOM = 7  # sites: the middle and six around it
SPACING = 26.0  # mm between sites
GAP = 4.0  # mm of liver between lesions
SMALLEST = 2.8  # mm, radius
LOG_SPREAD = 0.45  # standard deviation of the radius's logarithm
EDGE = (44.0, 56.0)  # mm, of the liver from the middle of the sites
VESSELS = 3
MOTTLE = 2.5  # mm


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TumourSpec(PhantomSpec):
    """A task of lesions; see `PhantomSpec` for the common fields.

    Attributes:
        fewest, most: bounds of the number of lesions, 0 to 7; every number between is equally frequent.
        radius: median of the lesions' mean radii, mm; they are log-normal, cut at 2.8 mm and where lesions would touch.
        ramp: width of a lesion's edge, mm.
        rim: brightness of a ring around a lesion, as a share of the contrast.
        vessel_contrast: vessels minus liver, HU.
        noise_length: mm, standard deviation of the kernel that correlates the noise.
    """

    extent: float | Array = 96.0
    contrast: float | Array = 30.0
    noise: float | Array = 17.0
    blur: float | Array = 1.0
    bias: float | Array = 0.005
    texture: float | Array = 0.25
    shape_variation: float | Array = 0.07
    fewest: int | Array = 1
    most: int | Array = 4
    radius: float | Array = 7.0
    ramp: float | Array = 2.5
    rim: float | Array = 0.2
    vessel_contrast: float | Array = 40.0
    noise_length: float | Array = 1.0

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        super().validated()
        require_whole("most", self.most, 0, ROOM)
        require_whole("fewest", self.fewest, 0, ROOM)
        if not isinstance(self.most, jax.core.Tracer):
            require("fewest", "at most `most`", self.fewest, lambda number: number <= self.most)
        require("shape_variation", "in [0, 0.12]", self.shape_variation, lambda share: share <= 0.12)
        require("radius", "in [2.8, 11]", self.radius, lambda radius: (radius >= SMALLEST) & (radius <= 11))
        for name in ("ramp", "rim", "vessel_contrast", "noise_length"):
            require_not_negative(name, getattr(self, name))
        require("extent", ">= 80, so that all lesions are in the image", self.extent, lambda side: side >= 80)
        # The narrowest lesion holds a circle of 0.6 times its radius, and a circle of 0.71 pixels a pixel's centre.
        self.require_pixels(0.6 * SMALLEST / 0.75, "every lesion has a pixel")
        return self


class Lesions(NamedTuple):
    """One part of a liver: lengths in mm, places from the image's middle, angles in radians."""

    centres: Array  # (ROOM, 2)
    radii: Array  # (ROOM,)
    waves: Array  # (ROOM, harmonics, 2)
    present: Array  # (ROOM,) bool
    edge: Array  # (2,) direction and distance of the liver's edge
    vessels: Array  # (VESSELS, 4): direction, offset, bend, width
    texture: Key


def draw_scene(key: Key, spec: TumourSpec) -> Lesions:
    """Draw one part of a liver."""
    draw_key, texture_key = jax.random.split(key)
    pool = shapes.Pool(draw_key, 4 + ROOM * 9 + 4 * VESSELS)
    turn = pool.take(high=2 * jnp.pi)
    angle = turn + jnp.arange(ROOM - 1, dtype=jnp.float32) * (jnp.pi / 3)
    around = SPACING * jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1)
    sites = jnp.concatenate([jnp.zeros((1, 2)), around])
    reach = 1 + shapes.largest_wave(spec.shape_variation, spec.decay)
    spread = jnp.exp(LOG_SPREAD * pool.take_normal(ROOM))
    free = (SPACING - GAP) / 2
    radii = jnp.clip(jnp.asarray(spec.radius, jnp.float32) * spread, SMALLEST, free / reach)
    jitter = jnp.sqrt(0.5) * (free - radii * reach)[:, None] * pool.take(ROOM, 2, low=-1.0, high=1.0)
    fewest, most = jnp.asarray(spec.fewest, jnp.int32), jnp.asarray(spec.most, jnp.int32)
    span = (most - fewest + 1).astype(jnp.float32)
    number = fewest + jnp.floor(pool.take() * span).astype(jnp.int32)
    present = pool.take_ranks(ROOM) < jnp.minimum(number, most)
    draws = pool.take(VESSELS, 4)
    vessels = jnp.stack(
        [2 * jnp.pi * draws[:, 0], 70.0 * (draws[:, 1] - 0.5), 0.012 * (draws[:, 2] - 0.5), 1.2 + 1.8 * draws[:, 3]],
        axis=-1,
    )
    edge = jnp.stack([pool.take(high=2 * jnp.pi), pool.take(low=EDGE[0], high=EDGE[1])])
    waves = pool.take_waves(ROOM, variation=spec.shape_variation, decay=spec.decay)
    return Lesions(sites + jitter, radii, waves, present, edge, vessels, texture_key)


def lesion_depth(scene: Lesions, down: Array, right: Array) -> tuple[Array, Array]:
    """Depth inside the lesions, mm, far below 0 where there is none, and the nearest one's number."""

    def depth_in(lesion: tuple[Array, Array, Array, Array]) -> Array:
        centre, radius, waves, present = lesion
        inside = shapes.depth(shapes.seen_from(down, right, centre), radius, waves)
        return jnp.where(present, inside, -1e4)

    rivals = shapes.deepest_two(depth_in, (scene.centres, scene.radii, scene.waves, scene.present), down.shape)
    return rivals.first, rivals.owner


def paint(scene: Lesions, spec: TumourSpec, size: int) -> Painted:
    """Paint the liver, its vessels, the fat beyond its edge, then the lesions."""
    down, right = shapes.centred_grid(size, spec.extent)
    width = jnp.asarray(spec.extent, jnp.float32) / size
    contrast, ramp = jnp.asarray(spec.contrast, jnp.float32), jnp.asarray(spec.ramp, jnp.float32)
    mottle, slow = texture_fields(scene.texture, size, (MOTTLE, 8.0), spec.extent)
    inside = lesion_depth(scene, down, right)[0]
    lesion, share = shapes.coverage(inside, jnp.maximum(ramp, width)), shapes.coverage(inside, width)
    ring = jnp.exp(-0.5 * ((inside + 0.5 * ramp + 1.2) / 1.2) ** 2)
    along = right * jnp.cos(scene.edge[0]) + down * jnp.sin(scene.edge[0])
    beyond = shapes.coverage(along + 0.6 * slow - scene.edge[1], width)

    def branch(vessel: Array) -> Array:
        angle, offset, bend, thick = vessel
        forward = right * jnp.cos(angle) + down * jnp.sin(angle)
        across = down * jnp.cos(angle) - right * jnp.sin(angle) - offset - bend * forward**2
        return shapes.coverage(thick * (1 - 0.006 * (forward + 50.0)) - jnp.abs(across), width)

    vessel = shapes.union(branch, scene.vessels, down.shape)
    fat = -90.0 + 110.0 * squashed(slow, 0.35, 6.0)
    outside = 100.0 + jnp.asarray(spec.vessel_contrast, jnp.float32) * vessel
    bright = 100.0 + contrast * jnp.asarray(spec.rim, jnp.float32)
    signal = shapes.paint_over(
        outside, [(ring * (1 - lesion), bright), (lesion, 100.0 - contrast)]
    ) + contrast * jnp.asarray(spec.texture, jnp.float32) * mottle  # fmt: skip
    signal = shapes.paint_over(signal, [(beyond, fat)])
    pure = shapes.coverage(inside - 0.5 * ramp, width)
    liver = (1 - vessel) * (1 - beyond) * shapes.coverage(-inside - 0.5 * ramp - 5.0, width)
    return Painted(jnp.stack([1 - share, share]), grey(signal), jnp.stack([liver, pure]))


def instances(scene: Lesions, spec: TumourSpec, size: int) -> Array:
    """The lesion that each place is nearest to, numbered from 1 in the order of the points."""
    return 1 + lesion_depth(scene, *shapes.centred_grid(size, spec.extent))[1]


def points(scene: Lesions, spec: TumourSpec) -> tuple[Array, Array]:
    """The lesions' centres."""
    return scene.centres, scene.present


TUMOUR = Phantom(
    name="tumour",
    summary="lesions of low contrast inside the liver, beside vessels; correlated noise",
    spec=TumourSpec,
    length="mm",
    signal=f"(HU - 100) / {UNIT:g}",
    num_labels=2,
    draw_scene=draw_scene,
    paint=paint,
    instances=instances,
    points=points,
    add_noise=add_noise,
    difficulties={
        "easy": {"contrast": 50.0, "noise": 10.0, "ramp": 1.0, "texture": 0.1},
        "hard": {"contrast": 15.0, "noise": 22.0, "ramp": 4.0, "rim": 0.4, "radius": 5.0},
        "shifted": {"contrast": 45.0, "blur": 2.0, "shape_variation": 0.11, "decay": 0.0},
    },
    darkness=DARKNESS,
)
