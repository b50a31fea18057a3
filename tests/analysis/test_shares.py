"""Exact shares and half points: coverage by enumeration or simulation, and the cases that can be done by hand."""

import numpy as np
import pytest
from scipy import stats

from sim.analysis.shares import half_point, share_interval


@pytest.mark.parametrize("level", [0.95, 0.99])
@pytest.mark.parametrize("trials", [4, 10])
def test_the_interval_covers_at_every_share(trials, level):
    """By enumeration: no share is covered less often than the level says."""
    intervals = [share_interval(hits, trials, level=level) for hits in range(trials + 1)]
    for share in np.linspace(0.01, 0.99, 99):
        inside = [found.low <= share <= found.high for found in intervals]
        assert stats.binom.pmf(np.arange(trials + 1), trials, share) @ inside >= level


def test_the_interval_is_scipys():
    for hits in (0, 3, 10):
        other = stats.binomtest(hits, 10).proportion_ci(0.99)
        found = share_interval(hits, 10, level=0.99)
        np.testing.assert_allclose([found.low, found.high], [other.low, other.high], atol=1e-12)  # rounding
        assert found.p_value == pytest.approx(stats.binomtest(hits, 10).pvalue, abs=1e-12)


def test_half_points_by_hand():
    found = half_point([1, 2, 4, 8], [10, 10, 4, 0], [10, 10, 10, 10], level=0.99)
    assert (found.low, found.high) == (2.0, 8.0)
    assert found.place == pytest.approx(2 * 2 ** (5 / 6))  # five sixths of the way from 1 to .4
    rising = half_point([1, 2, 4, 8], [10, 3, 7, 0], [10] * 4)
    assert rising.place == pytest.approx(np.sqrt(8))  # the rise is pooled to a stretch at one half
    assert np.isnan(half_point([1, 2], [10, 10], [10, 10]).place)
    assert half_point([1, 2], [10, 10], [10, 10]).high == np.inf
    assert half_point([1, 2], [2, 0], [4, 4]).low == 0.0


def test_bounds_hold_as_often_as_they_say():
    """A logistic fall about 1.7 on a grid; false fail 1e-4 if the true coverage is .95."""
    rng = np.random.default_rng(7)
    places = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    share = 1 / (1 + np.exp(6 * (places - 1.7)))
    hits = rng.binomial(10, share, size=(1500, len(places)))
    covered = sum(f.low <= 1.7 <= f.high for f in (half_point(places, row, [10] * 6) for row in hits))
    assert stats.binom.cdf(covered, 1500, 0.95) > 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: share_interval(1, 1), "trials must be >= 2, got 1"),
        (lambda: share_interval(5, 4), "successes must be between 0 and trials = 4, got 5"),
        (lambda: half_point([2, 1], [1, 1], [2, 2]), "places must be > 0 and ascend"),
        (lambda: half_point([1, 2], [3, 1], [2, 2]), "successes must be between 0 and trials"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
