"""Label maps and their numbers are inverse to one another."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.generators.label_maps import map_index, map_labels


@pytest.mark.parametrize(("num_labels", "units"), [(2, 5), (3, 4), (5, 1), (1, 3)])
def test_numbers_count_the_maps_with_unit_zero_first(num_labels, units):
    maps = np.array([digits[::-1] for digits in itertools.product(range(num_labels), repeat=units)])
    indices = jnp.arange(num_labels**units)
    np.testing.assert_array_equal(map_labels(indices, num_labels, units), maps)
    np.testing.assert_array_equal(map_index(jnp.asarray(maps), num_labels), indices)


def test_base_may_be_traced_and_vmapped():
    bases = jnp.array([2, 3, 7])
    labels = jax.jit(jax.vmap(lambda base: map_labels(jnp.array(31), base, 5)))(bases)
    assert labels.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 1, 0], [3, 4, 0, 0, 0]]
    assert jax.vmap(map_index)(labels, bases).tolist() == [31, 31, 31]


def test_largest_map_fits_and_the_next_base_is_refused():
    assert map_index(jnp.ones(30, jnp.int32), 2).item() == 2**30 - 1
    with pytest.raises(ValueError, match=r"num_labels\*\*units must be <= 2147483647, got 2\*\*31"):
        map_index(jnp.ones(31, jnp.int32), 2)
    with pytest.raises(ValueError, match=r"got 4\*\*16"):
        map_labels(jnp.array(0), 4, 16)
