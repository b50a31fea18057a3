"""Studies `labels` and `blocks`: presets, every verdict from planted tables, and the measures behind them.

Planted effects are many standard errors from the thresholds; seeds are fixed.
"""

import numpy as np
import pytest

from experiments.engines import LocalExecutor
from experiments.measures import block_crops, label_chains
from experiments.runner import run_trials
from experiments.spec import Sweep
from experiments.store import Store
from experiments.studies import blocks, blocks_plan, labels
from experiments.studies.common import CELL, VARIANT
from experiments.verdicts import VERDICTS, judge_study
from sim.theory.similarity import effective_samples


def planted(study, preset, score, rng):
    """The study's own trials as columns, with the scores that `score(factors, arm, rng)` makes up."""
    rows = []
    for trial in study.STUDY.trials(preset):
        factors = dict(trial.factors)
        rows.append({**factors, "seed": trial.seed, "arm": trial.arm, "status": "ok", "converged": True,
                     **score(factors, trial.arm, rng)})  # fmt: skip
    names = {name for row in rows for name in row} | set(CELL) | set(VARIANT)
    return {name: np.array([row.get(name) for row in rows], dtype=object) for name in names} | {
        "status": np.array(["ok"] * len(rows)), "arm": np.array([row["arm"] for row in rows]),
        "generator": np.array([row["generator"] for row in rows]),
    }  # fmt: skip


def plant_labels(fixed, ranged, rho, lead=-0.01):
    """Changes from L = 2 to 32, linear in ln L, of chance-normalised accuracy on both routes and of rho."""

    def score(factors, arm, rng):
        share = np.log(factors["labels"] / 2) / np.log(16)
        on_range = not np.isclose(factors["spacing"], 2.0)
        if factors["labels"] == 2:
            on_range = factors["spacing"] > 2.0
        chance = 1 / factors["labels"]
        value = 0.8 + share * (ranged if on_range else fixed) + 0.002 * rng.standard_normal()
        ceiling = chance + (1 - chance) * value / (0.95 + share * rho + 0.002 * rng.standard_normal())
        accuracy = chance + (1 - chance) * value
        return {
            "chance_normalised": value, "expected_accuracy": accuracy, "expected_ceiling": ceiling,
            "pixel_ceiling": ceiling, "pixel_accuracy": accuracy,
            "known_pixel_accuracy": accuracy - lead + 0.001 * rng.standard_normal(),
            "exact_match": 0.2, "known_exact_match": 0.01 if on_range and factors["labels"] == 32 else 0.4,
        }  # fmt: skip

    return score


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (plant_labels(0.05, -0.5, 0.0), "refuted"),
        (plant_labels(-0.2, -0.21, -0.2), "supported"),
        (plant_labels(-0.1, -0.5, -0.1), "undecided"),
        (plant_labels(0.05, -0.05, 0.0), "undecided"),
        (plant_labels(0.05, -0.5, 0.0, lead=0.05), "undecided"),  # a network above the exact posterior
    ],
)
def test_labels_finds_what_was_planted(plant, expected):
    verdicts = labels.judge(planted(labels, "laptop", plant, np.random.default_rng(1)))
    assert verdicts[0]["arm"] == "overall"
    assert {row["verdict"] for row in verdicts} == {expected}
    assert len(verdicts) == 1 + 2 * len(labels.IMAGES)


def test_labels_shows_exact_match_where_it_can_be_reached_and_what_controls_change():
    plant = plant_labels(0.05, -0.5, 0.0)
    overall = labels.judge(planted(labels, "laptop", plant, np.random.default_rng(1)))[0]["sentence"]
    for words in ("0.20 of 0.40 at L = 2, fixed range", "0.20 of 0.40 at L = 32, fixed separation", *labels.CONTROLS):
        assert words in overall
    assert "at L = 32, fixed range" not in overall


def test_labels_says_from_where_on_a_claim_is_refuted():
    assert labels.overall({64: "undecided", 512: "refuted"})[0] == "conditional"
    assert labels.overall({64: "undecided", 512: "refuted", 4096: "refuted"})[0] == "conditional"
    assert labels.overall({64: "refuted", 512: "undecided"}) == ("undecided", "undecided")
    assert labels.overall({64: "supported", 512: "supported"})[0] == "supported"


def plant_blocks(size=0.0, own=0.0, gains=(0.0, 0.0, 0.0), kappa=0.5):
    """Gap from b = 1 to 16 with shared and own weights, and rho from s = 0 to 1 by architecture; or, where a gain is
    None, the law A(kappa n_eff)."""

    def score(factors, arm, rng):
        if factors["generator"] == "block_crops":
            change = size if factors["network"] == "conv" else own
            gap = -0.05 + change * np.log2(factors["block_size"]) / 4 + 0.0005 * rng.standard_normal()
            known = 0.937
            return {"gap": gap, "pixel_accuracy": known + gap - 0.01, "known_pixel_accuracy": known}
        samples = effective_samples(4, factors["similarity"], factors["inputs"] / 2, 0.12, 1.0)
        exact = blocks.tile_law(samples, factors)
        if arm in ("known", "bayes"):
            return {"pixel_accuracy": 0.92 if arm == "known" else exact}
        gain = gains[list(blocks.TILE_ARMS).index(arm)]
        value = 0.5 + 0.42 * (0.4 + (gain or 0.0) * factors["similarity"])
        if gain is None:
            value = blocks.tile_law(kappa * samples, factors)
        return {"pixel_accuracy": value + 0.001 * rng.standard_normal()}

    return score


def verdicts_of(plant):
    columns = planted(blocks, "laptop", plant, np.random.default_rng(2))
    return {row["arm"]: row["verdict"] for row in blocks.judge(columns)}


@pytest.mark.parametrize(
    ("plant", "small", "alike", "whole"),
    [
        (plant_blocks(), "refuted", "refuted", "refuted"),
        (plant_blocks(-0.04, -0.04, (0.2, 0.2, 0.2)), "supported", "supported", "supported"),
        (plant_blocks(0.0, -0.04, (0.2, 0.2, 0.0)), "conditional", "conditional", "conditional"),
        (plant_blocks(-0.01, -0.01, (0.035, 0.035, 0.035)), "undecided", "undecided", "undecided"),
        (plant_blocks(0.03, 0.03), "refuted", "refuted", "refuted"),  # larger blocks are better
    ],
)
def test_blocks_finds_what_was_planted(plant, small, alike, whole):
    found = verdicts_of(plant)
    assert (found["small blocks"], found["similar blocks"], found["overall"]) == (small, alike, whole)


def test_blocks_tells_a_network_that_follows_the_law_from_one_that_does_not():
    found = verdicts_of(plant_blocks(gains=(None, 0.0, 0.0)))
    assert found["law mlp/shared+reg"] == "supported"
    assert found["law mlp/placed+reg"] == "refuted"


def test_presets_hold_the_trials_that_decide():
    tiles = {(t.arm, dict(t.factors)["similarity"]) for t in blocks.STUDY.trials("laptop")
             if dict(t.factors)["generator"] == "blocks"}  # fmt: skip
    assert {(arm, s) for arm in (*blocks.TILE_ARMS, "known", "bayes") for s in (0.0, 1.0)} <= tiles
    crops = {(t.arm, dict(t.factors)["block_size"], dict(t.factors)["block_stride"])
             for t in blocks.STUDY.trials("laptop") if dict(t.factors)["generator"] == "block_crops"}  # fmt: skip
    assert {("mlp/9/1", b, 1) for b in blocks_plan.SIZES} | {("mlp/9/16", 16, 16)} <= crops


def smallest(study, family):
    """The first measured trial of a smoke preset, trained for a moment: its program is compiled once for all tests."""
    trial = next(t for t in study.STUDY.trials("smoke") if dict(t.factors)["generator"] == family)
    return dict(trial.factors) | {"max_steps": 400}


LABEL_TRIAL, CROP_TRIAL = smallest(labels, "label_chains"), smallest(blocks, "block_crops")


@pytest.mark.parametrize(("module", "factors"), [(label_chains, LABEL_TRIAL), (block_crops, CROP_TRIAL)])
def test_a_measure_does_not_depend_on_what_runs_beside_it(module, factors):
    trials = Sweep(**factors, seeds=[3, 4]).trials()
    together, alone = module.measure(trials), module.measure(trials[1:])
    assert together[1] == alone[0]
    assert together[0]["expected_accuracy"] != together[1]["expected_accuracy"]
    for scores in together:
        assert scores["pixel_chance"] + 0.1 < scores["expected_accuracy"] < scores["expected_ceiling"]
        # hits of the exact posterior and its own probabilities have one mean: five standard errors of its hits, in
        # units that are counted as one for every image because pixels of an image share their luck
        error = 5 * np.sqrt(0.25 / factors["test_items"])
        assert abs(scores["known_pixel_accuracy"] - scores["expected_ceiling"]) < error


def test_the_exact_posterior_of_crops_meets_density_evolution():
    """Mean posterior of 2,000 fresh crops against the closed form: its deviation is below .16 a crop, so five standard
    errors are .018; a false failure in 1 of a million."""
    scores = block_crops.measure(Sweep(**CROP_TRIAL, seeds=[5]).trials())[0]
    assert abs(scores["expected_ceiling"] - scores["exact_ceiling"]) < 0.018


@pytest.mark.parametrize(("study", "arms"), [(labels, {"overall"}), (blocks, {"size mlp/9/1"})])
def test_the_smoke_preset_reaches_a_verdict(study, arms, tmp_path):
    """Every trial of the preset is run: one program for rows, four for blocks, all small."""
    table, _ = run_trials("smoke", study.STUDY.trials("smoke"), Store(tmp_path), engine=LocalExecutor())
    verdicts = judge_study(study.STUDY, table)
    assert arms <= {row["arm"] for row in verdicts}
    assert {row["verdict"] for row in verdicts} <= set(VERDICTS) - {"tampered"}
    assert set(table["status"].to_pylist()) == {"ok"}


@pytest.mark.parametrize(
    ("module", "factors", "message"),
    [
        (label_chains, LABEL_TRIAL | {"labels": 33}, "labels must be <= 32 for label_chains, got 33"),
        (label_chains, LABEL_TRIAL | {"network": "mlp"}, "network must be conv or linear"),
        (block_crops, CROP_TRIAL | {"network": "conv", "crop_margin": 4}, "crop_margin must be a multiple of 3"),
        (block_crops, CROP_TRIAL | {"block_stride": 33}, "block_stride must be <= 32, got 33"),
    ],
)
def test_impossible_trials_are_refused(module, factors, message):
    with pytest.raises(ValueError, match=message):
        module.measure(Sweep(**factors, seeds=[3]).trials())
