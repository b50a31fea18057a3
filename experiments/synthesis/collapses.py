"""On which variable do the accuracies of a unit fall on one curve? The survey's, the theory's, and none at all."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.synthesis.units import METRICS, Unit, matched_task, metrics
from sim.analysis.coordinates import make_coordinates
from sim.analysis.curves import CellSummary, cell_summary, rescale
from sim.analysis.misfits import CurveMisfit, curve_misfit, tied
from sim.analysis.optimum import find_optimum
from sim.analysis.resampling import pool_seeds, resample_means
from sim.theory.capacity import GUMBEL_VARIANCE, log_half_accuracy_classes, squared_correlation
from sim.theory.laws import LAWS
from sim.types import FloatArray

LEVEL, RESAMPLES = 0.95, 79
LEAST_CELLS, LEAST_TASKS, LEAST_INPUTS = 8, 3, 2
MOST_FITTED_BITS = 20.0  # kappa is fitted to tasks of at most a million maps: beyond them the theorem says chance
VARIABLES = {
    "I": "inputs alone",
    "log J": "label maps alone",
    "I/J": "the survey's proportion",
    "I/log J": "inputs a bit of the nominal output",
    "H(Y)": "entropy of the label alone",
    "I/exp H(Y)": "the proportion with the maps that occur",
    "I/H(Y)": "inputs a bit of the label's entropy",
    "z": "the theorem's, at a fitted efficiency",
}


class Collapsed(NamedTuple):
    """One variable of one unit and metric; `best` and the `tied` are those that none beats."""

    unit: Unit
    metric: str
    variable: str
    cells: int
    tasks: int
    kappa: float
    misfit: CurveMisfit
    best: bool
    tied: bool


def _tasks(cells: CellSummary) -> list[Any]:
    columns = cells.columns
    return [matched_task(columns, row) for row in range(len(cells.mean))]


def fitted_kappa(cells: CellSummary) -> float | None:
    """Efficiency kappa of the theorem at the nominal J, on the tasks whose J it can be computed for."""
    tasks = _tasks(cells)
    known = cells.columns["log2_outputs"].astype(float) <= MOST_FITTED_BITS
    if any(task is None for task in tasks) or known.sum() < 2:
        return None
    part = cells._replace(
        columns={
            "inputs": cells.columns["inputs"].astype(float)[known],
            "outputs": np.round(np.exp2(cells.columns["log2_outputs"].astype(float)[known])),
            "dimension": np.array([float(task.dimension) for task in tasks])[known],
            "signal_power": np.array([task.signal_power for task in tasks])[known],
            "noise": np.sqrt([task.noise_power for task in tasks])[known],
        },
        mean=cells.mean[known], variance=cells.variance[known], trials=cells.trials[known],
        values=np.empty(0), cell=np.empty(0, dtype=np.int64),
    )  # fmt: skip
    law = LAWS["theorem"]
    scale = make_coordinates(law)
    found = find_optimum(scale, part, pool_seeds(part), law.starts)
    return float(np.exp(scale.outward(found.coordinates)[0]))


def theory_variable(cells: CellSummary, kappa: float) -> FloatArray:
    """z of each cell, J taken as that many unrelated classes; its threshold is the refined expansion."""
    z = []
    for row, task in enumerate(_tasks(cells)):
        log_outputs = float(cells.columns["log2_outputs"][row]) * np.log(2)
        power = (
            task.signal_power,
            task.noise_power,
            kappa * float(cells.columns["inputs"][row]) * np.exp(-log_outputs),
        )
        threshold = log_half_accuracy_classes(task.dimension, *power, method="refined")
        spread = np.sqrt(task.dimension * squared_correlation(*power) + GUMBEL_VARIANCE)
        z.append((threshold - log_outputs) / spread)
    return np.array(z)


def variables(cells: CellSummary, kappa: float | None) -> dict[str, FloatArray]:
    """The candidate variables of each cell; those of H(Y) only where it is not log J, z only with a kappa."""
    inputs = np.log(cells.columns["inputs"].astype(float))
    bits = cells.columns["log2_outputs"].astype(float)
    entropy = cells.columns["label_entropy_bits"].astype(float)
    found = {
        "I": inputs,
        "log J": np.log(bits),
        "I/J": inputs - bits * np.log(2),
        "I/log J": inputs - np.log(bits),
    }
    if np.isfinite(entropy).all() and not np.allclose(entropy, bits):
        found |= {
            "H(Y)": np.log(entropy),
            "I/exp H(Y)": inputs - entropy * np.log(2),
            "I/H(Y)": inputs - np.log(entropy),
        }
    if kappa is not None:
        found["z"] = theory_variable(cells, kappa)
    return {name: x for name, x in found.items() if np.ptp(x) > 0}


def _curves(cells: CellSummary) -> Any:
    """Number of each cell's task, in the order of J and then of the label's entropy."""
    names = ("log2_outputs", "label_entropy_bits", "task")
    rows = np.stack([np.nan_to_num(cells.columns[name].astype(float)) for name in names], axis=1)
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def unit_cells(unit: Unit, values: FloatArray, chance: FloatArray) -> CellSummary | None:
    """Cells of a unit, or None if they are too few to tell a collapse; where only some labels' entropy is known, those.

    The cells' means are accuracies; `chance` is among their columns.
    """
    columns = unit.columns
    entropy = columns["label_entropy_bits"].astype(float)
    kept = np.isfinite(entropy) if np.isfinite(entropy).any() else np.ones(len(entropy), dtype=bool)
    table = {**{name: column[kept] for name, column in columns.items()}, "value": values[kept], "floor": chance[kept]}
    cells = cell_summary(table, ["task", "inputs", "log2_outputs", "label_entropy_bits", "floor"], "value")
    first = np.array([np.flatnonzero(cells.cell == cell)[0] for cell in range(len(cells.mean))])
    cells = cells._replace(columns={**{name: np.asarray(column)[first] for name, column in table.items()}})
    few = (
        len(cells.mean) < LEAST_CELLS
        or len(np.unique(cells.columns["task"])) < LEAST_TASKS
        or len(np.unique(cells.columns["inputs"])) < LEAST_INPUTS
        or not np.any(cells.trials > 1)
    )
    return None if few else cells


def collapse_unit(
    unit: Unit, of_metrics: Collection[str] = tuple(METRICS), of_variables: Collection[str] = tuple(VARIABLES)
) -> list[Collapsed]:
    """All variables of a unit, for each metric, best first; those that too few cells could test come last."""
    found = []
    for metric, values, chance in metrics(unit):
        cells = unit_cells(unit, values, chance)
        if cells is None or metric not in of_metrics:
            continue
        floor = cells.columns["floor"].astype(float)
        pool = pool_seeds(cells)
        y, scale = rescale(cells.mean, floor), 1 / (1 - floor)
        draws = resample_means(pool, RESAMPLES, LEVEL, np.random.default_rng(0)) * scale
        kappa = fitted_kappa(cells) if metric == "exact_match" and "z" in of_variables else None
        fits = {
            name: curve_misfit(x, y, pool.standard_error * scale, draws, _curves(cells), level=LEVEL)
            for name, x in variables(cells, kappa).items()
            if name in of_variables
        }
        order = sorted(fits, key=lambda name: (not fits[name].tested, fits[name].squared))
        tasks, best = len(np.unique(cells.columns["task"])), order[0] if order else ""
        for name in order:
            same = fits[name].tested and tied(fits[name], fits[best], level=LEVEL)
            efficiency = float("nan") if kappa is None else kappa
            found.append(Collapsed(unit, metric, name, len(y), tasks, efficiency, fits[name], name == best, same))
    return found


def collapse_rows(found: list[Collapsed]) -> list[dict[str, Any]]:
    """The same as rows for tables and `--json`."""
    return [
        {
            "study": row.unit.study, "arm": row.unit.arm, "setting": row.unit.setting, "metric": row.metric,
            "variable": row.variable, "misfit": row.misfit.rms, "interval": [row.misfit.low, row.misfit.high],
            "quality": row.misfit.quality, "inside": row.misfit.inside,
            "cells": row.cells, "tasks": row.tasks, "kappa": row.kappa, "best": row.best, "tied": row.tied,
        }
        for row in found
    ]  # fmt: skip


def misfits_of(found: list[Collapsed], metric: str, variable: str, network: bool = True) -> Mapping[str, CurveMisfit]:
    """Misfits of one variable and metric by "study arm setting", networks or exact learners."""
    return {
        " ".join((row.unit.study, row.unit.arm, row.unit.setting)).strip(): row.misfit
        for row in found
        if (row.metric, row.variable, row.unit.network) == (metric, variable, network)
    }
