"""Refiners of many maps: exact where theory says so, and the same for an image alone or among others."""

import numpy as np
import pytest

from sim.segmentation.refinement.dense_crf import mean_field, pair_kernel
from sim.segmentation.refinement.many_maps import GENERIC, THRESHOLD, costs, dictionary_refiner, tuned
from sim.segmentation.refinement.watersheds import part_touching
from sim.theory.dictionaries import disc_maps
from sim.theory.posteriors import ising_posterior, list_weights


@pytest.mark.parametrize("name", GENERIC)
def test_an_image_is_refined_alike_alone_and_among_others(name):
    rng = np.random.default_rng(0)
    chances, images = rng.random((60, 6, 6)), np.tile(rng.normal(size=(1, 6, 6)), (60, 1, 1))
    refiner = GENERIC[name]
    for setting in (refiner.settings[0], refiner.settings[len(refiner.settings) // 2]):
        whole = refiner.refine(chances, images, setting)
        assert whole.shape == chances.shape
        for index in (0, 49, 50, 59):  # on both sides of the cut into graphs
            assert np.array_equal(whole[index], refiner.refine(chances[[index]], images[[index]], setting)[0])


@pytest.mark.parametrize("name", GENERIC)
def test_every_generic_refiner_mends_a_lonely_pixel(name):
    chances = np.full((1, 6, 6), 0.05)
    chances[0, 3, 3] = 0.55
    chances[0, :, 0] = 0.95
    truth = (chances > 0.9).astype(np.int32)
    images = np.zeros((1, 6, 6)) + chances
    found = [GENERIC[name].refine(chances, images, setting) for setting in GENERIC[name].settings]
    assert any(np.array_equal(maps, truth) for maps in found)


def test_cut_at_the_true_coupling_is_the_most_probable_field():
    """A pixel's own probability holds its evidence alone; twice the coupling is a Potts weight."""
    images, coupling, noise = np.random.default_rng(1).normal(size=(70, 8, 8)), 0.3, 1.4
    chances = 1 / (1 + np.exp(-2 * images / noise**2))
    assert np.array_equal(
        GENERIC["graph_cut"].refine(chances, images, 2 * coupling), ising_posterior(images, coupling, noise).joint
    )


def test_projection_of_single_pixels_is_the_most_probable_map():
    """Pixels seen one by one at a base rate b: taking b out leaves the likelihood, so the projection is exact."""
    maps, base, noise = disc_maps(6, (1.0, 2.0)), 0.2, 0.8
    rng = np.random.default_rng(2)
    images = maps[rng.integers(len(maps), size=50)] + noise * rng.normal(size=(50, maps.shape[1]))
    chances = 1 / (1 + np.exp(-(images - 0.5) / noise**2 - np.log(base / (1 - base))))
    refiner = dictionary_refiner(maps.astype(np.int32).reshape(-1, 6, 6), base)
    found = refiner.refine(chances.reshape(-1, 6, 6), images.reshape(-1, 6, 6), 1.0)
    best = maps[list_weights(images, maps, noise).argmax(axis=1)]
    assert np.array_equal(found.reshape(50, -1), best)
    biased = refiner.refine(chances.reshape(-1, 6, 6), images.reshape(-1, 6, 6), 0.0)
    assert not np.array_equal(biased, found)


def test_costs_stay_finite():
    assert np.isfinite(costs(np.array([0.0, 1.0]))).all()
    np.testing.assert_allclose(np.exp(-costs(np.array([0.2, 0.9]))).sum(axis=0), 1.0)


def test_settings_are_chosen_on_held_out_images_for_each_score():
    chances = np.array([[[0.25, 0.45, 0.95]]])
    few, many = np.array([[[0, 0, 1]]], np.int32), np.array([[[1, 1, 1]]], np.int32)
    scores = {"few": lambda maps, truth: -float(maps.sum()), "right": lambda maps, truth: float((maps == truth).mean())}
    found = tuned(THRESHOLD, (chances, chances, many), (chances, chances), scores)
    assert np.array_equal(found["few"][1], few)
    assert np.array_equal(found["right"][1], many)
    assert found["right"][0] == 1.0


def test_a_base_rate_must_be_a_share():
    with pytest.raises(ValueError, match="base_rate"):
        dictionary_refiner(np.zeros((1, 2, 2), np.int32), 1.0)


@pytest.mark.parametrize("strengths", [(0.0, 0.1), (0.1, 0.0), (0.05, 0.05)])
def test_the_dense_field_of_many_images_is_that_of_each(strengths):
    """60 x 36 pixels; the two differ by rounding in float32, some 1e-6, so none may be that close to one half."""
    rng = np.random.default_rng(3)
    chances, images = rng.random((60, 6, 6)), rng.normal(size=(60, 6, 6))
    bilateral, spatial = strengths
    found = GENERIC["dense_crf"].refine(chances, images, strengths)
    for chance, image, maps in zip(chances, images, found, strict=True):
        kernel = pair_kernel(image, bilateral, 3.0, float(images.std()), spatial, 1.0)
        assert np.array_equal(maps, mean_field(costs(chance), kernel).argmax(axis=0))


def test_the_watershed_of_many_images_is_that_of_each():
    chances = np.random.default_rng(4).random((40, 5, 7))
    chances[3], chances[4] = 0.95, 0.7  # one kind of marker, and none: argmax
    found = GENERIC["watershed"].refine(chances, chances, 0.9)
    for chance, maps in zip(chances, found, strict=True):
        markers = np.where(chance >= 0.9, 2, np.where(chance <= 0.1, 1, 0))
        both = {1, 2} <= set(markers.ravel().tolist())
        alone = part_touching(np.ones(chance.shape), markers, np.hypot(*np.gradient(chance))) == 2
        assert np.array_equal(maps, alone if both else chance > 0.5)
