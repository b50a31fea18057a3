"""The store: nothing lost, nothing double, nothing dropped in silence, whenever the writer dies."""

import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import merging, records
from experiments.factors import UsageError
from experiments.faults import FailingFiles, Killed, concerns
from experiments.files import Files
from experiments.merging import inside, merge_parts
from experiments.records import COLUMNS, TOLERANCE, clean_row, to_rows, to_table
from experiments.segments import Part
from experiments.spec import canonical_json
from experiments.store import COMMITTED, Store, default_store, root_hash, select, settled, writing_store


def make_row(name, accuracy=0.5, status="ok", **others):
    return {"identity": f"{name:0>8}", "status": status, "test_accuracy": accuracy, "arm": "mlp", **others}


def identities(store, study="demo"):
    return store.read(study).table["identity"].to_pylist()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_round_trip_keeps_types_and_bits(store):
    row = make_row(
        1, accuracy=0.1 + 0.2, inputs=64, balanced=True, dice=float("nan"), nll=float("inf"), reason="", seconds=1
    )
    store.publish("demo", [row])
    for _ in range(2):
        table = store.read("demo").table
        assert dict(zip(table.column_names, table.schema.types, strict=True)) == COLUMNS
        (found,) = table.to_pylist()
        assert found["test_accuracy"] == 0.1 + 0.2
        assert (found["inputs"], found["balanced"], found["reason"], found["study"]) == (64, True, "", "demo")
        assert found["dice"] is None
        assert found["nll"] is None
        store.compact("demo")
    assert not list(store.folder("demo").glob("pending/*"))


def test_reading_what_is_not_there_is_empty(store):
    contents = store.read("demo")
    assert contents.table.num_rows == 0
    assert contents.problems == []
    assert not store.path.exists(), "reading makes no folders"
    store.compact("demo")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"identity": "a", "status": "ok", "colour": 1}, "a row's columns must be those of COLUMNS, got 'colour'"),
        ({"identity": "a", "status": "ok", "inputs": 1.5}, "inputs must be int64, got 1.5"),
        ({"identity": "a", "status": "ok", "dice": "x"}, "dice must be double, got 'x'"),
        ({"identity": "a", "status": "ok", "balanced": 1}, "balanced must be bool, got 1"),
        ({"identity": "a", "status": "ok", "arm": 1}, "arm must be string, got 1"),
        ({"identity": "a", "status": "good"}, "status must be one of ok, diverged, failed, got 'good'"),
        ({"status": "ok"}, "identity must be a hash, got None"),
    ],
)
def test_wrong_rows_are_refused_whole(store, row, message):
    with pytest.raises(ValueError, match="must be") as caught:
        store.publish("demo", [make_row(1), row])
    assert str(caught.value) == message
    assert identities(store) == []


def test_many_files_compact_into_one(store):
    for name in (3, 1, 2):
        store.publish("demo", [make_row(name), make_row(name + 10)])
    before = store.read("demo").table
    store.compact("demo")
    assert store.read("demo").table.equals(before)
    (file,) = [path for path in store.folder("demo").rglob("*") if path.is_file()]
    assert pq.read_table(file)["identity"].to_pylist() == sorted(f"{n:0>8}" for n in (1, 2, 3, 11, 12, 13))
    store.publish("demo", [make_row(4)])
    store.compact("demo")
    store.compact("demo")
    assert len(list(store.folder("demo").glob("rows-*.parquet"))) == 1
    assert len(identities(store)) == 7


def damage(store, kind):
    folder = store.folder("demo")
    pending = sorted(folder.glob("pending/*.json"))[0]
    if kind == "torn pending":
        pending.write_bytes(pending.read_bytes()[:-20])
    elif kind == "foreign pending":
        pending = folder / "pending" / "notes.txt"
        pending.write_text("mine")
    elif kind == "other format":
        content = json.dumps({"format": "other", "rows": []}).encode()
        pending = folder / "pending" / f"{hashlib.sha256(content).hexdigest()}.json"
        pending.write_bytes(content)
    elif kind == "torn parquet":
        pending = next(folder.glob("rows-*.parquet"))
        pending.write_bytes(pending.read_bytes()[:-1])
    elif kind == "foreign parquet":
        pending = folder / "mine.parquet"
        pq.write_table(to_table([make_row(77)]), pending)
    elif kind == "folder":
        pending = folder / "pending" / "old"
        pending.mkdir()
    elif kind == "abandoned":
        pending = folder / "pending" / ".1-2.tmp"
        pending.write_text("half")
        os.utime(pending, (time.time() - 7200,) * 2)
    return pending


@pytest.mark.parametrize(
    ("kind", "reason", "left"),
    [
        ("torn pending", "is torn or was altered: its content does not match its name, skipped", [1, 2]),
        ("foreign pending", "is not a file of this store, skipped", [1, 2, 3]),
        ("other format", "is not in the format 'capsim rows 1', skipped", [1, 2, 3]),
        ("torn parquet", "is torn or was altered: its content does not match its name, skipped", [3]),
        ("foreign parquet", "is not a file of this store, skipped", [1, 2, 3]),
        ("folder", "is not a file of this store, skipped", [1, 2, 3]),
        ("abandoned", "is left from an interrupted write, skipped", [1, 2, 3]),
    ],
)
def test_bad_files_are_named_skipped_and_kept(store, kind, reason, left):
    store.publish("demo", [make_row(1), make_row(2)])
    store.compact("demo")
    store.publish("demo", [make_row(3)])
    bad = damage(store, kind)
    for _ in range(2):
        contents = store.read("demo")
        assert contents.problems == [f"{bad}: {reason}"]
        assert contents.table["identity"].to_pylist() == [f"{n:0>8}" for n in left]
        assert bad.exists()
        store.compact("demo")


def test_a_fresh_temporary_file_belongs_to_a_living_writer(store):
    store.publish("demo", [make_row(1)])
    (store.folder("demo") / "pending" / ".9-9.tmp").write_text("half")
    assert store.read("demo").problems == []


def test_a_kill_at_every_step_on_a_real_disk(tmp_path):
    """As in test_store_faults.py on a simulated one; here with what the system really does."""
    first = Store(tmp_path / "first")
    first.publish("demo", [make_row(1), make_row(2, status="failed")])
    first.compact("demo")
    first.publish("demo", [make_row(2), make_row(3)])
    before, killed = first.read("demo").table, []
    shutil.copytree(first.path, tmp_path / "clean")
    clean = FailingFiles(Files(), 10**9, "kill")
    Store(tmp_path / "clean", clean).compact("demo")
    for k in (k for k, name in enumerate(clean.done, start=1) if concerns("kill", name)):
        store = Store(shutil.copytree(first.path, tmp_path / str(k)))
        files = FailingFiles(Files(), k, "kill")
        with pytest.raises(Killed):
            Store(store.path, files).compact("demo")
        killed += files.struck
        assert store.read("demo") == (before, []), f"killed at step {k}"
        store.compact("demo")
        assert store.read("demo") == (before, [])
        assert len(list(store.path.rglob("*.parquet"))) == 1
        assert not list(store.path.rglob("*.json"))
    assert {"create", "write", "sync", "rename", "sync_folder", "remove"} <= set(killed)


class Forgetful(Files):
    """A disk that cannot read what was written to it since."""

    def read(self, path):
        if path.name in self.written:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return super().read(path)

    def rename(self, source, target):
        self.written.add(target.name)
        super().rename(source, target)

    def __init__(self):
        self.written = set()


def test_what_cannot_be_read_back_proves_nothing(store):
    """The proof is read back from the disk: where that fails, nothing is deleted."""
    store.publish("demo", [make_row(1)])
    store.publish("demo", [make_row(2)])
    before = store.read("demo").table
    with pytest.raises(OSError, match="Input/output error"):
        Store(store.path, Forgetful()).compact("demo")
    assert len(list(store.folder("demo").glob("pending/*.json"))) == 2
    assert store.read("demo").table.equals(before)


def test_only_what_is_inside_counts_as_proven():
    stored = [Part("s", False, to_table([make_row(1, 0.5), make_row(2, status="failed"), make_row(3, 0.5)]))]
    rows = [
        make_row(1, 0.5), make_row(1, 0.5 + TOLERANCE / 2), make_row(1, 0.5 + 2 * TOLERANCE),
        make_row(1, status="failed"), make_row(2, status="failed"), make_row(2), make_row(4),
        make_row(3, 0.5, seconds=1.0),
    ]  # fmt: skip
    wanted = [True, True, False, True, True, False, False, True]
    assert inside(to_table(rows), stored).tolist() == wanted
    assert not inside(to_table(rows), []).any()


def write_rows(path, first, count):
    store = Store(path)
    for name in range(first, first + count):
        store.publish("demo", [make_row(name)])
        if name % 5 == 0:
            store.compact("demo")


@pytest.mark.parametrize("number", [2, 4])
def test_writers_need_no_lock(store, number):
    """Processes publish 20 batches each, five of them the neighbour's trials, and compact under each other's hands."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_rows, args=(store.path, 15 * i, 20)) for i in range(number)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert store.read("demo").problems == []
        time.sleep(0.01)
    assert [writer.exitcode for writer in writers] == [0] * number
    wanted = [f"{n:0>8}" for n in range(15 * number + 5)]
    assert identities(store) == wanted
    store.compact("demo")
    assert identities(store) == wanted
    assert len(list(store.folder("demo").glob("rows-*.parquet"))) == 1


def test_a_contradicting_second_result_is_reported_and_kept(store):
    store.publish("demo", [make_row(1, 0.50)])
    store.compact("demo")
    store.publish("demo", [make_row(1, 0.50 + 2 * TOLERANCE)])
    for _ in range(2):
        contents = store.read("demo")
        assert contents.table["test_accuracy"].to_pylist() == [0.50], "what was compacted first stays"
        (problem,) = contents.problems
        assert "a second result for trial 00000001 differs, test_accuracy 0.5 against 0.54" in problem
        store.compact("demo")


def test_an_agreeing_second_result_is_absorbed(store):
    store.publish("demo", [make_row(1, 0.50, seconds=3.0)])
    store.publish("demo", [make_row(1, 0.50 + TOLERANCE / 2, seconds=4.0)])
    before = store.read("demo")
    assert before.problems == []
    store.compact("demo")
    assert store.read("demo").table.equals(before.table)
    assert not list(store.folder("demo").glob("pending/*"))


def test_success_replaces_failure_wherever_it_stands(store):
    store.publish("demo", [make_row(1, None, status="failed", reason="no memory"), make_row(2, None, status="failed")])
    assert settled(store.read("demo").table) == {}
    store.compact("demo")
    store.publish("demo", [make_row(1, 0.7)])
    store.publish("demo", [make_row(2, None, status="diverged")])
    assert settled(store.read("demo").table) == {"00000001": "ok", "00000002": "diverged"}
    store.compact("demo")
    store.publish("demo", [make_row(1, None, status="failed")])
    contents = store.read("demo")
    assert settled(contents.table) == {"00000001": "ok", "00000002": "diverged"}
    assert contents.problems == []
    store.compact("demo")
    assert not list(store.folder("demo").glob("pending/*"))


ROWS = st.builds(
    make_row,
    st.integers(1, 4),
    st.sampled_from([0.1, 0.11, 0.9]),
    status=st.sampled_from(["ok", "diverged", "failed"]),
    seconds=st.sampled_from([1.0, 2.0]),
)


@given(st.lists(st.tuples(st.booleans(), st.lists(ROWS, max_size=4)), max_size=4), st.randoms())
def test_merging_does_not_depend_on_order(files, random):
    parts = [
        Part(f"{name}", pending, to_table(clean_row(row) for row in sorted(rows, key=lambda row: row["identity"])))
        for name, (pending, rows) in enumerate(files)
    ]
    shuffled = list(parts)
    random.shuffle(shuffled)
    merged, again = merge_parts(parts, list(COLUMNS)), merge_parts(shuffled, list(COLUMNS))
    assert merged.table.equals(again.table)
    assert sorted(merged.problems) == sorted(again.problems)
    rows = [row for _, held in files for row in held]
    assert merged.table["identity"].to_pylist() == sorted({row["identity"] for row in rows})
    for index, row in enumerate(to_rows(merged.table)):
        statuses = {other["status"] for other in rows if other["identity"] == row["identity"]}
        assert row["status"] != "failed" or statuses == {"failed"}
        origin = parts[merged.origin[index]]
        assert to_rows(origin.rows(merged.place[index : index + 1])) == [row]


@given(st.lists(ROWS, max_size=5))
def test_table_and_rows_are_inverse(rows):
    cleaned = [clean_row(row) for row in rows]
    assert [clean_row(row) for row in to_rows(to_table(cleaned))] == cleaned


def test_root_hash_sees_science_and_no_circumstance():
    base = make_row(1, 0.5, seconds=1.0, device="cpu", inputs=4)
    table = to_table([base, make_row(2)])
    same = [{**base, name: "other" if name != "seconds" else 9.0} for name in records.CIRCUMSTANCES]
    assert {root_hash(to_table([make_row(2), row])) for row in same} == {root_hash(table)}
    other = [{**base, "test_accuracy": 0.5 + 2**-53}, {**base, "inputs": 5}, {**base, "identity": "00000003"}]
    hashes = {root_hash(to_table([row, make_row(2)])) for row in other}
    assert len(hashes | {root_hash(table), root_hash(to_table([base]))}) == 5


def test_root_hash_is_that_of_the_rows_one_by_one():
    rows = [
        make_row(1, -0.0, arm='a","b\\', nll=1e-300, inputs=2**62, balanced=True), make_row(3, 1.0, arm="Zürich\n"),
        make_row(2, 0.0, noise=0.1 + 0.2, nll=1e16),
    ]  # fmt: skip
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row["identity"]):
        digest.update(canonical_json({k: v for k, v in row.items() if k not in records.CIRCUMSTANCES}).encode() + b"\n")
    assert root_hash(to_table(rows)) == digest.hexdigest()
    assert root_hash(to_table([])) == hashlib.sha256().hexdigest()


def test_committed_results_keep_their_hashes():
    store = Store(COMMITTED)
    for study in ("codebook", "digits", "grid", "heads"):
        contents = store.read(study)
        assert contents.problems == []
        assert root_hash(contents.table) == store.ledger(study)[-1]["root_hash"]


def test_few_columns_are_those_of_all(store):
    store.publish("demo", [make_row(1, 0.5), make_row(2)])
    store.compact("demo")
    store.publish("demo", [make_row(1, 0.9), make_row(3)])
    whole, few = store.read("demo"), store.read("demo", ["test_accuracy", "arm"])
    assert few.table.equals(whole.table.select(["test_accuracy", "arm"]))
    assert few.problems == whole.problems
    assert len(few.problems) == 1


def test_a_segment_of_an_older_version_reads_with_nulls(store):
    table = to_table([make_row(1), make_row(2)]).drop_columns(["rho", "commit"])
    content = pa.BufferOutputStream()
    pq.write_table(table, content)
    content = content.getvalue().to_pybytes()
    store.folder("demo").mkdir(parents=True)
    (store.folder("demo") / f"rows-{hashlib.sha256(content).hexdigest()}.parquet").write_bytes(content)
    contents = store.read("demo")
    assert contents.problems == []
    assert contents.table["rho"].to_pylist() == [None, None]
    store.publish("demo", [make_row(3)])
    store.compact("demo")
    assert identities(store) == ["00000001", "00000002", "00000003"]


def test_each_row_is_written_a_logarithmic_number_of_times(store, monkeypatch):
    """64 batches of two rows, compacted one by one: at most log2(128) + 1 times for a row on average."""
    monkeypatch.setattr(merging, "SMALL_ROWS", 0)
    written, real = [], merging.gather
    monkeypatch.setattr(
        "experiments.store.gather", lambda parts, extra: written.append(real(parts, extra)) or written[-1]
    )
    for name in range(64):
        store.publish("demo", [make_row(2 * name), make_row(2 * name + 1)])
        store.compact("demo")
        assert len(list(store.folder("demo").glob("rows-*.parquet"))) <= 8
    assert identities(store) == [f"{n:0>8}" for n in range(128)]
    assert sum(table.num_rows for table in written) <= 128 * 8
    assert not list(store.path.rglob("*.json"))


def test_a_compaction_cut_short_between_large_segments_is_finished(store, monkeypatch):
    monkeypatch.setattr(merging, "SMALL_ROWS", 0)
    store.publish("demo", [make_row(name) for name in range(20)])
    store.compact("demo")
    (first,) = store.folder("demo").glob("rows-*.parquet")
    kept = first.read_bytes()
    store.publish("demo", [make_row(name) for name in range(20, 40)])
    store.compact("demo")
    first.write_bytes(kept)  # as if it had not been deleted
    before = store.read("demo")
    store.compact("demo")
    assert store.read("demo") == before
    assert len(list(store.folder("demo").glob("rows-*.parquet"))) == 1


def test_contradicting_segments_keep_both_rows(store, monkeypatch):
    """Two compactors that did not see each other's batch: the contradiction stays visible after they are merged."""
    first, second = Store(store.path / "a"), Store(store.path / "b")
    first.publish("demo", [make_row(1, 0.5), make_row(2)])
    second.publish("demo", [make_row(1, 0.9), make_row(3)])
    for part in (first, second):
        part.compact("demo")
        shutil.copytree(part.folder("demo"), store.folder("demo"), dirs_exist_ok=True)
    for _ in range(3):
        contents = store.read("demo")
        assert contents.table["test_accuracy"].to_pylist() == [0.5, 0.5, 0.5]
        (problem,) = contents.problems
        assert "differs, test_accuracy 0.5 against 0.9" in problem
        store.compact("demo")
    assert len(list(store.folder("demo").glob("rows-*.parquet"))) == 1
    store.publish("demo", [make_row(1, 0.1)])
    assert store.read("demo").table["test_accuracy"].to_pylist()[0] == 0.5
    assert len(store.read("demo").problems) == 2


def test_select_keeps_only_the_plan():
    from experiments.spec import Trial

    trial = Trial((("noise", 1.0),), 0)
    table = to_table([make_row(1), {**make_row(2), "identity": trial.identity}])
    assert select(table, [trial])["identity"].to_pylist() == [trial.identity]
    assert select(table, []).num_rows == 0


def test_ledger_only_grows_and_outlives_a_torn_line(store):
    store.append_ledger("demo", {"preset": "smoke", "root_hash": "a"})
    with open(store.folder("demo") / "ledger.jsonl", "a") as file:
        file.write('{"preset": "lap')
    store.append_ledger("demo", {"preset": "laptop", "root_hash": "b"})
    assert [entry["preset"] for entry in store.ledger("demo")] == ["smoke", "laptop"]
    assert all("time" in entry for entry in store.ledger("demo"))
    (problem,) = store.read("demo").problems
    assert problem.endswith("ledger.jsonl: line 2 is torn, skipped")


def test_receipts_are_kept_beside_the_rows(store):
    assert store.receipts("demo") == []
    path = store.write_receipt("demo", {"planned": 3, "stored": 3})
    assert json.loads(path.read_text()) == {"planned": 3, "stored": 3}
    assert store.write_receipt("demo", {"planned": 3, "stored": 3}) == path
    os.utime(path, (5, 5))
    store.write_receipt("demo", {"planned": 4})
    assert store.receipts("demo") == [{"planned": 3, "stored": 3}, {"planned": 4}]
    assert store.read("demo").problems == []
    path.write_text("{")
    assert store.receipts("demo") == [{"planned": 4}]
    assert store.read("demo").problems == [
        f"{path}: is torn or was altered: its content does not match its name, skipped"
    ]


@pytest.mark.parametrize("path", ["/proc/none", "/dev/null", "/dev/null/under"])
def test_unwritable_store_is_named(path):
    with pytest.raises(UsageError, match=f"store must be a folder that can be written, got {path} "):
        Store(path).check_writable()


def test_checking_leaves_only_the_folder(store):
    store.check_writable()
    assert list(store.path.iterdir()) == []


@pytest.mark.parametrize("study", ["../evil", "a/b", "", ".hidden", "a b"])
def test_study_names_are_labels_not_paths(store, study):
    with pytest.raises(UsageError, match="study must be letters, digits"):
        store.publish(study, [make_row(1)])


def test_default_stores(store, tmp_path, monkeypatch):
    monkeypatch.delenv("CAPSIM_STORE", raising=False)
    assert default_store("demo")[0].path.name == "results"
    assert str(writing_store()) == "store"
    monkeypatch.setenv("CAPSIM_STORE", str(store.path))
    assert default_store("demo")[0].path.name == "results", "it does not hold the study"
    assert writing_store().path == store.path
    store.publish("demo", [make_row(1)])
    found, name = default_store("demo")
    assert found.path == store.path
    assert name == f"{store.path} (CAPSIM_STORE)"
    store.compact("demo")
    assert default_store("demo")[0].path == store.path
