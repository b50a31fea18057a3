"""The explorer's curves hold what was measured, the limits of their own cells, and what `capsim predict` says."""

import json

import numpy as np
import pytest

from experiments.fitting import METRICS, fit_study, study_arms
from experiments.limits import limits_of
from experiments.predicting import learn, predict_accuracy
from experiments.records import to_table
from experiments.verdicts import to_columns
from paper_figures import laws
from paper_figures.explorer import CEILINGS, KEYS, make_curves, to_json, to_rows
from paper_figures.laws import FittedArm, fit_studies, follow


def pick(curves, **keys):
    return [curve for curve in curves if all(curve.keys[name] == value for name, value in keys.items())]


@pytest.fixture(scope="module")
def tables(store):
    return {study: store.read(study).table for study in METRICS}


@pytest.fixture(scope="module")
def arms(tables):
    return study_arms("codebook", tables["codebook"])


@pytest.fixture(scope="module")
def fitted(arms):
    """The main arm alone, fitted in this process."""
    (arm,) = [arm for arm in arms if arm.name == "mlp+reg"]
    learned = learn(arm)
    return learned, FittedArm("codebook", arm.name, arm.metric, [], follow(learned, "all alone"))


@pytest.fixture(scope="module")
def curves(tables, fitted):
    return make_curves({study: to_columns(table) for study, table in tables.items()}, [fitted[1]])


def test_points_are_means_of_their_cells(curves, rows):
    (curve,) = pick(curves, study="codebook", learner="mlp+reg", inputs=16)
    cells = {}
    for row in rows["codebook"]:
        if (row["arm"], row["inputs"]) == ("mlp+reg", 16):
            cells.setdefault(row["log2_outputs"], []).append(row["test_accuracy"])
    assert len(cells) >= 2
    assert [point[0] for point in curve.points] == sorted(cells)
    for bits, mean, low, high, trials in curve.points:
        assert mean == pytest.approx(np.mean(cells[bits]), abs=1e-6)  # rounded there
        assert low < mean < high
        assert trials == len(cells[bits])


def test_every_cell_and_score_of_the_records_is_on_one_curve(curves, rows):
    for study in METRICS:
        cells = {(row["arm"], row["inputs"], row["log2_outputs"], row.get("field")) for row in rows[study]}
        found = sum(len(curve.points) for curve in pick(curves, study=study))
        assert found == len(cells) * len(METRICS[study])
    assert len({tuple(curve.keys.values()) for curve in curves}) == len(curves)
    assert all(tuple(curve.keys) == KEYS for curve in curves)


def test_limits_are_those_of_the_curves_own_images(curves, rows):
    heads = pick(curves, study="heads", learner="mlp+reg", head="dense", score="exact match")
    for curve in heads:
        own = {row["log2_outputs"]: row for row in rows["heads"] if row["inputs"] == curve.keys["inputs"]}
        assert dict(map(tuple, curve.limits["ceiling, composition known"])) == pytest.approx(
            {bits: row["bayes_composed"] for bits, row in own.items()}, abs=1e-6
        )
        assert "class-mean rule, expected" in curve.limits
    (pixel, *_) = pick(curves, study="heads", learner="mlp+reg", head="dense", score="pixel accuracy")
    assert set(pixel.limits) == {"ceiling, codewords known", "chance"}
    assert {value for _, value in pixel.limits["chance"]} == {0.25}


def test_tasks_and_noise_are_choices_where_the_records_vary_them(rows):
    made = [dict(row) for row in rows["codebook"] if row["arm"] == "mlp+reg"]
    made += [row | {"noise": 2.0, "balanced": False} for row in made]
    varied = make_curves({"codebook": to_columns(to_table(made))}, [])
    assert {curve.keys["noise"] for curve in varied} == {"1", "2"}
    assert {curve.keys["task"] for curve in varied} == {"balanced", "not balanced"}
    assert all(curve.laws is None for curve in varied)


def test_laws_say_what_predict_says(curves, fitted):
    learned, arm = fitted
    for curve in pick(curves, study="codebook", learner="mlp+reg"):
        assert curve.laws is arm.curves
    low, accuracy, high = arm.curves.at[16.0]
    for place in (0, 3, len(accuracy) - 1):
        told = predict_accuracy(learned, 16, float(np.exp2(arm.curves.bits[place])))
        assert accuracy[place] == pytest.approx(told["accuracy"], abs=1e-9)  # J comes back from its logarithm
        assert [low[place], high[place]] == pytest.approx(told["interval"], abs=1e-9)
    assert arm.curves.measured == (2.0, 4.0)
    assert arm.curves.bits[-1] == 6.0  # beyond what was run
    assert set(np.exp2(arm.curves.bits).round(6)) >= {4.0, 8.0, 16.0}
    assert not pick([curve for curve in curves if curve.laws is not None], learner="bayes")


def test_page_and_table_hold_the_same_numbers(curves):
    data = json.loads(json.dumps(to_json(curves), allow_nan=False))
    assert len(data["curves"]) == len(curves)
    (law,) = data["laws"]
    listed = to_rows(curves)
    assert len(listed) == sum(
        len(entry["points"]) + sum(map(len, entry["limits"].values())) + len(entry.get("curve", [[]])[0])
        for entry in data["curves"]
    )
    (entry,) = [e for e in data["curves"] if (e["study"], e["learner"], e["inputs"]) == ("codebook", "mlp+reg", 16)]
    mine = [row for row in listed if (row["study"], row["learner"], row["inputs"]) == ("codebook", "mlp+reg", 16)]
    told = [row for row in mine if row["series"] == f"law {law['name']}"]
    assert entry["law"] == 0
    np.testing.assert_allclose([row["low"] for row in told], entry["curve"][0], atol=1e-5)  # rounded for the page
    np.testing.assert_allclose([row["log2_outputs"] for row in told], law["bits"], atol=1e-6)


def test_rows_without_outputs_are_left_out(rows):
    made = [dict(row, log2_outputs=None) for row in rows["digits"]]
    assert make_curves({"digits": to_columns(to_table(made))}, []) == []


def test_ceilings_are_what_theory_gives():
    """The names that the explorer reads are those that `limits_of` writes."""
    limits = limits_of({"generator": "digits", "outputs": 10, "inputs": 16})
    assert {*CEILINGS, "chance", "pixel_chance", "pixel_bayes_known", "log2_outputs"} <= set(limits)


def test_processes_fit_what_one_process_fits(tables, arms):
    found, reasons = fit_studies({"codebook": tables["codebook"], "digits": tables["digits"]})
    assert reasons == {}
    alone = fit_study("codebook", tables["codebook"])
    assert [row for arm in found if arm.study == "codebook" for row in arm.rows] == alone
    assert [(arm.arm, arm.metric) for arm in found if arm.study == "codebook"] == [(a.name, a.metric) for a in arms]
    assert all(arm.curves is not None and arm.reason == "" for arm in found)


def test_what_cannot_be_fitted_has_a_reason(arms, monkeypatch):
    arm = arms[0]._replace(laws=())
    names = tuple(law.name for law in arms[0].laws)
    single = np.unique(np.stack([arm.columns["inputs"], arm.columns["outputs"]], axis=1), axis=0, return_index=True)[1]
    lone = arm._replace(
        columns={name: column[single] for name, column in arm.columns.items()},
        accuracy=arm.accuracy[single], held_out=arm.held_out[single],
    )  # fmt: skip
    unfitted = laws.fit_arm(laws._Job("codebook", lone, names))
    assert (unfitted.rows, unfitted.curves) == ([], None)
    assert "variance" in unfitted.reason

    def fail(*_):
        raise ValueError("no way on")

    monkeypatch.setattr(laws, "learn", fail)
    unfollowed = laws.fit_arm(laws._Job("codebook", arm, names[:2]))
    assert len(unfollowed.rows) == 2
    assert (unfollowed.curves, unfollowed.reason) == (None, "no way on")


def test_a_study_whose_rows_are_no_arms_is_named(tables, monkeypatch):
    def fail(study, table):
        raise ValueError(f"{study} has none")

    monkeypatch.setattr(laws, "study_arms", fail)
    assert fit_studies({"codebook": tables["codebook"]}) == ([], {"codebook": "codebook has none"})
