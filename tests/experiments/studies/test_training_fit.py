"""Study `training_fit`: every verdict can be reached, by planted fits, and the presets hold the trials meant."""

from collections import defaultdict

import numpy as np

from experiments.measures.random_labels import count_inputs
from experiments.studies import training_fit
from experiments.studies.training_fit import CAPACITY, CLAIM, SHRUNK, STUDY, UNSEEN, curves, judge, main_rows
from experiments.verdicts import VERDICTS

PLAN = STUDY.trials("laptop")


def planted(fits, trials=PLAN):
    """A table of the trials; `fits(factors, seed)` says whether all images of a trial come back."""
    rows = []
    for trial in trials:
        factors = dict(trial.factors)
        fitted = bool(fits(factors, trial.seed))
        right = np.nan if factors["answer"] == "programme" else 1.0 if fitted else 0.9
        rows.append(factors | {"seed": trial.seed, "arm": trial.arm, "status": "ok", "fits": float(fitted),
                               "train_accuracy": right, "num_inputs": count_inputs(factors)})  # fmt: skip
    text = ("generator", "answer", "arm", "status")
    return {name: np.array([row[name] for row in rows], dtype=object if name in text else float) for name in rows[0]}


def capacity(limit, easy=True):
    """All fit below a load; `easy` whether they do at load .2."""

    def fits(factors, seed):
        regularised = factors["weight_decay"] > 0
        return factors["load"] < limit and not regularised and (easy or factors["load"] > 0.2)

    return fits


def decided(fits, trials=PLAN):
    rows = judge(planted(fits, trials))
    for row in rows:
        assert row["verdict"] in VERDICTS
        assert row["interval"][0] <= row["effect"] <= row["interval"][1]
        assert "power" in row["power"]
    return {(row["claim"], row["arm"]): row["verdict"] for row in rows}


def claims(found):
    return {arm: said for (claim, arm), said in found.items() if claim == CLAIM}


def test_everything_fits_below_two_bits():
    found = decided(capacity(2.2))
    assert claims(found) == {
        f"{head}, D = {dimension}": "refuted" for head in ("bits", "jway") for dimension in (32, 24)
    }
    assert found[SHRUNK, "regularised"] == "supported"
    said = {arm: verdict for (claim, arm), verdict in found.items() if claim == CAPACITY}
    assert said["programme, J 2, D 127, P 128"] == said["bits, J 64, D 32, P 1024"] == "supported"
    assert said["jway, J 1024, D 32, P 10240"] == "undecided"  # its loads end at 1: no upper bound below 4
    assert len(said) == 10


def test_nothing_fits_anywhere():
    found = decided(capacity(0.0))
    assert set(claims(found).values()) == {"supported"}
    assert found[CAPACITY, "bits, J 64, D 32, P 1024"] == "refuted"  # none at half a bit
    assert found[CAPACITY, "bits, J 64, D 8, P 1024"] == "refuted"  # none at one bit: below the band altogether


def test_one_seed_that_does_not_fit_leaves_the_claim_undecided():
    def fits(factors, seed):
        return not (seed == 3 and factors["load"] == 1.0 and factors["dimension"] == UNSEEN)

    found = claims(decided(fits))
    assert found == {"bits, D = 32": "refuted", "bits, D = 24": "undecided", "jway, D = 32": "refuted",
                     "jway, D = 24": "refuted"}  # fmt: skip


def test_a_capacity_below_one_bit_is_no_support_where_little_is_asked():
    """Between load .2 and load 1: networks that fit little decide nothing."""
    found = claims(decided(capacity(0.5)))
    assert found["bits, D = 32"] == found["bits, D = 24"] == "undecided"
    assert found["jway, D = 32"] == "refuted"
    assert claims(decided(capacity(0.9, easy=False)))["bits, D = 32"] == "supported"


def test_regularised_networks_are_judged_apart():
    found = decided(lambda factors, seed: factors["weight_decay"] > 0)
    assert found[SHRUNK, "regularised"] == "refuted"
    assert claims(found)["bits, D = 32"] == "supported"
    mixed = decided(lambda factors, seed: factors["weight_decay"] > 0 and seed > 0)
    assert mixed[SHRUNK, "regularised"] == "undecided"


def test_a_plane_that_cannot_exist_decides_nothing():
    found = claims(decided(lambda factors, seed: factors["answer"] != "programme"))
    assert set(found.values()) == {"undecided"}


def test_fewer_than_ten_seeds_decide_nothing():
    trials = [trial for trial in PLAN if trial.seed < 9]
    assert set(claims(decided(capacity(2.2), trials)).values()) == {"undecided"}


def test_images_fewer_than_labels_do_not_count():
    columns = planted(capacity(2.2))
    columns["num_inputs"] = columns["num_inputs"] - 100
    assert not [row for row in judge(columns) if row["claim"] == CLAIM]


def test_a_longer_run_of_a_seed_counts_where_it_fits():
    def fits(factors, seed):
        return factors["load"] < 2.0 or (factors["max_steps"] == 64_000 and seed != 0)

    rows = main_rows(planted(fits), answer="bits", outputs=64, dimension=32, parameters=1024)
    assert len(rows["seed"]) == 8 * len(training_fit.CURVE)  # one row a load and seed
    here = rows["load"] == 2.5
    assert sorted(rows["seed"][here & (rows["fits"] == 1)]) == [*range(1, 8)]
    assert set(rows["max_steps"][here & (rows["fits"] == 0)]) == {16_000}
    counts = next(counts for shape, counts in curves(planted(fits)) if training_fit.shape_name(shape) == NAMED)
    assert dict(zip(counts["loads"], counts["fits"], strict=True))[2.5] == 7


NAMED = "bits, J 64, D 32, P 1024"


def test_no_finished_rows_no_verdict():
    columns = planted(capacity(2.2))
    assert judge(columns | {"status": np.full(len(columns["seed"]), "failed", dtype=object)}) == []


def test_the_presets_hold_the_trials_meant():
    cells = defaultdict(set)
    for trial in PLAN:
        factors = dict(trial.factors)
        key = tuple(factors[n] for n in ("answer", "outputs", "dimension", "parameters", "load", "input_noise"))
        cells[key].add(trial.seed)
        if factors["outputs"] == 1024 and factors["load"] in (0.2, 1.0) and factors["parameters"] > 1024:
            assert factors["answer"] == "jway" or count_inputs(factors) >= 1024
    for dimension in (32, UNSEEN):
        assert len(cells["bits", 1024, dimension, 10_240, 1.0, 0.0]) == 10
        assert len(cells["bits", 1024, dimension, 51_200, 0.2, 0.0]) == 10
        assert len(cells["jway", 1024, dimension, 51_200, 0.2, 0.0]) == 10
    assert min(len(seeds) for seeds in cells.values()) >= 8  # 2^-8 < .005 < 2^-7
    assert len(cells["programme", 2, 127, 128, 2.25, 0.0]) == 40
    assert STUDY.primary
    paper = {(f["answer"], f["outputs"]) for f in (dict(trial.factors) for trial in STUDY.trials("paper"))}
    assert {("bits", 2), ("bits", 1024), ("jway", 64)} <= paper
