"""From results to verdicts, by each study's own rule, and whether that rule is the one the run was started with."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from experiments.records import RANK_COLUMNS, spread
from experiments.spec import Study, rule_hash
from experiments.studies.common import Columns

VERDICTS = ("supported", "refuted", "undecided", "conditional", "tampered")


def to_columns(table: pa.Table) -> dict[str, np.ndarray[Any, Any]]:
    """What rules, fits and figures see: numbers as float64 with NaN for null, flags and text as they are.

    Trials that keep their ranks are left out with their list columns: they are there for `extrapolating` alone, and in
    a cell of a study they would weigh on one arm and not on its rivals.

    Example:
        >>> to_columns(pa.table({"inputs": [1, None], "arm": ["a", "b"]}))["inputs"].tolist()
        [1.0, nan]
    """
    columns: dict[str, np.ndarray[Any, Any]] = {}
    table = spread(table)
    if "keep_ranks" in table.column_names:
        table = table.filter(pa.array([not kept for kept in table["keep_ranks"].to_pylist()], pa.bool_()))
        table = table.drop_columns([name for name in RANK_COLUMNS if name in table.column_names])
    for name in table.column_names:
        kind, values = table.schema.field(name).type, table[name].to_pylist()
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            columns[name] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        elif pa.types.is_boolean(kind):
            columns[name] = np.array([bool(value) for value in values], dtype=bool)
        else:
            columns[name] = np.array(["" if value is None else value for value in values], dtype=object)
    return columns


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _clean(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(inner) for inner in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def judge_study(study: Study, table: pa.Table, ledger: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Judge a study's rows.

    Args:
        study: the study, whose `judge` decides.
        table: its rows.
        ledger: the store's full runs of this study; where the last one was made under another rule, every verdict
            reads "tampered" and says so.

    Returns:
        rows with study, claim, arm, verdict, estimand, effect, interval, trials, rule_hash, sentence, power; empty
        where the table lacks what the rule needs.
    """
    columns: Columns = to_columns(table)
    if not len(columns["arm"]):
        return []
    current = rule_hash(study)
    committed = {str(entry["rule_hash"]) for entry in ledger[-1:] if "rule_hash" in entry}
    rows = []
    for row in study.judge(columns):
        full = {"study": study.name, **row, "rule_hash": current}
        if committed and current not in committed:
            full["verdict"] = "tampered"
            full["sentence"] = f"The rule changed after its run (was {min(committed)[:12]}). " + full["sentence"]
        rows.append(_clean(full))
    return rows
