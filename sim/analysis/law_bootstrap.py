"""Bootstrap estimates of a law's parameters, and its predictions at them, at the cost of a dozen evaluations."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim.analysis.coordinates import Coordinates, make_coordinates, many_predictions
from sim.analysis.curves import CellSummary
from sim.analysis.optimum import Optimum
from sim.analysis.refits import refit_many
from sim.analysis.resampling import SeedPool, resample_means
from sim.analysis.surface import build_surface, covariance_directions, refit_on_surface, surface_values
from sim.types import FloatArray, Law

SURFACE_ERROR = (
    0.25  # largest error of the quadratic surface, in the errors it resamples, before the law itself is used
)


def far_draws(points: FloatArray) -> list[int]:
    """The draws at the 50th, 90th and 97.5th percentile of distance: where a surface is put to the test."""
    spread = points.std(axis=0)
    distance = np.sum(((points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0)) ** 2, axis=1)
    order = np.argsort(distance)
    return [int(order[round(share * (len(order) - 1))]) for share in (0.5, 0.9, 0.975)]


def resampled_estimates(
    scale: Coordinates, optimum: Optimum, cells: CellSummary, pool: SeedPool, resamples: int, level: float, seed: int
) -> tuple[FloatArray, FloatArray, bool]:
    """Refits u to resampled cell means.

    Returns:
        Refits to fresh seeds and fresh misfits of the cells, shape (resamples, parameters); refits to the same fresh
        seeds alone; and whether the refits used the law itself.
    """
    generator = np.random.default_rng(seed)
    error = np.sqrt(pool.standard_error**2 + optimum.misfit_variance)
    draws = resample_means(pool, resamples, level, generator)
    if len(scale.low) == 0:
        return np.empty((resamples, 0)), np.empty((resamples, 0)), False
    misfits = np.sqrt(optimum.misfit_variance) * generator.standard_normal(draws.shape)
    targets = cells.mean + np.concatenate([draws + misfits, draws])

    def predict(u: FloatArray) -> FloatArray:
        return scale.predict(u, cells.columns)

    # An undetermined direction has a huge standard error; it is followed as far as a quarter of the parameter's range.
    reach = np.where(np.isfinite(scale.high - scale.low), (scale.high - scale.low) / 4, 1 + np.abs(optimum.coordinates))
    normal = optimum.jacobian.T @ optimum.jacobian
    covariance = np.linalg.pinv(normal + np.diag(1e-3 / reach**2), hermitian=True)
    directions = covariance_directions(np.asarray(covariance, dtype=np.float64))
    shrink = np.minimum(1.0, np.min(reach[:, None] / np.maximum(np.abs(directions), 1e-300), axis=0))
    surface = build_surface(predict, optimum.coordinates, directions * shrink, scale.low, scale.high)
    refits = refit_on_surface(surface, targets, 1 / error**2, scale.low, scale.high)
    places = (refits - surface.centre) @ surface.inverse.T
    exact = False
    for index in far_draws(refits[:resamples]):
        miss = surface_values(surface, places[index : index + 1])[0][0] - predict(refits[index])
        exact = exact or bool(np.max(np.abs(miss) / error) > SURFACE_ERROR)
    if exact:
        refits = refit_many(scale, cells.columns, refits, optimum.coordinates, targets, 1 / error**2)
    return refits[:resamples], refits[resamples:], exact


def resampled_predictions(
    law: Law, estimate: FloatArray, resampled: FloatArray, exact: bool, columns: Mapping[str, Any]
) -> tuple[FloatArray, FloatArray]:
    """Accuracy at the estimate, shape (cells,), and at each bootstrap estimate, shape (resamples, cells)."""
    scale = make_coordinates(law)
    centre = scale.inward(estimate)

    def predict(u: FloatArray) -> FloatArray:
        return scale.predict(u, columns)

    accuracy = predict(centre)
    cloud = scale.inward(resampled)
    if cloud.shape[1] == 0:
        return accuracy, np.tile(accuracy, (len(cloud), 1))
    if not exact:
        directions = covariance_directions(np.atleast_2d(np.cov(cloud, rowvar=False)))
        surface = build_surface(predict, centre, directions, scale.low, scale.high)
        values = surface_values(surface, (cloud - centre) @ surface.inverse.T)[0]
        tolerance = SURFACE_ERROR * values.std(axis=0) + 1e-4
        if all(np.all(np.abs(values[index] - predict(cloud[index])) <= tolerance) for index in far_draws(cloud)):
            return accuracy, values
    return accuracy, many_predictions(scale, columns, cloud)(cloud)
