"""Study linear_vs_deep: presets, planted outcomes of the rule, and measuring that ignores the batch.

Planted differences lie ten standard errors or more from the thresholds: false-fail rates below 1e-6, seeds fixed.
"""

import numpy as np
import pytest

from experiments.families.linear_vs_deep import DEEP, OTHERS, PHANTOMS, QUADRATIC, RAW, RULE
from experiments.measures.linear_vs_deep import choose_recipes, measure
from experiments.measures.linear_vs_deep_recipes import CHOSEN, candidates, recipe
from experiments.spec import Sweep
from experiments.studies import linear_vs_deep as study
from sim.segmentation.registry import SEGMENTERS

PHANTOM_LEARNERS = dict.fromkeys(PHANTOMS, (*RAW, "quadratic_logistic", *OTHERS["phantoms"], *DEEP["phantoms"]))

TIER_OF = {**dict.fromkeys(RAW, "raw"), **dict.fromkeys(QUADRATIC, "quadratic")}


def tier_of(row):
    deep = study.tier_learners("deep", row["scene"])
    return "deep" if row["learner"] in deep else TIER_OF.get(row["learner"], "nondeep")


def plant(score, preset="laptop"):
    """Columns of a preset with score(tier, row) and a little noise; validation scores have noise of their own."""
    rng = np.random.default_rng(4)
    rows = [dict(trial.factors) | {"seed": trial.seed} for trial in study.STUDY.trials(preset)]
    names = {name for row in rows for name in row}
    columns = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    true = np.array([score(tier_of(row), row) for row in rows])
    columns["score"] = true + 0.001 * rng.normal(size=len(rows))
    columns["validation_score"] = true + 0.001 * rng.normal(size=len(rows))
    columns["status"] = np.array(["ok"] * len(rows), dtype=object)
    return columns


def verdicts(score):
    return {row["arm"]: row["verdict"] for row in study.judge(plant(score))}


def planted(on_phantoms, on_rule):
    """Deep scores .8; a tier's is lower by the given number, on the rule's images by as much times t."""

    def score(tier, row):
        if tier == "deep":
            return 0.8
        return 0.8 - (on_rule[tier] * row["nonlinearity"] if row["scene"] == RULE else on_phantoms[tier])

    return score


def same(value):
    return dict.fromkeys(("raw", "quadratic", "nondeep"), value)


@pytest.mark.parametrize(
    ("phantoms", "rule", "a", "b"),
    [
        (same(0.1), same(0.2), "refuted", "supported"),
        (same(-0.1), same(-0.1), "supported", "refuted"),
        (same(0.0), same(0.035), "undecided", "undecided"),
        ({"raw": 0.3, "quadratic": 0.2, "nondeep": -0.1}, {"raw": 0.3, "quadratic": 0.0, "nondeep": 0.0},
         "conditional", "conditional"),
    ],
)  # fmt: skip
def test_planted_outcomes_are_found(phantoms, rule, a, b):
    found = verdicts(planted(phantoms, rule))
    tiers = [f"{claim}/{tier}" for claim in "ab" for tier in study.TIERS]
    assert set(found) == {"a", "b", *tiers}
    assert (found["a"], found["b"]) == (a, b)


def test_a_gain_that_does_not_rise_with_t_supports_nothing():
    found = verdicts(lambda tier, row: 0.8 if tier == "deep" else 0.6)
    assert {found[f"b/{tier}"] for tier in study.TIERS} == {"undecided"}


def test_what_longer_training_may_mend_is_not_held_against_deep_learners():
    def score(tier, row):
        return 0.8 - 0.1 * (tier == "deep" and row["steps_times"] == 1)

    found = verdicts(score)
    assert {found[f"{claim}/{tier}"] for claim in "ab" for tier in study.TIERS} == {"undecided"}
    columns = plant(score)
    gain = study.gain_of_training(columns, study.Cell(RULE, study.LARGEST["laptop"], 1.0))
    assert gain.effect == pytest.approx(0.1, abs=0.003)
    kept = columns["steps_times"] == 1
    without = study.judge({name: values[kept] for name, values in plant(planted(same(-0.1), same(-0.1))).items()})
    assert {row["verdict"] for row in without} == {"undecided"}  # nothing shows that training was long enough


def test_every_learner_of_either_side_has_as_many_recipes():
    for scene, learners in (("rule", [*RAW, *QUADRATIC, *OTHERS[RULE], *DEEP[RULE]]), *PHANTOM_LEARNERS.items()):
        known = candidates(scene)
        assert set(known) == set(learners) == set(CHOSEN[scene])
        assert {len(listed) for listed in known.values()} == {3}
        for name, listed in known.items():
            assert 0 <= CHOSEN[scene][name] < 3
            if name in SEGMENTERS:
                assert all(set(each) <= set(SEGMENTERS[name].parameters) for each in listed)
        assert recipe(scene, "mlp") == known["mlp"][CHOSEN[scene]["mlp"]]


@pytest.mark.parametrize("scene", PHANTOMS)
def test_a_networks_recipe_names_how_many_images_it_trains_on(scene):
    # both were defaults of the system once: a change there trained the network on a quarter of what it was tuned for
    assert all({"steps", "batch_size"} <= set(each) for each in candidates(scene)["unet"])


def test_recipes_are_ranked_on_images_that_no_result_uses():
    found = choose_recipes("rule", learners=["logistic"])
    assert set(found) == {"logistic"}
    assert all(0.5 < score < 1 for score in found["logistic"])  # at t = 0 about .9, at t = 1 about .5
    assert not {trial.seed for trial in study.STUDY.trials("paper")} & {900_000, 900_001}


def test_two_phantoms_are_not_enough():
    def score(tier, row):
        return 0.8 if tier == "deep" or row["scene"] not in PHANTOMS[:2] else 0.6

    assert verdicts(score)["a"] == "undecided"


def test_the_comparator_is_chosen_on_validation_not_on_test():
    columns = plant(lambda tier, row: 0.8)
    cell = study.Cell(RULE, study.LARGEST["laptop"], 1.0)
    good = columns["learner"] == "linear"
    columns["score"] = np.where(good, 0.9, 0.5)
    columns["validation_score"] = np.where(good, 0.1, 0.7)
    assert set(study.tier_scores(columns, cell, "raw").values()) == {0.5}


def test_crossovers():
    def at(first):
        return plant(lambda tier, row: 0.8 if tier != "deep" else 0.7 + 0.2 * (row["inputs"] >= first))

    assert study.crossover(at(16), 1.0, "raw") == pytest.approx(8.0, rel=0.05)  # halfway from 4 to 16 on ln I
    assert study.crossover(at(1), 1.0, "raw") == 0
    assert study.crossover(at(1000), 1.0, "raw") == np.inf


def test_all_learners_of_a_cell_see_the_same_images():
    seen = {}
    for trial in study.STUDY.trials("laptop"):
        factors = dict(trial.factors)
        cell = tuple(value for name, value in sorted(factors.items()) if name not in ("learner", "steps_times"))
        seen.setdefault((cell, trial.seed), set()).add(trial.data_identity)
    assert all(len(identities) == 1 for identities in seen.values())
    assert len({identity for each in seen.values() for identity in each}) == len(seen)


def test_measuring_does_not_depend_on_the_batch():
    trials = Sweep(
        generator="linear_vs_deep", learner=["logistic", "quadratic_logistic"], nonlinearity=[0.0, 1.0], inputs=16,
        test_items=8, noise=0.3, seeds=[900_000],
    ).trials()  # fmt: skip
    whole, alone = measure(trials), [measure([trial])[0] for trial in reversed(trials)][::-1]
    for one, other in zip(whole, alone, strict=True):
        assert one == pytest.approx(other, nan_ok=True, abs=1e-12)
    found = {
        (dict(t.factors)["learner"], dict(t.factors)["nonlinearity"]): row for t, row in zip(trials, whole, strict=True)
    }
    # 1,152 test pixels with shared neighbours: .1 is more than five standard errors from what many images would give.
    assert found["logistic", 1.0]["score"] < found["logistic", 1.0]["regression_limit"] + 0.1
    assert found["quadratic_logistic", 1.0]["score"] > found["logistic", 1.0]["linear_ceiling"]
    for row in whole:  # exact references: nobody beats who knows the rule by more than five standard errors
        assert row["score"] < row["bayes_known"] + 0.06


def test_whole_systems_are_for_phantoms():
    trials = Sweep(
        generator="linear_vs_deep", learner="convex_max_flow", scene="rule", inputs=1, test_items=1, seeds=1
    ).trials()
    with pytest.raises(ValueError, match=r"learner must be one of linear.* on scene rule, got convex_max_flow"):
        measure(trials)
