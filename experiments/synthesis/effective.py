"""Which tasks have an effective number of outputs, one number that foretells their accuracy at more inputs?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.synthesis.units import Unit, matched_task
from sim.analysis.compare import Estimate, paired_t
from sim.analysis.effective import EffectiveTest, foretell_more_inputs
from sim.types import FloatArray

TIMES = 4.0  # the inputs at which J_eff is tested, in those at which it is taken; where there are none, the next larger
LEVEL = 0.95
UNRELATED = "codebook"  # the generator whose classes are unrelated, so that J_eff must be J: the control


class Effective(NamedTuple):
    """A task under an arm.

    Attributes:
        unit: the arm.
        inputs: few and many.
        log2_outputs, entropy_bits: log2 J and H(Y), NaN where not known.
        pixels: n, tiles or pixels of an image; 1 for a classification.
        labels: L of each.
        distribution: of the labels, in words.
        test: J_eff and its error at many inputs.
    """

    unit: Unit
    inputs: tuple[float, float]
    log2_outputs: float
    entropy_bits: float
    pixels: int
    labels: int
    distribution: str
    test: EffectiveTest

    @property
    def segmentation(self) -> bool:
        """Whether an image has several labels."""
        return self.pixels > 1

    @property
    def exists(self) -> bool:
        """Whether J_eff foretells the accuracy within the margin."""
        return self.test.error.equivalent

    @property
    def bits(self) -> Estimate:
        """log2 J_eff."""
        found = self.test.log_outputs
        scaled = {name: getattr(found, name) / np.log(2) for name in ("effect", "low", "high", "standard_error")}
        return found._replace(**scaled)


def _paired(unit: Unit, task: Any, few: float, many: float) -> tuple[FloatArray, FloatArray]:
    """Exact match of the seeds that both numbers of inputs have."""
    columns, scores = unit.columns, []
    for inputs in (few, many):
        mask = (columns["task"] == task) & (columns["inputs"].astype(float) == inputs)
        scores.append(dict(zip(columns["seed"][mask].tolist(), columns["exact_match"][mask].tolist(), strict=True)))
    seeds = sorted(set(scores[0]) & set(scores[1]))
    return np.array([scores[0][s] for s in seeds]), np.array([scores[1][s] for s in seeds])


def _count(columns: Any, row: int, names: Sequence[str]) -> int:
    """Product of counts, those that do not apply (-1) left out."""
    values = [float(columns[name][row]) for name in names]
    return int(np.prod([value for value in values if value > 0]))


def effective_unit(unit: Unit) -> list[Effective]:
    """One test a task, at the smallest inputs whose exact match determines J_eff; none for tasks that have no such."""
    columns, found = unit.columns, []
    for task in np.unique(columns["task"]):
        rows = np.flatnonzero(columns["task"] == task)
        row = int(rows[0])
        matched = matched_task(columns, row)
        levels = np.unique(columns["inputs"][rows].astype(float))
        for few in levels if matched is not None else ():
            later = levels[levels >= TIMES * few]
            if not len(later):
                break
            first, second = _paired(unit, task, float(few), float(later[0]))
            if matched is None or len(first) < 2:
                continue
            test = foretell_more_inputs(
                first.tolist(), second.tolist(), (float(few), float(later[0])), matched, level=LEVEL
            )
            if test is not None:
                several = columns["generator"][row] != UNRELATED
                found.append(Effective(
                    unit, (float(few), float(later[0])), float(columns["log2_outputs"][row]),
                    float(columns["label_entropy_bits"][row]),
                    _count(columns, row, ("tiles", "rows", "columns")) if several else 1,
                    _count(columns, row, ("labels",) if several else ("outputs",)), str(columns["field"][row]), test,
                ))  # fmt: skip
                break
    return found


def effective_rows(found: Sequence[Effective]) -> list[dict[str, Any]]:
    """The same as rows for tables and `--json`."""
    return [
        {
            "study": row.unit.study, "arm": row.unit.arm, "setting": row.unit.setting,
            "distribution": row.distribution, "pixels": row.pixels, "labels": row.labels,
            "log2_outputs": row.log2_outputs, "label_entropy_bits": row.entropy_bits, "inputs": list(row.inputs),
            "log2_effective": row.bits.effect, "interval": [row.bits.low, row.bits.high], "few": row.test.few,
            "measured": row.test.many, "predicted": row.test.predicted,
            "error": row.test.error.effect, "error_interval": [row.test.error.low, row.test.error.high],
            "seeds": row.test.error.trials, "exists": row.exists,
        }
        for row in found
    ]  # fmt: skip


def bits_left(found: Sequence[Effective]) -> Estimate | None:
    """log2 J_eff minus H(Y), mean over segmentation tasks that have a J_eff; None for fewer than two.

    The interval is over tasks.
    """
    gaps = [row.bits.effect - row.entropy_bits for row in found if row.segmentation and row.exists]
    gaps = [gap for gap in gaps if np.isfinite(gap)]
    return paired_t(gaps, level=LEVEL) if len(gaps) >= 2 else None
