"""Networks by name: a trunk under a head, described by one frozen, hashable `NetworkSettings`."""

from dataclasses import dataclass
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp

from sim.networks.heads import HEADS, Head
from sim.networks.trunks import Convolutional, Dense
from sim.types import Array

NETWORKS = {
    "mlp": "fully connected layers with rectifiers",
    "linear": "softmax regression: no hidden layer",
    "conv": "small convolutional trunk with a chosen receptive field",
}


@dataclass(frozen=True)
class NetworkSettings:
    """Everything about a network that sets shapes.

    Attributes:
        network: "mlp", "linear" or "conv".
        head: "jway", "dense" or "shared".
        image_shape: (rows, columns) of an image, in pixels.
        units: output units: tiles or pixels; 1 under a J-way head.
        classes: classes of a unit, padding included; J for a J-way head, L otherwise.
        width: hidden units or channels.
        depth: hidden layers.
        receptive_field: side in pixels, odd; convolutional trunk only.

    Raises:
        ValueError: an unknown name, or a size that is impossible, with the rule and the value.
    """

    network: str
    head: str
    image_shape: tuple[int, int]
    units: int
    classes: int
    width: int = 128
    depth: int = 2
    receptive_field: int = 7

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"network must be one of {sorted(NETWORKS)}, got {self.network!r}")
        if self.head not in HEADS:
            raise ValueError(f"head must be one of {sorted(HEADS)}, got {self.head!r}")
        if self.head == "jway" and self.units != 1:
            raise ValueError(f"a jway head has 1 unit, got units {self.units}")
        if self.receptive_field % 2 == 0:
            raise ValueError(f"receptive_field must be odd, got {self.receptive_field}")
        rows, columns = self.image_shape
        pixelwise = self.units == rows * columns
        if self.network == "conv" and self.head == "shared" and not pixelwise:
            raise ValueError(f"a shared head on a conv trunk needs one unit a pixel, got {self.units} units")
        if self.head == "shared" and not pixelwise and columns % self.units:
            raise ValueError(f"a shared head needs the units to divide the {columns} columns, got {self.units}")


def split_units(images: Array, units: int) -> Array:
    """Cut images into equal tiles side by side, or into pixels: (batch, rows, columns) -> (batch, units, inputs)."""
    batch, rows, columns = images.shape
    if units == rows * columns:
        return images.reshape(batch, units, 1)
    return images.reshape(batch, rows, units, columns // units).transpose(0, 2, 1, 3).reshape(batch, units, -1)


class Network(nn.Module):
    """A trunk under a head: images (batch, rows, columns) -> logits (batch, units, classes), float32.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> settings = NetworkSettings("mlp", "dense", image_shape=(2, 8), units=4, classes=3)
        >>> network = Network(settings)
        >>> network.apply(network.init(jax.random.key(0), jnp.ones((1, 2, 8))), jnp.ones((5, 2, 8))).shape
        (5, 4, 3)
    """

    settings: NetworkSettings

    @nn.compact
    def __call__(self, images: Array) -> Array:
        settings, batch = self.settings, images.shape[0]
        if settings.network == "conv":
            features = Convolutional(settings.width, settings.depth, settings.receptive_field)(images)
            if settings.head == "shared":
                features = features.reshape(batch, settings.units, settings.width)
        else:
            depth = 0 if settings.network == "linear" else settings.depth
            inputs = split_units(images, settings.units) if settings.head == "shared" else images.reshape(batch, -1)
            features = Dense(settings.width, depth)(inputs)
        if settings.head == "shared":
            return Head(1, settings.classes)(features)[..., 0, :]
        return Head(settings.units, settings.classes)(features.reshape(batch, -1))


@lru_cache(maxsize=1024)
def num_parameters(settings: NetworkSettings) -> int:
    """Count the trainable numbers of a network, padded classes included, without allocating any."""
    image = jnp.ones((1, *settings.image_shape))
    shapes = jax.eval_shape(Network(settings).init, jax.random.key(0), image)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
