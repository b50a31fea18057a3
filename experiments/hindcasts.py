"""How wrong laws are beyond the cells they were fitted to, measured inside the range: its outermost cells are foretold.

A law that fits is trusted inside its range. Beyond it its error grows with the distance, at a rate that the rows
themselves show: the largest level of an axis (outputs, inputs) is left out, the laws are fitted to the rest and
foretell it. Errors are taken on the scale asin(sqrt(A*)), A* = (A - chance)/(1 - chance), on which a step is as likely
near 0 and 1 as between.

The root mean square of the hindcasts is the half width of a 95% interval, not its standard error: they come from fewer
cells than the fit and from all laws, the poorer ones too. On the planted laws of `calibration`, J <= 64 and I <= 1024
fitted without the law that is true, that covers 91 of 96 cells beyond, and with two levels an axis 107 of 108.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.fitting import Arm
from sim.analysis.coordinates import make_coordinates
from sim.analysis.curves import CellSummary
from sim.analysis.optimum import find_optimum
from sim.analysis.resampling import SeedPool, make_cells, pool_seeds
from sim.types import FloatArray, Law

AXES = ("outputs", "inputs")
SHARE = 0.5  # of the last change: where it cannot be foretold, it may go on half as fast, or half as fast again


class AxisError(NamedTuple):
    """Error of the laws beyond the range of one axis.

    Attributes:
        low: smallest level of the axis. high: the largest.
        rate: half width of a 95% interval, in angle for each unit of ln(axis) beyond the range; infinite where one
            level is all there is.
    """

    low: float
    high: float
    rate: float

    def at(self, values: FloatArray) -> FloatArray:
        """Half width at each value of the axis, in angle; 0 inside the range.

        >>> AxisError(4.0, 64.0, 0.1).at(np.array([16.0, 64.0, 64 * np.e, 4 / np.e])).round(6).tolist()
        [0.0, 0.0, 0.1, 0.1]
        """
        beyond = np.log(np.maximum(values / self.high, 1.0)) + np.log(np.maximum(self.low / values, 1.0))
        outside = beyond > 0
        return np.where(outside, np.where(outside, beyond, 1.0) * self.rate, 0.0)


def to_angle(accuracy: FloatArray, chance: FloatArray) -> FloatArray:
    """asin(sqrt(A*)), in [0, pi/2].

    >>> to_angle(np.array([0.25, 0.625]), np.array([0.25, 0.25])).round(4).tolist()
    [0.0, 0.7854]
    """
    return np.asarray(np.arcsin(np.sqrt(np.clip((accuracy - chance) / (1 - chance), 0.0, 1.0))))


def from_angle(angle: FloatArray, chance: FloatArray) -> FloatArray:
    """The accuracy at an angle, those outside [0, pi/2] moved onto its ends."""
    return np.asarray(chance + (1 - chance) * np.sin(np.clip(angle, 0.0, np.pi / 2)) ** 2)


def _persistence(cells: CellSummary, axis: str, outer: NDArray[np.bool_]) -> FloatArray:
    """What the outermost cells differ by from those one level further in, where both levels hold the other axis."""
    other = AXES[1 - AXES.index(axis)]
    angle = to_angle(cells.mean, cells.columns["chance"])
    inner = cells.columns[axis] == np.unique(cells.columns[axis])[-2]
    same = cells.columns[other][outer][:, None] == cells.columns[other][inner]
    if same.any():
        return np.asarray((angle[outer][:, None] - angle[inner])[same])
    return np.asarray([angle[outer].mean() - angle[inner].mean()])


def foretell(
    laws: Sequence[Law], cells: CellSummary, pool: SeedPool, outer: NDArray[np.bool_]
) -> dict[str, FloatArray]:
    """Accuracy of the outermost cells as foretold by each law that the cells further in determine, by its name."""
    inner = ~outer
    known = cells._replace(
        columns={name: column[inner] for name, column in cells.columns.items()},
        mean=cells.mean[inner], variance=cells.variance[inner], trials=cells.trials[inner],
    )  # fmt: skip
    seeds = pool._replace(
        standard_deviation=pool.standard_deviation[inner], trials=pool.trials[inner], degrees=pool.degrees[inner]
    )
    there = {name: column[outer] for name, column in cells.columns.items()}
    told = {}
    for law in laws:
        if len(law.parameters) < len(known.mean):
            scale = make_coordinates(law)
            found = find_optimum(scale, known, seeds, law.starts)
            told[law.name] = scale.predict(found.coordinates, there)
    return told


def _errors(laws: Sequence[Law], cells: CellSummary, pool: SeedPool, outer: NDArray[np.bool_]) -> FloatArray:
    """What is foretold minus what is measured, in angle, laws by outermost cells; empty if no law is determined."""
    chance = cells.columns["chance"][outer]
    told = foretell(laws, cells, pool, outer)
    errors = [to_angle(each, chance) - to_angle(cells.mean[outer], chance) for each in told.values()]
    return np.array(errors).reshape(-1, int(outer.sum()))


def axis_errors(arm: Arm, laws: Sequence[Law]) -> dict[str, AxisError]:
    """The error of an arm's laws beyond the range of its outputs and of its inputs.

    All laws that speak count the same: the one that happened to be right on the outermost cells was chosen for it.
    With two levels nothing can be foretold from one: half the change between them is then taken for the error. With one
    level nothing is known beyond it.

    Args:
        arm: what the laws were fitted to.
        laws: those that speak.

    Raises:
        ValueError: rows that show no variance.
    """
    cells = make_cells(arm.columns, arm.accuracy, arm.variance, arm.trials)
    pool = pool_seeds(cells)
    found = {}
    for axis in AXES:
        levels = np.unique(cells.columns[axis])
        if len(levels) == 1:
            found[axis] = AxisError(float(levels[0]), float(levels[0]), float("inf"))
            continue
        outer = cells.columns[axis] == levels[-1]
        errors = _errors(laws, cells, pool, outer) if len(levels) > 2 else np.empty((0, 0))
        if not errors.size:
            errors = SHARE * _persistence(cells, axis, outer)
        rate = float(np.sqrt(np.mean(errors**2)) / np.log(levels[-1] / levels[-2]))
        found[axis] = AxisError(float(levels[0]), float(levels[-1]), rate)
    return found
