"""The runner: nothing is trained twice, a kill loses one batch and changes no result, nothing disappears.

All real training here is two compiled programs of two slots, one for a linear network and one for the Bayes learner.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from experiments import batches as batching
from experiments import cost as cost_model
from experiments import runner
from experiments.records import COLUMNS, root_hash, to_rows
from experiments.runner import make_batches, run, run_batch, run_study, run_trials
from experiments.spec import Study, Sweep, UsageError, rule_hash
from experiments.store import Store
from sim.member import Results
from sim.metrics import Scores
from sim.training import TrainInfo

TASK = {"generator": "codebook", "dimension": 8, "outputs": [4, 8], "inputs": [16, 32], "test_items": 100}
NUMBERS = {"learning_rate": 0.01, "weight_decay": 0.0, "input_noise": 0.0, "max_steps": 200, "batch_size": 16}


def sweep(seeds=1, **changes):
    return Sweep(**{**TASK, "network": ["bayes", "linear"], **NUMBERS, **changes}, seeds=seeds)


def linear(**changes):
    return Sweep(**{**TASK, "network": "linear", **NUMBERS, **changes}, seeds=1)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """One member a device: eight trials are then four batches, two of each group."""
    monkeypatch.setattr(batching, "MEMBERS_PER_DEVICE", 1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The table of an uninterrupted run, and what its progress reported."""
    reports = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "MEMBERS_PER_DEVICE", 1)
        store = Store(tmp_path_factory.mktemp("store"))
        table, trained = run_trials("sweep", sweep().trials(), store, reports.append)
    assert trained == 8
    return store, table, reports


def results(size, finite=True, accuracy=0.5):
    """What `train_population` returns, made up."""
    values = np.full(size, accuracy, np.float32)
    info = TrainInfo(np.full(size, 200, np.int32), np.full(size, True), np.full(size, finite), values)
    return Results(Scores(*([values] * 6), np.full(size, 100.0, np.float32)), values, info)


# --- whole runs
def test_a_run_stores_one_whole_row_a_trial(finished):
    store, table, reports = finished
    rows = {row["identity"]: row for row in to_rows(table)}
    assert set(rows) == {trial.identity for trial in sweep().trials()}
    assert store.read("sweep").problems == []
    for trial in sweep().trials():
        row, factors = rows[trial.identity], dict(trial.factors)
        assert {name: row[name] for name in factors} == factors
        assert (row["status"], row["arm"], row["seed"], row["study"]) == ("ok", trial.arm, 0, "sweep")
        assert row["chance"] == pytest.approx(1 / factors["outputs"])
        assert row["bayes_known"] >= row["bayes_learned"] > row["chance"]
        assert row["rho"] == pytest.approx(
            (row["test_accuracy"] - row["chance"]) / (row["bayes_known"] - row["chance"])
        )
        assert row["exact_match"] == row["test_accuracy"] > row["chance"] - 0.15
        assert (row["test_items"], row["num_inputs"]) == (100, factors["inputs"])
        assert row["inputs_per_output"] == factors["inputs"] / factors["outputs"]
        assert row["log2_outputs"] == math.log2(factors["outputs"])
        assert row["output_units"] == factors["outputs"]
        assert row["num_parameters"] == (8 * 16 + 16 if factors["network"] == "linear" else 0)
        assert row["steps"] == (200 if factors["network"] == "linear" else 0)
        assert "validation_accuracy" not in row  # a result, not a tuning trial
        assert row["seconds"] > 0
        assert all(row[name] for name in ("versions", "device", "commit"))
    assert [report.done for report in reports] == [2, 4, 6, 8]
    assert all(report.total == 8 and report.rate > 0 for report in reports)
    assert reports[-1].seconds_left == 0


def test_cost_counts_steps_images_and_every_use_of_a_weight():
    def cost(**factors):
        (trial,) = Sweep(seeds=1, test_items=1, inputs=64, **factors).trials()
        return cost_model.predicted_cost(trial, runner.make_task(trial)) - cost_model.OVERHEAD

    assert cost(network="bayes", outputs=4) == 0
    linear = {"network": "linear", "outputs": 16, "dimension": 64, "batch_size": 10, "max_steps": 100}
    assert cost(**linear) == (6 * 10 * 100 + 2) * 65 * 16  # a column of 64 weights and a bias for each of 16 classes
    conv = {"generator": "fields", "network": "conv", "rows": 4, "columns": 4, "labels": 2, "width": 2}
    weights = (9 * 2 + 2) + (2 * 2 + 2) + (2 * 2 + 2)  # a 3 x 3 and a 1 x 1 layer and the head, on each of 16 pixels
    assert cost(**conv | {"receptive_field": 3, "max_steps": 50, "batch_size": 1}) == 302 * 16 * weights


def test_a_second_run_trains_nothing(finished, monkeypatch):
    store, table, _ = finished
    monkeypatch.setattr(runner, "train_population", lambda *a, **k: pytest.fail("trained again"))
    again, trained = run_trials("sweep", sweep().trials(), store)
    assert trained == 0
    assert again.equals(table)


@pytest.mark.parametrize("batches", [1, 3])
def test_a_killed_and_resumed_run_gives_the_very_same_table(finished, tmp_path, batches):
    """Killed after the first batch, and in the middle of a group: what was stored stays, the rest is trained by the
    same programs, whose slots are decided by the whole plan. Every scientific column agrees to the bit."""
    store, trials, seen = Store(tmp_path), sweep().trials(), []

    def kill(report):
        seen.append(report.done)
        if len(seen) == batches:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials("sweep", trials, store, kill)
    assert store.read("sweep").table.num_rows == 2 * batches
    table, trained = run_trials("sweep", trials, store)
    assert trained == 8 - 2 * batches
    assert root_hash(table) == root_hash(finished[1])


def test_a_larger_sweep_trains_only_what_is_new(finished, tmp_path):
    """Another seed doubles the plan; the first seed's rows are taken from the store and stay as they are."""
    store = Store(tmp_path)
    store.publish("sweep", to_rows(finished[1]))
    table, trained = run_trials("sweep", sweep(seeds=2).trials(), store)
    assert (trained, table.num_rows) == (8, 16)
    kept = {row["identity"]: row for row in to_rows(table)}
    assert [kept[row["identity"]] for row in to_rows(finished[1])] == to_rows(finished[1])
    again = {(row["arm"], row["outputs"], row["inputs"], row["seed"]): row["nll"] for row in kept.values()}
    assert all(again[*cell, 0] != again[*cell, 1] for *cell, _ in again)  # another seed, other images


def test_a_diverged_trial_is_a_row_with_its_reason(finished, tmp_path):
    """A decay of 1e6 a step multiplies the weights without bound; its neighbour in the batch is not touched."""
    wild = linear(learning_rate=1e6, weight_decay=1.0, outputs=4, inputs=32).trials()
    tame = linear(outputs=4, inputs=32).trials()  # 32 inputs: the program that `finished` has compiled
    table, trained = run_trials("sweep", wild + tame, Store(tmp_path))
    rows = {row["identity"]: row for row in to_rows(table)}
    assert trained == 2
    row = rows[wild[0].identity]
    assert row["status"] == "diverged"
    assert row["reason"].startswith("training loss not finite at step ")
    assert row["steps"] < 200
    calm = next(row for row in to_rows(finished[1]) if row["identity"] == tame[0].identity)
    assert rows[tame[0].identity]["test_accuracy"] == calm["test_accuracy"]
    assert run_trials("sweep", wild + tame, Store(tmp_path))[1] == 0  # a diverged trial is a result


# --- failures, with a made-up population
def failing(bad):
    def train(settings, members, *, slots=None):
        if np.isin(np.asarray(members.num_inputs), bad).any():
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory\nmore lines")
        return results(len(members.num_inputs))

    return train


def test_one_bad_trial_costs_one_failed_row_and_is_tried_again(tmp_path, monkeypatch):
    trials = linear(inputs=[16, 17, 18, 19], outputs=4).trials()
    monkeypatch.setattr(batching, "MEMBERS_PER_DEVICE", 8)
    monkeypatch.setattr(runner, "train_population", failing([18]))
    store = Store(tmp_path)
    table, trained = run_trials("sweep", trials, store)
    status = {row["inputs"]: row["status"] for row in to_rows(table)}
    assert (trained, status) == (4, {16: "ok", 17: "ok", 18: "failed", 19: "ok"})
    failed = next(row for row in to_rows(table) if row["status"] == "failed")
    assert failed["reason"] == "RuntimeError: RESOURCE_EXHAUSTED: out of memory"
    assert failed["arm"] == "linear"
    assert "test_accuracy" not in failed
    monkeypatch.setattr(runner, "train_population", failing([]))
    table, trained = run_trials("sweep", trials, store)
    assert (trained, {row["status"] for row in to_rows(table)}) == (1, {"ok"})


@pytest.mark.parametrize("error", [KeyboardInterrupt, TypeError])
def test_interrupts_and_faults_of_our_own_are_not_swallowed(tmp_path, monkeypatch, error):
    def train(*arguments, **others):
        raise error("stop")

    monkeypatch.setattr(runner, "train_population", train)
    with pytest.raises(error, match="stop"):
        run_trials("sweep", linear(outputs=4, inputs=16).trials(), Store(tmp_path))


def test_rows_fit_the_table_for_every_generator(tmp_path, monkeypatch):
    """Every part of a row has its column; a tuning trial's score stands in the validation column too."""
    monkeypatch.setattr(runner, "train_population", failing([]))
    plans = [
        Sweep(generator="blocks", network="mlp", head=["jway", "dense", "shared"], tiles=2, labels=3, inputs=18,
              similarity=1.0, tile_dimension=4, seeds=[0, 900_001]),
        Sweep(generator="fields", network="conv", field="chain", rows=2, columns=2, labels=2, inputs=16, seeds=1),
        Sweep(generator="digits", network="linear", outputs=3, inputs=30, seeds=1),
    ]  # fmt: skip
    trials = [trial for plan in plans for trial in plan.trials()]
    table, _ = run_trials("sweep", trials, Store(tmp_path))
    rows = to_rows(table)
    assert set(table.column_names) == set(COLUMNS)
    assert len(rows) == 8
    heads = {row["head"]: row for row in rows if row["generator"] == "blocks" and row["seed"] == 0}
    assert {name: row["output_units"] for name, row in heads.items()} == {"jway": 9, "dense": 6, "shared": 6}
    assert all(row["label_entropy_bits"] == pytest.approx(2 * math.log2(3)) for row in heads.values())
    assert {row.get("validation_accuracy") for row in rows if row["seed"] == 900_001} == {0.5}
    assert {row.get("validation_accuracy") for row in rows if row["seed"] == 0} == {None}
    digits = next(row for row in rows if row["generator"] == "digits")
    assert "rho" not in digits  # no exact ceiling of real images
    assert digits["chance"] == pytest.approx(1 / 3)


# --- batches
def identities(batches):
    return [trial.identity for batch in batches for trial in batch.trials]


def test_every_pending_trial_is_in_one_batch_of_its_own_shape(monkeypatch):
    monkeypatch.setattr(batching, "MEMBERS_PER_DEVICE", 2)
    trials = [*sweep(seeds=3).trials(), *linear(batch_size=32).trials(), *linear(outputs=[17, 64]).trials()]
    pending = [trial.identity for trial in trials[::2]]
    batches = make_batches(trials, pending, devices=2)
    assert sorted(identities(batches)) == sorted(pending)
    assert all(1 <= len(batch.trials) <= batch.slots <= 4 for batch in batches)
    for batch in batches:
        for trial, task in zip(batch.trials, batch.tasks, strict=True):
            assert task.settings.learner == batch.settings.learner
            assert task.settings.training == batch.settings.training
            assert task.settings.max_inputs <= batch.settings.max_inputs
            assert task.member.num_inputs == dict(trial.factors)["inputs"] <= batch.settings.max_inputs
    learners = {(str(batch.settings.learner), batch.settings.training.batch_size) for batch in batches}
    assert len(learners) == 4  # Bayes; linear at 16 classes with batches of 16 and of 32; linear at 64 classes


def test_the_whole_plan_decides_the_shapes_whatever_is_pending():
    """A resumed run compiles what the first one did, so its results are the same to the bit."""
    trials = linear(inputs=[16, 32, 300]).trials()
    whole = make_batches(trials, [trial.identity for trial in trials], devices=2)
    rest = make_batches(trials, [trials[0].identity], devices=2)
    assert {(batch.settings, batch.slots) for batch in rest} == {(batch.settings, batch.slots) for batch in whole}
    assert {batch.settings.max_inputs for batch in whole} == {1024}
    assert make_batches(trials, [], devices=2) == []


@pytest.mark.parametrize(
    ("trials", "devices", "members", "expected"),
    [(1, 2, 8, 2), (4, 2, 8, 4), (5, 2, 8, 6), (40, 2, 8, 16), (5, 1, 8, 5), (40, 1, 8, 8)],
)
def test_slots_fill_the_devices_and_no_more_than_a_small_group_needs(monkeypatch, trials, devices, members, expected):
    monkeypatch.setattr(batching, "MEMBERS_PER_DEVICE", members)
    plan = linear(outputs=4, inputs=list(range(16, 16 + trials))).trials()
    batches = make_batches(plan, [trial.identity for trial in plan], devices)
    assert {batch.slots for batch in batches} == {expected}


def test_batches_gather_trials_of_like_length():
    plan = linear(max_steps=[200, 4000], outputs=4, inputs=[16, 32]).trials()
    batches = make_batches(plan, [trial.identity for trial in plan], devices=2)
    assert [{dict(t.factors)["max_steps"] for t in batch.trials} for batch in batches] == [{200}, {4000}]


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"generator": "blocks", "head": "jway", "tiles": 9, "labels": 4}, r"a jway head must have <= 65536 outputs"),
        ({"generator": "blocks", "network": "conv", "head": "shared"}, "a shared head on a conv trunk needs one unit"),
        ({"generator": "fields", "network": "bayes", "field": "ising", "labels": 2, "rows": 8}, "no exact form"),
        ({"generator": "digits", "outputs": 2, "inputs": 512}, "inputs must be < 351 for 2 classes of digits, got 512"),
    ],
)
def test_an_impossible_task_is_the_users_mistake_before_anything_runs(tmp_path, factors, message):
    trials = Sweep(**factors, seeds=1).trials()
    with pytest.raises(UsageError, match=message):
        run_trials("sweep", trials, Store(tmp_path))
    assert not Store(tmp_path).holds("sweep")


# --- the public faces
def make_study():
    return Study("tiny", "", "", "", "", "", "a rule", False, {"smoke": (linear(outputs=4, inputs=[16, 32]),)},
                 lambda columns: [], rule_source="words")  # fmt: skip


def test_a_study_run_reports_itself_and_enters_the_ledger_once(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "train_population", failing([]))
    store, study = Store(tmp_path), make_study()
    first = run_study(study, "smoke", store)
    assert {name: first[name] for name in ("study", "preset", "trials", "trained", "failed", "diverged")} == {
        "study": "tiny", "preset": "smoke", "trials": 2, "trained": 2, "failed": 0, "diverged": 0,
    }  # fmt: skip
    second = run_study(study, "smoke", store)
    assert (second["trained"], second["root_hash"]) == (0, first["root_hash"])
    run_study(study, "smoke", store, overrides={"inputs": [16, 48]})  # not the preset: no full run
    assert [entry["rule_hash"] for entry in store.ledger("tiny")] == [rule_hash(study)]
    assert store.ledger("tiny")[0]["root_hash"] == first["root_hash"]


def test_a_sweep_of_ones_own_takes_two_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "train_population", failing([]))
    table = run(linear(outputs=4, inputs=[16, 32]), store=tmp_path, study="mine")
    assert table.num_rows == 2
    assert Store(Path(tmp_path)).holds("mine")


def test_a_batch_is_published_as_soon_as_it_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "train_population", failing([]))
    trials = linear(outputs=4, inputs=[16, 32]).trials()
    (batch,) = make_batches(trials, [trial.identity for trial in trials], devices=2)
    rows = run_batch("sweep", batch, Store(tmp_path))
    assert len(rows) == Store(tmp_path).read("sweep").table.num_rows == 2
