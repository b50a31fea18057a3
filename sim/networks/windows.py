"""Trunks with an exactly known window: dilated convolutions, and a patch classifier slid over the image."""

import flax.linen as nn
import jax.numpy as jnp

from sim.networks.pooling import convolution, dense_maximum, interleaved
from sim.types import Array


class Dilated(nn.Module):
    """`depth` convolutions of 3 x 3, then one of 3 x 3 at each dilation rate, added, and a rectifier.

    (batch, rows, columns) -> (batch, rows, columns, width). The window is 1 + 2 (depth + largest rate) pixels wide.

    Source: Chen et al., "DeepLab", 2016 [unchecked]: its parallel rates, without its pooled trunk.
    """

    width: int
    depth: int
    rates: tuple[int, ...]

    @nn.compact
    def __call__(self, images: Array) -> Array:
        hidden = images[..., None]
        for _ in range(self.depth):
            hidden = nn.relu(convolution(self.width)(hidden))
        return nn.relu(sum(interleaved(convolution(self.width), hidden, rate) for rate in self.rates))


def window_kernels(receptive_field: int, levels: int) -> tuple[tuple[int, ...], int]:
    """Sides of a patch classifier's convolutions: one before each pooling, and that of the last, which sees all.

    A window of side f leaves (f - kernel) / 2 after a convolution and 3 x 3 pooling with stride two. That must be odd:
    the kernel is 3 where f mod 4 is 1, else 5.

    Raises:
        ValueError: the window is too small for so many levels.

    Example:
        >>> window_kernels(21, 2), window_kernels(15, 1)
        (((3, 3), 3), ((5,), 5))
    """
    kernels, side = [], receptive_field
    for _ in range(levels):
        kernel = 3 if side % 4 == 1 else 5
        side = (side - kernel) // 2
        if side < 1:
            raise ValueError(f"receptive_field must leave a pixel after {levels} levels, got {receptive_field}")
        kernels.append(kernel)
    return tuple(kernels), side


class Patch(nn.Module):
    """A classifier of the window around each pixel, run on all windows at once.

    (batch, rows, columns) -> (batch, rows, columns, width 2^levels). In a window: at each level a convolution, a
    rectifier and 3 x 3 maximum pooling with stride two; then a fully connected layer with rectifiers. All convolutions
    are without padding; the image is mirrored at its edges. Windows share what they overlap in: pooling with stride two
    parts the image into four interleaved ones, each going on by itself, which gives each window's own numbers.

    Source: Ciresan, Giusti, Gambardella, Schmidhuber, "Deep neural networks segment neuronal membranes in electron
    microscopy images", NIPS 2012 [unchecked]; dense evaluation as in Giusti et al., "Fast image scanning with deep
    max-pooling convolutional neural networks", ICIP 2013 [unchecked].
    """

    width: int
    levels: int
    receptive_field: int

    @nn.compact
    def __call__(self, images: Array) -> Array:
        kernels, last = window_kernels(self.receptive_field, self.levels)
        reach = self.receptive_field // 2
        rows, columns = images.shape[1:]

        def onwards(maps: Array, level: int) -> Array:
            if level == self.levels:
                return nn.relu(convolution(self.width * 2**level, last)(maps))
            hidden = nn.relu(convolution(self.width * 2**level, kernels[level])(maps))
            return interleaved(lambda part: onwards(part, level + 1), dense_maximum(hidden), 2)

        padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach)), mode="symmetric")
        return onwards(padded[..., None], 0)[:, reach : reach + rows, reach : reach + columns]
