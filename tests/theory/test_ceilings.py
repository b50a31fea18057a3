"""The ceilings with closed forms: printed values, and simulations of their own."""

import numpy as np
import pytest

from sim.theory.ceilings import lookup_accuracy, orthogonal_accuracy, pixel_accuracy


@pytest.mark.parametrize(
    ("num_classes", "separation", "expected"),
    [
        (8, 2, 0.71099828),
        (64, 3, 0.72875715),
        (256, 4, 0.86292825),
        (1024, 3, 0.40906766),
        (65536, 4, 0.39042290),
        (2, 0, 0.5),
        (10**9, 0, 1e-9),
        (1, 3, 1.0),
    ],
)
def test_orthogonal(num_classes: int, separation: float, expected: float) -> None:
    assert orthogonal_accuracy(num_classes, separation) == pytest.approx(expected, abs=6e-9, rel=1e-6)


@pytest.mark.parametrize(
    ("num_labels", "separation", "expected"), [(2, 2, 0.84134475), (2, 4, 0.97724987), (4, 4, 0.96587480)]
)
def test_pixel(num_labels: int, separation: float, expected: float) -> None:
    assert pixel_accuracy(num_labels, separation) == pytest.approx(expected, abs=6e-9)


def test_exact_match_of_independent_pixels() -> None:
    assert pixel_accuracy(4, 4) ** 256 == pytest.approx(1.379539e-4, rel=1e-6)


@pytest.mark.parametrize(
    ("num_outputs", "num_inputs", "uniform", "unseen"),
    [(16, 64, 0.98492932, 0.99860073), (64, 128, 0.86886632, 0.88240963), (16, 0, 1 / 16, 1 / 16), (1, 3, 1, 1)],
)
def test_lookup(num_outputs: int, num_inputs: int, uniform: float, unseen: float) -> None:
    assert lookup_accuracy(num_outputs, num_inputs) == pytest.approx(uniform, abs=6e-9)
    assert lookup_accuracy(num_outputs, num_inputs, "unseen") == pytest.approx(unseen, abs=6e-9)


@pytest.mark.parametrize(("num_outputs", "num_inputs"), [(5, 9), (16, 16), (40, 60), (64, 400), (128, 300)])
def test_lookup_among_unseen_against_the_occupancy_recursion(num_outputs: int, num_inputs: int) -> None:
    """P(number of labels seen) image by image: no alternating sum, so no cancellation."""
    seen = np.zeros(num_outputs + 1)
    seen[0] = 1
    k = np.arange(num_outputs + 1)
    for _ in range(num_inputs):
        seen = seen * k / num_outputs + np.append(0, (seen * (num_outputs - k) / num_outputs)[:-1])
    guessed = np.sum(seen[:-1] * (num_outputs - k[:-1]) / num_outputs / (num_outputs - k[:-1]))
    expected = np.sum(seen * k) / num_outputs + guessed
    assert lookup_accuracy(num_outputs, num_inputs, "unseen") == pytest.approx(expected, abs=1e-6 / num_outputs)


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match="guess must be one of uniform, unseen, got 'best'"):
        lookup_accuracy(4, 4, "best")
    with pytest.raises(ValueError, match=r"separation must be >= 0 and finite, got -1"):
        pixel_accuracy(2, -1)
