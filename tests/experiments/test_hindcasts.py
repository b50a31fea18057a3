"""Hindcasts: laws that are right foretell their outermost cells; those that are wrong widen what lies beyond."""

import numpy as np
import pytest

from experiments.fitting import Arm
from experiments.hindcasts import AXES, SHARE, axis_errors, from_angle, to_angle
from experiments.predicting import learn, predict_accuracy
from sim.theory.laws import LAWS


def make_arm(outputs, inputs, mean, laws, noise=0.005):
    """Four trials a cell with the seed noise given; `mean` takes the columns."""
    J, I = (grid.ravel() for grid in np.meshgrid(outputs, inputs))  # noqa: E741
    cells = {"inputs": I, "outputs": J, "chance": 1 / J}
    columns = {name: np.repeat(column, 4) for name, column in cells.items()}
    accuracy = np.repeat(mean(cells), 4) + noise * np.random.default_rng(0).standard_normal(4 * len(J))
    return Arm("arm", "test_accuracy", columns, columns, accuracy, None, None, None, tuple(LAWS[name] for name in laws))


def logistic(cells):
    return LAWS["logistic"].predict(np.array([0.5, 0.75, 1.1]), cells)


def bent(cells):
    """The logistic law but for the largest outputs, which lose .2."""
    return logistic(cells) - 0.2 * (cells["outputs"] == 256)


OUTPUTS, INPUTS = [4.0, 16, 64, 256], [64.0, 256, 1024, 4096]


def test_angles_invert():
    chance = np.array([0.25, 0.5, 0.1])
    accuracy = np.array([0.25, 0.7, 1.0])
    assert from_angle(to_angle(accuracy, chance), chance) == pytest.approx(accuracy)
    assert from_angle(np.array([-1.0, np.inf, -np.inf]), chance) == pytest.approx([0.25, 1.0, 0.1])


def test_a_law_that_is_right_has_small_errors_and_one_that_is_wrong_large_ones():
    """Means know A within .0025 and hindcasts within a few times that: .03 in angle is a share of .002 to .03 of A*."""
    right = axis_errors(make_arm(OUTPUTS, INPUTS, logistic, []), [LAWS["logistic"]])
    wrong = axis_errors(make_arm(OUTPUTS, INPUTS, bent, []), [LAWS["logistic"]])
    assert all(right[axis].rate * np.log(4) < 0.03 for axis in AXES)
    assert (right["outputs"].low, right["outputs"].high) == (4.0, 256.0)
    # the hindcast knows nothing of the bend, so that its error is the bend itself
    cells = {"inputs": np.array(INPUTS), "outputs": np.full(4, 256.0), "chance": np.full(4, 1 / 256)}
    bend = to_angle(logistic(cells), cells["chance"]) - to_angle(bent(cells), cells["chance"])
    assert wrong["outputs"].rate == pytest.approx(np.sqrt(np.mean(bend**2)) / np.log(4), abs=0.03 / np.log(4))


def test_two_levels_give_half_their_change_and_one_level_gives_nothing():
    arm = make_arm([16.0, 64.0], INPUTS, logistic, [], noise=1e-4)
    cells = {"inputs": np.array(INPUTS * 2), "outputs": np.repeat([16.0, 64.0], 4)}
    cells["chance"] = 1 / cells["outputs"]
    angle = to_angle(logistic(cells), cells["chance"]).reshape(2, 4)
    change = np.sqrt(np.mean((angle[1] - angle[0]) ** 2)) / np.log(4)
    assert axis_errors(arm, [LAWS["logistic"]])["outputs"].rate == pytest.approx(SHARE * change, rel=0.01)
    alone = axis_errors(make_arm([16.0], INPUTS, logistic, []), [LAWS["hill"]])["outputs"]
    assert alone.at(np.array([4.0, 16.0, 64.0])).tolist() == [np.inf, 0.0, np.inf]


def test_intervals_widen_beyond_the_range_and_not_inside():
    arm = make_arm(OUTPUTS, INPUTS, bent, ["logistic"])
    predictor = learn(arm)
    trusting = predictor._replace(beyond={})

    def width(laws, inputs, outputs):
        low, high = predict_accuracy(laws, inputs, outputs)["interval"]
        return high - low

    assert width(predictor, 500, 32) == width(trusting, 500, 32)
    widths = [width(predictor, 4096, outputs) - width(trusting, 4096, outputs) for outputs in (256, 512, 1024)]
    assert widths[0] == 0
    assert 0.01 < widths[1] < widths[2]
    one_size = learn(make_arm([16.0], [16.0, 32, 64, 256, 1024, 4096], logistic, ["hill"]))
    low, high = predict_accuracy(one_size, 256, 64)["interval"]
    assert (low, high) == (pytest.approx(1 / 64), pytest.approx(1.0)), "outputs were not varied: all is possible"
