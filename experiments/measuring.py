"""Trials of measured families: how they are cut into calls, and from scores to rows.

A call is the unit of loss, as a batch is for populations: its rows are published together, by the worker that measured
them.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.families.registry import FAMILIES, predicted_measuring
from experiments.measures.registry import measure_of
from experiments.records import COLUMNS, clean_row
from experiments.rows import failed_rows, provenance, stored_factors
from experiments.spec import Trial, canonical_json


def make_calls(trials: Sequence[Trial], pending: Iterable[str]) -> list[tuple[Trial, ...]]:
    """Cut the pending measured trials of a plan into calls of like trials, the longest first.

    Args:
        trials: the whole plan, others among them.
        pending: identities still to run.
    """
    wanted, groups = set(pending), dict[tuple[Any, ...], list[Trial]]()
    for trial in trials:
        if trial.is_measured and trial.identity in wanted:
            factors = dict(trial.factors)
            alike = tuple(factors[name] for name in FAMILIES[factors["generator"]].together)
            groups.setdefault((factors["generator"], *alike), []).append(trial)
    calls = []
    for (family, *_), group in groups.items():
        ordered = sorted(group, key=lambda trial: (predicted_measuring([trial]), trial.identity))
        size = FAMILIES[family].batch
        calls += [tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)]
    return sorted(calls, key=lambda call: (-predicted_measuring(call), call[0].identity))


def measure_call(study: str, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The rows of one call; a call that raises is tried again in halves, down to one trial, so that one bad trial costs
    one failed row."""
    started = time.perf_counter()
    try:
        scores = measure_of(dict(trials[0].factors)["generator"])(trials)
        seconds = (time.perf_counter() - started) / len(trials)
        return [make_row(study, trial, found, seconds) for trial, found in zip(trials, scores, strict=True)]
    except (RuntimeError, ValueError, MemoryError, ArithmeticError) as error:
        if len(trials) > 1:
            cut = (len(trials) + 1) // 2
            return measure_call(study, trials[:cut]) + measure_call(study, trials[cut:])
        return failed_rows(study, trials, error, provenance())


def make_row(study: str, trial: Trial, scores: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """One tidy row from a trial's scores: numbers, of which those without a column go to `scores_json`.

    Args:
        scores: name -> number, NaN where undefined; "diverged" -> the reason, where training diverged.
        seconds: what the trial took.

    Raises:
        ValueError: a score that is no number.
    """
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in scores.items()}
    reason = plain.pop("diverged", "")
    wrong = [name for name, value in plain.items() if not isinstance(value, (bool, int, float))]
    if wrong:
        raise ValueError(f"{wrong[0]} must be a number, got {plain[wrong[0]]!r}")
    others = {name: float(value) for name, value in plain.items() if name not in COLUMNS and math.isfinite(value)}
    row = {
        **stored_factors(trial),
        **{name: value for name, value in plain.items() if name in COLUMNS},
        "identity": trial.identity,
        "factors_json": trial.factors_json,
        "scores_json": canonical_json(others),
        "study": study,
        "arm": trial.arm,
        "seed": trial.seed,
        "status": "diverged" if reason else "ok",
        "reason": reason,
        "seconds": seconds,
        **provenance(),
    }
    return clean_row(row)
