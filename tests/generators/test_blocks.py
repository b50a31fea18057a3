"""Blocks: similarity of tiles, composition of images, relabelling, and order.

Every statistical check fails a right generator with probability 1e-8; together less than 1e-6. Keys are fixed.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.generators.blocks import BLOCKS, BlocksSpec
from sim.generators.label_maps import map_index, map_labels
from sim.testing import assert_counts_match, assert_mean_within

SPEC = BlocksSpec(tiles=2, labels=3, tile_shape=(2, 4), similarity=0.3, signal_power=2.0)
NUM_MAPS = 9
NUM_IMAGES = 18_000


@jax.jit
def make_worlds(key, spec):
    return jax.vmap(BLOCKS.make_world, in_axes=(0, None))(jax.random.split(key, 4000), spec)


@jax.jit
def draw(key, spec):
    world = BLOCKS.make_world(jax.random.fold_in(key, 0), spec)
    return world, BLOCKS.draw(jax.random.fold_in(key, 1), spec, world, jnp.arange(NUM_IMAGES))


@pytest.mark.parametrize("similarity", [0.0, 0.3, 1.0])
def test_correlation_of_a_label_on_two_tiles_is_the_similarity(similarity):
    worlds = make_worlds(jax.random.key(0), dataclasses.replace(SPEC, similarity=similarity))
    words = np.asarray(worlds.codewords, np.float64).reshape(4000, 6, 8)  # (tile, label) pairs, pixels
    over_tiles = np.array([[1, similarity], [similarity, 1]])
    gram = words @ words.transpose(0, 2, 1) / 8
    assert assert_mean_within(gram, 2.0 * np.kron(over_tiles, np.eye(3))) < 0.3
    pixels = words[:, 0, :, None] * words[:, 0, None, :]
    assert assert_mean_within(pixels, 2.0 * np.eye(8)) < 0.8


def test_relabelling_and_order_are_uniform_permutations():
    worlds = make_worlds(jax.random.key(1), dataclasses.replace(SPEC, relabelled=True))
    for permutations in (np.asarray(worlds.relabelling), np.asarray(worlds.order)):
        np.testing.assert_array_equal(np.sort(permutations, axis=1), np.tile(np.arange(NUM_MAPS), (4000, 1)))
        pairs = permutations[:, 0] * NUM_MAPS + permutations[:, 5]
        off_diagonal = (1 - np.eye(NUM_MAPS)) / (NUM_MAPS * (NUM_MAPS - 1))
        assert assert_counts_match(np.bincount(pairs, minlength=NUM_MAPS**2), off_diagonal) < 0.4
    both = np.asarray(worlds.relabelling)[:, 0] * NUM_MAPS + np.asarray(worlds.order)[:, 0]
    uniform = np.full(NUM_MAPS**2, NUM_MAPS**-2.0)
    assert assert_counts_match(np.bincount(both, minlength=NUM_MAPS**2), uniform) < 0.4


def test_images_show_the_codewords_of_the_original_labels_side_by_side():
    world, batch = draw(jax.random.key(2), dataclasses.replace(SPEC, noise=1e-6))
    words, labels = np.asarray(world.codewords), np.asarray(batch.labels)
    shown = np.concatenate([words[tile, labels[:, tile]] for tile in range(2)], axis=-1)
    # noise of 1e-6 and float32 rounding of pixels up to 5
    np.testing.assert_allclose(batch.images, shown, atol=2e-5)


def test_relabelling_leaves_images_bit_identical_and_renames_the_maps():
    world, original = draw(jax.random.key(3), SPEC)
    renamed_world, renamed = draw(jax.random.key(3), dataclasses.replace(SPEC, relabelled=True))
    np.testing.assert_array_equal(original.images, renamed.images)
    np.testing.assert_array_equal(world.relabelling, np.arange(NUM_MAPS))
    assert not np.array_equal(renamed_world.relabelling, np.arange(NUM_MAPS))
    new_maps = np.asarray(renamed_world.relabelling)[map_index(original.labels, 3)]
    np.testing.assert_array_equal(renamed.labels, map_labels(jnp.asarray(new_maps), 3, 2))


@pytest.mark.parametrize("relabelled", [False, True])
def test_balanced_images_show_every_map_once_a_round_in_one_order(relabelled):
    world, batch = draw(jax.random.key(4), dataclasses.replace(SPEC, relabelled=relabelled))
    rounds = np.asarray(map_index(batch.labels, 3)).reshape(-1, NUM_MAPS)
    np.testing.assert_array_equal(rounds[0], np.asarray(world.relabelling)[world.order])
    assert (rounds == rounds[0]).all()


def test_independent_maps_are_uniform_and_noise_has_the_stated_power():
    world, batch = draw(jax.random.key(5), dataclasses.replace(SPEC, balanced=False, noise=1.5))
    maps = np.asarray(map_index(batch.labels, 3))
    pairs = maps[::2] * NUM_MAPS + maps[1::2]
    assert assert_counts_match(np.bincount(pairs, minlength=NUM_MAPS**2), np.full(NUM_MAPS**2, NUM_MAPS**-2.0)) < 0.2
    words, labels = np.asarray(world.codewords), np.asarray(batch.labels)
    shown = np.concatenate([words[tile, labels[:, tile]] for tile in range(2)], axis=-1)
    noise = (np.asarray(batch.images) - shown).reshape(NUM_IMAGES, -1)
    assert assert_mean_within(noise[:, :, None] * noise[:, None, :], 2.25 * np.eye(16)) < 0.4
    assert assert_mean_within(noise, 0.0) < 0.2
