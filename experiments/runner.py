"""Run what is missing: pending trials -> groups of equal shape -> batches -> an engine's workers -> store.

Done means a verified row in the store; nothing else is remembered. A batch is the unit of loss: its rows are
published together as soon as it ends, by the worker that trained it, so a kill costs at most the batch that was
running. What goes to a worker are the factors and seeds of a batch; what comes back are identities and statuses.
"""

import importlib.metadata
import platform
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pyarrow as pa

from experiments.cost import predicted_cost, predicted_seconds
from experiments.engines import Engine, WorkerKilledError, as_engine
from experiments.limits import limits_of
from experiments.probing import train_planned
from experiments.records import RANK_COLUMNS, check_ranks_fit, root_hash, select, settled
from experiments.sharing import Claim, check_sight, offer
from experiments.spec import Study, Sweep, Trial, UsageError, rule_hash
from experiments.store import Store
from experiments.tasks import Task, make_task, stack_members
from sim.networks.registry import NetworkSettings, num_parameters
from sim.population import Ranks, Results, Settings, train_population

MEMBERS_PER_DEVICE = 8  # members of a batch on each device: some ten seconds of work, so a kill loses little
SETTLED = ("identity", "status")  # the columns that say what is done
READ_ATTEMPTS = 60  # a second each; network file systems keep a folder's listing for up to a minute

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


class Job(NamedTuple):
    """A batch as it is sent to a worker, which makes its tasks anew: plain values, no code.

    Attributes:
        study: name under which the rows are kept.
        trials: (factors, seed) of each trial.
        max_inputs: rows that the batch's program holds for training images.
        slots: members that its program is compiled for.
    """

    study: str
    trials: tuple[tuple[tuple[tuple[str, Any], ...], int], ...]
    max_inputs: int
    slots: int
    claim: Claim


Outcome = tuple[str, str, bool]  # identity, status, whether this call trained it or found it stored


def make_batches(trials: Sequence[Trial], pending: Iterable[str], devices: int) -> list[Batch]:
    """Group trials by compiled shape and cut the pending ones into batches.

    Args:
        trials: the whole plan; it alone decides the shapes, so a resumed run compiles what the first one did.
        pending: identities still to run.
        devices: local devices.

    Raises:
        UsageError: a trial that describes no possible task, or more ranks than a store may hold.
    """
    check_ranks_fit(trials)
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
        static = (
            settings.generator.name, settings.learner, settings.test_items, settings.training, settings.keep_ranks
        )  # fmt: skip
        groups.setdefault((static, jax.tree.structure(task.member)), []).append((trial, task))
    batches = []
    for group in groups.values():
        max_inputs = max(task.settings.max_inputs for _, task in group)
        settings = replace(group[0][1].settings, max_inputs=max_inputs)
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
        if results.ranks is not None and info["finite"]:
            row |= _rank_columns(results.ranks, index)
        rows.append(row)
    return rows


def _rank_columns(ranks: Ranks, index: int) -> dict[str, Any]:
    """The list columns of one trial, for the items that exist; none where weights overflowed after the last loss."""
    columns = {name: np.asarray(values[index]) for name, values in zip(RANK_COLUMNS, ranks, strict=True)}
    there = columns["rank_class"] >= 0
    if not np.isfinite(columns["rank_margin"][there]).all():
        return {}
    return {name: values[there] for name, values in columns.items()}


def _rho(accuracy: float, chance: float, ceiling: float) -> float:
    """(A - chance) / (ceiling - chance): NaN where there is nothing to win."""
    return (accuracy - chance) / (ceiling - chance) if ceiling - chance > 1e-12 else float("nan")


def _failed_rows(
    study: str, trials: Iterable[Trial], error: Exception, circumstances: Mapping[str, str]
) -> list[dict[str, Any]]:
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return [
        {**dict(t.factors), "identity": t.identity, "study": study, "arm": t.arm, "seed": t.seed,
         "factors_json": t.factors_json, "status": "failed", "reason": reason, **circumstances}
        for t in trials
    ]  # fmt: skip


def train_batch(batch: Batch) -> Results:
    """Train one batch with the population engine, on all local devices."""
    return train_planned(train_population, batch.settings, stack_members(list(batch.tasks)), slots=batch.slots)


def halves(batch: Batch) -> list[Batch]:
    """The batch in two, each with as many slots as trials; one trial with idle slots loses those; else nothing.

    What does not fit into memory fits in part, and one bad trial of n is found in about 2 log2 n further runs.
    """
    size = len(batch.trials)
    if size == 1:
        return [batch._replace(slots=1)] if batch.slots > 1 else []
    cut = (size + 1) // 2
    return [
        Batch(batch.settings, batch.trials[part], batch.tasks[part], len(batch.trials[part]))
        for part in (slice(cut), slice(cut, size))
    ]


def run_batch(study: str, batch: Batch, store: Store, train: Train = train_batch) -> list[dict[str, Any]]:
    """Train one batch and publish its rows; a batch that raises or runs out of memory is tried again in halves, down to
    one trial, so that one bad trial costs one failed row."""
    started = time.perf_counter()
    try:
        rows = make_rows(study, batch, train(batch), time.perf_counter() - started)
    except (RuntimeError, ValueError, MemoryError) as error:
        parts = halves(batch)
        if parts:
            return [row for part in parts for row in run_batch(study, part, store, train)]
        rows = _failed_rows(study, batch.trials, error, provenance())
    store.publish(study, rows)
    return rows


def run_job(job: Job, store_path: str, train: Train = train_batch) -> list[Outcome]:
    """What a worker does with a job: make its tasks, train them and publish their rows.

    A job that was begun before, by a worker that is gone, leaves out what that one had stored.

    Raises:
        UsageError: this worker does not see the run's store.
    """
    store, trials = Store(store_path), [Trial(*pair) for pair in job.trials]
    done = settled(store.read(job.study, SETTLED).table) if job.claim.was_taken(store.path) else {}
    outcomes: list[Outcome] = [(t.identity, done[t.identity], False) for t in trials if t.identity in done]
    todo = tuple(trial for trial in trials if trial.identity not in done)
    if todo:
        tasks = tuple(make_task(trial) for trial in todo)
        settings = replace(tasks[0].settings, max_inputs=job.max_inputs)
        rows = run_batch(job.study, Batch(settings, todo, tasks, job.slots), store, train)
        outcomes += [(row["identity"], row["status"], True) for row in rows]
    return outcomes


def greet() -> tuple[int, dict[str, str]]:
    """A worker's devices, and what it is, as it stands in its rows."""
    return len(jax.local_devices()), provenance()


def train_pending(
    study: str, trials: Sequence[Trial], pending: Sequence[str], store: Store, train: Train, engine: Engine
) -> Iterator[tuple[list[Outcome], float]]:
    """Have an engine train the trials that are pending.

    Returns:
        after each job its outcomes, and what is left as a multiple of what was done, by predicted cost.
    """
    with offer(store.path, engine.in_process) as sight:
        check_sight(engine, store.path, sight)
        devices, circumstances = max(engine.ask(greet), key=lambda greeting: greeting[0])
        jobs, costs = deque[Job](), dict[str, float]()
        for number, batch in enumerate(make_batches(trials, pending, devices)):
            pairs = tuple((trial.factors, trial.seed) for trial in batch.trials)
            jobs.append(Job(study, pairs, batch.settings.max_inputs, batch.slots, Claim(sight, number)))
            costs |= {t.identity: predicted_cost(t, task) for t, task in zip(batch.trials, batch.tasks, strict=True)}
        total = sum(costs.values())
        call = partial(run_job, store_path=str(store.path.resolve()), train=train)
        for job, result in engine.complete(call, jobs):
            if isinstance(result, WorkerKilledError):
                if len(job.trials) > 1:  # one of them did it: each alone
                    jobs.extendleft(job._replace(trials=(pair,), slots=1) for pair in reversed(job.trials))
                    continue
                rows = _failed_rows(study, [Trial(*pair) for pair in job.trials], result, circumstances)
                store.publish(study, rows)
                result = [(row["identity"], row["status"], True) for row in rows]
            for identity, _, _ in result:
                del costs[identity]
            left = sum(costs.values())
            yield result, left / (total - left)


def read_back(study: str, trials: Sequence[Trial], store: Store, outcomes: Sequence[Outcome]) -> pa.Table:
    """The plan's rows; a shared file system may take a while to show what another machine has written.

    Raises:
        OSError: rows that workers have stored are still not seen after `READ_ATTEMPTS` seconds.
    """
    for attempt in range(READ_ATTEMPTS):
        table = select(store.read(study).table, trials)
        unseen = {identity for identity, _, _ in outcomes} - set(table["identity"].to_pylist())
        if not unseen:
            return table
        if attempt + 1 < READ_ATTEMPTS:
            time.sleep(1.0)
    raise OSError(
        f"store {store} does not show {len(unseen)} rows that workers have stored: run the same command again"
    )


def execute(
    study: str,
    trials: Sequence[Trial],
    store: Store,
    progress: Progress | None = None,
    train: Train = train_batch,
    engine: Engine | Executor | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Run the trials that the store lacks; returns the plan's rows and the run's receipt.

    Args:
        study: name under which the rows are kept.
        trials: the plan.
        store: on a file system that all workers share.
        progress: told after each batch.
        train: a function of a module that workers can import.
        engine: this process by default.

    Raises:
        UsageError: a trial that describes no task, a store that cannot be written or that a worker does not see.
        EngineLostError: the engine stopped; what had finished is stored.

    Example: `execute("mine", sweep.trials(), Store("store"), engine=ThreadPoolExecutor(2))`
    """
    chosen, started = as_engine(engine), time.perf_counter()
    store.check_writable()
    before = settled(store.read(study, SETTLED).table)
    pending = [trial.identity for trial in trials if trial.identity not in before]
    predicted = predicted_seconds(make_batches(trials, pending, 1), store) if pending else 0.0
    outcomes: list[Outcome] = []
    if pending:
        for result, left in train_pending(study, trials, pending, store, train, chosen):
            outcomes += result
            if progress is not None:
                elapsed, done = time.perf_counter() - started, len(trials) - len(pending) + len(outcomes)
                progress(Report(done, len(trials), len(outcomes) / elapsed, elapsed * left))
        read_back(study, trials, store, outcomes)
        store.compact(study)
    table = read_back(study, trials, store, outcomes)
    receipt = make_receipt(trials, table, before, outcomes)
    receipt |= {"study": study, "engine": chosen.name, "predicted_seconds": round(predicted, 3)}
    receipt["seconds"] = round(time.perf_counter() - started, 3)
    store.write_receipt(study, receipt)
    return table, receipt


def make_receipt(
    trials: Sequence[Trial], table: pa.Table, before: Mapping[str, str], outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """What a run did, in numbers: planned = stored + failed + diverged where nothing is missing.

    Trained are the trials that came to have a row in this run; recomputed, those trained although they had one before
    it; duplicates, those that it trained twice.

    Args:
        trials: the plan.
        table: the plan's rows, read back.
        before: identities that needed no work when the run began.
        outcomes: what workers said.
    """
    trained = [identity for identity, _, here in outcomes if here]
    return {
        "planned": len(trials),
        "stored": count(table, "ok"),
        "failed": count(table, "failed"),
        "diverged": count(table, "diverged"),
        "missing": len(trials) - table.num_rows,
        "trained": len({identity for identity, _, _ in outcomes} - set(before)),
        "recomputed": sum(identity in before for identity in trained),
        "duplicates": len(trained) - len(set(trained)),
        "root_hash": root_hash(table),
    }


def run_trials(
    study: str,
    trials: Sequence[Trial],
    store: Store,
    progress: Progress | None = None,
    train: Train = train_batch,
    engine: Engine | Executor | None = None,
) -> tuple[pa.Table, int]:
    """Run the trials that the store lacks; returns the plan's rows and how many were trained now. See `execute`."""
    table, receipt = execute(study, trials, store, progress, train, engine)
    return table, receipt["trained"]


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
    engine: Engine | Executor | None = None,
) -> dict[str, Any]:
    """Run a study's preset to the end; safe to kill and to repeat. Returns the JSON object of `capsim run`."""
    started = time.perf_counter()
    trials = study.trials(preset, overrides or {}, seeds)
    table, receipt = execute(study.name, trials, store, progress, engine=engine)
    summary = {
        "study": study.name,
        "preset": preset,
        "trials": len(trials),
        **{name: receipt[name] for name in ("trained", "failed", "diverged", "recomputed", "duplicates", "engine")},
        "seconds": round(time.perf_counter() - started, 3),
        "predicted_seconds": receipt["predicted_seconds"],
        "store": str(store.path),
        "root_hash": receipt["root_hash"],
    }
    if table.num_rows == len(trials) and receipt["trained"] and not overrides and seeds is None:
        store.append_ledger(study.name, {**summary, "rule_hash": rule_hash(study)})
    return summary


def run(
    sweep: Sweep,
    store: str | Path = "store",
    study: str = "sweep",
    progress: Progress | None = None,
    engine: Engine | Executor | None = None,
) -> pa.Table:
    """Run a parameter sweep of your own and return its tidy table; resumes what `store` already holds.

    Args:
        sweep: the grid; see `experiments.Sweep`.
        store: folder of the results.
        study: name under which the rows are kept.
        progress: told after each batch.
        engine: any `concurrent.futures.Executor`, or what `experiments.engines.open_engine` gives; by default this
            process.

    Example: README shows a sweep in ten lines.
    """
    return run_trials(study, sweep.trials(), Store(store), progress, engine=engine)[0]
