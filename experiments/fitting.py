"""Accuracy-versus-output laws fitted to a study's rows, with the largest J and I held out and scored once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from experiments.studies import codebook
from experiments.studies.common import Columns, chosen, take, usual_variant
from experiments.verdicts import to_columns
from sim.analysis.fits import LawScore, compare_laws
from sim.theory.laws import LAWS

# Laws read `inputs`, `outputs` and `chance`; only the theorem needs the codebook's own columns.
_BASE = ("inputs", "outputs", "chance")
METRICS = {"codebook": ("test_accuracy",), "heads": ("exact_match", "pixel_accuracy"),
           "grid": ("exact_match", "pixel_accuracy"), "digits": ("test_accuracy",)}  # fmt: skip
FITTED: dict[str, dict[str, Any]] = {"heads": {"labels": 4}, "grid": {"labels": 2, "field": "independent"}}
MIN_CELLS = 6  # fewer cells than this cannot tell laws of two and three parameters apart


def _prepare(study: str, columns: Columns, arm: str, metric: str) -> dict[str, Any] | None:
    """The main rows of one arm with the columns that laws read."""
    if study == "codebook":
        rows = codebook.main_rows(columns, arm)
    else:
        wanted = {"arm": arm, **FITTED.get(study, {})}
        rows = take(columns, chosen(columns, **wanted) & usual_variant(columns))
    if not len(rows["arm"]):
        return None
    chance = rows["pixel_chance"] if metric == "pixel_accuracy" else rows["chance"]
    return {**rows, "outputs": 2.0 ** rows["log2_outputs"], "chance": chance}


def _held_out(rows: Mapping[str, Any]) -> Any:
    outputs, inputs = rows["outputs"], rows["inputs"]
    return (outputs == outputs.max()) | (inputs == inputs.max())


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


def fit_study(study: str, table: pa.Table) -> list[dict[str, Any]]:
    """Fit every law to every arm of a study, best law first within an arm and metric.

    Args:
        study: the study's name.
        table: its rows.

    Returns:
        one row a law, arm and metric: parameters with 95% intervals, criterion (BIC of seed-level residuals), error on
        the held-out cells, and how many starts agreed. Arms with fewer than six cells are left out.
    """
    columns = to_columns(table)
    found: list[dict[str, Any]] = []
    for arm in sorted(set(columns["arm"]) - {""}):
        for metric in METRICS.get(study, ("test_accuracy",)):
            rows = _prepare(study, columns, arm, metric)
            if rows is None:
                continue
            theorem = study == "codebook"
            names = codebook.LAW_COLUMNS if theorem else _BASE
            held = _held_out(rows)
            cells = {tuple(float(rows[name][i]) for name in names) for i in np.flatnonzero(~held)}
            if len(cells) < MIN_CELLS:
                continue
            laws = [law for law in LAWS.values() if theorem or law.name != "theorem"]
            ranking = compare_laws(laws, {name: rows[name] for name in names}, rows[metric], held_out=held)
            found += [_row(score, arm, metric, ranking.statement) for score in ranking.scores]
    return found
