"""Gaussian codebooks: printed values, an independent simulation, and what must hold for any parameters."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.theory import counts
from sim.theory.ceilings import gaussian_codebook_accuracy, gaussian_codebook_curve, lookup_accuracy


@pytest.mark.parametrize(
    ("num_classes", "dimension", "noise_power", "expected"),
    [
        (2, 10, 0.5, 0.9949402),
        (10, 10, 0.5, 0.9615717),
        (100, 10, 0.5, 0.7974409),
        (1000, 10, 0.5, 0.4990612),
        (10_000, 10, 0.5, 0.2307759),
        (10, 2, 0.1, 0.7270972),
        (1000, 2, 0.1, 0.0483272),
    ],
)
def test_known_codewords(num_classes: int, dimension: int, noise_power: float, expected: float) -> None:
    accuracy = gaussian_codebook_accuracy(num_classes, dimension, 1.0, noise_power)
    assert accuracy == pytest.approx(expected, abs=6e-8)  # the printed digits


@pytest.mark.parametrize(
    ("dimension", "num_classes", "samples", "bayes", "plugin"),
    [
        (16, 64, 1, 0.4163, 0.3539),
        (16, 1024, 4, 0.3253, 0.3138),
        (64, 64, 4, 0.5945, 0.5690),
        (64, 1024, 16, 0.5330, 0.5292),
        (256, 1024, 16, 0.3232, 0.3160),
        (64, 1024, None, 0.6971, 0.6971),
    ],
)
def test_learned_codewords(dimension: int, num_classes: int, samples: int | None, bayes: float, plugin: float) -> None:
    task = (num_classes, dimension, 16 / dimension, 1.0, samples)
    assert gaussian_codebook_accuracy(*task) == pytest.approx(bayes, abs=6e-5)
    assert gaussian_codebook_accuracy(*task, learner="plugin") == pytest.approx(plugin, abs=6e-5)


def test_class_counts_change_the_ceiling_either_way() -> None:
    assert gaussian_codebook_accuracy(64, 64, 1.0, 1.0, 1) == pytest.approx(0.968, abs=5e-4)
    assert gaussian_codebook_accuracy(64, 64, 1.0, 1.0, 1, class_counts="iid") == pytest.approx(0.636, abs=5e-4)
    assert gaussian_codebook_accuracy(1024, 64, 0.25, 1.0, 1) == pytest.approx(0.0586, abs=5e-5)
    assert gaussian_codebook_accuracy(1024, 64, 0.25, 1.0, 1, class_counts="iid") == pytest.approx(0.0830, abs=5e-5)


def simulate(
    num_classes: int,
    dimension: int,
    signal_power: float,
    noise_power: float,
    num_images: int,
    learner: str = "bayes",
    class_counts: str = "equal",
    books: int = 400,
    tests: int = 100,
) -> tuple[float, float]:
    """Plain simulation: draw codebooks, images and labels, average the images of a class, classify test images."""
    rng = np.random.default_rng(8)
    accuracies = []
    for _ in range(books):
        codewords = rng.normal(0, np.sqrt(signal_power), (num_classes, dimension))
        if class_counts == "equal":
            labels = np.arange(num_images) % num_classes
        else:
            labels = rng.integers(num_classes, size=num_images)
        images = codewords[labels] + rng.normal(0, np.sqrt(noise_power), (num_images, dimension))
        count = np.bincount(labels, minlength=num_classes)
        sums = np.zeros((num_classes, dimension))
        np.add.at(sums, labels, images)
        means = sums / np.maximum(count, 1)[:, None]
        truth = rng.integers(num_classes, size=tests)
        test_images = codewords[truth] + rng.normal(0, np.sqrt(noise_power), (tests, dimension))
        if learner == "bayes":
            # posterior of a codeword: mean shrink * class mean, variance (1 - shrink) g; prediction adds the noise
            shrink = count * signal_power / (count * signal_power + noise_power)
            variance = (1 - shrink) * signal_power + noise_power
            centre = shrink[:, None] * means
            log_prior = -dimension / 2 * np.log(variance)
        else:
            variance, centre = np.ones(num_classes), means
            log_prior = np.where(count > 0, 0.0, -np.inf)
        distance = ((test_images[:, None] - centre) ** 2).sum(axis=2)
        scores = log_prior - distance / (2 * variance) + 1e-9 * rng.random((tests, num_classes)) * (count == 0)
        accuracies.append(np.mean(scores.argmax(axis=1) == truth))
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1) / np.sqrt(books))


@pytest.mark.parametrize(
    ("num_classes", "dimension", "signal_power", "samples", "learner", "class_counts"),
    [
        (16, 8, 1.0, 1, "bayes", "equal"),
        (16, 8, 1.0, 1, "plugin", "equal"),
        (32, 16, 0.5, 4, "bayes", "equal"),
        (8, 1, 9.0, 2, "bayes", "equal"),
        (4, 64, 1.0, 1, "bayes", "iid"),
        (16, 64, 1.0, 1, "bayes", "iid"),
        (8, 2, 20.0, 1.5, "bayes", "iid"),
        (4, 1, 20.0, 1.5, "bayes", "iid"),
        (16, 16, 1.0, 0.5, "bayes", "iid"),
        (16, 16, 1.0, 3, "plugin", "iid"),
        (64, 16, 0.5, 8, "bayes", "iid"),
        (300, 8, 4.0, 0.75, "bayes", "iid"),
        (4, 2, 1.0, 32, "bayes", "iid"),
    ],
)
def test_independent_simulation(
    num_classes: int, dimension: int, signal_power: float, samples: float, learner: str, class_counts: str
) -> None:
    """4.5 standard errors of 300 codebooks: false-fail rate 1e-5 a case; sees differences of about .01."""
    exact = gaussian_codebook_accuracy(
        num_classes, dimension, signal_power, 1.0, samples, learner=learner, class_counts=class_counts
    )
    images = round(num_classes * samples)
    books = 60 if num_classes == 300 else 300
    mean, error = simulate(num_classes, dimension, signal_power, 1.0, images, learner, class_counts, books)
    assert abs(mean - exact) < 4.5 * error


@pytest.mark.parametrize(
    ("num_classes", "dimension", "samples"),
    [(256, 64, 0.25), (256, 64, 1.0), (256, 64, 4.0), (4, 16, 23.5), (2, 4, 23.5)],
)
def test_exact_and_corrected_counts_meet(
    num_classes: int, dimension: int, samples: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both sides of the switch the two forms agree to the promised 1e-5; the bare Poisson form errs by 7e-4."""
    task = (num_classes, dimension, 16 / dimension, 1.0, samples, "bayes")
    monkeypatch.setattr(counts, "EXACT_BELOW_CLASSES", 0)
    corrected = counts.independent_labels_accuracy(*task)
    monkeypatch.setattr(counts, "EXACT_BELOW_CLASSES", 1000)
    assert corrected == pytest.approx(counts.independent_labels_accuracy(*task), abs=1e-5)


def test_gauss_rule_of_the_counts_equals_their_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    by_rule = counts.independent_labels_accuracy(1024, 64, 0.25, 1.0, 24.5, "bayes")
    monkeypatch.setattr(counts, "_CHARLIER_FROM", 1e9)
    assert by_rule == pytest.approx(counts.independent_labels_accuracy(1024, 64, 0.25, 1.0, 24.5, "bayes"), abs=1e-8)


@pytest.mark.parametrize(("num_classes", "samples"), [(4, 1), (16, 0.5), (64, 2)])
def test_independent_labels_without_noise_are_the_lookup_table(num_classes: int, samples: float) -> None:
    """With vanishing noise a seen class is always right and the others are guessed among the unseen."""
    accuracy = gaussian_codebook_accuracy(num_classes, 32, 1.0, 1e-6, samples, class_counts="iid")
    assert accuracy == pytest.approx(lookup_accuracy(num_classes, round(num_classes * samples), "unseen"), abs=1e-6)


@pytest.mark.parametrize(("dimension", "class_counts"), [(1, "equal"), (4096, "equal"), (3, "iid"), (4096, "iid")])
@pytest.mark.parametrize("signal_power", [1e-6, 1.0, 1e6])
def test_a_million_classes(dimension: int, signal_power: float, class_counts: str) -> None:
    accuracy = gaussian_codebook_accuracy(10**6, dimension, signal_power, 1.0, 1, class_counts=class_counts)
    assert 1e-6 * (1 - 1e-4) < accuracy <= 1  # never below chance: the tails of the rule hold


def test_tails_at_a_million_classes() -> None:
    """Nodes uniform in probability give 4e-17 here."""
    assert gaussian_codebook_accuracy(10**6, 1024, 1 / 64, 1.0, 1) == pytest.approx(1.0e-5, rel=0.05)


@given(
    num_classes=st.integers(2, 10**6),
    dimension=st.integers(4, 300),
    log_signal=st.floats(-9, 5),
    samples=st.integers(1, 300),
)
def test_order_of_ceilings(num_classes: int, dimension: int, log_signal: float, samples: int) -> None:
    signal = float(np.exp(log_signal))
    task = (num_classes, dimension, signal, 1.0)
    learned, more = gaussian_codebook_accuracy(*task, samples), gaussian_codebook_accuracy(*task, samples + 1)
    plugin = gaussian_codebook_accuracy(*task, samples, learner="plugin")
    harder = gaussian_codebook_accuracy(num_classes + 1, dimension, signal, 1.0, samples)
    slack = 1 + 1e-6
    assert 1 / num_classes <= plugin * slack <= learned * slack**2 <= more * slack**3
    assert more <= gaussian_codebook_accuracy(*task) * slack
    assert harder <= learned * slack <= slack


@settings(max_examples=10)
@given(num_classes=st.integers(2, 10**6), dimension=st.integers(16, 4096), log_signal=st.floats(-6, 4))
def test_curve_is_the_integral(num_classes: int, dimension: int, log_signal: float) -> None:
    signal = float(np.exp(log_signal))
    samples = np.exp([-12.0, -4.0, -1.0, 0.0, 1.0, 4.0, 12.0])
    curve = gaussian_codebook_curve(num_classes, dimension, signal, 1.0, samples)
    exact = [gaussian_codebook_accuracy(num_classes, dimension, signal, 1.0, effective_samples=n) for n in samples]
    np.testing.assert_allclose(curve, exact, rtol=0, atol=1e-6)


def test_crowded_line() -> None:
    """D = 1, plug-in, g = s2 = n = 1: J A -> E[own density / rival density at the image] = 2 as J grows."""
    accuracy = gaussian_codebook_accuracy(10**6, 1, 1.0, 1.0, 1, learner="plugin")
    assert 1.98 < 1e6 * accuracy < 2


def test_curve_ends() -> None:
    curve = gaussian_codebook_curve(16, 5, 1.0, 1.0, np.array([[0.0], [np.inf]]))
    np.testing.assert_allclose(curve, [[1 / 16], [gaussian_codebook_accuracy(16, 5, 1.0, 1.0)]], atol=1e-6)
    assert gaussian_codebook_curve(1, 5, 1.0, 1.0, 2.0) == 1
    np.testing.assert_array_equal(gaussian_codebook_curve(4, 5, 0.0, 1.0, np.array([1.0, np.inf])), 0.25)


def test_degenerate_tasks() -> None:
    assert gaussian_codebook_accuracy(1, 4, 1.0, 1.0, 3) == 1
    assert gaussian_codebook_accuracy(8, 4, 0.0, 1.0, 3) == 0.125
    assert gaussian_codebook_accuracy(8, 4, 1.0, 1.0, effective_samples=0) == 0.125


@pytest.mark.parametrize("dimension", [1, 5, 16, 4096])
@pytest.mark.parametrize("samples", [1e-12, 1e-4, 1.0, 1e9])
@pytest.mark.parametrize("signal_power", [1e-12, 1e-5, 1.0, 1e9])
@pytest.mark.parametrize("learner", ["bayes", "plugin"])
def test_extreme_powers(dimension: int, samples: float, signal_power: float, learner: str) -> None:
    accuracy = gaussian_codebook_accuracy(
        1000, dimension, signal_power, 1.0, effective_samples=samples, learner=learner
    )
    assert 1e-3 * (1 - 1e-4) < accuracy <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples_per_class": 0.5}, "samples_per_class must be a whole number >= 1 with class_counts='equal'"),
        (
            {"samples_per_class": 0.3, "class_counts": "iid"},
            "num_classes * samples_per_class must be a whole number of images",
        ),
        ({"samples_per_class": 1, "effective_samples": 1.0}, "effective_samples replaces samples_per_class"),
        ({"noise_power": -1.0}, "noise_power must be > 0 and finite, got -1.0"),
        ({"learner": "best"}, "learner must be one of bayes, plugin, got 'best'"),
        ({"num_classes": 0}, "num_classes must be a whole number >= 1, got 0"),
    ],
)
def test_errors_give_rule_and_value(arguments: dict[str, float], message: str) -> None:
    task = {"num_classes": 8, "dimension": 4, "signal_power": 1.0, "noise_power": 1.0}
    with pytest.raises(ValueError, match=re.escape(message)):
        gaussian_codebook_accuracy(**(task | arguments))
