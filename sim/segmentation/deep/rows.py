"""All weights of a network in one row of numbers: quicker to compile, to stack and to draw."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sim.networks.registry import Network, NetworkSettings
from sim.types import Array

Floats = NDArray[np.float32]


@lru_cache(maxsize=64)
def _shapes(network: NetworkSettings) -> Any:
    image = jax.ShapeDtypeStruct((1, *network.image_shape), jnp.float32)
    return jax.eval_shape(Network(network).init, jax.random.key(0), image)


def initial_parameters(network: NetworkSettings, seed: int) -> Any:
    """Weights before training: normal kernels of variance 2 / inputs, biases 0, as NumPy arrays.

    Drawn by NumPy, for a compiled drawing takes XLA's CPU compiler seconds for each network.
    """
    rng = np.random.default_rng(seed)

    def draw(leaf: Any) -> Floats:
        if len(leaf.shape) < 2:
            return np.zeros(leaf.shape, np.float32)
        inputs = float(np.prod(leaf.shape[:-1]))
        return (rng.standard_normal(leaf.shape) * np.sqrt(2 / inputs)).astype(np.float32)

    return jax.tree.map(draw, _shapes(network))


def initial_row(network: NetworkSettings, seed: int) -> Floats:
    """The same weights in one row: float32, shape (numbers,)."""
    return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(initial_parameters(network, seed))])


@lru_cache(maxsize=64)
def row_apply(network: NetworkSettings) -> Callable[[Any, Array], Array]:
    """The network as a function of one row of weights: the optimiser then compiles in half the time."""
    apply: Any = Network(network).apply
    leaves, structure = jax.tree.flatten(_shapes(network))
    ends = np.cumsum([leaf.size for leaf in leaves])

    def run(row: Array, images: Array) -> Array:
        parts = [row[end - leaf.size : end].reshape(leaf.shape) for leaf, end in zip(leaves, ends, strict=True)]
        return apply(jax.tree.unflatten(structure, parts), images)

    return run
