"""Which labellings a hyperplane can realise, decided exactly by a linear programme: what Cover's function counts."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from sim.theory import checks


def linearly_separable(points: ArrayLike, signs: ArrayLike) -> bool:
    """Whether weights w and an offset b exist with signs_i (w.x_i + b) > 0 for all points. Exact for any finite set.

    The programme: minimise nothing under signs_i (w.x_i + b) >= 1, which has a solution exactly where the strict
    inequalities have one, for w and b may be scaled. N points in general position in R^D and random signs: the share
    of separable ones is `cover_fraction(N, D + 1)`, one half at N = 2 (D + 1).

    Args:
        points: shape (N, D), finite.
        signs: shape (N,), each -1 or +1.

    Raises:
        ValueError: shapes that do not fit, a sign that is neither, a point that is not finite.
        ArithmeticError: the programme ended neither solved nor shown to be infeasible.

    Example:
        >>> corners = [[0, 0], [0, 1], [1, 0], [1, 1]]
        >>> linearly_separable(corners, [-1, 1, 1, 1]), linearly_separable(corners, [-1, 1, 1, -1])  # or, exclusive or
        (True, False)

    Source: Cover (1965); linear programming by HiGHS in SciPy.
    """
    x, y = np.asarray(points, dtype=np.float64), np.asarray(signs, dtype=np.float64)
    checks.require(x.ndim == 2 and len(x) > 0, "points", "of shape (N, D) with N >= 1", x.shape)
    checks.require(bool(np.isfinite(x).all()), "points", "finite", "a value that is not")
    checks.require(y.shape == (len(x),), "signs", f"of shape ({len(x)},)", y.shape)
    checks.require(bool(np.isin(y, (-1.0, 1.0)).all()), "signs", "-1 or +1", np.unique(y).tolist())
    affine = np.column_stack([x, np.ones(len(x))])
    found = optimize.linprog(
        np.zeros(affine.shape[1]), A_ub=-y[:, None] * affine, b_ub=-np.ones(len(x)), bounds=(None, None)
    )
    if found.status not in (0, 2):  # solved, infeasible
        raise ArithmeticError(f"the linear programme ended with status {found.status}: {found.message}")
    return bool(found.status == 0)
