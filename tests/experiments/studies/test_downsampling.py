"""Study `downsampling`: every verdict can be reached, by planted scores, and the presets hold the trials meant."""

import numpy as np
import pytest

from experiments.studies.downsampling import FULL, SMALLER, STUDY, cell, combine, judge, main_rows, unbeaten

GRIDS = (*SMALLER, FULL)
LOST = {8: 0.2, 16: 0.08, 32: 0.03, 64: 0.0}
FREE = {8: 0.1, 16: 0.03, 32: 0.004, 64: 0.0}


def planted(dice, lost, *, outlines=("blobs",), noises=(1.0,), seeds=5, spread=0.001, seed=0, steps=1000.0):
    """A table of grids with given mean Dice and oracle losses; a second receptive field is worse everywhere."""
    rng, rows = np.random.default_rng(seed), []
    for outline in outlines:
        for noise in noises:
            for number in range(seeds):
                luck = rng.normal(0, 0.05)  # shared by all grids of a seed
                for grid in GRIDS:
                    for field, less in ((7, 0.0), (5, 0.1)):
                        mean = dice(outline, noise)[grid] - less + luck
                        rows.append(
                            {"outline": outline, "noise": noise, "trained_grid": float(grid), "seed": float(number),
                             "receptive_field": float(field), "least_steps": steps,
                             "dice": mean + rng.normal(0, spread), "held_out_dice": mean + rng.normal(0, spread),
                             "native_dice": np.nan if grid == 8 else 0.9 + rng.normal(0, spread),
                             "oracle": 1 - lost(outline, noise)[grid] + rng.normal(0, 0.0005)}
                        )  # fmt: skip
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return columns | {"status": np.full(len(rows), "ok"), "arm": columns["outline"]}


def always(values):
    return lambda outline, noise: values


FALLING = {8: 0.6, 16: 0.7, 32: 0.8, 64: 0.9}
FLAT = {8: 0.6, 16: 0.7, 32: 0.9, 64: 0.9}
BETTER = {8: 0.6, 16: 0.7, 32: 0.9, 64: 0.8}


@pytest.mark.parametrize(
    ("dice", "lost", "verdict"),
    [
        (FALLING, LOST, "refuted"),
        (FLAT, FREE, "supported"),
        (BETTER, FREE, "supported"),
        (BETTER, LOST, "conditional"),
        (FLAT, LOST, "undecided"),
        (FALLING, FREE, "undecided"),
    ],
)
def test_every_verdict_is_reached(dice, lost, verdict):
    rows = judge(planted(always(dice), always(lost)))
    assert [row["arm"] for row in rows] == ["overall", "blobs", "blobs, noise 1"]
    assert {row["verdict"] for row in rows} == {verdict}


def test_scenes_and_noises_are_put_together():
    table = planted(
        lambda outline, noise: FLAT if outline == "blobs" else FALLING,
        lambda outline, noise: FREE if outline == "blobs" else LOST,
        outlines=("blobs", "rings"), noises=(1.0, 4.0),
    )  # fmt: skip
    found = {row["arm"]: row["verdict"] for row in judge(table)}
    assert found["overall"] == "conditional"
    assert (found["blobs"], found["rings"]) == ("supported", "refuted")
    assert combine({"a": "supported", "b": "undecided"}) == "undecided"


def test_the_better_receptive_field_stands_for_its_grid_and_seeds_pair():
    found = cell(main_rows(planted(always(FALLING), always(LOST))), "blobs", 1.0)
    assert found.fields == (7, 7, 7, 7)
    assert found.dice.shape == (5, 4)
    row = judge(planted(always(FALLING), always(LOST)))[-1]
    low, high = row["interval"]
    assert low < -0.1 < high
    assert high - low < 0.03


def test_the_best_grids_are_those_that_none_beats():
    assert unbeaten(cell(main_rows(planted(always(FALLING), always(LOST))), "blobs", 1.0)) == [64]
    assert 64 in unbeaten(cell(main_rows(planted(always(FLAT), always(LOST))), "blobs", 1.0))


def test_longer_training_has_a_row_of_its_own():
    usual, longer = planted(always(FALLING), always(LOST)), planted(always(FLAT), always(LOST), steps=4000.0)
    rows = judge({name: np.concatenate([usual[name], longer[name]]) for name in usual})
    assert [row["arm"] for row in rows[3:]] == ["blobs, noise 1, four times the steps"]
    assert [row["verdict"] for row in rows] == ["refuted"] * 3 + ["undecided"]


def test_nothing_is_said_without_the_full_grid():
    table = planted(always(FALLING), always(LOST))
    assert judge({name: column[table["trained_grid"] < FULL] for name, column in table.items()}) == []


def test_presets_hold_the_trials_meant():
    trials = [dict(trial.factors) | {"seed": trial.seed} for trial in STUDY.trials("laptop")]
    main = [t for t in trials if t["least_steps"] == 1000]
    fields = {8: {1, 7}, 16: {3, 7}, 32: {7}, 64: {7, 13}}
    for grid in GRIDS:
        here = [t for t in main if t["trained_grid"] == grid]
        assert {t["receptive_field"] for t in here if t["noise"] == 4} == fields[grid]
        assert {t["receptive_field"] for t in here if t["noise"] == 1} == {7}
        assert {t["batch_size"] * grid for t in here} == {FULL}
        assert {(t["outline"], t["noise"]) for t in here} == {(o, n) for o in ("blobs", "rings") for n in (1.0, 4.0)}
    assert {t["generator"] for t in trials} == {"downsampling"}
    longer = [t for t in trials if t["least_steps"] == 4000]
    assert {t["trained_grid"] for t in longer} == {SMALLER[-1], FULL}
