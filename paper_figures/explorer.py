"""What the report's explorer shows: curves of accuracy against J, one for each arm, task, score and I of the records.

A curve has the measured points with intervals, the exact ceilings and chance that theory gives for its cells, and the
law that was fitted to its arm. The page's script draws them; the same numbers are a table.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.console import show
from experiments.fitting import METRICS, arm_rows
from experiments.studies.common import CELL, Columns, chosen, filled, take, usual_variant
from paper_figures.laws import Curves, FittedArm
from paper_figures.selection import Points, summarise
from paper_figures.style import ARMS, LIMITS

ALONG = ("inputs", "outputs", "tiles", "rows", "columns", "grid_size", "frame")  # what J and I of a curve are made of
KEYS = ("study", "learner", "head", "task", "noise", "score", "inputs")  # what a reader chooses, in this order
HEADS = {
    "": "none: no network",
    "jway": "jway: one output a label map",
    "dense": "dense: one output a tile or pixel",
    "shared": "shared: outputs share weights",
}
CEILINGS = {"bayes_learned": "learned", "bayes_composed": "composed", "bayes_known": "known"}
LOOKS = {"learned": 0, "posterior": 0, "composed": 0, "known": 1, "class_mean": 2, "chance": 3}  # classes of the style
_OWN_CEILINGS = {"blocks": {"bayes_learned": "class_mean"}, "fields": {"bayes_known": "posterior"}}


class Curve(NamedTuple):
    """One choice of the explorer.

    Attributes:
        keys: what a reader chooses, by the names of `KEYS`.
        points: rows (log2 J, mean, low, high, trials); low and high are None where there is one trial a cell.
        limits: name of the legend -> rows (log2 J, value).
        laws: the law that was fitted to rows of this task; None without one.
    """

    keys: dict[str, Any]
    points: list[list[Any]]
    limits: dict[str, list[list[float]]]
    laws: Curves | None


def _number(value: Any) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _task_columns(rows: Columns) -> list[str]:
    """The factors of the task that the rows vary, noise left aside."""
    names = [name for name in CELL if name not in (*ALONG, "noise") and name in rows]
    return [name for name in names if len(np.unique(filled(rows)[name].astype(str))) > 1]


def _words(name: str, value: Any) -> str:
    """A factor with its value, empty where it does not apply."""
    if isinstance(value, (bool, np.bool_)):
        return name if value else f"not {name}"
    if isinstance(value, str):
        return f"{name} {value}" if value else ""
    return f"{name.replace('_', ' ')} {show(float(value))}" if np.isfinite(value) else ""


def _limits(rows: Columns, inputs: Any, metric: str) -> dict[str, list[list[float]]]:
    """Ceilings and chance over log2 J: those that depend on I at these inputs, the others at every J of the rows."""
    pixel = metric == "pixel_accuracy"
    names = CEILINGS | _OWN_CEILINGS.get(str(rows["generator"][0]), {})
    columns = {"pixel_bayes_known": names["bayes_known"]} if pixel else names
    columns |= {"pixel_chance" if pixel else "chance": "chance"}
    found = {}
    for column, limit in columns.items():
        there = np.isfinite(rows[column])
        if column in ("bayes_learned", "bayes_composed"):
            there &= rows["inputs"] == inputs
        bits, first = np.unique(rows["log2_outputs"][there], return_index=True)
        values = rows[column][there][first]
        if len(bits):
            found[LIMITS[limit].label] = np.round(np.stack([bits, values], axis=1), 6).tolist()
    return found


def _task(rows: Columns, names: Sequence[str], index: int) -> tuple[str, ...]:
    return tuple(_words(name, rows[name][index]) for name in (*names, "noise"))


def _tasks(rows: Columns | None, names: Sequence[str]) -> list[tuple[str, ...]]:
    """The task of each row, in words, noise last."""
    return [] if rows is None else [_task(rows, names, index) for index in range(len(rows["arm"]))]


def _arm_curves(
    study: str, columns: Columns, rows: Columns, arm: str, laws: Mapping[tuple[str, str], Curves]
) -> Iterator[Curve]:
    names = _task_columns(rows)
    mine = take(rows, rows["arm"] == arm)
    head = str(mine["head"][0])
    tasks = _tasks(mine, names)
    for metric in METRICS.get(study, ("test_accuracy",)):
        law = laws.get((arm, metric))
        fitted = set(_tasks(arm_rows(study, columns, arm, metric), names)) if law is not None else set()
        for task in sorted(set(tasks)):
            here = take(mine, np.array([other == task for other in tasks]) & np.isfinite(mine[metric]))
            if not len(here["arm"]):
                continue
            keys = {
                "study": study, "learner": arm.replace(f"/{head}", "") if head else arm, "head": head,
                "task": ", ".join(filter(None, task[:-1])), "noise": task[-1].removeprefix("noise "),
                "score": metric.replace("_", " "),
            }  # fmt: skip
            cells = summarise(here, ["inputs", "log2_outputs"], metric)
            for inputs in np.unique(here["inputs"]):
                points = cells.where(cells.columns["inputs"] == inputs)
                yield Curve(
                    keys | {"inputs": int(inputs)},
                    _measured(points),
                    _limits(here, inputs, metric),
                    law if task in fitted else None,
                )


def _measured(points: Points) -> list[list[Any]]:
    return [
        [_number(bits), _number(mean), _number(low), _number(high), int(trials)]
        for bits, mean, (low, high), trials in zip(
            points.columns["log2_outputs"], points.mean, points.interval, points.trials, strict=True
        )
    ]


def make_curves(columns: Mapping[str, Columns], fitted: Sequence[FittedArm]) -> list[Curve]:
    """All curves of some studies, in the order of studies, arms, tasks, scores and I.

    Args:
        columns: study -> rows as NumPy columns. Rows that know no number of outputs are left out.
        fitted: the laws of their arms.
    """
    curves: list[Curve] = []
    for study, table in columns.items():
        mask = chosen(table) & np.isfinite(table["log2_outputs"]) & np.isfinite(table["inputs"])
        rows = take(table, mask & usual_variant(table))
        laws = {(one.arm, one.metric): one.curves for one in fitted if one.study == study and one.curves is not None}
        for arm in sorted(set(rows["arm"])):
            curves += _arm_curves(study, table, rows, arm, laws)
    return curves


def to_json(curves: Sequence[Curve]) -> dict[str, Any]:
    """What the page's script reads: curves, laws once each, and words for what a reader chooses."""
    laws: dict[int, int] = {}
    shared: list[dict[str, Any]] = []
    listed = []
    for curve in curves:
        law, inputs = curve.laws, float(curve.keys["inputs"])
        entry: dict[str, Any] = {**curve.keys, "points": curve.points, "limits": curve.limits, "law": None}
        if law is not None and inputs in law.at:
            if id(law) not in laws:
                laws[id(law)] = len(shared)
                bits = [round(float(value), 6) for value in law.bits]
                ends = [round(end, 6) for end in law.measured]
                shared.append({"name": law.law, "statement": law.statement, "bits": bits, "measured": ends})
            entry["law"] = laws[id(law)]
            entry["curve"] = np.round(law.at[inputs], 5).tolist()
        listed.append(entry)
    learners = {str(curve.keys["learner"]) for curve in curves}
    labels = {name: f"{name}: {ARMS[name].label}" for name in sorted(learners) if name in ARMS}
    looks = {LIMITS[name].label: look for name, look in LOOKS.items()}
    return {"keys": KEYS, "curves": listed, "laws": shared, "looks": looks, "words": {"learner": labels, "head": HEADS}}


def to_rows(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """The same numbers as a tidy table: one row a point of a series."""
    rows: list[dict[str, Any]] = []
    for curve in curves:
        keys = curve.keys
        rows += [
            {**keys, "series": "measured", "log2_outputs": bits, "mean": mean, "low": low, "high": high, "trials": n}
            for bits, mean, low, high, n in curve.points
        ]
        for name, values in curve.limits.items():
            rows += [{**keys, "series": name, "log2_outputs": bits, "mean": value} for bits, value in values]
        law = curve.laws
        if law is not None and float(keys["inputs"]) in law.at:
            low, mean, high = law.at[float(keys["inputs"])].tolist()
            rows += [
                {**keys, "series": f"law {law.law}", "log2_outputs": bits, "mean": m, "low": lo, "high": hi}
                for bits, m, lo, hi in zip(law.bits.tolist(), mean, low, high, strict=True)
            ]
    return rows
