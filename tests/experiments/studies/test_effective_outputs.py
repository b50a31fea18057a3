"""Study `effective_outputs`: each verdict is reached on planted rows; the presets hold the cells of the rule."""

from collections import defaultdict

import numpy as np
import pytest

from experiments.studies import effective_outputs as study
from experiments.studies.common import CELL

SCATTER = 0.0005


def planted(nominal, entropy, *, arms=tuple(study.ARCHITECTURES), noise=study.NOISE, above=0.0, seeds=10):
    """Rows with planted effects: what 30 idle labels and the frame each take away, and what 8 bits take away."""
    rng, rows = np.random.default_rng(0), defaultdict(list)
    for arm in (*arms, "bayes"):
        for name, factors in study.NOMINAL.items():
            for bits in study.BITS:
                for seed in range(seeds):
                    value = 0.98 if arm == "bayes" else 0.95 + above - entropy * (bits - 2) / 8
                    lost = nominal if name != "two labels" and arm != "bayes" else 0.0
                    row = {
                        "arm": arm, "bits": bits, "seed": seed, "noise": noise, "status": "ok", "inputs": 512,
                        "generator": "dictionary", "field": "", "spread": False, "grid_size": 16, "scenes": 1,
                        "spacing": 2.0, "max_steps": 1500, "init_seed": 0, "width": 8, "minimum_distance": np.nan,
                        "pixel_accuracy": value - lost + rng.normal(0, SCATTER), **factors,
                    }  # fmt: skip
                    for column, found in row.items():
                        rows[column].append(found)
    columns = {name: np.array(values, object if isinstance(values[0], str) else None) for name, values in rows.items()}
    empty = np.full(len(columns["arm"]), np.nan)
    return {**{name: empty for name in CELL if name not in columns}, **columns}


def verdicts(columns):
    return {row["arm"]: row["verdict"] for row in study.judge(columns)}


@pytest.mark.parametrize(
    ("nominal", "entropy", "expected"),
    [(0.0, 0.05, "refuted"), (0.05, 0.0, "supported"), (0.0, 0.0, "undecided"), (0.05, 0.05, "undecided"),
     (0.01, 0.05, "undecided")],
)  # fmt: skip
def test_each_verdict_is_reached(nominal, entropy, expected):
    found = verdicts(planted(nominal, entropy))
    assert found == dict.fromkeys(("overall", *study.ARCHITECTURES), expected)


def test_architectures_that_disagree_make_it_conditional():
    one, two = planted(0.0, 0.06, arms=("conv7", "unet")), planted(0.06, 0.0, arms=("mlp/dense+reg",))
    kept = two["arm"] != "bayes"
    columns = {name: np.concatenate([one[name], two[name][kept]]) for name in one}
    assert verdicts(columns)["overall"] == "conditional"


def test_the_mean_over_architectures_decides_the_entropy_contrast():
    """A network that cannot tell the maps apart stays undecided by itself."""
    one, two = planted(0.0, 0.06, arms=("unet", "mlp/dense+reg")), planted(0.0, 0.0, arms=("conv7",))
    kept = two["arm"] != "bayes"
    found = verdicts({name: np.concatenate([one[name], two[name][kept]]) for name in one})
    assert (found["overall"], found["conv7"], found["unet"]) == ("refuted", "undecided", "refuted")


def test_a_network_above_the_exact_posterior_decides_nothing():
    found = verdicts(planted(0.0, 0.05, above=0.05))
    assert set(found.values()) == {"undecided"}


def test_the_unseen_noise_has_rows_of_its_own():
    found = verdicts(planted(0.0, 0.05, noise=study.UNSEEN_NOISE))
    assert found["noise 3 overall"] == "refuted"
    assert "overall" not in found


def test_nominal_settings_share_their_images():
    data = defaultdict(set)
    for trial in study.STUDY.trials("laptop"):
        factors = dict(trial.factors)
        data[factors["bits"], factors["noise"], factors["spread"], trial.seed].add(trial.data_identity)
    assert all(len(found) == 1 for found in data.values())
    assert len(set().union(*data.values())) == len(data)


def test_the_decisive_cells_have_ten_seeds():
    seeds = defaultdict(set)
    for trial in study.STUDY.trials("laptop"):
        f = dict(trial.factors)
        if f["noise"] == study.NOISE and f["bits"] in study.BITS and not f["spread"]:
            seeds[trial.arm, f["bits"], f["labels"], f["frame"]].add(trial.seed)
    assert len(seeds) == 4 * len(study.BITS) * len(study.NOMINAL)
    assert all(found == set(range(10)) for found in seeds.values())
