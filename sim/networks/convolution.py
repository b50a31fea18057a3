"""A stride-one convolution whose gradient stays fast inside loops on CPU.

XLA's CPU backend runs the gradient of `lax.conv` with respect to the kernel on a slow path as soon as it stands
inside `scan` or `map`, which is where every population of networks lives. Here that one gradient is a convolution
with its axes moved to where the fast path wants them, or a matrix product where large images have few channels; a
kernel of one pixel is a matrix product altogether. All of it is fast
for one network at a time; vmapped over networks it is several times slower. Other platforms keep XLA's own
convolution; Flax takes this function through its `conv_general_dilated` argument.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from sim.types import Array

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
# Pixels of a group of images whose kernel gradient is taken at once: half a megabyte with 32 channels, which stays in
# a core's cache; a batch of four times as many at once takes twice as long.
_PIXELS = 4096
# Images of so many pixels with so few channels: their kernel's gradient is two to four times as fast as a product.
_LARGE, _FEW = 1024, 16  # one channel alone has no columns worth it


def _plain(images: Array, kernel: Array, dilation: tuple[int, int]) -> Array:
    return lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", rhs_dilation=dilation, dimension_numbers=_DIMENSIONS
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _cpu(images: Array, kernel: Array, dilation: tuple[int, int]) -> Array:
    return _plain(images, kernel, dilation)


def _forward(images: Array, kernel: Array, dilation: tuple[int, int]) -> tuple[Array, tuple[Array, Array]]:
    return _plain(images, kernel, dilation), (images, kernel)


def _columns(images: Array, sides: tuple[int, int], dilation: tuple[int, int]) -> Array:
    """What a kernel sees around every pixel, zeros outside: shape (batch * rows * columns, taps * channels)."""
    rows, columns, channels = images.shape[1:]
    (down, up), (across, back) = ((step * (side // 2),) * 2 for side, step in zip(sides, dilation, strict=True))
    padded = jnp.pad(images, ((0, 0), (down, up), (across, back), (0, 0)))
    seen = [
        padded[:, i * dilation[0] : i * dilation[0] + rows, j * dilation[1] : j * dilation[1] + columns]
        for i in range(sides[0]) for j in range(sides[1])
    ]  # fmt: skip
    return jnp.concatenate(seen, axis=-1).reshape(-1, len(seen) * channels)


def _product_gradient(images: Array, cotangent: Array, sides: tuple[int, int], dilation: tuple[int, int]) -> Array:
    """`_kernel_gradient` as one product with the columns of whichever has fewer channels."""
    wide, narrow = (cotangent, images) if images.shape[-1] <= cotangent.shape[-1] else (images, cotangent)
    # Without the barriers XLA reads the images across their rows, which is slower.
    across = lax.optimization_barrier(wide.reshape(-1, wide.shape[-1]).T)
    taps = lax.optimization_barrier(across @ _columns(narrow, sides, dilation))
    taps = taps.reshape(wide.shape[-1], *sides, narrow.shape[-1])
    if wide is cotangent:
        return taps.transpose(1, 2, 3, 0)
    return jnp.flip(taps, (1, 2)).transpose(1, 2, 0, 3)  # the cotangent seen from a pixel of the images


def _kernel_gradient(images: Array, cotangent: Array, sides: tuple[int, int], dilation: tuple[int, int]) -> Array:
    """sum_brc images[b,r+i,c+j,k] cotangent[b,r,c,o]: channels are the batch, the cotangent is the kernel."""
    if images.shape[1] * images.shape[2] >= _LARGE and 1 < min(images.shape[-1], cotangent.shape[-1]) <= _FEW:
        return _product_gradient(images, cotangent, sides, dilation)
    margins = [(step * (side // 2),) * 2 for side, step in zip(sides, dilation, strict=True)]
    taps = lax.conv_general_dilated(
        images.transpose(3, 1, 2, 0), cotangent.transpose(1, 2, 0, 3), dilation, margins, dimension_numbers=_DIMENSIONS
    )
    return taps.transpose(1, 2, 0, 3)


def _group_size(batch: int, pixels: int) -> int:
    """The largest divisor of the batch whose images have at most `_PIXELS` pixels together; one image at least."""
    return max(size for size in range(1, batch + 1) if batch % size == 0 and (size == 1 or size * pixels <= _PIXELS))


def _backward(dilation: tuple[int, int], saved: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    images, kernel = saved
    batch, rows, columns, _ = images.shape
    images_bar = _plain(cotangent, jnp.flip(kernel, (0, 1)).swapaxes(2, 3), dilation)
    sides = kernel.shape[0], kernel.shape[1]
    size = _group_size(batch, rows * columns)
    if size == batch:
        return images_bar, _kernel_gradient(images, cotangent, sides, dilation)

    def add(total: Array, group: tuple[Array, Array]) -> tuple[Array, None]:
        return total + _kernel_gradient(*group, sides, dilation), None

    def grouped(array: Array) -> Array:
        return array.reshape(-1, size, rows, columns, array.shape[-1])

    return images_bar, lax.scan(add, jnp.zeros_like(kernel), (grouped(images), grouped(cotangent)))[0]


_cpu.defvjp(_forward, _backward)


@jax.custom_vjp
def _product(images: Array, kernel: Array) -> Array:
    return images @ kernel[0, 0]


def _product_forward(images: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _product(images, kernel), (images, kernel)


def _product_backward(saved: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    images, kernel = saved
    channels, features = kernel.shape[2:]
    # Without the barriers XLA sums over the pixels of images that it reads across their rows, which is slower.
    across = lax.optimization_barrier(cotangent.reshape(-1, features).T)
    kernel_bar = lax.optimization_barrier(across @ images.reshape(-1, channels)).T
    return cotangent @ kernel[0, 0].T, kernel_bar.reshape(kernel.shape)


_product.defvjp(_product_forward, _product_backward)


def convolve(images: Array, kernel: Array, dilation: tuple[int, int] = (1, 1)) -> Array:
    """Convolve with zero padding and stride one: out[b,r,c,o] = sum_ijk images[b,r+di,c+ej,k] kernel[i,j,k,o].

    Args:
        images: float32, shape (batch, rows, columns, channels).
        kernel: float32, shape (height, width, channels, features); height and width odd.
        dilation: (d, e), pixels between neighbouring entries of the kernel, down and across.

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
    fast = _product if kernel.shape[:2] == (1, 1) else partial(_cpu, dilation=dilation)
    return lax.platform_dependent(images, kernel, cpu=fast, default=partial(_plain, dilation=dilation))


def flax_convolution(
    images: Array,
    kernel: Array,
    strides: Any,
    padding: Any,
    *,
    lhs_dilation: Any = (1, 1),
    rhs_dilation: Any = (1, 1),
    feature_group_count: int = 1,
    **others: Any,
) -> Array:
    """`convolve` with the call signature that `flax.linen.Conv(conv_general_dilated=...)` expects.

    Raises:
        ValueError: strides, an input dilation or feature groups other than one, or a padding other than "SAME",
            which `convolve` does not offer.
    """
    if any(s != 1 for s in strides) or padding != "SAME":
        raise ValueError(f"convolution needs strides 1 and padding SAME, got {strides} and {padding}")
    if any(step != 1 for step in lhs_dilation) or feature_group_count != 1:
        raise ValueError(
            f"convolution needs input dilation 1 and 1 feature group, got {lhs_dilation} and {feature_group_count}"
        )
    return convolve(images, kernel, tuple(rhs_dilation))
