"""The optimum of one law on one set of cells: bounded weighted least squares, many starts, the law's misfit."""

from typing import NamedTuple

import numpy as np
from scipy import optimize

from sim.analysis.coordinates import Coordinates, ManyPredictions, forward_slopes, many_predictions
from sim.analysis.curves import CellSummary
from sim.analysis.resampling import SeedPool
from sim.types import FloatArray

POLISHED = 8  # starts that are fitted to the end; all starts are evaluated
FIRST_MISFIT = 0.01  # assumed while the starts are sorted out: one percentage point
AGREE = 1e-3  # starts agree whose sums of squares agree to this share


class Optimum(NamedTuple):
    """Where the fit ended: u, the Jacobian of the weighted residuals, the squared misfit, and how the starts fared."""

    coordinates: FloatArray
    jacobian: FloatArray
    misfit_variance: float
    starts_agreeing: int
    starts_tried: int


def minimise(
    scale: Coordinates,
    many: ManyPredictions,
    start: FloatArray,
    mean: FloatArray,
    weight: FloatArray,
) -> tuple[FloatArray, FloatArray, float]:
    """Bounded least squares from one start: u, the Jacobian and half the weighted sum of squares there.

    Args:
        scale: coordinates of the law.
        many: the law at many u, from `many_predictions`.
        start: u, shape (parameters,).
        mean: of each cell, shape (cells,). weight: likewise.
    """
    root = np.sqrt(weight)

    def residual(u: FloatArray) -> FloatArray:
        return np.asarray((many(u[None])[0] - mean) * root)

    def slopes(u: FloatArray) -> FloatArray:
        points = u[None]
        return np.asarray(forward_slopes(scale, many, points, many(points))[0].T * root[:, None])

    inside = np.clip(start, scale.low + scale.margin(1e-9), scale.high - scale.margin(1e-9))
    solution = optimize.least_squares(
        residual, inside, slopes, bounds=(scale.low, scale.high), x_scale="jac", max_nfev=200
    )
    return solution.x, solution.jac, float(solution.cost)


def misfit_variance(residual: FloatArray, variance: FloatArray, degrees: int) -> float:
    """Squared misfit m^2 of Paule and Mandel: sum residual^2 / (variance + m^2) = degrees; 0 if noise explains all.

    >>> round(misfit_variance(np.array([0.1, -0.1, 0.1]), np.full(3, 0.0001), 3), 6)
    0.0099
    """

    def excess(candidate: float) -> float:
        return float(np.sum(residual**2 / (variance + candidate))) - degrees

    if excess(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(excess, 0.0, float(np.sum(residual**2)) + 1e-30, xtol=1e-14, rtol=1e-6))


def find_optimum(scale: Coordinates, cells: CellSummary, pool: SeedPool, starts: FloatArray) -> Optimum:
    """Evaluate all `starts` (parameters), polish the best, then let weights and misfit settle."""
    noise = pool.standard_error**2
    size = len(scale.low)
    degrees = max(len(cells.mean) - size, 1)

    def predict(u: FloatArray) -> FloatArray:
        return scale.predict(u, cells.columns)

    if size == 0:
        u = np.empty(0)
        return Optimum(
            u, np.empty((len(cells.mean), 0)), misfit_variance(predict(u) - cells.mean, noise, degrees), 1, 1
        )
    weight = 1 / (noise + FIRST_MISFIT**2)
    inner = np.clip(scale.inward(starts), scale.low, scale.high)
    many = many_predictions(scale, cells.columns, inner)
    losses = np.sum(weight * (many(inner) - cells.mean) ** 2, axis=1)
    order = np.argsort(losses, kind="stable")[:POLISHED]
    polished = [minimise(scale, many, inner[index], cells.mean, weight) for index in order]
    costs = np.array([cost for _, _, cost in polished])
    u, jacobian, _ = polished[int(np.argmin(costs))]
    for _ in range(3):
        misfit = misfit_variance(predict(u) - cells.mean, noise, degrees)
        u, jacobian, _ = minimise(scale, many, u, cells.mean, 1 / (noise + misfit))
    agreeing = int(np.sum(costs <= costs.min() * (1 + AGREE) + 1e-9))
    return Optimum(u, jacobian, misfit, agreeing, len(polished))


def seed_level_bic(cells: CellSummary, pool: SeedPool, residual: FloatArray, num_parameters: int) -> float:
    """BIC over all trials, with the misfit at its most likely value."""
    trials, noise = pool.trials, pool.standard_deviation**2
    sample = np.where(trials > 1, np.nan_to_num(cells.variance), 0.0)
    within = float(np.sum((trials - 1) * (sample / noise + np.log(noise)) + trials * np.log(2 * np.pi)))

    def between(misfit: float) -> float:
        total = noise + trials * misfit**2
        return float(np.sum(np.log(total) + trials * residual**2 / total))

    best = optimize.minimize_scalar(lambda log: between(np.exp(log)), bounds=(np.log(1e-7), 0.0), method="bounded")
    return within + min(float(best.fun), between(0.0)) + (num_parameters + 1) * float(np.log(trials.sum()))
