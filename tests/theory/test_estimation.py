"""Unknown noise: the integral at any shrinkage, and a simulated learner that estimates it from its training images."""

import itertools

import numpy as np
import pytest

from sim.theory.ceilings import gaussian_codebook_accuracy
from sim.theory.estimation import estimated_shrinkage_accuracy, shrunken_accuracy


@pytest.mark.parametrize(("dimension", "samples", "signal"), [(64, 4, 0.25), (5, 1, 4.0), (3, 2, 1.0)])
def test_bayes_and_plugin_are_two_values_of_k(dimension: int, samples: int, signal: float) -> None:
    """1e-8: the same integral in other units; and no k does better than the Bayes learner's."""
    task = (64, dimension, signal, 1.0, samples)
    best = signal / (signal + 1 / samples)
    bayes = gaussian_codebook_accuracy(*task)
    assert shrunken_accuracy(*task, best) == pytest.approx(bayes, abs=1e-8)
    assert shrunken_accuracy(*task, 1.0) == pytest.approx(gaussian_codebook_accuracy(*task, learner="plugin"), abs=1e-8)
    for k in (0.01, 0.5 * best, 0.9 * best, 1.1 * best, 1 + 1 / signal):
        assert shrunken_accuracy(*task, k) < bayes


def simulate(
    num_classes: int, dimension: int, signal: float, samples: int, factor: float | None, books: int
) -> tuple[float, float, float, float]:
    """Noise power 1. Accuracy of k, gain over the true k, with standard errors; k = `factor` true k, or estimated."""
    rng = np.random.default_rng(41)
    codewords = np.sqrt(signal) * rng.normal(size=(books, num_classes, dimension))
    images = codewords[:, :, None] + rng.normal(size=(books, num_classes, samples, dimension))
    means = images.mean(axis=2)
    true_k = np.full(books, signal / (signal + 1 / samples))
    if factor is None:
        within = np.sum((images - means[:, :, None]) ** 2, axis=(1, 2, 3)) / (num_classes * (samples - 1) * dimension)
        between = np.mean(means**2, axis=(1, 2))
        k = np.maximum(1 - within / samples / between, 1e-3)
    else:
        k = factor * true_k
    truth = rng.integers(num_classes, size=(books, 20))
    tests = np.take_along_axis(codewords, truth[..., None], axis=1) + rng.normal(size=(books, 20, dimension))
    cross, squared = tests @ np.swapaxes(means, 1, 2), np.sum(means**2, axis=2)[:, None]
    right = [
        np.mean((shrink[:, None, None] * squared - 2 * cross).argmin(axis=2) == truth, axis=1) for shrink in (k, true_k)
    ]
    difference = right[0] - right[1]
    scale = np.sqrt(books)
    return (
        float(right[0].mean()),
        float(right[0].std() / scale),
        float(difference.mean()),
        float(difference.std() / scale),
    )


@pytest.mark.parametrize(("factor", "samples"), [(0.3, 1), (1.5, 2), (2.5, 1), (4.0, 1)])
def test_a_wrong_shrinkage(factor: float, samples: int) -> None:
    """4.5 standard errors: false-fail rate 7e-6 a case; sees differences of about .01."""
    mean, error, _, _ = simulate(16, 8, 1.0, samples, factor, 4000)
    exact = shrunken_accuracy(16, 8, 1.0, 1.0, samples, factor * samples / (1 + samples))
    assert error < 0.002
    assert abs(mean - exact) < 4.5 * error


@pytest.mark.parametrize(
    ("num_classes", "dimension", "signal", "samples"),
    [(2, 8, 0.25, 2), (4, 4, 0.5, 2), (8, 4, 0.5, 2), (16, 8, 1.0, 3)],
)
def test_loss_of_the_estimating_learner(num_classes: int, dimension: int, signal: float, samples: int) -> None:
    """4.5 standard errors of the paired loss and the stated .0004: false-fail rate below 7e-6 a case."""
    _, _, difference, error = simulate(num_classes, dimension, signal, samples, None, 160_000 // num_classes)
    task = (num_classes, dimension, signal, 1.0, samples)
    predicted = estimated_shrinkage_accuracy(*task) - gaussian_codebook_accuracy(*task)
    assert error < 3e-4
    assert abs(difference - predicted) < 4.5 * error + 4e-4


def test_the_stated_bound() -> None:
    """Below .002 where (I - J) D > 50, below .0003 where I - J > 50, never a gain; 1e-6 is the quadrature over k."""
    for num_classes, dimension, samples, energy in itertools.product((2, 4, 16, 64), (4, 16), (2, 4), (0.5, 2.0, 8.0)):
        task = (num_classes, dimension, energy / dimension, 1.0, samples)
        loss = gaussian_codebook_accuracy(*task) - estimated_shrinkage_accuracy(*task)
        assert loss > -1e-6
        if num_classes * (samples - 1) * dimension > 50:
            assert loss < 0.002
        if num_classes * (samples - 1) > 50:
            assert loss < 0.0003


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match="samples_per_class must be a whole number >= 2, got 1"):
        estimated_shrinkage_accuracy(4, 4, 1.0, 1.0, 1)
    with pytest.raises(ValueError, match="shrinkage must be > 0 and finite, got 0"):
        shrunken_accuracy(4, 4, 1.0, 1.0, 1, 0)
    with pytest.raises(ValueError, match=r"shrinkage must be <= 1 \+ noise_power / signal_power = 2, got 2\.5"):
        shrunken_accuracy(4, 4, 1.0, 1.0, 1, 2.5)
    assert shrunken_accuracy(1, 4, 1.0, 1.0, 1, 0.5) == 1
