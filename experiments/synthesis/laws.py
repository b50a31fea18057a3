"""Which law of I and J foretells cells that its fit did not see: the largest J, the largest I, and either?"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from experiments.fitting import Arm, largest_held_out, study_arms
from experiments.hindcasts import foretell
from sim.analysis.compare import Estimate, paired_t
from sim.analysis.resampling import make_cells, pool_seeds
from sim.types import FloatArray

LEVEL = 0.95


class Foretold(NamedTuple):
    """Root mean square error of each law on the held-out cells of one arm and metric, by the law's name."""

    study: str
    arm: str
    metric: str
    cells: int
    errors: Mapping[str, float]

    @property
    def best(self) -> str:
        """The law with the smallest error."""
        return min(self.errors, key=lambda name: self.errors[name])


def _finite(arm: Arm) -> bool:
    return bool(np.isfinite(arm.accuracy.astype(float)).all())


def foretell_arm(study: str, arm: Arm) -> Foretold | None:
    """Errors of all laws on the cells with the largest J or the largest I, fitted to the others."""
    cells = make_cells(arm.columns, arm.accuracy, arm.variance, arm.trials)
    if not np.any(cells.trials > 1):
        return None
    outer = largest_held_out(cells.columns)
    told = foretell(arm.laws, cells, pool_seeds(cells), outer)
    errors = {name: _rms(values - cells.mean[outer]) for name, values in told.items()}
    return Foretold(study, arm.name, arm.metric, int(outer.sum()), errors) if errors else None


def _rms(errors: FloatArray) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def foretell_study(study: str, table: pa.Table) -> list[Foretold]:
    """`foretell_arm` for all arms of a study that can be fitted."""
    found = [foretell_arm(study, arm) for arm in study_arms(study, table) if _finite(arm)]
    return [row for row in found if row is not None]


def law_rows(found: Sequence[Foretold]) -> list[dict[str, Any]]:
    """One row a law, smallest mean error first: error over the arms and metrics that it was fitted to, and how often
    it was best. The interval is over arms and metrics; those of one study are not independent, so it is narrow."""
    rows = []
    for law in dict.fromkeys(name for row in found for name in row.errors):
        errors = [row.errors[law] for row in found if law in row.errors]
        estimate = mean_error(errors)
        rows.append({
            "law": law, "error": estimate.effect, "interval": [estimate.low, estimate.high],
            "largest": max(errors), "arms": len(errors), "best": sum(row.best == law for row in found),
        })  # fmt: skip
    return sorted(rows, key=lambda row: float(row["error"]))


def mean_error(errors: Sequence[float]) -> Estimate:
    """Mean of errors with its t interval; of one error, the error itself without an interval."""
    if len(errors) > 1:
        return paired_t(errors, level=LEVEL)
    return Estimate(errors[0], np.nan, np.nan, np.nan, np.nan, 0.0, 1, LEVEL)
