"""What all phantoms share: their common parameters, and the way from a painted scene to an image and its truth.

A phantom draws a scene, paints it on a grid `supersample` times finer than the image, and is then imaged:

    image = noise(mean over the pixel of Gaussian blur of (bias field * signal)).

A label map holds the label with the largest share of each pixel. Scenes are functions of place in physical units: the
same key shows the same scene at every `grid_size`; noise is per pixel.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from sim.generators.phantoms.shapes import turned, turned_back, turned_points
from sim.generators.rendering import bias_field, blur_matrix
from sim.generators.resampling import area_average
from sim.generators.validation import require, require_not_negative, require_positive, require_whole
from sim.types import UNLIMITED, Array, Batch, Generator, Key


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhantomSpec:
    """The parameters that every phantom has; `grid_size` and `supersample` are static.

    Attributes:
        grid_size: side of the image, in pixels.
        supersample: points along a side of a pixel.
        extent: side of the image, in the phantom's unit of length.
        contrast: difference of the two tissues that the phantom names, in its unit of signal.
        noise: standard deviation of a pixel's noise, in the unit of signal.
        blur: standard deviation of the point spread function, in the unit of length.
        bias: amplitude of the bias field: the signal is multiplied by 1 - bias to 1 + bias.
        texture: standard deviation of tissue texture, as a share of the contrast.
        shape_variation: root-mean-square deviation of contours from their mean shape, relative to the radius.
        decay: the power of a contour's harmonic k falls as k^-decay; the family of shapes.
        pose: 0 to 7: the scene turned by pose mod 4 quarter turns, mirrored first from 4 on.
    """

    grid_size: int = dataclasses.field(default=64, metadata={"static": True})
    supersample: int = dataclasses.field(default=4, metadata={"static": True})
    extent: float | Array = 100.0
    contrast: float | Array = 1.0
    noise: float | Array = 0.1
    blur: float | Array = 1.0
    bias: float | Array = 0.1
    texture: float | Array = 0.1
    shape_variation: float | Array = 0.05
    decay: float | Array = 2.0
    pose: int | Array = 0

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        require_whole("grid_size", self.grid_size, 8, 2**13)
        require_whole("supersample", self.supersample, 1, 16)
        for name in ("extent", "contrast", "noise"):
            require_positive(name, getattr(self, name))
        for name in ("blur", "texture"):
            require_not_negative(name, getattr(self, name))
        require("bias", "in [0, 1)", self.bias, lambda bias: (bias >= 0) & (bias < 1))
        require("shape_variation", "in [0, 0.2]", self.shape_variation, lambda share: (share >= 0) & (share <= 0.2))
        require("decay", "in [-2, 4]", self.decay, lambda decay: (decay >= -2) & (decay <= 4))
        require_whole("pose", self.pose, 0, 7)
        return self

    def require_pixels(self, length: float, what: str) -> None:
        """Require that a pixel is at most `length` wide, so that every label has a pixel; a traced extent passes."""
        most = length * self.grid_size
        require("extent", f"at most {most:g} for {self.grid_size} pixels, so that {what}", self.extent,
                lambda extent: extent <= most * (1 + 1e-9))  # fmt: skip


class Painted(NamedTuple):
    """A scene on a grid.

    Attributes:
        fractions: float32, shape (L, size, size): share of each label, summing to 1 over labels.
        signal: float32, shape (size, size), before any effect of the scanner.
        probe: float32, shape (2, size, size): shares of the two tissues whose mean signals differ by the contrast.
    """

    fractions: Array
    signal: Array
    probe: Array


class Details(NamedTuple):
    """An image with all that is known of it.

    Attributes:
        image, clean: float32, shape (rows, columns), with and without noise.
        labels: int32, shape (rows, columns). fractions: float32, shape (rows, columns, L): area shares.
        instances: int32, shape (rows, columns): number of the object a pixel belongs to, 0 for none.
        points: float32, shape (room, 2): objects' centres as (row, column) in pixels. present: bool, shape (room,).
        probe: float32, shape (rows, columns, 2): area shares of the two tissues that `contrast` compares.
    """

    image: Array
    clean: Array
    labels: Array
    fractions: Array
    instances: Array
    points: Array
    present: Array
    probe: Array


class Phantom(NamedTuple):
    """A phantom's parts.

    Attributes:
        name, summary, spec: as in `sim.types.Generator`; the spec's defaults are the reference difficulty.
        length, signal: the units of length and of grey values.
        num_labels: labels, background included.
        draw_scene: (key, spec) -> scene, any pytree.
        paint: (scene, spec, size) -> Painted on size x size points.
        instances: (scene, spec, size) -> int32 (size, size) at the points' centres, before labels mask it.
        points: (scene, spec) -> (float32 (room, 2) from the middle in units of length, bool (room,)).
        add_noise: (key, clean image, spec) -> image.
        difficulties: name -> fields that differ from the reference: easy, hard, shifted.
        darkness: grey value, with its sign turned, of a pixel without any signal: what the bias field multiplies.
        instance_label: the label whose pixels are divided into instances.
    """

    name: str
    summary: str
    spec: type[Any]
    length: str
    signal: str
    num_labels: int
    draw_scene: Callable[[Key, Any], Any]
    paint: Callable[[Any, Any, int], Painted]
    instances: Callable[[Any, Any, int], Array]
    points: Callable[[Any, Any], tuple[Array, Array]]
    add_noise: Callable[[Key, Array, Any], Array]
    difficulties: Mapping[str, Mapping[str, float]]
    darkness: float = 0.0
    instance_label: int = 1


def picture(phantom: Phantom, spec: Any, label_key: Key, noise_key: Key) -> Details:
    """One image with all its truth; what is not used costs nothing under `jit`."""
    size, factor = spec.grid_size, spec.supersample
    fine, extent = size * factor, jnp.asarray(spec.extent, jnp.float32)
    scene = phantom.draw_scene(label_key, spec)
    painted = phantom.paint(scene, spec, fine)
    shares = turn_all(area_average(painted.fractions, factor), spec.pose)
    bias_key, pixel_key = jax.random.split(noise_key)
    # The scene is turned after it has been sampled; so the bias, which stays with the scanner, is turned back first.
    bias = turned_back(bias_field(bias_key, (fine, fine), spec.bias), spec.pose)
    matrix = blur_matrix(fine, jnp.asarray(spec.blur, jnp.float32) / extent * fine, factor)
    lit = (painted.signal + phantom.darkness) * bias - phantom.darkness
    clean = turned(matrix @ lit @ matrix.T, spec.pose)
    labels = jnp.argmax(shares, axis=0).astype(jnp.int32)
    instances = jnp.where(labels == phantom.instance_label, turned(phantom.instances(scene, spec, size), spec.pose), 0)
    places, present = phantom.points(scene, spec)
    points = (turned_points(places, spec.pose) / extent + 0.5) * size - 0.5
    return Details(
        image=phantom.add_noise(pixel_key, clean, spec),
        clean=clean,
        labels=labels,
        fractions=jnp.moveaxis(shares, 0, -1),
        instances=instances.astype(jnp.int32),
        points=points,
        present=present,
        probe=jnp.moveaxis(turn_all(area_average(painted.probe, factor), spec.pose), 0, -1),
    )


def turn_all(images: Array, pose: int | Array) -> Array:
    """`turned` for each image of a stack."""
    return jax.vmap(turned, in_axes=(0, None))(images, pose)


def details(phantom: Phantom, key: Key, spec: Any, index: int | Array) -> Details:
    """Image `index` of a task with its instances, points, area shares and noiseless image.

    Args:
        phantom: of `sim.generators.phantoms.registry.PHANTOMS`.
        key: the task's key, as given to `Generator.generate`, whose image and labels these are.
        spec: the task.
        index: number of the image in the stream.

    Raises:
        ValueError: a field of the spec breaks its rule.
    """
    spec.validated()
    _, image_key = jax.random.split(key)
    label_key, noise_key = jax.random.split(jax.random.fold_in(image_key, jnp.asarray(index, jnp.int32)))
    return picture(phantom, spec, label_key, noise_key)


def as_generator(phantom: Phantom) -> Generator:
    """The phantom as a generator of images and flattened label maps."""

    def make_world(key: Key, spec: Any) -> None:
        spec.validated()

    def draw(key: Key, spec: Any, world: None, indices: Array) -> Batch:
        def one(index: Array) -> Batch:
            label_key, noise_key = jax.random.split(jax.random.fold_in(key, index))
            seen = picture(phantom, spec, label_key, noise_key)
            return Batch(seen.image, seen.labels.reshape(-1))

        return jax.lax.map(one, indices)  # one after another: a fine grid is large, and stays in a core's cache

    return Generator(
        name=phantom.name,
        summary=phantom.summary,
        spec=phantom.spec,
        make_world=make_world,
        draw=draw,
        image_shape=lambda spec: (spec.grid_size, spec.grid_size),
        units=lambda spec: spec.grid_size**2,
        max_labels=lambda spec: phantom.num_labels,
        num_labels=lambda spec: phantom.num_labels,
        available=lambda spec, world: UNLIMITED,
    )
