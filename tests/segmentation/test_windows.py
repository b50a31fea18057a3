"""Window learners: windows lie where they say, and each tier learns what it can express and nothing else."""

import numpy as np
import pytest

from sim.segmentation.windows import DEEP, SHALLOW, fit_windows, windows_of


def draw(rule, number, seed):
    windows = np.random.default_rng(seed).normal(size=(number, 3, 3)).astype(np.float32)
    score = windows[:, 1, 1] if rule == "linear" else windows[:, 1, 0] * windows[:, 1, 2]
    return windows, (score > 0).astype(np.int32)


def test_windows_are_in_the_order_of_pixels():
    images = np.arange(2 * 5 * 6, dtype=float).reshape(2, 5, 6)
    found = windows_of(images, 3)
    assert found.shape == (2 * 3 * 4, 3, 3)
    assert np.array_equal(found[:, 1, 1].reshape(2, 3, 4), images[:, 1:-1, 1:-1])
    for window in (2, 7):
        with pytest.raises(ValueError, match="window must be odd and fit"):
            windows_of(images, window)


@pytest.mark.parametrize("learner", [*SHALLOW, *DEEP])
def test_a_learner_learns_what_it_can_express(learner):
    chance, some = 0.56, 0.8  # 1,000 test windows: four standard errors above 1/2, and far above it
    for rule in ("linear", "product"):
        windows, labels = draw(rule, 1500, 0)
        predict = fit_windows(learner, windows, labels, 2, seed=3)
        others, truth = draw(rule, 1000, 1)
        accuracy = np.mean(predict(others) == truth)
        if rule == "product" and learner in ("linear", "logistic"):
            assert accuracy < chance
        else:
            assert accuracy > some


def test_one_label_and_unknown_learners():
    windows, _ = draw("linear", 10, 0)
    assert fit_windows("mlp", windows, np.ones(10, int), 2, 0)(windows).tolist() == [1] * 10
    with pytest.raises(ValueError, match=r"learner must be one of linear, .*, got 'oracle'"):
        fit_windows("oracle", windows, np.arange(10) % 2, 2, 0)
