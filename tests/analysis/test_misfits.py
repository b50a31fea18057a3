"""Misfits: a planted curve has none, planted offsets are measured with their interval, few values do not flatter."""

import numpy as np
import pytest

from sim.analysis.misfits import curve_misfit, tied

CURVES, POINTS = 8, 5
CURVE = np.repeat(np.arange(CURVES), POINTS)
X = np.tile(np.linspace(-3, 2, POINTS), CURVES) + 0.15 * CURVE
TRUTH = 1 / (1 + np.exp(-X))
OFFSETS = np.where(CURVE % 2, 0.05, -0.05) * 4 * TRUTH * (1 - TRUTH)
ERROR = np.full(len(X), 0.01)


def measure(truth, seed, x=X, resamples=79):
    """Misfit of noisy cell means, with resamples as a bootstrap that knows the noise."""
    rng = np.random.default_rng(seed)
    noise, draws = 0.01 * rng.standard_normal(len(truth)), 0.01 * rng.standard_normal((resamples, len(truth)))
    return curve_misfit(x, truth + noise, ERROR, draws, CURVE)


def noiseless(truth):
    """The misfit that the intervals are to cover."""
    return curve_misfit(X, truth, ERROR, np.zeros((79, len(truth))), CURVE).rms


@pytest.mark.parametrize("truth", [TRUTH, TRUTH + OFFSETS], ids=["one curve", "curves apart"])
def test_intervals_hold_the_truth(truth):
    """Nominal 95%: fewer than 51 of 60 would happen once in 10^4; so does a mean square off by five of its errors."""
    wanted = noiseless(truth)
    found = [measure(truth, seed) for seed in range(60)]
    assert sum(fit.low <= wanted <= fit.high for fit in found) >= 51
    squares = np.array([fit.squared for fit in found])
    assert abs(squares.mean() - wanted**2) < 5 * squares.std(ddof=1) / np.sqrt(60) + 2e-5  # the spline's own bias


def test_planted_offsets_are_seen():
    """From the middle of all curves the offsets lie one root mean square away, from the opposite ones two."""
    fit, planted = measure(TRUTH + OFFSETS, 0), float(np.sqrt(np.mean(OFFSETS**2)))
    assert 0.8 * planted < fit.low < fit.rms < fit.high < 2 * planted
    assert measure(TRUTH, 0).high < 0.015
    assert fit.quality > 5 * measure(TRUTH, 0).quality


def test_few_values_do_not_flatter():
    """Every curve at one x of its own, with heights drawn at random: a free curve could pass through all of them."""
    heights = np.random.default_rng(3).uniform(0.1, 0.9, CURVES)[CURVE]
    fit = measure(heights, 0, x=CURVE.astype(float))
    assert fit.low > 0.10  # heights drawn evenly from .8 scatter by .23
    assert fit.inside == 0.75  # the first and the last curve lie beyond the others
    assert fit.tested


def test_a_better_variable_is_told_from_a_worse_one_and_not_from_itself():
    good, bad = measure(TRUTH, 0), measure(TRUTH, 0, x=X + 0.5 * CURVE)
    assert tied(good, good)
    assert not tied(bad, good)


def test_curves_apart_in_x_test_nothing():
    x = np.where(CURVE % 5 == 0, X, X + 100)
    fit = curve_misfit(x, TRUTH, ERROR, np.zeros((79, len(X))), np.where(CURVE % 5 == 0, 0, 1))
    assert not fit.tested


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:7]}, "the same 8 cells or more"),
        ({"curve": np.zeros(len(X))}, "two curves or more, got 1"),
        ({"x": np.zeros(len(X))}, "x must vary, got 0.0"),
    ],
)
def test_arguments_are_checked(change, message):
    arguments = {"x": X, "y": TRUTH, "error": ERROR, "draws": np.zeros((79, len(X))), "curve": CURVE} | change
    with pytest.raises(ValueError, match=message):
        curve_misfit(**arguments)
