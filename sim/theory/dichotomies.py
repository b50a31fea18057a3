"""Which labellings a hyperplane can realise, decided exactly by a linear programme: what Cover's function counts."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from sim.theory import checks

SOLVED, INFEASIBLE = 0, 2  # SciPy's status of a linear programme


def linearly_separable(points: ArrayLike, signs: ArrayLike) -> bool:
    """Whether weights w and an offset b exist with signs_i (w.x_i + b) > 0 for all points. Exact for any finite set.

    The programme: minimise nothing under signs_i (w.x_i + b) >= 1, which has a solution exactly where the strict
    inequalities have one, for w and b may be scaled. Where the solver ends undecided, its alternative: there is no such
    plane if and only if some a_i >= 0 of sum 1 have sum_i a_i signs_i (x_i, 1) = 0.
    N points in general position in R^D and random signs: the share of separable ones is `cover_fraction(N, D + 1)`, one
    half at N = 2 (D + 1).

    Args:
        points: shape (N, D), finite.
        signs: shape (N,), each -1 or +1.

    Raises:
        ValueError: shapes that do not fit, a sign that is neither, a point that is not finite.
        ArithmeticError: neither programme was solved or shown to be infeasible.

    Example:
        >>> corners = [[0, 0], [0, 1], [1, 0], [1, 1]]
        >>> linearly_separable(corners, [-1, 1, 1, 1]), linearly_separable(corners, [-1, 1, 1, -1])  # or, exclusive or
        (True, False)

    Source: Cover (1965); Gordan's theorem of the alternative (1873) [unchecked]; linear programming by HiGHS in SciPy.
    """
    x, y = np.asarray(points, dtype=np.float64), np.asarray(signs, dtype=np.float64)
    checks.require(x.ndim == 2 and len(x) > 0, "points", "of shape (N, D) with N >= 1", x.shape)
    checks.require(bool(np.isfinite(x).all()), "points", "finite", "a value that is not")
    checks.require(y.shape == (len(x),), "signs", f"of shape ({len(x)},)", y.shape)
    checks.require(bool(np.isin(y, (-1.0, 1.0)).all()), "signs", "-1 or +1", np.unique(y).tolist())
    signed = y[:, None] * np.column_stack([x, np.ones(len(x))])
    found = optimize.linprog(np.zeros(signed.shape[1]), A_ub=-signed, b_ub=-np.ones(len(x)), bounds=(None, None))
    if found.status == SOLVED:
        return True
    if found.status == INFEASIBLE:
        return False
    # near two points a dimension HiGHS may give up; the alternative has bounded variables
    other = optimize.linprog(
        np.zeros(len(x)), A_eq=np.vstack([signed.T, np.ones(len(x))]), b_eq=np.append(np.zeros(signed.shape[1]), 1.0)
    )
    if other.status not in (SOLVED, INFEASIBLE):
        raise ArithmeticError(f"both linear programmes ended undecided: {found.message} {other.message}")
    return bool(other.status == INFEASIBLE)
