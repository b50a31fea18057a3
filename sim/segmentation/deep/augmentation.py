"""Copies of images that mean the same: mirrored, turned or shifted, chosen by a number."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from sim.types import Array


class Augmentation(NamedTuple):
    """A set of copies.

    Attributes:
        summary: one line.
        copies: how many, the image itself included, as number 0.
        apply: (maps, numbers) -> copies: any type, shape (batch, rows, columns), and int32, shape (batch,).
        moves_labels: whether a label map is to be changed in the same way.
    """

    summary: str
    copies: int
    apply: Callable[[Array, Array], Array]
    moves_labels: bool = True


def _where(chosen: Array, changed: Array, maps: Array) -> Array:
    return jnp.where(chosen[:, None, None], changed, maps)


def _mirrored(maps: Array, numbers: Array) -> Array:
    down = _where(numbers % 2 == 1, maps[:, ::-1], maps)
    return _where((numbers // 2) % 2 == 1, down[:, :, ::-1], down)


def _turned(maps: Array, numbers: Array) -> Array:
    if maps.shape[1] != maps.shape[2]:
        raise ValueError(f"augmentation turns needs square images, got {maps.shape[1:]}")
    return _where(numbers // 4 == 1, _mirrored(maps, numbers).swapaxes(1, 2), _mirrored(maps, numbers))


def _shifted(maps: Array, numbers: Array) -> Array:
    for axis, steps in ((1, numbers % 3), (2, numbers // 3)):
        padding = [(1, 1) if a == axis else (0, 0) for a in range(3)]
        padded, length = jnp.pad(maps, padding, mode="edge"), maps.shape[axis]
        back, ahead = (jnp.take(padded, k + jnp.arange(length), axis=axis) for k in (0, 2))
        maps = _where(steps == 1, back, _where(steps == 2, ahead, maps))
    return maps


AUGMENTATIONS = {
    "none": Augmentation("images as they are", 1, lambda maps, numbers: maps),
    "mirrors": Augmentation("mirrored up and down, left and right", 4, _mirrored),
    "turns": Augmentation("mirrored and turned by quarters; square images", 8, _turned),
    "shifts": Augmentation("by up to a pixel each way, for classes of whole images", 9, _shifted, moves_labels=False),
}
