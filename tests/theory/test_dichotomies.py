"""Linear separability by linear programme, against Cover's count and against a search of all planes."""

import itertools

import numpy as np
import pytest
from scipy import optimize

from sim.theory.capacity import cover_fraction
from sim.theory.dichotomies import linearly_separable

TRIALS = 300


@pytest.mark.parametrize(("points", "dimension"), [(6, 2), (12, 5), (10, 3)])
def test_as_many_random_labellings_are_separable_as_cover_counts(points, dimension):
    """An offset adds one dimension. 3.9 standard errors: false fail 1e-4 a case."""
    rng = np.random.default_rng(31)
    found = [
        linearly_separable(rng.normal(size=(points, dimension)), rng.choice([-1.0, 1.0], points)) for _ in range(TRIALS)
    ]
    share = cover_fraction(points, dimension + 1)
    assert abs(np.mean(found) - share) < 3.9 * np.sqrt(share * (1 - share) / TRIALS)


def separable_by_turning(points, signs):
    """A separating plane can be moved until it holds D of the points, which then may have any signs: all are tried."""
    count, dimension = points.shape
    for held in itertools.combinations(range(count), dimension):
        normal = np.linalg.svd(np.column_stack([points[list(held)], np.ones(dimension)]))[2][-1]
        side = signs * (points @ normal[:-1] + normal[-1])
        others = np.delete(side, held)
        if np.all(others > 0) or np.all(others < 0):
            return True
    return False


def test_the_programme_agrees_with_all_planes_through_the_points():
    """Both are exact for points in general position."""
    rng = np.random.default_rng(32)
    cases = [(rng.normal(size=(8, 3)), rng.choice([-1.0, 1.0], 8)) for _ in range(100)]
    said = [linearly_separable(*case) for case in cases]
    assert said == [separable_by_turning(*case) for case in cases]
    assert 20 < sum(said) < 80


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


def test_the_alternative_decides_as_the_programme_does(monkeypatch):
    """Where HiGHS ends undecided the other programme is asked: both answers occur, and it says when neither knows."""
    rng = np.random.default_rng(33)
    cases = [(rng.normal(size=(20, 9)), rng.choice([-1.0, 1.0], 20)) for _ in range(40)]
    expected = [linearly_separable(*case) for case in cases]
    assert 5 < sum(expected) < 35
    solve = optimize.linprog

    def first_gives_up(cost, **rules):
        found = solve(cost, **rules)
        return found if "A_eq" in rules else optimize.OptimizeResult(status=4, message="gave up")

    monkeypatch.setattr(optimize, "linprog", first_gives_up)
    assert [linearly_separable(*case) for case in cases] == expected
    monkeypatch.setattr(optimize, "linprog", lambda *_, **__: optimize.OptimizeResult(status=4, message="gave up"))
    with pytest.raises(ArithmeticError, match="both linear programmes ended undecided: gave up"):
        linearly_separable(*cases[0])
