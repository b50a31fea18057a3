"""`capsim why` and `capsim replay`: on a tiny study whose trials train in a second."""

import json
import sys
import types

import pytest

from experiments import replaying, spec
from experiments.cli import main
from experiments.explaining import algorithm_version, explain, find_trial
from experiments.runner import run_trials
from experiments.spec import Study, Sweep, UsageError, identity_under
from experiments.store import Store

NUMBERS = {"learning_rate": 0.01, "weight_decay": 0.0, "input_noise": 0.0, "max_steps": 200, "batch_size": 16}
TASK = {"generator": "codebook", "network": "linear", "dimension": 8, "inputs": 32, "test_items": 100}
SWEEP = Sweep(**TASK, **NUMBERS, outputs=[4, 8], seeds=1)
WILD = Sweep(**TASK, **{**NUMBERS, "learning_rate": 1e6, "weight_decay": 1.0}, outputs=4, seeds=1)
STUDY = Study("tiny", "", "", "", "", "", "a rule", False, {"smoke": (SWEEP, WILD)}, list, rule_source="words")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    found = Store(tmp_path_factory.mktemp("store"))
    run_trials("tiny", STUDY.trials("smoke"), found)
    return found


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    made = types.ModuleType("experiments.studies.registry")
    made.__dict__["STUDIES"] = {"tiny": STUDY}
    monkeypatch.setitem(sys.modules, "experiments.studies.registry", made)
    monkeypatch.setattr("experiments.commands.inspecting.start_jax", lambda: None)


@pytest.fixture
def capsim(capsys, store):
    def call(*arguments, at=store):
        code = main([*arguments, "--study", "tiny", "--store", str(at)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_new_trial_differs_from_the_nearest_stored_one_in_what_was_changed(capsim):
    (new,) = Sweep(**TASK, **NUMBERS, outputs=8, noise=2.0, seeds=[5]).trials()
    changes = ["--set", "outputs=8", "--set", "noise=2.0", "--set", "learning_rate=0.01"]
    changes += ["--set", "weight_decay=0.0", "--seeds", "6"]
    code, out, _ = capsim("why", new.identity[:12], "--json", *changes)
    found = json.loads(out)
    assert (code, found["stored"], found["planned"]) == (0, False, True)
    assert found["differs"] == {"seed": {"here": 5, "there": 0}, "noise": {"here": 2.0, "there": 1.0}}
    assert found["nearest"] == SWEEP.trials()[1].identity
    assert "noise" in capsim("why", new.identity[:12], *changes)[1]


def test_a_stored_trial_tells_its_fields_and_one_outside_the_plan_its_nearest(capsim):
    trial = SWEEP.trials()[0]
    found = json.loads(capsim("why", trial.identity, "--json")[1])
    assert (found["stored"], found["planned"], found["differs"]) == (True, True, {})
    assert found["fields"] == {"algorithm_version": spec.ALGORITHM_VERSION, "seed": 0, **dict(trial.factors)}
    found = json.loads(capsim("why", trial.identity, "--json", "--set", "inputs=48")[1])
    assert (found["stored"], found["planned"]) == (True, False)
    assert found["differs"] == {"inputs": {"here": 32, "there": 48}}


def test_an_upgrade_shows_as_another_algorithm_version(store, monkeypatch):
    """The rows of the old version stay; the very same factors now have another identity."""
    trials = STUDY.trials("smoke")
    rows, before = store.read("tiny").table.to_pylist(), trials[0].identity
    monkeypatch.setattr(spec, "ALGORITHM_VERSION", spec.ALGORITHM_VERSION + 1)
    fresh = [spec.Trial(trial.factors, trial.seed) for trial in trials]
    found = explain(find_trial(fresh[0].identity, fresh, rows), fresh, rows)
    assert found["differs"] == {"algorithm_version": (2, 1)}
    assert found["nearest"] == before
    assert algorithm_version("0" * 64, trials[0]) is None
    assert identity_under(1, dict(trials[0].factors), trials[0].seed) == before


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        ("xyz", "trial must be the start of an identity, digits and letters a to f, got 'xyz'"),
        ("0" * 64, f"trial must be the start of one identity of plan or store, got '{'0' * 64}', of none"),
    ],
)
@pytest.mark.parametrize("command", ["why", "replay"])
def test_no_such_trial_is_the_users_mistake(capsim, command, trial, message):
    assert capsim(command, trial) == (2, "", f"capsim: {message}\n")


def test_a_prefix_of_several_trials_names_them():
    trials = Sweep(**TASK, **NUMBERS, outputs=4, seeds=40).trials()  # 40 trials over 16 first digits
    digits = [trial.identity[0] for trial in trials]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    with pytest.raises(UsageError, match=f"got '{twice}', that of {digits.count(twice)} trials"):
        find_trial(twice, trials, [])


def test_a_replay_agrees_with_the_stored_row(capsim):
    """Alone in another program: within the store's tolerance, here on 100 items to rounding."""
    trial = SWEEP.trials()[0]
    code, out, _ = capsim("replay", trial.identity[:16], "--json")
    found = json.loads(out)
    assert (code, found["contradiction"], found["losses"]) == (0, None, [])
    assert found["replayed"]["steps"] == found["stored"]["steps"] == 200
    assert found["replayed"]["nll"] == pytest.approx(found["stored"]["nll"], rel=1e-3)
    assert "agrees with the stored row" in capsim("replay", trial.identity[:16])[1]


def test_a_replay_that_contradicts_the_store_costs_code_one(capsim, store, tmp_path):
    trial = SWEEP.trials()[0]
    (row,) = (row for row in store.read("tiny").table.to_pylist() if row["identity"] == trial.identity)
    Store(tmp_path).publish("tiny", [{**row, "test_accuracy": row["test_accuracy"] + 0.1}])
    code, out, _ = capsim("replay", trial.identity, at=tmp_path)
    assert code == 1
    assert "contradicts the stored row: test_accuracy" in out


def test_a_diverged_trial_shows_the_path_of_its_loss(capsim):
    code, out, _ = capsim("replay", WILD.trials()[0].identity, "--json")
    found = json.loads(out)
    assert code == 0, "it diverges again: the rows agree"
    assert found["replayed"]["reason"] == found["stored"]["reason"]
    steps = [step for step, _ in found["losses"]]
    assert steps == [50 * (place + 1) for place in range(len(steps))]
    assert len(steps) < found["stored"]["steps"] / 50 + 1


def test_a_trial_that_fails_again_says_why(capsim, monkeypatch):
    def out_of_memory(batch):
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory\nmore")

    monkeypatch.setattr(replaying, "train_batch", out_of_memory)
    code, out, _ = capsim("replay", SWEEP.trials()[0].identity, "--json")
    assert code == 1
    assert json.loads(out)["replayed"]["reason"] == "RuntimeError: RESOURCE_EXHAUSTED: out of memory"
