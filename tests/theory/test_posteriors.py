"""Exact posteriors of given images against enumeration and against the ceilings of `sim.theory.fields`."""

import itertools

import numpy as np
import pytest

from sim.theory.dictionaries import disc_ceilings, disc_maps
from sim.theory.fields import ising_ceilings
from sim.theory.posteriors import best_dice_maps, ising_posterior, list_weights


def enumerate_ising(image, coupling, noise):
    """Marginals and most probable map by summing over all maps, from the definition."""
    maps = np.array(list(itertools.product([0, 1], repeat=image.size))).reshape(-1, *image.shape)
    spins = 2 * maps - 1
    bonds = (spins[:, 1:] * spins[:, :-1]).sum(axis=(1, 2)) + (spins[:, :, 1:] * spins[:, :, :-1]).sum(axis=(1, 2))
    log_weight = coupling * bonds - ((image - spins) ** 2).sum(axis=(1, 2)) / (2 * noise**2)
    weight = np.exp(log_weight - log_weight.max())
    return (weight @ maps.reshape(len(maps), -1) / weight.sum()).reshape(image.shape), maps[log_weight.argmax()]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 4), (4, 3)])
@pytest.mark.parametrize(("coupling", "noise"), [(0.44, 1.0), (-0.7, 2.0), (2.0, 0.3)])
def test_ising_posterior_is_that_of_enumeration(shape, coupling, noise):
    images = np.random.default_rng(5).normal(size=(4, *shape))
    posterior = ising_posterior(images, coupling, noise)
    for image, marginals, joint in zip(images, *posterior, strict=True):
        expected, best = enumerate_ising(image, coupling, noise)
        np.testing.assert_allclose(marginals, expected, atol=1e-12)  # both sum 2^12 terms in float64
        assert np.array_equal(joint, best)


def test_many_images_are_answered_one_by_one():
    images = np.random.default_rng(6).normal(size=(203, 2, 8))
    whole, alone = ising_posterior(images, 0.44, 1.0), ising_posterior(images[150:151], 0.44, 1.0)
    np.testing.assert_allclose(whole.marginals[150], alone.marginals[0], atol=1e-14)
    assert whole.marginals.shape == whole.joint.shape == images.shape


def test_posterior_of_a_field_meets_its_ceilings():
    """Labels drawn from the law itself by rejection-free enumeration; false-fail rate 6e-5 (four standard errors)."""
    coupling, noise, number = 0.44, 1.0, 4000
    rng = np.random.default_rng(7)
    maps = np.array(list(itertools.product([0, 1], repeat=9))).reshape(-1, 3, 3)
    spins = 2 * maps - 1
    bonds = (spins[:, 1:] * spins[:, :-1]).sum(axis=(1, 2)) + (spins[:, :, 1:] * spins[:, :, :-1]).sum(axis=(1, 2))
    chance = np.exp(coupling * bonds)
    truth = maps[rng.choice(len(maps), size=number, p=chance / chance.sum())]
    posterior = ising_posterior(2 * truth - 1 + noise * rng.normal(size=truth.shape), coupling, noise)
    ceilings = ising_ceilings((3, 3), coupling, noise)
    right = ((posterior.marginals > 0.5) == truth).mean(axis=(1, 2))
    whole = (posterior.joint == truth).all(axis=(1, 2))
    for values, ceiling in ((right, ceilings.pixel_accuracy), (whole, ceilings.joint_exact_match)):
        error = np.hypot(values.std() / np.sqrt(number), ceilings.standard_error)
        assert abs(values.mean() - ceiling) < 4 * error


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ((np.zeros((2, 3)), 0.4, 1.0), "images"),
        ((np.zeros((1, 2, 9)), 0.4, 1.0), "columns"),
        ((np.zeros((1, 2, 2)), 11.0, 1.0), "coupling"),
        ((np.zeros((1, 2, 2)), 0.4, 0.0), "noise"),
    ],
)
def test_rules_are_named(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        ising_posterior(*arguments)


def test_weights_follow_bayes():
    maps = disc_maps(5, (1.0, 2.0))
    rng = np.random.default_rng(8)
    images = rng.normal(size=(3, 25))
    density = np.exp(-((images[:, None] - maps[None]) ** 2).sum(axis=2) / (2 * 0.7**2))
    np.testing.assert_allclose(
        list_weights(images, maps, 0.7), density / density.sum(axis=1, keepdims=True), atol=1e-12
    )


def test_best_dice_maps_beat_every_map_of_enumeration():
    maps = disc_maps(3, (1.0,))
    weights = np.random.default_rng(9).dirichlet(np.ones(len(maps)), size=4)
    every = np.array(list(itertools.product([0, 1], repeat=9)))[1:]
    overlap = 2 * every @ maps.T / (every.sum(axis=1)[:, None] + maps.sum(axis=1))
    found = best_dice_maps(weights, maps)
    expected = weights @ overlap.T
    for row, answer in enumerate(found):
        mine = float(weights[row] @ (2 * (maps @ answer) / (maps.sum(axis=1) + answer.sum())))
        assert mine == pytest.approx(expected[row].max(), abs=1e-12)


def test_discs_meet_their_ceilings():
    """False-fail rate 2e-4 for three scores at four standard errors."""
    maps, number = disc_maps(12, (2, 3)), 800
    rng = np.random.default_rng(10)
    truth = maps[rng.integers(len(maps), size=number)]
    weights = list_weights(truth + rng.normal(size=truth.shape), maps, 1.0)
    ceilings = disc_ceilings(12, (2.0, 3.0), 1.0, num_draws=800)
    dice = best_dice_maps(weights, maps)
    scores = (
        (((weights @ maps > 0.5) == truth).mean(axis=1), ceilings.pixel_accuracy),
        ((maps[weights.argmax(axis=1)] == truth).all(axis=1), ceilings.joint_exact_match),
        (2 * (dice * truth).sum(axis=1) / (dice.sum(axis=1) + truth.sum(axis=1)), ceilings.dice),
    )
    for values, ceiling in scores:
        assert abs(values.mean() - ceiling) < 4 * np.hypot(values.std() / np.sqrt(number), ceilings.standard_error)
