"""Real images behind the generator protocol: scikit-learn's 1,797 handwritten digits of 8 x 8 pixels.

A task is a random subset of J of the ten classes (relabelled 0..J-1 in random order) and a random order of their
images; training images come first in that order, test images follow, so the two never overlap.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sim.types import Array, Batch, Generator, Key

CLASSES = 10
SIDE = 8
NUM_IMAGES = 1797


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DigitsSpec:
    """Handwritten digits.

    Attributes:
        outputs: number of classes J, 2 to 10; may be traced.
        max_outputs: static width of a head.
    """

    outputs: Any = 10
    max_outputs: int = field(default=16, metadata={"static": True})


class DigitsWorld(NamedTuple):
    """A class subset and an order of its images: rank of each class, image order, and how many images are usable."""

    rank: Array
    order: Array
    usable: Array


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    scaled = (images - images.mean()) / images.std()  # one shift and scale for all pixels: nothing is learned here
    return scaled.reshape(-1, SIDE, SIDE).astype(np.float32), labels.astype(np.int32)


def fewest_images(outputs: int) -> int:
    """Images that any subset of `outputs` classes has at least: the sum over the smallest classes.

    Example:
        >>> fewest_images(2), fewest_images(10)
        (351, 1797)
    """
    return int(np.sort(np.bincount(_digits()[1]))[:outputs].sum())


def _make_world(key: Key, spec: DigitsSpec) -> DigitsWorld:
    _, labels = _digits()
    class_key, order_key = jax.random.split(key)
    rank = jax.random.permutation(class_key, CLASSES).astype(jnp.int32)
    chosen = rank[labels] < spec.outputs
    place = jnp.where(chosen, jax.random.uniform(order_key, (NUM_IMAGES,)), 2.0)
    return DigitsWorld(rank, jnp.argsort(place).astype(jnp.int32), jnp.sum(chosen).astype(jnp.int32))


def _draw(key: Key, spec: DigitsSpec, world: DigitsWorld, indices: Array) -> Batch:
    images, labels = _digits()
    chosen = world.order[indices % NUM_IMAGES]
    return Batch(jnp.asarray(images)[chosen], world.rank[jnp.asarray(labels)[chosen]][:, None])


DIGITS = Generator(
    name="digits",
    summary="scikit-learn's handwritten digits, 8 x 8 pixels, a random subset of J classes",
    spec=DigitsSpec,
    make_world=_make_world,
    draw=_draw,
    image_shape=lambda spec: (SIDE, SIDE),
    units=lambda spec: 1,
    max_labels=lambda spec: spec.max_outputs,
    num_labels=lambda spec: spec.outputs,
    available=lambda spec, world: world.usable,
)
