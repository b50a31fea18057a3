"""Engines: the same table wherever trials are trained; no death of a worker or scheduler loses or doubles a row.

Everything listens on loopback. Two of Dask's workers serve most of the file; they start once.
"""

import importlib.util
import os
from collections import deque
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

import jax
import numpy as np
import pytest
from stand_ins import dying, executions, greedy, made_up, noting, pool_threads

from experiments import batches, engines, runner, sharing
from experiments.cache import num_cores
from experiments.engines import (
    Engine,
    EngineLostError,
    LocalExecutor,
    WorkerKilledError,
    as_engine,
    check_engine,
    open_engine,
    open_processes,
)
from experiments.records import root_hash, to_rows
from experiments.runner import execute, run_trials
from experiments.spec import Sweep, Trial, UsageError
from experiments.store import Store

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="the dask extra is not installed"
)
SWEEP = Sweep(generator="codebook", network="bayes", dimension=8, outputs=4, inputs=[16, 20, 24, 28, 32, 36], seeds=1)
TRIALS = SWEEP.trials()


@pytest.fixture(autouse=True)
def single_trials(monkeypatch):
    """One trial a batch, whatever the devices, unless a test says otherwise."""
    monkeypatch.setattr(batches, "MEMBERS_PER_DEVICE", 1)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The root hash of an uninterrupted run in this process."""
    return root_hash(run_trials("sweep", TRIALS, Store(tmp_path_factory.mktemp("local")), train=made_up)[0])


@pytest.fixture(scope="module")
def dask():
    with open_engine("dask", workers=2) as engine:
        yield engine


def process_pool():
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def counts(folder):
    return [executions(folder, trial) for trial in TRIALS]


# --- the same table everywhere
def check_whole(store, receipt, expected, engine):
    assert receipt["root_hash"] == expected
    assert {name: receipt[name] for name in ("planned", "stored", "trained", "engine")} == {
        "planned": 6, "stored": 6, "trained": 6, "engine": engine,
    }  # fmt: skip
    assert receipt["failed"] == receipt["diverged"] == receipt["missing"] == 0
    assert receipt["recomputed"] == receipt["duplicates"] == 0
    assert [path.name for path in store.path.iterdir()] == ["sweep"]  # the word that workers had to find is gone


def test_threads_give_the_same_table(tmp_path, expected):
    reports = []
    with ThreadPoolExecutor(2) as pool:
        _, receipt = execute("sweep", TRIALS, Store(tmp_path), reports.append, made_up, pool)
    check_whole(Store(tmp_path), receipt, expected, "ThreadPoolExecutor")
    assert sorted(report.done for report in reports) == [report.done for report in reports]
    assert (reports[-1].done, reports[-1].seconds_left) == (6, pytest.approx(0, abs=1e-9))


def test_processes_give_the_same_table_and_a_broken_pool_costs_one_line(tmp_path, expected):
    """A pool of the standard library cannot replace a killed worker: the run ends, and a rerun with the next pool
    trains what is missing, the killed trial for the second time."""
    store, notes = Store(tmp_path / "store"), tmp_path / "notes"
    notes.mkdir()
    first = runner.make_batches(TRIALS, [trial.identity for trial in TRIALS], 1)[0].trials[0].identity
    with (
        process_pool() as pool,
        pytest.raises(EngineLostError, match=r"^engine ProcessPoolExecutor was lost \(BrokenProcessPool.*\); what had"),
    ):
        execute("sweep", TRIALS, store, train=partial(dying, folder=notes, victim=first, times=1), engine=pool)
    with process_pool() as pool:
        _, receipt = execute("sweep", TRIALS, store, train=partial(noting, folder=notes), engine=pool)
    check_whole(store, receipt, expected, "ProcessPoolExecutor")
    assert counts(notes) == [2 if trial.identity == first else 1 for trial in TRIALS]


@needs_dask
def test_dask_gives_the_same_table(tmp_path, expected, dask):
    _, receipt = execute("sweep", TRIALS, Store(tmp_path), train=made_up, engine=dask)
    check_whole(Store(tmp_path), receipt, expected, "dask")


@needs_dask
def test_dask_trains_networks_as_this_process_does(tmp_path, dask, monkeypatch):
    """Two linear networks for real. Workers have another number of devices, so sums may be taken in another order: the
    scores of 200 images agree within two of them."""
    trials = Sweep(
        generator="codebook", network="linear", dimension=8, outputs=[4, 8], inputs=32, test_items=200, seeds=1,
        learning_rate=0.01, weight_decay=0.0, input_noise=0.0, max_steps=100, batch_size=16,
    ).trials()  # fmt: skip
    monkeypatch.setattr(batches, "MEMBERS_PER_DEVICE", 2)  # one batch, one compilation here and one there
    here, _ = run_trials("sweep", trials, Store(tmp_path / "here"))
    there, _ = run_trials("sweep", trials, Store(tmp_path / "there"), engine=dask)
    assert here["identity"].to_pylist() == there["identity"].to_pylist()
    assert here["steps"].to_pylist() == there["steps"].to_pylist()
    np.testing.assert_allclose(here["test_accuracy"], there["test_accuracy"], atol=0.01)
    np.testing.assert_allclose(here["nll"], there["nll"], rtol=0.01)
    devices = max(1, len(os.sched_getaffinity(0)) // 2)
    assert all(device.startswith(f"{devices} cpu") for device in there["device"].to_pylist())


# --- deaths
@needs_dask
def test_a_killed_worker_costs_its_group_alone(tmp_path, expected, dask):
    notes, victim = tmp_path / "notes", TRIALS[2].identity
    notes.mkdir()
    train = partial(dying, folder=notes, victim=victim, times=1)
    _, receipt = execute("sweep", TRIALS, Store(tmp_path / "store"), train=train, engine=dask)
    check_whole(Store(tmp_path / "store"), receipt, expected, "dask")
    assert counts(notes) == [1, 1, 2, 1, 1, 1]


@needs_dask
def test_a_trial_that_kills_its_worker_four_times_is_a_failed_row(tmp_path, dask):
    notes, store = tmp_path / "notes", Store(tmp_path / "store")
    notes.mkdir()
    train = partial(dying, folder=notes, victim=TRIALS[0].identity, times=99)
    table, receipt = execute("sweep", TRIALS, store, train=train, engine=dask)
    assert (receipt["stored"], receipt["failed"], receipt["trained"]) == (5, 1, 6)
    assert counts(notes) == [4, 1, 1, 1, 1, 1]
    (failed,) = (row for row in to_rows(table) if row["status"] == "failed")
    assert failed["identity"] == TRIALS[0].identity
    assert failed["reason"] == "WorkerKilledError: its worker was killed each of 4 times it ran"
    assert failed["device"].endswith(")")  # a worker's: this process does not start JAX's devices


@needs_dask
def test_a_lost_scheduler_ends_the_run_and_a_rerun_completes_it(tmp_path, expected, dask, monkeypatch):
    from experiments import clusters

    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 2.0)  # so long a client looks for it in vain
    store, notes = Store(tmp_path / "store"), tmp_path / "notes"
    notes.mkdir()
    with clusters.local_cluster(1) as cluster, open_engine("dask", scheduler=cluster.scheduler_address) as engine:
        train = partial(noting, folder=notes, seconds=0.2)
        with pytest.raises(EngineLostError, match=r"^engine dask was lost"):
            execute("sweep", TRIALS, store, lambda report: cluster.close(), train, engine)
    before = store.read("sweep").table.num_rows
    assert 1 <= before < 6
    _, receipt = execute("sweep", TRIALS, store, train=partial(noting, folder=notes), engine=dask)
    assert (receipt["root_hash"], receipt["trained"], receipt["recomputed"]) == (expected, 6 - before, 0)
    assert sum(counts(notes)) <= 7  # at most the group that was running is trained twice
    assert store.read("sweep").problems == []


class Killing(LocalExecutor):
    """Has Dask's answer ready for every call with the victim, without anybody being killed."""

    class Killed(Exception):  # noqa: N818
        allowed_failures = 3

    def __init__(self, victim):
        self.victim, self.sizes = victim, []

    def submit(self, fn, /, *args, **kwargs):
        jobs = [job for job in args if isinstance(job, runner.Job)]
        self.sizes += [len(job.trials) for job in jobs]
        if any((self.victim.factors, self.victim.seed) in job.trials for job in jobs):
            future = Future()
            future.set_exception(self.Killed())
            return future
        return super().submit(fn, *args, **kwargs)


def test_of_a_group_that_kills_workers_one_trial_fails_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "MEMBERS_PER_DEVICE", 99)
    executor = Killing(TRIALS[4])
    engine = Engine("killing", executor, lambda: 2, killed=(Killing.Killed,))
    table, receipt = execute("sweep", TRIALS, Store(tmp_path), train=made_up, engine=engine)
    assert executor.sizes == [6, 1, 1, 1, 1, 1, 1]
    assert {row["identity"] for row in to_rows(table) if row["status"] == "failed"} == {TRIALS[4].identity}
    assert (receipt["stored"], receipt["failed"]) == (5, 1)


def test_a_job_begun_before_leaves_out_what_is_stored(tmp_path):
    """A worker that dies between storing its rows and saying so costs nothing."""
    store, notes = Store(tmp_path / "store"), tmp_path / "notes"
    notes.mkdir()
    store.check_writable()
    train = partial(noting, folder=notes)
    pairs = tuple((trial.factors, trial.seed) for trial in TRIALS[:2])
    with sharing.offer(store.path) as sight:
        job = runner.Job("sweep", pairs, 64, 2, sharing.Claim(sight, 0))
        first = runner.run_job(job._replace(trials=pairs[:1]), str(store.path), train)
        second = runner.run_job(job, str(store.path), train)
    assert first == [(TRIALS[0].identity, "ok", True)]
    assert second == [(TRIALS[0].identity, "ok", False), (TRIALS[1].identity, "ok", True)]
    assert counts(notes)[:2] == [1, 1]


# --- memory
@pytest.mark.parametrize("largest", [1, 2, 5])
def test_what_does_not_fit_is_halved_until_it_does(tmp_path, monkeypatch, expected, largest):
    monkeypatch.setattr(batches, "MEMBERS_PER_DEVICE", 99)
    train = partial(greedy, folder=tmp_path, largest=largest)
    table, _ = run_trials("sweep", TRIALS, Store(tmp_path / "store"), train=train)
    assert root_hash(table) == expected
    assert max(counts(tmp_path)) == {5: 2, 2: 3, 1: 4}[largest]  # slots 6 > 3 > 2 > 1


def test_a_trial_that_fits_nowhere_is_a_failed_row(tmp_path):
    table, receipt = execute(
        "sweep", TRIALS[:1], Store(tmp_path / "store"), train=partial(greedy, folder=tmp_path, largest=0)
    )
    assert receipt["failed"] == 1
    assert to_rows(table)[0]["reason"] == "MemoryError: 1 slots"


# --- one file system
class Elsewhere(LocalExecutor):
    """A worker on another machine: it sees no files of this one, at first or at last."""

    def __init__(self, calls):
        self.calls = calls

    def submit(self, fn, /, *args, **kwargs):
        self.calls -= 1
        with pytest.MonkeyPatch.context() as patch:
            if self.calls < 0:
                patch.setattr(sharing.Path, "read_text", lambda path: "another machine's file")
            return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize("calls", [0, 2, 3])  # at the first question, and for a worker that comes later
def test_workers_must_share_the_store(tmp_path, calls):
    with pytest.raises(UsageError, match=r"^store must be on a file system that all workers share, got /"):
        execute("sweep", TRIALS, Store(tmp_path), train=made_up, engine=Elsewhere(calls))
    assert Store(tmp_path).read("sweep").table.num_rows == max(0, 2 * (calls - 2))  # on two devices
    assert not list(tmp_path.glob(".run-*"))


class Boasting(LocalExecutor):
    """A worker whose rows never come to be seen here."""

    def submit(self, fn, /, *args, **kwargs):
        if any(isinstance(job, runner.Job) for job in args):
            pairs = [pair for job in args for pair in job.trials]
            return super().submit(lambda: [(Trial(*pair).identity, "ok", True) for pair in pairs])
        return super().submit(fn, *args, **kwargs)


def test_rows_that_are_never_seen_are_not_taken_for_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "READ_ATTEMPTS", 1)
    with pytest.raises(OSError, match=r"^store /.* does not show 6 rows that workers have stored: run the same"):
        execute("sweep", TRIALS, Store(tmp_path), train=made_up, engine=Boasting())


def test_rows_that_are_seen_late_are_waited_for(tmp_path, monkeypatch, expected):
    seconds, store = [], Store(tmp_path / "late")
    run_trials("sweep", TRIALS, Store(tmp_path / "store"), train=made_up)
    monkeypatch.setattr(runner.time, "sleep", lambda wait: seconds.append(wait) or (
        (tmp_path / "store").rename(tmp_path / "late")))  # fmt: skip
    outcomes = [(trial.identity, "ok", True) for trial in TRIALS]
    assert root_hash(runner.read_back("sweep", TRIALS, store, outcomes)) == expected
    assert seconds == [1.0]


# --- receipts
def test_a_rerun_has_a_receipt_that_says_nothing_was_done(tmp_path, expected):
    for trained in (6, 0):
        _, receipt = execute("sweep", TRIALS, Store(tmp_path), train=made_up)
        check_whole(Store(tmp_path), {**receipt, "trained": 6}, expected, "local")
        assert receipt["trained"] == trained
    assert len(list((tmp_path / "sweep" / "receipts").iterdir())) == 2


def test_a_receipt_counts_what_was_done_twice():
    table = Store("nowhere").read("sweep").table
    first, second, third = (trial.identity for trial in TRIALS[:3])
    outcomes = [(first, "ok", True), (second, "ok", True), (second, "ok", True), (third, "ok", False)]
    receipt = runner.make_receipt(TRIALS, table, {first: "ok"}, outcomes)
    found = {name: receipt[name] for name in ("missing", "trained", "recomputed", "duplicates")}
    assert found == {"missing": 6, "trained": 2, "recomputed": 1, "duplicates": 1}


# --- handing out work
def test_work_under_way_is_bounded_and_may_grow():
    waiting, most = [], 0

    class Late(LocalExecutor):
        def submit(self, fn, /, *args, **kwargs):
            nonlocal most
            future = Future()
            waiting.append((future, args[0]))
            most = max(most, sum(not future.done() for future, _ in waiting))
            if len(waiting) >= 3:
                for future, value in waiting:
                    if not future.done():
                        future.set_result(value)
            return future

    jobs = deque(range(9))
    done = []
    for job, result in Engine("late", Late(), lambda: 3).complete(abs, jobs):
        assert job == result
        if job == 0:
            jobs.append(100)
        done.append(job)
    assert sorted(done) == [*range(9), 100]
    assert most == 3


@pytest.mark.parametrize(
    ("error", "match"),
    [(OSError("no route"), r"lost \(OSError: no route\)"), (RuntimeError("cannot schedule"), "cannot schedule")],
)
def test_an_executor_that_takes_no_more_is_lost(error, match):
    class Gone(LocalExecutor):
        def submit(self, fn, /, *args, **kwargs):
            raise error

    with pytest.raises(EngineLostError, match=match):
        list(as_engine(Gone()).complete(abs, deque([1])))


def test_a_cancelled_call_means_a_lost_engine():
    class Cancelling(LocalExecutor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with pytest.raises(EngineLostError, match="CancelledError"):
        list(as_engine(Cancelling()).complete(abs, deque([1])))


def test_a_killed_call_is_a_result_only_where_the_executor_goes_on():
    def call(job):
        raise Killing.Killed

    with pytest.raises(Killing.Killed):
        list(as_engine(None).complete(call, deque([1])))
    engine = Engine("killing", LocalExecutor(), lambda: 1, killed=(Killing.Killed,))
    ((job, result),) = engine.complete(call, deque([1]))
    assert (job, type(result)) == (1, WorkerKilledError)


# --- options
def test_only_executors_are_engines():
    with pytest.raises(UsageError, match=r"engine must be a concurrent\.futures\.Executor, got str"):
        as_engine("dask")


def test_options_that_go_together_pass():
    for options in (("local",), ("dask",), ("dask", None, 2), ("dask", "tcp://h:1")):
        check_engine(*options)


def test_dask_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "experiments.clusters", None)
    with pytest.raises(UsageError, match=r"must have its packages, `pip install 'capsim\[dask\]'` adds them"):
        open_engine("dask").__enter__()


@needs_dask
def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch):
    from experiments import clusters

    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense://x:1"):
        with pytest.raises(
            UsageError, match=f"scheduler must be the address of a running Dask scheduler, got {address}"
        ):
            open_engine("dask", address).__enter__()


def test_an_engine_whose_workers_are_all_gone_is_lost(monkeypatch):
    """Nothing is under way and nothing comes: the run ends instead of waiting for ever."""
    monkeypatch.setattr(engines, "DESERTED_SECONDS", 0.2)
    monkeypatch.setattr(engines, "LOOK_SECONDS", 0.05)

    class Deserted(Executor):
        def submit(self, *_, **__):
            return Future()

    engine = Engine("deserted", Deserted(), width=lambda: 0)
    with pytest.raises(EngineLostError, match=r"engine deserted was lost \(TimeoutError: no worker for 0.2 s\)"):
        list(engine.complete(abs, deque([-1])))


def test_a_question_waits_for_a_worker(monkeypatch):
    """All workers were killed a moment ago: nobody answers at first."""
    answers = [[], [], [3]]
    engine = Engine("killed", LocalExecutor(), width=lambda: 1, everywhere=lambda *_: answers.pop(0))
    assert engine.ask(abs, -3) == [3]
    monkeypatch.setattr(engines, "DESERTED_SECONDS", 0.2)
    gone = Engine("gone", LocalExecutor(), width=lambda: 0, everywhere=lambda *_: [])
    with pytest.raises(EngineLostError, match=r"engine gone was lost \(TimeoutError: no worker for 0.2 s\)"):
        gone.ask(abs, -3)


# --- processes for measured families
def test_each_process_of_the_pool_has_a_device_of_its_own():
    with open_engine("local") as engine:
        assert engine.in_process
        with engine.beside() as pool:
            assert (pool.name, pool.in_process, pool.width()) == ("local", False, num_cores())
            assert pool.ask(jax.local_device_count) == [1]
            found = dict(pool.complete(abs, deque([-1, 2, -3])))
    assert found == {-1: 1, 2: 2, -3: 3}


def test_a_process_that_dies_ends_the_run_in_one_line():
    with open_processes(1) as pool, pytest.raises(EngineLostError, match="the same command goes on from there"):
        list(pool.complete(os._exit, deque([1])))


def test_a_process_of_the_pool_uses_one_thread_a_product():
    with open_processes(1) as pool:
        threads = pool.executor.submit(pool_threads).result()
    assert len(threads) >= 2
    assert set(threads) == {1}
