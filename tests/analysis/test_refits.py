"""Refits taken together end where SciPy's refits, one by one, end, or lower; a law need not know arrays."""

import math

import numpy as np
import pytest

from sim.analysis.coordinates import forward_slopes, make_coordinates, many_predictions
from sim.analysis.optimum import minimise
from sim.analysis.refits import descend, refit_many
from sim.theory.laws import LAWS
from sim.types import Law

NUM_REFITS = 24
# Sums of squares, relative. Either stops when a step gains less than 1e-8 of them, and such steps add up along a flat
# valley; of a sum of 16 squares this is 1.6e-4, or a hundredth of a parameter's standard error.
SAME = 1e-5


def cells():
    """The shape of the studies: J 4 to 256, n 1 to 64 images a class."""
    outputs, ratio = (grid.ravel() for grid in np.meshgrid([4.0, 16, 64, 256], [1.0, 4, 16, 64]))
    return {"inputs": outputs * ratio, "outputs": outputs, "chance": 1 / outputs}


def problem(name, planted, theta, noise, seed):
    """Coordinates of law `name`, its best fit to data of law `planted`, and resampled means with their weights."""
    columns, scale = cells(), make_coordinates(LAWS[name])
    rng = np.random.default_rng(seed)
    mean = LAWS[planted].predict(np.array(theta), columns)
    targets = mean + noise * rng.standard_normal((NUM_REFITS, len(mean)))
    weight = np.full(len(mean), noise**-2)
    inner = scale.inward(LAWS[name].starts)
    many = many_predictions(scale, columns, inner)
    optimum = min((minimise(scale, many, start, mean, weight) for start in inner[::3]), key=lambda found: found[2])[0]
    starts = np.clip(optimum + 0.05 * rng.standard_normal((NUM_REFITS, len(optimum))), scale.low, scale.high)
    return scale, columns, starts, optimum, targets, weight


def losses(scale, columns, refits, targets, weight):
    return np.array(
        [np.sum(weight * (scale.predict(u, columns) - target) ** 2) for u, target in zip(refits, targets, strict=True)]
    )


RIGHT = [("logistic", "logistic", (0.5, 0.75, 1.1)), ("power_floor", "power_floor", (1.5, 0.7, 0.7, 0.1)),
         ("shifted_power", "shifted_power", (-0.5, 0.6, 0.7, 0.1))]  # fmt: skip
WRONG = [("broken_power", "hill", (2.0, 1.3)), ("power_floor", "probit", (-0.5, 0.55, 1.1)),
         ("clipped_power", "logistic", (0.5, 0.75, 1.1)), ("shifted_power", "factorised", (2.5,)),
         ("power", "logistic", (0.5, 0.75, 1.1))]  # fmt: skip


@pytest.mark.parametrize(("name", "planted", "theta"), RIGHT + WRONG)
def test_refits_together_are_as_low_as_refits_one_by_one(name, planted, theta):
    scale, columns, starts, optimum, targets, weight = problem(name, planted, theta, 0.01, 3)
    found = losses(scale, columns, refit_many(scale, columns, starts, optimum, targets, weight), targets, weight)
    many = many_predictions(scale, columns, starts)
    exact = [2 * minimise(scale, many, u, target, weight)[2] for u, target in zip(starts, targets, strict=True)]
    assert np.all(found <= np.array(exact) * (1 + SAME)), found / exact - 1


def test_most_descents_need_no_second_opinion():
    scale, columns, starts, optimum, targets, weight = problem("logistic", "logistic", (0.5, 0.75, 1.1), 0.01, 4)
    many = many_predictions(scale, columns, starts)
    ends = [descend(scale, many, begin, targets, weight) for begin in (starts, np.tile(optimum, (NUM_REFITS, 1)))]
    assert all(converged.all() for _, converged in ends)
    # both stop at 1e-8 of the sum of squares, which bends by 1 a standard error: 1e-4 of it, here under .05
    assert np.max(np.abs(ends[0][0] - ends[1][0])) < 1e-4


def test_a_parameter_that_is_pushed_out_ends_on_its_bound():
    law = Law("line", "", {"a": (-1.0, 1.0), "b": (-1.0, 1.0)}, lambda p, c: p[0] + p[1] * c["x"], np.zeros((1, 2)), "")
    columns, scale = {"x": np.array([-1.0, 0.0, 1.0])}, make_coordinates(law)
    slopes = np.array([0.5, 3.0, -3.0])
    targets = 0.25 + slopes[:, None] * columns["x"]
    found = refit_many(scale, columns, np.tile([[0.1], [0.2], [0.3]], 2), np.zeros(2), targets, np.ones(3))
    assert found == pytest.approx(np.stack([np.full(3, 0.25), np.clip(slopes, -1, 1)], axis=1), abs=1e-7)


@pytest.mark.parametrize(
    "predict",
    [
        lambda theta, columns: math.exp(-theta[0]) * columns["x"] + theta[1],  # raises on arrays
        lambda theta, columns: np.exp(-theta[0]) * columns["x"] + theta.sum() - theta[0],  # wrong on arrays
        lambda theta, columns: np.full(len(columns["x"]), float(theta[1])) + np.exp(-theta[0]) * columns["x"],
    ],
)
def test_a_law_that_knows_no_arrays_is_asked_point_by_point(predict):
    law = Law("own", "", {"a": (-2.0, 2.0), "b": (-2.0, 2.0)}, predict, np.zeros((1, 2)), "")
    columns, scale = {"x": np.linspace(0, 1, 5)}, make_coordinates(law)
    truth = np.random.default_rng(0).uniform(-1, 1, (6, 2))
    targets = np.array([scale.predict(u, columns) for u in truth])
    many = many_predictions(scale, columns, truth)
    assert np.array_equal(many(truth), targets)
    found = refit_many(scale, columns, truth + 0.1, np.zeros(2), targets, np.ones(5))
    assert found == pytest.approx(truth, abs=1e-5)  # residuals below 1e-8 of the first ones


@pytest.mark.parametrize("name", [name for name in LAWS if name != "theorem"])
def test_registry_laws_answer_for_many_points_in_one_call(name):
    columns, scale = cells(), make_coordinates(LAWS[name])
    points = scale.inward(LAWS[name].starts)
    together = scale.predict(points, columns)
    assert together.shape == (len(points), len(columns["inputs"]))
    assert together == pytest.approx(np.array([scale.predict(u, columns) for u in points]), rel=1e-12)


def test_slopes_stay_inside_the_bounds():
    """Where the law ends with its bounds, differences have to turn round; slopes of a square are known."""

    def predict(theta, columns):
        assert np.all((theta >= 0) & (theta <= 1))
        return theta[0] ** 2 * columns["x"]

    law = Law("square", "", {"a": (0.0, 1.0)}, predict, np.zeros((1, 1)), "")
    scale, columns = make_coordinates(law), {"x": np.array([1.0, 2.0])}
    u = np.array([[0.0], [0.5], [1.0]])
    many = many_predictions(scale, columns, u)
    # an error of half the curvature times a step of 1.5e-8, and of rounding over the step
    assert forward_slopes(scale, many, u, many(u))[:, 0] == pytest.approx(2 * u * columns["x"], abs=1e-6)
