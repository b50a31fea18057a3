"""Kills of workers: a run on Dask's workers, which are killed while they train or publish, and replaced by Dask."""

import importlib.util
import os
import random
import time
from functools import partial
from pathlib import Path

from experiments.records import root_hash
from experiments.runner import Batch, run_trials
from experiments.selftest.child import Event, Tell, start_child, start_cpu
from experiments.selftest.kills import PATIENCE, receive
from experiments.selftest.parts import Account, Part, Say
from experiments.selftest.plans import STUDY, small_plan, train_stand_in
from experiments.store import Store
from sim.member import Results

WORKERS = 2
WORK_SECONDS = 0.1  # of a batch, so that a kill meets a worker at work
TRIES = 5  # runs of one plan: a batch whose workers were killed time after time fails, and is run again


def has_dask() -> bool:
    """Whether the packages are there."""
    return importlib.util.find_spec("distributed") is not None


def train_noting(batch: Batch, notes: Path) -> Results:
    """As the stand-in, leaving a note of who trains which trials, and when."""
    note = notes / f"{time.time_ns()}-{os.getpid()}"
    note.write_text(" ".join(trial.identity for trial in batch.trials))
    time.sleep(WORK_SECONDS)
    return train_stand_in(batch)


def run_tables(folder: Path, tell: Tell) -> None:
    """Run the small plan on workers into one store after the other, until there is a file `enough`."""
    from experiments.engines import open_engine

    start_cpu(1, folder / "cache")
    tell("table", "0")
    run_trials(STUDY, small_plan(), Store(folder / "0"), train=train_stand_in)
    tell("ended", root_hash(Store(folder / "0").read(STUDY).table))
    number = 0
    with open_engine("dask", workers=WORKERS) as engine:
        while not (folder / "enough").exists():
            number += 1
            tell("table", str(number))
            notes = folder / f"notes-{number}"
            notes.mkdir()
            train = partial(train_noting, notes=notes)
            for _ in range(TRIES):
                table, trained = run_trials(
                    STUDY, small_plan(), Store(folder / str(number)), train=train, engine=engine
                )
                if not trained:  # all is stored, none has failed
                    break
            tell("ended", root_hash(table))


class _Notes:
    """What the workers of one table have noted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen, self.workers = folder, set[str](), list[int]()

    def count(self, account: Account, stored: set[str], read_at: int) -> bool:
        """Count what was trained anew; `stored` was in the store at the time `read_at`. Whether there was news."""
        known = len(self.seen)
        for note in sorted(self.folder.glob("*")):
            if note.name in self.seen:
                continue
            began, worker = map(int, note.name.split("-"))
            self.workers.append(worker)
            self.seen.add(note.name)
            for identity in note.read_text().split():
                account.twice += identity in stored and began > read_at
                account.reruns += identity in account.trained
                account.trained.add(identity)
        return len(self.seen) > known


def run_worker_kills(part: str, kills: int, folder: Path, seed: int, say: Say) -> Part:
    """Kill workers at random moments, read the store all the while, and compare each table with a local run's."""
    account, chance = Account(part, say), random.Random(seed)
    if not has_dask():
        return account.close("skipped: dask is not installed")
    process, receiver = start_child(run_tables, folder)
    assert process.pid is not None
    number, tables, reference, heard = "0", 0, "", time.monotonic()
    notes, due, killed = _Notes(folder / "notes-0"), 0.0, set[int]()
    try:
        while True:
            account.inspect(Store(folder / number))
            read_at = time.time_ns()  # what was found was stored by now
            if notes.count(account, set(account.promised), read_at):
                heard = time.monotonic()
            while receiver.poll(0.02):
                event: Event = receive(receiver.recv_bytes())
                heard = time.monotonic()
                if event.word == "table":
                    number = event.text
                    account.new_store()
                    notes, due = _Notes(folder / f"notes-{number}"), 0.0
                elif event.word == "ended":
                    tables += number != "0"
                    reference = reference or event.text
                    if event.text != reference:
                        account.wrong("the finished table differs from that of a run in one process")
                elif event.word == "raised":
                    account.wrong(f"the run ended with {event.text}")
            alive = [worker for worker in notes.workers if worker not in killed and is_child(worker, process.pid)]
            if alive and account.kills < kills:
                if not due:
                    due = time.monotonic() + chance.uniform(0, 5 * WORK_SECONDS)
                elif time.monotonic() > due:
                    victim = alive[-1]  # the one that has begun its batch last
                    os.kill(victim, 9)
                    killed.add(victim)
                    account.kills += 1
                    due = 0.0
            if account.kills >= kills or account.anomalies:
                (folder / "enough").touch()
            if time.monotonic() - heard > PATIENCE:
                account.wrong(f"no table was finished in {PATIENCE:g} seconds")
                break
    except EOFError:
        pass
    finally:
        process.kill()
        process.join()
        receiver.close()
    return account.close(f"{tables} tables equal to that of a run in one process")


def is_child(worker: int, parent: int) -> bool:
    """Whether a process lives and was started by another: a number may have been given to a stranger since."""
    import psutil  # type: ignore[import-untyped]

    try:
        return psutil.Process(worker).ppid() == parent
    except psutil.NoSuchProcess:
        return False
