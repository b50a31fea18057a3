"""Label maps on the pixels: J = L^(rows * columns), with neighbours that are independent, chained or Ising.

image = spacing * (label - (labels - 1)/2) + noise * N(0, 1),   pixel by pixel
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from sim.generators.ising import EXACT_SIDE, frontier_table, sample_exact, sample_gibbs
from sim.generators.streams import add_noise, draw_images, draw_uniform_labels
from sim.generators.validation import (
    require,
    require_fraction,
    require_positive,
    require_shape,
    require_whole,
)
from sim.types import UNLIMITED, Array, Batch, Generator, Key

FIELD_NAMES = ("independent", "chain", "ising")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FieldsSpec:
    """A task of label maps; `grid_shape`, `field`, `max_labels` and `sweeps` are static, the rest may be traced.

    Attributes:
        grid_shape: (rows, columns), in pixels.
        field: "independent": every pixel uniform and independent; "chain": every row an independent stationary
            Markov chain; "ising": two labels with neighbours coupled on a free boundary.
        max_labels: room for labels.
        sweeps: Gibbs sweeps an image, for Ising grids whose shorter side is above `sim.generators.ising.EXACT_SIDE`;
            smaller grids are sampled exactly and ignore it.
        labels: L, labels of a pixel, 2 to `max_labels`; 2 for an Ising field.
        spacing: distance of the grey values of neighbouring labels.
        noise: standard deviation of a pixel's noise, in the units of `spacing`.
        stay: chain: probability that a pixel repeats the one to its left; otherwise it takes one of the other labels,
            all equally likely.
        coupling: Ising: energy of a pair of equal neighbours; .4407 is the critical point of an infinite grid.

    Example:
        >>> FieldsSpec(field="ising", max_labels=3, labels=3).validated()
        Traceback (most recent call last):
        ValueError: labels must be 2 for an ising field, got 3
    """

    grid_shape: tuple[int, int] = dataclasses.field(default=(4, 4), metadata={"static": True})
    field: str = dataclasses.field(default="independent", metadata={"static": True})
    max_labels: int = dataclasses.field(default=2, metadata={"static": True})
    sweeps: int = dataclasses.field(default=200, metadata={"static": True})
    labels: int | Array = 2
    spacing: float | Array = 2.0
    noise: float | Array = 1.0
    stay: float | Array = 0.9
    coupling: float | Array = 0.4407

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        require_shape("grid_shape", self.grid_shape)
        if self.field not in FIELD_NAMES:
            raise ValueError(f"field must be one of {list(FIELD_NAMES)}, got {self.field!r}")
        require_whole("max_labels", self.max_labels, 2, 2**31 - 1)
        require_whole("sweeps", self.sweeps, 1, 2**31 - 1)
        require_whole("labels", self.labels, 2, self.max_labels)
        if self.field == "ising":
            require("labels", "2 for an ising field", self.labels, lambda labels: labels == 2)
        require("spacing", "finite", self.spacing, np.isfinite)
        require_positive("noise", self.noise)
        require_fraction("stay", self.stay)
        require("coupling", "finite", self.coupling, np.isfinite)
        return self


class FieldsWorld(NamedTuple):
    """What all images share: only a law, no random draw.

    Attributes:
        frontier_table: for an exactly sampled Ising field, float32, shape (pixels, 2**shorter side); otherwise None.
    """

    frontier_table: Array | None


def make_world(key: Key, spec: FieldsSpec) -> FieldsWorld:
    """Prepare the law of the labels; the key is unused because the law has no random part.

    Raises:
        ValueError: a field of the spec breaks its rule.
    """
    spec.validated()
    if spec.field != "ising" or min(spec.grid_shape) > EXACT_SIDE:
        return FieldsWorld(None)
    return FieldsWorld(frontier_table(spec.grid_shape, jnp.asarray(spec.coupling, jnp.float32)))


def draw(key: Key, spec: FieldsSpec, world: FieldsWorld, indices: Array) -> Batch:
    """Draw the images at `indices`: float32 (num_images, rows, columns), int32 labels (num_images, rows * columns)."""
    spacing = jnp.asarray(spec.spacing, jnp.float32)
    middle = (jnp.asarray(spec.labels, jnp.float32) - 1) / 2

    def draw_image(index: Array, label_key: Key, noise_key: Key) -> Batch:
        labels = _draw_labels(label_key, spec, world)
        clean = spacing * (labels.astype(jnp.float32) - middle)
        return Batch(add_noise(noise_key, clean, spec.noise), labels.reshape(-1))

    return draw_images(key, indices, draw_image)


def _draw_labels(key: Key, spec: FieldsSpec, world: FieldsWorld) -> Array:
    if spec.field == "chain":
        return _draw_chain(key, spec)
    if spec.field == "ising" and world.frontier_table is not None:
        return sample_exact(key, spec.grid_shape, world.frontier_table)
    if spec.field == "ising":
        return sample_gibbs(key, spec.grid_shape, jnp.asarray(spec.coupling, jnp.float32), spec.sweeps)
    return draw_uniform_labels(key, spec.grid_shape, spec.labels)


def _draw_chain(key: Key, spec: FieldsSpec) -> Array:
    """Rows as running sums modulo L: a step of 0 stays, steps 1 to L - 1 reach the other labels."""
    rows, columns = spec.grid_shape
    labels = jnp.asarray(spec.labels, jnp.int32)
    stay_key, label_key = jax.random.split(key)
    first = jnp.broadcast_to(jnp.arange(columns)[None, :] == 0, (rows, columns))
    drawn = draw_uniform_labels(label_key, (rows, columns), jnp.where(first, labels, labels - 1))
    stays = jax.random.uniform(stay_key, (rows * columns,)).reshape(rows, columns) < jnp.asarray(spec.stay, jnp.float32)
    steps = jnp.where(first, drawn, jnp.where(stays, 0, 1 + drawn))
    return jnp.cumsum(steps, axis=1) % labels


FIELDS = Generator(
    name="fields",
    summary="label maps on pixels: independent, Markov chains along rows, or Ising; J = L^pixels",
    spec=FieldsSpec,
    make_world=make_world,
    draw=draw,
    image_shape=lambda spec: spec.grid_shape,
    units=lambda spec: spec.grid_shape[0] * spec.grid_shape[1],
    max_labels=lambda spec: spec.max_labels,
    num_labels=lambda spec: spec.labels,
    available=lambda spec, world: UNLIMITED,
)
