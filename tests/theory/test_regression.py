"""Exact floors of continuous targets, against simulations that solve the same tasks in other ways."""

import numpy as np
import pytest

from sim.theory.offsets import decode_offsets, disc_offsets, offset_bins, offset_posterior
from sim.theory.regression import (
    Predictive,
    decode_bins,
    gaussian_bins,
    least_squares_error,
    linear_gaussian_floor,
    predict,
)

BEYOND = 3.9  # standard errors: false fail 1e-4 a comparison


def within(values, expected):
    return abs(np.mean(values) - expected) < BEYOND * np.std(values, ddof=1) / np.sqrt(len(values))


def test_ridge_regression_reaches_the_floor_of_its_design_and_no_other_penalty_does_better():
    """Many weights and noises under one design, solved by augmented least squares; each score is its exact risk."""
    rng = np.random.default_rng(41)
    design, noise, dimension = rng.normal(size=(24, 8)), 0.5, 8
    squared = {scale: [] for scale in (0.5, 1.0, 2.0)}
    for _ in range(3000):
        weights = rng.normal(size=dimension) / np.sqrt(dimension)
        targets = design @ weights + noise * rng.normal(size=24)
        for scale, found in squared.items():
            root = np.sqrt(scale * noise**2 * dimension) * np.eye(dimension)
            fitted = np.linalg.lstsq(np.vstack([design, root]), np.append(targets, np.zeros(dimension)))[0]
            found.append(noise**2 + np.sum((fitted - weights) ** 2))
    floor = linear_gaussian_floor(design, noise, 1 / dimension) ** 2
    assert within(squared[1.0], floor)
    for scale in (0.5, 2.0):
        worse = np.array(squared[scale]) - squared[1.0]
        assert worse.mean() > BEYOND * worse.std() / np.sqrt(len(worse))


def test_least_squares_errs_as_its_closed_form_says():
    rng = np.random.default_rng(42)
    squared = []
    for _ in range(2000):
        design = rng.normal(size=(20, 6))
        error = np.linalg.lstsq(design, 0.7 * rng.normal(size=20))[0]
        squared.append(0.7**2 + np.sum(error**2))
    assert within(squared, least_squares_error(20, 6, 0.7) ** 2)


def test_predictions_and_their_spread_are_calibrated():
    rng = np.random.default_rng(43)
    scores = []
    for _ in range(400):
        weights, images = rng.normal(size=4) / 2, rng.normal(size=(11, 4))
        targets = images @ weights + 0.5 * rng.normal(size=11)
        law = predict(images[:10], targets[:10], images[10:], 0.5, 0.25)
        scores.append((targets[10] - law.mean[0]) / law.spread[0])
    assert within(scores, 0.0)
    assert within(np.square(scores), 1.0)


@pytest.mark.parametrize("num_bins", [2, 5, 64])
def test_bins_are_equally_likely_and_centred(num_bins):
    draws = 1.3 * np.random.default_rng(44).normal(size=200_000)
    bins = gaussian_bins(num_bins, 1.3)
    which = np.searchsorted(bins.edges, draws)
    # 5 standard errors over at most 64 bins: false fail below 4e-5
    assert np.all(np.abs(np.bincount(which) / len(draws) - 1 / num_bins) < 5 * np.sqrt(1 / num_bins / len(draws)))
    for q in range(num_bins):
        inside = draws[which == q]
        assert abs(inside.mean() - bins.centres[q]) < 5 * inside.std() / np.sqrt(len(inside))


def test_the_decoder_is_the_mean_of_the_bin_centres():
    """Against draws of the predictive law put into bins one by one."""
    bins, law = gaussian_bins(8, 1.0), Predictive(np.array([-0.4, 1.7]), np.array([0.3, 0.8]))
    rng = np.random.default_rng(45)
    for which, decoded in enumerate(decode_bins(law, bins)):
        draws = law.mean[which] + law.spread[which] * rng.normal(size=40_000)
        assert within(bins.centres[np.searchsorted(bins.edges, draws)], decoded)


def test_many_bins_decode_to_the_mean():
    law = Predictive(np.linspace(-1, 1, 5), np.full(5, 0.3))
    # the centres of 4096 bins lie within 2e-3 of their targets but in the outermost two, of probability 1/4096
    np.testing.assert_allclose(decode_bins(law, gaussian_bins(4096, 1.0)), law.mean, atol=2e-3)


DISCS = disc_offsets(8, 2.0, 1.5, 16, 3)


def draw_discs(count, noise, seed):
    rng = np.random.default_rng(seed)
    step, lane = rng.integers(16, size=count), rng.integers(3, size=count)
    return DISCS.images[step, lane] + noise * rng.normal(size=(count, 64)), step


def test_a_disc_is_drawn_where_it_should_be():
    """A soft disc's centre of mass is its centre: 2% of a pixel, the sampling error of the soft edge at radius 2."""
    discs = disc_offsets(12, 2.0, 1.5, 4, 2)
    place = np.arange(12) - 5.5
    image = discs.images.reshape(4, 2, 12, 12)
    across = (image.sum(axis=2) @ place) / image.sum(axis=(2, 3))
    along = (image.sum(axis=3) @ place) / image.sum(axis=(2, 3))
    np.testing.assert_allclose(across, np.repeat(discs.offsets[:, None], 2, axis=1), atol=0.02)
    np.testing.assert_allclose(along, np.tile([-0.75, 0.75], (4, 1)), atol=0.02)


def test_the_posterior_is_that_of_likelihoods_written_out():
    images, _ = draw_discs(5, 1.0, 46)
    for image, found in zip(images, offset_posterior(DISCS, images, 1.0), strict=True):
        likelihood = np.array([[np.exp(-np.sum((image - mean) ** 2) / 2) for mean in lanes] for lanes in DISCS.images])
        np.testing.assert_allclose(found, likelihood.sum(axis=1) / likelihood.sum(), rtol=1e-9)  # rounding


@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_the_posterior_is_calibrated_and_its_mean_leaves_nothing_to_explain(noise):
    """The error is uncorrelated with anything seen, and as large as the posterior's own spread says."""
    images, step = draw_discs(4000, noise, 47)
    posterior = offset_posterior(DISCS, images, noise)
    mean, truth = decode_offsets(DISCS, posterior), DISCS.offsets[step]
    error = truth - mean
    assert within(error**2 - (posterior @ DISCS.offsets**2 - mean**2), 0.0)
    for seen in (mean, np.sign(mean), images[:, 27], images.sum(axis=1)):
        assert within(error * seen, 0.0)
    coarse = decode_offsets(DISCS, posterior, 4)
    centres = offset_bins(DISCS, 4).centres
    assert within((centres[step // 4] - coarse) * mean, 0.0)  # the decoder is the exact mean of the bin's centre


def test_bins_of_offsets_hold_equal_groups():
    bins = offset_bins(DISCS, 4)
    np.testing.assert_array_equal(np.searchsorted(bins.edges, DISCS.offsets), np.repeat(np.arange(4), 4))
    with pytest.raises(ValueError, match="num_bins must be a divisor of 16 offsets, got 5"):
        offset_bins(DISCS, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: disc_offsets(8, 2.0, 2.0, 4, 1), "reach must be <= .* = 1.5, got 2.0"),
        (lambda: gaussian_bins(0, 1.0), "num_bins must be a whole number >= 1"),
        (lambda: least_squares_error(9, 8, 1.0), "num_inputs must be a whole number >= 10"),
        (lambda: linear_gaussian_floor([1.0], 1.0, 1.0), r"design must be of shape \(I, D\)"),
        (lambda: offset_posterior(DISCS, [[1.0]], 1.0), r"images must be of shape \(num_images, 64\)"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
