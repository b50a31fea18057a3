"""Thresholds in ln J: against the integral they invert, and the expansion that approximates them."""

import bisect

import numpy as np
import pytest
from scipy import special

from sim.theory import capacity
from sim.theory.ceilings import gaussian_codebook_accuracy, orthogonal_accuracy

SAMPLES = (1, 4, 16, 64, None)


@pytest.mark.parametrize("dimension", [1, 16, 64, 1024])
@pytest.mark.parametrize("samples", SAMPLES)
def test_threshold_inverts_the_integral(dimension: int, samples: int | None) -> None:
    power = 16 / dimension
    log_classes = capacity.log_half_accuracy_classes(dimension, power, 1.0, samples)
    below, above = int(np.floor(np.exp(log_classes))), int(np.floor(np.exp(log_classes))) + 1
    assert gaussian_codebook_accuracy(above, dimension, power, 1.0, samples) <= 0.5 + 1e-8
    assert gaussian_codebook_accuracy(below, dimension, power, 1.0, samples) >= 0.5 - 1e-8


def test_expansion_error() -> None:
    """The printed errors: .22 in ln J50 where J50 > 100, .074 where J50 > e^15."""
    cells = [(d, gd / d, n) for d in (16, 64, 1024) for gd in (4, 16, 64, 256) for n in SAMPLES]
    exact = np.array([capacity.log_half_accuracy_classes(d, g, 1.0, n) for d, g, n in cells])
    expanded = np.array([capacity.log_half_accuracy_classes(d, g, 1.0, n, "asymptotic") for d, g, n in cells])
    error = np.abs(exact - expanded)
    assert error[exact > np.log(100)].max() == pytest.approx(0.22, abs=0.005)
    assert error[exact > 15].max() == pytest.approx(0.074, abs=0.0005)


def test_refined_expansion_error() -> None:
    """The printed errors where J50 > 10: .053, where the plain expansion is off by .45; the grid of the docstring."""
    dimensions, powers = (16, 64, 256, 4096), (4, 16, 64, 256)
    cells = [(d, gd / d, n) for d in dimensions for gd in powers for n in SAMPLES]
    exact = np.array([capacity.log_half_accuracy_classes(d, g, 1.0, n) for d, g, n in cells])
    for method, printed in (("asymptotic", 0.45), ("refined", 0.053)):
        expanded = np.array([capacity.log_half_accuracy_classes(d, g, 1.0, n, method) for d, g, n in cells])
        largest = np.abs(exact - expanded)[exact > np.log(10)].max()
        assert 0.9 * printed < largest <= printed + 0.002


@pytest.mark.parametrize(("separation", "constant"), [(2.0, -0.256), (10.0, -0.556), (60.0, -0.5766)])
def test_orthogonal_threshold(separation: float, constant: float) -> None:
    exact = capacity.orthogonal_log_half_accuracy_classes(separation)
    expansion = capacity.orthogonal_log_half_accuracy_classes(separation, "asymptotic")
    assert exact - (expansion + np.euler_gamma) == pytest.approx(constant, abs=6e-4)


def test_orthogonal_threshold_inverts_the_integral() -> None:
    classes = np.exp(capacity.orthogonal_log_half_accuracy_classes(4.0))
    assert orthogonal_accuracy(int(classes), 4.0) >= 0.5 >= orthogonal_accuracy(int(classes) + 1, 4.0)


def test_orthogonal_width_against_its_expansion() -> None:
    """The error times d^3 settles, so the two terms of the expansion are right and the next one is of order d^-3."""
    separation = np.array([5.0, 10.0, 20.0, 40.0, 60.0, 100.0])
    exact = np.array([capacity.orthogonal_threshold_width(d) for d in separation])
    expanded = np.array([capacity.orthogonal_threshold_width(d, "asymptotic") for d in separation])
    scaled = (exact - expanded) * separation**3
    assert np.all(np.diff(scaled) < 0)
    assert np.all((scaled < -6.7) & (scaled > -8.95))  # measured -6.79 at 5 and -8.91 at 100
    assert scaled[-1] == pytest.approx(scaled[-2], rel=5e-3)
    threshold = np.array([capacity.orthogonal_log_half_accuracy_classes(d) for d in separation])
    assert np.all(np.diff(exact / threshold) < 0)  # a step in ln J / iota


@pytest.mark.parametrize("separation", [0.5, 3.0, 6.0])
def test_orthogonal_width_by_simulation(separation: float) -> None:
    """400,000 true scores against the best of J - 1 rivals, drawn as the maximum: quantile .25 - .75 of accuracy.

    ln J at which a trial is lost: the J - 1 rivals stay below score z if an exponential variable exceeds
    -(J - 1) ln Phi(z). So ln(1 + exponential / -ln Phi(z)) is drawn, and its quartiles are the two thresholds. Each
    quartile has a standard error near width / 400 000^.5; the difference is within 5 joint errors but for 6e-7.
    """
    rng = np.random.default_rng(12)
    draws = 400_000
    score = separation + rng.standard_normal(draws)
    lost = np.log1p(rng.exponential(size=draws) / -special.log_ndtr(score))
    low, high = np.quantile(lost, [0.25, 0.75])
    edge = 0.01 * (high - low)
    density = [np.mean(np.abs(lost - q) < edge) / (2 * edge) for q in (low, high)]
    error = np.sqrt(0.25 * 0.75 / draws) * np.hypot(1 / density[0], 1 / density[1])
    assert abs(capacity.orthogonal_threshold_width(separation) - (high - low)) < 5 * error
    assert error < 0.005 * (high - low)  # so that half a per cent more or less would be seen


def test_orthogonal_width_inverts_the_integral() -> None:
    """The last whole J that reaches .75, and .25, found by bisection: J real lies between it and the next."""
    many, few = (
        bisect.bisect_right(range(1, 20_000), -level, key=lambda j: -orthogonal_accuracy(j, 3.0))
        for level in (0.25, 0.75)
    )
    assert orthogonal_accuracy(few, 3.0) >= 0.75 > orthogonal_accuracy(few + 1, 3.0)
    assert np.log(many / (few + 1)) <= capacity.orthogonal_threshold_width(3.0) <= np.log((many + 1) / few)


def test_collapse_onto_one_curve() -> None:
    """Cells of different D, n and J with z near 0 have one accuracy; the same cells differ widely in I/J."""
    accuracies = []
    for dimension, power, samples in ((64, 0.25, 4), (64, 0.25, 16), (256, 0.1, 8), (1024, 0.05, 4)):
        threshold = capacity.log_half_accuracy_classes(dimension, power, 1.0, samples)
        spread = np.sqrt(dimension * capacity.squared_correlation(power, 1.0, samples) + np.pi**2 / 6)
        num_classes = round(np.exp(threshold - 0.5 * spread))  # z = .5
        z = capacity.collapse_variable(num_classes, dimension, power, 1.0, samples)
        assert z == pytest.approx(0.5, abs=0.02)  # J is rounded
        accuracies.append(gaussian_codebook_accuracy(num_classes, dimension, power, 1.0, samples))
    assert np.ptp(accuracies) < 0.03


def test_cover() -> None:
    assert capacity.cover_fraction(10, 5) == pytest.approx(0.5, abs=1e-12)
    assert capacity.cover_fraction(15, 10) == pytest.approx(0.9102172852, abs=6e-11)
    assert capacity.cover_fraction(25, 10) == pytest.approx(0.1537281275, abs=6e-11)
    assert capacity.cover_fraction(5, 8) == 1


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match="method must be one of exact, asymptotic, refined, got 'guess'"):
        capacity.log_half_accuracy_classes(8, 1.0, 1.0, method="guess")
    with pytest.raises(ValueError, match="ln J50 must be <= 690 for method='exact', got about 94"):
        capacity.log_half_accuracy_classes(4096, 1e2, 1.0)
    with pytest.raises(ValueError, match="separation must be > 0 and finite, got 0"):
        capacity.orthogonal_threshold_width(0.0)
    with pytest.raises(ValueError, match="num_classes must be >= 1 and finite, got 0"):
        capacity.collapse_variable(0, 8, 1.0, 1.0)
