"""Study `continuous`: every verdict can be reached, by planted errors, and the presets hold the trials meant."""

from collections import defaultdict

import numpy as np
import pytest

from experiments.studies.continuous import (
    BINS,
    BINS_CLAIM,
    CLAIM,
    FINE,
    INPUTS,
    STEPS,
    STUDY,
    TARGETS,
    bin_slope,
    excess_error,
    judge,
    main_rows,
)
from experiments.verdicts import VERDICTS

PLAN = STUDY.trials("laptop")
BAYES = 0.2
USUAL = {"slope": 0.02, "longer": None, "regression": 0.02, "longer_regression": None, "fine": 0.1}


def planted(seed=0, **wanted):
    """A table with y = slope ln(Q / 16) + .05 and given excesses of one output, each for (target, I) or for all.

    `fine` is the error of 16 bins over the best predictor's; longer runs do as well as usual ones unless said.
    """
    rng, rows = np.random.default_rng(seed), []
    for trial in PLAN:
        factors = dict(trial.factors)
        place = (factors["target"], factors["inputs"])

        def of(name, place=place):
            value = wanted.get(name, USUAL[name])
            return value.get(place, USUAL[name]) if isinstance(value, dict) else value

        long = factors["max_steps"] > STEPS
        if factors["estimator"] == "bins":
            rise = of("longer") if long and of("longer") is not None else of("slope")
            excess = of("fine") * BAYES + rise * np.log(factors["bins"] / FINE) + rng.normal(0, 0.002)
            error = np.hypot(BAYES, max(excess, 0.0))
        elif factors["estimator"] == "regression":
            share = of("longer_regression") if long and of("longer_regression") is not None else of("regression")
            error = BAYES * (1 + share + rng.normal(0, 0.003))
        else:
            error = 1.5 * BAYES
        rows.append(factors | {"seed": trial.seed, "arm": trial.arm, "status": "ok", "error": error,
                               "bayes_error": BAYES, "decoder_error": BAYES, "excess": error / BAYES - 1})  # fmt: skip
    text = ("generator", "target", "estimator", "arm", "status")
    return {name: np.array([row[name] for row in rows], dtype=object if name in text else float) for name in rows[0]}


def decided(columns):
    rows = judge(columns)
    for row in rows:
        assert row["verdict"] in VERDICTS
        assert row["interval"][0] <= row["effect"] <= row["interval"][1]
        assert "power" in row["power"]
    return {(row["claim"], row["arm"]): row["verdict"] for row in rows}


LARGEST = {(target, INPUTS[-1]) for target in TARGETS}


@pytest.mark.parametrize(
    ("slope", "longer", "overall"),
    [
        (0.02, None, "supported"),
        (0.0, None, "refuted"),
        (0.02, 0.0, "undecided"),  # four times the steps mend what more bins cost
        ({("linear", 4096): 0.0, ("disc", 4096): 0.02}, None, "conditional"),
        ({("linear", 4096): 0.005, ("disc", 4096): 0.02}, None, "undecided"),
    ],
)
def test_more_bins_find_what_was_planted(slope, longer, overall):
    found = decided(planted(slope=slope, longer=longer))
    assert found[BINS_CLAIM, "bins"] == overall
    small = slope if isinstance(slope, float) else USUAL["slope"]
    for target in TARGETS:  # four times the steps were run at the largest I alone
        assert found[BINS_CLAIM, f"{target}, I = 64"] == ("supported" if small > 0 else "refuted")


def test_the_sentence_names_the_smaller_sizes_where_bins_cost():
    columns = planted(slope=dict.fromkeys(LARGEST, 0.0) | {("linear", 512): 0.0})
    (overall,) = [row for row in judge(columns) if row["arm"] == "bins"]
    assert overall["verdict"] == "refuted"
    assert overall["sentence"].endswith("more bins cost more for: linear 64, disc 64, disc 512.")


def test_the_slope_is_the_planted_one():
    rows = main_rows(planted(slope=0.02), estimator="bins")
    slope = bin_slope(rows, "disc", 4096)
    assert slope.low < 0.02 < slope.high
    assert slope.effect == pytest.approx(0.02, abs=0.001)  # .002 a trial over 40 trials
    assert np.all(excess_error({"error": np.array([0.1]), "decoder_error": np.array([0.2])}) == 0)


@pytest.mark.parametrize(
    ("planting", "overall"),
    [
        ({"regression": 0.02}, "refuted"),
        ({"regression": 0.5}, "supported"),
        ({"regression": 0.5, "longer_regression": 0.1}, "undecided"),  # it lacked steps
        ({"regression": 0.5, "fine": 1.5}, "undecided"),  # so did sixteen bins: images are what lacks
        ({"regression": 0.1}, "undecided"),
        ({"regression": {("linear", 4096): 0.02, ("disc", 4096): 0.5}}, "conditional"),
    ],
)
def test_one_output_finds_what_was_planted(planting, overall):
    found = decided(planted(**planting))
    assert found[CLAIM, "one output"] == overall
    if isinstance(planting["regression"], dict):
        assert found[CLAIM, "one output, linear"] == "refuted"
        assert found[CLAIM, "one output, disc"] == "supported"


def test_a_network_better_than_the_best_predictor_decides_nothing():
    found = decided(planted(regression=-0.1))
    assert set(found.values()) == {"undecided"}


def test_a_seed_of_which_a_trial_diverged_is_left_out():
    columns = planted()
    lost = (columns["bins"] == 64) & (columns["seed"] == 3) & (columns["inputs"] == 4096)
    columns["status"] = np.where(lost, "diverged", columns["status"])
    rows = main_rows(columns, estimator="bins")
    assert bin_slope(rows, "linear", 4096).trials == 9
    assert decided(columns)[BINS_CLAIM, "bins"] == "supported"


def test_no_finished_rows_no_verdict():
    columns = planted()
    assert judge(columns | {"status": np.full(len(columns["seed"]), "failed", dtype=object)}) == []


def test_the_presets_hold_the_trials_meant():
    cells = defaultdict(set)
    for trial in PLAN:
        factors = dict(trial.factors)
        cells[tuple(factors[n] for n in ("target", "inputs", "estimator", "bins", "max_steps"))].add(trial.seed)
    for target in TARGETS:
        for inputs in INPUTS:
            seeds = 10 if inputs == INPUTS[-1] else 4
            for estimator, bins in [
                ("regression", 0),
                ("least_squares", 0),
                ("ridge", 0),
                *(("bins", q) for q in BINS),
            ]:
                assert len(cells[target, inputs, estimator, bins, STEPS]) == seeds
        for estimator, bins in (("regression", 0), ("bins", BINS[-1])):
            assert len(cells[target, INPUTS[-1], estimator, bins, 4 * STEPS]) == 2
    assert len(cells) == 2 * (len(INPUTS) * 7 + 2)


def test_all_estimators_of_a_cell_see_the_same_images():
    data = defaultdict(set)
    for trial in PLAN:
        factors = dict(trial.factors)
        data[factors["target"], factors["inputs"], trial.seed].add(trial.data_identity)
    assert all(len(identities) == 1 for identities in data.values())
