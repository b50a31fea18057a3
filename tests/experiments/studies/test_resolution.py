"""Study `resolution`: laws of scene and evidence, each verdict on planted rows, and the presets."""

from collections import defaultdict

import numpy as np
import pytest

from experiments.recipes import TUNING_SEEDS
from experiments.runner import run_trials
from experiments.store import Store
from experiments.studies import resolution as study
from experiments.studies.common import CELL
from experiments.studies.scene_laws import LAWS, chain_stay, follows, image_pixels, scaled_noise
from experiments.studies.scene_recipes import CANDIDATES, CHOSEN, HIGHEST_RATE, choose_recipes, tuning_sweeps
from experiments.verdicts import judge_study
from sim.theory.ceilings import chain_ceilings

SCATTER = 0.0004
FACTORS = ("generator", "field", "inputs", "labels", "noise", "rows", "columns", "stay", "coupling", "spacing",
           "grid_size", "scenes", "bits", "spread", "frame")  # fmt: skip


def columns_of(trials, value):
    """The table of finished trials whose pixel accuracy is value(arm, law, log2 n), with scatter between seeds."""
    rng, rows = np.random.default_rng(1), []
    for trial in trials:
        factors = dict(trial.factors)
        rows.append({name: factors.get(name, "" if name in ("generator", "field") else np.nan) for name in FACTORS}
                    | {"arm": trial.arm, "seed": trial.seed, "status": "ok", "init_seed": 0,
                       "max_steps": factors.get("max_steps", np.nan), "width": factors.get("width", np.nan),
                       "pixel_bayes_known": 0.97})  # fmt: skip
    names = list(rows[0])
    columns = {n: np.array([r[n] for r in rows], object if isinstance(rows[0][n], str) else float) for n in names} | {
        n: np.full(len(rows), np.nan) for n in CELL if n not in names
    }
    pixels, accuracy = np.log2(image_pixels(columns)), np.empty(len(rows))
    laws = {law: follows(columns, *law) for law in LAWS}
    for index, row in enumerate(rows):
        mine = [law for law in LAWS if laws[law][index]]
        accuracy[index] = value(row["arm"], mine, pixels[index]) + rng.normal(0, SCATTER)
    return columns | {"pixel_accuracy": accuracy}


def sloping(slopes):
    """Accuracies whose slope on log2 n is slopes(arm, law); at the base size, 32 or 256 pixels, all laws agree."""

    def value(arm, laws, bits):
        if arm == "bayes":
            return 0.98
        base = 8 if bits >= 8 else 5
        return 0.8 + (slopes(arm, laws[0]) * (bits - base) if len(laws) == 1 else 0.0)

    return value


@pytest.fixture(scope="module")
def trials():
    """Chains have every law and architecture."""
    wanted = {"field": "chain", "labels": 2, "inputs": 512}
    return [t for t in study.STUDY.trials("laptop") if wanted.items() <= dict(t.factors).items()]


def found_verdicts(trials, slopes):
    return {row["arm"]: (row["verdict"], row["sentence"]) for row in study.judge(columns_of(trials, sloping(slopes)))}


def test_refuted_and_supported_everywhere(trials):
    for slope, expected in ((0.01, "refuted"), (-0.01, "supported"), (-0.002, "undecided")):
        found = found_verdicts(trials, lambda arm, law, slope=slope: slope)
        assert {word for word, _ in found.values()} == {expected}
        assert set(found) == {"overall"} | {f"{s}/{e}/{arm}" for s, e in LAWS for arm in study.ARCHITECTURES}


def test_conditional_on_weight_sharing(trials):
    found = found_verdicts(trials, lambda arm, law: -0.01 if arm == "mlp/dense+reg" else 0.01)
    assert found["overall"][0] == "conditional"
    assert "no weight sharing" in found["overall"][1]
    assert found["refine/pixel/conv7"][0] == "refuted"
    assert found["extend/total/mlp/dense+reg"][0] == "supported"


def test_conditional_on_the_evidence_names_where_it_falls(trials):
    found = found_verdicts(trials, lambda arm, law: -0.01 if law == ("extend", "total") else 0.01)
    assert found["overall"][0] == "conditional"
    assert "it falls under extend/total/conv7, extend/total/unet, extend/total/mlp/dense+reg" in found["overall"][1]


def test_laws_of_a_family_are_told_apart_and_the_base_size_belongs_to_all():
    """Discs of the paper preset: one scene refined, or a mosaic of scenes, each with either noise."""
    trials = [t for t in study.STUDY.trials("paper", seeds=[0]) if dict(t.factors)["generator"] == "dictionary"]
    columns = columns_of(trials, lambda arm, laws, bits: len(laws))
    laws = np.stack([follows(columns, *law) for law in LAWS])
    base, mosaic = columns["grid_size"] == 16, columns["grid_size"] % 16 == 0
    assert laws[:, base].all()
    assert (laws[:, ~base].sum(axis=0) == 1).all()
    assert laws[:2, ~mosaic].any(axis=0).all()
    assert all(law[~base].any() for law in laws)


def test_a_network_above_the_exact_posterior_decides_nothing(trials):
    columns = columns_of(trials, lambda arm, laws, bits: 0.9 if arm == "bayes" else 0.95)
    assert {row["verdict"] for row in study.judge(columns)} == {"undecided"}


def test_slopes_are_exact_without_scatter():
    pixels = np.tile([32.0, 64.0, 128.0], 2)
    rows = {"seed": np.repeat([0, 1], 3), "pixels": pixels, "family": np.full(6, "chain", object),
            "inputs": np.full(6, 64.0)}  # fmt: skip
    value = 0.9 + np.repeat([0.01, -0.02], 3) * np.log2(pixels)
    np.testing.assert_allclose(study.seed_slopes(rows, value), [0.01, -0.02], atol=1e-12)
    assert len(study.seed_slopes(rows, np.where(pixels == 64, np.nan, value))) == 2  # a size without values is left out


def test_a_refined_chain_is_the_same_process():
    """Two steps of the finer chain make one of the coarser: stay^2 + (1 - stay)^2 / (L - 1)."""
    for labels in (2, 3):
        fine, coarse = chain_stay(16, "refine", labels), chain_stay(8, "refine", labels)
        assert fine**2 + (1 - fine) ** 2 / (labels - 1) == pytest.approx(coarse)


def test_published_ceilings_of_the_laws():
    """Extended chains rise per pixel; refined or extended in total evidence, exact values tell the laws apart."""
    grow = [chain_ceilings(T, chain_stay(T, "extend"), 1.0, num_draws=4000).pixel_accuracy for T in (8, 32)]
    total = [
        chain_ceilings(T, chain_stay(T, "extend"), scaled_noise("chain", T, "total"), num_draws=4000).pixel_accuracy
        for T in (8, 32)
    ]
    assert grow[1] - grow[0] > 0.005
    assert total[1] - total[0] < -0.1


def test_presets_hold_every_law_family_and_architecture():
    sizes = defaultdict(set)
    for trial in study.STUDY.trials("laptop"):
        factors = dict(trial.factors)
        size = factors.get("grid_size", factors.get("columns"))
        sizes[trial.arm, factors.get("field", "discs"), factors["labels"]].add(size)
    for arm in study.ARCHITECTURES:
        assert sizes[arm, "chain", 2] == {4, 8, 32}
    for arm in ("conv7", "mlp/dense+reg"):
        assert sizes[arm, "ising", 2] == sizes[arm, "chain", 3] == {8, 32}
    for arm in (*study.SHARED, study.DENSE_ARM):
        assert sizes[arm, "discs", 2] == {16, 32}


def test_recipes_are_those_of_the_tuning_seeds():
    trials = [t for sweep in tuning_sweeps() for t in sweep.trials()]
    assert {t.seed for t in trials} == set(TUNING_SEEDS)
    assert all(len(set(found)) == 7 for found in CANDIDATES.values())
    for arm, recipe in CHOSEN.items():
        assert recipe in CANDIDATES[arm]
        assert recipe[0] <= HIGHEST_RATE


def test_the_fastest_good_recipe_wins():
    """Means .9, .9 - .003 at twice the rate, .5 (one trial diverged), and a higher one at a rate where networks die."""
    found = [(5e-4, 0.9, "ok"), (1e-3, 0.9, "ok"), (1e-3, 0.894, "ok"), (2e-3, 1.0, "ok"), (2e-3, 1.0, "diverged"),
             (1.6e-2, 1.0, "ok")]  # fmt: skip
    rows = [
        {"arm": "conv7", "learning_rate": rate, "weight_decay": 0.0, "input_noise": 0.0, "pixel_accuracy": value,
         "status": status}
        for rate, value, status in found
    ]  # fmt: skip
    assert choose_recipes(rows) == {"conv7": (1e-3, 0.0, 0.0)}


def test_smoke_runs_to_verdicts(tmp_path):
    quick = [t for t in study.STUDY.trials("smoke") if t.arm == "mlp/dense+reg"]
    table, _ = run_trials("resolution", quick, Store(tmp_path), None)
    rows = judge_study(study.STUDY, table)
    assert {row["arm"] for row in rows} == {"refine/pixel/mlp/dense+reg", "extend/pixel/mlp/dense+reg"}
    assert all(len(row["interval"]) == 2 for row in rows)
