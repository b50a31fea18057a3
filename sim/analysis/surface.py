"""A law near its fit as one quadratic surface a cell, so that hundreds of refits cost a dozen evaluations of the law.

The exact capacity integral takes long enough that 199 bootstrap refits of it would take minutes. Within a few standard
errors of the fit a law is a smooth function of its parameters: `u = centre + directions z`, z of unit covariance, and
each cell's accuracy is taken as quadratic in z through points two standard errors out. `fits` checks this against
the law itself and refits in full where it is not good enough.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sim.types import FloatArray

REACH = 2.0  # standard errors: where the surface touches the law
LIMIT = 6.0  # no refit leaves this many standard errors
ITERATIONS = 15


class Surface(NamedTuple):
    """Quadratic surface of a law: value = offset + z . gradient + z . curvature . z / 2, clipped to the box of u.

    Attributes:
        centre: coordinates u of the fit, shape (parameters,).
        directions: u = centre + directions @ z, shape (parameters, rank).
        inverse: z = inverse @ (u - centre).
        offset: law at the centre, shape (cells,).
        gradient: shape (rank, cells).
        curvature: shape (rank, rank, cells), symmetric.
    """

    centre: FloatArray
    directions: FloatArray
    inverse: FloatArray
    offset: FloatArray
    gradient: FloatArray
    curvature: FloatArray


def covariance_directions(covariance: FloatArray) -> FloatArray:
    """Columns that map unit-covariance z to parameters of this covariance; directions without spread are dropped."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-14 * max(float(values.max(initial=0.0)), 1e-300)
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def build_surface(
    law: Callable[[FloatArray], FloatArray],
    centre: FloatArray,
    directions: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> Surface:
    """Evaluate `law` (u -> accuracy of each cell; rank >= 1) on a star of points around `centre` and fit the surface.

    Points outside the box [low, high] are moved onto it.
    """
    rank = directions.shape[1]
    axes = np.eye(rank) * REACH
    pairs = [(i, j) for i in range(rank) for j in range(i + 1, rank)]
    corners = [sign * (axes[i] + axes[j]) / np.sqrt(2) for i, j in pairs for sign in (1, -1)]
    star = np.array([*axes, *-axes, *corners]).reshape(-1, rank)
    inverse = np.asarray(np.linalg.pinv(directions), dtype=np.float64)
    points = np.clip(centre + star @ directions.T, low, high)
    offset = law(centre)
    values = np.array([law(point) for point in points]).reshape(len(points), len(offset)) - offset
    place = (points - centre) @ inverse.T
    products = [(i, i) for i in range(rank)] + pairs
    terms = [place[:, i] * place[:, j] * (0.5 if i == j else 1.0) for i, j in products]
    solution = np.asarray(np.linalg.lstsq(np.column_stack([place, *terms]), values, rcond=1e-9)[0], dtype=np.float64)
    curvature = np.zeros((rank, rank, len(offset)))
    for row, (i, j) in enumerate(products):
        curvature[i, j] = curvature[j, i] = solution[rank + row]
    return Surface(centre, directions, inverse, offset, solution[:rank], curvature)


def surface_values(surface: Surface, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values, shape (points, cells), and slopes, shape (points, rank, cells), at z of shape (points, rank)."""
    bent = np.einsum("bi,ijc->bjc", z, surface.curvature)
    values = surface.offset + z @ surface.gradient + 0.5 * np.einsum("bjc,bj->bc", bent, z)
    return values, surface.gradient + bent


def refit_on_surface(
    surface: Surface, targets: FloatArray, weight: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Weighted least-squares refits u, shape (refits, parameters), to each row of `targets`, shape (refits, cells).

    Damped Gauss-Newton, all at once; a step that does not lower its sum of squares is taken back and damped more.
    """
    refits, rank = len(targets), surface.directions.shape[1]
    z = np.zeros((refits, rank))
    if rank == 0:
        return np.tile(surface.centre, (refits, 1))
    damping = np.full(refits, 1e-3)
    values, slopes = surface_values(surface, z)
    loss = np.sum(weight * (values - targets) ** 2, axis=1)
    for _ in range(ITERATIONS):
        normal = np.einsum("bic,c,bjc->bij", slopes, weight, slopes)
        force = np.einsum("bic,c,bc->bi", slopes, weight, targets - values)
        ridge = (damping[:, None] * (1.0 + np.einsum("bii->bi", normal)))[:, :, None] * np.eye(rank)
        step = np.linalg.solve(normal + ridge, force[:, :, None])[:, :, 0]
        inside = np.clip(surface.centre + (z + step) @ surface.directions.T, low, high)
        proposal = np.clip((inside - surface.centre) @ surface.inverse.T, -LIMIT, LIMIT)
        new_values, new_slopes = surface_values(surface, proposal)
        new_loss = np.sum(weight * (new_values - targets) ** 2, axis=1)
        better = new_loss < loss
        z = np.where(better[:, None], proposal, z)
        values = np.where(better[:, None], new_values, values)
        slopes = np.where(better[:, None, None], new_slopes, slopes)
        loss = np.where(better, new_loss, loss)
        damping = np.clip(np.where(better, damping / 10, damping * 10), 1e-9, 1e6)
    return np.asarray(np.clip(surface.centre + z @ surface.directions.T, low, high))
