"""Study `refinement`: every verdict can be reached, by planted gains, and the presets hold the trials meant."""

import numpy as np
import pytest

from experiments.studies.refinement import DECISIVE, METRICS, OTHERS, STUDY, judge

CEILINGS = {"pixel_accuracy": 0.95, "exact_match": 0.6, "dice": 0.9}
CELLS = (("ising", 1.0), ("ising", 2.0), ("discs", 1.0), ("discs", 2.0))


def planted(gains, *, raw=None, seeds=10, networks=(DECISIVE, *OTHERS), seed=0):
    """A table whose refined scores exceed the argmax by gains[network, kind, metric] (0 where not named)."""
    rng, rows = np.random.default_rng(seed), []
    start = {"pixel_accuracy": 0.85, "exact_match": 0.2, "dice": 0.6} | (raw or {})
    for law, noise in CELLS:
        for network in networks:
            for number in range(seeds):
                row = {"map_law": law, "noise": noise, "map_network": network, "seed": float(number), "inputs": 512.0,
                       "least_steps": 1000.0}  # fmt: skip
                for metric in METRICS:
                    if metric == "dice" and law == "ising":
                        continue
                    mine = start[metric] + rng.normal(0, 0.004)
                    row |= {metric: mine, f"ceiling_{metric}": CEILINGS[metric], f"threshold_{metric}": mine}
                    for kind in ("generic", "dictionary"):
                        if kind == "generic" or law == "discs":
                            gain = gains.get((network, kind, metric), 0.0)
                            row[f"{kind}_{metric}"] = mine + gain + rng.normal(0, 0.002)
                rows.append(row)
    names = sorted({name for row in rows for name in row})
    columns = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    return columns | {"status": np.full(len(rows), "ok"), "arm": columns["map_network"]}


def decided(columns):
    rows = judge(columns)
    return {row["arm"]: row["verdict"] for row in rows}, rows


PIXELS = (DECISIVE, "generic", "pixel_accuracy")


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ({}, "refuted"),
        ({PIXELS: 0.05}, "supported"),
        ({PIXELS: 0.02}, "undecided"),
        ({("conv1", "generic", "pixel_accuracy"): 0.06}, "conditional"),
        ({(DECISIVE, "dictionary", "exact_match"): 0.3}, "conditional"),
        ({(DECISIVE, "generic", "dice"): 0.2}, "conditional"),
        ({(DECISIVE, "dictionary", "dice"): 0.075}, "undecided"),
    ],
)
def test_every_verdict_is_reached(gains, verdict):
    found, rows = decided(planted(gains))
    assert found["overall"] == verdict
    assert rows[0]["arm"] == "overall"
    assert rows[0]["trials"] == 10


def test_rows_stand_for_one_network_kind_and_metric():
    found, rows = decided(planted({(DECISIVE, "dictionary", "exact_match"): 0.3}))
    assert found[f"{DECISIVE}/dictionary/exact_match"] == "supported"
    assert found[f"{DECISIVE}/generic/exact_match"] == "refuted"
    row = next(row for row in rows if row["arm"] == f"{DECISIVE}/dictionary/exact_match")
    assert row["interval"][0] < 0.3 < row["interval"][1]
    assert len(rows) == 1 + 6 + 3 * len(OTHERS)


def test_a_refined_map_above_the_exact_answer_decides_nothing():
    found, _rows = decided(planted({PIXELS: 0.15}))
    assert set(found.values()) == {"undecided"}


def test_cells_that_nobody_could_do_are_not_scored():
    columns = planted({})
    columns["ceiling_exact_match"] = np.where(columns["map_law"] == "ising", 0.02, 0.6)
    columns["exact_match"] = np.where(columns["map_law"] == "ising", 0.0, columns["exact_match"])
    row = next(row for row in judge(columns) if row["arm"] == f"{DECISIVE}/generic/exact_match")
    assert "0.2" in row["sentence"]  # the mean argmax of the discs alone


def test_nothing_is_said_without_the_decisive_network():
    rows = judge(planted({}, networks=("conv1",)))
    assert [row["arm"] for row in rows] == [
        f"conv1/{what}" for what in ("generic/pixel_accuracy", "generic/exact_match", "dictionary/exact_match")
    ]


def test_presets_hold_the_trials_meant():
    trials = [dict(trial.factors) | {"seed": trial.seed} for trial in STUDY.trials("laptop")]
    main = [t for t in trials if t["inputs"] == 512 and t["least_steps"] == 1000]
    assert {(t["map_law"], t["noise"]) for t in main} == set(CELLS)
    for network, seeds in ((DECISIVE, 10), ("exact", 4), ("conv1", 4), ("conv3", 4), ("conv7", 4)):
        assert sum(t["map_network"] == network for t in main) == 4 * seeds
    assert {t["seed"] for t in trials} == set(range(10))
    assert sum(t["inputs"] == 4096 for t in trials) == 4
    assert sum(t["least_steps"] == 4000 for t in trials) == 3
    assert {t["generator"] for t in trials} == {"refinement"}
