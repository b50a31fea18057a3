"""Fitting accuracy-versus-output laws to cells, with pooled seed-bootstrap intervals, and ranking laws.

The likelihood of the spine is Gaussian at seed level: the accuracy of seed s in cell c is

    y_cs = f(x_c; theta) + u_c + e_cs,    e_cs ~ N(0, V_c),    u_c ~ N(0, misfit^2),

with V_c the moderated variance of `curves` and u_c what the law gets wrong in that cell. Given V and the misfit, theta
is weighted least squares on cell means with weights 1 / (V_c / seeds + misfit^2). Without the misfit, cells near
accuracy 1, whose seeds hardly scatter, would decide every fit of a law that is not exact. The misfit is estimated
as in random-effects meta-analysis (Paule and Mandel 1982): the weighted sum of squares equals cells - parameters.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sim.analysis.coordinates import make_coordinates
from sim.analysis.curves import CellSummary, group_rows, variance_model
from sim.analysis.law_bootstrap import resampled_estimates, resampled_predictions
from sim.analysis.optimum import find_optimum, seed_level_bic
from sim.analysis.resampling import make_cells, percentile_interval, pool_seeds, resample_means
from sim.types import FloatArray, Law

STRONG_EVIDENCE = 6.0  # a smaller difference of BIC does not tell two laws apart (Kass and Raftery 1995)


class LawFit(NamedTuple):
    """A fitted law.

    Attributes:
        law: the law.
        parameters: name -> estimate.
        intervals: name -> (low, high), pooled seed bootstrap at `level`.
        objective: sum over cells of (mean - law)^2 / (variance of the mean): chi-square of seed noise alone.
        rms: root mean square residual of the cell means, unweighted.
        misfit: standard deviation of the law's own error, in accuracy; 0 where seed noise explains the residuals.
        starts_agreeing: polished starts that reached the best optimum, out of `starts_tried`.
        starts_tried: starts that were polished.
        at_bound: parameters that ended on a bound; their intervals are one-sided at best.
        condition_number: of the Jacobian with columns of unit length; 1 is orthogonal, above about 100 some
            combination of parameters is undetermined.
        criterion: BIC of the seed-level likelihood; parameters and misfit count.
        level: nominal coverage.
        resampled: bootstrap estimates, shape (resamples, parameters): fresh seeds, and fresh misfits of the cells.
        resampled_by_seed: the same with fresh seeds alone, which is what two laws share when they are compared.
        exact_resamples: True if refits used the law itself, not its quadratic surface.
        cells: the data that were fitted.
    """

    law: Law
    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    objective: float
    rms: float
    misfit: float
    starts_agreeing: int
    starts_tried: int
    at_bound: tuple[str, ...]
    condition_number: float
    criterion: float
    level: float
    resampled: FloatArray
    resampled_by_seed: FloatArray
    exact_resamples: bool
    cells: CellSummary


class Prediction(NamedTuple):
    """Predicted accuracy, shape (cells,), and its interval, shape (cells, 2)."""

    accuracy: FloatArray
    interval: FloatArray


class LawScore(NamedTuple):
    """One law in a comparison.

    Attributes:
        fit: the fit, on rows that are not held out.
        held_out_error: root mean square error on the held-out cells (None without any).
        held_out_largest: largest absolute error there.
        difference: error (or, without held-out cells, criterion) minus that of the best law.
        difference_interval: seed-bootstrap interval of the difference in held-out error.
        tied: True if this law cannot be told from the best one.
    """

    fit: LawFit
    held_out_error: float | None
    held_out_largest: float | None
    difference: float
    difference_interval: tuple[float, float] | None
    tied: bool


class LawRanking(NamedTuple):
    """Laws, best first, and one sentence on which of them cannot be told apart."""

    scores: tuple[LawScore, ...]
    statement: str


def fit_law(
    law: Law,
    columns: Mapping[str, ArrayLike],
    accuracy: ArrayLike,
    *,
    variance: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    resamples: int = 199,
    level: float = 0.95,
    seed: int = 0,
    starts: ArrayLike | None = None,
) -> LawFit:
    """Fit a law to trials, or to cells that are already summarised.

    Args:
        law: the law; `law.predict` gets the numeric columns as float64.
        columns: what the law reads and what tells cells apart, one value a row. Rows that agree in all columns (those
            named seed and init_seed left aside) are the seeds of one cell.
        accuracy: accuracy of each row; missing values are left out.
        variance: None for trials; for summarised rows their variance between seeds (with `trials`), or the variance of
            the mean itself (without).
        trials: seeds behind each summarised row.
        resamples: bootstrap samples; at least 2 / (1 - level) - 1.
        level: nominal coverage of the intervals.
        seed: of the bootstrap's random stream.
        starts: start values, shape (starts, parameters); the law's own if None.

    Raises:
        ValueError: if there are fewer cells than parameters, or no variance between seeds can be had.

    Source: likelihood and misfit as in the module's text; intervals by the pooled seed bootstrap of `resampling`.

    >>> def predict(theta, columns):
    ...     return 1 - np.exp(-theta[0] * columns["inputs"] / columns["outputs"])
    >>> law = Law("coverage", "1 - exp(-k I/J)", {"k": (0.01, 100.0)}, predict, np.array([[1.0]]), "lookup learner")
    >>> inputs = np.array([4.0, 16.0, 64.0])
    >>> table = {"inputs": inputs, "outputs": np.full(3, 16.0)}
    >>> fit = fit_law(law, table, 1 - np.exp(-0.8 * inputs / 16), variance=1e-4, trials=4)
    >>> round(fit.parameters["k"], 3)
    0.8
    """
    cells = make_cells(columns, accuracy, variance, trials)
    size = len(law.parameters)
    if len(cells.mean) < max(size, 1):
        raise ValueError(f"law {law.name!r} needs at least {max(size, 1)} cells, got {len(cells.mean)}")
    pool = pool_seeds(cells)
    scale = make_coordinates(law)
    begin = np.asarray(law.starts if starts is None else starts, dtype=np.float64).reshape(-1, max(size, 1))
    optimum = find_optimum(scale, cells, pool, begin)
    residual = scale.predict(optimum.coordinates, cells.columns) - cells.mean
    refits, by_seed, exact = resampled_estimates(scale, optimum, cells, pool, resamples, level, seed)
    cloud = scale.outward(refits)
    limits = percentile_interval(cloud, level)
    near = scale.margin(1e-6)
    bound = (optimum.coordinates <= scale.low + near) | (optimum.coordinates >= scale.high - near)
    lengths = np.linalg.norm(optimum.jacobian, axis=0)
    condition = 1.0
    if size:
        condition = float(np.linalg.cond(optimum.jacobian / lengths)) if np.all(lengths > 0) else float("inf")
    return LawFit(
        law=law,
        parameters=dict(zip(law.parameters, scale.outward(optimum.coordinates).tolist(), strict=True)),
        intervals={name: (float(limits[0, i]), float(limits[1, i])) for i, name in enumerate(law.parameters)},
        objective=float(np.sum(residual**2 / pool.standard_error**2)),
        rms=float(np.sqrt(np.mean(residual**2))),
        misfit=float(np.sqrt(optimum.misfit_variance)),
        starts_agreeing=optimum.starts_agreeing,
        starts_tried=optimum.starts_tried,
        at_bound=tuple(name for name, hit in zip(law.parameters, bound, strict=True) if hit),
        condition_number=condition,
        criterion=seed_level_bic(cells, pool, residual, size),
        level=level,
        resampled=cloud,
        resampled_by_seed=scale.outward(by_seed),
        exact_resamples=exact,
        cells=cells,
    )


def _predictions(fit: LawFit, columns: Mapping[str, Any], resampled: FloatArray) -> tuple[FloatArray, FloatArray]:
    estimate = np.array(list(fit.parameters.values()), dtype=np.float64)
    return resampled_predictions(fit.law, estimate, resampled, fit.exact_resamples, columns)


def predict_law(fit: LawFit, columns: Mapping[str, ArrayLike]) -> Prediction:
    """Accuracy that a fitted law predicts, with its interval at the fit's level.

    The interval joins, in quadrature, the spread of the bootstrap estimates and t times the misfit: it is for the true
    mean accuracy of a cell, not for one trial, and trusts the law outside the fitted range (see `inside_range`).

    Args:
        fit: a fitted law.
        columns: what the law reads, one value a cell.
    """
    table = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    accuracy, draws = _predictions(fit, table, fit.resampled)
    limits = percentile_interval(draws, fit.level)
    degrees = max(len(fit.cells.mean) - len(fit.parameters), 1)
    extra = float(special.stdtrit(degrees, (1 + fit.level) / 2)) * fit.misfit
    low = accuracy - np.hypot(np.maximum(accuracy - limits[0], 0), extra)
    high = accuracy + np.hypot(np.maximum(limits[1] - accuracy, 0), extra)
    return Prediction(accuracy, np.clip(np.stack([low, high], axis=1), 0.0, 1.0))


def inside_range(fit: LawFit, columns: Mapping[str, ArrayLike]) -> NDArray[np.bool_]:
    """Whether each cell lies inside the range of every numeric column of the fit, bool of shape (cells,)."""
    known = {name: fit.cells.columns[name] for name in columns if name in fit.cells.columns}
    numeric = [name for name, column in known.items() if column.dtype.kind == "f"]
    values = {name: np.asarray(columns[name], dtype=np.float64) for name in numeric}
    checks = [(values[name] >= known[name].min()) & (values[name] <= known[name].max()) for name in numeric]
    return np.asarray(np.all(checks, axis=0))


def _require_disjoint(fitted: CellSummary, held_out: CellSummary) -> None:
    both = {name: np.concatenate([fitted.columns[name], held_out.columns[name]]) for name in fitted.columns}
    key, _ = group_rows(both, list(both))
    shared = np.intersect1d(key[: len(fitted.mean)], key[len(fitted.mean) :])
    if len(shared):
        raise ValueError(f"held_out must take whole cells, got {len(shared)} cells with rows on both sides")


def _statement(scores: Sequence[LawScore], measure: str) -> str:
    names = [score.fit.law.name for score in scores]
    tied = [score.fit.law.name for score in scores[1:] if score.tied]
    if len(scores) == 1:
        return f"{names[0]} is the only law."
    if not tied:
        return f"{names[0]} has the lowest {measure}, and every other law can be told from it."
    return f"{names[0]} has the lowest {measure}, but cannot be told from {', '.join(tied)} with these data."


def _rank_by_criterion(fits: Sequence[LawFit]) -> LawRanking:
    order = sorted(fits, key=lambda fit: fit.criterion)
    gaps = [fit.criterion - order[0].criterion for fit in order]
    scores = [LawScore(fit, None, None, gap, None, gap < STRONG_EVIDENCE) for fit, gap in zip(order, gaps, strict=True)]
    return LawRanking(tuple(scores), _statement(scores, "information criterion"))


def compare_laws(
    laws: Sequence[Law],
    columns: Mapping[str, ArrayLike],
    accuracy: ArrayLike,
    *,
    held_out: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    resamples: int = 199,
    level: float = 0.95,
    seed: int = 0,
) -> LawRanking:
    """Fit all laws to the rows that are not held out; rank by held-out error, then by criterion.

    Two laws are told apart if fresh seeds would not reverse their order: the bootstrap interval (over seeds, the same
    for all laws) of the difference of their held-out errors leaves out 0. It speaks of these held-out cells. Without
    held-out rows they are if their BIC differs by 6 or more. Held-out rows decide no fit, weight, variance or misfit.

    Args:
        laws: the laws.
        columns, accuracy, variance, trials, resamples, level, seed: as in `fit_law`.
        held_out: bool, one value a row: the cells (the largest outputs and inputs) that are scored once.

    Raises:
        ValueError: if a cell is only partly held out.
    """
    if not laws:
        raise ValueError("laws must hold at least one law, got none")
    value = np.asarray(accuracy, dtype=np.float64)
    mask = np.zeros(value.shape, dtype=bool) if held_out is None else np.asarray(held_out, dtype=bool)
    if mask.shape != value.shape:
        raise ValueError(f"held_out must hold one value a row, got shape {mask.shape} for {value.shape}")

    def part(rows: NDArray[np.bool_]) -> dict[str, Any]:
        moments = {"variance": variance, "trials": trials}
        chosen = {k: v if v is None else np.broadcast_to(np.asarray(v), value.shape)[rows] for k, v in moments.items()}
        return {"columns": {k: np.asarray(v)[rows] for k, v in columns.items()}, "accuracy": value[rows], **chosen}

    fits = [fit_law(law, **part(~mask), resamples=resamples, level=level, seed=seed) for law in laws]
    if not np.any(mask & np.isfinite(value)):
        return _rank_by_criterion(fits)
    test = make_cells(**part(mask))
    _require_disjoint(fits[0].cells, test)
    model = variance_model(fits[0].cells) if np.any(fits[0].cells.trials > 1) else None
    pool = pool_seeds(test, model)
    targets = test.mean + resample_means(pool, resamples, level, np.random.default_rng(seed + 1))
    predictions = [_predictions(fit, test.columns, fit.resampled_by_seed) for fit in fits]
    errors = [float(np.sqrt(np.mean((centre - test.mean) ** 2))) for centre, _ in predictions]
    largest = [float(np.max(np.abs(centre - test.mean))) for centre, _ in predictions]
    draws = [np.sqrt(np.mean((values - targets) ** 2, axis=1)) for _, values in predictions]
    order = sorted(range(len(fits)), key=lambda i: (errors[i], fits[i].criterion))
    best = order[0]
    scores = []
    for i in order:
        low, high = percentile_interval(draws[i] - draws[best], level).tolist()
        gap = errors[i] - errors[best]
        scores.append(LawScore(fits[i], errors[i], largest[i], gap, (low, high), i == best or low <= 0 <= high))
    return LawRanking(tuple(scores), _statement(scores, "held-out error"))
