"""Codewords on a sphere and binary codewords: independent simulation, limits."""

from collections.abc import Callable

import numpy as np
import pytest

from sim.theory.alphabets import binary_codebook_accuracy, sphere_codebook_accuracy
from sim.theory.ceilings import gaussian_codebook_accuracy, orthogonal_accuracy
from sim.types import FloatArray


def on_sphere(points: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(points.shape[1]) * points / np.linalg.norm(points, axis=1, keepdims=True))


def simulate(
    estimate: Callable[[FloatArray], FloatArray],
    num_classes: int,
    dimension: int,
    signal: float,
    samples: int | None,
    books: int = 1500,
) -> tuple[float, float]:
    """Noise power 1: draw codewords and class means, put them on the alphabet, choose the nearest of them."""
    rng, results = np.random.default_rng(31), []
    for _ in range(books):
        codewords = np.sqrt(signal) * estimate(rng.normal(size=(num_classes, dimension)))
        learned = codewords
        if samples is not None:
            learned = np.sqrt(signal) * estimate(codewords + rng.normal(size=codewords.shape) / np.sqrt(samples))
        truth = rng.integers(num_classes, size=60)
        tests = codewords[truth] + rng.normal(size=(60, dimension))
        distance = np.sum(learned**2, axis=1) - 2 * tests @ learned.T
        results.append(np.mean(distance.argmin(axis=1) == truth))
    return float(np.mean(results)), float(np.std(results, ddof=1) / np.sqrt(books))


@pytest.mark.parametrize(
    ("num_classes", "dimension", "signal", "samples"),
    [
        (16, 8, 1.0, None),
        (64, 16, 0.5, None),
        (16, 4, 4.0, None),
        (32, 8, 1.0, 1),
        (64, 16, 0.5, 4),
        (8, 4, 2.0, 1),
        (300, 5, 4.0, 2),
    ],
)
def test_sphere_simulation(num_classes: int, dimension: int, signal: float, samples: int | None) -> None:
    """4.5 standard errors: false-fail rate 7e-6 a case; sees differences of about .01."""
    mean, error = simulate(on_sphere, num_classes, dimension, signal, samples)
    assert error < 0.004
    assert abs(sphere_codebook_accuracy(num_classes, dimension, signal, 1.0, samples) - mean) < 4.5 * error


@pytest.mark.parametrize(
    ("num_classes", "dimension", "signal", "samples"),
    [(16, 8, 1.0, None), (64, 16, 0.5, None), (64, 24, 0.5, None), (64, 16, 0.5, 4), (16, 64, 0.1, 3)],
)
def test_binary_simulation(num_classes: int, dimension: int, signal: float, samples: int | None) -> None:
    """4.5 joint standard errors and the stated .003 of the saddlepoint: false-fail rate below 7e-6 a case."""
    estimate = binary_codebook_accuracy(num_classes, dimension, signal, 1.0, samples)
    mean, error = simulate(np.sign, num_classes, dimension, signal, samples)
    assert estimate.standard_error < 0.0025
    assert error < 0.002
    assert abs(estimate.value - mean) < 4.5 * np.hypot(error, estimate.standard_error) + 0.003


def test_in_many_dimensions_the_alphabet_does_not_matter() -> None:
    """Known codewords: rivals are N(0, g |x|^2) for all three; differences fall as 1/D, here below .01."""
    gaussian = gaussian_codebook_accuracy(64, 1024, 1 / 128, 1.0)
    assert sphere_codebook_accuracy(64, 1024, 1 / 128, 1.0) == pytest.approx(gaussian, abs=0.01)
    assert binary_codebook_accuracy(64, 128, 1 / 16, 1.0).value == pytest.approx(
        sphere_codebook_accuracy(64, 128, 1 / 16, 1.0), abs=0.01
    )
    # many dimensions at one |c|^2 / s2 = 8: orthogonal codewords
    orthogonal = orthogonal_accuracy(64, 8**0.5)
    assert sphere_codebook_accuracy(64, 10**6, 8e-6, 1.0) == pytest.approx(orthogonal, abs=1e-4)


@pytest.mark.parametrize("samples", [None, 2])
def test_limits(samples: int | None) -> None:
    """At a signal power of 1e-8 the accuracy is chance + O(1e-4 sqrt(D)); .0035: and the binary approximation."""
    for accuracy in (
        sphere_codebook_accuracy,
        lambda *task: binary_codebook_accuracy(*task).value,
    ):
        assert accuracy(1, 16, 1.0, 1.0, samples) == 1
        assert accuracy(8, 16, 1e-8, 1.0, samples) == pytest.approx(0.125, abs=3.5e-3)
    assert sphere_codebook_accuracy(8, 16, 1e4, 1.0, samples) == pytest.approx(1.0, abs=1e-6)
    # two of 8 binary codewords of 16 numbers coincide with probability 7 / 2^16, counted as half an error or one
    assert binary_codebook_accuracy(8, 16, 1e4, 1.0, samples).value == pytest.approx(1.0, abs=2e-4)


def test_more_examples_help_up_to_known_codewords() -> None:
    values = [sphere_codebook_accuracy(64, 16, 1.0, 1.0, n) for n in (1, 2, 8, 1000)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(sphere_codebook_accuracy(64, 16, 1.0, 1.0), abs=2e-3)  # loss of order 1/n


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match="dimension must be a whole number >= 4, got 3"):
        sphere_codebook_accuracy(8, 3, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"num_classes must be <= 2\^\(D/2\), D = 8, got 17"):
        binary_codebook_accuracy(17, 8, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"samples_per_class must be a whole number >= 1, got 0\.5"):
        binary_codebook_accuracy(8, 8, 1.0, 1.0, 0.5)
