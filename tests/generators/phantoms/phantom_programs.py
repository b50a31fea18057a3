"""One compiled program a phantom, shared by all tests: two tasks of four images, every number of the spec traced."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sim.generators.phantoms.imaging import details
from sim.generators.phantoms.registry import PHANTOMS, reference

IMAGES = 4


@functools.cache
def program(name):
    def one(key, spec):
        return jax.lax.map(lambda index: details(PHANTOMS[name], key, spec, index), jnp.arange(IMAGES))

    # The tests compile far longer than they run.
    return jax.jit(jax.vmap(one), compiler_options={"xla_backend_optimization_level": "0"})


def draw_pair(name, seed, first=None, second=None, seeds=None):
    """Details of two tasks that differ by fields, from the same key unless `seeds` gives two."""
    specs = [reference(name, supersample=2, **(fields or {})) for fields in (first, second)]
    stacked = jax.tree.map(lambda a, b: jnp.stack([jnp.asarray(a), jnp.asarray(b)]), *specs)
    keys = jnp.stack([jax.random.key(each) for each in seeds or (seed, seed)])
    both = jax.tree.map(np.asarray, program(name)(keys, stacked))
    return tuple(jax.tree.map(lambda leaf, task=task: leaf[task], both) for task in (0, 1))
