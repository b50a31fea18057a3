"""A stride-one convolution whose gradient stays fast inside loops on CPU.

XLA's CPU backend runs the gradient of `lax.conv` with respect to the kernel on a slow path as soon as it stands
inside `scan` or `map`, which is where every population of networks lives. Here that one gradient is written as
shifted matrix products. Other platforms keep XLA's own convolution; Flax takes this function through its
`conv_general_dilated` argument.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from sim.types import Array

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def _plain(images: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=_DIMENSIONS)


@jax.custom_vjp
def _cpu(images: Array, kernel: Array) -> Array:
    return _plain(images, kernel)


def _forward(images: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _plain(images, kernel), (images, kernel)


def _backward(saved: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    images, kernel = saved
    height, width = kernel.shape[0], kernel.shape[1]
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    images_bar = _plain(cotangent, flipped)
    padded = jnp.pad(images, ((0, 0), (height // 2, height // 2), (width // 2, width // 2), (0, 0)))
    rows, columns = images.shape[1], images.shape[2]
    outputs = cotangent.reshape(-1, cotangent.shape[-1])
    shifted = [
        padded[:, i : i + rows, j : j + columns, :].reshape(-1, images.shape[-1]).T @ outputs
        for i in range(height)
        for j in range(width)
    ]
    return images_bar, jnp.stack(shifted).reshape(kernel.shape)


_cpu.defvjp(_forward, _backward)


def convolve(images: Array, kernel: Array) -> Array:
    """Convolve with zero padding and stride one: out[b,r,c,o] = sum_ijk images[b,r+i,c+j,k] kernel[i,j,k,o].

    Args:
        images: float32, shape (batch, rows, columns, channels).
        kernel: float32, shape (height, width, channels, features); height and width odd.

    Returns:
        float32, shape (batch, rows, columns, features).

    Raises:
        ValueError: a kernel side is even (zero padding would shift the image by half a pixel).

    Example:
        >>> import jax.numpy as jnp
        >>> convolve(jnp.ones((1, 3, 3, 1)), jnp.ones((3, 3, 1, 1)))[0, 1, 1, 0].item()
        9.0
    """
    if kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0:
        raise ValueError(f"kernel sides must be odd, got {kernel.shape[:2]}")
    return lax.platform_dependent(images, kernel, cpu=_cpu, default=_plain)


def flax_convolution(images: Array, kernel: Array, strides: Any, padding: Any, **others: Any) -> Array:
    """`convolve` with the call signature that `flax.linen.Conv(conv_general_dilated=...)` expects.

    Raises:
        ValueError: strides or padding other than one and "SAME", which `convolve` does not offer.
    """
    if any(s != 1 for s in strides) or padding != "SAME":
        raise ValueError(f"convolution needs strides 1 and padding SAME, got {strides} and {padding}")
    return convolve(images, kernel)
