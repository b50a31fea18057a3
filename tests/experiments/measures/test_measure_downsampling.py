"""Measured family `downsampling`: oracles against brute force, scores of known maps, results that ignore batching."""

import itertools

import numpy as np
import pytest

from experiments.measures.downsampling import HELD_OUT, block_oracle, dice_scores, grown_scores, measure
from experiments.spec import Sweep


def test_block_oracle_is_the_best_of_all_block_maps():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, size=(6, 3, 3))
    counts[:, 0, 0] = 4
    best = [
        max(
            2 * float((counts[i].ravel() * np.array(chosen)).sum()) / (4 * sum(chosen) + counts[i].sum())
            for chosen in itertools.product([0, 1], repeat=9)
        )
        for i in range(6)
    ]
    np.testing.assert_allclose(block_oracle(counts / 4), best, atol=1e-12)


def test_dice_of_empty_maps_is_one():
    empty, full = np.zeros((1, 2, 2), bool), np.ones((1, 2, 2), bool)
    assert dice_scores(empty, empty).tolist() == [1.0]
    assert dice_scores(empty, full).tolist() == [0.0]


def test_a_perfect_network_scores_what_its_grid_allows():
    """At the full grid everything is perfect; on blocks of 32 the enlarged shares are the bilinear oracle itself."""
    rng = np.random.default_rng(1)
    labels = np.zeros((HELD_OUT + 20, 64, 64), bool)
    for image, (row, column) in zip(labels, rng.integers(0, 40, size=(len(labels), 2)), strict=True):
        image[row : row + 20, column : column + 24] = True
    full = grown_scores(labels * 1.0, labels * 1.0, labels)
    assert {full[name] for name in ("dice", "native_dice", "oracle", "oracle_block", "pixel_accuracy")} == {1.0}
    shares = labels.reshape(-1, 8, 8, 8, 8).mean(axis=(2, 4))
    small = grown_scores(shares, shares, labels)
    assert small["dice"] == small["oracle_bilinear"] < 1
    assert small["oracle"] >= max(small["oracle_block"], small["oracle_bilinear"])


def test_rings_that_vanish_have_no_native_dice():
    labels = np.zeros((HELD_OUT + 5, 64, 64), bool)
    labels[:, 9] = True
    shares = labels.reshape(-1, 8, 8, 8, 8).mean(axis=(2, 4))
    scores = grown_scores(shares, shares, labels)
    assert scores["vanished"] == 1
    assert "native_dice" not in scores


@pytest.fixture(scope="module")
def trials():
    return Sweep(
        generator="downsampling", outline="rings", trained_grid=8, receptive_field=3, inputs=8, test_items=20, width=4,
        least_steps=200, max_steps=50, batch_size=4, learning_rate=0.01, weight_decay=0.0,
        seeds=[900000, 900001, 900002],
    ).trials()  # fmt: skip


def test_results_do_not_depend_on_the_batch(trials):
    """Scores are shares of pixels: 1e-3 allows a few of 81,920 to cross a threshold by rounding."""
    first, second = measure(trials[:2]), measure(trials[1:])
    assert first[1].keys() == second[0].keys()
    for name, value in second[0].items():
        assert first[1][name] == pytest.approx(value, abs=1e-3)
    assert first[0]["dice"] != first[1]["dice"]
    assert all(0 <= first[0][name] <= 1 for name in ("dice", "pixel_accuracy", "oracle"))
