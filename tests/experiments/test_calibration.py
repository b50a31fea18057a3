"""The calibration study: its planted laws are determined, its numbers are counts, and a wrong interval shows."""

import numpy as np
import pytest

from experiments import calibration
from sim.theory.laws import LAWS


def test_every_planted_law_runs_over_the_range_of_accuracy():
    cells = calibration.codebook_cells()
    for planted in calibration.PLANTED:
        law = LAWS[planted.law]
        assert len(planted.parameters) == len(law.parameters)
        for value, (low, high) in zip(planted.parameters, law.parameters.values(), strict=True):
            assert low < value < high
        accuracy = law.predict(np.array(planted.parameters), cells)
        assert np.ptp(accuracy) > 0.2  # otherwise there is nothing to fit


def test_simulated_seeds_have_the_stated_mean_and_spread():
    """200,000 draws: the standard error of the mean is 7e-5, of the deviation 2e-3 of itself; five of them allowed."""
    drawn = calibration.simulate(np.array([0.5]), 200_000, np.random.default_rng(0))
    deviation = np.hypot(calibration.FLOOR, calibration.SPREAD * 0.5)
    assert drawn.mean() == pytest.approx(0.5, abs=5 * deviation / np.sqrt(2e5))
    assert drawn.std() == pytest.approx(deviation, rel=0.01)


def test_a_small_calibration_counts_what_it_says(monkeypatch):
    monkeypatch.setattr(calibration, "SEEDS", (4,))
    monkeypatch.setattr(calibration, "PLANTED", (calibration.Planted("hill", (1.0, 0.9)),))
    said = []
    result = calibration.calibrate(3, workers=1, progress=said.append)
    assert [(row["law"], row["parameter"]) for row in result["rows"]] == [
        ("hill", "log_half"), ("hill", "slope"), ("collapse", "gamma"),
    ]  # fmt: skip
    assert all(row["repetitions"] == 3 and round(3 * row["coverage"]) in (0, 1, 2, 3) for row in result["rows"])
    assert all(abs(row["bias"]) < 0.1 and 0 < row["spread"] < 0.1 for row in result["rows"])
    assert set(result["collapse_test"]) == {"4"}
    assert len(said) == 2


def test_an_interval_that_is_too_narrow_shows():
    rows = [calibration._row("law", "a", 4, [0.0, 0.0], hits) for hits in ([True] * 19 + [False], [True, False])]
    assert [row["coverage"] for row in calibration.outside({"rows": rows})] == [0.5]


def test_one_repetition_is_refused():
    with pytest.raises(ValueError, match="repetitions must be >= 2, got 1"):
        calibration.calibrate(1)
