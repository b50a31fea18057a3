"""Fitting any law of named columns by any of the losses: many starts, linear parameters eliminated, an honest result.

`fits` is for accuracies of repeated trials, by one likelihood and with held-out cells; this is for the rest: losses of
language models, counts, measured curves. Rows are taken as independent, except by the gaussian loss, where rows that
agree in all columns but the seeds are the trials of one cell.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sim.analysis.descent import PROJECTIONS, Descent, Model, check_linear, descend, make_model, project, total_loss
from sim.analysis.general_data import (
    COUNTS,
    LOSSES,
    NUISANCE,
    Data,
    criterion,
    first_nuisance,
    fresh_responses,
    make_loss,
    pool_cells,
    settle_nuisance,
)
from sim.analysis.losses import HUBER_DELTA, check_counts
from sim.analysis.resampling import SEED_COLUMNS, make_cells, percentile_interval
from sim.types import FloatArray, Law

POLISHED = 16  # starts that descend to the end, the best after their linear parameters are solved for
AGREE = 1e-6  # starts agree whose objectives agree to this share
SETTLING = 30  # rounds between parameters and nuisance parameter; they are nearly orthogonal, so few are needed


class GeneralFit(NamedTuple):
    """A law fitted by any loss.

    Attributes:
        law: the law.
        loss: the loss's name.
        parameters: name -> estimate.
        intervals: name -> (low, high) at `level` by the bootstrap of `general_data`; empty where resamples is 0.
        nuisance: what was estimated beside the law: {"misfit": .}, {"noise": .} (standard deviations) or
            {"overdispersion": .}; empty for binomial and Huber.
        objective: the loss at the estimate, summed over rows: chi-square for gaussian, sum of squares, sum of Huber
            losses, half the deviance for counts.
        criterion: BIC, None for Huber.
        eliminated: parameters that were solved for in closed form at every step.
        starts_agreeing: polished starts within a share of 1e-6 of the best objective, out of `starts_tried`.
        starts_tried: starts that descended to the end.
        starts_failed: starts at which the law or the loss has no value.
        gap: share of the objective by which it could still fall, by its quadratic majorant: converged if below 1e-6.
        at_bound: parameters that ended on a bound; their intervals are one-sided at best.
        condition_number: of the weighted Jacobian with columns of unit length; above about 100 some combination of
            parameters is ill determined.
        level: nominal coverage.
        resampled: bootstrap estimates, shape (resamples, parameters).
        fitted: the law at the rows, shape (rows,).
        data: what was fitted.
    """

    law: Law
    loss: str
    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    nuisance: dict[str, float]
    objective: float
    criterion: float | None
    eliminated: tuple[str, ...]
    starts_agreeing: int
    starts_tried: int
    starts_failed: int
    gap: float
    at_bound: tuple[str, ...]
    condition_number: float
    level: float
    resampled: FloatArray
    fitted: FloatArray
    data: Data


class GeneralPrediction(NamedTuple):
    """Predicted response, shape (rows,), and the interval of the law's own value there, shape (rows, 2)."""

    response: FloatArray
    interval: FloatArray


def _make_data(loss: str, columns: Mapping[str, Any], response: Any, rest: Mapping[str, Any]) -> Data:
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
    if (loss in COUNTS) != (rest["correct"] is not None and rest["total"] is not None) or (
        (loss in COUNTS) == (response is not None)
    ):
        raise ValueError(f"loss {loss!r} must be given {'correct and total' if loss in COUNTS else 'a response'}, only")
    if loss == "gaussian":
        cells = make_cells(columns, response, rest["variance"], rest["trials"])
        return Data(loss, dict(cells.columns), cells.mean, None, cells, pool_cells(cells))
    value = np.asarray(rest["correct"] if loss in COUNTS else response, dtype=np.float64)
    table = {n: np.asarray(c, dtype=np.float64) for n, c in columns.items() if n not in SEED_COLUMNS}
    for name, column in table.items():
        if column.shape != value.shape or value.ndim != 1:
            raise ValueError(f"columns must have one value a row, got {column.shape} for {name!r}, not {value.shape}")
    if loss in COUNTS:
        return Data(loss, table, *check_counts(value, rest["total"]))
    if not np.all(np.isfinite(value)):
        raise ValueError(f"response must be finite, got {value[~np.isfinite(value)][0]}")
    return Data(loss, table, value, delta=rest["delta"])


def _polish(model: Model, data: Data, starts: FloatArray) -> tuple[list[Descent], int]:
    """Descents from the best starts, and the number of starts without a value."""
    loss = make_loss(data, first_nuisance(data))
    places, losses = [], []
    for start in starts:
        place = np.clip(model.scale.inward(start), model.scale.low, model.scale.high)
        if len(model.linear):
            place = project(model, loss, place, loss.guess, PROJECTIONS)
        places.append(place)
        losses.append(total_loss(model, loss, place))
    order = [index for index in np.argsort(losses, kind="stable") if np.isfinite(losses[index])]
    if not order:
        raise ValueError(f"law {model.scale.law.name!r} must have a value at one of its {len(starts)} starts, got none")
    return [descend(model, loss, places[index]) for index in order[:POLISHED]], len(starts) - len(order)


def fit(
    law: Law,
    columns: Mapping[str, ArrayLike],
    response: ArrayLike | None = None,
    *,
    loss: str = "gaussian",
    correct: ArrayLike | None = None,
    total: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    delta: float = HUBER_DELTA,
    linear: Sequence[str] = (),
    resamples: int = 199,
    level: float = 0.95,
    seed: int = 0,
) -> GeneralFit:
    """Fit a law of any response.

    Args:
        law: the law, such as `make_law` makes.
        columns: what it reads, one value a row; for gaussian they also tell cells apart.
        response: of each row; for all losses but those of counts.
        loss: "gaussian" (seed-level likelihood with misfit, as `fits.fit_law`), "least_squares", "huber_log" (summed
            Huber loss of log residuals), "binomial" or "beta_binomial" (with one overdispersion for the seeds).
        correct, total: counts of each row.
        variance, trials: for gaussian, as in `fits.fit_law`.
        delta: of Huber's loss.
        linear: parameters in which the law is linear; they are solved for, and their starts do not matter.
        resamples: bootstrap samples, 0 for no intervals, else at least 2 / (1 - level) - 1.
        level: nominal coverage.
        seed: of the bootstrap's random stream.

    Raises:
        ValueError: data that do not go with the loss, fewer rows than parameters, a law that is not linear where it
            was said to be, or no start with a value.

    >>> from sim.analysis.law_making import make_law
    >>> law = make_law("power", {"floor": (0.0, 9.0), "scale": (0.0, 1e3), "power": (0.1, 2.0)},
    ...                lambda columns, floor, scale, power: floor + scale * columns["tokens"] ** -power)
    >>> tokens = np.logspace(2, 6, 20)
    >>> found = fit(law, {"tokens": tokens}, 1.5 + 30 * tokens**-0.5, loss="huber_log", linear=("floor", "scale"))
    >>> {name: round(value, 4) for name, value in found.parameters.items()}, found.eliminated
    ({'floor': 1.5, 'scale': 30.0, 'power': 0.5}, ('floor', 'scale'))
    """
    rest = {"correct": correct, "total": total, "variance": variance, "trials": trials, "delta": delta}
    data = _make_data(loss, columns, response, rest)
    size = len(law.parameters)
    if not 1 <= size <= data.rows:
        raise ValueError(f"law {law.name!r} must have from 1 to {data.rows} parameters, one a row, got {size}")
    if resamples and (resamples + 1) * (1 - level) / 2 < 1 - 1e-9:
        raise ValueError(f"resamples must be 0 or >= 2 / (1 - level) - 1 for level {level}, got {resamples}")
    model = make_model(law, data.columns, linear)
    starts = np.asarray(law.starts, dtype=np.float64).reshape(-1, size)
    if len(model.linear):
        check_linear(model, np.clip(model.scale.inward(starts[0]), model.scale.low, model.scale.high))
    polished, failed = _polish(model, data, starts)
    objectives = np.array([end.objective for end in polished])
    best = polished[int(np.argmin(objectives))]
    agreeing = int(np.sum(objectives <= objectives.min() * (1 + AGREE) + 1e-12 * data.rows))
    nuisance = settle_nuisance(data, model.predict(best.coordinates), size)
    if loss in ("gaussian", "beta_binomial"):
        for _ in range(SETTLING):
            best = descend(model, make_loss(data, nuisance), best.coordinates)
            before, nuisance = nuisance, settle_nuisance(data, model.predict(best.coordinates), size)
            if abs(nuisance - before) <= 1e-6 * max(nuisance, before):
                break
    u, mean = best.coordinates, model.predict(best.coordinates)
    final = make_loss(data, nuisance)
    weighted = best.jacobian * np.sqrt(final.majorant(mean))[:, None]
    lengths = np.linalg.norm(weighted, axis=0)
    near = model.scale.margin(1e-6)
    bound = (u <= model.scale.low + near) | (u >= model.scale.high - near)
    cloud = np.empty((0, size))
    if resamples:
        copies = fresh_responses(data, mean, nuisance, size, resamples, level, seed)
        refits = [descend(model, make_loss(data, nuisance, copy), u).coordinates for copy in copies]
        cloud = model.scale.outward(np.array(refits))
    limits = percentile_interval(cloud, level) if resamples else cloud
    plain = nuisance if loss == "beta_binomial" else float(np.sqrt(nuisance))
    chi_square = make_loss(data, 0.0) if loss == "gaussian" else final
    objective = float(np.sum(chi_square.value(mean)))
    return GeneralFit(
        law=law,
        loss=loss,
        parameters=dict(zip(law.parameters, model.scale.outward(u).tolist(), strict=True)),
        intervals={n: (float(limits[0, i]), float(limits[1, i])) for i, n in enumerate(law.parameters) if resamples},
        nuisance={NUISANCE[loss]: plain} if loss in NUISANCE else {},
        objective=objective,
        criterion=criterion(data, mean, objective, size),
        eliminated=tuple(name for index, name in enumerate(law.parameters) if index in model.linear),
        starts_agreeing=agreeing,
        starts_tried=len(polished),
        starts_failed=failed,
        gap=best.gap,
        at_bound=tuple(name for name, hit in zip(law.parameters, bound, strict=True) if hit),
        condition_number=float(np.linalg.cond(weighted / lengths)) if np.all(lengths > 0) else float("inf"),
        level=level,
        resampled=cloud,
        fitted=mean,
        data=data,
    )


def predict(found: GeneralFit, columns: Mapping[str, ArrayLike]) -> GeneralPrediction:
    """The law at new rows, with the interval of its value (not of a new noisy row) from the bootstrap estimates.

    Args:
        found: a fit with intervals.
        columns: what the law reads, one value a row.

    Raises:
        ValueError: the fit has no bootstrap estimates.

    It trusts the law outside the fitted range: the interval holds no error of the law's form.
    """
    if not len(found.resampled):
        raise ValueError("predict must be given a fit with resamples, got one without")
    table = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    centre = np.asarray(found.law.predict(np.array(list(found.parameters.values())), table), dtype=np.float64)
    draws = np.array([found.law.predict(theta, table) for theta in found.resampled], dtype=np.float64)
    return GeneralPrediction(centre, percentile_interval(draws, found.level).T)
