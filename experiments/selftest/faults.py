"""Faults that are not kills, each in a process of its own: the disk, the files, the numbers and the memory."""

import contextlib
import os
import random
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.factors import UsageError
from experiments.records import root_hash, to_rows
from experiments.runner import Batch, Report, Train, run_trials
from experiments.selftest.child import Body, Tell, start_cpu, told
from experiments.selftest.damage import DAMAGES
from experiments.selftest.kills import attempt
from experiments.selftest.machine import largest_file, mount, private_mounts, read_only, unmount
from experiments.selftest.parts import Account, Part, Say
from experiments.selftest.plans import (
    STUDY,
    loss_of,
    small_plan,
    train_in_little_memory,
    train_stand_in,
    train_unstable,
    worst_trial,
)
from experiments.spec import Trial
from experiments.store import Store
from sim.member import Results


class _Stop(BaseException):
    """Ends a run between two batches."""


def _run(folder: Path, train: Train = train_stand_in, trials: Sequence[Trial] | None = None) -> str:
    """Run the small plan to its end; the root hash of its table."""
    table, _ = run_trials(STUDY, small_plan() if trials is None else trials, Store(folder), train=train)
    return root_hash(table)


def _run_some(folder: Path, batches: int) -> None:
    """Run so many batches of the small plan; their rows stay uncompacted."""
    left = iter(range(batches - 1))

    def stop(report: Report) -> None:
        if next(left, None) is None:
            raise _Stop

    with contextlib.suppress(_Stop):
        run_trials(STUDY, small_plan(), Store(folder), stop, train_stand_in)


def _refused(tell: Tell, what: str, call: Callable[[], Any]) -> None:
    """The call must fail in one line that a command would show, and not with a fault of the program."""
    tell("fault", what)
    try:
        call()
    except (OSError, UsageError) as error:
        if "\n" in str(error):
            tell("wrong", f"{what}: told in several lines: {error}")
    else:
        tell("wrong", f"{what}: nothing was said")


def _unchanged(tell: Tell, what: str, folder: Path, expected: str) -> None:
    """The store must read as before, without a complaint."""
    contents = Store(folder).read(STUDY)
    if root_hash(contents.table) != expected:
        tell("wrong", f"{what}: the table has changed")
    for problem in contents.problems:
        tell("wrong", f"{what}: {problem}")


def _finished(tell: Tell, what: str, folder: Path, reference: str) -> None:
    """Once the fault is over, the same command must end with the uninterrupted run's table."""
    if _run(folder) != reference:
        tell("wrong", f"{what}: the finished table differs from that of an uninterrupted run")


def full_disk(folder: Path, tell: Tell) -> None:
    """The disk fills up while batches are published, and again while they are compacted."""
    start_cpu(1)
    reference = _run(folder / "reference")
    ways = []
    for batches in (0, 3):  # the first publication fails; some are stored and the next fails
        path = folder / f"limited-{batches}"
        _run_some(path, batches) if batches else None
        before = root_hash(Store(path).read(STUDY).table)
        with largest_file(2048):  # less than a batch's rows
            _refused(tell, "a file cannot grow", partial(_run, path))
            if batches:
                _refused(tell, "a compacted file cannot grow", partial(Store(path).compact, STUDY))
        _unchanged(tell, "a file cannot grow", path, before)
        _finished(tell, "a file cannot grow", path, reference)
    ways.append("file size limit")
    path = folder / "small"
    path.mkdir()
    if private_mounts() and mount("-t", "tmpfs", "-o", "size=56k", "tmpfs", str(path)):
        try:
            _refused(tell, "the disk is full", partial(_run, path))
            stored = Store(path).read(STUDY).table
            if not 0 < stored.num_rows < len(small_plan()):
                tell("wrong", f"the disk is full: it held {stored.num_rows} trials, which tests nothing")
            (path / "ballast").write_bytes(b"\0" * (os.statvfs(path).f_bavail * os.statvfs(path).f_frsize))
            _refused(tell, "the disk is full", partial(Store(path).compact, STUDY))
            _unchanged(tell, "the disk is full", path, root_hash(stored))
            (path / "ballast").unlink()
            mount("-o", "remount,size=8m", str(path))
            _finished(tell, "the disk is full", path, reference)
        finally:
            unmount(path)
        ways.append("a full file system of 56 kB")
    else:
        ways.append("mounting a full file system is not permitted here")
    tell("note", ", ".join(ways))


def no_writing(folder: Path, tell: Tell) -> None:
    """The store turns read-only in the middle of a run: reading goes on, writing is refused, nothing changes."""
    start_cpu(1)
    mounts = private_mounts()
    reference = _run(folder / "reference")
    path = folder / "store"
    _run_some(path, 3)
    table = Store(path).read(STUDY).table
    with read_only(path, mounts) as how:
        if how:
            _refused(tell, "running on a read-only store", partial(_run, path))
            _refused(tell, "publishing to it", partial(Store(path).publish, STUDY, to_rows(table)))
            _refused(tell, "compacting it", partial(Store(path).compact, STUDY))
            _unchanged(tell, "a read-only store", path, root_hash(table))
    _finished(tell, "a read-only store", path, reference)
    tell("note", how or "not possible here: mounting is not permitted, and permission bits do not bind the superuser")


def bad_files(folder: Path, tell: Tell, times: int) -> None:
    """Every kind of damage is told of in one line, costs no other file's rows, stays, and is healed by a run."""
    start_cpu(1)
    reference = _run(folder / "reference")
    whole = folder / "whole"
    _run(whole, trials=small_plan()[::2])
    _run_some(whole, 2)
    chance = random.Random(0)
    for name, inflict in [damage for damage in DAMAGES for _ in range(times)]:
        path = folder / "damaged"
        shutil.copytree(whole, path)
        store = Store(path)
        tell("fault", name)
        try:
            bad = inflict(store.folder(STUDY), chance)
            content = bad.read_bytes() if bad.is_file() else None
            for _ in range(2):
                (problem,) = store.read(STUDY).problems
                if not problem.startswith(f"{bad}: ") or "\n" in problem:
                    tell("wrong", f"{name}: is told as {problem!r}")
                _finished(tell, name, path, reference)
            if not os.path.lexists(bad) or (content is not None and bad.read_bytes() != content):
                tell("wrong", f"{name}: the file was changed")
        except Exception as error:  # a damaged file must stop nothing
            tell("wrong", f"{name}: {type(error).__name__}: {error}"[:300])
        shutil.rmtree(path)
    tell("note", f"{len(DAMAGES)} kinds of damage")


def bad_numbers(folder: Path, tell: Tell) -> None:
    """Losses and scores that are NaN or infinite make rows that say so, and that are not trained again."""
    start_cpu(1)
    _run(folder, train_unstable)
    expected = {trial.identity: loss_of(trial.identity) == 1.0 for trial in small_plan()}
    rows = {row["identity"]: row for row in to_rows(Store(folder).read(STUDY).table)}
    for identity, good in expected.items():
        row = rows.get(identity, {})
        tell("fault", "") if not good else None
        if row.get("status") != ("ok" if good else "diverged") or bool(row.get("reason")) == good:
            tell("wrong", f"trial {identity[:12]} is {row.get('status')}, its reason {row.get('reason')!r}")
        if ("nll" in row) != good:
            tell("wrong", f"trial {identity[:12]} has the score {row.get('nll')}")
    _run(folder, partial(_never, tell=tell))
    tell("note", f"{len(expected) - sum(expected.values())} trials diverged, their rows are kept")


def _never(batch: Batch, tell: Tell) -> Results:
    tell("wrong", f"{len(batch.trials)} trials were trained again")
    return train_stand_in(batch)


def little_memory(folder: Path, tell: Tell) -> None:
    """Memory for three trials at once, and for one never: one failed row, all others ok, and one trial to rerun."""
    start_cpu(1)
    reference = _run(folder / "reference")
    path, bad = folder / "store", worst_trial(small_plan())
    _run(path, train_in_little_memory)
    tell("fault", "")
    contents = Store(path).read(STUDY)
    failed = {row["identity"]: row["reason"] for row in to_rows(contents.table) if row["status"] != "ok"}
    if list(failed) != [bad] or not failed[bad].startswith("MemoryError: ") or contents.table.num_rows != 64:
        tell("wrong", f"of {contents.table.num_rows} trials failed {failed}")
    trained: list[str] = []
    again = _run(path, told(train_stand_in, lambda _, text: trained.extend(text.split())))
    if trained != [bad] or again != reference:
        tell("wrong", f"the next run trained {len(trained)} trials, not the failed one alone")
    tell("note", "one trial failed, and was trained again once there was memory")


def run_fault(part: str, body: Body, folder: Path, say: Say) -> Part:
    """Run one of the bodies above in a process of its own, and count what it tells."""
    account, notes = Account(part, say), []
    for word, text in attempt(body, folder).events:
        if word == "fault":
            account.faults += 1
        elif word == "wrong":
            account.wrong(text)
        elif word == "note":
            notes.append(text)
        elif word == "raised":
            account.wrong(f"ended with {text}")
    return account.close(", ".join(notes))
