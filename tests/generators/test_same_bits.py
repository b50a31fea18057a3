"""Images and labels are the same bits whether a task is drawn alone or in a chunk of any width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sim.generators.blocks import BLOCKS, BlocksSpec
from sim.generators.codebook import CODEBOOK, CodebookSpec
from sim.generators.dictionary import DICTIONARY, DictionarySpec
from sim.generators.fields import FIELDS, FieldsSpec
from sim.generators.scenes import SCENES, ScenesSpec

SIZE = 4


def several(low, high):
    """Different odd numbers for each member: products with them are never exact."""
    return jnp.asarray(np.random.default_rng(0).uniform(low, high, SIZE), jnp.float32)


TASKS = {
    CODEBOOK: CodebookSpec(16, (8, 8), jnp.full(SIZE, 13), several(0.1, 2), several(0.3, 2), jnp.ones(SIZE, bool)),
    BLOCKS: BlocksSpec(
        tiles=3, labels=4, tile_shape=(2, 4), similarity=several(0, 1), signal_power=several(0.1, 2),
        noise=several(0.3, 2), relabelled=jnp.zeros(SIZE, bool), balanced=jnp.ones(SIZE, bool),
    ),
    FIELDS: FieldsSpec(
        grid_shape=(8, 8), field="chain", max_labels=4, labels=jnp.full(SIZE, 3), spacing=several(0.5, 2),
        noise=several(0.3, 2), stay=several(0.5, 0.9), coupling=several(0, 0.5),
    ),
    DICTIONARY: DictionarySpec(
        frame=1, max_labels=4, labels=jnp.full(SIZE, 3), bits=jnp.arange(2, 2 + SIZE), spacing=several(0.5, 2),
        noise=several(0.3, 2),
    ),
    SCENES: ScenesSpec(
        grid_size=16, supersample=2, max_labels=4, labels=jnp.full(SIZE, 3), objects=jnp.full(SIZE, 3),
        extent=several(0.9, 1), size=several(0.17, 0.2), size_variation=several(0, 0.2), spacing=several(0.5, 2),
        noise=several(0.3, 2), pose=jnp.arange(SIZE),
    ),
}  # fmt: skip


@pytest.mark.parametrize("generator", TASKS, ids=lambda generator: generator.name)
def test_a_task_is_the_same_bits_in_every_chunk(generator):
    def draw(task):
        return generator.generate(*task, 32)

    tasks = jax.random.split(jax.random.key(3), SIZE), TASKS[generator]
    alone = jax.jit(lambda tasks: lax.map(draw, tasks))(tasks)
    for chunk in (2, SIZE):
        packed = jax.jit(lambda tasks, chunk=chunk: lax.map(draw, tasks, batch_size=chunk))(tasks)
        np.testing.assert_array_equal(packed.images, alone.images)
        np.testing.assert_array_equal(packed.labels, alone.labels)
