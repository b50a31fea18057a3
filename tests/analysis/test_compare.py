"""Comparisons against values worked out by hand or by closed forms."""

import numpy as np
import pytest
from scipy import stats

from sim.analysis.compare import (
    detectable_effect,
    holm,
    pair_rows,
    paired_t,
    seeds_to_decide,
    slope_per_doubling,
    t_estimate,
    tost,
    welch_t,
)


def test_paired_t_by_hand():
    # 1..5: mean 3, standard error sqrt(2.5 / 5), t = 3 sqrt(2); t quantile with 4 degrees 2.776445.
    estimate = paired_t([1.0, 2.0, 3.0, 4.0, 5.0, np.nan])
    assert estimate.standard_error == pytest.approx(0.70710678)
    assert (estimate.low, estimate.high) == pytest.approx((3 - 2.7764451 * 0.70710678, 3 + 2.7764451 * 0.70710678))
    # The t law with 4 degrees: F(t) = 1/2 + 3/8 u (1 - u^2 / 12), u = t / sqrt(1 + t^2/4); here u^2 = 18 / 5.5.
    u = np.sqrt(18 / 5.5)
    assert estimate.p_value == pytest.approx(2 * (0.5 - 0.375 * u * (1 - u**2 / 12)))
    assert paired_t([1.0, 2.0, 3.0, 4.0, 5.0], alternative="greater").p_value == pytest.approx(estimate.p_value / 2)
    assert estimate.trials == 5


def test_equal_differences():
    assert paired_t([0.1, 0.1, 0.1]).p_value < 1e-10
    assert paired_t([0.0, 0.0]).p_value == 1.0
    with pytest.raises(ValueError, match="difference must hold two finite values or more, got 1"):
        paired_t([0.1])


def test_welch_on_the_tie_of_the_survey():
    # Two samples of 20 with means 9.36, 9.15 and deviations 3.34, 1.44: t = .21 / .8133 = .2582.
    base = np.tile([-1.0, 1.0], 10) * np.sqrt(19 / 20)
    estimate = welch_t(9.36 + 3.34 * base, 9.15 + 1.44 * base)
    assert estimate.effect / estimate.standard_error == pytest.approx(0.2582, abs=1e-4)
    parts = np.array([3.34**2, 1.44**2]) / 20
    assert estimate.degrees == pytest.approx(parts.sum() ** 2 / np.sum(parts**2 / 19))
    assert estimate.p_value > 0.7


def test_tost_by_hand():
    # 1..5 with margin 5: t = (3 - 5) sqrt(2) = -2.8284 with 4 degrees, p = .02371; 90% interval 3 -+ 2.131847 se.
    result = tost([1.0, 2.0, 3.0, 4.0, 5.0], 5.0)
    assert result.p_value == pytest.approx(0.02371, abs=1e-5)
    assert result.equivalent
    assert (result.low, result.high) == pytest.approx((1.492557, 4.507443), abs=1e-5)
    assert not tost([1.0, 2.0, 3.0, 4.0, 5.0], 5.0, level=0.99).equivalent
    assert not tost([1.0, 2.0, 3.0, 4.0, 5.0], 4.5).equivalent  # the interval's end is 4.507
    assert tost([1.0, 2.0, 3.0, 4.0, 5.0], 4.51).equivalent
    with pytest.raises(ValueError, match=r"margin must be > 0, got -1.0"):
        tost([1.0, 2.0], -1.0)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1.0, 1.0])
    assert holm([]).shape == (0,)
    with pytest.raises(ValueError, match="p_values must be"):
        holm([0.5, 1.5])


def test_pair_rows_by_key():
    table = {
        "arm": np.array(["a", "a", "a", "b", "b", "b"]),
        "outputs": np.array([4, 4, 8, 8, 4, 16]),
        "seed": np.array([0, 1, 0, 0, 1, 0]),
        "test_accuracy": np.array([0.9, 0.8, 0.7, 0.4, 0.5, 0.3]),
    }
    pairs = pair_rows(table, table["arm"] == "a", table["arm"] == "b", ["outputs", "seed"])
    assert dict(zip(pairs.first_rows.tolist(), pairs.second_rows.tolist(), strict=True)) == {1: 4, 2: 3}
    np.testing.assert_allclose(np.sort(pairs.difference), [0.3, 0.3])
    with pytest.raises(ValueError, match="on must identify one row of an arm"):
        pair_rows(table, table["arm"] == "a", table["arm"] == "b", ["outputs"])


def test_slope_per_doubling():
    # Seeds fall by .1, .2 and .3 a doubling exactly: mean -.2, standard error .1 / sqrt(3).
    size = np.tile([16, 64, 256, 1024], 3)
    seed = np.repeat([0, 1, 2], 4)
    value = 1 - np.repeat([0.1, 0.2, 0.3], 4) * np.log2(size)
    estimate = slope_per_doubling(size, value, seed)
    assert estimate.effect == pytest.approx(-0.2)
    assert estimate.standard_error == pytest.approx(0.1 / np.sqrt(3))
    assert estimate.degrees == 2
    with pytest.raises(ValueError, match="paired slopes need each seed once at each size"):
        slope_per_doubling(size[:-1], value[:-1], seed[:-1])
    with pytest.raises(ValueError, match=r"size must be > 0, got 0.0"):
        slope_per_doubling([0, 1], [1, 1], [0, 1])


@pytest.mark.parametrize("paired", [True, False])
def test_slope_intervals_cover(paired):
    """400 slopes with 4 independent seeds, nominal .95: [362, 396] covers but for 2e-4 (binomial)."""
    rng = np.random.default_rng(0)
    size, seed = np.tile([4, 16, 64, 256], 4), np.repeat(np.arange(4), 4)
    hits = 0
    for _ in range(400):
        value = 0.9 - 0.01 * np.log2(size) + 0.02 * np.tile([0.5, 1, 1, 2], 4) * rng.standard_normal(16)
        estimate = slope_per_doubling(size, value, seed, paired=paired)
        hits += estimate.low <= -0.01 <= estimate.high
    assert 362 <= hits <= 396


def test_power_statements():
    # The detectable effect is seen with probability .8: 4,000 draws, standard error .0063, 4.7 of these.
    rng = np.random.default_rng(1)
    estimate = t_estimate(0.0, 1 / np.sqrt(10), 9, 10)
    effect = detectable_effect(estimate)
    seen = np.mean(stats.ttest_1samp(effect + rng.standard_normal((4000, 10)), 0.0, axis=1).pvalue < 0.05)
    assert seen == pytest.approx(0.8, abs=0.03)
    few = t_estimate(
        0.5, 1 / np.sqrt(4), 3, 4
    )  # an effect of half a standard deviation: 33 or 34 seeds, in every table
    assert seeds_to_decide(few) in (33, 34, 35)
    assert seeds_to_decide(few, 0.5) is None
