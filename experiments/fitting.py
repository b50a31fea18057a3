"""Accuracy-versus-output laws fitted to the rows of a study or of a user's table, the largest J and I held out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from experiments.own_data import OwnRows
from experiments.studies import codebook
from experiments.studies.common import Columns, chosen, take, usual_variant
from experiments.verdicts import to_columns
from sim.analysis.fits import LawRanking, LawScore, compare_laws
from sim.theory.laws import LAWS
from sim.types import Law

# Laws read `inputs`, `outputs` and `chance`; only the theorem needs the codebook's own columns.
_BASE = ("inputs", "outputs", "chance")
METRICS = {"codebook": ("test_accuracy",), "heads": ("exact_match", "pixel_accuracy"),
           "grid": ("exact_match", "pixel_accuracy"), "digits": ("test_accuracy",)}  # fmt: skip
FITTED: dict[str, dict[str, Any]] = {"heads": {"labels": 4}, "grid": {"labels": 2, "field": "independent"}}
LARGEST_LOG2 = 1024.0  # laws read J itself, and a float64 ends below 2^1024: 32 x 32 pixels of two labels
MIN_CELLS = 6  # two more than the four parameters of the largest laws, so that every law can be seen to miss


def arm_rows(study: str, columns: Columns, arm: str, metric: str) -> dict[str, Any] | None:
    """The main rows of one arm with the columns that laws read; those whose J no float64 holds are left out."""
    if study == "codebook":
        rows = codebook.main_rows(columns, arm)
    else:
        wanted = {"arm": arm, **FITTED.get(study, {})}
        rows = take(columns, chosen(columns, **wanted) & usual_variant(columns))
    rows = take(rows, rows["log2_outputs"].astype(np.float64) < LARGEST_LOG2)  # before J is taken out of its logarithm
    if not len(rows["arm"]):
        return None
    chance = rows["pixel_chance"] if metric == "pixel_accuracy" else rows["chance"]
    return {**rows, "outputs": np.exp2(rows["log2_outputs"].astype(np.float64)), "chance": chance}


class Arm(NamedTuple):
    """What laws are fitted to: the rows of one arm, scored by one metric.

    Attributes:
        name: the arm.
        metric: the score.
        columns: what the laws read and what tells cells apart.
        rows: all columns of the same rows.
        accuracy: of each row. variance, trials: as in `compare_laws`.
        held_out: bool, rows that are scored once; None if there are too few cells for that.
        laws: the laws that can be fitted.
    """

    name: str
    metric: str
    columns: dict[str, Any]
    rows: Mapping[str, Any]
    accuracy: Any
    variance: Any
    trials: Any
    held_out: Any
    laws: tuple[Law, ...]


def largest_held_out(rows: Mapping[str, Any]) -> Any:
    """Mask of the rows with the largest outputs or the largest inputs."""
    outputs, inputs = rows["outputs"], rows["inputs"]
    return (outputs == outputs.max()) | (inputs == inputs.max())


def num_cells(columns: Mapping[str, Any], mask: Any) -> int:
    """Cells among the rows under a mask."""
    return len(np.unique(np.stack([np.asarray(column)[mask] for column in columns.values()], axis=1), axis=0))


def _row(score: LawScore, arm: str, metric: str, statement: str) -> dict[str, Any]:
    fit = score.fit
    return {
        "law": fit.law.name,
        "arm": arm,
        "metric": metric,
        "parameters": {
            name: {"value": value, "interval": list(fit.intervals[name])} for name, value in fit.parameters.items()
        },
        "criterion": fit.criterion,
        "rms": fit.rms,
        "heldout_error": score.held_out_error,
        "starts_agreeing": fit.starts_agreeing,
        "at_bound": list(fit.at_bound),
        "tied_with_best": score.tied,
        "statement": statement,
    }


def study_arms(study: str, table: pa.Table) -> list[Arm]:
    """The arms of a study that can be fitted: those with six cells or more besides the held-out ones."""
    columns = to_columns(table)
    theorem = study == "codebook"
    names = codebook.LAW_COLUMNS if theorem else _BASE
    laws = tuple(law for law in LAWS.values() if theorem or law.name != "theorem")
    found = []
    for arm in sorted(set(columns["arm"]) - {""}):
        for metric in METRICS.get(study, ("test_accuracy",)):
            rows = arm_rows(study, columns, arm, metric)
            if rows is None or not np.isfinite(rows[metric].astype(np.float64)).all():
                continue  # an arm that is scored by other metrics
            read, held = {name: rows[name] for name in names}, largest_held_out(rows)
            if num_cells(read, ~held) >= MIN_CELLS:
                found.append(Arm(arm, metric, read, rows, rows[metric], None, None, held, laws))
    return found


def own_arms(groups: Sequence[OwnRows]) -> list[Arm]:
    """The groups of a user's table that can be fitted: those with six cells or more.

    The largest inputs and outputs are held out, each where it is varied, if six cells are left to fit.
    """
    laws = tuple(law for law in LAWS.values() if law.name != "theorem")
    found = []
    for group in groups:
        read = {name: group.columns[name] for name in _BASE}
        largest = [column == column.max() for column in (read["inputs"], read["outputs"]) if np.ptp(column) > 0]
        held = np.any(largest, axis=0) if largest else np.zeros(len(group.accuracy), dtype=bool)
        if num_cells(read, ~held) < MIN_CELLS:
            held = np.zeros(len(group.accuracy), dtype=bool)
        if num_cells(read, ~held) >= MIN_CELLS:
            kept = held if held.any() else None
            moments = (group.accuracy, group.variance, group.trials)
            found.append(Arm(group.name, "accuracy", read, group.columns, *moments, kept, laws))
    return found


def rank_arm(arm: Arm) -> LawRanking:
    """The laws of one arm, best first."""
    return compare_laws(
        arm.laws, arm.columns, arm.accuracy, held_out=arm.held_out, variance=arm.variance, trials=arm.trials
    )


def law_rows(arm: Arm, ranking: LawRanking) -> list[dict[str, Any]]:
    """One row a law, best law first."""
    return [_row(score, arm.name, arm.metric, ranking.statement) for score in ranking.scores]


def fit_arms(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """One row a law, arm and metric, best law first within an arm and metric."""
    return [row for arm in arms for row in law_rows(arm, rank_arm(arm))]


def fit_study(study: str, table: pa.Table) -> list[dict[str, Any]]:
    """Fit every law to every arm of a study, best law first within an arm and metric.

    Args:
        study: the study's name.
        table: its rows.

    Returns:
        one row a law, arm and metric: parameters with 95% intervals, criterion (BIC of seed-level residuals), error on
        the held-out cells, and how many starts agreed. Arms with fewer than six cells are left out.
    """
    return fit_arms(study_arms(study, table))


def fit_own(groups: Sequence[OwnRows]) -> list[dict[str, Any]]:
    """The same for the groups of a user's own table.

    Raises:
        ValueError: rows that show no variance, neither by repeats nor by counts.
    """
    return fit_arms(own_arms(groups))
