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


def blur_matrix(pixels: int, deviation: float | Array, factor: int = 1) -> Array:
    """The matrix B of a Gaussian blur, mirrored at the edges, and of a mean over blocks of `factor` pixels after it.

    B image B^T blurs and shrinks an image in two products, whatever the deviation: no kernel has to be bounded.

    Args:
        pixels: side of the image, static; `factor` divides it.
        deviation: standard deviation in pixels of the large image, at most `pixels` / 4; may be traced.

    Returns:
        float32, shape (pixels / factor, pixels); rows sum to 1.

    Raises:
        ValueError: the factor does not divide the side.

    Example:
        >>> blur_matrix(4, 0.0, 2).tolist()
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    if factor < 1 or pixels % factor:
        raise ValueError(f"factor must divide the side {pixels}, got {factor}")
    place = jnp.arange(pixels, dtype=jnp.float32)
    to, source = place[:, None], place[None, :]
    width = jnp.maximum(jnp.asarray(deviation, jnp.float32), 1e-3)
    images = (to - source, to + source + 1, 2 * pixels - 1 - to - source)  # the source and its two mirror images
    weights = sum(jnp.exp(-0.5 * (distance / width) ** 2) for distance in images)
    weights = jnp.asarray(weights / jnp.sum(weights, axis=1, keepdims=True))
    return weights.reshape(pixels // factor, factor, pixels).mean(axis=1)


def smooth_field(key: Key, size: int, nodes: int, length: float | Array) -> Array:
    """A normal field of mean 0 and variance 1 at every pixel, correlation exp(-d^2 / (4 length^2)) away from the edges.

    White noise on `nodes` x `nodes` places of the unit square, spread by a Gaussian: the same key gives the same field
    at every `size`.

    Args:
        size: side of the image in pixels, static.
        nodes: places along a side, static.
        length: standard deviation of the Gaussian in sides of the image; with fewer nodes than pixels at least
            0.7 / nodes, or the nodes show. May be traced.

    Returns:
        float32, shape (size, size).
    """
    at, node = ((jnp.arange(number, dtype=jnp.float32) + 0.5) / number for number in (size, nodes))
    width = jnp.maximum(jnp.asarray(length, jnp.float32), 0.05 / nodes)
    weights = jnp.exp(-0.5 * ((at[:, None] - node[None, :]) / width) ** 2)
    weights = weights / jnp.sqrt(jnp.sum(weights**2, axis=1, keepdims=True))
    return weights @ draw_normal(key, (nodes, nodes)) @ weights.T


def poisson_gaussian(key: Key, clean: Array, deviation: float | Array, photon_share: float | Array) -> Array:
    """Photon and read noise of a camera, of standard deviation `deviation` at grey value 1.

    A pixel of grey value g has mean g and variance deviation^2 (s max(g, 0) + 1 - s), with s the share of photons.
    Counts are drawn as lambda + sqrt(lambda) z + (z^2 - 1) / 6 with z normal and lambda = max(g, 0) / (s deviation^2):
    Poisson in mean, variance (but for 1/18) and, to first order, in skewness. Whole counts would jump wherever two
    programs round a clean image differently.

    Args:
        clean: float32, grey values.
        photon_share: s in (0, 1].

    Source: Cornish and Fisher's expansion of a Poisson quantile to its second term.
    """
    share, noise = jnp.asarray(photon_share, jnp.float32), jnp.asarray(deviation, jnp.float32)
    shot, read = draw_normal(key, (2, *clean.shape))
    counts_a_unit = 1 / (share * noise**2)
    light = jnp.maximum(clean, 0.0)
    spread = jnp.sqrt(light * counts_a_unit + 1e-12) * shot + jnp.where(light > 0, (shot**2 - 1) / 6, 0.0)
    return clean + spread / counts_a_unit + noise * jnp.sqrt(1 - share) * read
