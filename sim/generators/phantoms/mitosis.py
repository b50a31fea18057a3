"""Dividing cells among other nuclei in a stained section of tissue, as a grey picture.

Label: 1 a disc on every true mitosis, exactly as many as the spec says; look-alikes (shrunken dying nuclei, dark
overstained nuclei) and ordinary nuclei are background. A mitosis is a clump (prophase), a plate (metaphase), two plates
(anaphase) or two far plates (telophase), one object each. Lengths in micrometres; grey value 1 is unstained glass; the
contrast is tissue minus mitosis. Noise is Poisson and Gaussian, `noise` its standard deviation at grey value 1.
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp

from sim.generators.phantoms import shapes
from sim.generators.phantoms.imaging import Painted, Phantom, PhantomSpec
from sim.generators.phantoms.textures import texture_fields
from sim.generators.rendering import poisson_gaussian
from sim.generators.validation import require, require_whole
from sim.types import Array, Key

SIDE = 5  # sites along a side
ROOM = SIDE * SIDE
SPACING = 12.6  # micrometres
JITTER, LOOSE = 1.2, 3.6  # micrometres, each way, of mitoses, whose discs keep apart, and of other nuclei
ROW = 2.0  # micrometres by which rows are displaced, to the right and to the left in turn
DISC = 4.0  # micrometres, radius of the label
TISSUE = 0.8  # grey value
MOTTLE, CLUMP = 2.2, 0.75  # micrometres


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class MitosisSpec(PhantomSpec):
    """A task of mitoses; see `PhantomSpec` for the common fields.

    Attributes:
        fewest, most: bounds of the number of mitoses, 0 to 5; every number between is equally frequent.
        lookalikes: dark nuclei that are no mitoses, 0 to 15.
        stain_variation: standard deviation of the logarithm of the nuclei's darkness.
        photon_share: share of the noise's variance at grey value 1 that photons have.
    """

    extent: float | Array = 64.0
    contrast: float | Array = 0.55
    noise: float | Array = 0.04
    blur: float | Array = 0.5
    bias: float | Array = 0.05
    texture: float | Array = 0.12
    shape_variation: float | Array = 0.06
    fewest: int | Array = 1
    most: int | Array = 3
    lookalikes: int | Array = 7
    stain_variation: float | Array = 0.2
    photon_share: float | Array = 0.8

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        super().validated()
        require_whole("most", self.most, 0, 5)
        require_whole("fewest", self.fewest, 0, 5)
        if not isinstance(self.most, jax.core.Tracer):
            require("fewest", "at most `most`", self.fewest, lambda number: number <= self.most)
        require_whole("lookalikes", self.lookalikes, 0, 15)
        require("contrast", f"in (0, {TISSUE:g}]", self.contrast, lambda contrast: contrast <= TISSUE)
        require("stain_variation", "in [0, 0.5]", self.stain_variation, lambda share: (share >= 0) & (share <= 0.5))
        require("photon_share", "in (0, 1]", self.photon_share, lambda share: (share > 0) & (share <= 1))
        require("extent", ">= 63, so that all nuclei's centres are in the image", self.extent, lambda side: side >= 63)
        self.require_pixels(2.0, "the discs of neighbours are apart")
        return self


class Nuclei(NamedTuple):
    """The nuclei of one field: lengths in micrometres, places from the image's middle, angles in radians."""

    centres: Array  # (ROOM, 2)
    kind: Array  # (ROOM,): 0 none, 1 ordinary, 2 overstained, 3 dying, 4 mitosis
    size: Array  # (ROOM,) radius, or half the length of a plate
    frame: Array  # (ROOM, 4): direction, half the distance of the plates, half their thickness, squeeze
    waves: Array  # (ROOM, harmonics, 2)
    stain: Array  # (ROOM,) darkness over its mean
    texture: Key


def draw_scene(key: Key, spec: MitosisSpec) -> Nuclei:
    """Draw the nuclei of one field."""
    draw_key, texture_key = jax.random.split(key)
    pool = shapes.Pool(draw_key, 1 + ROOM * 16)
    line = (jnp.arange(SIDE, dtype=jnp.float32) - (SIDE - 1) / 2) * SPACING
    down, right = jnp.meshgrid(line, line, indexing="ij")
    shift = jnp.where(jnp.arange(SIDE) % 2 == 0, ROW, -ROW)[:, None]
    sites = jnp.stack([down, right + shift], axis=-1).reshape(ROOM, 2)
    fewest, most = jnp.asarray(spec.fewest, jnp.int32), jnp.asarray(spec.most, jnp.int32)
    span = (most - fewest + 1).astype(jnp.float32)
    number = jnp.minimum(fewest + jnp.floor(pool.take() * span).astype(jnp.int32), most)
    rank = pool.take_ranks(ROOM)
    others = number + jnp.asarray(spec.lookalikes, jnp.int32)
    dark = 2 + (rank % 2)
    plain = jnp.where(pool.take(ROOM) < 0.85, 1, 0)
    kind = jnp.where(rank < number, 4, jnp.where(rank < others, dark, plain))
    free = jnp.where(kind == 4, JITTER, LOOSE)[:, None]
    centres = sites + free * pool.take(ROOM, 2, low=-1.0, high=1.0)
    phase = jnp.floor(4 * pool.take(ROOM))
    draws = pool.take(ROOM, 4, low=-1.0, high=1.0)
    by_kind = jnp.array([0.1, 4.2, 4.0, 2.1, 2.8])[kind]
    is_clump = (kind == 4) & (phase == 0)
    size = by_kind * (1 + 0.15 * draws[:, 0]) * jnp.where(is_clump, 0.4, 1.0)
    apart = jnp.array([0.0, 0.0, 1.3, 2.4])[phase.astype(jnp.int32)] * (1 + 0.15 * draws[:, 1])
    thick = jnp.where(is_clump, 1.9, jnp.where(phase == 1, 1.0, 0.8)) * (1 + 0.12 * draws[:, 2])
    frame = jnp.stack([pool.take(ROOM, high=jnp.pi), apart, thick, 1.5 + 0.5 * draws[:, 3]], axis=-1)
    variation = jnp.asarray(spec.stain_variation, jnp.float32)
    stain = jnp.exp(variation * pool.take_normal(ROOM) - 0.5 * variation**2)
    waves = pool.take_waves(ROOM, variation=spec.shape_variation, decay=spec.decay)
    return Nuclei(centres, kind, size, frame, waves, stain, texture_key)


def figure_depth(nucleus: Nuclei, down: Array, right: Array) -> Array:
    """Depth of each place inside one nucleus or mitotic figure, micrometres; leaves of `nucleus` are one nucleus's."""
    frame, centre, kind = nucleus.frame, nucleus.centres, nucleus.kind
    polar = shapes.seen_from(down, right, centre)
    cosine, sine = jnp.cos(frame[0]), jnp.sin(frame[0])
    along = polar.distance * (polar.cosine * cosine + polar.sine * sine)
    across = polar.distance * (polar.sine * cosine - polar.cosine * sine)
    waves, _ = shapes.wave(polar, nucleus.waves)
    squeeze = jnp.where(kind == 3, 1.0 + 0.4 * (frame[3] - 1.0), frame[3])
    stretched = jnp.sqrt((across * squeeze) ** 2 + along**2 + 1e-12)
    gradient = jnp.sqrt((across * squeeze**2) ** 2 + along**2 + 1e-12) / stretched
    oval = (nucleus.size * (1 + waves) - stretched) / gradient
    beyond = along - jnp.clip(along, -nucleus.size, nucleus.size)
    plates = jnp.abs(across) - frame[1]  # two plates, at equal distances on both sides of the middle
    plate = frame[2] * (1 + 1.5 * waves) - jnp.sqrt(beyond**2 + plates**2)
    return jnp.where(kind == 0, -1e4, jnp.where(kind == 4, plate, oval))


class Stained(NamedTuple):
    """What all nuclei together do to a place: darkness as a share of the contrast, and shares of the area."""

    darkness: Array
    covered: Array
    clear: Array
    mitotic: Array


def stain_all(scene: Nuclei, down: Array, right: Array, clumps: Array, width: Array) -> Stained:
    """Stain one nucleus after another: overlapping ones are as dark as both together."""

    def add(sum_so_far: Stained, nucleus: Nuclei) -> tuple[Stained, None]:
        kind, inside = nucleus.kind, figure_depth(nucleus, down, right)
        cover = shapes.coverage(jnp.where(kind == 4, inside + 0.25 * clumps, inside), width)
        # Ordinary nuclei are pale with a dark envelope and grains of chromatin.
        darkness = nucleus.stain * jnp.array([0.0, 0.4, 0.68, 1.0, 1.0])[kind]
        envelope = jnp.where(kind == 1, 0.55, 0.0) * jnp.exp(-0.5 * ((inside - 0.5) / 0.5) ** 2)
        chromatin = jnp.array([0.0, 0.3, 0.12, 0.0, 0.0])[kind] * clumps
        halo = jnp.array([0.0, 0.0, 0.0, 1.5, 2.2])[kind]  # micrometres of clear surround around condensed nuclei
        return Stained(
            sum_so_far.darkness + cover * darkness * (1 + envelope + chromatin),
            jnp.maximum(sum_so_far.covered, cover),
            jnp.maximum(sum_so_far.clear, jnp.where(halo > 0, shapes.coverage(inside + halo, 1.6), 0.0)),
            jnp.maximum(sum_so_far.mitotic, jnp.where(kind == 4, cover, 0.0)),
        ), None

    nothing = jnp.zeros_like(down)
    each = scene._replace(texture=jnp.zeros((ROOM,)))  # the key is no nucleus's own
    return jax.lax.scan(add, Stained(nothing, nothing, nothing, nothing), each, unroll=2)[0]


def paint(scene: Nuclei, spec: MitosisSpec, size: int) -> Painted:
    """Paint tissue, the clear surrounds of condensed nuclei, then the nuclei."""
    down, right = shapes.centred_grid(size, spec.extent)
    width = jnp.asarray(spec.extent, jnp.float32) / size
    contrast = jnp.asarray(spec.contrast, jnp.float32)
    fibres, slow, clumps = texture_fields(scene.texture, size, (MOTTLE, 7.0, CLUMP), spec.extent)
    strands = jnp.exp(-4.0 * fibres**2) - 1 / 3  # thin dark threads where the field crosses 0; 1/3 is their mean
    texture = jnp.asarray(spec.texture, jnp.float32) * contrast
    tissue = TISSUE - texture * (1.2 * strands + 0.5 * slow)
    seen = stain_all(scene, down, right, clumps, width)
    signal = tissue + 0.06 * seen.clear * (1 - seen.covered) - contrast * seen.darkness
    discs = disc_share(scene, down, right, width)
    plain = (1 - seen.covered) * (1 - seen.clear)
    return Painted(jnp.stack([1 - discs, discs]), jnp.clip(signal, 0.02, 1.1), jnp.stack([plain, seen.mitotic]))


def disc_share(scene: Nuclei, down: Array, right: Array, width: Array) -> Array:
    """Share of the labelled discs at each place."""
    return shapes.coverage(DISC + nearest_mitosis(scene, down, right)[0], width)


def nearest_mitosis(scene: Nuclei, down: Array, right: Array) -> tuple[Array, Array]:
    """Distance from the nearest mitosis with its sign turned, far below 0 where there is none, and its number."""

    def nearness(nucleus: tuple[Array, Array]) -> Array:
        centre, kind = nucleus
        distance = jnp.sqrt((down - centre[0]) ** 2 + (right - centre[1]) ** 2)
        return jnp.where(kind == 4, -distance, -1e4)

    rivals = shapes.deepest_two(nearness, (scene.centres, scene.kind), down.shape)
    return rivals.first, rivals.owner


def instances(scene: Nuclei, spec: MitosisSpec, size: int) -> Array:
    """The mitosis that each place is nearest to, numbered from 1 in the order of the points."""
    return 1 + nearest_mitosis(scene, *shapes.centred_grid(size, spec.extent))[1]


def points(scene: Nuclei, spec: MitosisSpec) -> tuple[Array, Array]:
    """The centres of all nuclei; present where one divides."""
    return scene.centres, scene.kind == 4


MITOSIS = Phantom(
    name="mitosis",
    summary="dividing cells in four phases among look-alikes and ordinary nuclei in stained tissue",
    spec=MitosisSpec,
    length="micrometres",
    signal="glass = 1",
    num_labels=2,
    draw_scene=draw_scene,
    paint=paint,
    instances=instances,
    points=points,
    add_noise=lambda key, clean, spec: poisson_gaussian(key, clean, spec.noise, spec.photon_share),
    difficulties={
        "easy": {"noise": 0.02, "lookalikes": 2, "stain_variation": 0.08, "texture": 0.06},
        "hard": {"noise": 0.08, "lookalikes": 14, "stain_variation": 0.3, "blur": 0.8, "contrast": 0.45},
        "shifted": {"contrast": 0.42, "blur": 0.9, "shape_variation": 0.1, "decay": 0.0},
    },
)
