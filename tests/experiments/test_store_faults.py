"""The store under every single fault: no published row is lost, none is there twice, and reading never raises."""

import contextlib
import errno
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from experiments.factors import UsageError
from experiments.faults import FAULTS, FailingFiles, Killed, SimulatedDisk
from experiments.files import Files, write_whole
from experiments.store import Store

ROOT = Path("/store")
BATCHES = [[1, 2], [2, 3], [4], [5]]  # one trial is published twice


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
    disk, done = prepare(), {8, 9}
    files = FailingFiles(disk, k, fault, forever)
    with contextlib.suppress(Killed):
        use(Store(ROOT, files), done)
    if forever and not files.dead:
        Store(ROOT, files).read("demo")  # on a disk that is gone it reads nothing, and says so
    published, tried = done - {"ledger"}, {1, 2, 3, 4, 5, 8, 9}
    for luck in (None, random.Random(k)):
        store = Store(ROOT, disk)
        problems = check_read(store, published, tried)
        assert len(store.ledger("demo")) == ("ledger" in done) or (fault != "torn" and "ledger" not in done)
        disk.power_cut(luck)  # first with luck None: all that is not synced is lost; what is left is then used again
        check_read(Store(ROOT, disk), published, tried)
    again = set()
    use(Store(ROOT, disk), again)
    assert again == {1, 2, 3, 4, 5, "ledger"}
    disk.time = 1e6
    left = check_read(Store(ROOT, disk), tried, tried)
    assert all("interrupted write" in problem or "is torn" in problem for problem in left)
    return files, problems


@pytest.mark.parametrize(
    ("fault", "forever"),
    [(fault, False) for fault in FAULTS] + [("EIO", True), ("ENOSPC", True), ("torn", True), ("EIO after", True)],
)
def test_every_operation_may_fail(fault, forever, record_property):
    counts, k = Counter(), 0
    while True:
        k += 1
        files, problems = strike(fault, k, forever)
        if k > files.count and not files.dead:
            break  # a whole pass was clean
        counts["operations"] += 1
        counts["struck"] += bool(files.struck)
        counts["with problems"] += bool(problems)
    print(f"{fault}{' for good' * forever}: {dict(counts)}")
    record_property("counts", dict(counts))
    assert files.struck == []
    assert counts["struck"] >= (6 if fault in ("short", "torn") else 30)
