"""Scenes to be shrunk: solid blobs and thin rings on a fine grid, and what is left of image and map on coarser ones.

image = 2 label - 1 + noise * N(0, 1) on the fine grid; a coarse pixel shows the mean of its block, so its own noise is
that of a fine pixel divided by the side of the block, and all evidence of the fine image that is in means stays.
"""

import jax
import jax.numpy as jnp

from sim.generators.resampling import area_average, label_fractions
from sim.generators.scenes import Objects, ScenesSpec, draw_objects, sample_labels
from sim.generators.streams import add_noise
from sim.types import Array, Key

FINE = 64  # pixels along a side
THICKNESS = 2  # of a ring, in fine pixels
OUTLINES = ("blobs", "rings")
BLOBS = ScenesSpec(kind="ellipses", grid_size=FINE, lattice=2, objects=3, size=0.22, size_variation=0.4)
RINGS = ScenesSpec(kind="discs", grid_size=FINE, lattice=2, objects=3, size=0.22, size_variation=0.4)


def ring_labels(objects: Objects, grid_size: int, thickness: float) -> Array:
    """1 within `thickness`, a share of the side, inwards of the circle around each object: int32 (size, size).

    Example:
        >>> objects = Objects(jnp.array([[0.5, 0.5]]), jnp.full((1, 8), 0.4), jnp.zeros(1), jnp.ones(1, jnp.int32))
        >>> ring_labels(objects, 4, 0.25).tolist()
        [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]
    """
    middle = (jnp.arange(grid_size, dtype=jnp.float32) + 0.5) / grid_size
    away = jnp.stack(jnp.meshgrid(middle, middle, indexing="ij"), axis=-1)[:, :, None, :] - objects.centre[None, None]
    inwards = objects.radius[None, None, :, 0] - jnp.sqrt(jnp.sum(away**2, axis=-1))
    shown = (inwards >= 0) & (inwards < thickness) & (objects.label > 0)[None, None]
    return jnp.any(shown, axis=-1).astype(jnp.int32)


def draw_outlines(key: Key, outline: str, noise: float | Array, indices: Array) -> tuple[Array, Array]:
    """Draw fine images and maps by number; image i depends on (key, i) alone.

    Args:
        outline: "blobs" (three ellipses) or "rings" (three circles, two pixels thick), static.
        noise: standard deviation of a fine pixel's noise.
        indices: int32, shape (images,).

    Returns:
        images float32 and labels int32, both of shape (images, 64, 64).

    Raises:
        ValueError: no such outline.
    """
    if outline not in OUTLINES:
        raise ValueError(f"outline must be one of {list(OUTLINES)}, got {outline!r}")

    def one(index: Array) -> tuple[Array, Array]:
        label_key, noise_key = jax.random.split(jax.random.fold_in(key, index))
        if outline == "blobs":
            labels = sample_labels(draw_objects(label_key, BLOBS), BLOBS.kind, FINE)
        else:
            labels = ring_labels(draw_objects(label_key, RINGS), FINE, THICKNESS / FINE)
        return add_noise(noise_key, 2.0 * labels.astype(jnp.float32) - 1.0, noise), labels

    return jax.vmap(one)(indices)


def shrink(images: Array, labels: Array, grid_size: int) -> tuple[Array, Array]:
    """Images and maps on a coarser grid: block means, and the share of label 1 in each block.

    Args:
        images: float32, shape (images, 64, 64). labels: int32, the same shape. grid_size: a divisor of 64.

    Returns:
        both float32, shape (images, grid_size, grid_size).

    Raises:
        ValueError: the grid size does not divide the side.
    """
    factor, rest = divmod(images.shape[-1], grid_size)
    if rest:
        raise ValueError(f"grid_size must divide {images.shape[-1]}, got {grid_size}")
    return area_average(images, factor), label_fractions(labels, factor, 2)[..., 1]
