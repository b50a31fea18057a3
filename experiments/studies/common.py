"""What the studies' judges share: rows of an arm, pairs within a cell, one form of verdict, and the two safety checks.

A judge sees the table as a mapping from column to NumPy array and returns verdict rows; it never reads files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.analysis.checks import IntegralCheck, LeakTest, integral_check, leak_test
from sim.analysis.compare import Estimate, Pairs, detectable_effect, pair_rows, seeds_to_decide
from sim.analysis.curves import group_rows
from sim.types import FloatArray

Columns = Mapping[str, NDArray[Any]]
Mask = NDArray[np.bool_]
PRIMARY_LEVEL = 0.99  # five primary studies at .05 in all
EXPLORATORY_LEVEL = 0.95
CELL = (
    "inputs", "outputs", "balanced", "signal_power", "noise", "dimension", "tiles", "labels", "tile_dimension",
    "similarity", "field", "rows", "columns", "spacing", "stay", "coupling", "grid_size", "scenes", "bits", "spread",
    "frame",
)  # fmt: skip
VARIANT = ("max_steps", "init_seed", "width")  # what the robustness arms of a study vary within a cell


def chosen(columns: Columns, **wanted: Any) -> Mask:
    """Mask of the finished rows whose columns equal the wanted values (a list of values means any of them)."""
    mask: Mask = columns["status"] == "ok"
    for name, value in wanted.items():
        options = value if isinstance(value, (list, tuple, set)) else [value]
        mask = mask & np.isin(columns[name], list(options))
    return mask


def take(columns: Columns, mask: Mask) -> dict[str, NDArray[Any]]:
    """The rows under a mask."""
    return {name: column[mask] for name, column in columns.items()}


def usual_variant(columns: Columns) -> Mask:
    """Mask of the main arms: the smallest step budget, initial seed and width that an arm has in its cell.

    Robustness arms raise one of the three.
    """
    group, _ = group_rows(filled(columns), [*CELL, "arm"])
    mask: Mask = np.ones(len(group), dtype=bool)
    for name in VARIANT:
        value = np.nan_to_num(columns[name].astype(np.float64), nan=-1.0)
        smallest = np.full(len(np.unique(group)), np.inf)
        np.minimum.at(smallest, group, value)
        mask &= value == smallest[group]
    return mask


def filled(columns: Columns) -> dict[str, NDArray[Any]]:
    """Cell columns with one value for "does not apply", so that rows can be compared and grouped."""
    out = dict(columns)
    for name in CELL:
        column = columns[name]
        if column.dtype == object:
            out[name] = np.array(["" if value is None else str(value) for value in column])
        else:
            out[name] = np.nan_to_num(column.astype(np.float64), nan=-1.0)
    return out


def paired(
    columns: Columns, first: NDArray[np.bool_], second: NDArray[np.bool_], value: str = "test_accuracy"
) -> Pairs:
    """Pairs of two arms on the same task, training images and test items."""
    return pair_rows(filled(columns), first, second, [*CELL, "seed"], value)


def verdict(
    claim: str,
    decision: str,
    estimand: str,
    estimate: Estimate,
    sentence: str,
    *,
    threshold: float | None = None,
) -> dict[str, Any]:
    """One verdict row; undecided rows also say how many seeds would decide, or that this estimate holds nothing back.

    `threshold` is the value of the rule that lies nearest to the effect; without one, 0 is what an undecided effect
    would have to be told from.
    """
    power = f"80% power for an effect of {detectable_effect(estimate):.3g}"
    if decision == "undecided" and estimate.low <= (threshold or 0.0) <= estimate.high:
        needed = seeds_to_decide(estimate, threshold or 0.0)
        power += f"; about {needed} units would decide" if needed else "; more seeds would not decide"
    elif decision == "undecided":
        power += f"; the interval is clear of {threshold or 0:g}, another part of the rule is open"
    return {
        "claim": claim,
        "verdict": decision,
        "estimand": estimand,
        "effect": estimate.effect,
        "interval": [estimate.low, estimate.high],
        "threshold": threshold,
        "trials": estimate.trials,
        "sentence": sentence,
        "power": power,
    }


def cell_groups(columns: Columns, mask: Mask, by: Sequence[str] = CELL) -> list[NDArray[np.int64]]:
    """Row numbers of each cell under a mask."""
    rows = np.flatnonzero(mask)
    table = take(filled(columns), mask)
    key, _ = group_rows(table, list(by))
    return [rows[key == cell] for cell in np.unique(key)]


def check_leaks(
    columns: Columns, arms: Sequence[str], learner: str = "bayes", value: str = "test_accuracy"
) -> LeakTest:
    """No arm may beat the exact learner on the same images: one-sided paired t, pooled variance, Holm at .001."""
    differences: list[FloatArray] = []
    reference = chosen(columns, arm=learner)
    everything = filled(columns)
    cell_of, _ = group_rows(everything, list(CELL))
    variant_of, _ = group_rows(
        {name: np.nan_to_num(columns[name].astype(float), nan=-1.0) for name in VARIANT}, VARIANT
    )
    for arm in arms:
        rows = chosen(columns, arm=arm)
        for variant in np.unique(variant_of[rows]):
            pairs = paired(columns, rows & (variant_of == variant), reference, value)
            cells = cell_of[pairs.first_rows]
            differences += [pairs.difference[cells == cell] for cell in np.unique(cells)]
    return leak_test(differences)


def check_integral(columns: Columns, learner: str = "bayes", ceiling: str = "bayes_learned") -> IntegralCheck:
    """The exact learner against its closed form: share of cells outside their 99% t interval."""
    mask = chosen(columns, arm=learner) & np.isfinite(columns[ceiling].astype(np.float64))
    groups = [rows for rows in cell_groups(columns, mask) if len(rows) >= 20]
    accuracies = [columns["test_accuracy"][rows] for rows in groups]
    return integral_check(accuracies, [float(columns[ceiling][rows[0]]) for rows in groups])
