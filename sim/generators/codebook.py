"""Classes as random codewords: the task for which accuracy as a function of inputs and outputs is known exactly.

c_j ~ N(0, signal_power I),   image = c_y + noise * N(0, I),   y in {0, ..., outputs - 1}
"""

import dataclasses
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp

from sim.generators.streams import add_noise, as_rounded, draw_class, draw_codewords, draw_images
from sim.generators.validation import require_not_negative, require_positive, require_shape, require_whole
from sim.types import UNLIMITED, Array, Batch, Generator, Key


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CodebookSpec:
    """A codebook task; `max_outputs` and `image_shape` are static, the rest may be traced.

    Attributes:
        max_outputs: room for codewords; raising it leaves the first codewords unchanged.
        image_shape: (rows, columns), in pixels.
        outputs: J, classes, 1 to `max_outputs`.
        signal_power: g, variance of a codeword's pixel; 0 gives images that carry no information.
        noise: standard deviation of a pixel's noise, in the units of the image.
        balanced: image i shows class i mod J; otherwise classes are drawn uniformly and independently.

    Example:
        >>> CodebookSpec(outputs=20).validated()
        Traceback (most recent call last):
        ValueError: outputs must be a whole number in [1, 16], got 20
    """

    max_outputs: int = dataclasses.field(default=16, metadata={"static": True})
    image_shape: tuple[int, int] = dataclasses.field(default=(8, 8), metadata={"static": True})
    outputs: int | Array = 16
    signal_power: float | Array = 1.0
    noise: float | Array = 1.0
    balanced: bool | Array = True

    def validated(self) -> Self:
        """Return the spec; ValueError names the first field that breaks its rule. Traced fields pass."""
        require_whole("max_outputs", self.max_outputs, 1, 2**31 - 1)
        require_shape("image_shape", self.image_shape)
        require_whole("outputs", self.outputs, 1, self.max_outputs)
        require_not_negative("signal_power", self.signal_power)
        require_positive("noise", self.noise)
        return self


class CodebookWorld(NamedTuple):
    """What all images share.

    Attributes:
        codewords: float32, shape (max_outputs, rows, columns).
    """

    codewords: Array


def make_world(key: Key, spec: CodebookSpec) -> CodebookWorld:
    """Draw the codewords, class j from `fold_in(key, j)`.

    Raises:
        ValueError: a field of the spec breaks its rule.
    """
    spec.validated()
    power = jnp.asarray(spec.signal_power, jnp.float32)
    codewords = draw_codewords(key, spec.max_outputs, spec.image_shape)
    return CodebookWorld(as_rounded(jnp.sqrt(power) * codewords))


def draw(key: Key, spec: CodebookSpec, world: CodebookWorld, indices: Array) -> Batch:
    """Draw the images at `indices`: float32 (num_images, rows, columns), int32 labels (num_images, 1)."""

    def draw_image(index: Array, label_key: Key, noise_key: Key) -> Batch:
        label = draw_class(index, label_key, spec.outputs, spec.balanced)
        return Batch(add_noise(noise_key, world.codewords[label], spec.noise), label[None])

    return draw_images(key, indices, draw_image)


CODEBOOK = Generator(
    name="codebook",
    summary="J classes, each a random codeword seen through normal noise; accuracy known exactly",
    spec=CodebookSpec,
    make_world=make_world,
    draw=draw,
    image_shape=lambda spec: spec.image_shape,
    units=lambda spec: 1,
    max_labels=lambda spec: spec.max_outputs,
    num_labels=lambda spec: spec.outputs,
    available=lambda spec, world: UNLIMITED,
)
