"""The few types that every part of `sim` shares: arrays, batches of images, and the swappable parts.

A swappable part (generator, law) is a NamedTuple of pure functions. To add one of your own, build the tuple;
no base class, no registration by side effect.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = jax.Array
Key: TypeAlias = jax.Array
FloatArray: TypeAlias = NDArray[np.float64]
Spec: TypeAlias = Any  # a frozen dataclass registered as a pytree: shapes are static, everything else may be traced
World: TypeAlias = Any  # a pytree: what all images of one task share (codewords, a relabelling, a transition law)

UNLIMITED = 2**31 - 1  # `Generator.available` of a generator that can always draw one more image


class Batch(NamedTuple):
    """Images and their labels.

    Attributes:
        images: float32, shape (num_images, rows, columns).
        labels: int32, shape (num_images, units); a J-way task has one unit, a composed image one unit a tile,
            a label map one unit a pixel in row-major order.
    """

    images: Array
    labels: Array


class Generator(NamedTuple):
    """A family of tasks: images with exactly known labels, noise and information.

    Image `i` of a task depends on (key, spec, i) only, so a longer draw starts with the shorter one, and the test
    images are simply the next ones of the same stream.

    Attributes:
        name: the registry key.
        summary: one line for `capsim list generators`.
        spec: the class of the task's description, a frozen dataclass and a pytree: fields that set shapes are
            static, all others (number of outputs, noise, ...) are numbers that may be traced and vmapped.
        make_world: (key, spec) -> world, drawn once a task and shared by all its images.
        draw: (key, spec, world, indices) -> Batch, the images of the stream at int32 `indices`, shape (num_images,).
        image_shape: spec -> (rows, columns), static.
        units: spec -> number of labelled units an image, static.
        max_labels: spec -> static upper bound of the labels of a unit (the padded width of a head).
        num_labels: spec -> labels a unit really has (J for a J-way task, L for tiles and pixels), may be traced.
        available: (spec, world) -> how many different images the stream has; `UNLIMITED` for a simulator.
        scored: spec -> numbers of the units that are scored on test images, static; None for all of them.
    """

    name: str
    summary: str
    spec: type
    make_world: Callable[[Key, Spec], World]
    draw: Callable[[Key, Spec, World, Array], Batch]
    image_shape: Callable[[Spec], tuple[int, int]]
    units: Callable[[Spec], int]
    max_labels: Callable[[Spec], int]
    num_labels: Callable[[Spec], Any]
    available: Callable[[Spec, World], Any]
    scored: Callable[[Spec], Any] = lambda spec: None

    def generate(self, key: Key, spec: Spec, num_images: int) -> Batch:
        """Draw one task and the first `num_images` images of its stream; pure, so jit and vmap apply."""
        world_key, image_key = jax.random.split(key)
        world = self.make_world(world_key, spec)
        return self.draw(image_key, spec, world, jax.numpy.arange(num_images))


class Law(NamedTuple):
    """An accuracy-versus-output law: accuracy as a function of named columns and named parameters.

    Attributes:
        name: the registry key, such as "hill".
        summary: one line, with the formula.
        parameters: the free parameters in order, name -> (lower bound, upper bound).
        predict: (parameters as float64 array in that order, columns) -> accuracy, shape (cells,); columns are
            float64 arrays of one length, at least `inputs`, `outputs` and `chance`.
        starts: start values for a fit, shape (num_starts, num_parameters).
        source: where the law comes from.
    """

    name: str
    summary: str
    parameters: Mapping[str, tuple[float, float]]
    predict: Callable[[FloatArray, Mapping[str, FloatArray]], FloatArray]
    starts: FloatArray
    source: str
