"""The store under every single fault: no published row is lost, none is there twice, and reading never raises."""

import contextlib
import copy
import functools
import random
from pathlib import Path

import pytest

from experiments.faults import CHANGES, FAULTS, FailingFiles, Killed, SimulatedDisk, concerns
from experiments.store import Store

ROOT = Path("/store")
BATCHES = [[1, 2], [2, 3], [4]]  # one trial is published twice


def make_row(name, accuracy=0.5, status="ok", **others):
    return {"identity": f"{name:0>8}", "status": status, "test_accuracy": accuracy, **others}


def batch(names):
    return [make_row(name) for name in names]


def check_read(store, done, tried):
    """Reading succeeds, holds all that was published, nothing twice and nothing else; returns its problems."""
    contents = store.read("demo")
    found = contents.table["identity"].to_pylist()
    assert len(found) == len(set(found))
    assert {f"{name:0>8}" for name in done} <= set(found) <= {f"{name:0>8}" for name in tried}
    assert all("\n" not in problem and problem.startswith(str(ROOT)) for problem in contents.problems)
    return contents.problems


@functools.cache
def prepare():
    """A disk with a store that has been used: a segment, and a batch that is not in it."""
    disk = SimulatedDisk()
    store = Store(ROOT, disk)
    store.publish("demo", batch([8]))
    store.compact("demo")
    store.publish("demo", batch([9]))
    return disk


def use(store, done):
    """Publish, read, compact and resume as a run does, going on after errors as a stubborn user would."""
    for number, names in enumerate(BATCHES):
        with contextlib.suppress(OSError):
            store.publish("demo", batch(names))
            done.update(names)
        if number == 1:
            with contextlib.suppress(OSError):
                store.compact("demo")
            store.read("demo", ["identity"])  # never raises
    for act in (store.compact, lambda study: store.write_receipt(study, {"planned": 5})):
        with contextlib.suppress(OSError):
            act("demo")
    with contextlib.suppress(OSError):
        store.append_ledger("demo", {"preset": "smoke"})
        done.add("ledger")


def strike(fault, k, forever):
    """One pass with the k-th operation failing; returns the failing files and the problems seen right after."""
    disk, done = copy.deepcopy(prepare()), {8, 9}
    files = FailingFiles(disk, k, fault, forever)
    with contextlib.suppress(Killed):
        use(Store(ROOT, files), done)
    if forever and not files.dead:
        Store(ROOT, files).read("demo")  # on a disk that is gone it reads nothing, and says so
    published, tried = done - {"ledger"}, {1, 2, 3, 4, 8, 9}
    problems = check_read(Store(ROOT, disk), published, tried)
    entries = len(Store(ROOT, disk).ledger("demo"))
    assert entries == 1 if "ledger" in done else entries <= 1
    disk.power_cut(random.Random(k) if k % 2 else None)
    check_read(Store(ROOT, disk), published, tried)
    assert len(Store(ROOT, disk).ledger("demo")) >= ("ledger" in done)
    store = Store(ROOT, disk)
    for names in BATCHES:
        store.publish("demo", batch(names))
    store.compact("demo")
    disk.time = 1e6
    left = check_read(store, tried, tried)
    assert all("interrupted write" in problem or "is torn" in problem for problem in left)
    return files, problems


@pytest.mark.parametrize(
    ("fault", "forever"), [(fault, False) for fault in FAULTS] + [("EIO", True), ("ENOSPC", True), ("torn", True)]
)
def test_every_operation_may_fail(fault, forever):
    clean = strike(fault, 10**9, forever)[0]
    assert clean.struck == []
    places = [
        k
        for k, operation in enumerate(clean.done, start=1)
        if concerns(fault, operation) and (not forever or operation in CHANGES)  # to fail for good before a read is
    ]  # to fail for good before what comes next
    told = 0
    for k in places:
        files, problems = strike(fault, k, forever)
        assert files.struck[:1] == clean.done[k - 1 : k], f"{fault} at {k}"
        told += bool(problems)
    print(f"{fault}{' for good' * forever}: {len(places)} of {len(clean.done)} operations struck, {told} told of")
    assert len(places) >= (7 if fault in ("short", "torn") else 20)
