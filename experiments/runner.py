"""Run what is missing: pending trials -> groups of equal shape -> batches -> an engine's workers -> store.

Done means a verified row in the store; nothing else is remembered. A batch is the unit of loss: its rows are
published together as soon as it ends, by the worker that trained it, so a kill costs at most the batch that was
running. What goes to a worker are the factors and seeds of a batch; what comes back are identities and statuses.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import pyarrow as pa

from experiments.batches import Batch, halves, make_batches
from experiments.cache import num_cores
from experiments.cost import DEFAULT_RATE, predicted_cost, predicted_seconds
from experiments.engines import Engine, WorkerKilledError, as_engine
from experiments.families.registry import predicted_measuring
from experiments.measuring import make_calls, measure_call
from experiments.probing import train_planned
from experiments.records import root_hash, select, settled
from experiments.rows import failed_rows, make_rows, provenance
from experiments.sharing import Claim, Sight, check_sight, offer
from experiments.spec import Study, Sweep, Trial, rule_hash
from experiments.store import Store
from experiments.tasks import make_task, stack_members
from sim.member import Results
from sim.population import train_population

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


def train_batch(batch: Batch) -> Results:
    """Train one batch with the population engine, on all local devices."""
    return train_planned(train_population, batch.settings, stack_members(list(batch.tasks)), slots=batch.slots)


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
        rows = failed_rows(study, batch.trials, error, provenance())
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
    if todo and todo[0].is_measured:
        rows = measure_call(job.study, todo)
        store.publish(job.study, rows)
        outcomes += [(row["identity"], row["status"], True) for row in rows]
    elif todo:
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
    """Have an engine train the trials that are pending: populations first, then measured families, which may have an
    engine of their own.

    Returns:
        after each job its outcomes, and what is left as a multiple of what was done, by predicted cost.
    """
    calls = make_calls(trials, pending)
    seconds = {trial.identity: predicted_measuring([trial]) for call in calls for trial in call}
    later = sum(seconds.values()) * DEFAULT_RATE
    call = partial(run_job, store_path=str(store.path.resolve()), train=train)
    if len(seconds) < len(pending):
        with _hands(engine, store) as (sight, devices, circumstances):
            jobs, costs = deque[Job](), dict[str, float]()
            for number, batch in enumerate(make_batches(trials, pending, devices)):
                claim = Claim(sight, number)
                jobs.append(Job(study, _pairs(batch.trials), batch.settings.max_inputs, batch.slots, claim))
                costs |= {
                    t.identity: predicted_cost(t, task) for t, task in zip(batch.trials, batch.tasks, strict=True)
                }
            yield from _complete(engine, call, jobs, costs, later, store, circumstances)
    if calls:
        with (
            nullcontext(engine) if engine.beside is None else engine.beside() as other,
            _hands(other, store) as (sight, _, circumstances),
        ):
            jobs = deque(Job(study, _pairs(part), 0, 0, Claim(sight, number)) for number, part in enumerate(calls))
            yield from _complete(other, call, jobs, seconds, 0.0, store, circumstances)


def _pairs(trials: Iterable[Trial]) -> tuple[Any, ...]:
    return tuple((trial.factors, trial.seed) for trial in trials)


@contextmanager
def _hands(engine: Engine, store: Store) -> Iterator[tuple[Sight | None, int, dict[str, str]]]:
    """An engine whose workers see the store: the run's word there, the most devices of a worker, and what that is."""
    with offer(store.path, engine.in_process) as sight:
        check_sight(engine, store.path, sight)
        devices, circumstances = max(engine.ask(greet), key=lambda greeting: greeting[0])
        yield sight, devices, circumstances


def _complete(
    engine: Engine,
    call: Callable[[Job], list[Outcome]],
    jobs: deque[Job],
    costs: dict[str, float],
    later: float,
    store: Store,
    circumstances: Mapping[str, str],
) -> Iterator[tuple[list[Outcome], float]]:
    """Have an engine do jobs whose trials have these costs; `later` is the cost of what comes after them."""
    done, total = 0.0, sum(costs.values()) + later
    for job, result in engine.complete(call, jobs):
        if isinstance(result, WorkerKilledError):
            if len(job.trials) > 1:  # one of them did it: each alone
                jobs.extendleft(job._replace(trials=(pair,), slots=1) for pair in reversed(job.trials))
                continue
            rows = failed_rows(job.study, [Trial(*pair) for pair in job.trials], result, circumstances)
            store.publish(job.study, rows)
            result = [(row["identity"], row["status"], True) for row in rows]
        for identity, _, _ in result:
            done += costs.pop(identity)
        left = total - done if costs else later  # exactly nothing at the end, whatever the sums were rounded to
        yield result, left / done


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
    predicted += predicted_measuring(trial for trial in trials if trial.identity not in before) / num_cores()
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
