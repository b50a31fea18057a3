"""The self-check: equal records pass, a planted difference is seen and named; the committed records are whole."""

import json
from types import SimpleNamespace

import pytest

from experiments import selfcheck
from experiments.cli import main
from experiments.records import to_rows
from experiments.runner import run_trials
from experiments.selfcheck import RECORDS, STUDIES, check_study, disagreement, measure_widths
from experiments.spec import Study, Sweep
from experiments.store import Store
from experiments.studies.registry import STUDIES as ALL

SWEEP = Sweep(generator="codebook", network="bayes", dimension=8, outputs=[4, 8], inputs=64, test_items=200, seeds=2)
TINY = Study("tiny", "", "", "", "", "", "a rule", False, {"smoke": (SWEEP,)}, list, rule_source="words")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("records"))
    run_trials("tiny", SWEEP.trials(), store)
    return store


@pytest.mark.parametrize("name", STUDIES)
def test_the_committed_records_hold_every_smoke_trial_and_nothing_else(name):
    """After a change of a preset, a recipe or the algorithm version they must be made anew: see the module."""
    contents = Store(RECORDS).read(name)
    assert contents.problems == []
    rows = to_rows(contents.table)
    assert {row["identity"] for row in rows} == {trial.identity for trial in ALL[name].trials("smoke")}
    assert "failed" not in {row["status"] for row in rows}
    assert sum(path.stat().st_size for path in Store(RECORDS).folder(name).iterdir()) < 100_000


def test_the_same_machine_agrees_with_itself(records):
    found = check_study(TINY, records, records)
    assert (found["trials"], found["agreeing"], found["largest_difference"], found["differing"]) == (4, 4, 0, [])


def test_a_planted_difference_and_a_missing_record_are_named(records, tmp_path):
    rows = to_rows(records.read("tiny").table)
    moved = {**rows[0], "test_accuracy": rows[0]["test_accuracy"] + 0.05}
    Store(tmp_path).publish("tiny", [moved, *rows[2:]])
    found = check_study(TINY, records, Store(tmp_path))
    assert found["agreeing"] == 2
    reasons = {entry["identity"]: entry["reason"] for entry in found["differing"]}
    assert reasons[rows[0]["identity"]].startswith("test_accuracy ")
    assert reasons[rows[1]["identity"]] == "has no record"
    assert found["largest_difference"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"test_accuracy": 0.519}, None),
        ({"test_accuracy": 0.521}, "test_accuracy 0.5210 against 0.5000"),
        ({"train_accuracy": 0.7}, None),  # two of ten images
        ({"train_accuracy": 0.2}, "train_accuracy 0.2000 against 0.5000"),
        ({"status": "diverged"}, "status diverged against ok"),
        ({"status": "failed", "reason": "no memory"}, "failed: no memory"),
    ],
)
def test_what_counts_as_a_difference(change, reason):
    record = {"status": "ok", "inputs": 10, "test_items": 1000, "test_accuracy": 0.5, "train_accuracy": 0.5}
    assert disagreement(record, {**record, **change}) == reason


def test_widths_are_timed_with_one_population(monkeypatch):
    monkeypatch.setattr(selfcheck, "WORKLOADS", {"tiny": {**SWEEP.factors, "outputs": 4, "network": "bayes"}})
    calls = []

    def train(settings, members, chunk):
        calls.append((len(members.num_inputs), chunk))
        return SimpleNamespace(info=SimpleNamespace(steps=SimpleNamespace(sum=lambda: 100)))

    monkeypatch.setattr(selfcheck, "train_population", train)
    rows = list(measure_widths(chunks=(1, 4), members=4))
    assert [(row["workload"], row["chunk"]) for row in rows] == [("tiny", 1), ("tiny", 4)]
    assert all(row["steps_per_second"] > 0 for row in rows)
    assert calls == [(8, 1)] * 2 + [(8, 4)] * 2  # warm, then timed; two devices


@pytest.mark.parametrize(("agreeing", "code"), [(4, 0), (3, 1)])
def test_the_command_says_what_it_ran_on(capsys, monkeypatch, agreeing, code):
    def check(study, store, progress=None):
        wrong = [{"identity": "ab" * 32, "arm": "mlp", "seed": 0, "reason": "has no record"}] * (4 - agreeing)
        return {"study": study.name, "trials": 4, "agreeing": agreeing, "largest_difference": 0.0, "differing": wrong}

    monkeypatch.setattr(selfcheck, "check_study", check)
    monkeypatch.setattr("experiments.commands.checking.start_jax", lambda: None)
    assert main(["selfcheck", "--no-throughput", "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["devices"] == ["cpu cpu", "cpu cpu"]
    assert "unmeasured on GPU/TPU by the authors" in found["note"]
    assert (found["agrees"], [row["study"] for row in found["studies"]]) == (not code, list(STUDIES))
    assert main(["selfcheck", "--no-throughput"]) == code
    assert ("abababababab (mlp, seed 0): has no record" in capsys.readouterr().err) == bool(code)
