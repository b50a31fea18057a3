"""Limits of patch rules against Monte Carlo by other code: independent numbers, no quadrature, no quasi-random points.

Statistical tests allow 4.5 standard errors; over 12 comparisons the false-fail rate is below 1e-4; seeds are fixed.
"""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sim.theory.patch_rules import bayes_accuracy, linear_ceiling, product_accuracy, regression_limit

RULES = [(0.0, 2, 0.3), (0.5, 2, 0.3), (1.0, 2, 0.3), (0.5, 3, 1.0), (1.0, 3, 0.3)]
NUMBER = 200_000
ROUNDING = 1e-3  # stated error of the quasi-random integrals


def draw(nonlinearity, order, noise, number=NUMBER):
    rng = np.random.default_rng([order, int(100 * nonlinearity)])
    pixels = rng.normal(size=(number, 9))
    linear = pixels[:, :5].sum(axis=1) / 5**0.5
    score = (1 - nonlinearity) ** 0.5 * linear + nonlinearity**0.5 * np.prod(pixels[:, 5 : 5 + order], axis=1)
    return pixels, score, score + noise * rng.normal(size=number) > 0


def allowed(accuracy, number=NUMBER):
    return 4.5 * (accuracy * (1 - accuracy) / number) ** 0.5 + ROUNDING


@pytest.mark.parametrize("rule", RULES)
def test_knowing_the_rule_gives_the_stated_accuracy(rule):
    _, score, label = draw(*rule)
    assert np.mean((score > 0) == label) == pytest.approx(bayes_accuracy(*rule), abs=allowed(bayes_accuracy(*rule)))


@pytest.mark.parametrize("rule", RULES)
def test_logistic_regression_on_many_pixels_comes_to_its_limit(rule):
    pixels, _, label = draw(*rule)
    half = NUMBER // 2
    fitted = LogisticRegression(C=1e6, max_iter=200).fit(pixels[:half], label[:half])
    limit = regression_limit(*rule)
    # Nine coefficients from 1e5 pixels cost less than 1e-4 of accuracy, except at t = 1, where none is worth anything.
    assert fitted.score(pixels[half:], label[half:]) == pytest.approx(limit, abs=allowed(limit, half) + 2e-3)


def test_no_line_of_many_beats_the_linear_ceiling_and_one_with_an_offset_reaches_it():
    pixels, _, label = draw(1.0, 2, 0.3)
    ceiling = linear_ceiling(1.0, 2, 0.3)
    rng = np.random.default_rng(0)
    found = [
        np.mean((pixels[:, 5:7] @ rng.normal(size=2) + rng.normal() > 0) == label) for _ in range(300)
    ]  # fmt: skip
    assert max(found) <= ceiling + 2 * allowed(ceiling)  # 300 lines: the largest of so many errors is within 6 of them
    best = max(np.mean((pixels[:, 5] + pixels[:, 6] + offset > 0) == label) for offset in np.linspace(-3, 3, 61))
    assert best == pytest.approx(ceiling, abs=2 * allowed(ceiling))


def test_closed_forms_and_order_of_the_limits():
    for noise in (0.3, 1.0):
        exact = 0.5 + np.arctan(1 / noise) / np.pi
        for limit in (bayes_accuracy, regression_limit, linear_ceiling):
            assert limit(0.0, 2, noise) == pytest.approx(exact, abs=ROUNDING)
        assert bayes_accuracy(1.0, 2, noise) == pytest.approx(product_accuracy(noise), abs=ROUNDING)
    for rule in RULES:
        assert regression_limit(*rule) <= linear_ceiling(*rule) + 2 * ROUNDING <= bayes_accuracy(*rule) + 4 * ROUNDING


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ((1.5, 2, 0.3), r"nonlinearity must be in \[0, 1\], got 1.5"),
        ((0.5, 4, 0.3), "order must be 2 or 3, got 4"),
        ((0.5, 2, 0.0), "noise must be > 0, got 0.0"),
    ],
)
def test_arguments_are_checked(rule, message):
    for limit in (bayes_accuracy, regression_limit, linear_ceiling):
        with pytest.raises(ValueError, match=message):
            limit(*rule)
