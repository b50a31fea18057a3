"""Measured families: their trials share the sweep, the store and the safety of all others."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pytest

from experiments import Sweep, factors, measuring, run, spec
from experiments.batches import make_batches
from experiments.cache import num_cores
from experiments.commands.running import _seconds_left
from experiments.families.family import Family
from experiments.families.registry import FAMILIES, predicted_measuring
from experiments.records import difference, to_rows
from experiments.runner import execute
from experiments.store import Store
from experiments.verdicts import to_columns

TOY = Family("toy", "a stand-in", ("inputs", "noise", "stay"), ("inputs",), ("noise",), ("inputs",), 2, lambda f: 0.5)
SWEEP = {"generator": "toy", "inputs": [4, 8], "noise": [1.0, 2.0], "stay": 0.5}


@pytest.fixture
def calls(monkeypatch):
    """The toy family is known, and what it was asked to measure is kept."""
    monkeypatch.setitem(FAMILIES, "toy", TOY)
    monkeypatch.setitem(factors.GENERATOR_FACTORS, "toy", TOY.data)
    asked = []

    def measure(trials):
        asked.append([dict(trial.factors) for trial in trials])
        bad = [values for values in asked[-1] if values["noise"] == 3.0]
        if bad:
            raise ValueError("noise of 3 cannot be measured")
        return [
            {"dice": 1 / values["inputs"], "boundary_f": float(trial.seed), "undefined": float("nan")}
            | ({"diverged": "too noisy"} if values["noise"] == 4.0 else {})
            for values, trial in zip(asked[-1], trials, strict=True)
        ]

    monkeypatch.setattr(measuring, "measure_of", {"toy": measure}.__getitem__)
    return asked


def test_trials_have_the_family_s_factors_its_arm_and_shared_data(calls):
    trials = Sweep(**SWEEP, seeds=1).trials()
    assert [dict(trial.factors) for trial in trials[:1]] == [
        {"generator": "toy", "inputs": 4, "noise": 1.0, "stay": 0.5}
    ]
    assert [trial.arm for trial in trials] == ["1.0", "2.0", "1.0", "2.0"]
    first, other_noise, other_inputs, _ = (trial.data_identity for trial in trials)
    assert first == other_noise != other_inputs


def test_calls_hold_like_trials_and_populations_are_left_out(calls):
    plan = Sweep(**SWEEP, seeds=3).trials() + Sweep(network="bayes", seeds=1).trials()
    cut = measuring.make_calls(plan, [trial.identity for trial in plan])
    assert sorted(len(call) for call in cut) == [2] * 6
    assert all(len({dict(trial.factors)["inputs"] for trial in call}) == 1 for call in cut)
    assert predicted_measuring(plan) == 6.0
    assert [len(batch.trials) for batch in make_batches(plan, [trial.identity for trial in plan], 1)] == [1]


def test_time_left_is_what_the_family_foretells_at_the_pace_of_the_finished(calls):
    """Three of twelve trials took three times the .5 s foretold; nine are left, a core takes one at a time."""
    trials = Sweep(**SWEEP, seeds=3).trials()
    rows = [{"identity": t.identity, "arm": t.arm, "status": "ok", "seconds": 1.5} for t in trials[:3]]
    selection = SimpleNamespace(table=pa.Table.from_pylist(rows), trials=trials)
    assert _seconds_left(selection) == pytest.approx(9 * 1.5 / num_cores())
    trained = Sweep(network="bayes", seeds=1).trials()
    selection = SimpleNamespace(table=selection.table, trials=[*trials, *trained])
    assert _seconds_left(selection) is None  # no trial of a population has finished


def test_a_run_measures_what_is_missing_once_and_its_scores_become_columns(calls, tmp_path):
    table = run(Sweep(**SWEEP, seeds=2), tmp_path)
    assert len(table) == 8
    assert sum(len(call) for call in calls) == 8
    columns = to_columns(table)
    assert columns["dice"].tolist() == (1 / columns["inputs"]).tolist()
    assert columns["boundary_f"].tolist() == columns["seed"].tolist()
    assert columns["stay"].tolist() == [0.5] * 8
    assert "undefined" not in columns
    assert "scores_json" not in columns
    run(Sweep(**SWEEP, seeds=2), tmp_path)
    assert len(calls) == 4


def test_populations_and_measured_trials_share_one_plan(calls, tmp_path):
    plan = Sweep(**SWEEP, seeds=1).trials() + Sweep(network="bayes", seeds=1, test_items=50, inputs=16).trials()
    reports = []
    table, receipt = execute("both", plan, Store(tmp_path), reports.append)
    assert (len(table), receipt["trained"], receipt["missing"], receipt["duplicates"]) == (5, 5, 0, 0)
    assert [report.done for report in reports] == [1, 3, 5]
    assert reports[-1].seconds_left == 0


def test_one_bad_trial_costs_one_failed_row_and_a_diverged_one_keeps_its_reason(calls, tmp_path):
    sweep = {**SWEEP, "inputs": 4, "noise": [1.0, 3.0, 4.0]}
    rows = {row["noise"]: row for row in to_rows(run(Sweep(**sweep, seeds=1), tmp_path))}
    assert [rows[noise]["status"] for noise in (1.0, 3.0, 4.0)] == ["ok", "failed", "diverged"]
    assert rows[3.0]["reason"] == "ValueError: noise of 3 cannot be measured"
    assert rows[4.0]["reason"] == "too noisy"


def test_a_score_that_is_no_number_is_refused(calls):
    (trial,) = Sweep(**{**SWEEP, "inputs": 4, "noise": 1.0}, seeds=1).trials()
    with pytest.raises(ValueError, match="dice must be a number, got 'high'"):
        measuring.make_row("toy", trial, {"dice": "high"}, 1.0)


def test_rows_that_differ_in_a_score_without_a_column_contradict_each_other():
    row = {"identity": "a", "status": "ok", "scores_json": json.dumps({"hausdorff": 10.0})}
    near, far = ({**row, "scores_json": json.dumps({"hausdorff": value})} for value in (10.1, 10.5))
    assert difference(row, near) is None
    assert difference(row, far) == "hausdorff 10.0 against 10.5"
    assert difference(row, {**row, "scores_json": "{}"}) == "hausdorff 10.0 against None"


def test_a_family_has_no_recipe_for_what_is_left_open(calls, monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", TOY._replace(factors=(*TOY.factors, "learning_rate")))
    with pytest.raises(spec.UsageError, match="learning_rate must be set: toy has no recipe for it"):
        Sweep(**SWEEP, seeds=1).trials()
