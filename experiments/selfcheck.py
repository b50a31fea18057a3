"""Does this machine give the committed results? The smoke studies on its devices, against records made on CPU.

The records are remade, after a change that means to change results, by

    for study in codebook heads grid; do capsim run $study --preset smoke --store results/smoke; done
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from experiments.records import COMPARED, TOLERANCE, to_rows
from experiments.runner import Progress, run_trials
from experiments.spec import Study, Sweep
from experiments.store import COMMITTED, Store
from experiments.tasks import make_task, stack_members
from sim.population import train_population

RECORDS: Path = COMMITTED / "smoke"  # a store of its own beside the reference run
STUDIES = ("codebook", "heads", "grid")
FEW_ITEMS = 2.5  # an accuracy over few items moves in steps of one item: two of them may always flip
UNMEASURED = "speed and results are unmeasured on GPU/TPU by the authors; the records are from CPU"
CHUNKS = (1, 2, 4, 8, 16, 32)
_MLP = {"generator": "codebook", "network": "mlp", "dimension": 64, "inputs": 256, "test_items": 64,
        "learning_rate": 0.001, "weight_decay": 0.0, "input_noise": 0.0}  # fmt: skip
WORKLOADS: dict[str, dict[str, Any]] = {
    "mlp_small": {**_MLP, "width": 32, "outputs": 16, "batch_size": 16, "max_steps": 800},
    "mlp_medium": {**_MLP, "width": 128, "outputs": 256, "batch_size": 64, "max_steps": 200},
}


def allowed(row: Mapping[str, Any], name: str) -> float:
    """How far an accuracy of a trial may lie from its record: the store's tolerance, or a few items of few.

    Example:
        >>> allowed({"inputs": 10, "test_items": 1000}, "train_accuracy"), allowed({"test_items": 1000}, "exact_match")
        (0.25, 0.02)
    """
    items = row["inputs"] if name == "train_accuracy" else row["test_items"]
    return max(TOLERANCE, FEW_ITEMS / items)


def disagreement(record: Mapping[str, Any] | None, row: Mapping[str, Any]) -> str | None:
    """In what a row differs from its record beyond what is allowed; None where it does not."""
    if row["status"] == "failed":
        return f"failed: {row.get('reason', '')}"
    if record is None:
        return "has no record"
    if record["status"] != row["status"]:
        return f"status {row['status']} against {record['status']}"
    for name in COMPARED:
        now, before = row.get(name), record.get(name)
        if (now is None) != (before is None):
            return f"{name} {now} against {before}"
        if now is not None and before is not None and abs(now - before) > allowed(row, name):
            return f"{name} {now:.4f} against {before:.4f}"
    return None


def check_study(
    study: Study, store: Store, records: Store | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Run a study's smoke preset into `store` and compare each trial with its record.

    Returns:
        study, trials, agreeing, the largest difference in test accuracy, and differing: identity, arm, seed, reason.
    """
    trials = study.trials("smoke")
    rows = to_rows(run_trials(study.name, trials, store, progress)[0])
    kept = {row["identity"]: row for row in to_rows((records or Store(RECORDS)).read(study.name).table)}
    reasons = [disagreement(kept.get(row["identity"]), row) for row in rows]
    moved = [
        abs(row["test_accuracy"] - kept[row["identity"]]["test_accuracy"])
        for row in rows
        if "test_accuracy" in row and "test_accuracy" in kept.get(row["identity"], {})
    ]
    return {
        "study": study.name,
        "trials": len(trials),
        "agreeing": reasons.count(None),
        "largest_difference": max(moved, default=None),
        "differing": [
            {"identity": row["identity"], "arm": row["arm"], "seed": row["seed"], "reason": reason}
            for row, reason in zip(rows, reasons, strict=True)
            if reason is not None
        ],
    }


def measure_widths(chunks: tuple[int, ...] = CHUNKS, members: int = 32) -> Iterator[dict[str, Any]]:
    """Network-steps a second of populations of `members` networks a device, for each number vmapped together; data and
    scoring are included, compilation is not."""
    devices = len(jax.local_devices())
    for name, factors in WORKLOADS.items():
        tasks = [make_task(trial) for trial in Sweep(**factors, seeds=members * devices).trials()]
        population = stack_members(tasks)
        for chunk in chunks:
            train_population(tasks[0].settings, population, chunk=chunk)
            started = time.perf_counter()
            results = train_population(tasks[0].settings, population, chunk=chunk)
            rate = float(results.info.steps.sum()) / (time.perf_counter() - started)
            yield {"workload": name, "chunk": chunk, "steps_per_second": rate}
