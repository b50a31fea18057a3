"""Scores against numbers worked out by hand; images of weight zero leave no trace."""

import jax
import numpy as np
import pytest

from sim.metrics.answers import (
    CALIBRATION_BINS,
    Prediction,
    calibration_error,
    pooled_dice,
    score,
    weighted_mean,
)

SCORE = jax.jit(score)
CALIBRATION = jax.jit(calibration_error)
DICE = jax.jit(pooled_dice)
ROUNDING = 1e-6  # a few float32 operations on numbers of order one


def array(values, dtype=np.int32):
    return np.asarray(values, dtype)


def log_of(probabilities):
    return np.log(np.asarray(probabilities, np.float32))


# Four images of three pixels with two labels; the marginal answer is wrong in 0, 1, 2 and 3 pixels.
LABELS = array([[0, 1, 1], [0, 0, 1], [1, 0, 1], [0, 0, 0]])
MARGINAL = array([[0, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]])
JOINT = array([[0, 1, 1], [0, 0, 1], [0, 1, 1], [1, 1, 1]])  # mends the second image as a whole
P_ONE = np.array([[0.2, 0.6, 0.9], [0.7, 0.1, 0.6], [0.4, 0.8, 0.7], [0.9, 0.9, 0.9]])
EVEN = np.ones(4, np.float32)


def prediction(rows=slice(None)):
    log_probabilities = log_of(np.stack([1 - P_ONE, P_ONE], -1))
    return Prediction(log_probabilities[rows], LABELS[rows], MARGINAL[rows], JOINT[rows])


def test_scores_are_those_worked_out_by_hand():
    scores = SCORE(prediction(), LABELS, EVEN, 2)
    assert scores.exact_match.item() == pytest.approx(2 / 4, abs=ROUNDING)
    assert scores.marginal_exact_match.item() == pytest.approx(1 / 4, abs=ROUNDING)
    assert scores.pixel_accuracy.item() == pytest.approx((3 + 2 + 1 + 0) / 12, abs=ROUNDING)
    # label 1: predicted 2+2+2+3 = 9, true 2+1+2+0 = 5, both 2+1+1+0 = 4
    assert scores.dice.item() == pytest.approx(2 * 4 / (9 + 5), abs=ROUNDING)
    own = [0.8, 0.6, 0.9, 0.3, 0.9, 0.6, 0.4, 0.2, 0.7, 0.1, 0.1, 0.1]
    assert scores.nll.item() == pytest.approx(-np.mean(np.log(own)), abs=1e-5)
    assert scores.test_items.item() == 4


def test_weights_leave_padding_out_of_every_score():
    weights = array([1, 0, 1, 1], np.float32)
    kept = np.flatnonzero(weights)
    masked = SCORE(prediction(), LABELS, weights, 2)
    cut = SCORE(prediction(kept), LABELS[kept], EVEN[kept], 2)
    full = SCORE(prediction(), LABELS, EVEN, 2)
    for name, value in masked._asdict().items():
        assert value.item() == pytest.approx(getattr(cut, name).item(), abs=ROUNDING)
        assert value.item() != pytest.approx(getattr(full, name).item(), abs=1e-4), f"{name} must depend on image 1"


def test_no_test_image_at_all_scores_zero_items_and_stays_finite():
    scores = SCORE(prediction(), LABELS, np.zeros(4, np.float32), 2)
    assert scores.test_items.item() == 0
    assert all(np.isfinite(value) for value in scores)


@pytest.mark.parametrize(("num_labels", "units"), [(3, 3), (2, 1)])
def test_dice_exists_for_two_labels_on_several_units_only(num_labels, units):
    whole = prediction()
    part = Prediction(whole.log_probabilities[:, :units], *(leaf[:, :units] for leaf in whole[1:]))
    assert np.isnan(SCORE(part, LABELS[:, :units], EVEN, num_labels).dice.item())


def test_dice_of_empty_maps_is_one_and_of_disjoint_maps_zero():
    nothing, left, right = array([[0, 0, 0]]), array([[1, 0, 0]]), array([[0, 1, 0]])
    one = np.ones(1, np.float32)
    assert DICE(nothing, nothing, one).item() == 1.0
    assert DICE(left, right, one).item() == 0.0
    assert DICE(left, nothing, one).item() == 0.0
    assert DICE(left, left, one).item() == 1.0


def test_dice_pools_counts_over_images_and_is_no_mean_of_images():
    predicted, truth = array([[1, 1, 1, 1], [1, 0, 0, 0]]), array([[1, 1, 1, 1], [0, 1, 0, 0]])
    assert DICE(predicted, truth, np.ones(2, np.float32)).item() == pytest.approx(2 * 4 / 10, abs=ROUNDING)


def test_calibration_error_is_the_gap_of_each_bin_weighted_by_its_share():
    # Confidences .52 (bin 7: right, wrong, wrong) and .95 (bin 14: right): |1/3 - .52| * 3/4 + |1 - .95| * 1/4
    confidence = np.array([0.52, 0.52, 0.52, 0.95])
    probabilities = np.stack([confidence, 1 - confidence], -1)[:, None, :]
    targets = array([[0], [1], [1], [0]])
    expected = abs(1 / 3 - 0.52) * 3 / 4 + abs(1 - 0.95) / 4
    assert CALIBRATION_BINS == 15
    assert CALIBRATION(log_of(probabilities), targets, EVEN).item() == pytest.approx(expected, abs=ROUNDING)
    # one wrong image in bin 7 left out: |1/2 - .52| * 2/3 + .05 / 3
    weights = array([1, 1, 0, 1], np.float32)
    expected = abs(1 / 2 - 0.52) * 2 / 3 + 0.05 / 3
    assert CALIBRATION(log_of(probabilities), targets, weights).item() == pytest.approx(expected, abs=ROUNDING)


def test_certain_and_right_is_perfectly_calibrated_and_certain_and_wrong_is_not():
    certain = np.zeros((4, 1, 2), np.float32)
    certain[..., 1] = -1e9
    assert CALIBRATION(certain, array([[0]] * 4), EVEN).item() == pytest.approx(0.0, abs=ROUNDING)
    assert CALIBRATION(certain, array([[1]] * 4), EVEN).item() == pytest.approx(1.0, abs=ROUNDING)


def test_answers_drawn_from_the_stated_probabilities_are_calibrated():
    """20,000 answers in six bins of 1,300 to 4,500; a bin's gap has standard deviation at most .5 / sqrt(n_b), so the
    sum over bins of share * |gap| is at most 5.6 sum_b .5 sqrt(n_b) / n = .045 with probability 1 - 6 * 2e-8. Wrong by
    more than twice that is seen: the same answers with confidence overstated by .2."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 0.8, 20_000)
    targets = array(rng.random(20_000) > confidence)[:, None]
    weights = np.ones(20_000, np.float32)

    def error(stated):
        return CALIBRATION(log_of(np.stack([stated, 1 - stated], -1)[:, None, :]), targets, weights).item()

    assert error(confidence) < 0.045
    assert error(confidence + 0.2) == pytest.approx(0.2, abs=0.045)


def test_weighted_mean_takes_images_first_then_units():
    values, weights = array([[1, 0], [1, 1], [0, 0]], np.float32), array([1, 3, 0], np.float32)
    assert weighted_mean(values, weights).item() == pytest.approx((0.5 * 1 + 1.0 * 3) / 4, abs=ROUNDING)
