"""How well one smooth curve of a candidate variable foretells curves it has not seen, the seeds' noise taken out.

A free curve through all cells flatters any variable with few values: it may turn at every one. So every fifth of the
curves (such as those of one J) is left out in turn and foretold from the others. The squared residual then holds the
noise of the seeds once, that of bootstrap resamples twice: the difference takes it out, and gives the interval.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sim.analysis.collapse_quality import houdayer_hartmann
from sim.analysis.master_curve import fit_curves, spline_basis
from sim.analysis.resampling import percentile_interval
from sim.types import FloatArray

FOLDS = 5
LEAST_CELLS = 8
LEAST_INSIDE = 0.5  # share of cells that must lie within the range of the others for a variable to be tested


class CurveMisfit(NamedTuple):
    """Misfit of one variable.

    Attributes:
        rms: root mean square distance of the true cell means from the curve of the others, without bias in its square
            (0 where that comes out negative). low, high: its interval over seeds.
        squared: the unbiased square, which may be negative.
        changes: mean square of each resample minus their mean: the error of `squared`, shape (resamples,).
        inside: share of the cells that lie within the range of the others and were foretold.
        quality: Houdayer and Hartmann's S of all cells; NaN where no curves overlap.
    """

    rms: float
    low: float
    high: float
    squared: float
    changes: FloatArray
    inside: float
    quality: float

    @property
    def tested(self) -> bool:
        """Whether enough cells could be foretold."""
        return self.inside >= LEAST_INSIDE


def curve_misfit(
    x: ArrayLike, y: ArrayLike, error: ArrayLike, draws: ArrayLike, curve: ArrayLike, *, level: float = 0.95
) -> CurveMisfit:
    """Distance of cells from the smooth curve of x, between 0 and 1, through the cells of other curves.

    With R the mean squared residual and R* those of resamples about the cell means, E R* = R + noise and
    E R = truth + noise: the estimate of the truth is 2 R - mean R*, and its error is distributed as R* - mean R*.

    Args:
        x: the variable, shape (cells,), not constant.
        y: cell means, chance-corrected accuracy. error: their standard errors.
        draws: deviations of the cell means in other sets of seeds, shape (resamples, cells).
        curve: number of the curve that a cell belongs to; neighbours in this order are never left out together.
        level: nominal coverage.

    Raises:
        ValueError: fewer than 8 cells or two curves, shapes that differ, or a variable that does not vary.
    """
    place, value, spread = (np.asarray(a, dtype=np.float64) for a in (x, y, error))
    moved = np.concatenate([value[None], value + np.asarray(draws, dtype=np.float64)])
    names, which = np.unique(np.asarray(curve), return_inverse=True)
    if not place.shape == value.shape == spread.shape == moved.shape[1:] or len(place) < LEAST_CELLS:
        raise ValueError(
            f"x, y, error and draws must hold the same {LEAST_CELLS} cells or more, got {place.shape}, {moved.shape}"
        )
    if len(names) < 2:
        raise ValueError(f"curve must name two curves or more, got {len(names)}")
    if not np.ptp(place) > 0:
        raise ValueError(f"x must vary, got {place[0]} in all cells")
    spread = np.maximum(spread, 1e-12)
    level_of_all = fit_curves(place, value[None], spread, True).level  # roughness and misfit stay those of all cells
    squares, inside = np.zeros(len(moved)), 0
    for fold in range(min(FOLDS, len(names))):
        out = which % min(FOLDS, len(names)) == fold
        low, high = place[~out].min(), place[~out].max()
        asked = out & (place >= low) & (place <= high)
        if not asked.any() or not high > low:
            continue
        found = fit_curves(place[~out], moved[:, ~out], spread[~out], True, level_of_all)
        basis = spline_basis(place[asked], low, high, found.coefficients.shape[1])
        squares += np.sum((moved[:, asked] - special.expit(found.coefficients @ basis.T)) ** 2, axis=1)
        inside += int(asked.sum())
    squares /= max(inside, 1)
    squared = 2 * float(squares[0]) - float(squares[1:].mean())
    changes = squares[1:] - squares[1:].mean()
    low_change, high_change = percentile_interval(changes, level)
    rms, low, high = np.sqrt(np.maximum([squared, squared - high_change, squared - low_change], 0.0)).tolist()
    quality, _ = houdayer_hartmann(place, value, spread, which)
    return CurveMisfit(rms, low, high, squared, changes, inside / len(place), quality)


def tied(first: CurveMisfit, best: CurveMisfit, *, level: float = 0.95) -> bool:
    """Whether a variable cannot be told from the best one: both misfits from the same resamples of the same cells."""
    high = float(percentile_interval(first.changes - best.changes, level)[1])
    return first.squared - best.squared - high <= 0
