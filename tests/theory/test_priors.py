"""Unequally frequent classes: the equal case, an independent simulation, and the limits."""

import numpy as np
import pytest

from sim.theory.ceilings import gaussian_codebook_accuracy
from sim.theory.frequencies import proportional_counts, zipf_frequencies
from sim.theory.priors import unequal_codebook_accuracy, unequal_independent_accuracy
from sim.types import FloatArray


@pytest.mark.parametrize(
    ("num_classes", "dimension", "samples"),
    [(64, 16, 1), (64, 64, 4), (10, 2, 3), (50, 3, 2), (1024, 256, 16), (64, 8, None), (50, 2, None)],
)
def test_equal_frequencies_are_the_codebook_theorem(num_classes: int, dimension: int, samples: int | None) -> None:
    """Two quadratures of one integral, each good to 1e-6."""
    counts = None if samples is None else np.full(num_classes, samples)
    accuracy = unequal_codebook_accuracy(zipf_frequencies(num_classes, 0.0), dimension, 1.0, 1.0, counts)
    assert accuracy == pytest.approx(gaussian_codebook_accuracy(num_classes, dimension, 1.0, 1.0, samples), abs=1e-6)


def test_equal_frequencies_with_independent_labels() -> None:
    """4.5 standard errors: false-fail rate 7e-6; 1e-5 is the promised error of the other form."""
    estimate = unequal_independent_accuracy(zipf_frequencies(64, 0.0), 16, 1.0, 1.0, 64)
    exact = gaussian_codebook_accuracy(64, 16, 1.0, 1.0, 1, class_counts="iid")
    assert estimate.standard_error < 0.004
    assert abs(estimate.value - exact) < 4.5 * estimate.standard_error + 1e-5


def simulate(
    frequencies: FloatArray, dimension: int, signal: float, counts: FloatArray | int | None, books: int = 1500
) -> tuple[float, float]:
    """Noise power 1. Draw codewords, training and test images one by one; classify by the log predictive density."""
    rng = np.random.default_rng(21)
    num_classes, results = len(frequencies), []
    for _ in range(books):
        codewords = np.sqrt(signal) * rng.normal(size=(num_classes, dimension))
        if counts is None:
            centre, variance = codewords, np.ones(num_classes)
        else:
            if isinstance(counts, int):
                labels = rng.choice(num_classes, size=counts, p=frequencies)
            else:
                labels = np.repeat(np.arange(num_classes), counts.astype(int))
            images = codewords[labels] + rng.normal(size=(len(labels), dimension))
            sums = np.zeros((num_classes, dimension))
            np.add.at(sums, labels, images)
            precision = 1 / signal + np.bincount(labels, minlength=num_classes)
            centre, variance = sums / precision[:, None], 1 + 1 / precision
        truth = rng.choice(num_classes, size=60, p=frequencies)
        tests = codewords[truth] + rng.normal(size=(60, dimension))
        distance = ((tests[:, None] - centre) ** 2).sum(axis=2)
        scores = np.log(frequencies) - dimension / 2 * np.log(2 * np.pi * variance) - distance / (2 * variance)
        scores += 1e-9 * rng.random(scores.shape)  # equal scores of unseen classes are guessed among
        results.append(np.mean(scores.argmax(axis=1) == truth))
    return float(np.mean(results)), float(np.std(results, ddof=1) / np.sqrt(books))


GROUPED = np.array([0.3] + [0.1] * 4 + [0.05] * 6)


@pytest.mark.parametrize(
    ("frequencies", "dimension", "signal", "counts"),
    [
        (zipf_frequencies(16, 1.0), 8, 1.0, None),
        (zipf_frequencies(12, 0.5), 2, 4.0, None),
        (zipf_frequencies(16, 1.0), 8, 1.0, proportional_counts(zipf_frequencies(16, 1.0), 64)),
        (zipf_frequencies(24, 1.5), 16, 0.5, proportional_counts(zipf_frequencies(24, 1.5), 40)),  # ten unseen
        (GROUPED, 4, 2.0, np.array([3.0] + [1.0] * 4 + [2.0] * 3 + [0.0] * 3)),  # unseen classes that tie
        (zipf_frequencies(6, 1.0), 3, 3.0, np.array([0.0, 5.0, 0.0, 2.0, 1.0, 0.0])),  # unseen and frequent
    ],
)
def test_independent_simulation(
    frequencies: FloatArray, dimension: int, signal: float, counts: FloatArray | None
) -> None:
    """4.5 standard errors: false-fail rate 7e-6 a case; sees differences of about .01."""
    mean, error = simulate(frequencies, dimension, signal, counts)
    assert error < 0.0035
    assert abs(unequal_codebook_accuracy(frequencies, dimension, signal, 1.0, counts) - mean) < 4.5 * error


@pytest.mark.parametrize(("num_classes", "dimension", "num_images"), [(12, 8, 24), (8, 4, 6)])
def test_independent_labels_simulation(num_classes: int, dimension: int, num_images: int) -> None:
    """4.5 joint standard errors: false-fail rate 7e-6 a case; sees differences of about .02."""
    frequencies = zipf_frequencies(num_classes, 1.0)
    estimate = unequal_independent_accuracy(frequencies, dimension, 2.0, 1.0, num_images, num_draws=50)
    mean, error = simulate(frequencies, dimension, 2.0, num_images)
    joint = np.hypot(error, estimate.standard_error)
    assert joint < 0.008
    assert abs(estimate.value - mean) < 4.5 * joint


def test_frequencies_can_be_all_or_nothing_of_the_information() -> None:
    frequencies = zipf_frequencies(8, 1.0)
    assert unequal_codebook_accuracy(frequencies, 16, 1.0, 1.0, np.zeros(8)) == pytest.approx(frequencies[0], abs=1e-12)
    hopeless = unequal_codebook_accuracy(frequencies, 16, 1e-5, 1.0)
    assert hopeless == pytest.approx(frequencies[0], abs=1e-6)
    assert unequal_codebook_accuracy(frequencies, 16, 1e6, 1.0) == pytest.approx(1.0, abs=1e-6)
    assert unequal_codebook_accuracy([1.0, 0.0], 16, 1.0, 1.0, [2, 0]) == pytest.approx(1.0, abs=1e-9)


def test_counts_follow_the_frequencies() -> None:
    counts = proportional_counts(zipf_frequencies(64, 1.0), 256)
    assert counts.sum() == 256
    assert np.abs(counts - 256 * zipf_frequencies(64, 1.0)).max() < 1


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match=r"frequencies must be >= 0 and summing to one, got 0\.9"):
        unequal_codebook_accuracy([0.5, 0.4], 4, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"counts must be of shape \(2,\), got \(3,\)"):
        unequal_codebook_accuracy([0.5, 0.5], 4, 1.0, 1.0, [1, 2, 3])
    with pytest.raises(ValueError, match="counts must be whole numbers >= 0"):
        unequal_codebook_accuracy([0.5, 0.5], 4, 1.0, 1.0, [1, 0.5])
