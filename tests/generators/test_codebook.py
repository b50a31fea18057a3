"""Codebook: power and independence of codewords and noise, labels, and one program for many tasks.

Every statistical check fails a right generator with probability 1e-8; together less than 1e-6. Keys are fixed.
"""

import dataclasses

import jax
import numpy as np

from sim.generators.codebook import CODEBOOK, CodebookSpec
from sim.testing import assert_counts_match, assert_mean_within

NUM_IMAGES = 20_000
SPEC = CodebookSpec(max_outputs=5, image_shape=(2, 3), outputs=5, signal_power=2.5, noise=0.7)


@jax.jit
def draw(key, spec):
    world = CODEBOOK.make_world(jax.random.fold_in(key, 0), spec)
    return world, CODEBOOK.draw(jax.random.fold_in(key, 1), spec, world, jax.numpy.arange(NUM_IMAGES))


def residuals(world, batch):
    return (np.asarray(batch.images) - np.asarray(world.codewords)[batch.labels[:, 0]]).reshape(NUM_IMAGES, -1)


def test_codewords_are_white_with_the_stated_power():
    spec = dataclasses.replace(SPEC, max_outputs=NUM_IMAGES)
    words = np.asarray(jax.jit(CODEBOOK.make_world)(jax.random.key(0), spec).codewords).reshape(NUM_IMAGES, -1)
    products = words[:, :, None] * words[:, None, :]
    assert assert_mean_within(products, 2.5 * np.eye(6)) < 0.4
    assert assert_mean_within(words, 0.0) < 0.2
    assert assert_mean_within(words[::2, :, None] * words[1::2, None, :], 0.0) < 0.4  # classes are independent


def test_noise_is_white_with_the_stated_power_in_every_class():
    world, batch = draw(jax.random.key(1), SPEC)
    noise = residuals(world, batch)
    assert assert_mean_within(noise[:, :, None] * noise[:, None, :], 0.49 * np.eye(6)) < 0.1
    assert assert_mean_within(noise[::2, :, None] * noise[1::2, None, :], 0.0) < 0.1  # images are independent
    for label in range(5):
        of_class = noise[batch.labels[:, 0] == label]
        assert assert_mean_within(of_class, 0.0) < 0.2
        assert assert_mean_within(of_class**2, 0.49) < 0.2


def test_balanced_labels_count_and_independent_labels_are_uniform():
    _, balanced = draw(jax.random.key(2), SPEC)
    np.testing.assert_array_equal(balanced.labels[:, 0], np.arange(NUM_IMAGES) % 5)
    _, drawn = draw(jax.random.key(2), dataclasses.replace(SPEC, balanced=False))
    pairs = np.asarray(drawn.labels).reshape(-1, 2) @ [5, 1]
    assert assert_counts_match(np.bincount(pairs, minlength=25), np.full(25, 1 / 25)) < 0.15


def test_way_of_labelling_and_power_leave_the_noise_unchanged():
    world, balanced = draw(jax.random.key(3), SPEC)
    world_drawn, drawn = draw(jax.random.key(3), dataclasses.replace(SPEC, balanced=False, signal_power=0.0, noise=1.4))
    assert not world_drawn.codewords.any()
    # float32 rounding of pixels up to 10
    np.testing.assert_allclose(residuals(world_drawn, drawn), 2 * residuals(world, balanced), atol=1e-5)


def test_more_room_leaves_the_first_codewords_and_images_unchanged():
    _, small = draw(jax.random.key(4), SPEC)
    _, large = draw(jax.random.key(4), dataclasses.replace(SPEC, max_outputs=9))
    np.testing.assert_array_equal(small.labels, large.labels)
    # two programs may round a fused multiply-add differently: float32 rounding of pixels up to 10
    np.testing.assert_allclose(small.images, large.images, atol=1e-5)


def test_one_program_serves_all_numbers_of_outputs_and_noises():
    before = draw._cache_size()
    for outputs, noise in ((1, 0.5), (3, 1.5), (5, 4.0)):
        spec = dataclasses.replace(SPEC, outputs=outputs, noise=noise, balanced=False)
        _, batch = draw(jax.random.key(5), spec)
        assert sorted(set(batch.labels[:, 0].tolist())) == list(range(outputs))
    assert draw._cache_size() <= max(before, 1)
