"""Units of the synthesis: what one kind of network was asked at one evidence per pixel, over all inputs and outputs.

A unit joins all numbers of pixels, labels and label distributions of a study: the conjecture names inputs and outputs
alone, so everything that changes J, and the label's entropy at the same J, is in.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from experiments.studies.common import CELL, Columns, chosen, filled, take, usual_variant
from experiments.verdicts import to_columns
from sim.analysis.curves import group_rows
from sim.analysis.effective import Matched

# Factors that say which outputs there are and how they are distributed; all others of a cell are its evidence.
TASK = (
    "outputs", "tiles", "labels", "rows", "columns", "field", "stay", "coupling", "grid_size", "bits", "spread",
    "frame",
)  # fmt: skip
METRICS = {"exact_match": "chance", "pixel_accuracy": "pixel_chance"}  # each with the column of its chance
EXACT = ("bayes", "plugin", "class_mean")  # learners that know the generator: controls, no networks


class Unit(NamedTuple):
    """One arm of one study at one evidence.

    Attributes:
        study, arm: where it comes from.
        setting: the evidence that tells units of one arm apart, in words; empty where there is one.
        network: False for an exact learner.
        columns: its rows; `task` numbers the tasks, which differ in more than inputs.
    """

    study: str
    arm: str
    setting: str
    network: bool
    columns: dict[str, Any]


def _words(columns: Columns, names: list[str], flags: list[str], row: int) -> str:
    words = []
    for name in names:
        value = columns[name][row]
        if value in (-1, ""):  # does not apply, see `filled`
            continue
        if name in flags:
            words.append(name if value else f"not {name}")
        else:
            words.append(f"{name} {value:.3g}" if isinstance(value, (float, np.floating)) else f"{name} {value}")
    return ", ".join(words)


def study_units(study: str, table: pa.Table) -> list[Unit]:
    """The units of a study's usual arms; rows without inputs, outputs or exact match are left out."""
    columns = to_columns(table)
    if not len(columns["arm"]):
        return []
    wanted = [columns[name].astype(float) for name in ("inputs", "log2_outputs", "exact_match", "chance")]
    mask = chosen(columns) & usual_variant(columns) & np.isfinite(wanted).all(axis=0)
    rows = filled(take(columns, mask))
    if not len(rows["arm"]):
        return []
    task_names = [name for name in TASK if name in CELL]
    evidence = [name for name in CELL if name not in (*task_names, "inputs")]
    rows["task"], _ = group_rows(rows, task_names)
    unit, first = group_rows(rows, ["arm", *evidence])
    flags = [name for name in evidence if columns[name].dtype == np.bool_]
    telling = [name for name in evidence if len(np.unique(rows[name][first])) > 1]
    found = []
    for number, row in enumerate(first):
        arm = str(rows["arm"][row])
        found.append(
            Unit(study, arm, _words(rows, telling, flags, int(row)), arm not in EXACT, take(rows, unit == number))
        )
    return sorted(found, key=lambda u: (u.network, u.arm, u.setting))


def metrics(unit: Unit) -> Iterator[tuple[str, Any, Any]]:
    """(metric, values, chance) of a unit, each metric that says something of its own."""
    exact = unit.columns["exact_match"].astype(float)
    for metric, chance in METRICS.items():
        values, floor = unit.columns[metric].astype(float), unit.columns[chance].astype(float)
        if np.isfinite(values + floor).all() and (metric == "exact_match" or not np.allclose(values, exact)):
            yield metric, values, floor


def matched_task(columns: Mapping[str, Any], row: int) -> Matched | None:
    """Dimension, signal and noise of a row's images; None where no classification task matches them.

    A label field's signal is that of L equally likely grey values `spacing` apart: spacing^2 (L^2 - 1) / 12.
    """
    generator = columns["generator"][row]
    number = {name: float(columns[name][row]) for name in CELL if np.asarray(columns[name]).dtype.kind in "fiub"}
    noise = number["noise"] ** 2
    if generator == "codebook":
        return Matched(int(number["dimension"]), number["signal_power"], noise)
    if generator == "blocks":
        return Matched(int(number["tiles"] * number["tile_dimension"]), number["signal_power"], noise)
    if generator == "fields":
        signal = number["spacing"] ** 2 * (number["labels"] ** 2 - 1) / 12
        return Matched(int(number["rows"] * number["columns"]), signal, noise)
    return None
