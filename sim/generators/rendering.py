"""From a label map to an image: grey values, bias field, blur, noise, in the order in which a scanner adds them.

All lengths are in pixels of the given grid; a caller with lengths in physical units divides by its pixel size. Every
number may be traced, so all of it runs under `jit` and `vmap`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from sim.generators.streams import draw_normal
from sim.types import Array, Key

BLUR_REACH = 4  # the kernel ends at four standard deviations: 6e-5 of a Gaussian lies beyond


def grey_values(labels: Array, levels: Array | Sequence[float]) -> Array:
    """The grey value of each pixel's label: int (...) and float (L,) -> float32 (...)."""
    return jnp.asarray(levels, jnp.float32)[labels]


def blur(image: Array, deviation: float | Array, largest: float) -> Array:
    """Convolve one image with a Gaussian, mirrored at the edges; 0 leaves it as it is.

    Args:
        image: float32, shape (rows, columns).
        deviation: standard deviation in pixels, may be traced, at most `largest`.
        largest: static bound of the deviation; it sets the kernel's size.

    Raises:
        ValueError: the kernel is larger than the image.

    Example:
        >>> import jax.numpy as jnp
        >>> image = jnp.zeros((9, 9)).at[4, 4].set(1.0)
        >>> blurred = blur(image, 1.0, 1.0)
        >>> round(float(blurred.sum()), 4), bool(blurred[4, 4] < 0.2)
        (1.0, True)
    """
    reach = int(-(-BLUR_REACH * largest // 1))
    if reach > min(image.shape):
        raise ValueError(f"largest must be at most {min(image.shape) / BLUR_REACH:g} for this image, got {largest}")
    offsets = jnp.arange(-reach, reach + 1, dtype=jnp.float32)
    weights = jnp.exp(-0.5 * (offsets / jnp.maximum(jnp.asarray(deviation, jnp.float32), 1e-3)) ** 2)
    weights = weights / weights.sum()
    for axis in (0, 1):
        padding = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = jnp.moveaxis(jnp.pad(image, padding, mode="symmetric"), axis, 0)
        length = image.shape[axis]
        shifted = jnp.stack([padded[k : k + length] for k in range(2 * reach + 1)])
        image = jnp.moveaxis(jnp.tensordot(weights, shifted, axes=1), 0, axis)
    return image


def bias_field(key: Key, shape: tuple[int, int], amplitude: float | Array, order: int = 3) -> Array:
    """A smooth positive factor with mean 1: a random polynomial of the pixel's place, between 1 - a and 1 + a.

    Args:
        shape: (rows, columns).
        amplitude: a in [0, 1): BrainWeb's "20% inhomogeneity" is a = .1.
        order: largest total degree of the polynomial, static.

    Returns:
        float32, shape (rows, columns).

    Source: a polynomial bias of low order as in TorchIO's RandomBiasField, scaled to a stated range.
    """
    rows, columns = (jnp.linspace(-1.0, 1.0, side) for side in shape)
    terms = [(i, j) for i in range(order + 1) for j in range(order + 1 - i) if i + j > 0]
    coefficients = draw_normal(key, (len(terms),))
    surface = sum(c * rows[:, None] ** i * columns[None, :] ** j for c, (i, j) in zip(coefficients, terms, strict=True))
    surface = surface - jnp.mean(surface)
    return 1.0 + jnp.asarray(amplitude, jnp.float32) * surface / jnp.maximum(jnp.max(jnp.abs(surface)), 1e-6)


def correlated_noise(
    key: Key, shape: tuple[int, int], deviation: float | Array, length: float | Array, largest: float
) -> Array:
    """Gaussian noise of standard deviation `deviation` whose correlation falls as exp(-d^2 / (4 length^2)).

    Args:
        length: standard deviation in pixels of the kernel that white noise is blurred with; 0 leaves it white.
        largest: static bound of `length`.
    """
    white = draw_normal(key, shape)
    reach = int(-(-BLUR_REACH * largest // 1))
    offsets = jnp.arange(-reach, reach + 1, dtype=jnp.float32)
    weights = jnp.exp(-0.5 * (offsets / jnp.maximum(jnp.asarray(length, jnp.float32), 1e-3)) ** 2)
    weights = weights / weights.sum()
    gain = jnp.sum(weights**2)  # variance left by the kernel along one axis, away from the edges
    return jnp.asarray(deviation, jnp.float32) / gain * blur(white, length, largest)


def rician(key: Key, clean: Array, deviation: float | Array) -> Array:
    """Magnitude of a complex signal with independent normal noise in both parts: the noise of magnetic resonance."""
    real, imaginary = draw_normal(key, (2, *clean.shape)) * jnp.asarray(deviation, jnp.float32)
    return jnp.sqrt((clean + real) ** 2 + imaginary**2)


def photon_noise(key: Key, clean: Array, photons: float | Array) -> Array:
    """Counts of photons over their scale: Poisson(photons * clean) / photons, as a camera sees fluorescence."""
    scale = jnp.asarray(photons, jnp.float32)
    return jax.random.poisson(key, jnp.maximum(clean, 0.0) * scale).astype(jnp.float32) / scale
