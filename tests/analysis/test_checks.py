"""The leak test keeps its level, sees a planted leak and stands unequal cells; the integral check likewise."""

import numpy as np
import pytest
from scipy import stats

from sim.analysis.checks import integral_check, leak_test, share_of_misses


def _unequal(rng, spread, cells=40, seeds=4):
    deviation = 0.005 * np.exp(spread * rng.standard_normal(cells) / 2)
    return deviation[:, None] * rng.standard_normal((cells, seeds))


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_leak_test_keeps_its_level(spread):
    """600 runs of 40 cells without a leak, at level .05 so that alarms can be counted.

    Measured over 3,000 runs: .016 (equal variances) and .050 (unequal). Over 600 runs more than 50 alarms has
    probability below 1e-3 at .050, fewer than 2 at .016; one variance without moderation gives .13, 78 alarms.
    """
    rng = np.random.default_rng(0)
    alarms = sum(leak_test(list(_unequal(rng, spread)), level=0.05).leak for _ in range(600))
    assert 2 <= alarms <= 50


def test_leak_test_sees_a_leak_in_one_cell_at_its_real_level():
    # A leak of .04 is 16 standard errors of a mean of four; measured power at .03 is .95 or more. 40 of 40 expected.
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(40):
        differences = _unequal(rng, 0.5) - 0.002
        differences[7] += 0.042
        result = leak_test(list(differences))
        found += result.leaking.tolist() == [7]
        assert result.detectable < 0.03
    assert found >= 36


def test_leak_test_leaves_out_cells_without_variance():
    rng = np.random.default_rng(2)
    cells = [*_unequal(rng, 0.0, cells=10), np.zeros(4), np.full(4, 0.1), np.array([0.3])]
    result = leak_test(cells)
    assert result.left_out.tolist() == [10, 11, 12]
    assert np.isnan(result.p_value[10:]).all()
    assert not result.leak
    assert not leak_test([np.zeros(4)]).leak


def test_leak_test_of_one_cell_is_the_paired_t_test():
    values = np.array([0.01, 0.02, 0.03, 0.02])
    assert leak_test([values]).p_value[0] == pytest.approx(stats.ttest_1samp(values, 0, alternative="greater").pvalue)


def test_leak_test_models_the_variance_with_accuracy():
    rng = np.random.default_rng(3)
    accuracy = np.linspace(0.05, 0.95, 40)
    deviation = 0.03 * np.sqrt(accuracy * (1 - accuracy))
    differences = deviation[:, None] * rng.standard_normal((40, 4))
    differences[0] += 0.03  # noisy by the pooled variance, plain by the model: the cell's own deviation is .0065
    modelled, plain = leak_test(list(differences), accuracy=accuracy), leak_test(list(differences))
    assert modelled.leaking.tolist() == [0]
    assert modelled.p_value[0] < plain.p_value[0]


def test_share_of_misses():
    assert share_of_misses(0, 20, 0.01) == 1.0
    assert share_of_misses(1, 20, 0.01) == pytest.approx(1 - 0.99**20)
    with pytest.raises(ValueError, match="misses must be between 0 and trials = 3, got 4"):
        share_of_misses(4, 3, 0.01)


def test_integral_check_passes_the_truth_and_fails_a_small_error():
    """False fails: by construction at most .001 a run; 200 runs without one fail with probability .18 at that bound,
    so up to 3 are let pass (probability of more: 6e-5)."""
    rng = np.random.default_rng(4)
    ceiling = np.linspace(0.1, 0.95, 30)
    failures = 0
    for _ in range(200):
        samples = ceiling[:, None] + 0.04 * rng.standard_normal((30, 20))
        failures += not integral_check(list(samples), ceiling).passed
    assert failures <= 3
    wrong = integral_check(list(samples), ceiling + 0.02)
    assert not wrong.passed
    assert wrong.share > 0.15
    assert wrong.error.mean() == pytest.approx(-0.02, abs=0.01)


def test_integral_check_needs_codebooks_and_matching_ceilings():
    rng = np.random.default_rng(5)
    samples = [0.5 + 0.01 * rng.standard_normal(20), np.ones(20)]
    assert integral_check(samples, np.array([0.5, 1.0])).cells == 1  # no variance: left out
    with pytest.raises(ValueError, match="20 codebooks or more, got 6"):
        integral_check([rng.normal(size=6)], np.array([0.5]))
    with pytest.raises(ValueError, match="ceilings must hold one value a cell"):
        integral_check(samples, np.array([0.5]))
