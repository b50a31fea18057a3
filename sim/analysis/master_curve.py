"""One smooth curve through the points of all outputs: the yardstick of a collapse, free of windows and of curve order.

A uniform cubic B-spline over the whole range of x, one coefficient for two points. Accuracy between 0 and 1 is fitted
through a logistic link: learning curves are nearly straight there, so that few coefficients follow a steep rise on a
coarse grid without bias (a plain spline moves gamma by .1 on three curves of four points). The spline cannot follow
curves that lie apart, wherever they are shifted, and it changes smoothly while they slide past each other.

A collapse compares scalings by the evidence for such a curve, not by its residuals: where points of several curves
share one x, the spline has fewer places to bend at, and residuals alone would always prefer to move them apart.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from sim.types import FloatArray

POINTS_A_COEFFICIENT = 2
MIN_COEFFICIENTS, MAX_COEFFICIENTS = 6, 14
# What the data choose among: the evidence is averaged over all pairs. Prior standard deviation of second differences,
# in logits (or standard deviations of y), from nearly straight to a turn at every knot; and what the points miss the
# curve by beside their errors (of accuracy, or in standard deviations of y), without which a scaling that is not exact
# would be chosen by how well the curve can zigzag.
ROUGHNESS = (0.1, 0.3, 1.0, 3.0)
MISFIT = (0.0, 0.01, 0.03, 0.1)
MONOTONE_ROUGHNESS = 2.0  # of `master_curve_residuals`, whose curve is held by its monotony
EVENED = 0.25  # share of the median squared error that every point has at least
NOISELESS = 0.01  # error of accuracy taken to weigh the penalty where no errors are given
ITERATIONS = 12


class MasterCurve(NamedTuple):
    """A cubic spline: range of x, coefficients, shape (coefficients,), and whether a logistic link bounds it."""

    low: float
    high: float
    coefficients: FloatArray
    bounded: bool

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Value at x; outside the range, that of its end."""
        basis = spline_basis(np.asarray(x, dtype=np.float64), self.low, self.high, len(self.coefficients))
        inner = basis @ self.coefficients
        return np.asarray(special.expit(inner) if self.bounded else inner)


class MasterResiduals(NamedTuple):
    """Residuals about one smooth monotone curve: root mean square, largest absolute, each point's, and the curve."""

    rms: float
    largest: float
    residuals: FloatArray
    curve: MasterCurve


def spline_basis(x: FloatArray, low: float, high: float, size: int) -> FloatArray:
    """Uniform cubic B-splines on [low, high], shape (points, size); rows sum to 1."""
    place = np.clip((x - low) / max(high - low, 1e-300), 0.0, 1.0) * (size - 3)
    distance = np.abs(place[:, None] - (np.arange(size) - 1.0))
    inner = (4 - 6 * distance**2 + 3 * distance**3) / 6
    outer = np.clip(2 - distance, 0.0, None) ** 3 / 6
    return np.where(distance < 1, inner, outer)


def spline_size(points: int) -> int:
    """Coefficients for so many points."""
    return int(np.clip(points // POINTS_A_COEFFICIENT, MIN_COEFFICIENTS, MAX_COEFFICIENTS))


class CurveFits(NamedTuple):
    """Splines through many sets of values.

    Attributes:
        coefficients: at the best level, shape (sets, size).
        evidence: minus twice the log evidence, averaged over the levels, shape (sets,).
        level: roughness and misfit with the most evidence, shape (sets, 2).
    """

    coefficients: FloatArray
    evidence: FloatArray
    level: FloatArray


LEVELS = np.stack([grid.ravel() for grid in np.meshgrid(ROUGHNESS, MISFIT)], axis=1)


def fit_curves(
    x: FloatArray, y: FloatArray, error: FloatArray, bounded: bool, levels: FloatArray = LEVELS
) -> CurveFits:
    """Penalised splines through many sets of values at the same x, by damped Gauss-Newton on all at once.

    With residuals r, weights W = 1 / (errors^2 + misfit^2) and second differences d = D c of the coefficients, a priori
    N(0, t^2), minus twice the log evidence is, by Laplace's method and up to a constant,

        r' W r - ln det W + |d|^2 / t^2 + ln det(B' W B + D' D / t^2) + (coefficients - 2) ln t^2,

    B the spline basis (through the link's slope): fit, roughness, and how much the data could bend the curve. The
    evidence is averaged over `ROUGHNESS` (t) and `MISFIT`.

    Args:
        x: scaled x, shape (points,).
        y: scaled values, shape (sets, points).
        error: standard errors, shape (points,).
        bounded: whether values lie between 0 and 1 (noise aside).
        levels: pairs of roughness and misfit to average over, shape (levels, 2).

    Source: Laplace's method, MacKay, Neural Computation 4 (1992), pages 415-447.
    """
    size, sets = spline_size(len(x)), len(y)
    basis = spline_basis(x, float(x.min()), float(x.max()), size)
    scale = 1.0 if bounded else max(float(y.std()), 1e-300)
    stiffness, misfit = np.tile(1 / levels[:, 0], sets), np.tile(levels[:, 1], sets)  # a row for each set and level
    # Errors are evened out: a point at accuracy 1 has almost no error, but the spline still has its own.
    spread = error**2 + EVENED * np.median(error**2) + (misfit[:, None] * scale) ** 2
    weight = 1 / np.sqrt(spread)
    difference = np.diff(np.eye(size), 2, axis=0) / scale
    penalty = stiffness[:, None, None] ** 2 * (difference.T @ difference)
    y = np.repeat(y, len(levels), axis=0)

    def evaluate(coefficients: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        inner = coefficients @ basis.T
        values = special.expit(inner) if bounded else inner
        slope = values * (1 - values) if bounded else np.ones_like(values)
        residuals = (y - values) * weight
        rough = stiffness[:, None] * (coefficients @ difference.T)
        return residuals, slope, np.sum(residuals**2, axis=1) + np.sum(rough**2, axis=1)

    def normal_matrix(slope: FloatArray, damping: FloatArray) -> FloatArray:
        weighted = (slope * weight)[:, :, None] * basis
        matrix = weighted.swapaxes(1, 2) @ weighted + penalty
        ridge = damping[:, None] * (np.einsum("bii->bi", matrix) + 1e-6 / scale**2)
        return np.asarray(matrix + ridge[:, :, None] * np.eye(size))

    safe = np.clip(y, 0.02, 0.98) if bounded else y
    slope = safe * (1 - safe) if bounded else np.ones_like(y)
    start = (special.logit(safe) if bounded else y) * (slope * weight) ** 2
    tiny = np.full(len(y), 1e-9)
    coefficients = np.linalg.solve(normal_matrix(slope, tiny), (start @ basis)[:, :, None])[:, :, 0]
    residuals, slope, loss = evaluate(coefficients)
    damping = np.full(len(y), 1e-3)
    for _ in range(ITERATIONS if bounded else 0):
        force = (residuals * slope * weight) @ basis - np.einsum("bij,bj->bi", penalty, coefficients)
        proposal = coefficients + np.linalg.solve(normal_matrix(slope, damping), force[:, :, None])[:, :, 0]
        new_residuals, new_slope, new_loss = evaluate(proposal)
        better = new_loss < loss
        pick, settled = better[:, None], np.abs(new_loss - loss) <= 1e-9 * (1 + loss)
        coefficients, residuals = np.where(pick, proposal, coefficients), np.where(pick, new_residuals, residuals)
        slope, loss = np.where(pick, new_slope, slope), np.where(better, new_loss, loss)
        damping = np.clip(np.where(better, damping / 10, damping * 10), 1e-9, 1e6)
        if np.all(settled):
            break
    hessian = normal_matrix(slope, np.zeros(len(y))) * scale**2  # times scale^2: free of the units of y
    _, log_determinant = np.linalg.slogdet(hessian + 1e-9 * np.eye(size))
    own = np.sum(np.log(spread / error**2), axis=1)  # free of the units of y too
    evidence = (loss + own + log_determinant - 2 * (size - 2) * np.log(stiffness)).reshape(sets, -1)
    best = np.argmin(evidence, axis=1)
    averaged = -2 * (special.logsumexp(-evidence / 2, axis=1) - np.log(len(levels)))
    return CurveFits(coefficients.reshape(sets, -1, size)[np.arange(sets), best], averaged, levels[best])


def fit_master_curve(x: FloatArray, y: FloatArray, error: FloatArray, bounded: bool) -> MasterCurve:
    """The penalised spline through the points of one data set; see `fit_curves`."""
    fits = fit_curves(x, y[None, :], error, bounded)
    return MasterCurve(float(x.min()), float(x.max()), fits.coefficients[0], bounded)


def master_curve_residuals(x: ArrayLike, y: ArrayLike, *, bounded: bool = True) -> MasterResiduals:
    """Residuals of all points about one smooth monotone curve of x: is y a function of x alone?

    The curve rises or falls, whichever fits better: its coefficients do. Knots are even in x, so give the logarithm
    of a ratio such as I/J. With p points there are p/2 coefficients, 6 to 14. All points count, each once and the same.

    Args:
        x: the candidate variable, shape (points,).
        y: cell means, chance-corrected accuracy if bounded, shape (points,).
        bounded: whether y lies between 0 and 1, noise aside (logistic link).

    Raises:
        ValueError: if there are fewer than 6 points, or a value is missing.

    >>> x = np.linspace(-4, 4, 30)
    >>> bool(master_curve_residuals(x, np.exp(-np.exp(-x))).largest < 0.002)
    True
    """
    place, value = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if place.shape != value.shape or place.ndim != 1:
        raise ValueError(f"x and y must be rows of one length, got shapes {place.shape} and {value.shape}")
    finite = int(np.isfinite(place + value).sum())
    if finite < len(place) or finite < MIN_COEFFICIENTS:
        raise ValueError(f"x and y must hold 6 finite points or more, got {finite} finite of {len(place)}")
    size = spline_size(len(place))
    low, high = float(place.min()), float(place.max())
    scale = 1.0 if bounded else max(float(value.std()), 1e-300)
    basis = spline_basis(place, low, high, size)
    rough = np.diff(np.eye(size), 2, axis=0) * NOISELESS / MONOTONE_ROUGHNESS
    # Coefficients = level + running sum of steps of one sign: such a spline is monotone.
    running = np.tril(np.ones((size, size)))
    safe = np.clip(value, 0.01, 0.99)
    level = float(special.logit(safe).mean()) if bounded else float(value.mean())

    def attempt(sign: float) -> tuple[float, MasterCurve]:
        tall = running * np.concatenate([[1.0], np.full(size - 1, sign)])

        def residuals(steps: FloatArray) -> FloatArray:
            inner = basis @ (tall @ steps)
            return np.concatenate([(special.expit(inner) if bounded else inner) - value, rough @ tall @ steps])

        def jacobian(steps: FloatArray) -> FloatArray:
            values = special.expit(basis @ (tall @ steps))
            slope = values * (1 - values) if bounded else np.ones_like(value)
            return np.concatenate([slope[:, None] * (basis @ tall), rough @ tall])

        start = np.concatenate([[level - sign * 2.0 * scale], np.full(size - 1, 4.0 * scale / size)])
        lowest = np.concatenate([[-np.inf], np.zeros(size - 1)])
        solution = optimize.least_squares(residuals, start, jacobian, bounds=(lowest, np.inf), max_nfev=200)
        return float(solution.cost), MasterCurve(low, high, tall @ solution.x, bounded)

    _, best = min((attempt(sign) for sign in (1.0, -1.0)), key=lambda pair: pair[0])
    gaps = value - best(place)
    return MasterResiduals(float(np.sqrt(np.mean(gaps**2))), float(np.abs(gaps).max()), gaps, best)
