"""Networks by name: a trunk under a head, described by one frozen, hashable `NetworkSettings`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp

from sim.networks.classifiers import Classifier
from sim.networks.heads import HEADS, Head
from sim.networks.pyramids import EncoderDecoder, FullyConvolutional, UNet
from sim.networks.trunks import Convolutional, Dense
from sim.networks.windows import Dilated, Patch, window_kernels
from sim.types import Array

NETWORKS = {
    "mlp": "fully connected layers with rectifiers",
    "linear": "softmax regression: no hidden layer",
    "conv": "small convolutional trunk with a chosen receptive field",
    "fcn": "fully convolutional: scores of several scales added and grown bilinearly",
    "encoder_decoder": "down by pooling, up by transposed convolutions",
    "unet": "encoder-decoder with the features of each scale joined across",
    "dilated": "convolutions at several dilation rates, added",
    "patch": "classifier of the window around each pixel, slid over the image",
    "classifier": "convolutions and pooling with rectifiers, for whole images",
    "maxout": "convolutions and pooling with maxout units, for whole images",
}
POOLED = ("fcn", "encoder_decoder", "unet", "classifier", "maxout")
PIXELWISE = ("conv", "fcn", "encoder_decoder", "unet", "dilated", "patch")  # trunks with features for every pixel
CLASSIFIERS = ("classifier", "maxout")


@dataclass(frozen=True)
class NetworkSettings:
    """Everything about a network that sets shapes.

    Attributes:
        network: a key of `NETWORKS`.
        head: "jway", "dense", "shared" or "placed".
        image_shape: (rows, columns) of an image, in pixels.
        units: output units: tiles or pixels; 1 under a J-way head.
        classes: classes of a unit, padding included; J for a J-way head, L otherwise.
        width: hidden units or channels; channels of the finest scale where they double.
        depth: hidden layers; convolutions at each scale of a pooled network; "patch" has one a level.
        receptive_field: side in pixels, odd; "conv" and "patch" only.
        levels: halvings of the image, or of the window of "patch".
        skips: finer scales whose scores "fcn" adds to those of the coarsest, at most `levels`.
        rates: dilation rates of "dilated".
        pieces: affine maps of a maxout unit.

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
    levels: int = 2
    skips: int = 2
    rates: tuple[int, ...] = (1, 2, 4)
    pieces: int = 2

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
        if self.head == "placed" and self.network not in ("mlp", "linear"):
            raise ValueError(f"head placed needs network mlp or linear, got {self.network!r}")
        if self.network in PIXELWISE and self.head == "shared" and not pixelwise:
            raise ValueError(f"a shared head on a {self.network} trunk needs one unit a pixel, got {self.units} units")
        self._check_scales()
        if self.head in ("shared", "placed") and not pixelwise and columns % self.units:
            raise ValueError(f"a {self.head} head needs the units to divide the {columns} columns, got {self.units}")

    def _check_scales(self) -> None:
        if self.network in CLASSIFIERS and self.head == "shared":
            raise ValueError(f"head must be dense or jway on a {self.network} trunk, got {self.head!r}")
        if self.levels < 0:
            raise ValueError(f"levels must be >= 0, got {self.levels}")
        if self.network in POOLED and any(side % 2**self.levels for side in self.image_shape):
            factor = f"2^levels = {2**self.levels}"
            raise ValueError(f"image_shape must be multiples of {factor} for {self.network}, got {self.image_shape}")
        if self.network == "fcn" and not 0 <= self.skips <= self.levels:
            raise ValueError(f"skips must be in 0..levels = {self.levels}, got {self.skips}")
        if self.network == "dilated" and (not self.rates or min(self.rates) < 1):
            raise ValueError(f"rates must be one or more numbers >= 1, got {self.rates}")
        if self.network == "maxout" and self.pieces < 2:
            raise ValueError(f"pieces must be >= 2, got {self.pieces}")
        if self.network == "patch":
            window_kernels(self.receptive_field, self.levels)


# Trunks of networks added from outside: name -> settings -> module, images (batch, rows, columns) -> features.
TRUNKS: dict[str, Callable[[NetworkSettings], nn.Module]] = {}


def split_units(images: Array, units: int) -> Array:
    """Cut images into equal tiles side by side, or into pixels: (batch, rows, columns) -> (batch, units, inputs)."""
    batch, rows, columns = images.shape
    if units == rows * columns:
        return images.reshape(batch, units, 1)
    return images.reshape(batch, rows, units, columns // units).transpose(0, 2, 1, 3).reshape(batch, units, -1)


def _trunk(settings: NetworkSettings) -> nn.Module:
    """The trunk of a network that is not a `Dense` one."""
    if settings.network in TRUNKS:
        return TRUNKS[settings.network](settings)
    width, depth, levels = settings.width, settings.depth, settings.levels
    match settings.network:
        case "conv":
            return Convolutional(width, depth, settings.receptive_field)
        case "fcn":
            return FullyConvolutional(width, depth, levels, settings.skips)
        case "encoder_decoder":
            return EncoderDecoder(width, depth, levels)
        case "unet":
            return UNet(width, depth, levels)
        case "dilated":
            return Dilated(width, depth, settings.rates)
        case "patch":
            return Patch(width, levels, settings.receptive_field)
        case _:
            return Classifier(width, depth, levels, settings.pieces if settings.network == "maxout" else 1)


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
        if settings.network not in ("mlp", "linear"):
            features = _trunk(settings)(images)
            if settings.head == "shared":
                features = features.reshape(batch, settings.units, -1)
        else:
            depth = 0 if settings.network == "linear" else settings.depth
            apart = settings.head in ("shared", "placed")
            inputs = split_units(images, settings.units) if apart else images.reshape(batch, -1)
            if settings.head == "placed":
                places = jnp.broadcast_to(jnp.eye(settings.units), (batch, settings.units, settings.units))
                inputs = jnp.concatenate([inputs, places], axis=-1)
            features = Dense(settings.width, depth)(inputs)
        if settings.head in ("shared", "placed"):
            return Head(1, settings.classes)(features)[..., 0, :]
        return Head(settings.units, settings.classes)(features.reshape(batch, -1))


@lru_cache(maxsize=1024)
def num_parameters(settings: NetworkSettings) -> int:
    """Count the trainable numbers of a network, padded classes included, without allocating any."""
    image = jnp.ones((1, *settings.image_shape))
    shapes = jax.eval_shape(Network(settings).init, jax.random.key(0), image)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
