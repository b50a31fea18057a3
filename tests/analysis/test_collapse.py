"""Planted exponents are found, with intervals that cover; the qualities of physics agree with hand counts."""

import numpy as np
import pytest

from sim.analysis.collapse import collapse, column_scaling, in_joint_region, output_scaling
from sim.analysis.collapse_quality import bhattacharjee_seno, houdayer_hartmann
from sim.analysis.master_curve import master_curve_residuals


def _power(gamma=1.4):
    """A = chance-corrected 1 - exp(-I / (2 J^gamma)), on the grid of the codebook study."""
    J, n = (array.ravel().astype(float) for array in np.meshgrid([4, 16, 64, 256], [1, 4, 16, 64]))
    mean = 1 / J + (1 - 1 / J) * (1 - np.exp(-0.5 * J * n / J**gamma))
    return {"inputs": J * n, "outputs": J, "chance": 1 / J}, mean


def _logarithmic():
    """Exact match exp(-2 n / I) of maps of n = log2 J pixels."""
    n, inputs = (array.ravel() for array in np.meshgrid(np.arange(4.0, 13.0, 2.0), 4.0 ** np.arange(8)))
    return {"inputs": inputs, "outputs": 2**n, "chance": np.zeros(len(n))}, np.exp(-2 * n / inputs)


def _trials(columns, mean, seeds, rng):
    deviation = np.sqrt(0.003**2 + 0.03**2 * mean * (1 - mean))
    values = mean[:, None] + deviation[:, None] * rng.standard_normal((len(mean), seeds))
    return {name: np.repeat(column, seeds) for name, column in columns.items()}, values.ravel()


def test_gamma_of_power_data_is_recovered_and_covered():
    """40 collapses at nominal .95 with 6 seeds: 33 or more cover but for 7e-4 (binomial)."""
    rng = np.random.default_rng(0)
    hits, estimates = 0, []
    for repeat in range(40):
        columns, values = _trials(*_power(), 6, rng)
        result = collapse(columns, values, output_scaling, {"gamma": (-1, 4)}, seed=repeat)
        low, high = result.intervals["gamma"]
        hits += low <= 1.4 <= high
        estimates.append(result.parameters["gamma"])
        assert high - low < 0.05
    assert hits >= 33
    assert np.mean(estimates) == pytest.approx(1.4, abs=0.004)  # spread .005: 5 standard errors of the mean


@pytest.mark.parametrize("gamma", [0.0, 0.1])
def test_gamma_is_unbiased_where_points_of_all_curves_share_their_x(gamma):
    """Curves that do not depend on J: at gamma 0 seven points lie at each x, where residuals alone would push them
    apart (the estimate then spread .06 about 0). 12 collapses at nominal .95: 9 or more cover but for 2e-3."""
    J, inputs = (array.ravel() for array in np.meshgrid([2.0, 3, 4, 5, 6, 8, 10], [16.0, 32, 64, 128]))
    columns = {"inputs": inputs, "outputs": J, "chance": 1 / J}
    ratio = inputs / (40 * (J / 5) ** gamma)
    mean = 1 / J + (1 - 1 / J) * ratio**1.2 / (1 + ratio**1.2)
    rng = np.random.default_rng(7)
    found = [collapse(*_trials(columns, mean, 10, rng), bounds={"gamma": (-1, 5)}, seed=k) for k in range(12)]
    estimates = np.array([result.parameters["gamma"] for result in found])
    assert np.mean(estimates) == pytest.approx(gamma, abs=0.01)  # spread .01: three standard errors of the mean
    assert sum(r.intervals["gamma"][0] <= gamma <= r.intervals["gamma"][1] for r in found) >= 9


def test_a_scaling_that_is_not_exact_is_not_chosen_by_how_well_the_curve_zigzags():
    """Noiseless values of ln I - 1.6 ln J plus a trend in J that no scaling takes away: near gamma = 1 the points form
    four clusters between which a free curve could fall and rise."""
    columns, _ = _power()
    x = np.log(columns["inputs"]) - 1.6 * np.log(columns["outputs"])
    values = 1 / (1 + np.exp(-x)) + 0.01 * np.log(columns["outputs"] / 32)
    y = columns["chance"] + (1 - columns["chance"]) * values
    result = collapse(columns, y, bounds={"gamma": (-1, 5)}, variance=1e-6)
    assert 1.45 < result.parameters["gamma"] < 1.75


def test_eta_of_logarithmic_data_and_why_gamma_misleads():
    columns, values = _trials(*_logarithmic(), 6, np.random.default_rng(1))
    eta = collapse(columns, values, output_scaling, {"eta": (-1, 3)})
    gamma = collapse(columns, values, output_scaling, {"gamma": (-1, 3)})
    assert eta.parameters["eta"] == pytest.approx(1.0, abs=0.06)  # standard error .012
    assert eta.intervals["eta"][0] < 1 < eta.intervals["eta"][1]
    assert 0.15 < gamma.parameters["gamma"] < 0.23  # a gamma that no theory knows
    assert gamma.objective > 3 * eta.objective
    assert gamma.rms > 1.5 * eta.rms
    assert gamma.quality > eta.quality
    both = collapse(columns, values, output_scaling, {"gamma": (-1, 3), "eta": (-3, 5)})
    assert in_joint_region(both, {"gamma": 0.0, "eta": 1.0})
    assert not in_joint_region(both, {"gamma": 1.0, "eta": 0.0})
    correlation = both.covariance[0, 1] / np.sqrt(both.covariance[0, 0] * both.covariance[1, 1])
    assert correlation < -0.9  # ill-determined together: the region is a thin ellipse


def test_quality_is_calibrated():
    # S is not 1 at the truth on a coarse grid; it lies below the upper quantile of its own calibration, and a wrong
    # scaling lies above. One comparison at .95 each, with a fixed seed.
    columns, values = _trials(*_power(), 6, np.random.default_rng(2))
    right = collapse(columns, values, output_scaling, {"gamma": (-1, 4)})
    assert right.quality < right.quality_expected[1]
    assert right.p_value > 0.05
    wrong = collapse(columns, values, lambda c, p: output_scaling(c, {"gamma": 1.0}))
    assert wrong.parameters == {}
    assert wrong.quality > wrong.quality_expected[1]
    assert wrong.p_value == 1 / 200
    assert wrong.rms > 10 * right.rms


def test_a_scaling_without_parameters():
    columns, mean = _power()
    columns["z"] = np.log(columns["inputs"]) - 1.4 * np.log(columns["outputs"])
    columns["ratio"] = np.log(columns["inputs"] / columns["outputs"])
    noisy, values = _trials(columns, mean, 6, np.random.default_rng(3))
    on_z = collapse(noisy, values, column_scaling("z"))
    on_ratio = collapse(noisy, values, column_scaling("ratio"))
    assert on_z.rms < 0.01
    assert on_ratio.rms > 0.1
    assert on_z.quality_bs < on_ratio.quality_bs


def test_finite_size_scaling_of_physics_runs_through_the_same_function():
    # y = L^-b f((x - xc) L^a) with a bell-shaped f, which is neither bounded nor monotone.
    L, x = (array.ravel() for array in np.meshgrid([8.0, 16.0, 32.0, 64.0], np.linspace(0.5, 1.5, 15)))
    y = L**-0.5 * np.exp(-(((x - 1.1) * L**0.6) ** 2) / 18)

    def scaling(columns, p):
        return (columns["x"] - p["xc"]) * columns["L"] ** p["a"], columns["y"] * columns["L"] ** p["b"]

    bounds = {"xc": (0.8, 1.4), "a": (0.2, 1.2), "b": (0.0, 1.0)}
    noisy = y + 0.002 * np.random.default_rng(4).standard_normal(len(y))
    result = collapse({"L": L, "x": x}, noisy, scaling, bounds, curve="L", bounded=False, variance=0.002**2)
    for name, value, tolerance in (("xc", 1.1, 0.01), ("a", 0.6, 0.06), ("b", 0.5, 0.03)):
        assert result.parameters[name] == pytest.approx(value, abs=tolerance)
    assert result.starts_agreeing >= 2


def test_numbers_of_outputs_beyond_float_go_by_their_logarithm():
    columns = {
        "inputs": np.array([64.0]),
        "log2_outputs": np.array([10000.0]),
        "y": np.array([0.3]),
        "chance": np.zeros(1),
    }
    x, y = output_scaling(columns, {"eta": 1.0})
    assert x[0] == pytest.approx(np.log(64 / 10000))
    assert y[0] == 0.3
    with pytest.raises(ValueError, match="outputs must be > 1"):
        output_scaling({**columns, "log2_outputs": np.zeros(1)}, {})


def test_houdayer_hartmann_by_hand():
    # Curve 0: (0, 0), (1, 1); curve 1: (.5, .7), error .1 each. Only the middle point is bracketed: Y = .5,
    # dY^2 = .01/2, S = .04 / .015. Two brackets of the other curve do not exist for the ends.
    x, y, error = np.array([0.0, 1.0, 0.5]), np.array([0.0, 1.0, 0.7]), np.full(3, 0.1)
    quality, overlap = houdayer_hartmann(x, y, error, [0, 0, 1])
    assert quality == pytest.approx(0.04 / 0.015)
    assert overlap == pytest.approx(1 / 3)
    assert bhattacharjee_seno(x, y, [0, 0, 1]) == pytest.approx(0.2)
    apart, overlap = houdayer_hartmann(np.array([0.0, 1.0, 5.0, 6.0]), np.zeros(4), np.ones(4), [0, 0, 1, 1])
    assert np.isnan(apart)
    assert overlap == 0.0


def test_master_curve_tells_a_function_of_x_from_a_family():
    columns, mean = _power()
    J, n = columns["outputs"], columns["inputs"] / columns["outputs"]
    y = (mean - 1 / J) / (1 - 1 / J)
    good = master_curve_residuals(np.log(columns["inputs"]) - 1.4 * np.log(J), y)
    bad = master_curve_residuals(np.log(n), y)
    assert good.largest < 0.01
    assert bad.rms > 0.1
    # On I/J the grid has four values of x: the best curve of any kind takes the mean at each, so the rms is known.
    within = np.concatenate([y[n == value] - y[n == value].mean() for value in np.unique(n)])
    assert bad.rms == pytest.approx(np.sqrt(np.mean(within**2)), rel=0.02)


def test_master_curve_is_monotone_and_falls_where_the_data_fall():
    rng = np.random.default_rng(5)
    x = np.sort(rng.uniform(-3, 3, 40))
    for sign in (1.0, -1.0):
        fitted = master_curve_residuals(x, 1 / (1 + np.exp(-2 * sign * x)) + 0.05 * rng.standard_normal(40))
        steps = sign * np.diff(fitted.curve(np.linspace(-3, 3, 500)))
        assert np.all(steps >= -1e-12)
        assert 0.03 < fitted.rms < 0.065  # the noise, less what 14 coefficients take
    hump = master_curve_residuals(x, np.exp(-(x**2)))
    assert hump.largest > 0.3  # no monotone curve follows a hump


def test_errors_name_rule_and_value():
    columns, mean = _power()
    with pytest.raises(ValueError, match="needs two curves or more, got 1"):
        collapse({name: c[:4] * 0 + 4 for name, c in columns.items()}, mean[:4], variance=1e-4)
    with pytest.raises(ValueError, match="curve must name a column, got 'J'"):
        collapse(columns, mean, curve="J", variance=1e-4)
    with pytest.raises(ValueError, match="bounds must be finite with low < high"):
        collapse(columns, mean, bounds={"gamma": (1.0, np.inf)}, variance=1e-4)
    with pytest.raises(ValueError, match="x and y must hold 6 finite points or more, got 3 finite of 3"):
        master_curve_residuals(np.arange(3.0), np.arange(3.0))
