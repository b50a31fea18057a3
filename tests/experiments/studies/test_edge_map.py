"""Study edge_map: presets hold the trials meant, the rule finds planted outcomes, and measuring ignores the batch.

Planted losses lie ten standard errors or more from the thresholds: false-fail rates below 1e-6, seeds fixed.
"""

import numpy as np
import pytest

from experiments.measures.edge_map import CANDIDATES, CHOSEN, CONTOURS, choose_parameters, measure
from experiments.spec import Sweep
from experiments.studies import edge_map as study

EVERY = (*study.GLOBAL, *study.LOCAL)


def plant(loss, preset="laptop"):
    """Columns of a preset with Dice .95 - loss(contour, error) and a little noise."""
    rng = np.random.default_rng(3)
    trials = study.STUDY.trials(preset)
    rows = [dict(trial.factors) | {"seed": trial.seed} for trial in trials]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    cost = np.array([loss(row["contour"], row["start_error"]) + 0.3 * row["swapped"] for row in rows])
    columns["dice"] = 0.95 - cost + 0.001 * rng.normal(size=len(rows))
    columns["dice_other"] = np.where(columns["swapped"], 0.9, np.nan)
    columns["status"] = np.array(["ok"] * len(rows), dtype=object)
    return columns


def verdicts(loss):
    return {row["arm"]: row for row in study.judge(plant(loss))}


@pytest.mark.parametrize(
    ("loss", "expected", "words"),
    [
        (lambda contour, error: 0.0, "supported", "supported"),
        (lambda contour, error: 0.6 * error, "refuted", "refuted"),
        (lambda contour, error: error * (contour in study.LOCAL), "conditional", "global or convex"),
        (lambda contour, error: 0.5 * (contour in study.LOCAL and error > 0.2), "conditional", "small start errors"),
        (lambda contour, error: error * (contour in ("snake", "polar")), "conditional", "the method"),
        (lambda contour, error: 0.175 * error, "undecided", "undecided"),  # .035 at .2
    ],
)
def test_planted_outcomes_are_found(loss, expected, words):
    found = verdicts(loss)
    assert set(found) == {"overall", *study.CONTOURS}
    assert found["overall"]["verdict"] == expected
    assert words in found["overall"]["sentence"]
    for contour in study.CONTOURS:
        true = loss(contour, 0.2)
        wanted = "supported" if true < study.HOLDS else "refuted" if true > study.FAILS else "undecided"
        assert found[contour]["verdict"] == wanted
        assert found[contour]["effect"] == pytest.approx(true, abs=0.003)  # ten seeds, two cells: error .0003


def test_methods_shown_apart_enter_no_overall_verdict():
    assert verdicts(lambda contour, error: error * (contour in study.APART))["overall"]["verdict"] == "supported"


def test_the_basin_ends_before_the_first_loss_and_swaps_are_told():
    columns = plant(lambda contour, error: 0.2 * (error > 0.25))
    assert study.basin(columns, "snake") == pytest.approx(0.2)
    assert np.isnan(study.basin(plant(lambda contour, error: error), "snake"))
    effect, other = study.swap_effect(columns, "snake")
    assert effect.effect == pytest.approx(0.3, abs=0.003)
    assert other == pytest.approx(0.9)
    assert study.swap_effect(columns, "local_fit") is None


def test_all_methods_see_the_same_images_whatever_the_error_and_the_edge_map():
    trials = study.STUDY.trials("laptop")
    seen = {}
    for trial in trials:
        factors = dict(trial.factors)
        cell = tuple(factors[name] for name in ("edge_strength", "clutter", "object_radius", "test_items"))
        seen.setdefault((cell, trial.seed), set()).add(trial.data_identity)
    assert all(len(identities) == 1 for identities in seen.values())
    decisive = {t.seed for t in trials if dict(t.factors)["start_error"] == study.SMALL}
    assert len(decisive) * dict(trials[0].factors)["test_items"] >= 40
    assert set(CONTOURS) == set(study.CONTOURS) == set(CHOSEN) == set(CANDIDATES)
    assert {np.prod([len(v) for v in listed.values()]) for listed in CANDIDATES.values()} == {6}
    for contour, values in CHOSEN.items():
        assert all(values[name] in CANDIDATES[contour][name] for name in values)


def test_measuring_does_not_depend_on_the_batch_and_the_start_moves_no_convex_contour():
    trials = Sweep(
        generator="edge_map", contour=["convex", "geodesic"], start_error=[0.0, 0.4], test_items=2, seeds=[900_000]
    ).trials()
    whole, alone = measure(trials), [measure([trial])[0] for trial in reversed(trials)][::-1]
    assert whole == alone  # NumPy on one core: the same operations in the same order
    by_cell = {
        (dict(t.factors)["contour"], dict(t.factors)["start_error"]): row for t, row in zip(trials, whole, strict=True)
    }
    assert by_cell["convex", 0.4]["dice"] == pytest.approx(by_cell["convex", 0.0]["dice"], abs=0.005)
    assert by_cell["geodesic", 0.4]["start_dice"] < by_cell["geodesic", 0.0]["start_dice"] == 1
    assert by_cell["geodesic", 0.0]["dice"] > 0.9


def test_a_swapped_edge_map_leads_to_the_other_object_and_needs_a_method_that_uses_one():
    def sweep(contour):
        return Sweep(generator="edge_map", contour=contour, swapped=True, test_items=3, seeds=[900_000]).trials()

    row = measure(sweep("polar"))[0]
    assert row["dice_other"] > row["dice"]
    with pytest.raises(ValueError, match=r"swapped needs two images and one of polar.* got chan_vese"):
        measure(sweep("chan_vese"))


def test_tuning_names_a_candidate_for_every_contour(monkeypatch):
    few = {name: {key: values[:1] for key, values in listed.items()} for name, listed in CANDIDATES.items()}
    monkeypatch.setattr("experiments.measures.edge_map.CANDIDATES", few)
    trials = Sweep(generator="edge_map", contour="polar", test_items=1, seeds=[900_000]).trials()
    found = choose_parameters(trials)
    assert set(found) == set(CANDIDATES)
    assert all(0 <= dice <= 1 for _, dice in found.values())
