"""Thresholds in ln J: against the integral they invert, and the expansion that approximates them."""

import numpy as np
import pytest

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
    with pytest.raises(ValueError, match="num_classes must be >= 1 and finite, got 0"):
        capacity.collapse_variable(0, 8, 1.0, 1.0)
