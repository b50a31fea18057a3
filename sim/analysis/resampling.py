"""The pooled seed bootstrap: new cell means as another set of seeds would have given them.

A percentile bootstrap of four seeds covers .81 where .95 is claimed. So seeds are not resampled inside their cell:
their deviations are standardised, inflated for the mean that was taken from them, pooled over all cells, drawn from the
pool, and scaled back by each cell's moderated standard deviation.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sim.analysis.curves import (
    CellSummary,
    VarianceModel,
    cell_summary,
    cells_from_moments,
    moderated_variance,
    variance_model,
)
from sim.types import FloatArray

SEED_COLUMNS = ("seed", "init_seed")  # they tell trials apart, never cells


class SeedPool(NamedTuple):
    """What the bootstrap draws from.

    Attributes:
        standard_deviation: between the seeds of a cell, shape (cells,).
        trials: seeds of each cell.
        deviations: pooled standardised deviations, mean 0 and variance 1; empty where the trials are not known, and
            then normal deviates are drawn.
        degrees: degrees of freedom behind the standard deviations, shape (cells,).
    """

    standard_deviation: FloatArray
    trials: FloatArray
    deviations: FloatArray
    degrees: FloatArray

    @property
    def standard_error(self) -> FloatArray:
        """Standard error of each cell's mean."""
        return self.standard_deviation / np.sqrt(self.trials)


def make_cells(
    columns: Mapping[str, Any], accuracy: ArrayLike, variance: ArrayLike | None, trials: ArrayLike | None
) -> CellSummary:
    """Cells of a table of trials (`variance` None), or of a table that already holds one row a cell.

    Rows that agree in all columns but the seeds are one cell; numbers become float64.
    """
    table = {name: np.asarray(column) for name, column in columns.items() if name not in SEED_COLUMNS}
    table = {
        name: column.astype(np.float64) if column.dtype.kind in "fiub" else column for name, column in table.items()
    }
    value = np.asarray(accuracy, dtype=np.float64)
    for name, column in table.items():
        if column.shape != value.shape:
            raise ValueError(
                f"columns must have one value a row, got shape {column.shape} for {name!r}, not {value.shape}"
            )
    if variance is None:
        return cell_summary({**table, " value": value}, list(table), " value")
    return cells_from_moments(table, value, variance, 1 if trials is None else trials)


def pool_seeds(cells: CellSummary, model: VarianceModel | None = None) -> SeedPool:
    """Standard deviations and pooled deviations of the seeds of `cells`.

    Cells that carry the variance of their mean (trials 1 with a variance) keep it as it is. `model` is fitted to these
    cells unless given (held-out cells take that of the fitted ones).

    >>> pool = pool_seeds(cells_from_moments({}, [0.5, 0.6], [0.01, 0.01], 4))
    >>> pool.standard_error.round(3).tolist()
    [0.05, 0.05]
    """
    given = (cells.trials == 1) & np.isfinite(cells.variance)
    if given.all():
        variance, degrees = np.maximum(cells.variance, 1e-12), np.full(len(cells.mean), np.inf)
    else:
        variance, degrees = moderated_variance(cells, model or variance_model(cells))
        variance, degrees = np.where(given, cells.variance, variance), np.where(given, np.inf, degrees)
    deviation = np.sqrt(variance)
    repeated = cells.trials[cells.cell] > 1 if len(cells.cell) else np.zeros(0, dtype=bool)
    which = cells.cell[repeated]
    trials = cells.trials[which]
    inflation = np.sqrt(trials / np.maximum(trials - 1, 1))
    pooled = (cells.values[repeated] - cells.mean[which]) / deviation[which] * inflation
    pooled = pooled - pooled.mean() if len(pooled) else pooled
    spread = float(np.sqrt(np.mean(pooled**2))) if len(pooled) else 0.0
    pooled = pooled / spread if spread > 0 else np.empty(0)
    return SeedPool(deviation, cells.trials.astype(np.float64), pooled, degrees)


def resample_means(pool: SeedPool, resamples: int, level: float, generator: np.random.Generator) -> FloatArray:
    """Deviations of the cell means in `resamples` fresh sets of seeds, shape (resamples, cells).

    Widened by t / z at `level`: percentiles of the draws then carry the uncertainty of the standard deviations too.
    """
    if resamples < 1:
        raise ValueError(f"resamples must be >= 1, got {resamples}")
    if (resamples + 1) * (1 - level) / 2 < 1 - 1e-9:
        raise ValueError(f"resamples must be >= 2 / (1 - level) - 1 for level {level}, got {resamples}")
    most = int(pool.trials.max())
    shape = (resamples, len(pool.trials), most)
    draws = generator.choice(pool.deviations, shape) if len(pool.deviations) else generator.standard_normal(shape)
    draws = draws * (np.arange(most) < pool.trials[:, None])
    widening = special.stdtrit(pool.degrees, (1 + level) / 2) / special.ndtri((1 + level) / 2)
    return np.asarray(draws.sum(axis=2) / pool.trials * pool.standard_deviation * widening)


def percentile_interval(draws: FloatArray, level: float) -> FloatArray:
    """Percentiles of the draws along the first axis, at the order statistics (resamples + 1) (1 -+ level)/2.

    >>> percentile_interval(np.arange(1.0, 200.0), 0.95).round(6).tolist()
    [5.0, 195.0]
    """
    return np.asarray(np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull"))
