"""How rows become points with intervals, and the checks and numbers that several figures need."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.studies.common import Columns
from paper_figures.source import MissingRows
from sim.analysis.curves import cell_summary, mean_interval, variance_model
from sim.types import FloatArray

LEVEL = 0.95


class Points(NamedTuple):
    """Cells ready to be drawn: their columns, mean, 95% interval of shape (cells, 2), and number of trials."""

    columns: Mapping[str, Any]
    mean: FloatArray
    interval: FloatArray
    trials: Any

    def where(self, mask: Any) -> "Points":
        """The points under a mask."""
        columns = {name: column[mask] for name, column in self.columns.items()}
        return Points(columns, self.mean[mask], self.interval[mask], self.trials[mask])

    def rows(self, names: Sequence[str], **others: Any) -> list[dict[str, Any]]:
        """The points as rows of a file of plotted numbers."""
        return [
            {**others, **{name: self.columns[name][i] for name in names}, "mean": self.mean[i],
             "low": self.interval[i, 0], "high": self.interval[i, 1], "trials": int(self.trials[i])}
            for i in range(len(self.mean))
        ]  # fmt: skip


def summarise(rows: Columns, by: Sequence[str], value: str = "test_accuracy") -> Points:
    """Mean and 95% interval of `value` in each cell of rows that agree in the columns `by`.

    Seeds are few, so cells lend each other strength (`sim.analysis.curves`); where no cell has two seeds there is no
    interval.
    """
    cells = cell_summary(rows, by, value)
    if np.any(cells.trials > 1):
        interval = mean_interval(cells, level=LEVEL, model=variance_model(cells))
    else:
        interval = np.full((len(cells.mean), 2), np.nan)
    return Points(cells.columns, cells.mean, interval, cells.trials)


def need_arm(rows: Columns, figure: str, study: str, arm: str) -> None:
    """Check that a figure's main arm has rows.

    Raises:
        MissingRows: it has none.
    """
    if not len(rows["arm"]):
        raise MissingRows(f"figure {figure} must have finished rows of arm {arm} in {study}, got none")
