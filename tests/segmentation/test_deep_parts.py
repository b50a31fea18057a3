"""The parts around the networks: calibration, turns, peaks, thresholds, rims, views, appearance."""

import numpy as np
import pytest

from sim.metrics.detections import detection_scores
from sim.segmentation.deep.hybrids import appearance
from sim.segmentation.deep.membranes import fit_calibration
from sim.segmentation.deep.mitosis import best_threshold, discs, pick_peaks
from sim.segmentation.deep.objects import mark_rims
from sim.segmentation.deep.pixels import average_over_turns, balanced_weights, fill_up, fit_scaling
from sim.segmentation.deep.refiners import named, signed_distance, unary
from sim.segmentation.deep.views import VIEWS, resized


def test_a_planted_rising_cubic_is_found():
    """Probabilities inflated as balanced training inflates them are mended where the truth is a cubic.

    200,000 Bernoulli draws for four coefficients: standard error about .005 anywhere; .03 is six of them, 1e-8.
    """
    rng = np.random.default_rng(0)
    p = rng.uniform(size=200_000)
    truth = 0.1 * p + 0.2 * p**2 + 0.6 * p**3
    calibrate = fit_calibration(p, rng.uniform(size=p.size) < truth)
    grid = np.linspace(0, 1, 21)
    np.testing.assert_allclose(calibrate(grid), 0.1 * grid + 0.2 * grid**2 + 0.6 * grid**3, rtol=0, atol=0.03)


def test_a_calibration_never_falls_even_where_the_data_do():
    p = np.linspace(0, 1, 200)
    calibrate = fit_calibration(p, p < 0.5)
    curve = calibrate(np.linspace(0, 1, 101))
    assert (np.diff(curve) >= -1e-12).all()
    assert curve.min() >= 0
    assert curve.max() <= 1
    assert calibrate(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("shape", [(6, 6), (4, 7)])
def test_averaging_over_turns_commutes_with_turning(shape):
    """Of a predictor that knows left from right; turning only permutes eight float32 terms: 1e-6."""

    def answer(images):
        ramp = np.arange(images.shape[2], dtype=np.float32) * images + images[:, :1] ** 2
        return np.stack([ramp, -ramp], axis=-1)

    averaged = average_over_turns(answer)
    images = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    found = averaged(images)
    assert np.abs(found - answer(images)).max() > 0.1
    np.testing.assert_allclose(averaged(images[:, ::-1]), found[:, ::-1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(averaged(images.swapaxes(1, 2)), found.swapaxes(1, 2), rtol=0, atol=1e-5)
    pixelwise = average_over_turns(lambda images: np.stack([images, 1 - images], axis=-1))
    np.testing.assert_allclose(pixelwise(images)[..., 0], images, rtol=0, atol=1e-6)


def test_peaks_are_apart_and_from_the_highest_down():
    heights = np.random.default_rng(0).uniform(size=(20, 30))
    places, found = pick_peaks(heights, apart=5, lowest=0.3)
    assert (np.diff(found) <= 0).all()
    assert found[0] == heights.max()
    distances = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) + 99 * np.eye(len(places))
    assert distances.min() >= 5
    # Nothing is left out: every pixel at or above the lowest is nearer than 5 to a peak at least as high.
    for row, column in np.argwhere(heights >= 0.3):
        near = np.hypot(*(places - (row, column)).T) < 5
        assert found[near].max() >= heights[row, column]
    assert len(pick_peaks(np.zeros((3, 3)), apart=2, lowest=0.5)[0]) == 0


def test_the_best_threshold_is_the_best_of_all():
    rng = np.random.default_rng(1)
    found = [(rng.uniform(0, 20, (n, 2)), rng.uniform(size=n)) for n in (5, 8, 3)]
    truths = [places[::2] + 0.3 for places, _ in found]

    def f1(threshold):
        hits = kept = 0.0
        for (places, heights), truth in zip(found, truths, strict=True):
            chosen = places[heights >= threshold]
            kept += len(chosen)
            hits += detection_scores(chosen, truth, 1.0)["recall"] * len(truth)
        return 2 * hits / (kept + sum(map(len, truths)))

    chosen = best_threshold(found, truths, 1.0)
    every = np.concatenate([heights for _, heights in found])
    assert f1(chosen) == pytest.approx(max(f1(height) for height in every))
    assert best_threshold(found, [np.zeros((0, 2))] * 3, 1.0) == np.inf


def test_discs_and_rims():
    maps = discs([np.array([[2.0, 2.0]]), np.zeros((0, 2))], (5, 5), 1.5)
    assert maps.sum(axis=(1, 2)).tolist() == [9, 0]
    square = np.zeros((1, 6, 6), np.int32)
    square[0, 1:5, 1:5] = 1
    square[0, 1:5, 3:5] = 2
    rims = mark_rims(square, 3)[0]
    assert (rims == 3).sum() == 16  # two objects of 4 x 2 that touch have no inside
    assert (rims[square[0] == 0] == 0).all()


def test_unaries_names_and_distances():
    probability = np.array([[[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]]], np.float32)
    costs = unary(probability)
    assert costs.shape == (3, 1, 2)
    np.testing.assert_allclose(costs[:, 0, 1], -np.log([0.2, 0.3, 0.5]), rtol=1e-6)
    assert np.isfinite(costs).all()
    assert named(np.array([[True, True]]), probability).tolist() == [[1, 2]]
    mask = np.zeros((5, 5), bool)
    mask[1:4, 1:4] = True
    assert signed_distance(mask)[2].tolist() == [-1, 1, 2, 1, -1]
    assert not signed_distance(np.ones((2, 2), bool)).any()


def test_appearance_is_the_log_ratio_of_two_normal_densities():
    rng = np.random.default_rng(0)
    inside = np.zeros((40, 40))
    inside[10:30, 10:30] = 1.0
    image = np.where(inside > 0, 2 + 0.5 * rng.normal(size=(40, 40)), rng.normal(size=(40, 40)))
    ratio = appearance(image, inside)
    object_, rest = image[inside > 0], image[inside == 0]
    expected = [-0.5 * ((image - part.mean()) / part.std()) ** 2 - np.log(part.std()) for part in (object_, rest)]
    np.testing.assert_allclose(ratio, expected[0] - expected[1], rtol=1e-9)
    assert not appearance(image, np.zeros((40, 40))).any()


def test_scaling_filling_and_weights():
    images = np.random.default_rng(0).normal(3, 2, (4, 5, 6)).astype(np.float32)
    scaled = fit_scaling(images)(images)
    assert (scaled.mean(), scaled.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    assert not fit_scaling(np.ones((1, 2, 2)))(np.ones((1, 2, 2))).any()
    assert fill_up(images, 4).shape == (4, 8, 8)
    answers = np.array([0] * 90 + [2] * 10)
    weights = balanced_weights(answers, 3)
    assert np.mean(weights[answers]) == pytest.approx(1)
    assert 0.9 * weights[0] == pytest.approx(0.1 * weights[2])


def test_views_keep_the_shape_and_take_away_what_they_say():
    images = np.random.default_rng(0).normal(size=(2, 12, 9)).astype(np.float32)
    for view in VIEWS.values():
        seen = view(images)
        assert (seen.shape, seen.dtype) == (images.shape, np.float32)
        assert np.isfinite(view(np.zeros((1, 4, 4), np.float32))).all()
    # contrast, light and any rising change of grey values: float32 sums and a histogram of 256 bins
    np.testing.assert_allclose(VIEWS["stretched"](3 * images + 7), VIEWS["stretched"](images), atol=1e-5)
    np.testing.assert_allclose(VIEWS["equalised"](5 * images + 7), VIEWS["equalised"](images), atol=0.02)
    np.testing.assert_allclose(VIEWS["local_contrast"](images + 7), VIEWS["local_contrast"](images), atol=1e-4)
    np.testing.assert_allclose(resized(1.0)(images), images, atol=1e-6)
    column = np.zeros((1, 1, 9), np.float32)
    column[..., 6] = 1.0  # two columns from the middle: four at twice the width
    assert resized(2.0)(column)[0, 0].tolist() == [0, 0, 0, 0, 0, 0, 0, 0.5, 1.0]
