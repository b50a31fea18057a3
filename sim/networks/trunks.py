"""Trunks: from images to features. Widths and depths are static; one image axis is the batch."""

import flax.linen as nn

from sim.networks.convolution import flax_convolution
from sim.types import Array


class Dense(nn.Module):
    """Fully connected layers with rectifiers: (..., inputs) -> (..., width). Depth 0 passes its input through,
    which under a head is softmax regression."""

    width: int
    depth: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        hidden = inputs
        for layer in range(self.depth):
            dense = nn.Dense(self.width, kernel_init=nn.initializers.he_normal(), name=f"layer{layer}")
            hidden = nn.relu(dense(hidden))
        return hidden


class Convolutional(nn.Module):
    """Stride-one convolutions with rectifiers: (batch, rows, columns) -> (batch, rows, columns, width).

    The receptive field is exactly `receptive_field` pixels wide: (receptive_field - 1) / 2 layers of 3x3, and
    1x1 layers up to `depth`, so that networks of different receptive field keep one depth.
    """

    width: int
    depth: int
    receptive_field: int

    @nn.compact
    def __call__(self, images: Array) -> Array:
        hidden = images[..., None]
        wide = (self.receptive_field - 1) // 2
        for layer in range(max(self.depth, wide)):
            side = 3 if layer < wide else 1
            convolution = nn.Conv(
                self.width,
                (side, side),
                kernel_init=nn.initializers.he_normal(),
                conv_general_dilated=flax_convolution,
                name=f"layer{layer}",
            )
            hidden = nn.relu(convolution(hidden))
        return hidden
