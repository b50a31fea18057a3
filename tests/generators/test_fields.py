"""Fields: the joint law of all labels of an image against exact probabilities, computed here in NumPy.

Every statistical check fails a right generator with probability 1e-8; together less than 1e-6. Keys are fixed.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.generators.fields import FIELDS, FieldsSpec
from sim.generators.ising import frontier_table, sample_exact, sample_gibbs
from sim.testing import assert_counts_match, assert_mean_within

NUM_IMAGES = 60_000
GRID = (2, 3)


@jax.jit
def draw(key, spec):
    return FIELDS.generate(key, spec, NUM_IMAGES)


def all_maps(labels, pixels):
    """Every label map, shape (labels**pixels, pixels), the last pixel changing fastest."""
    return np.array(list(itertools.product(range(labels), repeat=pixels)), np.int8)


def count_maps(drawn, labels):
    digits = labels ** np.arange(drawn.shape[1])[::-1]
    return np.bincount(np.asarray(drawn) @ digits, minlength=labels ** drawn.shape[1])


def chain_probabilities(grid_shape, labels, stay):
    """Product over rows of (1/L) prod_t T[x_(t-1), x_t]."""
    transition = np.full((labels, labels), (1 - stay) / (labels - 1))
    np.fill_diagonal(transition, stay)
    maps = all_maps(labels, grid_shape[0] * grid_shape[1]).reshape(-1, *grid_shape)
    return (transition[maps[:, :, :-1], maps[:, :, 1:]].prod(axis=2) / labels).prod(axis=1)


def ising_probabilities(grid_shape, coupling):
    spins = 2.0 * all_maps(2, grid_shape[0] * grid_shape[1]).reshape(-1, *grid_shape) - 1
    pairs = (spins[:, 1:] * spins[:, :-1]).sum((1, 2)) + (spins[:, :, 1:] * spins[:, :, :-1]).sum((1, 2))
    weights = np.exp(coupling * pairs)
    return weights / weights.sum()


def log_partition(side, length, coupling):
    """ln Z of an Ising strip by the transfer matrix of whole lines."""
    spins = 2.0 * all_maps(2, side) - 1
    inside = coupling * (spins[:, 1:] * spins[:, :-1]).sum(1)
    between = np.exp(coupling * spins @ spins.T + inside)
    weights, log_scale = np.exp(inside), 0.0
    for _ in range(length - 1):
        weights = between.T @ weights
        log_scale += np.log(weights.sum())
        weights /= weights.sum()
    return log_scale + np.log(weights.sum())


def pair_sums(drawn):
    """Sum of x_a x_b over neighbouring pixels, one number an image."""
    spins = 2.0 * np.asarray(drawn) - 1
    return (spins[:, 1:] * spins[:, :-1]).sum((1, 2)) + (spins[:, :, 1:] * spins[:, :, :-1]).sum((1, 2))


@pytest.mark.parametrize("labels", [2, 3])
def test_independent_maps_are_uniform(labels):
    batch = draw(jax.random.key(0), FieldsSpec(GRID, "independent", max_labels=3, labels=labels))
    assert assert_counts_match(count_maps(batch.labels, labels), np.full(labels**6, labels**-6.0)) < 0.2


@pytest.mark.parametrize(("labels", "stay"), [(2, 0.9), (3, 0.6), (3, 0.1)])
def test_chain_maps_have_the_law_of_independent_stationary_markov_rows(labels, stay):
    batch = draw(jax.random.key(1), FieldsSpec(GRID, "chain", max_labels=3, labels=labels, stay=stay))
    assert assert_counts_match(count_maps(batch.labels, labels), chain_probabilities(GRID, labels, stay)) < 0.2


def test_chains_that_always_or_never_stay():
    spec = FieldsSpec(GRID, "chain", max_labels=3)
    still = np.asarray(draw(jax.random.key(2), dataclasses.replace(spec, stay=1.0)).labels).reshape(-1, *GRID)
    assert (still == still[:, :, :1]).all()
    moving = np.asarray(draw(jax.random.key(2), dataclasses.replace(spec, stay=0.0)).labels).reshape(-1, *GRID)
    assert (moving[:, :, 1:] != moving[:, :, :-1]).all()


@pytest.mark.parametrize("coupling", [0.0, 0.4407, -0.3])
def test_small_ising_maps_have_the_exact_law(coupling):
    batch = draw(jax.random.key(3), FieldsSpec(GRID, "ising", coupling=coupling))
    assert assert_counts_match(count_maps(batch.labels, 2), ising_probabilities(GRID, coupling)) < 0.2


@pytest.mark.parametrize("sampler", ["exact", "exact, upright", "gibbs"])
def test_ising_pair_correlations_equal_enumeration(sampler):
    grid_shape, coupling = ((5, 3) if sampler == "exact, upright" else (3, 5)), 0.4407

    @jax.jit
    def many(keys):
        if sampler == "gibbs":
            return jax.vmap(lambda key: sample_gibbs(key, grid_shape, jnp.float32(coupling), 60))(keys)
        table = frontier_table(grid_shape, jnp.float32(coupling))
        return jax.vmap(lambda key: sample_exact(key, grid_shape, table))(keys)

    drawn = np.asarray(many(jax.random.split(jax.random.key(4), 20_000))).reshape(20_000, 15)
    spins = 2.0 * drawn - 1
    every = 2.0 * all_maps(2, 15) - 1
    exact = (every * ising_probabilities(grid_shape, coupling)[:, None]).T @ every
    assert assert_mean_within(spins[:, :, None] * spins[:, None, :], exact) < 0.12
    assert assert_mean_within(spins, 0.0) < 0.12


@pytest.mark.parametrize("coupling", [0.2, 0.4407, 0.8])
def test_energy_of_a_large_exact_grid_equals_the_derivative_of_the_partition_function(coupling):
    """Float32 tables must not lose the law on a grid too large to list: E[sum of x_a x_b] = d ln Z / d coupling."""
    drawn = draw_large(jax.random.key(5), jnp.float32(coupling))
    step = 1e-4
    expected = (log_partition(8, 9, coupling + step) - log_partition(8, 9, coupling - step)) / (2 * step)
    assert assert_mean_within(pair_sums(drawn), expected) < 2.5  # of 127 pairs


@jax.jit
def draw_large(key, coupling):
    table = frontier_table((8, 9), coupling)
    return jax.vmap(lambda each: sample_exact(each, (8, 9), table))(jax.random.split(key, 10_000))


def test_grey_values_are_equally_spaced_and_centred_under_normal_noise():
    spec = FieldsSpec(GRID, "chain", max_labels=3, labels=3, spacing=1.5, noise=0.5, stay=0.6)
    batch = draw(jax.random.key(6), spec)
    images, labels = np.asarray(batch.images).reshape(-1, 6), np.asarray(batch.labels)
    noise = images - 1.5 * (labels - 1.0)
    assert assert_mean_within(noise[:, :, None] * noise[:, None, :], 0.25 * np.eye(6)) < 0.03
    for label in range(3):
        assert assert_mean_within(images[labels == label], [-1.5, 0.0, 1.5][label]) < 0.03


def test_one_program_serves_all_numbers_of_a_field():
    spec = FieldsSpec(GRID, "chain", max_labels=3)
    draw(jax.random.key(7), spec)
    before = draw._cache_size()
    draw(jax.random.key(7), dataclasses.replace(spec, labels=3, spacing=1.0, noise=2.0, stay=0.5, coupling=0.0))
    assert draw._cache_size() == before
