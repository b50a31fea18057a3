"""Backtests: what is planted is predicted, what breaks beyond the fitted range is seen to break."""

import numpy as np
import pytest

from experiments.backtest import MOST_INPUTS, MOST_OUTPUTS, backtest_arm, summarise_backtest
from experiments.fitting import Arm
from sim.theory.laws import LAWS


def make_arm(change=lambda outputs: 0.0):
    """Logistic accuracy with seed noise .01 on J 4..256, n 1..64, four seeds; `change` is added as a function of J."""
    outputs, ratio = (grid.ravel() for grid in np.meshgrid([4.0, 16, 64, 256], [1.0, 4, 16, 64]))
    cells = {"inputs": outputs * ratio, "outputs": outputs, "chance": 1 / outputs}
    accuracy = LAWS["logistic"].predict(np.array([0.5, 0.75, 1.1]), cells) + change(outputs)
    columns = {name: np.repeat(column, 4) for name, column in cells.items()}
    noisy = np.repeat(accuracy, 4) + 0.01 * np.random.default_rng(0).standard_normal(4 * len(accuracy))
    laws = tuple(LAWS[name] for name in ("hill", "logistic", "probit"))
    return Arm("arm", "test_accuracy", columns, columns, noisy, None, None, None, laws)


def test_a_planted_law_is_predicted_beyond_the_fitted_range():
    """Five unseen cells at 95%: four hold but for 2e-2, and the seed is fixed."""
    rows = backtest_arm(make_arm())
    assert {(row["outputs"], row["inputs"]) for row in rows} == {(64, 4096)} | {(256, 256 * n) for n in (1, 4, 16, 64)}
    assert sum(row["held"] for row in rows) >= 4
    (line,) = summarise_backtest(rows)
    assert line["cells"] == 5
    assert line["error_all"] < 0.03
    assert {row["beyond"] for row in rows} == {4.0, 16.0}
    assert line["error_to_16"] == pytest.approx(
        np.mean([abs(r["predicted"] - r["measured"]) for r in rows if r["beyond"] == 16])
    )


def test_a_break_beyond_the_fitted_range_is_seen():
    rows = backtest_arm(make_arm(lambda outputs: np.where(outputs > MOST_OUTPUTS, -0.3, 0.0)))
    broken = [row for row in rows if row["outputs"] > MOST_OUTPUTS]
    assert all(row["predicted"] - row["measured"] > 0.2 for row in broken)
    assert sum(row["held"] for row in broken) <= 1


def test_an_arm_with_nothing_beyond_gives_no_rows():
    arm = make_arm()
    inside = (arm.columns["outputs"] <= MOST_OUTPUTS) & (arm.columns["inputs"] <= MOST_INPUTS)
    columns = {name: column[inside] for name, column in arm.columns.items()}
    assert backtest_arm(arm._replace(columns=columns, rows=columns, accuracy=arm.accuracy[inside])) == []
