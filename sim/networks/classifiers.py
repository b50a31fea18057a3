"""Trunks for whole images: convolutions, pooling and a fully connected layer, with rectifiers or with maxout."""

import flax.linen as nn

from sim.networks.pooling import convolution, pointwise, pool_max
from sim.types import Array


def maxout(values: Array, pieces: int) -> Array:
    """The largest of each unit's `pieces` affine maps: (..., units pieces) -> (..., units); a rectifier for one piece.

    Example:
        >>> import jax.numpy as jnp
        >>> maxout(jnp.array([1.0, 3.0, -2.0, -1.0]), 2).tolist(), maxout(jnp.array([-1.0]), 1).tolist()
        ([3.0, -1.0], [0.0])
    """
    if pieces == 1:
        return nn.relu(values)
    return values.reshape(*values.shape[:-1], -1, pieces).max(axis=-1)


class Classifier(nn.Module):
    """`levels` times `depth` convolutions of 3 x 3 and 2 x 2 pooling, channels doubling; then one layer of all pixels.

    (batch, rows, columns) -> (batch, width 2^levels).

    Source: with one piece as Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012 [unchecked], far smaller; with more as Goodfellow et al., "Maxout networks", ICML 2013 [unchecked].
    """

    width: int
    depth: int
    levels: int
    pieces: int = 1

    @nn.compact
    def __call__(self, images: Array) -> Array:
        hidden = images[..., None]
        for level in range(self.levels):
            for _ in range(self.depth):
                hidden = maxout(convolution(self.width * 2**level * self.pieces)(hidden), self.pieces)
            hidden = pool_max(hidden)
        units = self.width * 2**self.levels * self.pieces
        flat = hidden.reshape(images.shape[0], -1)
        return maxout(pointwise(units)(flat), self.pieces)
