"""From trials to cells: means over seeds, the variance between seeds, and intervals that hold with few seeds.

A cell is one setting of the factors; its trials differ by seed alone. Four seeds say little about their own variance,
so cells lend each other strength: the variance is modelled as a + b p (1 - p) over all cells, and each cell's own
variance is moderated towards that model by as much as the cells agree with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from sim.types import FloatArray

IntArray = NDArray[np.int64]
VARIANCE_FLOOR = 1e-12  # a standard deviation of 1e-6: below the resolution of any test set
RELATIVE_FLOOR = 1e-4  # no cell's standard deviation is taken to be under 1% of the largest: a cell at 1.0 is not exact


class CellSummary(NamedTuple):
    """Cells of a table.

    Attributes:
        columns: key column -> its value in each cell, shape (cells,).
        mean: mean over the trials of a cell, shape (cells,).
        variance: variance between the trials of a cell (trials - 1 in the denominator), NaN for one trial.
        trials: trials in a cell.
        values: the trials' values, shape (trials,); empty when only moments are known.
        cell: the cell of each trial, shape (trials,).
    """

    columns: Mapping[str, Any]
    mean: FloatArray
    variance: FloatArray
    trials: IntArray
    values: FloatArray
    cell: IntArray


class VarianceModel(NamedTuple):
    """Variance between seeds, `intercept + slope p (1 - p)`, pooled over cells.

    Attributes:
        intercept: a >= 0, in squared accuracy.
        slope: b >= 0, in squared accuracy.
        prior_degrees: how far cells follow the model: true variances spread about it
            like those estimated with this many degrees of freedom (infinite: exactly on the model).
        degrees: degrees of freedom of the pooled fit, sum of trials - 1.
    """

    intercept: float
    slope: float
    prior_degrees: float
    degrees: float


def rescale(accuracy: ArrayLike, chance: ArrayLike, ceiling: ArrayLike = 1.0) -> FloatArray:
    """Accuracy on the scale where chance is 0 and the ceiling is 1: (A - chance) / (ceiling - chance).

    With the known-codeword ceiling this is rho; with ceiling 1, the chance-corrected accuracy.

    >>> float(rescale(0.75, 0.5))
    0.5
    """
    low = np.asarray(chance, dtype=np.float64)
    return np.asarray((np.asarray(accuracy, dtype=np.float64) - low) / (np.asarray(ceiling, dtype=np.float64) - low))


def group_rows(columns: Mapping[str, Any], by: Sequence[str]) -> tuple[IntArray, IntArray]:
    """The cell of each row and the first row of each cell; NaN equals NaN, text and None compare as text."""
    if not by:
        raise ValueError("by must name at least one column, got none")
    missing = [name for name in by if name not in columns]
    if missing:
        raise ValueError(f"by must name columns of the table, got {missing}; the table has {sorted(columns)}")
    combined: IntArray = np.zeros(len(columns[by[0]]), dtype=np.int64)
    for name in by:
        column = np.asarray(columns[name])
        if column.dtype.kind not in "fiub":
            column = column.astype(str)
        if len(column) != len(combined):
            raise ValueError(f"columns must have one length, got {len(column)} for {name!r} and {len(combined)}")
        codes = np.unique(column, return_inverse=True)[1]
        combined = np.unique(combined * (codes.max(initial=0) + 1) + codes, return_inverse=True)[1]
    return combined, np.unique(combined, return_index=True)[1]


def cell_summary(columns: Mapping[str, Any], by: Sequence[str], value: str = "test_accuracy") -> CellSummary:
    """Mean, variance and number of trials of `value` in each cell of rows that agree in the columns `by`.

    Args:
        columns: the table, column -> array of one length; rows where `value` is missing (NaN, None) are left out.
        by: the key columns.
        value: the column to summarise.

    >>> table = {"outputs": np.array([4, 4, 8]), "test_accuracy": np.array([0.5, 0.7, 0.2])}
    >>> cell_summary(table, ["outputs"]).mean.round(3).tolist()
    [0.6, 0.2]
    """
    if value not in columns:
        raise ValueError(f"value must be a column of the table, got {value!r}; the table has {sorted(columns)}")
    values = np.asarray(columns[value], dtype=np.float64)
    kept = np.isfinite(values)
    values = values[kept]
    table = {name: np.asarray(columns[name])[kept] for name in by if name in columns}
    cell, first = group_rows(table, by)
    trials = np.bincount(cell, minlength=len(first))
    mean = np.bincount(cell, values, len(first)) / trials
    squares = np.bincount(cell, (values - mean[cell]) ** 2, len(first))
    variance = np.where(trials > 1, squares / np.maximum(trials - 1, 1), np.nan)
    return CellSummary({name: table[name][first] for name in by}, mean, variance, trials, values, cell)


def cells_from_moments(
    columns: Mapping[str, Any], mean: ArrayLike, variance: ArrayLike, trials: ArrayLike = 1
) -> CellSummary:
    """Cells of a table that is already summarised; `trials` 1 means that `variance` is that of the mean itself.

    >>> cells_from_moments({"outputs": np.array([2, 4])}, [0.9, 0.8], 0.01, 4).trials.tolist()
    [4, 4]
    """
    means = np.asarray(mean, dtype=np.float64)
    variances = np.broadcast_to(np.asarray(variance, dtype=np.float64), means.shape)
    if not np.all(variances >= 0):
        raise ValueError(f"variance must be >= 0, got {variances.min()}")
    repeats = np.broadcast_to(np.asarray(trials, dtype=np.int64), means.shape)
    if not np.all(repeats >= 1):
        raise ValueError(f"trials must be >= 1, got {repeats.min()}")
    return CellSummary(dict(columns), means, variances, repeats, np.empty(0), np.empty(0, dtype=np.int64))


def variance_model(cells: CellSummary, *, proportional: bool = True, caution: float = 0.0) -> VarianceModel:
    """Fit Var = a + b p (1 - p) to the cells' variances by gamma quasi-likelihood, a, b >= 0.

    Sample variances scatter in proportion to their mean, so each is weighted by (trials - 1) / Var^2, iterated. The
    spread left over, E (s^2/Var - 1)^2 = 2/v + tau^2 (1 + 2/v) with v = trials - 1, gives prior_degrees =
    4 + 2/tau^2: the inverse chi-square law with that relative variance.

    Args:
        cells: at least one cell must hold two or more trials.
        proportional: False leaves out the slope (one variance for all cells), as for differences of accuracies.
        caution: standard errors (those of equal variances) added to tau^2, for tests far out in the tail.

    >>> cells = cells_from_moments({}, [0.5, 0.9], [0.0025, 0.0009], 5)
    >>> round(variance_model(cells).slope, 4)
    0.01
    """
    free = np.where(np.isfinite(cells.variance), cells.trials - 1, 0).astype(np.float64)
    used = free > 0
    if not used.any():
        raise ValueError("a variance between seeds needs a cell with two trials or more, got one trial in every cell")
    free, sample, mean = free[used], cells.variance[used], cells.mean[used]
    shape = np.clip(mean * (1 - mean), 0.0, None)
    design = np.stack([np.ones_like(mean), shape if proportional else np.zeros_like(mean)], axis=1)
    pooled = float(np.average(sample, weights=free))
    floor = max(0.01 * pooled, VARIANCE_FLOOR)
    fitted = np.full_like(sample, max(pooled, VARIANCE_FLOOR))
    scale = max(pooled, VARIANCE_FLOOR)
    coefficients = np.zeros(2)
    for _ in range(20):
        weight = np.sqrt(free) * scale / np.maximum(fitted, floor)
        coefficients = optimize.nnls(design * weight[:, None], sample / scale * weight)[0] * scale
        fitted = design @ coefficients
    ratio = sample / np.maximum(fitted, floor)
    spread = np.sum(free * ((ratio - 1) ** 2 - 2 / free)) / np.sum(free + 2)
    noise = 12 * (free + 4) / free**3 - 4 / free**2  # variance of (chi2_v / v - 1)^2
    spread = max(spread, 0.0) + caution * np.sqrt(np.sum(free**2 * noise)) / np.sum(free + 2)
    prior = 4 + 2 / spread if spread > 0 else np.inf
    return VarianceModel(float(coefficients[0]), float(coefficients[1]), float(prior), float(free.sum()))


def moderated_variance(cells: CellSummary, model: VarianceModel) -> tuple[FloatArray, FloatArray]:
    """Variance between the seeds of each cell and its degrees of freedom, the cell's own moderated by the model.

    V = (d0 s0^2 + v s^2) / (d0 + v) with s0^2 = (a + b p (1 - p)) (d0 - 2)/d0, v = trials - 1 and d0 = prior_degrees;
    at most the pooled fit's degrees of freedom are claimed.

    Source: Smyth, Statistical Applications in Genetics and Molecular Biology 3 (2004), with d0 from moments.
    """
    own = np.where(np.isfinite(cells.variance), cells.trials - 1, 0).astype(np.float64)
    modelled = model.intercept + model.slope * np.clip(cells.mean * (1 - cells.mean), 0.0, None)
    modelled = np.maximum(modelled, max(RELATIVE_FLOOR * float(modelled.max(initial=0.0)), VARIANCE_FLOOR))
    if np.isinf(model.prior_degrees):
        return modelled, np.full_like(modelled, model.degrees)
    prior = model.prior_degrees
    sample = np.where(own > 0, cells.variance, 0.0)
    variance = ((prior - 2) * modelled + own * sample) / (prior + own)
    return variance, np.minimum(prior + own, model.degrees)


def mean_interval(cells: CellSummary, *, level: float = 0.95, model: VarianceModel | None = None) -> FloatArray:
    """Interval of each cell's mean, shape (cells, 2): mean -+ t sqrt(V / trials).

    Args:
        cells: the cells.
        level: nominal coverage.
        model: None for each cell's own variance (NaN for one trial); else the moderated variance of `variance_model`.

    >>> mean_interval(cells_from_moments({}, [0.5], [0.01], 4)).round(3).tolist()
    [[0.341, 0.659]]
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    if model is None:
        variance, degrees = cells.variance, np.where(cells.trials > 1, cells.trials - 1.0, np.nan)
    else:
        variance, degrees = moderated_variance(cells, model)
    half = special.stdtrit(degrees, (1 + level) / 2) * np.sqrt(variance / cells.trials)
    return np.stack([cells.mean - half, cells.mean + half], axis=1)
