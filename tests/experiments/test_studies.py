"""Studies: every preset is runnable and paired as it says, and each rule finds the outcome that was planted.

Planted tables hold the study's own trials with made-up accuracies: a known effect and a little normal noise. Effects
are many standard errors from the thresholds, and the noise is drawn from fixed seeds.
"""

import zlib
from collections import defaultdict

import numpy as np
import pytest

from experiments.factors import RECIPES
from experiments.recipes import TUNING_SEEDS
from experiments.records import clean_row, to_table
from experiments.spec import Sweep, rule_hash
from experiments.studies import codebook, digits, grid, heads
from experiments.studies.common import CELL, check_integral, check_leaks, chosen, paired, take, usual_variant, verdict
from experiments.studies.registry import STUDIES
from experiments.tasks import log2_outputs, make_task
from experiments.verdicts import VERDICTS, judge_study, to_columns
from sim.analysis.compare import paired_t
from sim.theory.ceilings import gaussian_codebook_accuracy
from sim.theory.laws import LAWS

KNOWN = 0.8  # the planted ceiling of exact match


def factors_of(trial):
    return dict(trial.factors)


# --- presets
@pytest.mark.parametrize("preset", ["smoke", "laptop", "paper"])
@pytest.mark.parametrize("name", STUDIES)
def test_every_trial_of_every_preset_describes_a_task(name, preset):
    trials = STUDIES[name].trials(preset)
    assert len({trial.identity for trial in trials}) == len(trials) > 0
    for trial in trials:
        if trial.is_measured:
            continue
        task = make_task(trial)
        assert task.settings.max_inputs >= factors_of(trial)["inputs"]
        assert task.settings.test_items >= 1
    assert not {trial.seed for trial in trials} & set(TUNING_SEEDS)


@pytest.mark.parametrize("name", STUDIES)
def test_presets_grow_and_the_smallest_takes_seconds(name):
    study = STUDIES[name]
    smoke, laptop, paper = (len(study.trials(preset)) for preset in ("smoke", "laptop", "paper"))
    assert smoke <= 500
    assert smoke < laptop <= 2000
    assert laptop < paper
    steps = sum(factors_of(trial).get("max_steps", 0) for trial in study.trials("smoke"))
    assert steps <= 120_000  # a hundred thousand steps of a small network are ten to twenty seconds


def test_primary_studies_are_judged_on_enough_seeds_and_on_a_setting_no_pilot_touched():
    seeds = defaultdict(set)
    for trial in codebook.STUDY.trials("laptop"):
        if trial.arm == "bayes":
            seeds[trial.factors].add(trial.seed)
    assert all(len(found) >= 20 for found in seeds.values())  # the integral check asks for 20 codebooks a setting
    assert any(factors_of(trial)["dimension"] == 96 for trial in codebook.STUDY.trials("laptop"))
    decisive = defaultdict(set)
    for trial in heads.STUDY.trials("laptop"):
        factors = factors_of(trial)
        ratio = factors["inputs"] / factors["labels"] ** factors["tiles"]
        if trial.arm in heads.HEADS and 1 <= ratio <= 4 and factors["labels"] ** factors["tiles"] >= heads.MIN_OUTPUTS:
            decisive[factors["labels"], factors["tiles"], factors["inputs"], trial.arm].add(trial.seed)
    assert {labels for labels, *_ in decisive} == {3, 4}
    assert min(len(found) for found in decisive.values()) >= 10
    for labels in (3, 4):
        assert len({tiles for found, tiles, *_ in decisive if found == labels}) >= heads.CONSECUTIVE
    assert sum(study.primary for study in STUDIES.values()) == 5


def test_the_robustness_arms_are_there():
    plan = [factors_of(trial) for trial in codebook.STUDY.trials("laptop")]
    for outputs, ratio in codebook.NAMED:
        cell = [f for f in plan if f["outputs"] == outputs and f["inputs"] == outputs * ratio and f["dimension"] == 64]
        assert max(f.get("max_steps", 0) for f in cell) == 32_000  # four times the budget
        assert {f["balanced"] for f in cell} == {True, False}
    assert {f.get("init_seed", 0) for f in plan} == {0, 1, 2, 3}
    plan = [factors_of(trial) for trial in heads.STUDY.trials("laptop")]
    for tiles, inputs in heads.NAMED:
        cell = [f for f in plan if f["tiles"] == tiles and f["inputs"] == inputs and f["labels"] == 4]
        assert {f["head"] for f in cell if f.get("max_steps") == 32_000} == {"jway", "dense", "shared"}
        assert {f["head"] for f in cell if f.get("width") == 512} == {"jway"}
    plan = [factors_of(trial) for trial in grid.STUDY.trials("laptop")]
    for field, (rows, columns) in grid.NAMED:
        cell = [f for f in plan if f["field"] == field and f["rows"] == rows and f["columns"] == columns]
        longer = {f["network"]: f["max_steps"] for f in cell if f.get("max_steps", 0) > grid.DENSE_STEPS}
        assert longer == {"conv": 4 * grid.CONV_STEPS, "mlp": 4 * grid.DENSE_STEPS}


@pytest.mark.parametrize("name", ["heads", "codebook"])
def test_all_arms_of_a_cell_see_the_same_images_and_have_their_exact_learner(name):
    """The pairing behind every difference: one data key a (cell, seed), for a J-way head and its rivals alike."""
    data, arms = defaultdict(set), defaultdict(set)
    for trial in STUDIES[name].trials("laptop"):
        factors = factors_of(trial)
        if factors.get("keep_ranks"):  # no rule compares these with another arm
            continue
        cell = tuple(factors.get(n) for n in ("tiles", "labels", "outputs", "inputs", "signal_power", "dimension"))
        key = (*cell, factors["balanced"], trial.seed)
        data[key].add(trial.data_identity)
        arms[key].add(trial.arm)
    assert all(len(identities) == 1 for identities in data.values())
    assert len(set().union(*data.values())) == len(data)
    trained = [found for found in arms.values() if any(arm.startswith(("mlp", "linear")) for arm in found)]
    assert all("bayes" in found for found in trained)
    if name == "heads":
        assert all({*heads.HEADS, heads.RELABELLED, "class_mean"} <= found for found in trained)


def test_every_grid_network_with_an_exact_posterior_is_paired_with_it():
    exact = {trial.data_identity for trial in grid.STUDY.trials("laptop") if trial.arm == "bayes"}
    missing = set()
    for trial in grid.STUDY.trials("laptop"):
        factors = factors_of(trial)
        pixels = factors["rows"] * factors["columns"]
        if trial.data_identity not in exact and not (factors["field"] == "ising" and pixels > 16):
            missing.add((trial.arm, pixels, factors["labels"], factors["inputs"]))
    # only the J-way head on 2 x 2 pixels with three and four labels goes beyond the inputs of the exact learner
    assert {(arm, pixels) for arm, pixels, *_ in missing} <= {("mlp/jway", 4)}


def test_every_recipe_kind_is_marked_in_its_arm():
    for study in STUDIES.values():
        for trial in study.trials("laptop"):
            factors = factors_of(trial)
            assert ("+reg" in trial.arm) == (factors.get("recipe") == "regularised")
    assert set(RECIPES) == {"plain", "regularised"}


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_states_its_claim_and_both_sides_of_its_rule(name):
    study = STUDIES[name]
    assert study.name == name
    assert '"' in study.claim  # quoted words
    for word in ("refuted", "supported", "undecided"):
        assert word in study.rule.lower()
    other = study._replace(rule=study.rule + ".")
    assert rule_hash(other) != rule_hash(study)
    fewer = study._replace(presets={**study.presets, "laptop": study.presets["laptop"][:-1]})
    assert rule_hash(fewer) != rule_hash(study)


# --- planted tables
def noise_of(trial, scale):
    """The same noise for the same trial, whatever else is in the table."""
    return scale * np.random.default_rng(zlib.crc32(trial.identity.encode())).normal()


def table_of(trials, plant):
    """Rows of the trials with what `plant(arm, factors)` says: `rho` or `accuracy`, its noise, and other columns."""
    rows = []
    for trial in trials:
        factors = factors_of(trial)
        chance, given = 2.0 ** -log2_outputs(factors), plant(trial.arm, factors)
        noise = noise_of(trial, given.pop("noise", 0.0))
        rho = given.pop("rho", None)
        accuracy = given.pop("accuracy", None if rho is None else chance + rho * (KNOWN - chance))
        known = given.get("bayes_known", KNOWN)
        row = {
            **factors, "identity": trial.identity, "arm": trial.arm, "seed": trial.seed, "status": "ok",
            "log2_outputs": log2_outputs(factors), "chance": chance, "pixel_chance": 0.5, "bayes_known": known,
            "converged": True, "test_accuracy": accuracy + noise, "pixel_accuracy": accuracy + noise,
            "rho": (accuracy + noise - chance) / (known - chance), **given,
        }  # fmt: skip
        rows.append(clean_row(row))
    return to_table(rows)


def verdicts(study, trials, plant):
    found = judge_study(study, table_of(trials, plant))
    for row in found:
        assert row["verdict"] in VERDICTS
        assert row["interval"][0] <= row["effect"] <= row["interval"][1]
        assert row["trials"] > 0
        assert row["rule_hash"] == rule_hash(study)
        assert row["study"] == study.name
        assert "power" in row["power"]
    return {(row["arm"], row["estimand"].split()[0]): row for row in found}


def decisions(found):
    return {arm: row["verdict"] for (arm, _), row in found.items()}


# --- heads
HEADS_PLAN = heads.STUDY.trials("laptop")
STRUCTURE = heads.RELABELLED


def head_table(noise=0.004, **rho):
    """rho of each head; the exact learner at .95."""

    def plant(arm, factors):
        if arm in ("bayes", "class_mean"):
            return {"rho": 0.95 if arm == "bayes" else 0.3, "noise": noise}
        if factors["max_steps"] > 8000 or factors.get("width", 128) > 128:
            return {"rho": 0.9, "noise": noise}  # robustness arms: in no verdict
        return {"rho": rho["relabelled" if factors["relabelled"] else factors["head"]], "noise": noise}

    return plant


@pytest.mark.parametrize(
    ("rho", "claim", "structure"),
    [
        ({"jway": 0.2, "dense": 0.5, "shared": 0.7, "relabelled": 0.05}, "refuted", "supported"),
        ({"jway": 0.5, "dense": 0.5, "shared": 0.5, "relabelled": 0.5}, "supported", "refuted"),
        ({"jway": 0.42, "dense": 0.5, "shared": 0.52, "relabelled": 0.45}, "undecided", "undecided"),
        ({"jway": 0.2, "dense": 0.5, "shared": 0.25, "relabelled": 0.05}, "undecided", "supported"),  # shared no better
    ],
)
def test_heads_find_what_was_planted(rho, claim, structure):
    found = decisions(verdicts(heads.STUDY, HEADS_PLAN, head_table(**rho)))
    assert found == {"L = 4": claim, STRUCTURE: structure, "L = 3": claim}


def test_heads_need_three_consecutive_sizes():
    """The factorised heads lead at J = 64 and 1024 but not at 256: no three sizes in a row."""
    rho = {"jway": 0.2, "dense": 0.5, "shared": 0.7, "relabelled": 0.05}

    def plant(arm, factors):
        given = head_table(**rho)(arm, factors)
        if factors["labels"] ** factors["tiles"] == 256 and factors.get("head") == "jway":
            given["rho"] = 0.47
        return given

    assert decisions(verdicts(heads.STUDY, HEADS_PLAN, plant))["L = 4"] == "undecided"


def test_heads_say_nothing_where_a_network_beats_the_exact_learner():
    rho = {"jway": 0.2, "dense": 1.1, "shared": 0.7, "relabelled": 0.05}
    assert decisions(verdicts(heads.STUDY, HEADS_PLAN, head_table(**rho)))["L = 4"] == "undecided"


def test_heads_take_only_flat_pairs_for_the_structure():
    """Where the relabelled networks were not trained flat there is nothing to say about them."""
    rho = {"jway": 0.2, "dense": 0.5, "shared": 0.7, "relabelled": 0.05}

    def plant(arm, factors):
        return head_table(**rho)(arm, factors) | {"converged": not factors.get("relabelled", False)}

    assert STRUCTURE not in decisions(verdicts(heads.STUDY, HEADS_PLAN, plant))


def test_an_undecided_row_says_what_would_decide_it():
    rho = {"jway": 0.42, "dense": 0.5, "shared": 0.52, "relabelled": 0.45}
    found = verdicts(heads.STUDY, HEADS_PLAN, head_table(**rho))
    undecided = [row for row in found.values() if row["verdict"] == "undecided"]
    assert undecided
    said = ("would decide", "would not decide", "another part of the rule is open")
    assert all(any(words in row["power"] for words in said) for row in undecided)


def test_an_interval_clear_of_its_threshold_asks_for_no_more_seeds():
    estimate = paired_t([0.5, 0.6, 0.7, 0.55], level=0.95)
    open_ = verdict("", "undecided", "", estimate, "", threshold=0.6)["power"]
    clear = verdict("", "undecided", "", estimate, "", threshold=0.1)["power"]
    assert "units would decide" in open_
    assert "units" not in clear
    assert "clear of 0.1, another part of the rule is open" in clear


# --- grid
GRID_PLAN = grid.STUDY.trials("laptop", seeds=4)


def grid_table(noise=0.002, **slopes):
    """Pixel accuracy .9 on 4 pixels, changing by the arm's slope per doubling; the exact posterior at .97."""

    def plant(arm, factors):
        doublings = np.log2(factors["rows"] * factors["columns"]) - 2
        if arm == "bayes":
            return {"accuracy": 0.97, "noise": noise}
        return {"accuracy": slopes.get("base", 0.9) + slopes.get(arm.split("/")[0], 0.0) * doublings, "noise": noise}

    return plant


@pytest.mark.parametrize(
    ("conv7", "mlp", "overall"),
    [
        (0.0, 0.0, "refuted"),
        (0.0, -0.01, "conditional"),
        (-0.01, -0.01, "supported"),
        (-0.01, 0.0, "supported"),  # the rule asks for the weight-shared network alone
        (0.003, 0.003, "refuted"),
    ],
)
def test_grid_finds_what_was_planted(conv7, mlp, overall):
    found = verdicts(grid.STUDY, GRID_PLAN, grid_table(conv7=conv7, mlp=mlp))
    said = {True: "refuted", False: "supported"}
    assert decisions(found) == {
        "overall": overall, "conv7": said[conv7 > -0.002], "mlp/dense+reg": said[mlp > -0.002],
        "conv1": "refuted", "mlp/jway": said[mlp > -0.002],
    }  # fmt: skip
    slope = next(row for (arm, _), row in found.items() if arm == "conv7")
    assert slope["effect"] == pytest.approx(conv7, abs=5e-4)


def test_grid_is_undecided_at_the_threshold_and_where_a_network_beats_the_posterior():
    at_threshold = verdicts(grid.STUDY, GRID_PLAN, grid_table(noise=0.02, conv7=-0.002, mlp=-0.002))
    assert decisions(at_threshold)["conv7"] == decisions(at_threshold)["overall"] == "undecided"
    leaking = verdicts(grid.STUDY, GRID_PLAN, grid_table(base=0.99, conv7=-0.0001))
    assert set(decisions(leaking).values()) == {"undecided"}


# --- codebook
CODEBOOK_TASK = {"generator": "codebook", "outputs": [4, 16, 64, 256], "inputs_per_output": [1, 4, 16, 64]}
CODEBOOK_PLAN = [
    *Sweep(**CODEBOOK_TASK, network="bayes", seeds=20).trials(),
    *Sweep(**CODEBOOK_TASK, network="mlp", recipe="regularised", max_steps=8000, seeds=4).trials(),
]
KAPPA = 0.5


def theorem(factors, kappa=1.0):
    columns = {name: np.array([float(factors[name])]) for name in codebook.LAW_COLUMNS if name != "chance"}
    return float(LAWS["theorem"].predict(np.array([np.log(kappa)]), columns)[0])


def survey(factors):
    """A function of I/J alone, above chance."""
    chance = 1 / factors["outputs"]
    return chance + (1 - chance) * -np.expm1(-0.1 * factors["inputs"] / factors["outputs"])


def codebook_table(network, bayes=theorem, noise=0.004):
    def plant(arm, factors):
        integral = gaussian_codebook_accuracy(
            factors["outputs"], factors["dimension"], factors["signal_power"], 1.0,
            factors["inputs"] / factors["outputs"],
        )  # fmt: skip
        accuracy = bayes(factors) if arm == "bayes" else network(factors)
        return {"accuracy": accuracy, "noise": noise, "bayes_learned": integral, "bayes_known": 1.0}

    return plant


@pytest.fixture(scope="module")
def theory_world():
    return verdicts(codebook.STUDY, CODEBOOK_PLAN, codebook_table(lambda f: theorem(f, KAPPA)))


def test_codebook_finds_the_theorem_where_it_was_planted(theory_world):
    found = {name: row["verdict"] for name, row in theory_world.items()}
    assert found == {
        ("mlp+reg", "gamma"): "refuted", ("bayes", "gamma"): "refuted", ("bayes", "mean"): "supported",
        ("mlp+reg", "kappa"): "supported",
    }  # fmt: skip
    low, high = theory_world["mlp+reg", "kappa"]["interval"]
    assert low < KAPPA < high
    assert high - low < 0.1


def test_codebook_finds_the_surveys_law_where_it_was_planted():
    found = verdicts(codebook.STUDY, CODEBOOK_PLAN, codebook_table(survey))
    assert found["mlp+reg", "gamma"]["verdict"] == "supported"
    low, high = found["mlp+reg", "gamma"]["interval"]
    assert low < 1 < high
    assert found["mlp+reg", "kappa"]["verdict"] == "refuted"
    assert found["bayes", "gamma"]["verdict"] == "refuted"  # its own rows still follow the theorem


def columns_of(network, bayes=theorem):
    return to_columns(table_of(CODEBOOK_PLAN, codebook_table(network, bayes)))


def test_codebook_refutes_a_theorem_that_the_exact_learner_does_not_obey():
    columns = columns_of(lambda f: theorem(f, KAPPA), bayes=lambda f: theorem(f) - 0.02)
    assert not check_integral(columns).passed
    assert codebook._theorem(columns)["verdict"] == "refuted"
    assert check_integral(columns_of(lambda f: theorem(f, KAPPA))).passed


def test_codebook_is_undecided_where_a_network_beats_the_exact_learner():
    columns = columns_of(lambda f: theorem(f) + 0.04)
    assert check_leaks(columns, codebook.NETWORK_ARMS).leak
    assert codebook._theorem(columns)["verdict"] == "undecided"


def test_robustness_arms_stay_out_of_the_main_rows():
    plan = codebook.STUDY.trials("laptop")
    columns = to_columns(table_of(plan, lambda arm, factors: {"accuracy": 0.5}))
    rows = codebook.main_rows(columns, "mlp+reg")
    assert set(rows["max_steps"]) == {8000}
    assert set(rows["init_seed"]) == {0}
    assert rows["balanced"].all()
    assert set(rows["signal_power"]) == {0.25}
    assert len(rows["arm"]) == 10 * (16 + 3)


def test_codebook_says_nothing_of_the_theorem_without_the_exact_learner():
    networks = [trial for trial in CODEBOOK_PLAN if trial.arm != "bayes"]
    found = verdicts(codebook.STUDY, networks, codebook_table(lambda f: theorem(f, KAPPA)))
    assert {name: row["verdict"] for name, row in found.items()} == {
        ("mlp+reg", "gamma"): "refuted", ("mlp+reg", "kappa"): "supported",
    }  # fmt: skip


def test_codebook_fits_see_neither_large_j_nor_large_i():
    columns = columns_of(lambda f: theorem(f, KAPPA))
    rows = codebook.main_rows(columns, "mlp+reg")
    fitted = ~codebook.held_out(rows)
    seen = set(zip(rows["outputs"][fitted], rows["inputs"][fitted], strict=True))
    assert seen == {(j, n * j) for j in (4, 16, 64) for n in (1, 4, 16, 64) if n * j <= 1024}
    small = {name: np.array([4.0, 4, 8, 8, 16, 16]) if name == "outputs" else np.array([4.0, 64, 8, 32, 16, 32])
             for name in ("outputs", "inputs")}  # fmt: skip
    assert codebook.held_out(small).tolist() == [False, True, False, False, True, True]


# --- digits
DIGITS_PLAN = digits.STUDY.trials("laptop")


@pytest.mark.parametrize(
    ("gamma", "verdict"), [(1.0, "supported"), (0.4, "refuted"), (0.0, "refuted"), (1.8, "refuted")]
)
def test_digits_find_what_was_planted(gamma, verdict):
    """Chance-corrected accuracy 1/(1 + (40 (J/5)^gamma / I)^1.2), noise .01 a trial; the interval must hold gamma."""

    def plant(arm, factors):
        chance, ratio = 1 / factors["outputs"], factors["inputs"] / (40 * (factors["outputs"] / 5) ** gamma)
        return {"accuracy": chance + (1 - chance) * ratio**1.2 / (1 + ratio**1.2), "noise": 0.01}

    found = verdicts(digits.STUDY, DIGITS_PLAN, plant)
    assert set(decisions(found)) == set(digits.ARMS)
    for row in found.values():
        assert row["verdict"] == verdict
        assert row["interval"][0] < gamma < row["interval"][1]


# --- what the judges share
def test_pairs_are_taken_within_a_cell_and_seed():
    plan = [trial for trial in HEADS_PLAN if factors_of(trial)["tiles"] == 3]
    columns = to_columns(table_of(plan, head_table(noise=0.0, jway=0.2, dense=0.5, shared=0.7, relabelled=0.05)))
    columns = take(columns, usual_variant(columns))
    pairs = paired(columns, chosen(columns, arm=heads.HEADS[1]), chosen(columns, arm=heads.HEADS[0]), "rho")
    np.testing.assert_allclose(pairs.difference, 0.3, atol=1e-9)
    assert len(pairs.difference) == 2 * 10 + 2 * 4
    for name in ("tiles", "inputs", "seed"):
        np.testing.assert_array_equal(columns[name][pairs.first_rows], columns[name][pairs.second_rows])


def test_main_arms_are_the_smallest_variant_of_their_cell_and_arm():
    rows = {
        "arm": ["a", "a", "a", "a", "b", "b"], "inputs": [1, 1, 1, 2, 1, 1], "max_steps": [100, 400, 100, 400, 50, 50],
        "init_seed": [0, 0, 1, 0, 0, 0], "width": [8, 8, 8, 8, 8, 32],
    }  # fmt: skip
    columns = {name: np.array(values, dtype=object if name == "arm" else float) for name, values in rows.items()}
    columns |= {name: np.full(6, np.nan) for name in CELL if name not in columns}
    assert usual_variant(columns).tolist() == [True, False, False, True, True, False]


def test_failed_and_diverged_rows_are_left_out():
    columns = {"status": np.array(["ok", "failed", "diverged"]), "arm": np.array(["a", "a", "b"])}
    assert chosen(columns).tolist() == [True, False, False]
    assert chosen(columns, arm=["a", "b"]).tolist() == [True, False, False]
