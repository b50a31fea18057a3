"""The pooled seed bootstrap has the right variance, and covers where the percentile bootstrap of seeds does not."""

import numpy as np
import pytest

from sim.analysis.resampling import make_cells, percentile_interval, pool_seeds, resample_means


def test_draws_have_the_variance_of_a_mean():
    # 40 cells x 4 seeds: the pooled variance is known to 13% (one standard error); 0.6-1.5 is 3 of these or more.
    rng = np.random.default_rng(0)
    mean = np.linspace(0.2, 0.8, 40)
    values = mean[:, None] + 0.02 * rng.standard_normal((40, 4))
    cells = make_cells({"x": np.repeat(mean, 4), "seed": np.tile(np.arange(4), 40)}, values.ravel(), None, None)
    assert len(cells.mean) == 40  # the seed column does not split cells
    draws = resample_means(pool_seeds(cells), 2000, 0.95, np.random.default_rng(1))
    assert 0.6 < np.mean(draws**2) / (0.02**2 / 4) < 1.5
    assert np.abs(np.corrcoef(draws.T)[np.triu_indices(40, 1)]).max() < 0.15  # cells are independent


def test_pooled_bootstrap_covers_where_seed_percentiles_do_not():
    """Nominal .95, 4 seeds, 4,000 means: standard error .0035; [.93, .97] fails falsely below 1e-6."""
    rng = np.random.default_rng(2)
    mean = np.linspace(0.2, 0.8, 20)
    pooled = plain = 0
    for repeat in range(200):
        values = mean[:, None] + 0.02 * rng.standard_normal((20, 4))
        cells = make_cells({"x": np.repeat(mean, 4)}, values.ravel(), None, None)
        draws = resample_means(pool_seeds(cells), 199, 0.95, np.random.default_rng(repeat))
        low, high = cells.mean + percentile_interval(draws, 0.95)
        pooled += int(np.sum((low <= mean) & (mean <= high)))
        picks = rng.integers(0, 4, (199, 20, 4))
        low, high = percentile_interval(np.take_along_axis(values[None], picks, 2).mean(axis=2), 0.95)
        plain += int(np.sum((low <= mean) & (mean <= high)))
    assert 0.93 < pooled / 4000 < 0.97
    assert plain / 4000 < 0.88


def test_too_few_resamples_for_the_level_are_refused():
    pool = pool_seeds(make_cells({"x": np.arange(2.0)}, np.array([0.5, 0.6]), 0.01, 4))
    resample_means(pool, 199, 0.99, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"resamples must be >= 2 / \(1 - level\) - 1 for level 0.99, got 99"):
        resample_means(pool, 99, 0.99, np.random.default_rng(0))
