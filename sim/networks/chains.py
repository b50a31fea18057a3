"""Networks for rows of pixels: convolutions along the row that share their weights, and grey values as basis functions.

Convolutions are sums over shifted rows, one matrix product each: on CPU that is faster than a library convolution of
one dimension, inside loops too.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp

from sim.networks.heads import Head
from sim.types import Array


@dataclass(frozen=True)
class ChainSettings:
    """Everything about a network of rows that sets shapes.

    Attributes:
        classes: labels of a pixel, padding included.
        kernel: pixels that one layer looks at, odd.
        layers: hidden layers; 0 is softmax regression on each pixel by itself. What one output sees is
            1 + layers (kernel - 1) pixels wide.
        width: channels.
        padded: True labels every pixel of a row, with zeros beyond its ends; False labels the pixels whose whole
            surroundings are seen.
        channels: radial basis functions that a grey value is shown as; 1 shows the value itself.

    Raises:
        ValueError: a size that is impossible.
    """

    classes: int
    kernel: int = 3
    layers: int = 3
    width: int = 32
    padded: bool = True
    channels: int = 1

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd and >= 1, got {self.kernel}")
        for name, least in (("classes", 2), ("layers", 0), ("width", 1), ("channels", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")


def radial_basis(values: Array, low: Array, high: Array, channels: int, width: Array) -> Array:
    """Show each value by its nearness to fixed centres: exp(-(value - centre_k)^2 / (2 width^2)).

    Args:
        values: float32, any shape.
        low, high: first and last centre; the others lie evenly between.
        channels: number of centres, >= 2.
        width: in the units of the values.

    Returns:
        float32, the shape of the values with `channels` behind it.

    Example:
        >>> import jax.numpy as jnp
        >>> radial_basis(jnp.array([0.0, 1.0]), 0.0, 1.0, 2, 0.5).round(3).tolist()
        [[1.0, 0.13500000536441803], [0.13500000536441803, 1.0]]
    """
    centres = jnp.linspace(low, high, channels).reshape((1,) * values.ndim + (channels,))
    return jnp.exp(-(((values[..., None] - centres) / width) ** 2) / 2)


class ChainNetwork(nn.Module):
    """Rows of pixels (batch, length) or (batch, length, channels) -> logits (batch, pixels labelled, classes).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> network = ChainNetwork(ChainSettings(classes=3, kernel=5, layers=2, padded=False))
        >>> rows = jnp.ones((4, 12))
        >>> network.apply(network.init(jax.random.key(0), rows), rows).shape
        (4, 4, 3)
    """

    settings: ChainSettings

    @nn.compact
    def __call__(self, rows: Array) -> Array:
        settings = self.settings
        hidden = rows[..., None] if rows.ndim == 2 else rows
        reach = settings.kernel // 2
        for layer in range(settings.layers):
            if settings.padded:
                hidden = jnp.pad(hidden, ((0, 0), (reach, reach), (0, 0)))
            length = hidden.shape[1] - 2 * reach
            around = jnp.concatenate([hidden[:, k : k + length] for k in range(settings.kernel)], axis=-1)
            dense = nn.Dense(settings.width, kernel_init=nn.initializers.he_normal(), name=f"layer{layer}")
            hidden = nn.relu(dense(around))
        return Head(1, settings.classes)(hidden)[..., 0, :]
