"""Accuracy on a block of a chain seen through a crop: density evolution against other codes."""

import numpy as np
import pytest

from sim.theory.crops import crop_accuracy
from sim.theory.fields import chain_ceilings


def enumerated(block, margin, stay, noise, spacing, draws, rng):
    """Monte Carlo over images; the posterior by listing all label rows. Mean and standard error."""
    length = block + 2 * margin
    rows = (np.arange(2**length)[:, None] >> np.arange(length)) & 1
    same = rows[:, 1:] == rows[:, :-1]
    prior = np.where(same, stay, 1 - stay).prod(axis=1) / 2
    truth = rows[rng.choice(len(rows), size=draws, p=prior)]
    images = spacing * (truth - 0.5) + noise * rng.standard_normal(truth.shape)
    log_weight = np.log(prior) + spacing * images @ (rows - 0.5).T / noise**2
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    up = weight @ rows / weight.sum(axis=1, keepdims=True)
    scores = np.maximum(up, 1 - up)[:, margin : margin + block].mean(axis=1)
    return scores.mean(), scores.std(ddof=1) / np.sqrt(draws)


@pytest.mark.parametrize(
    ("block", "margin", "stay", "noise", "spacing"),
    [(1, 0, 0.9, 1.0, 2.0), (1, 3, 0.9, 1.0, 2.0), (3, 2, 0.8, 1.5, 2.0), (4, 1, 0.2, 1.0, 1.0), (2, 2, 0.5, 0.3, 2.0)],
)
def test_density_evolution_agrees_with_listing_all_rows(block, margin, stay, noise, spacing):
    """Five comparisons within 4.5 standard errors (about .001): a false failure in 1 of 30,000 runs."""
    mean, error = enumerated(block, margin, stay, noise, spacing, 20_000, np.random.default_rng(block))
    assert abs(crop_accuracy(block, margin, stay, noise, spacing) - mean) < 4.5 * error + 1e-12


def test_a_block_without_margin_is_a_short_chain():
    """Forward-backward on simulated rows, another code; 4.5 standard errors, a false failure in 1 of 150,000."""
    exact = chain_ceilings(16, 0.9, 1.0, num_draws=20_000)
    assert abs(crop_accuracy(16, 0, 0.9, 1.0) - exact.pixel_accuracy) < 4.5 * exact.standard_error


def test_a_wide_margin_makes_the_size_of_a_block_irrelevant():
    """Beyond two correlation lengths (9 pixels) nothing is left to see: the accuracies agree to 1e-5."""
    values = [crop_accuracy(block, 9, 0.9, 1.0) for block in (1, 4, 16)]
    assert max(values) - min(values) < 1e-5
    assert crop_accuracy(1, 4, 0.9, 1.0) < crop_accuracy(16, 4, 0.9, 1.0) < values[0] + 1e-9


def test_extremes_meet_what_must_be():
    # one pixel by itself: Phi(spacing / (2 noise)); independent pixels: margins say nothing; no noise: all is seen
    assert crop_accuracy(1, 0, 0.7, 1.0) == pytest.approx(0.8413447460685429, abs=1e-12)
    assert crop_accuracy(3, 4, 0.5, 1.0) == pytest.approx(0.8413447460685429, abs=1e-12)
    assert crop_accuracy(4, 2, 0.9, 0.05) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"block": 0}, "block must be"), ({"margin": -1}, "margin must be"), ({"stay": 1.0}, "stay must be in"),
     ({"noise": 0.01}, "spacing / noise must be <= 60, got 200")],
)  # fmt: skip
def test_impossible_crops_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        crop_accuracy(**{"block": 1, "margin": 0, "stay": 0.9, "noise": 1.0, **change})
