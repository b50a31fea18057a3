"""Composed images: the exact cases, and an independent simulation of both learners."""

import itertools

import numpy as np
import pytest

from sim.theory import composition
from sim.theory.ceilings import class_mean_accuracy, composed_accuracy, gaussian_codebook_accuracy


def test_own_codebooks_are_a_product() -> None:
    one = gaussian_codebook_accuracy(4, 8, 1.0, 0.8, 16)
    assert composed_accuracy(6, 4, 8, 1.0, 0.8, 16, similarity=0.0) == pytest.approx(one**6, rel=1e-12)
    assert composed_accuracy(1, 4, 8, 1.0, 0.8, 16) == one


def test_shared_luck_helps_the_exact_match() -> None:
    """L = 4, D = 8, m = 6, s2 = .8: about .652 against .634; the two differ by many standard errors."""
    shared, own = composed_accuracy(6, 4, 8, 1.0, 0.8), composed_accuracy(6, 4, 8, 1.0, 0.8, similarity=0.0)
    assert own == pytest.approx(0.634, abs=1e-3)
    assert shared == pytest.approx(0.652, abs=3e-3)


def simulate(
    tiles: int, labels: int, tile_dimension: int, noise: float, samples: float, equal: bool, composed: bool, books: int
) -> tuple[float, float]:
    """Exact match with one shared codebook, signal power 1: draw everything, learn, classify 100 images."""
    rng = np.random.default_rng(3)
    maps = np.array(list(itertools.product(range(labels), repeat=tiles)))
    classes = labels if composed else len(maps)
    size = tile_dimension if composed else tiles * tile_dimension
    results = []
    for _ in range(books):
        codebook = rng.normal(size=(labels, tile_dimension))
        codewords = codebook if composed else codebook[maps].reshape(classes, size)
        if equal:
            shown = np.repeat(np.arange(classes), int(samples))
        else:
            shown = rng.integers(classes, size=round(classes * samples))
        images = codewords[shown] + rng.normal(0, noise, (len(shown), size))
        count = np.bincount(shown, minlength=classes)
        means = np.zeros((classes, size))
        np.add.at(means, shown, images)
        means /= np.maximum(count, 1)[:, None]
        shrink = (count / (count + noise**2))[:, None]
        variance = 1 - shrink[:, 0] + noise**2
        truth = maps[rng.integers(len(maps), size=100)]
        tests = codebook[truth] + rng.normal(0, noise, (100, tiles, tile_dimension))
        seen = tests if composed else tests.reshape(100, 1, size)
        distance = ((seen[:, :, None] - shrink * means) ** 2).sum(axis=-1)
        scores = -size / 2 * np.log(variance) - distance / (2 * variance)
        guess = (scores + 1e-9 * rng.random(scores.shape) * (count == 0)).argmax(axis=-1)
        answer = guess if composed else maps[guess[:, 0]]
        results.append(np.mean((answer == truth).all(axis=1)))
    return float(np.mean(results)), float(np.std(results, ddof=1) / np.sqrt(books))


@pytest.mark.parametrize(
    ("tiles", "labels", "tile_dimension", "samples", "class_counts"),
    [(3, 4, 8, 4, "equal"), (6, 2, 4, 16, "equal"), (2, 3, 2, 1, "equal"), (3, 4, 8, 2, "iid")],
)
def test_shared_codebook(tiles: int, labels: int, tile_dimension: int, samples: float, class_counts: str) -> None:
    """4.5 standard errors: false-fail rate 7e-6 a case; sees differences of about .02."""
    task = (tiles, labels, tile_dimension, 1.0, 0.64, samples)
    value = composed_accuracy(*task, class_counts=class_counts)
    mean, error = simulate(tiles, labels, tile_dimension, 0.8, samples, class_counts == "equal", True, 1000)
    assert abs(mean - value) < 4.5 * np.hypot(error, 2e-3)


@pytest.mark.parametrize(
    ("tiles", "labels", "tile_dimension", "samples", "class_counts"),
    [(3, 4, 4, 1, "equal"), (2, 3, 8, 4, "equal"), (3, 4, 4, 0.5, "iid"), (2, 4, 2, 2, "iid"), (2, 4, 2, 8, "iid")],
)
def test_class_means(tiles: int, labels: int, tile_dimension: int, samples: float, class_counts: str) -> None:
    """4.5 joint standard errors: false-fail rate 7e-6 a case; sees differences of about .03."""
    equal = class_counts == "equal"
    mean, error = simulate(tiles, labels, tile_dimension, 0.8, samples, equal, False, 300)
    estimate = composition.class_mean_match(tiles, labels, tile_dimension, 1.0, 0.64, samples, equal, 1.0)
    assert abs(mean - estimate.value) < 4.5 * np.hypot(error, estimate.standard_error)
    task = (tiles, labels, tile_dimension, 1.0, 0.64, samples)
    assert class_mean_accuracy(*task, class_counts=class_counts) == estimate.value


@pytest.mark.parametrize(("samples", "class_counts"), [(2, "equal"), (1.5, "iid")])
def test_one_tile_is_the_codebook_theorem(samples: float, class_counts: str) -> None:
    """.025 is 4.5 standard errors or more of 8,000 draws: false-fail rate below 7e-6."""
    exact = gaussian_codebook_accuracy(8, 6, 1.0, 1.0, samples, class_counts=class_counts)
    assert class_mean_accuracy(1, 8, 6, 1.0, 1.0, samples, class_counts=class_counts) == pytest.approx(exact, abs=0.025)


def test_unrelated_maps_are_far_below_the_composition_and_the_random_codebook() -> None:
    uncomposed = class_mean_accuracy(5, 4, 8, 1.0, 1.0, samples_per_map=1)
    random_codebook = gaussian_codebook_accuracy(4**5, 40, 1.0, 1.0, 1)
    composed = composed_accuracy(5, 4, 8, 1.0, 1.0, samples_per_codeword=1280)
    assert 2 * uncomposed < random_codebook
    assert 3 * uncomposed < composed


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match=r"similarity must be 0 \(own codebooks\) or 1 \(one shared codebook\)"):
        composed_accuracy(2, 4, 8, 1.0, 1.0, similarity=0.5)
    with pytest.raises(ValueError, match=r"labels\*\*tiles must be <= 2\^20, got 16777216"):
        class_mean_accuracy(12, 4, 8, 1.0, 1.0, 1)
    with pytest.raises(ValueError, match="samples_per_map must be a whole number >= 1 with class_counts='equal'"):
        class_mean_accuracy(2, 4, 8, 1.0, 1.0, 0.5)
