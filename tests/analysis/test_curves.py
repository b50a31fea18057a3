"""Cells, the variance between seeds, and the coverage of intervals with four seeds."""

import numpy as np
import pytest
from scipy import stats

from sim.analysis.curves import cell_summary, cells_from_moments, mean_interval, moderated_variance, variance_model


def test_cell_summary_groups_text_numbers_and_missing_keys():
    table = {
        "arm": np.array(["mlp", "mlp", "bayes", "mlp", "mlp"]),
        "noise": np.array([1.0, 1.0, np.nan, np.nan, np.nan]),
        "head": np.array([None, None, "shared", None, None], dtype=object),
        "test_accuracy": np.array([0.2, 0.4, 0.9, 0.5, np.nan]),
    }
    cells = cell_summary(table, ["arm", "noise", "head"])
    found = dict(zip(zip(cells.columns["arm"], cells.mean.round(6), strict=True), cells.trials, strict=True))
    assert found == {("bayes", 0.9): 1, ("mlp", 0.3): 2, ("mlp", 0.5): 1}
    pair = int(np.flatnonzero(cells.trials == 2)[0])
    assert cells.variance[pair] == pytest.approx(0.02)  # (0.1^2 + 0.1^2) / 1
    assert np.isnan(cells.variance[cells.trials == 1]).all()
    np.testing.assert_allclose(np.sort(cells.values), [0.2, 0.4, 0.5, 0.9])


def test_variance_model_recovers_planted_coefficients():
    # 400 cells x 10 seeds: b has a standard error of about 1.5%, a of about 6%; 5 of these are beyond 1e-6.
    rng = np.random.default_rng(1)
    mean = rng.uniform(0.01, 0.99, 400)
    variance = (2e-5 + 1e-3 * mean * (1 - mean)) * rng.chisquare(9, 400) / 9
    model = variance_model(cells_from_moments({}, mean, variance, 10))
    assert model.slope == pytest.approx(1e-3, rel=0.08)
    assert model.intercept == pytest.approx(2e-5, rel=0.3)
    assert model.degrees == 3600
    assert model.prior_degrees > 30  # the cells do follow the model


def test_prior_degrees_see_cells_off_the_model():
    # True variances are inverse chi-square with 12 degrees of freedom about one value.
    rng = np.random.default_rng(2)
    true = 1e-4 * 12 / rng.chisquare(12, 2000)
    sample = true * rng.chisquare(5, 2000) / 5
    cells = cells_from_moments({}, np.full(2000, 0.5), sample, 6)
    model = variance_model(cells, proportional=False)
    assert 8 < model.prior_degrees < 20
    moderated, _ = moderated_variance(cells, model)
    pooled = np.full_like(true, sample.mean())
    for other in (sample, pooled):  # moderation beats both the cell's own variance and one variance for all
        assert np.mean(np.log(moderated / true) ** 2) < np.mean(np.log(other / true) ** 2)


@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_pooled_intervals_of_four_seeds_cover(spread):
    """300 tables x 12 cells at nominal .95; cells of one table share a variance model, so the bounds are wide.

    False-fail rate below 1e-3: [.935, .97] is over 4 standard errors (.0036) of a binomial share of 3,600, and outside
    it lies what plain normal intervals of four seeds would give (.86).
    """
    rng = np.random.default_rng(3)
    mean = np.linspace(0.05, 0.95, 12)
    covered = narrower = 0
    for _ in range(300):
        deviation = np.sqrt(1e-5 + 1e-3 * mean * (1 - mean)) * np.exp(spread * rng.standard_normal(12) / 2)
        values = mean[:, None] + deviation[:, None] * rng.standard_normal((12, 4))
        cells = cell_summary({"cell": np.repeat(mean, 4), "y": values.ravel()}, ["cell"], "y")
        interval = mean_interval(cells, model=variance_model(cells))
        own = mean_interval(cells)
        covered += int(np.sum((interval[:, 0] <= mean) & (mean <= interval[:, 1])))
        narrower += int(np.sum(np.diff(interval) < np.diff(own)))
    assert 0.935 <= covered / 3600 <= 0.97
    assert narrower / 3600 > 0.6


def test_one_cell_gives_the_ordinary_t_interval():
    cells = cells_from_moments({}, [0.5], [0.01], 4)
    half = stats.t.ppf(0.975, 3) * 0.05
    np.testing.assert_allclose(mean_interval(cells), [[0.5 - half, 0.5 + half]])
    np.testing.assert_allclose(mean_interval(cells, model=variance_model(cells)), [[0.5 - half, 0.5 + half]])


def test_errors_name_rule_and_value():
    with pytest.raises(ValueError, match=r"by must name columns of the table, got \['noise'\]"):
        cell_summary({"y": np.ones(2)}, ["noise"], "y")
    with pytest.raises(ValueError, match="value must be a column"):
        cell_summary({"y": np.ones(2)}, ["y"])
    with pytest.raises(ValueError, match=r"level must be between 0 and 1, got 95"):
        mean_interval(cells_from_moments({}, [0.5], [0.01], 4), level=95)
    with pytest.raises(ValueError, match="two trials or more"):
        variance_model(cell_summary({"a": np.arange(3), "y": np.ones(3)}, ["a"], "y"))
    with pytest.raises(ValueError, match="variance must be >= 0"):
        cells_from_moments({}, [0.5], [-1.0])
