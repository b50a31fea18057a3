"""The exact posterior of a scene that is one of a known list: enumeration, scene by scene."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sim.generators.dictionary import DictionarySpec, DictionaryWorld, join_scenes, split_scenes
from sim.metrics import Prediction
from sim.types import Array, Batch

IMPOSSIBLE = -1e9  # log probability of what cannot be


def dictionary_known(
    spec: DictionarySpec, world: DictionaryWorld, train: Batch, num_inputs: Array
) -> Callable[[Array, Array], Prediction]:
    """Told the dictionary: p(map | scene) = softmax((spacing x.map - spacing^2 |map|^2 / 2) / noise^2), no training.

    The marginal answer takes each pixel's more probable label, the joint one the most probable map of each scene. The
    scenes of a mosaic are independent, so both are taken scene by scene.
    """
    spacing, power = jnp.asarray(spec.spacing, jnp.float32), jnp.asarray(spec.noise, jnp.float32) ** 2
    maps = world.maps.astype(jnp.float32)
    listed = jnp.arange(maps.shape[0]) < jnp.left_shift(1, jnp.asarray(spec.bits, jnp.int32))

    def answer(images: Array, labels: Array) -> Prediction:
        scenes = split_scenes(images, spec)
        evidence = (spacing * scenes @ maps.T - 0.5 * spacing**2 * jnp.sum(maps, axis=1)[None, None]) / power
        posterior = jax.nn.softmax(jnp.where(listed[None, None], evidence, IMPOSSIBLE), axis=-1)
        share = join_scenes(jnp.clip(posterior @ maps, 1e-7, 1 - 1e-7), spec)  # the frame has exactly 0: background
        log_labels: list[Any] = [jnp.log1p(-share), jnp.where(share > 0, jnp.log(jnp.maximum(share, 1e-7)), IMPOSSIBLE)]
        never = jnp.full((*share.shape, spec.max_labels - 2), IMPOSSIBLE)
        joint = join_scenes(world.maps[jnp.argmax(posterior, axis=-1)], spec)
        log_probabilities = jnp.concatenate([jnp.stack(log_labels, axis=-1), never], axis=-1)
        return Prediction(log_probabilities, labels, (share > 0.5).astype(jnp.int32), joint.astype(jnp.int32))

    return answer
