"""Dictionaries of disc maps: which maps, how they are joined, framed and drawn, and their exact posterior."""

import dataclasses

import jax
import numpy as np
import pytest

from sim.generators.dictionary import (
    DICTIONARY,
    DictionarySpec,
    interior,
    join_scenes,
    make_world,
    minimum_distance,
    scene_maps,
    split_scenes,
    spread_order,
)
from sim.learners import LEARNERS
from sim.member import Member, Settings
from sim.population import train_population
from sim.theory import ceilings, dictionaries
from sim.training import Recipe


@pytest.mark.parametrize("side", [16, 24, 32, 40, 48, 64])
def test_all_scenes_differ_and_are_those_of_the_theory(side):
    maps = scene_maps(side).reshape(-1, side**2)
    other = dictionaries.scene_maps(side, 16, (2, 3, 4, 5))
    assert len(np.unique(maps, axis=0)) == 1024
    np.testing.assert_array_equal(np.unique(maps, axis=0), np.unique(other, axis=0))


def test_on_the_lattice_they_are_discs_around_pixels():
    maps = np.unique(scene_maps(16).reshape(-1, 256), axis=0)
    np.testing.assert_array_equal(maps, np.unique(dictionaries.disc_maps(16, (2, 3, 4, 5)), axis=0))


def test_a_finer_grid_shows_the_same_scene():
    """Three times finer, the middle one of three pixels has the coarse pixel's centre."""
    coarse, fine = scene_maps(16), scene_maps(48).reshape(4, 256, 48, 48)
    np.testing.assert_array_equal(fine[:, :, 1::3, 1::3].reshape(4, 256, 256), coarse)


def test_dictionaries_hold_every_radius_equally_and_differ_between_keys():
    size = np.array([13, 29, 49, 81])  # pixels of discs away from the border
    for bits in (2, 6):
        world = make_world(jax.random.key(1), DictionarySpec(bits=bits))
        maps = np.asarray(world.maps)[: 2**bits]
        assert len(np.unique(maps, axis=0)) == 2**bits
        assert (maps.reshape(-1, 4, 256).sum(axis=-1) <= size).all()
    other = make_world(jax.random.key(2), DictionarySpec(bits=2))
    assert not np.array_equal(other.maps[:4], world.maps[:4])


def test_spread_maps_are_far_apart_and_the_same_for_every_key():
    first, second = (make_world(jax.random.key(k), DictionarySpec(spread=True)).maps for k in (1, 2))
    np.testing.assert_array_equal(first, second)
    maps = scene_maps(16).reshape(-1, 256)[list(spread_order(16, 4))]
    distance = (maps[:, None] != maps[None]).sum(axis=-1)
    assert distance[~np.eye(16, dtype=bool)].min() == minimum_distance(16, 4)
    by_chance = []
    for key in range(20):
        world = np.asarray(make_world(jax.random.key(key), DictionarySpec()).maps)[:16]
        by_chance.append((world[:, None] != world[None]).sum(axis=-1)[~np.eye(16, dtype=bool)].min())
    assert minimum_distance(16, 4) > max(by_chance)


def test_frame_and_idle_labels_leave_the_interior_as_it_is():
    key, plain = jax.random.key(5), DictionarySpec(bits=6)
    framed = dataclasses.replace(plain, frame=4, max_labels=32, labels=32)
    one, two = DICTIONARY.generate(key, plain, 8), DICTIONARY.generate(key, framed, 8)
    np.testing.assert_array_equal(two.images[:, 4:-4, 4:-4], one.images)
    np.testing.assert_array_equal(two.labels[:, interior(framed)], one.labels)
    outside = np.ones((24, 24), bool)
    outside[4:-4, 4:-4] = False
    assert not np.asarray(two.images)[:, outside].any()
    assert not np.asarray(two.labels.reshape(8, 24, 24))[:, outside].any()


def test_scenes_of_a_mosaic_are_split_and_joined():
    spec = DictionarySpec(grid_size=32, scenes=2, frame=1)
    batch = DICTIONARY.generate(jax.random.key(0), spec, 3)
    labels = batch.labels.reshape(3, 34, 34)
    scenes = split_scenes(labels, spec)
    np.testing.assert_array_equal(scenes[:, 1], labels[:, 1:17, 17:33].reshape(3, -1))
    np.testing.assert_array_equal(join_scenes(scenes, spec), batch.labels)
    listed = {tuple(scene) for scene in scene_maps(16).reshape(-1, 256).tolist()}
    assert all(tuple(scene) in listed for scene in np.asarray(scenes).reshape(-1, 256).tolist())


def _answer(spec, num_images):
    world_key, image_key = jax.random.split(jax.random.key(11))
    world = make_world(world_key, spec)
    batch = DICTIONARY.draw(image_key, spec, world, np.arange(num_images))
    learned = LEARNERS["dictionary", "bayes"].learn(spec, world, batch, np.int32(1))
    return world, batch, jax.jit(learned)(batch.images, batch.labels)


def test_posterior_is_that_of_plain_enumeration():
    """Log densities of every map in float64, pixel by pixel. Float32 sums of 256 terms of size 10 keep 1e-3."""
    spec = DictionarySpec(grid_size=32, scenes=2, frame=2, max_labels=4, labels=3, bits=4, spacing=1.5, noise=1.2)
    world, batch, found = _answer(spec, 4)
    maps = np.asarray(world.maps, float)[:16]
    for image in range(4):
        inner = np.asarray(batch.images, float)[image, 2:-2, 2:-2]
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            scene = inner[16 * down : 16 * (down + 1), 16 * right : 16 * (right + 1)].ravel()
            log_density = -((scene - 1.5 * maps) ** 2).sum(axis=1) / (2 * 1.2**2)
            weights = np.exp(log_density - log_density.max())
            share = weights @ maps / weights.sum()
            place = (slice(2 + 16 * down, 18 + 16 * down), slice(2 + 16 * right, 18 + 16 * right))
            got = np.exp(np.asarray(found.log_probabilities)).reshape(4, 36, 36, 4)[image][place]
            np.testing.assert_allclose(got[..., 1].ravel(), share, rtol=0, atol=1e-3)
            np.testing.assert_allclose(got[..., 2:], 0)
            joint = np.asarray(found.joint).reshape(4, 36, 36)[image][place].ravel()
            np.testing.assert_array_equal(joint, maps[np.argmax(weights)])


def test_exact_learner_reaches_the_ceilings():
    """2,000 images against the Monte Carlo ceiling: 6 standard errors of both together, false-fail rate 2e-9."""
    _, batch, found = _answer(DictionarySpec(noise=2.0), 2000)
    known = ceilings.dictionary_ceilings(dictionaries.scene_maps(16, 16, (2, 3, 4, 5)), 1.0)
    right = np.asarray(found.marginal == batch.labels).mean(axis=1)
    exact = np.asarray(found.joint == batch.labels).all(axis=1)
    for values, limit in ((right, known.pixel_accuracy), (exact, known.joint_exact_match)):
        error = np.hypot(values.std(ddof=1) / np.sqrt(len(values)), known.standard_error)
        assert abs(values.mean() - limit) < 6 * error


def test_a_frame_is_not_scored():
    """The exact posterior of the very same images, with a frame of 320 outputs that are always right and without:
    equal to float32 rounding of means over 300 images."""
    scores = []
    for frame in (0, 4):
        settings = Settings(DICTIONARY, "bayes", max_inputs=8, test_items=300)
        keys = jax.random.wrap_key_data(jax.random.key_data(jax.random.split(jax.random.key(2), (2, 1))))
        recipe = Recipe(*(np.zeros(1, np.float32) for _ in range(3)), np.zeros(1, np.int32))
        spec = DictionarySpec(
            frame=frame, labels=np.array([2], np.int32), bits=np.array([4], np.int32),
            spacing=np.array([2.0], np.float32), noise=np.array([2.0], np.float32),
        )  # fmt: skip
        member = Member(spec, np.array([8], np.int32), recipe, keys[0], keys[1])
        scores.append(train_population(settings, member, slots=2).test)
    assert scores[0].pixel_accuracy[0] < 1
    for plain, framed in zip(*scores, strict=True):
        np.testing.assert_allclose(framed, plain, rtol=0, atol=1e-6)
