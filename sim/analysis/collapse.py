"""Data collapse: find the scaling that lays the curves of all outputs on one master curve.

The parameters maximise the evidence for one smooth spline through all scaled points (`master_curve`); the qualities
of physics, which jump where curves change order, are computed at the end and calibrated, never descended.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from sim.analysis.collapse_quality import bhattacharjee_seno, houdayer_hartmann
from sim.analysis.curves import rescale
from sim.analysis.law_bootstrap import far_draws
from sim.analysis.master_curve import LEVELS, MasterCurve, fit_curves, fit_master_curve
from sim.analysis.resampling import make_cells, percentile_interval, pool_seeds, resample_means
from sim.analysis.surface import LIMIT
from sim.types import FloatArray

Scaling: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, float]], tuple[FloatArray, FloatArray]]

GRID = {1: 25, 2: 9}  # start values a parameter; 5 from three parameters on
POLISHED = 4
AGREE = 0.01  # starts agree whose log evidences differ by less: far below what any interval can tell
STEP = 1e-4  # finite difference, as a share of the bounds: spans the kinks where points change order
REACH = 0.02  # how far the bootstrap first looks, as a share of the bounds
QUALITY_DRAWS = 199
LINE_POINTS, LINE_PASSES = 25, 6
STAR_ERROR = 0.5  # largest error of a quadratic minimum, in standard deviations of the estimate


class Collapse(NamedTuple):
    """A collapse.

    Attributes:
        parameters: name -> estimate.
        intervals: name -> (low, high), pooled seed bootstrap.
        covariance: of the bootstrap estimates, shape (parameters, parameters): the joint region (`in_joint_region`).
        resampled: bootstrap estimates, shape (resamples, parameters).
        level: nominal coverage of intervals and joint region.
        objective: mean squared residual of the master curve, each in units of the cell's and the median error.
        quality: Houdayer-Hartmann S.
        quality_expected: median and upper `level` quantile of S if the master curve were the truth.
        p_value: share of so large an S if it were: the test of "these curves collapse" (a parametric bootstrap).
        quality_bs: Bhattacharjee-Seno residual, in scaled y.
        overlap: share of the points that another curve brackets; S says nothing about the others.
        rms: root mean square residual of the master curve, in scaled y.
        largest: largest absolute residual.
        starts_agreeing: polished starts that reached the best optimum, out of `starts_tried`.
        starts_tried: starts that were polished.
        at_bound: parameters that ended on a bound.
        x, y, error: scaled points at the estimate, shape (cells,).
        curve: the curve of each point, shape (cells,).
        master: the master curve.
    """

    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    covariance: FloatArray
    resampled: FloatArray
    level: float
    objective: float
    quality: float
    quality_expected: tuple[float, float]
    p_value: float
    quality_bs: float
    overlap: float
    rms: float
    largest: float
    starts_agreeing: int
    starts_tried: int
    at_bound: tuple[str, ...]
    x: FloatArray
    y: FloatArray
    error: FloatArray
    curve: FloatArray
    master: MasterCurve


def output_scaling(columns: Mapping[str, Any], parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """x = ln I - gamma ln J - eta ln log2 J, y = (A - chance)/(1 - chance); a parameter not given is 0.

    Reads `inputs`, `y`, `outputs` or `log2_outputs` (J = L^n overflows), and `chance` (1/J if absent). gamma = 1 is
    I/J, eta = 1 is I/log2 J.
    """
    if "log2_outputs" in columns:
        bits = np.asarray(columns["log2_outputs"], dtype=np.float64)
    else:
        bits = np.log2(np.asarray(columns["outputs"], dtype=np.float64))
    if not np.all(bits > 0):
        raise ValueError(f"outputs must be > 1, got log2_outputs = {bits.min()}")
    log_outputs = bits * np.log(2.0)
    x = np.log(np.asarray(columns["inputs"], dtype=np.float64))
    x = x - parameters.get("gamma", 0.0) * log_outputs - parameters.get("eta", 0.0) * np.log(bits)
    return x, rescale(columns["y"], columns.get("chance", np.exp(-log_outputs)))


def column_scaling(name: str, *, chance_corrected: bool = True) -> Scaling:
    """A scaling without parameters: x is the column `name` (such as the theorem's z)."""

    def scaling(columns: Mapping[str, Any], parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
        y = np.asarray(columns["y"], dtype=np.float64)
        return np.asarray(columns[name], dtype=np.float64), rescale(y, columns["chance"]) if chance_corrected else y

    return scaling


class _Problem(NamedTuple):
    """What the objective needs: the scaling, its parameter names, the cells and their standard errors."""

    scaling: Scaling
    names: tuple[str, ...]
    columns: Mapping[str, Any]
    error: FloatArray
    bounded: bool
    low: FloatArray
    high: FloatArray
    levels: FloatArray = LEVELS  # roughness and misfit that the master curve may have

    def scaled(self, values: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Scaled x and y."""
        parameters = dict(zip(self.names, (float(value) for value in values), strict=True))
        return self.scaling({**self.columns, "y": y}, parameters)

    def scaled_error(self, values: FloatArray, y: FloatArray) -> FloatArray:
        """Scaled standard error: it goes through the scaling as a difference of two y."""
        gap = self.scaled(values, y + self.error)[1] - self.scaled(values, y)[1]
        return np.maximum(np.abs(gap), 1e-12)

    def losses(self, values: FloatArray, y: FloatArray, draws: FloatArray) -> FloatArray:
        """Minus twice the log evidence of each row of `draws`, with the x and the errors of `y`."""
        x, _ = self.scaled(values, y)
        rows = np.array([self.scaled(values, row)[1] for row in draws])
        return fit_curves(x, rows, self.scaled_error(values, y), self.bounded, self.levels).evidence

    def settled(self, values: FloatArray, y: FloatArray) -> "_Problem":
        """The same problem with the roughness and misfit that have the most evidence at `values`: for resamples."""
        x, scaled = self.scaled(values, y)
        return self._replace(levels=fit_curves(x, scaled[None], self.scaled_error(values, y), self.bounded).level)

    def solve(self, start: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
        """Descend from one start: parameters and minus twice the log evidence."""
        span = self.high - self.low
        solution = optimize.minimize(
            lambda u: float(self.losses(self.low + u * span, y, y[None])[0]),
            np.clip((start - self.low) / span, 0.0, 1.0),
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(span),
            options={"eps": STEP, "maxiter": 30, "ftol": 1e-7},
        )
        return self.low + solution.x * span, float(solution.fun)


def _search(problem: _Problem, y: FloatArray, starts: ArrayLike | None) -> tuple[FloatArray, int, int]:
    """Best parameters, starts that agree and starts that were polished."""
    size = len(problem.low)
    if size == 0:
        return np.empty(0), 1, 1
    if starts is None:
        shares = (np.arange(GRID.get(size, 5)) + 0.5) / GRID.get(size, 5)
        grid = np.stack(np.meshgrid(*[shares] * size, indexing="ij"), axis=-1).reshape(-1, size)
        points = problem.low + grid * (problem.high - problem.low)
    else:
        points = np.asarray(starts, dtype=np.float64).reshape(-1, size)
    losses = [float(problem.losses(point, y, y[None])[0]) for point in points]
    polished = [problem.solve(points[i], y) for i in np.argsort(losses, kind="stable")[:POLISHED]]
    costs = np.array([cost for _, cost in polished])
    return polished[int(np.argmin(costs))][0], int(np.sum(costs <= costs.min() + 2 * AGREE)), len(polished)


def _star_minima(
    problem: _Problem, centre: FloatArray, covariance: FloatArray, y: FloatArray, draws: FloatArray
) -> FloatArray:
    """For each row of `draws` the minimum of the quadratic through its losses on a star about `centre`."""
    size = len(centre)
    values, vectors = np.linalg.eigh(covariance)
    directions = vectors * np.sqrt(np.maximum(values, 1e-14))
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    axes = np.eye(size)
    star = np.array([*axes, *-axes, *[sign * (axes[i] + axes[j]) for i, j in pairs for sign in (1, -1)]])
    here = problem.losses(centre, y, draws)
    rise = np.array([problem.losses(centre + directions @ z, y, draws) for z in star]) - here
    slope = (rise[:size] - rise[size : 2 * size]).T / 2
    curvature = np.zeros((len(draws), size, size))
    for i in range(size):
        curvature[:, i, i] = rise[i] + rise[size + i]
    for index, (i, j) in enumerate(pairs):
        both = rise[2 * size + 2 * index] + rise[2 * size + 2 * index + 1]
        curvature[:, i, j] = curvature[:, j, i] = (both - curvature[:, i, i] - curvature[:, j, j]) / 2
    values, vectors = np.linalg.eigh(curvature)
    # Over one standard error the curvature is about 2; a draw that hardly curves is not followed further than this.
    inverse = np.einsum("bij,bj,bkj->bik", vectors, 1 / np.maximum(values, 0.2), vectors)
    z = np.clip(-np.einsum("bij,bj->bi", inverse, slope), -LIMIT, LIMIT)
    return np.asarray(np.clip(centre + z @ directions.T, problem.low, problem.high))


def _curvature_covariance(problem: _Problem, centre: FloatArray, y: FloatArray) -> FloatArray:
    """Covariance that the curvature of minus twice the log evidence promises, at most an eighth of the bounds wide."""
    size, span = len(centre), problem.high - problem.low
    steps = np.eye(size) * 10 * STEP * span

    def loss(move: FloatArray) -> float:
        return float(problem.losses(centre + move, y, y[None])[0])

    hessian = np.array(
        [[loss(a + b) - loss(a - b) - loss(b - a) + loss(-a - b) for b in steps] for a in steps]
    ) / (4 * np.outer(10 * STEP * span, 10 * STEP * span))  # fmt: skip
    scaled = hessian * np.outer(span, span) / 2
    values, vectors = np.linalg.eigh((scaled + scaled.T) / 2)
    return np.asarray((vectors / np.maximum(values, 64.0)) @ vectors.T * np.outer(span, span))


def _line_minima(problem: _Problem, centre: float, y: FloatArray, draws: FloatArray) -> FloatArray:
    """The minimum of each row of `draws` along a single parameter, on a grid that is fitted to their spread."""
    low, high = float(problem.low[0]), float(problem.high[0])
    reach = REACH * (high - low)
    for _ in range(LINE_PASSES):
        grid = np.linspace(max(low, centre - reach), min(high, centre + reach), LINE_POINTS)
        loss = np.array([problem.losses(np.array([value]), y, draws) for value in grid])
        place = np.clip(np.argmin(loss, axis=0), 1, LINE_POINTS - 2)
        left, middle, right = (loss[place + shift, np.arange(len(draws))] for shift in (-1, 0, 1))
        bend = np.maximum(left - 2 * middle + right, 1e-12)
        found = grid[place] + np.clip((left - right) / (2 * bend), -1, 1) * (grid[1] - grid[0])
        spread, centre = float(found.std()), float(np.median(found))
        if np.abs(found - centre).max() < reach < 12 * spread:
            break
        reach = float(np.clip(6 * spread, 1e-7 * (high - low), 3 * reach))
    return np.asarray(np.clip(found, low, high)[:, None])


def _resampled(problem: _Problem, estimate: FloatArray, y: FloatArray, draws: FloatArray) -> FloatArray:
    """Estimates for each row of `draws`: along a line, or by quadratics at the scale of their own spread.

    Of the quadratics three rows are also solved in full; if one of them lies off by over half the spread, all are.
    """
    if len(estimate) == 0:
        return np.empty((len(draws), 0))
    if len(estimate) == 1:
        return _line_minima(problem, float(estimate[0]), y, draws)
    reach = REACH * (problem.high - problem.low)
    cloud = _star_minima(problem, estimate, _curvature_covariance(problem, estimate, y), y, draws)
    spread = np.atleast_2d(np.cov(cloud, rowvar=False)) + np.diag(1e-6 * reach**2)
    cloud = _star_minima(problem, cloud.mean(axis=0), spread, y, draws)
    for index in far_draws(cloud):
        exact, _ = problem.solve(cloud[index], draws[index])
        if np.any(np.abs(exact - cloud[index]) > STAR_ERROR * (cloud.std(axis=0) + 1e-12)):
            return np.array([problem.solve(start, row)[0] for start, row in zip(cloud, draws, strict=True)])
    return np.asarray(cloud)


def _expected_qualities(
    master: MasterCurve, x: FloatArray, error: FloatArray, curve: ArrayLike, seed: int
) -> FloatArray:
    """S of parametric draws from the master curve, sorted; without overlap there is none, and all are NaN."""
    generator = np.random.default_rng(seed)
    truth = master(x)
    draws = [
        houdayer_hartmann(x, truth + error * generator.standard_normal(len(x)), error, curve)[0]
        for _ in range(QUALITY_DRAWS)
    ]
    return np.sort(draws)


def collapse(
    columns: Mapping[str, ArrayLike],
    y: ArrayLike,
    scaling: Scaling = output_scaling,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    *,
    curve: str = "outputs",
    bounded: bool = True,
    variance: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    starts: ArrayLike | None = None,
    resamples: int = 199,
    level: float = 0.95,
    seed: int = 0,
) -> Collapse:
    """Fit a scaling's parameters so that all curves fall on one, with pooled seed-bootstrap intervals.

    Args:
        columns: what the scaling reads and what tells cells apart, one value a row (as in `fits.fit_law`).
        y: the measured value of each row; the scaling finds its cell mean as `columns["y"]`.
        scaling: (columns, parameters by name) -> (scaled x, scaled y), each of shape (cells,); x must not depend on y.
        bounds: the free parameters, name -> (low, high); none for a scaling without parameters. Which family is fitted
            follows from what is free: {"gamma": (-1, 4)}, {"eta": (-1, 4)}, or both.
        curve: the column that tells the curves apart.
        bounded: whether scaled y lies between 0 and 1, noise aside; False for a scaling such as y L^b.
        variance, trials: as in `fits.fit_law`, for summarised rows.
        starts: start values, shape (starts, parameters); an even grid over the bounds if None.
        resamples: bootstrap samples; at least 2 / (1 - level) - 1.
        level: nominal coverage.
        seed: of the random stream.

    Raises:
        ValueError: if there is only one curve or there are too few cells.
    """
    cells = make_cells(columns, y, variance, trials)
    if curve not in cells.columns:
        raise ValueError(f"curve must name a column, got {curve!r}; the columns are {sorted(cells.columns)}")
    label = cells.columns[curve]
    if len(np.unique(label)) < 2:
        raise ValueError(f"a collapse needs two curves or more, got {len(np.unique(label))} value of {curve!r}")
    names: tuple[str, ...] = tuple(bounds or {})
    if len(cells.mean) < 5 + len(names):
        raise ValueError(f"a collapse of {len(names)} parameters needs {5 + len(names)} cells, got {len(cells.mean)}")
    box = np.array(list((bounds or {}).values()), dtype=np.float64).reshape(-1, 2)
    low, high = box[:, 0], box[:, 1]
    if not np.all((low < high) & np.isfinite(high - low)):
        raise ValueError(f"bounds must be finite with low < high, got {dict(bounds or {})}")
    pool = pool_seeds(cells)
    problem = _Problem(scaling, names, cells.columns, pool.standard_error, bounded, low, high)
    estimate, agreeing, tried = _search(problem, cells.mean, starts)
    if names:
        problem = problem.settled(estimate, cells.mean)
        estimate, _ = problem.solve(estimate, cells.mean)
    draws = cells.mean + resample_means(pool, resamples, level, np.random.default_rng(seed))
    cloud = _resampled(problem, estimate, cells.mean, draws)
    limits = percentile_interval(cloud, level)
    x, scaled = problem.scaled(estimate, cells.mean)
    error = problem.scaled_error(estimate, cells.mean)
    master = fit_master_curve(x, scaled, error, bounded)
    residuals = scaled - master(x)
    quality, overlap = houdayer_hartmann(x, scaled, error, label)
    expected = _expected_qualities(master, x, error, label, seed)
    near = 1e-6 * (high - low)
    bound = (estimate <= low + near) | (estimate >= high - near)
    return Collapse(
        parameters=dict(zip(names, estimate.tolist(), strict=True)),
        intervals={name: (float(limits[0, i]), float(limits[1, i])) for i, name in enumerate(names)},
        covariance=np.atleast_2d(np.cov(cloud, rowvar=False)) if names else np.empty((0, 0)),
        resampled=cloud,
        level=level,
        objective=float(np.mean(residuals**2 / (error**2 + np.median(error**2)))),
        quality=quality,
        quality_expected=(float(np.median(expected)), float(np.quantile(expected, level))),
        p_value=float((1 + np.sum(expected >= quality)) / (1 + len(expected)))
        if np.isfinite(quality)
        else float("nan"),
        quality_bs=bhattacharjee_seno(x, scaled, label),
        overlap=overlap,
        rms=float(np.sqrt(np.mean(residuals**2))),
        largest=float(np.abs(residuals).max()),
        starts_agreeing=agreeing,
        starts_tried=tried,
        at_bound=tuple(name for name, hit in zip(names, bound, strict=True) if hit),
        x=x,
        y=scaled,
        error=error,
        curve=np.asarray(label),
        master=master,
    )


def in_joint_region(result: Collapse, parameters: Mapping[str, float]) -> bool:
    """Whether a point lies in the joint region at the collapse's level.

    The region is the ellipse of the bootstrap covariance that holds that share of the bootstrap estimates: gamma and
    eta are ill-determined together, so their separate intervals say less than this.
    """
    centre = np.array(list(result.parameters.values()))
    inverse = np.linalg.pinv(result.covariance, hermitian=True)
    away = result.resampled - centre
    radius = np.quantile(np.einsum("bi,ij,bj->b", away, inverse, away), result.level, method="weibull")
    point = np.array([parameters[name] for name in result.parameters]) - centre
    return bool(point @ inverse @ point <= radius)
