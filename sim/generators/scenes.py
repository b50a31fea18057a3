"""Scenes of discs, ellipses, polygons or Voronoi cells, with exactly L labels, in physical units.

Objects sit in the cells of a square lattice of `lattice` x `lattice`, jittered so that none leaves its cell. The scene
is a function of place; a grid only samples it, so the same key shows the same scene at every `grid_size`:

    image = spacing * (share of labels in the pixel - (labels - 1)/2) + noise * N(0, 1)

With `supersample` 1 a pixel shows the label at its centre and evidence is independent between pixels.
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from sim.generators.resampling import area_average
from sim.generators.streams import add_noise, draw_images
from sim.generators.validation import require, require_fraction, require_positive, require_whole
from sim.types import UNLIMITED, Array, Batch, Generator, Key

KINDS = ("discs", "ellipses", "polygons", "voronoi")
CORNERS = 8  # of a polygon
SQUEEZE = 0.6  # an ellipse's shorter axis over its longer one
HALF_DIAGONAL = np.sqrt(0.5)  # a disc of this radius, in pixels, holds a pixel's centre wherever it lies
_ROUND = 1e-9


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ScenesSpec:
    """A task of scenes; `kind`, `grid_size`, `lattice`, `max_labels` and `supersample` are static.

    Attributes:
        kind: "discs", "ellipses", "polygons": objects on background 0; "voronoi": a partition without background.
        grid_size: side of the image, in pixels.
        lattice: cells along a side; lattice^2 objects at most.
        max_labels: room for labels.
        supersample: points along a side of a pixel over which its grey value is averaged.
        extent: side of the image, in units of length.
        labels: L, background included; every image shows all of them.
        objects: objects of a scene, at least L - 1; a Voronoi partition has lattice^2 whatever this says.
        size: largest distance of an object's edge from its centre, in units of length.
        size_variation: smallest over largest size is 1 - size_variation.
        spacing: difference of the grey values of neighbouring labels.
        noise: standard deviation of a pixel's noise.
        pose: 0 to 7: the scene turned by pose mod 4 quarter turns, mirrored first from 4 on.
    """

    kind: str = dataclasses.field(default="discs", metadata={"static": True})
    grid_size: int = dataclasses.field(default=32, metadata={"static": True})
    lattice: int = dataclasses.field(default=2, metadata={"static": True})
    max_labels: int = dataclasses.field(default=2, metadata={"static": True})
    supersample: int = dataclasses.field(default=1, metadata={"static": True})
    extent: float | Array = 1.0
    labels: int | Array = 2
    objects: int | Array = 2
    size: float | Array = 0.2
    size_variation: float | Array = 0.4
    spacing: float | Array = 2.0
    noise: float | Array = 1.0
    pose: int | Array = 0

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass.

        The rules make the label count exact: every object holds a pixel's centre, every lattice corner is background.
        """
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {list(KINDS)}, got {self.kind!r}")
        require_whole("grid_size", self.grid_size, 2, 2**15)
        require_whole("lattice", self.lattice, 1, self.grid_size)
        require_whole("max_labels", self.max_labels, 2, 2**15)
        require_whole("supersample", self.supersample, 1, 64)
        require_positive("extent", self.extent)
        cells = self.lattice**2
        voronoi = self.kind == "voronoi"
        require_whole("labels", self.labels, 2, min(self.max_labels, cells if voronoi else cells + 1))
        require_fraction("size_variation", self.size_variation)
        require("spacing", "finite", self.spacing, np.isfinite)
        require_positive("noise", self.noise)
        require_whole("pose", self.pose, 0, 7)
        pixels = self.grid_size / self.lattice  # pixels along a cell
        if pixels < 3.5:
            raise ValueError(f"grid_size must be >= 3.5 lattice = {3.5 * self.lattice:g}, got {self.grid_size}")
        if not voronoi:
            require_whole("objects", self.objects, 1, cells)
            _require_numbers("objects", "labels - 1 at least", self.objects, self.labels, lambda n, L: n >= L - 1)
            _require_numbers(
                "size", f"at most extent / (2 lattice) = extent / {2 * self.lattice}", self.size, self.extent,
                lambda size, extent: size <= extent / (2 * self.lattice) * (1 + _ROUND),
            )  # fmt: skip
            inner = {"discs": 1.0, "ellipses": SQUEEZE, "polygons": np.sin(2 * np.pi / CORNERS)}[self.kind]
            smallest = HALF_DIAGONAL / inner / self.grid_size
            _require_numbers(
                "size", f">= {smallest:.4g} extent / (1 - size_variation), so that every object has a pixel",
                self.size, self.extent, lambda size, extent: _below(smallest * extent, size, self.size_variation),
            )  # fmt: skip
        return self


def _below(smallest: np.ndarray, size: np.ndarray, variation: float | Array) -> np.ndarray:
    known = 0.0 if isinstance(variation, jax.core.Tracer) else np.asarray(variation)
    return np.asarray(size * (1 - known) * (1 + _ROUND) >= smallest)


def _require_numbers(name: str, rule: str, value: object, other: object, holds: object) -> None:
    if not isinstance(other, jax.core.Tracer):
        require(name, rule, value, lambda number: holds(number, np.asarray(other)))  # type: ignore[operator]


class Objects(NamedTuple):
    """The objects of one scene, one a lattice cell; lengths as shares of the extent.

    Attributes:
        centre: float32, shape (cells, 2), as (down, right) in [0, 1].
        radius: float32, shape (cells, CORNERS): distance of the edge from the centre at each corner's angle.
        angle: float32, shape (cells,), radians. label: int32, shape (cells,); 0 where a cell is empty.
    """

    centre: Array
    radius: Array
    angle: Array
    label: Array


def draw_objects(key: Key, spec: ScenesSpec) -> Objects:
    """Draw one scene."""
    cells, side = spec.lattice**2, spec.lattice
    place_key, size_key, corner_key, angle_key, order_key = jax.random.split(key, 5)
    largest = jnp.asarray(spec.size, jnp.float32) / jnp.asarray(spec.extent, jnp.float32)
    variation = jnp.asarray(spec.size_variation, jnp.float32)
    size = largest * (1 - variation * jax.random.uniform(size_key, (cells, 1)))
    shrunk = 1 - variation * jax.random.uniform(corner_key, (cells, CORNERS))
    radius = largest * shrunk if spec.kind == "polygons" else jnp.broadcast_to(size, (cells, CORNERS))
    cell = jnp.stack(jnp.meshgrid(jnp.arange(side), jnp.arange(side), indexing="ij"), axis=-1).reshape(cells, 2)
    # Voronoi sites keep two pixels apart, so that the pixel of each site is its own; objects keep to their cells.
    free = 0.5 / side - (1.0 / spec.grid_size if spec.kind == "voronoi" else radius.max(axis=1, keepdims=True))
    jitter = jnp.maximum(free, 0.0) * (2 * jax.random.uniform(place_key, (cells, 2)) - 1)
    centre = (cell.astype(jnp.float32) + 0.5) / side + jitter
    rank = jax.random.permutation(order_key, cells)
    labels = jnp.asarray(spec.labels, jnp.int32)
    if spec.kind == "voronoi":
        label = rank % labels
    else:
        label = jnp.where(rank < jnp.asarray(spec.objects, jnp.int32), 1 + rank % (labels - 1), 0)
    return Objects(centre, radius, 2 * jnp.pi * jax.random.uniform(angle_key, (cells,)), label.astype(jnp.int32))


def labels_at(objects: Objects, kind: str, places: Array) -> Array:
    """Label of a scene at each place: float32 (places, 2) in [0, 1]^2 -> int32 (places,)."""
    away = places[:, None, :] - objects.centre[None]
    distance = jnp.sqrt(jnp.sum(away**2, axis=-1))
    if kind == "voronoi":
        return objects.label[jnp.argmin(distance, axis=-1)]
    angle = jnp.arctan2(away[..., 1], away[..., 0]) - objects.angle[None]
    longest = objects.radius[None, :, 0]
    if kind == "discs":
        edge = longest
    elif kind == "ellipses":
        edge = longest * SQUEEZE / jnp.sqrt((SQUEEZE * jnp.cos(angle)) ** 2 + jnp.sin(angle) ** 2)
    else:
        edge = _polygon_edge(objects.radius, angle)
    inside = distance <= edge
    return jnp.max(jnp.where(inside, objects.label[None], 0), axis=-1)


def _polygon_edge(radius: Array, angle: Array) -> Array:
    """Distance of star-shaped polygons' edges from their centres: on the line between the two corners next to an angle.

    Args:
        radius: shape (cells, CORNERS). angle: shape (places, cells).
    """
    step = 2 * jnp.pi / CORNERS
    turn = jnp.mod(angle, 2 * jnp.pi) / step
    corner = jnp.floor(turn).astype(jnp.int32) % CORNERS
    part = (turn - jnp.floor(turn)) * step
    index = jnp.arange(radius.shape[0])[None]
    first, second = radius[index, corner], radius[index, (corner + 1) % CORNERS]
    return first * second * jnp.sin(step) / (first * jnp.sin(part) + second * jnp.sin(step - part))


def sample_labels(objects: Objects, kind: str, grid_size: int, pose: int | Array = 0) -> Array:
    """Labels at the pixel centres of a grid: int32, shape (grid_size, grid_size)."""
    middle = (jnp.arange(grid_size, dtype=jnp.float32) + 0.5) / grid_size - 0.5
    down, right = jnp.meshgrid(middle, middle, indexing="ij")
    pose = jnp.asarray(pose, jnp.int32)
    # Where a pixel of the turned picture comes from; a quarter turn takes (down, right) to (right, -down).
    for turn in range(1, 4):
        turned = pose % 4 >= turn
        down, right = jnp.where(turned, right, down), jnp.where(turned, -down, right)
    right = jnp.where(pose >= 4, -right, right)
    places = jnp.stack([down, right], axis=-1).reshape(-1, 2) + 0.5
    return labels_at(objects, kind, places).reshape(grid_size, grid_size)


def draw(key: Key, spec: ScenesSpec, world: None, indices: Array) -> Batch:
    """Draw the images at `indices`: float32 (num_images, size, size), int32 labels (num_images, size^2)."""
    spacing = jnp.asarray(spec.spacing, jnp.float32)
    middle = (jnp.asarray(spec.labels, jnp.float32) - 1) / 2

    def draw_image(index: Array, label_key: Key, noise_key: Key) -> Batch:
        objects = draw_objects(label_key, spec)
        labels = sample_labels(objects, spec.kind, spec.grid_size, spec.pose)
        fine = labels
        if spec.supersample > 1:
            fine = sample_labels(objects, spec.kind, spec.grid_size * spec.supersample, spec.pose)
        clean = spacing * (area_average(fine.astype(jnp.float32), spec.supersample) - middle)
        return Batch(add_noise(noise_key, clean, spec.noise), labels.reshape(-1))

    return draw_images(key, indices, draw_image)


def make_world(key: Key, spec: ScenesSpec) -> None:
    """Nothing is shared by the scenes of a task; ValueError if a field of the spec breaks its rule."""
    spec.validated()


SCENES = Generator(
    name="scenes",
    summary="discs, ellipses, polygons or Voronoi cells with exactly L labels, in physical units",
    spec=ScenesSpec,
    make_world=make_world,
    draw=draw,
    image_shape=lambda spec: (spec.grid_size, spec.grid_size),
    units=lambda spec: spec.grid_size**2,
    max_labels=lambda spec: spec.max_labels,
    num_labels=lambda spec: spec.labels,
    available=lambda spec, world: UNLIMITED,
)
