"""Run what is missing: pending trials -> groups of equal shape -> batches -> population -> store.

Done means a verified row in the store; nothing else is remembered. A batch is the unit of loss: its rows are
published together as soon as it ends, so a kill costs at most the batch that was running.
"""

import importlib.metadata
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pyarrow as pa

from experiments.cost import predicted_cost, predicted_seconds
from experiments.limits import limits_of
from experiments.records import root_hash, select, settled
from experiments.spec import Study, Sweep, Trial, UsageError, rule_hash
from experiments.store import Store
from experiments.tasks import Task, make_task, stack_members
from sim.networks.registry import NetworkSettings, num_parameters
from sim.population import Results, Settings, train_population

MEMBERS_PER_DEVICE = 8  # members of a batch on each device: some ten seconds of work, so a kill loses little

Progress = Callable[["Report"], None]
Train = Callable[["Batch"], Results]  # how a batch becomes results: the population engine, or a test's stand-in


class Report(NamedTuple):
    """Where a run stands: trials done and in all, trials a second, seconds left."""

    done: int
    total: int
    rate: float
    seconds_left: float


class Batch(NamedTuple):
    """Trials that run as one population, and the number of slots that their program is compiled for."""

    settings: Settings
    trials: tuple[Trial, ...]
    tasks: tuple[Task, ...]
    slots: int


def make_batches(trials: Sequence[Trial], pending: Iterable[str], devices: int) -> list[Batch]:
    """Group trials by compiled shape and cut the pending ones into batches.

    Args:
        trials: the whole plan; it alone decides the shapes, so a resumed run compiles what the first one did.
        pending: identities still to run.
        devices: local devices.

    Raises:
        UsageError: a trial that describes no possible task.
    """
    wanted = set(pending)
    groups: dict[Any, list[tuple[Trial, Task]]] = {}
    for trial in trials:
        try:
            task = make_task(trial)
        except UsageError:
            raise
        except ValueError as error:  # a part of `sim` refused its settings: still the user's mistake
            raise UsageError(str(error)) from error
        settings = task.settings
        static = (settings.generator.name, settings.learner, settings.test_items, settings.training)
        groups.setdefault((static, jax.tree.structure(task.member)), []).append((trial, task))
    batches = []
    for group in groups.values():
        max_inputs = max(task.settings.max_inputs for _, task in group)
        settings = group[0][1].settings
        settings = Settings(settings.generator, settings.learner, max_inputs, settings.test_items, settings.training)
        slots = min(MEMBERS_PER_DEVICE * devices, len(group) + len(group) % devices)
        # Members of a batch should end together, and those with large J and I take the most of their budget.
        todo = sorted(
            (pair for pair in group if pair[0].identity in wanted),
            key=lambda p: (predicted_cost(*p), dict(p[0].factors)["inputs"], p[0].identity),
        )
        for start in range(0, len(todo), slots):
            part = todo[start : start + slots]
            batches.append(Batch(settings, tuple(trial for trial, _ in part), tuple(task for _, task in part), slots))
    return batches


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """Versions, device and commit, as they stand in every row."""
    packages = ("capsim", "jax", "flax", "optax", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        commit = "unknown"
    device = jax.devices()[0]
    return {
        "versions": " ".join(f"{name}={version}" for name, version in versions.items()),
        "device": f"{len(jax.devices())} {device.platform} {device.device_kind} ({platform.machine()})",
        "commit": commit,
    }


def _scalar(value: Any) -> Any:
    item = np.asarray(value).item()
    return item


def make_rows(study: str, batch: Batch, results: Results, seconds: float) -> list[dict[str, Any]]:
    """One tidy row a trial, from what the population returned and what theory says about its cell."""
    rows = []
    for index, (trial, task) in enumerate(zip(batch.trials, batch.tasks, strict=True)):
        factors = dict(trial.factors)
        test = {name: _scalar(values[index]) for name, values in results.test._asdict().items()}
        info = {name: _scalar(values[index]) for name, values in results.info._asdict().items()}
        learner, limits = task.settings.learner, limits_of(factors)
        spec, generator = task.member.spec, task.settings.generator
        network = learner if isinstance(learner, NetworkSettings) else None
        units = network.units if network else generator.units(spec)
        labels = int(generator.num_labels(spec))
        classes = round(2 ** limits["log2_outputs"]) if network and network.head == "jway" else labels
        validation = int(trial.seed) >= 900_000  # tuning seeds: their held-out items are validation, never test
        row = {
            **factors,
            **limits,
            "identity": trial.identity,
            "factors_json": trial.factors_json,
            "study": study,
            "arm": trial.arm,
            "seed": trial.seed,
            "inputs_per_output": factors["inputs"] / 2.0 ** limits["log2_outputs"],
            "num_inputs": factors["inputs"],
            "output_units": units * classes,
            "num_parameters": num_parameters(network) if network else 0,
            "steps": info["steps"],
            "train_accuracy": _scalar(results.train_accuracy[index]),
            "validation_accuracy": test["exact_match"] if validation else None,
            "test_accuracy": test["exact_match"],
            "pixel_accuracy": test["pixel_accuracy"],
            "exact_match": test["exact_match"],
            "marginal_exact_match": test["marginal_exact_match"],
            "dice": test["dice"],
            "nll": test["nll"],
            "calibration_error": test["calibration_error"],
            "test_items": int(test["test_items"]),
            "rho": _rho(test["exact_match"], limits["chance"], limits["bayes_known"]),
            "converged": bool(info["converged"]),
            "status": "ok" if info["finite"] else "diverged",
            "reason": "" if info["finite"] else f"training loss not finite at step {info['steps']}",
            "seconds": seconds / len(batch.trials),
            **provenance(),
        }
        rows.append(row)
    return rows


def _rho(accuracy: float, chance: float, ceiling: float) -> float:
    """(A - chance) / (ceiling - chance): NaN where there is nothing to win."""
    return (accuracy - chance) / (ceiling - chance) if ceiling - chance > 1e-12 else float("nan")


def _failed_rows(study: str, batch: Batch, error: Exception) -> list[dict[str, Any]]:
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return [
        {**dict(t.factors), "identity": t.identity, "study": study, "arm": t.arm, "seed": t.seed,
         "factors_json": t.factors_json, "status": "failed", "reason": reason, **provenance()}
        for t in batch.trials
    ]  # fmt: skip


def train_batch(batch: Batch) -> Results:
    """Train one batch with the population engine, on all local devices."""
    return train_population(batch.settings, stack_members(list(batch.tasks)), slots=batch.slots)


def run_batch(study: str, batch: Batch, store: Store, train: Train = train_batch) -> list[dict[str, Any]]:
    """Train one batch and publish its rows; a batch that raises is tried once more trial by trial, so that one bad
    trial costs one failed row."""
    started = time.perf_counter()
    try:
        rows = make_rows(study, batch, train(batch), time.perf_counter() - started)
    except (RuntimeError, ValueError, MemoryError) as error:
        if len(batch.trials) == 1:
            rows = _failed_rows(study, batch, error)
        else:
            singles = zip(batch.trials, batch.tasks, strict=True)
            return [
                row
                for trial, task in singles
                for row in run_batch(study, Batch(batch.settings, (trial,), (task,), 1), store, train)
            ]
    store.publish(study, rows)
    return rows


def run_trials(
    study: str, trials: Sequence[Trial], store: Store, progress: Progress | None = None, train: Train = train_batch
) -> tuple[pa.Table, int]:
    """Run the trials that the store lacks; returns the plan's rows and how many were trained now."""
    store.check_writable()
    done = settled(store.read(study).table)
    pending = [trial.identity for trial in trials if trial.identity not in done]
    batches = make_batches(trials, pending, len(jax.local_devices())) if pending else []
    started, trained, spent = time.perf_counter(), 0, 0.0
    costs = [sum(map(predicted_cost, batch.trials, batch.tasks)) for batch in batches]
    for batch, cost in zip(batches, costs, strict=True):
        trained += len(run_batch(study, batch, store, train))
        spent += cost
        if progress is not None:
            elapsed = time.perf_counter() - started
            left = elapsed * (sum(costs) - spent) / spent
            progress(Report(len(trials) - len(pending) + trained, len(trials), trained / elapsed, left))
    if batches:
        store.compact(study)
    return select(store.read(study).table, trials), trained


def count(table: pa.Table, status: str) -> int:
    """How many rows have a status."""
    return sum(value == status for value in table["status"].to_pylist())


def run_study(
    study: Study,
    preset: str,
    store: Store,
    overrides: Mapping[str, Sequence[Any]] | None = None,
    seeds: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run a study's preset to the end; safe to kill and to repeat. Returns the JSON object of `capsim run`."""
    started = time.perf_counter()
    trials = study.trials(preset, overrides or {}, seeds)
    done = settled(store.read(study.name).table)
    pending = [trial.identity for trial in trials if trial.identity not in done]
    predicted = predicted_seconds(make_batches(trials, pending, 1), store) if pending else 0.0
    table, trained = run_trials(study.name, trials, store, progress)
    summary = {
        "study": study.name,
        "preset": preset,
        "trials": len(trials),
        "trained": trained,
        "failed": count(table, "failed"),
        "diverged": count(table, "diverged"),
        "seconds": round(time.perf_counter() - started, 3),
        "predicted_seconds": round(predicted, 3),
        "store": str(store.path),
        "root_hash": root_hash(table),
    }
    if table.num_rows == len(trials) and trained and not overrides and seeds is None:
        store.append_ledger(study.name, {**summary, "rule_hash": rule_hash(study)})
    return summary


def run(sweep: Sweep, store: str | Path = "store", study: str = "sweep", progress: Progress | None = None) -> pa.Table:
    """Run a parameter sweep of your own and return its tidy table; resumes what `store` already holds.

    Args:
        sweep: the grid; see `experiments.Sweep`.
        store: folder of the results.
        study: name under which the rows are kept.

    Example: README shows a sweep in ten lines.
    """
    return run_trials(study, sweep.trials(), Store(store), progress)[0]
