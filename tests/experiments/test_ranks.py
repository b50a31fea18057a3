"""Kept ranks: part of a trial only where asked for, stored whole, small enough, and seen by no rule or fit."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from experiments.batches import make_batches
from experiments.cli import main
from experiments.factors import UsageError
from experiments.recipes import tuning_trials
from experiments.records import BYTES_PER_ITEM, COLUMNS, RANK_BYTES, RANK_COLUMNS, clean_row, root_hash, to_rows
from experiments.rows import make_rows
from experiments.runner import run_trials
from experiments.spec import Sweep, canonical_json
from experiments.store import COMMITTED, Store
from experiments.studies.registry import STUDIES
from experiments.tasks import make_task
from experiments.verdicts import to_columns
from sim.member import Ranks, Results
from sim.metrics import Scores
from sim.training import TrainInfo

RANKED = [name for name in STUDIES if name in ("codebook", "digits")]
SMALL = Sweep(
    generator="codebook", network="linear", dimension=8, outputs=[4, 8], inputs=32, test_items=100, max_steps=200,
    batch_size=16, learning_rate=0.01, weight_decay=0.0, input_noise=0.0, keep_ranks=True, seeds=1,
)  # fmt: skip


def is_ranked(trial):
    return dict(trial.factors).get("keep_ranks", False)


def ranked_row(name="a1", **changes):
    row = {
        "identity": name, "status": "ok", "outputs": 4, "arm": "mlp", "keep_ranks": True, "test_accuracy": 0.5,
        "rank_class": np.array([0, 3], np.int32), "rank_beaten": np.array([3, 1], np.int32),
        "rank_margin": np.array([0.1, -2.5], np.float32),
    }  # fmt: skip
    return {name: value for name, value in (row | changes).items() if value is not None}


# --- identity
@pytest.mark.parametrize("name", STUDIES)
def test_every_committed_result_keeps_its_identity(name):
    """The identities in the committed files were made before `keep_ranks` existed."""
    (file,) = (COMMITTED / name).glob("rows-*.parquet")
    rows = pq.read_table(file, columns=["identity", "factors_json"]).to_pylist()
    before = {row["identity"] for row in rows if '"keep_ranks"' not in row["factors_json"]}
    assert len(before) > 100
    assert before == {trial.identity for trial in STUDIES[name].trials("laptop") if not is_ranked(trial)}


def test_only_true_is_part_of_a_trial_and_the_images_are_the_same():
    ordinary, off, on = (
        Sweep(network="mlp", seeds=1, **given).trials()[0]
        for given in ({}, {"keep_ranks": False}, {"keep_ranks": 1 > 0})
    )
    assert off == ordinary
    assert on.identity != ordinary.identity
    assert on.data_identity == ordinary.data_identity
    assert set(on.factors) - set(ordinary.factors) == {("keep_ranks", True)}
    assert (make_task(on).settings.keep_ranks, make_task(off).settings.keep_ranks) == (True, False)


@pytest.mark.parametrize("parts", [{"network": "bayes"}, {"generator": "blocks"}, {"generator": "fields"}])
def test_ranks_are_of_networks_with_one_output_a_class(parts):
    with pytest.raises(UsageError, match="keep_ranks must apply to a part of the sweep"):
        Sweep(keep_ranks=True, **parts)


def test_ranked_trials_form_batches_of_their_own_and_leave_the_others_alone():
    plain = SMALL.override({"keep_ranks": False}).trials()
    both = [*plain, *SMALL.trials()]
    alone = make_batches(plain, [t.identity for t in plain], 2)
    found = make_batches(both, [t.identity for t in both], 2)
    assert [batch.settings.keep_ranks for batch in found] == [False, True]
    assert (found[0].settings, found[0].slots, found[0].trials) == (
        alone[0].settings, alone[0].slots, alone[0].trials,
    )  # fmt: skip
    assert replace(found[1].settings, keep_ranks=False) == found[0].settings


# --- presets
@pytest.mark.parametrize("name", RANKED)
def test_presets_keep_ranks_under_seeds_of_their_own_and_within_two_megabytes(name):
    for preset in ("laptop", "paper"):
        trials = STUDIES[name].trials(preset)
        ranked = [trial for trial in trials if is_ranked(trial)]
        assert ranked
        assert not {t.seed for t in ranked} & {t.seed for t in trials if not is_ranked(t)}
        assert sum(dict(t.factors)["test_items"] for t in ranked) * BYTES_PER_ITEM <= RANK_BYTES == 2_000_000


def test_a_plan_with_more_ranks_than_that_is_refused():
    trials = SMALL.override({"test_items": 90_000}).trials()
    with pytest.raises(UsageError, match="at most 166666 test items in all, got 180000 in 2 trials"):
        make_batches(trials, [], 1)
    assert make_batches(SMALL.override({"test_items": 83_333}).trials(), [], 1) == []


@pytest.mark.parametrize("name", RANKED)
def test_tuning_does_not_see_them(name):
    found = [trial for trials in tuning_trials(STUDIES[name]).values() for trial in trials]
    assert found
    assert not any(is_ranked(trial) for trial in found)


def test_rules_fits_and_figures_do_not_see_them():
    rows = [{"identity": "b2", "status": "ok", "test_accuracy": 0.25}, ranked_row()]
    columns = to_columns(
        pa.Table.from_pylist([clean_row(row) for row in rows], schema=pa.schema(list(COLUMNS.items())))
    )
    assert columns["test_accuracy"].tolist() == [0.25]
    assert not set(RANK_COLUMNS) & set(columns)


# --- records
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank_class": [0, 4]}, "rank_class must be in 0 .. 3, got 4"),
        ({"rank_beaten": [3, -1]}, "rank_beaten must be in 0 .. 3, got -1"),
        ({"rank_beaten": [3, 3]}, "rank_margin must be > 0 exactly where all 3 others are beaten, got -2.5 with 3"),
        ({"rank_beaten": [2, 1]}, "rank_margin must be > 0 exactly where all 3 others are beaten, got 0.1 with 2"),
        ({"rank_class": [0]}, "must be lists of one length"),
        ({"rank_margin": None}, "must be lists of one length, got rank_class, rank_beaten"),
        ({"outputs": None}, "rank_beaten must be in a row that has outputs"),
        ({"rank_beaten": [3.0, 1.0]}, "rank_beaten must be a list of int32 numbers, got float64"),
        ({"rank_class": [0, 2**40]}, "rank_class must be finite numbers that int32 holds exactly"),
        ({"rank_margin": [0.1, -2.5]}, "rank_margin must be finite numbers that float32 holds exactly"),
        ({"rank_margin": np.array([0.5, np.nan], np.float32)}, "rank_margin must be finite numbers"),
        ({"rank_margin": "ab"}, "rank_margin must be a list of float32 numbers"),
        ({"rank_class": [], "rank_beaten": [], "rank_margin": []}, "must be a list of int32 numbers"),
    ],
)
def test_ranks_that_contradict_one_another_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        clean_row(ranked_row(**changes))


def test_a_tie_for_the_first_place_is_a_loss_with_margin_zero():
    row = ranked_row(rank_beaten=[2, 1], rank_margin=np.array([0.0, -1.0], np.float32))
    assert clean_row(row)["rank_beaten"] == [2, 1]


def test_ranks_survive_publishing_compacting_and_reading_to_the_bit(tmp_path):
    margins = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    beaten = np.where(margins > 0, 3, 2).astype(np.int32)
    row = ranked_row(rank_class=np.arange(500, dtype=np.int32) % 4, rank_beaten=beaten, rank_margin=margins)
    store, hashes = Store(tmp_path), set()
    store.publish("demo", [row, {"identity": "b2", "status": "ok"}])
    for _ in range(2):
        contents = store.read("demo")
        assert contents.problems == []
        found, other = contents.table.to_pylist()
        assert [other[name] for name in RANK_COLUMNS] == [None] * 3
        for name in RANK_COLUMNS:
            assert contents.table.schema.field(name).type == COLUMNS[name]
            np.testing.assert_array_equal(np.array(found[name], row[name].dtype), row[name])
        hashes.add(root_hash(contents.table))
        store.compact("demo")
    assert len(list(store.folder("demo").glob("rows-*.parquet"))) == 1
    assert not list(store.folder("demo").glob("pending/*"))
    assert len(hashes) == 1


def test_ranks_are_part_of_what_the_root_hash_covers():
    schema = pa.schema(list(COLUMNS.items()))
    tables = [
        pa.Table.from_pylist([clean_row(row)], schema=schema)
        for row in (ranked_row(), ranked_row(rank_beaten=[3, 2]), ranked_row(rank_class=[1, 3]))
    ]
    assert len({root_hash(table) for table in tables}) == 3


def test_files_without_these_columns_are_read_and_hash_as_before(tmp_path):
    """A file as it was written before: no column `keep_ranks`, no lists."""
    import hashlib

    new = ("keep_ranks", *RANK_COLUMNS)
    schema = pa.schema([(name, kind) for name, kind in COLUMNS.items() if name not in new])
    row = {"identity": "a1", "status": "ok", "test_accuracy": 0.5}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([row], schema=schema), sink)
    content = sink.getvalue().to_pybytes()
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / f"rows-{hashlib.sha256(content).hexdigest()}.parquet").write_bytes(content)
    contents = Store(tmp_path).read("demo")
    assert contents.problems == []
    assert to_rows(contents.table) == [row]
    assert root_hash(contents.table) == hashlib.sha256(canonical_json(row).encode() + b"\n").hexdigest()


def test_a_csv_has_no_lists_and_parquet_has_them(tmp_path, capsys):
    store = Store(tmp_path / "store")
    store.publish("codebook", [ranked_row()])
    for name in ("t.csv", "t.parquet"):
        assert main(["export", "codebook", "--out", str(tmp_path / name), "--store", str(store)]) == 0
    capsys.readouterr()
    csv, parquet = pyarrow.csv.read_csv(tmp_path / "t.csv"), pq.read_table(tmp_path / "t.parquet")
    assert csv["keep_ranks"].to_pylist() == [True]
    assert set(parquet.column_names) - set(csv.column_names) == set(RANK_COLUMNS)
    assert parquet["rank_beaten"].to_pylist() == [[3, 1]]


# --- whole runs
@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return run_trials("sweep", SMALL.trials(), store)[0]


def test_a_run_stores_ranks_that_say_what_the_accuracy_says(trained):
    rows = to_rows(trained)
    assert len(rows) == 2
    for row in rows:
        label, beaten, margin = (np.array(row[name]) for name in RANK_COLUMNS)
        assert len(label) == len(beaten) == len(margin) == row["test_items"] == 100
        # equal unless a tie for the first place is broken in favour of the true class: none among these 100 items
        assert np.mean(beaten == row["outputs"] - 1) == pytest.approx(row["test_accuracy"], abs=1e-6)  # a float32 mean
        assert np.bincount(label).tolist() == [100 // row["outputs"]] * row["outputs"] or row["outputs"] == 8
        assert row["keep_ranks"] is True


def test_another_run_gives_the_same_ranks_to_the_bit(trained, tmp_path):
    """Same program, other neighbours: what the root hash covers can be covered."""
    (first, _) = SMALL.trials()
    again, _ = run_trials("sweep", [first, *SMALL.override({}, [7]).trials()[:1]], Store(tmp_path))
    (one,) = (row for row in to_rows(trained) if row["identity"] == first.identity)
    (two,) = (row for row in to_rows(again) if row["identity"] == first.identity)
    assert [one[name] for name in RANK_COLUMNS] == [two[name] for name in RANK_COLUMNS]


@pytest.mark.parametrize(("finite", "margin"), [(False, -1.0), (True, np.nan)])
def test_a_trial_without_finite_scores_has_no_ranks(finite, margin):
    (batch,) = make_batches(SMALL.trials(), [SMALL.trials()[0].identity], 1)
    values = np.full(1, 0.5, np.float32)
    info = TrainInfo(np.full(1, 200), np.full(1, True), np.full(1, finite), values)
    ranks = Ranks(np.zeros((1, 100), np.int32), np.zeros((1, 100), np.int32), np.full((1, 100), margin, np.float32))
    results = Results(Scores(*([values] * 6), np.full(1, 100.0, np.float32)), values, info, ranks)
    (row,) = make_rows("sweep", batch, results, 1.0)
    assert not set(RANK_COLUMNS) & set(clean_row(row))


def test_items_that_do_not_exist_are_left_out():
    (batch,) = make_batches(SMALL.trials(), [SMALL.trials()[0].identity], 1)
    values = np.full(1, 0.5, np.float32)
    info = TrainInfo(np.full(1, 200), np.full(1, True), np.full(1, True), values)
    ranks = Ranks(np.array([[2, -1, 0]]), np.array([[3, 3, 1]]), np.array([[0.5, 9.0, -0.5]], np.float32))
    results = Results(Scores(*([values] * 6), np.full(1, 2.0, np.float32)), values, info, ranks)
    (row,) = make_rows("sweep", batch, results, 1.0)
    assert clean_row(row)["rank_class"] == [2, 0]
    assert clean_row(row)["rank_beaten"] == [3, 1]
