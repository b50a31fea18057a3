"""Overlap scores of one predictor: known values, simulation by other code, and the inverse.

The simulation draws labels and answers pixel by pixel, with scikit-learn's scores, and knows no table of confusions.
"""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from sim.theory.overlap import PLACEMENTS, class_shares, confusions, error_at_score, metric_share, overlap_scores

PIXELS = 400_000


def simulate(placement, foreground, error, labels, weights, rng):
    """Labels and answers of independent pixels, each placement told as a story of one pixel."""
    objects = 1 + rng.choice(labels - 1, size=PIXELS, p=np.array(weights) / sum(weights))
    truth = np.where(rng.random(PIXELS) < foreground, objects, 0)
    chance = rng.random(PIXELS)
    if placement == "independent":
        return truth, np.where(chance < error, (truth + rng.integers(1, labels, PIXELS)) % labels, truth)
    if placement == "boundary":
        lost = (truth > 0) & (chance < error / 2 / foreground)
        gained = (truth == 0) & (chance < error / 2 / (1 - foreground))
        return truth, np.where(lost, 0, np.where(gained, objects, truth))
    hit = (truth > 0) & (chance < error / foreground)
    other = 1 + (truth - 1 + rng.integers(1, max(labels - 1, 2), PIXELS)) % (labels - 1)
    return truth, np.where(hit, 0 if placement == "missed" else other, truth)


CELLS = ((0.27, 0.06, (1,)), (0.1, 0.04, (3, 1, 1)), (0.5, 0.2, (1,) * 6))  # foreground, error, weights


@pytest.mark.parametrize(
    ("placement", "cell"),
    [(placement, cell) for placement in PLACEMENTS for cell in CELLS if placement != "renamed" or len(cell[2]) > 1],
)
def test_scores_are_those_of_simulated_pixels(placement, cell):
    foreground, error, weights = cell
    labels = len(weights) + 1
    truth, answer = simulate(placement, foreground, error, labels, weights, np.random.default_rng(5))
    expected = overlap_scores(confusions(placement, class_shares(foreground, labels, weights), error))
    # The rarest label has 8,000 pixels: its IoU scatters by .005, pixel accuracy by .0006, and the means by less.
    # Five standard errors: a false-fail rate below 1e-4 over all cases, seed fixed.
    assert accuracy_score(truth, answer) == pytest.approx(expected.pixel_accuracy, abs=5 * 0.0007)
    assert jaccard_score(truth, answer, average="macro") == pytest.approx(expected.mean_iou, abs=5 * 0.003)
    if labels == 2:
        assert f1_score(truth, answer) == pytest.approx(expected.dice, abs=5 * 0.001)


def test_the_example_of_the_theory():
    scores = overlap_scores(confusions("independent", class_shares(0.1, 2), 0.05))
    assert [round(value, 3) for value in scores] == [0.95, 0.792, 0.8]
    assert round(0.95**100, 4) == 0.0059  # exact match of 100 such pixels: twenty points are the smallest of the gaps


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_tables_hold_all_pixels_and_the_stated_error(placement):
    shares = class_shares(0.3, 5, (4, 3, 2, 1))
    for error in (0.0, 0.1, 0.3):
        table = confusions(placement, shares, error)
        assert (table >= 0).all()
        np.testing.assert_allclose(table.sum(axis=1), shares, atol=1e-15)  # sums of five numbers below one
        assert 1 - np.trace(table) == pytest.approx(error, abs=1e-15)
    if placement != "independent":
        assert np.any(table[0, 1:] > 0) == (placement == "boundary")
        assert np.any(table[1:, 0] > 0) == (placement != "renamed")


@pytest.mark.parametrize(("placement", "labels", "metric"), [
    *((placement, 21, "mean_iou") for placement in PLACEMENTS), *((p, 2, "dice") for p in PLACEMENTS[:3]),
])  # fmt: skip
@pytest.mark.parametrize("score", [0.5, 0.8, 0.99])
def test_the_error_at_a_score_gives_that_score(placement, labels, metric, score):
    shares = class_shares(0.2, labels)
    error = error_at_score(score, placement, shares, metric)
    assert getattr(overlap_scores(confusions(placement, shares, error)), metric) == pytest.approx(score, abs=1e-10)
    assert metric_share(score, placement, shares, metric) == pytest.approx(1 - error / (1 - score))


def test_shares_in_closed_form():
    # missed objects, Dice: 2(1-q)/(2-q) = .8 at q = 1/3, so e = f/3; balanced labels, mean IoU: (1-e)/(1+e) = .8
    assert metric_share(0.8, "missed", class_shares(0.3, 2), "dice") == pytest.approx(0.5)
    assert metric_share(0.8, "independent", class_shares(0.5, 2)) == pytest.approx(1 - 1 / 9 / 0.2)
    # few errors, two labels: half of 1/f + 1/(1-f) pixels of shortfall for one wrong pixel
    f = 0.27
    assert metric_share(1 - 1e-6, "independent", class_shares(f, 2)) == pytest.approx(1 - 2 * f * (1 - f), abs=1e-5)


def test_labels_that_never_occur_are_left_out():
    assert overlap_scores(np.array([[5, 0, 0], [0, 5, 0], [0, 0, 0]])).mean_iou == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: class_shares(1.0, 2), r"foreground must be in \(0, 1\), got 1.0"),
        (lambda: class_shares(0.2, 3, (1, 0)), "weights must be 2 numbers > 0"),
        (lambda: confusions("missed", class_shares(0.2, 2), 0.3), r"error must be in \[0, 0.2\], got 0.3"),
        (lambda: confusions("renamed", class_shares(0.2, 2), 0.1), "num_labels must be >= 3 where objects are renamed"),
        (lambda: confusions("edges", class_shares(0.2, 2), 0.1), "placement must be one of independent, boundary"),
        (lambda: error_at_score(0.8, "missed", class_shares(0.2, 3), "dice"), "metric must be mean_iou where labels"),
        (
            lambda: error_at_score(0.1, "missed", class_shares(0.2, 2)),
            "score must be at least 0.4, the family",
        ),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
