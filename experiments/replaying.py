"""One trial once more, alone: what it gives now, beside what is stored."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.batches import Batch, make_batches
from experiments.engines import open_processes
from experiments.measuring import measure_call
from experiments.records import COMPARED, TOLERANCE, clean_row, difference
from experiments.rows import make_rows, reason_of
from experiments.runner import train_batch
from experiments.spec import Trial
from experiments.tasks import stack_members
from sim.member import loss_path
from sim.training import BLOCK

SHOWN = ("status", "reason", *COMPARED, "nll", "calibration_error", "steps", "converged")


class Replay(NamedTuple):
    """A trial's new row, and for a diverged network its losses as (step, mean loss of the steps up to it)."""

    row: dict[str, Any]
    losses: list[tuple[int, float]]


def replay(study: str, trial: Trial) -> Replay:
    """Train and score one trial by itself; nothing is stored.

    A measured trial runs in a process of its own, on one device, as a run's do: more devices round otherwise.

    Raises:
        UsageError: factors that describe no possible task.
    """
    started = time.perf_counter()
    if trial.is_measured:
        with open_processes(1) as engine:
            return Replay(engine.executor.submit(measure_call, study, [trial]).result()[0], [])
    (batch,) = make_batches([trial], [trial.identity], len(jax.local_devices()))
    try:
        (row,) = make_rows(study, batch, train_batch(batch), time.perf_counter() - started)
    except (RuntimeError, ValueError, MemoryError) as error:  # what costs a run a failed row
        return Replay({"identity": trial.identity, "status": "failed", "reason": reason_of(error)}, [])
    return Replay(clean_row(row), follow_loss(batch) if row["status"] == "diverged" else [])


def follow_loss(batch: Batch) -> list[tuple[int, float]]:
    """The loss of a batch's first trial by step, until training ended or the loss was no longer finite."""
    member = jax.tree.map(lambda leaf: leaf[0], stack_members(list(batch.tasks)))
    losses = np.asarray(loss_path(batch.settings, member))
    return [((block + 1) * BLOCK, float(loss)) for block, loss in enumerate(losses) if np.isfinite(loss)]


def compare(stored: Mapping[str, Any], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The stored and the new value of each column that tells how it went; those that a store compares have a
    tolerance, and say whether they are within it.

    Example:
        >>> [line] = compare({"test_accuracy": 0.5}, {"test_accuracy": 0.51})
        >>> line["name"], line["within"]
        ('test_accuracy', True)
    """
    lines = []
    for name in SHOWN:
        before, now = stored.get(name), row.get(name)
        if before is None and now is None:
            continue
        within = None
        if name in COMPARED and before is not None and now is not None:
            within = abs(now - before) <= TOLERANCE
        lines.append({"name": name, "stored": before, "replayed": now, "within": within})
    return lines


def contradiction(stored: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
    """In what the new row contradicts the stored one beyond tolerance; None where it does not."""
    return difference(dict(stored), dict(row))
