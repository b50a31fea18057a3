"""Membranes between the cells of nervous tissue, in a section under an electron microscope.

Label: 1 the membranes; the cells between them are background, numbered by `details(...).instances`. Lengths in
nanometres; grey value 1 is cytoplasm; the contrast is cytoplasm minus membrane. Membranes fade in gaps and where the
section cuts them obliquely, but stay labelled; mitochondria and vesicles are as dark as they. Noise is Poisson and
Gaussian, `noise` its standard deviation at grey value 1. At the default 1024 nm and 64 pixels a pixel has 16 nm.
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from sim.generators.phantoms import shapes
from sim.generators.phantoms.imaging import Painted, Phantom, PhantomSpec
from sim.generators.phantoms.textures import squashed, texture_fields
from sim.generators.rendering import poisson_gaussian
from sim.generators.validation import require, require_positive
from sim.types import Array, Key

INNER = 5  # sites along the image's side
SIDE = INNER + 2  # with one row beyond every edge
ROOM = SIDE * SIDE
ORGANELLES, VESICLES = 6, 14
BEND = 0.16  # of the sites' distance: how far membranes are bent, over length BEND_LENGTH, times shape_variation / 0.05
BEND_LENGTH = 0.55
GRAIN = 14.0  # nm


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class MembranesSpec(PhantomSpec):
    """A task of membranes; see `PhantomSpec` for the common fields.

    Attributes:
        thickness: of a membrane, nanometres.
        jitter: largest displacement of a cell's site from its lattice place, in lattice distances.
        gaps: share of the membranes' length that has faded.
        oblique: share of the membranes' length that is cut obliquely: wider, and half as dark.
        organelles: share of the mitochondria and vesicles that are shown.
        photon_share: share of the noise's variance at grey value 1 that photons have.
    """

    extent: float | Array = 1024.0
    contrast: float | Array = 0.55
    noise: float | Array = 0.15
    blur: float | Array = 10.0
    bias: float | Array = 0.1
    texture: float | Array = 0.18
    shape_variation: float | Array = 0.05
    thickness: float | Array = 24.0
    jitter: float | Array = 0.36
    gaps: float | Array = 0.05
    oblique: float | Array = 0.12
    organelles: float | Array = 0.7
    photon_share: float | Array = 0.5

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        super().validated()
        require_positive("thickness", self.thickness)
        require("jitter", "in [0, 0.4]", self.jitter, lambda share: (share >= 0) & (share <= 0.4))
        for name in ("gaps", "oblique"):
            require(name, "in [0, 0.5]", getattr(self, name), lambda share: (share >= 0) & (share <= 0.5))
        require("organelles", "in [0, 1]", self.organelles, lambda share: (share >= 0) & (share <= 1))
        require("photon_share", "in (0, 1]", self.photon_share, lambda share: (share > 0) & (share <= 1))
        if not isinstance(self.extent, jax.core.Tracer):
            pixel = self.extent / self.grid_size
            require("thickness", f">= 1.2 pixels = {1.2 * pixel:g}, so that membranes close", self.thickness,
                    lambda thickness: thickness >= 1.2 * pixel * (1 - 1e-9))  # fmt: skip
            require("thickness", "at most a quarter of the cells' distance", self.thickness,
                    lambda thickness: thickness <= self.extent / INNER / 4)  # fmt: skip
        return self


class Tissue(NamedTuple):
    """The cells of one section: lengths in nanometres, places from the image's middle."""

    sites: Array  # (ROOM, 2)
    organelles: Array  # (ORGANELLES, 4): cell, direction, length, thickness
    vesicles: Array  # (VESICLES, 3): down, right, radius
    shown: Array  # (ORGANELLES + VESICLES,) bool
    tint: Array  # (ROOM,) grey value of each cell's cytoplasm over the mean
    texture: Key


def draw_scene(key: Key, spec: MembranesSpec) -> Tissue:
    """Draw the cells of one section."""
    draw_key, texture_key = jax.random.split(key)
    pool = shapes.Pool(draw_key, 3 * ROOM + 5 * ORGANELLES + 4 * VESICLES)
    extent = jnp.asarray(spec.extent, jnp.float32)
    step = extent / INNER
    line = (jnp.arange(SIDE, dtype=jnp.float32) - (SIDE - 1) / 2) * step
    down, right = jnp.meshgrid(line, line, indexing="ij")
    shift = jnp.where(jnp.arange(SIDE) % 2 == 0, 0.25, -0.25)[:, None] * step
    lattice = jnp.stack([down, right + shift], axis=-1).reshape(ROOM, 2)
    sites = lattice + jnp.asarray(spec.jitter, jnp.float32) * step * pool.take(ROOM, 2, low=-1.0, high=1.0)
    draws = pool.take(ORGANELLES, 4)
    organelles = jnp.stack(
        [draws[:, 0], jnp.pi * draws[:, 1], step * (0.04 + 0.2 * draws[:, 2]), step * (0.11 + 0.06 * draws[:, 3])],
        axis=-1,
    )
    places = pool.take(VESICLES, 2, low=-0.48, high=0.48) * extent
    vesicles = jnp.concatenate([places, pool.take(VESICLES, 1, low=0.055, high=0.085) * step], axis=-1)
    shown = pool.take(ORGANELLES + VESICLES) < jnp.asarray(spec.organelles, jnp.float32)
    tint = 1 + 0.06 * pool.take_normal(ROOM)
    return Tissue(sites, organelles, vesicles, shown, tint, texture_key)


class Bent(NamedTuple):
    """Places of the grid, bent smoothly so that membranes between them curve; and three textures of the section."""

    down: Array
    right: Array
    state: Array  # high where membranes fade, low where they are cut obliquely
    stain: Array
    grain: Array


def bend(scene: Tissue, spec: MembranesSpec, size: int) -> Bent:
    """Bend the places of a grid."""
    down, right = shapes.centred_grid(size, spec.extent)
    step = jnp.asarray(spec.extent, jnp.float32) / INNER
    far = BEND * step * jnp.asarray(spec.shape_variation, jnp.float32) / 0.05
    length = BEND_LENGTH * step * 2.0 ** (0.5 * (jnp.asarray(spec.decay, jnp.float32) - 2))
    lengths = (length, length, 0.35 * step, 0.5 * step, GRAIN)
    fields = texture_fields(scene.texture, size, lengths, spec.extent)
    return Bent(down + far * fields[0], right + far * fields[1], fields[2], fields[3], fields[4])


def nearest_two(scene: Tissue, down: Array, right: Array) -> tuple[Array, Array]:
    """Distance of each place from the border between its cell and the next, nanometres, and its cell."""
    rivals = shapes.deepest_two(lambda site: -((down - site[0]) ** 2) - (right - site[1]) ** 2, scene.sites, down.shape)
    apart = jnp.sqrt(jnp.sum((scene.sites[rivals.owner] - scene.sites[rivals.runner_up]) ** 2, axis=-1))
    return (rivals.first - rivals.second) / (2 * apart), rivals.owner


def paint(scene: Tissue, spec: MembranesSpec, size: int) -> Painted:
    """Paint cytoplasm, organelles, then membranes."""
    width = jnp.asarray(spec.extent, jnp.float32) / size
    down, right = shapes.centred_grid(size, spec.extent)
    bent = bend(scene, spec, size)
    away, owner = nearest_two(scene, bent.down, bent.right)
    thickness, contrast = jnp.asarray(spec.thickness, jnp.float32), jnp.asarray(spec.contrast, jnp.float32)
    # A bent border is crossed faster or slower than a straight one: the gradient of the distance keeps its width.
    slope = jnp.sqrt(sum(part**2 for part in jnp.gradient(away, axis=(0, 1)))) / width
    straight = away / jnp.clip(slope, 0.6, 2.0)
    membrane = shapes.coverage(0.5 * thickness - straight, width)
    gap = squashed(bent.state, jnp.maximum(jnp.asarray(spec.gaps, jnp.float32), 1e-6), 8.0)
    oblique = squashed(-bent.state, jnp.maximum(jnp.asarray(spec.oblique, jnp.float32), 1e-6), 8.0)
    stain = jnp.clip(1 + 0.15 * bent.stain, 0.5, 1.3)
    wide = shapes.coverage(0.5 * thickness * (1 + 2.0 * oblique) - straight, width * (1 + oblique))
    strength = wide * (1 - gap) * (1 - 0.5 * oblique) * stain
    grain = jnp.asarray(spec.texture, jnp.float32) * contrast * bent.grain
    cytoplasm = jnp.broadcast_to(scene.tint[owner], down.shape) + grain
    dark = organelle_darkness(scene, spec, down, right, width)
    inside = shapes.coverage(straight - thickness, width)
    signal = cytoplasm - contrast * jnp.maximum(strength, dark * inside)
    clear = membrane * (1 - jnp.maximum(gap, oblique))
    body = (1 - jnp.maximum(wide, membrane)) * (1 - dark)
    return Painted(jnp.stack([1 - membrane, membrane]), signal, jnp.stack([body, clear]))


def organelle_darkness(scene: Tissue, spec: MembranesSpec, down: Array, right: Array, width: Array) -> Array:
    """How dark mitochondria, with their folds, and vesicles are at each place, 1 as dark as a membrane."""
    rim = 0.6 * jnp.asarray(spec.thickness, jnp.float32)
    inner = jnp.asarray(np.arange(ROOM).reshape(SIDE, SIDE)[1:-1, 1:-1].ravel())  # sites inside the image
    middles = scene.sites[inner[jnp.floor(scene.organelles[:, 0] * INNER * INNER).astype(jnp.int32)]]

    def mitochondrion(item: tuple[Array, Array, Array]) -> Array:
        (_, angle, length, thick), middle, shown = item
        forward = (right - middle[1]) * jnp.cos(angle) + (down - middle[0]) * jnp.sin(angle)
        sideways = (down - middle[0]) * jnp.cos(angle) - (right - middle[1]) * jnp.sin(angle)
        beyond = forward - jnp.clip(forward, -length, length)
        inside = thick - jnp.sqrt(beyond**2 + sideways**2)
        folds = 0.5 + 0.3 * jnp.cos(2 * jnp.pi * (forward + 0.4 * sideways) / (2.6 * rim))
        body = jnp.maximum(folds, shapes.coverage(rim - inside, width)) * shapes.coverage(inside, width)
        return jnp.where(shown, body, 0.0)

    def vesicle(item: tuple[Array, Array]) -> Array:
        place, shown = item
        distance = jnp.sqrt((down - place[0]) ** 2 + (right - place[1]) ** 2)
        shell = shapes.coverage(0.5 * rim - jnp.abs(distance - place[2]), width)
        return jnp.where(shown, 0.8 * shell, 0.0)

    large = shapes.union(mitochondrion, (scene.organelles, middles, scene.shown[:ORGANELLES]), down.shape)
    return jnp.maximum(large, shapes.union(vesicle, (scene.vesicles, scene.shown[ORGANELLES:]), down.shape))


def instances(scene: Tissue, spec: MembranesSpec, size: int) -> Array:
    """The cell that each place belongs to, numbered from 1 in the order of the points."""
    bent = bend(scene, spec, size)
    return 1 + nearest_two(scene, bent.down, bent.right)[1]


def points(scene: Tissue, spec: MembranesSpec) -> tuple[Array, Array]:
    """The sites of the cells; present where they lie in the image."""
    half = jnp.asarray(spec.extent, jnp.float32) / 2
    return scene.sites, jnp.all(jnp.abs(scene.sites) < half, axis=-1)


MEMBRANES = Phantom(
    name="membranes",
    summary="thin closed membranes between cells, gaps, oblique cuts, organelles; electron microscopy",
    spec=MembranesSpec,
    length="nanometres",
    signal="cytoplasm = 1",
    num_labels=2,
    draw_scene=draw_scene,
    paint=paint,
    instances=instances,
    points=points,
    add_noise=lambda key, clean, spec: poisson_gaussian(key, clean, spec.noise, spec.photon_share),
    difficulties={
        "easy": {"noise": 0.08, "gaps": 0.0, "oblique": 0.0, "organelles": 0.2, "texture": 0.08},
        "hard": {"noise": 0.3, "gaps": 0.1, "oblique": 0.2, "organelles": 1.0, "blur": 14.0},
        "shifted": {"contrast": 0.4, "blur": 15.0, "shape_variation": 0.08, "decay": 0.5},
    },
    instance_label=0,
)
