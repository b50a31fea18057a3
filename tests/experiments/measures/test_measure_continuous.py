"""Measured family `continuous`: estimators meet exact references, and results ignore batching."""

import numpy as np
import pytest

from experiments.measures import continuous_tuning
from experiments.measures.continuous import DIMENSION, make_task, measure
from experiments.spec import Sweep
from sim.theory.regression import least_squares_error

BASE = {
    "generator": "continuous", "learning_rate": 0.003, "weight_decay": 1.0, "input_noise": 0.0, "batch_size": 32,
    "max_steps": 600, "test_items": 400, "width": 16,
}  # fmt: skip
NOISE = {"linear": 0.3, "disc": 0.5}


def sweep(target, estimator, bins=0, **factors):
    task = {"target": target, "noise": NOISE[target], "estimator": estimator, "bins": bins, "inputs": 64}
    return Sweep(**(BASE | task | {"seeds": [900_400, 900_401]} | factors)).trials()


def test_exact_predictors_and_least_squares_meet_their_closed_forms():
    """40 designs; 4.5 standard errors (t of 39 degrees): false fail below 1e-4 a comparison."""
    rows = measure(sweep("linear", "least_squares", seeds=list(range(900_400, 900_440))))
    spread = np.hypot(1.0, NOISE["linear"])
    # the fit has an offset too: one dimension more, of the constant; its error of a new image differs by O(1 / I^2)
    expected = least_squares_error(64, DIMENSION + 1, NOISE["linear"]) / spread
    for name, value in (("error", expected), ("bayes_error", np.mean([row["floor"] for row in rows]))):
        found = np.array([row[name] for row in rows])
        assert abs(found.mean() - value) < 4.5 * found.std(ddof=1) / np.sqrt(len(found)), name
    assert all(row["decoder_error"] == row["bayes_error"] for row in rows)
    assert np.mean([row["excess"] for row in rows]) > 0


def test_networks_learn_and_stay_above_the_best_predictor():
    """Above half a standard deviation nothing was learned; below the paired best predictor is a bug."""
    for target, estimator, bins in (("linear", "bins", 16), ("disc", "regression", 0)):
        for row in measure(sweep(target, estimator, bins, inputs=1024, weight_decay=0.3)):
            assert row["bayes_error"] < row["error"] < 0.6, (target, estimator)
            assert row["excess"] == pytest.approx(row["error"] / row["bayes_error"] - 1)
            assert row["bayes_error"] <= row["decoder_error"]


def test_results_do_not_depend_on_the_batch():
    """The same program on the same numbers: no tolerance is needed."""
    trials = sweep("linear", "bins", 16, inputs=1024, weight_decay=0.3)
    assert measure(trials) == [measure([trial])[0] for trial in reversed(trials)][::-1]


def test_estimators_of_a_cell_see_the_same_images():
    first, second = (make_task(sweep("linear", *kind)[0]) for kind in (("regression",), ("bins", 16)))
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.targets, second.targets)
    assert second.bins is not None
    assert len(second.bins.centres) == 16


@pytest.mark.parametrize(("estimator", "bins"), [("bins", 0), ("regression", 16)])
def test_bins_belong_to_one_estimator(estimator, bins):
    with pytest.raises(ValueError, match="bins must be >= 2 for estimator bins and 0 for others"):
        measure(sweep("linear", estimator, bins))


@pytest.mark.parametrize(("decay", "noise"), [(0.3, 0.6), (10.0, 0.0), (0.03, 1.5)])
def test_a_recipe_is_found_inside_the_grid_and_beyond_its_edges(monkeypatch, decay, noise):
    """An error with one minimum, averaged over two seeds that err in opposite ways."""
    seen = []

    def made_up(trials):
        found = []
        for trial in trials:
            factors = dict(trial.factors)
            seen.append((factors["weight_decay"], factors["input_noise"], trial.seed))
            away = abs(np.log(factors["weight_decay"] / decay)) + abs(factors["input_noise"] - noise)
            found.append({"error": 0.2 + 0.01 * away + (0.05 if trial.seed else -0.05)})
        return found

    monkeypatch.setattr(continuous_tuning, "measure", made_up)
    best, error = continuous_tuning.choose_recipe("disc", 0.5, 16, 128, seeds=(0, 1))
    assert best == (continuous_tuning.RATE, decay, noise)
    assert error == pytest.approx(0.2)
    assert len(seen) == len(set(seen)) >= 2 * 16
