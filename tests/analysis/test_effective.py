"""Effective numbers of outputs: planted classes are found again, planted label maps are seen to have none."""

import numpy as np
import pytest

from sim.analysis.effective import WINDOW, Matched, effective_outputs, foretell_more_inputs, matched_accuracy
from sim.theory.ceilings import gaussian_codebook_accuracy

TASK = Matched(16, 1.0, 1.0)


def simulate(classes, samples, seed, images=500):
    """Accuracy of the shrunken class means on random codewords, drawn image by image: no formula of the theory."""
    rng = np.random.default_rng(seed)
    codewords = rng.standard_normal((classes, TASK.dimension))
    means = codewords + rng.standard_normal((samples, classes, TASK.dimension)).mean(axis=0)
    labels = rng.integers(classes, size=images)
    tests = codewords[labels] + rng.standard_normal((images, TASK.dimension))
    shrunk = means / (1 + 1 / samples)
    return float(np.mean(((tests[:, None] - shrunk) ** 2).sum(axis=2).argmin(axis=1) == labels))


@pytest.mark.parametrize(
    ("classes", "samples", "dimension", "signal"),
    [(4, 1, 64, 0.25), (1024, 1, 64, 0.25), (256, 16, 64, 0.5), (2, 8, 12, 0.1)],
)
def test_whole_numbers_meet_the_exact_accuracy_and_its_inverse(classes, samples, dimension, signal):
    task = Matched(dimension, signal, 1.0)
    exact = gaussian_codebook_accuracy(classes, dimension, signal, 1.0, samples)
    assert matched_accuracy(np.log(classes), classes * samples, task) == pytest.approx(exact, abs=1e-9)
    assert np.exp(effective_outputs(exact, classes * samples, task)) == pytest.approx(classes, rel=1e-6)


def test_between_the_tables_the_inverse_is_the_inverse():
    """Tables stand half a doubling of n apart; between them the interpolated score errs by less than 1e-4."""
    logs = np.linspace(0.3, 9.0, 40)
    values = matched_accuracy(logs, 100.0, TASK)
    assert np.all(np.diff(values) < 0)
    np.testing.assert_allclose(effective_outputs(values, 100.0, TASK), logs, atol=5e-3)
    n = 100 / 37  # not on the lattice
    exact = gaussian_codebook_accuracy(37, 16, 1.0, 1.0, effective_samples=n)
    assert matched_accuracy(np.log(37), 100.0, TASK) == pytest.approx(exact, abs=1e-4)


def test_planted_classes_have_their_number_and_foretell_more_images():
    """30 simulated codebooks at I and at 4 I. The 99.9% interval of ln J misses the truth once in a thousand; the
    error has a standard error of .006, so that .05 is passed but for one in 10^6."""
    few = [simulate(32, 2, seed) for seed in range(30)]
    many = [simulate(32, 8, 100 + seed) for seed in range(30)]
    found = foretell_more_inputs(few, many, (64, 256), TASK, level=0.999)
    assert found is not None
    assert found.log_outputs.low < np.log(32) < found.log_outputs.high
    assert found.log_outputs.high - found.log_outputs.low < 0.6
    assert found.error.equivalent
    assert found.predicted == pytest.approx(found.many, abs=0.03)


def test_a_label_map_whose_parts_are_known_has_none():
    """Exact match .8^4 at any number of images: unrelated classes would be learned, so more is foretold."""
    rng = np.random.default_rng(1)
    few, many = 0.8**4 + 0.01 * rng.standard_normal((2, 10))
    found = foretell_more_inputs(few.tolist(), many.tolist(), (64, 256), TASK)
    assert found is not None
    assert not found.error.equivalent
    assert found.error.high < -0.1


def test_seeds_that_scatter_decide_nothing():
    """The mean foretells exactly, but the seeds leave room for more than the margin."""
    few = gaussian_codebook_accuracy(32, 16, 1.0, 1.0, 2) + np.array([-0.1, 0.1, -0.1, 0.1])
    many = gaussian_codebook_accuracy(32, 16, 1.0, 1.0, 8) + np.array([0.1, -0.1, 0.1, -0.1])
    found = foretell_more_inputs(few.tolist(), many.tolist(), (64, 256), TASK)
    assert found is not None
    assert abs(found.error.effect) < 0.03
    assert not found.error.equivalent


@pytest.mark.parametrize("mean", [WINDOW[0] - 0.02, WINDOW[1] + 0.02])
def test_accuracies_near_the_ends_determine_nothing(mean):
    assert foretell_more_inputs([mean, mean + 0.001], [0.9, 0.9], (64, 256), TASK) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: matched_accuracy(0.0, 10, TASK), "log_outputs must be > 0, got 0.0"),
        (lambda: matched_accuracy(1.0, 0.5, TASK), "inputs must be >= 1, got 0.5"),
        (lambda: effective_outputs([0.5, 1.0], 10, TASK), "accuracy must be between 0 and 1"),
        (lambda: effective_outputs(0.5, 0, TASK), "inputs must be >= 1, got 0"),
        (lambda: foretell_more_inputs([0.5], [0.5], (1, 4), TASK), "the same two seeds or more"),
        (lambda: foretell_more_inputs([0.5, 0.6], [0.5, 0.6], (4, 4), TASK), "inputs must rise"),
    ],
)
def test_arguments_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call()
