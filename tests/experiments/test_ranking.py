"""Recipes ranked from one grid: means over all cells of a group, and no candidate tried more often than another."""

import pyarrow as pa
import pytest

from experiments.factor import RECIPE_NUMBERS
from experiments.ranking import rank
from experiments.recipes import TUNING_SEEDS
from experiments.studies import blocks_plan, labels

ROWS = [
    {"head": head, "inputs": inputs, "learning_rate": rate, "weight_decay": 0.0, "input_noise": 0.0,
     "status": status, "pixel_accuracy": accuracy}
    for head, inputs, rate, status, accuracy in (
        ("shared", 16, 0.1, "ok", 0.5), ("shared", 64, 0.1, "ok", 0.9),
        ("shared", 16, 0.2, "ok", 0.8), ("shared", 64, 0.2, "ok", 0.8),
        ("dense", 16, 0.1, "ok", 0.6), ("dense", 64, 0.1, "diverged", 0.9),
        ("dense", 16, 0.2, "ok", 0.3), ("dense", 64, 0.2, "ok", 0.3),
    )
]  # fmt: skip


def test_the_best_mean_over_the_cells_of_a_group_wins_and_a_diverged_trial_counts_as_nothing():
    dense, shared = rank(pa.Table.from_pylist(ROWS), ["head"], "pixel_accuracy")
    assert (dense.group, shared.group) == ({"head": "dense"}, {"head": "shared"})
    assert [recipe["learning_rate"] for recipe in shared.recipes] == [0.2, 0.1]
    assert shared.scores == [pytest.approx(0.8), pytest.approx(0.7)]
    assert [recipe["learning_rate"] for recipe in dense.recipes] == [0.1, 0.2]  # equal: the smaller one
    assert dense.scores == [pytest.approx(0.3)] * 2


def test_candidates_that_were_not_tried_equally_often_are_refused():
    with pytest.raises(ValueError, match=r"tried equally often in \{'head': 'shared'\}, got \[1, 2\] trials"):
        rank(pa.Table.from_pylist(ROWS[1:]), ["head"], "pixel_accuracy")


def leaves(recipes):
    """The recipes of a nested mapping."""
    return {recipes} if isinstance(recipes, tuple) else set().union(*map(leaves, recipes.values()))


@pytest.mark.parametrize(
    ("searches", "recipes"),
    [
        (labels.SEARCHES, labels.RECIPES),
        (blocks_plan.SEARCHES[:2], blocks_plan.CROP_RECIPES),
        (blocks_plan.SEARCHES[2:], blocks_plan.TILE_RECIPES),
    ],
)
def test_every_arm_is_offered_the_same_candidates_on_seeds_no_result_uses(searches, recipes):
    offered = {}
    for search in searches:
        for trial in (trial for sweep in search.sweeps for trial in sweep.trials()):
            factors = dict(trial.factors)
            assert trial.seed in TUNING_SEEDS
            candidate = tuple(factors[name] for name in RECIPE_NUMBERS)
            offered.setdefault(tuple(factors[name] for name in search.by), set()).add(candidate)
    candidates = set().union(*offered.values())
    assert all(own == candidates for own in offered.values())
    assert leaves(recipes) <= candidates
