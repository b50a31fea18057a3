"""The store under every single fault: no published row is lost, none is there twice, and reading never raises."""

import contextlib
import copy
import functools
import os
import random
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from experiments import segments
from experiments.factors import UsageError
from experiments.faults import CHANGES, FAULTS, FailingFiles, Killed, SimulatedDisk, concerns
from experiments.files import Files
from experiments.records import COLUMNS
from experiments.store import Store

ROOT = Path("/store")
BATCHES = [[1, 2], [2, 3], [4]]  # one trial is published twice


def make_row(name, accuracy=0.5, status="ok", **others):
    return {"identity": f"{name:0>8}", "status": status, "test_accuracy": accuracy, **others}


def batch(names):
    return [make_row(name) for name in names]


@pytest.fixture
def decode_once(monkeypatch):
    """The same bytes are the same table: saves half of the time here."""
    kept = functools.lru_cache(64)(segments.decode_segment)

    def decode(content, columns=tuple(COLUMNS), places=None):
        table = kept(content, tuple(columns))
        return table if places is None else table.take(pa.array(places))

    monkeypatch.setattr(segments, "decode_segment", decode)


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
    ("fault", "forever"),
    [(fault, False) for fault in FAULTS] + [("EIO", True), ("ENOSPC", True), ("short", True), ("torn", True)],
)
@pytest.mark.usefixtures("decode_once")
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


def test_a_rename_that_was_not_synced_is_synced_before_it_is_a_proof():
    """A segment whose folder could not be synced is on no disk yet: the batches may go only after it is."""
    disk = SimulatedDisk()
    Store(ROOT, disk).publish("demo", batch([1]))
    Store(ROOT, disk).publish("demo", batch([2]))
    for k in range(1, 100):  # the sync of the study's folder after the rename
        trial = copy.deepcopy(disk)
        files = FailingFiles(trial, k, "EIO")
        with contextlib.suppress(OSError):
            Store(ROOT, files).compact("demo")
        if files.struck == ["sync_folder"] and "rename" in files.done:
            break
    assert len(trial.list(ROOT / "demo" / "pending")) == 2
    files = FailingFiles(trial, 10**9, "EIO")
    Store(ROOT, files).compact("demo")
    assert files.done.index("sync_folder") < files.done.index("remove")
    assert "rename" not in files.done, "the segment of the first attempt is the proof"
    trial.power_cut()
    assert check_read(Store(ROOT, trial), {1, 2}, {1, 2}) == []


def test_to_publish_again_mends_a_torn_file(tmp_path):
    store = Store(tmp_path / "store")
    store.publish("demo", batch([1, 2]))
    (path,) = store.path.rglob("*.json")
    path.write_bytes(path.read_bytes()[:50])
    assert len(store.read("demo").problems) == 1
    store.publish("demo", batch([1, 2]))
    assert store.read("demo").problems == []
    assert store.read("demo").table.num_rows == 2


def test_a_removed_folder_is_made_again(tmp_path):
    store = Store(tmp_path / "store")
    store.publish("demo", batch([1]))
    shutil.rmtree(store.path)
    store.publish("demo", batch([2]))
    assert store.read("demo").table["identity"].to_pylist() == ["00000002"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 128 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_loses_nothing(small_disk):
    store, published = Store(small_disk / "store"), 0

    def fill():
        nonlocal published
        for published in range(1000):
            store.publish("demo", [make_row(published, reason="x" * 5000)])

    with pytest.raises(OSError, match="No space left on device"):
        fill()
    assert published > 8
    with contextlib.suppress(OSError):
        store.compact("demo")
    check = store.read("demo")
    assert (check.table.num_rows, check.problems) == (published, [])
    assert not list(store.path.rglob("*.tmp"))
    with contextlib.suppress(OSError):
        store.write_receipt("demo", {"note": "y" * 200_000})
    assert store.receipts("demo") == []
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    store.publish("demo", [make_row(published)])
    store.compact("demo")
    assert store.read("demo").table.num_rows == published + 1
    assert not list(store.path.rglob("*.json"))


def test_a_read_only_store_reads_and_says_so_in_one_line(small_disk):
    store = Store(small_disk / "store")
    store.publish("demo", batch([1]))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    fresh = Store(store.path)
    assert fresh.read("demo").table.num_rows == 1
    assert fresh.read("demo").problems == []
    with pytest.raises(
        UsageError, match=r"store must be a folder that can be written, got .* \(Read-only file system\)"
    ):
        fresh.check_writable()
    for act in (
        lambda: fresh.publish("demo", batch([2])),
        lambda: fresh.compact("demo"),
        lambda: fresh.append_ledger("demo", {}),
    ):
        with pytest.raises(OSError, match="Read-only file system") as caught:
            act()
        assert "\n" not in str(caught.value)


def test_links_are_not_followed(tmp_path):
    store, elsewhere = Store(tmp_path / "store"), tmp_path / "elsewhere"
    store.publish("demo", batch([1]))
    (path,) = store.path.rglob("*.json")
    elsewhere.mkdir()
    path.rename(elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)
    (store.folder("demo") / "ledger.jsonl").symlink_to(elsewhere / "ledger")
    (store.path / "linked").symlink_to(elsewhere)
    os.mkfifo(store.folder("demo") / "pipe")
    contents = store.read("demo")
    assert contents.table.num_rows == 0
    assert [problem.split(": ")[1] for problem in contents.problems] == ["is not a file of this store, skipped"] * 3
    assert store.read("linked").problems[0].endswith("is not a folder of this store, skipped")
    for act in (lambda: store.publish("linked", batch([2])), lambda: store.append_ledger("demo", {"preset": "smoke"})):
        with pytest.raises(OSError, match=r"Not a folder|symbolic links"):
            act()
    assert os.listdir(elsewhere) == [path.name]
    store.compact("demo")
    (tmp_path / "alias").symlink_to(store.path)
    Store(tmp_path / "alias").publish("other", batch([3]))
    assert store.read("other").table.num_rows == 1, "the store itself may be reached by a link"


def test_a_closed_parent_does_not_matter(tmp_path):
    class Closed(Files):
        def sync_folder(self, folder):
            if folder == tmp_path:
                raise PermissionError(13, "Permission denied", str(folder))
            super().sync_folder(folder)

    store = Store(tmp_path / "store", Closed())
    store.publish("demo", batch([1]))
    assert store.read("demo").table.num_rows == 1
