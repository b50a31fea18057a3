"""Linear separability by linear programme, against Cover's count and against a perceptron that finds the plane."""

import numpy as np
import pytest

from sim.theory.capacity import cover_fraction
from sim.theory.dichotomies import linearly_separable

TRIALS = 400


@pytest.mark.parametrize(("points", "dimension"), [(6, 2), (12, 5), (10, 3)])
def test_as_many_random_labellings_are_separable_as_cover_counts(points, dimension):
    """An offset adds one dimension. 3.9 standard errors: false fail 1e-4 a case."""
    rng = np.random.default_rng(31)
    found = [
        linearly_separable(rng.normal(size=(points, dimension)), rng.choice([-1.0, 1.0], points)) for _ in range(TRIALS)
    ]
    share = cover_fraction(points, dimension + 1)
    assert abs(np.mean(found) - share) < 3.9 * np.sqrt(share * (1 - share) / TRIALS)


def perceptron(points, signs, rounds=20_000):
    """Rosenblatt's rule: it ends if and only if a plane exists, sooner or later."""
    weights, affine = np.zeros(points.shape[1] + 1), np.column_stack([points, np.ones(len(points))])
    for _ in range(rounds):
        wrong = np.flatnonzero(signs * (affine @ weights) <= 0)
        if not len(wrong):
            return True
        weights += signs[wrong[0]] * affine[wrong[0]]
    return False


def test_a_perceptron_finds_a_plane_where_the_programme_says_there_is_one():
    """One direction is certain: a plane that was found exists. The other holds on these fixed draws."""
    rng = np.random.default_rng(32)
    cases = [(rng.normal(size=(8, 3)), rng.choice([-1.0, 1.0], 8)) for _ in range(40)]
    said = [linearly_separable(*case) for case in cases]
    assert said == [perceptron(*case) for case in cases]
    assert 5 < sum(said) < 35


def test_contradicting_labels_of_one_point_are_never_separable():
    assert not linearly_separable([[1.0, 2.0], [1.0, 2.0]], [1, -1])


@pytest.mark.parametrize(
    ("points", "signs", "message"),
    [
        ([1.0, 2.0], [1, 1], r"points must be of shape \(N, D\)"),
        ([[1.0], [np.nan]], [1, 1], "points must be finite"),
        ([[1.0], [2.0]], [1], r"signs must be of shape \(2,\)"),
        ([[1.0], [2.0]], [1, 0], r"signs must be -1 or \+1"),
    ],
)
def test_wrong_arguments_are_named(points, signs, message):
    with pytest.raises(ValueError, match=message):
        linearly_separable(points, signs)
