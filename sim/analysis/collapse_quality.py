"""How well curves lie on each other: the two measures of physics, both by local linear interpolation between curves."""

import numpy as np
from numpy.typing import ArrayLike

from sim.analysis.curves import IntArray
from sim.types import FloatArray


def _sorted_curves(x: FloatArray, curve: ArrayLike) -> list[IntArray]:
    names = np.unique(np.asarray(curve), return_inverse=True)[1]
    return [
        rows[np.argsort(x[rows], kind="stable")]
        for rows in (np.flatnonzero(names == k) for k in range(names.max() + 1))
    ]


def houdayer_hartmann(x: FloatArray, y: FloatArray, error: FloatArray, curve: ArrayLike) -> tuple[float, float]:
    """Quality S of a collapse and the share of points that another curve brackets.

        S = 1/N sum (y - Y)^2 / (error^2 + dY^2),

    Y, dY the weighted straight line through the bracketing pairs of points of all other curves. 1 is noise alone, but
    curvature between points adds to it: compare with its own calibration (`Collapse.quality_expected`).

    Args:
        x, y, error: scaled points and standard errors, shape (points,).
        curve: the curve of each point (such as its J), shape (points,).

    Source: Houdayer and Hartmann, Physical Review B 70, 014418 (2004), appendix.

    >>> x = np.array([0.0, 1.0, 2.0, 0.5, 1.5])
    >>> houdayer_hartmann(x, 2 * x, np.full(5, 0.1), [0, 0, 0, 1, 1])
    (0.0, 0.6)
    """
    curves = _sorted_curves(x, curve)
    sums = np.zeros((5, len(x)))  # K, K_x, K_y, K_xx, K_xy of the weighted line, about each point's own x
    for rows in curves:
        for other in curves:
            if other is rows or len(other) < 2:
                continue
            right = np.searchsorted(x[other], x[rows], side="right")
            inside = (x[rows] >= x[other[0]]) & (x[rows] <= x[other[-1]])
            right = np.clip(right, 1, len(other) - 1)
            for pick in (other[right - 1], other[right]):
                weight = inside / error[pick] ** 2
                away = x[pick] - x[rows]
                terms = (weight, weight * away, weight * y[pick], weight * away**2, weight * away * y[pick])
                sums[:, rows] += np.array(terms)
    total, first, value, second, mixed = sums
    covered = total > 0
    if not covered.any():
        return float("nan"), 0.0
    determinant = total * second - first**2
    line = covered & (determinant > 1e-12 * np.maximum(total * second, 1e-300))
    safe = np.where(line, determinant, 1.0)
    mass = np.where(covered, total, 1.0)
    master = np.where(line, (second * value - first * mixed) / safe, value / mass)
    master_variance = np.where(line, second / safe, 1 / mass)
    terms_of_quality = (y - master) ** 2 / (error**2 + master_variance)
    # Residuals that are rounding alone count as none.
    terms_of_quality = np.where(np.abs(y - master) < 1e-13 * (1 + np.abs(y)), 0.0, terms_of_quality)
    return float(terms_of_quality[covered].mean()), float(covered.mean())


def bhattacharjee_seno(x: FloatArray, y: FloatArray, curve: ArrayLike, power: float = 1.0) -> float:
    """Residual P_b = [mean |y - interpolation of another curve|^power]^(1/power) over pairs of curves, in units of y.

    Each curve in turn is the basis; points of the others inside its range count. NaN if no curves overlap.

    Source: Bhattacharjee and Seno, Journal of Physics A 34, 6375 (2001).

    >>> bhattacharjee_seno(np.array([0.0, 2.0, 1.0]), np.array([0.0, 2.0, 1.5]), [0, 0, 1])
    0.5
    """
    gaps = []
    curves = _sorted_curves(x, curve)
    for basis in curves:
        for rows in curves:
            if rows is basis or len(basis) < 2:
                continue
            inside = rows[(x[rows] >= x[basis[0]]) & (x[rows] <= x[basis[-1]])]
            gaps.append(np.abs(y[inside] - np.interp(x[inside], x[basis], y[basis])))
    joined = np.concatenate(gaps) if gaps else np.empty(0)
    return float(np.mean(joined**power) ** (1 / power)) if len(joined) else float("nan")
