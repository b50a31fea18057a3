"""Trunks that see an image at several scales: a fully convolutional network, an encoder-decoder, a U-Net.

All go down `levels` times by pooling, with `depth` convolutions of 3 x 3 and rectifiers at each scale and twice the
channels at each scale below; they differ in how they come back to one feature vector a pixel.
"""

import flax.linen as nn
import jax.numpy as jnp

from sim.networks.pooling import convolution, pointwise, pool_max, unfold, upsample
from sim.types import Array


def _descend(images: Array, width: int, depth: int, levels: int) -> list[Array]:
    """Features at each scale, the finest first; call it inside a compact module."""
    hidden, kept = images[..., None], []
    for level in range(levels + 1):
        hidden = pool_max(hidden) if level else hidden
        for _ in range(depth):
            hidden = nn.relu(convolution(width * 2**level)(hidden))
        kept.append(hidden)
    return kept


class FullyConvolutional(nn.Module):
    """Scores of the coarsest scale and of the `skips` next finer ones, added, and grown bilinearly to the image.

    (batch, rows, columns) -> (batch, rows, columns, width). Scores are linear and so is the growing, so a linear head
    on top gives the FCN's sum of scores. Of five levels, skips 0, 1 and 2 are FCN-32s, 16s and 8s.

    Source: Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015 [unchecked].
    """

    width: int
    depth: int
    levels: int
    skips: int

    @nn.compact
    def __call__(self, images: Array) -> Array:
        kept = _descend(images, self.width, self.depth, self.levels)
        scores = pointwise(self.width)(kept[-1])
        for level in range(self.levels - 1, self.levels - 1 - self.skips, -1):
            scores = upsample(scores, 2) + pointwise(self.width)(kept[level])
        return upsample(scores, 2 ** (self.levels - self.skips))


class EncoderDecoder(nn.Module):
    """Down by pooling, up by transposed convolutions of stride two, nothing carried across.

    (batch, rows, columns) -> (batch, rows, columns, width).

    Source: Noh, Hong, Han, "Learning deconvolution network for semantic segmentation", ICCV 2015 [unchecked]; values
    are not put back where the maxima came from.
    """

    width: int
    depth: int
    levels: int

    @nn.compact
    def __call__(self, images: Array) -> Array:
        hidden = _descend(images, self.width, self.depth, self.levels)[-1]
        for level in reversed(range(self.levels)):
            width = self.width * 2**level
            hidden = nn.relu(unfold(pointwise(4 * width)(hidden), width))
            for _ in range(self.depth):
                hidden = nn.relu(convolution(width)(hidden))
        return hidden


class UNet(nn.Module):
    """As the encoder-decoder, with the features of each scale on the way down joined to those on the way up.

    (batch, rows, columns) -> (batch, rows, columns, width).

    Source: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015 [unchecked]; zero-padded convolutions.
    """

    width: int
    depth: int
    levels: int

    @nn.compact
    def __call__(self, images: Array) -> Array:
        kept = _descend(images, self.width, self.depth, self.levels)
        hidden = kept[-1]
        for level in reversed(range(self.levels)):
            width = self.width * 2**level
            grown = unfold(pointwise(4 * width)(hidden), width)
            hidden = nn.relu(convolution(width)(jnp.concatenate([kept[level], grown], axis=-1)))
            for _ in range(self.depth - 1):
                hidden = nn.relu(convolution(width)(hidden))
        return hidden
