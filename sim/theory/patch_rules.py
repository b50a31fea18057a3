"""Best accuracies on labels y = sign(sqrt(1 - t) l + sqrt(t) q + noise e), all parts standard normal.

q is a product of `order` independent factors. Three limits: of the rule itself, of what linear and logistic regression
converge to, and of the best linear classifier with any offset.
"""

import numpy as np
from scipy import integrate, optimize, special, stats

from sim.types import FloatArray

_POINTS = 2**15  # of the quasi-random integrals


def _check(nonlinearity: float, order: int, noise: float) -> None:
    if not 0 <= nonlinearity <= 1:
        raise ValueError(f"nonlinearity must be in [0, 1], got {nonlinearity}")
    if order not in (2, 3):
        raise ValueError(f"order must be 2 or 3, got {order}")
    if not noise > 0:
        raise ValueError(f"noise must be > 0, got {noise}")


def _normals(dimensions: int, points: int = _POINTS) -> FloatArray:
    """Scrambled Sobol points through the normal quantile, shape (points, dimensions); the same every time."""
    sequence = stats.qmc.Sobol(dimensions, seed=0).random(points)
    return np.asarray(special.ndtri(np.clip(sequence, 1e-12, 1 - 1e-12)))


def bayes_accuracy(nonlinearity: float, order: int, noise: float) -> float:
    """E Phi(|score| / noise): the accuracy of who knows the rule, not its noise.

    By 2^15 quasi-random points; the error is below .001, seen against the closed form at t = 0.

    Args:
        nonlinearity: t, in [0, 1]. order: 2 or 3. noise: > 0.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(bayes_accuracy(0.0, 2, 1.0), 3)  # 1/2 + arctan(1 / noise) / pi
        0.75
    """
    _check(nonlinearity, order, noise)
    drawn = _normals(1 + order)
    score = np.sqrt(1 - nonlinearity) * drawn[:, 0] + np.sqrt(nonlinearity) * drawn[:, 1:].prod(axis=1)
    return float(special.ndtr(np.abs(score) / noise).mean())


def regression_limit(nonlinearity: float, order: int, noise: float) -> float:
    """P(sign l = y): what least squares and logistic regression on the raw pixels converge to.

    By symmetry E[y x] points along l alone and the offset is 0, for either loss: turning the signs of two factors of q
    leaves the rule as it is, so a minimiser that is unique has no weight on them.

    Args:
        nonlinearity: t, in [0, 1]. order: 2 or 3. noise: > 0.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(regression_limit(0.0, 2, 1.0), 3), round(regression_limit(1.0, 2, 1.0), 3)
        (0.75, 0.5)
    """
    _check(nonlinearity, order, noise)
    # Given all factors of q but one, u, the score is normal with variance noise^2 + t u^2.
    spread = np.sqrt(noise**2 + nonlinearity * _normals(order - 1).prod(axis=1) ** 2)
    # P(sign l = sign(sqrt(1-t) l + spread e)) = 1/2 + arctan(sqrt(1-t) / spread) / pi.
    return float((0.5 + np.arctan(np.sqrt(1 - nonlinearity) / spread) / np.pi).mean())


def linear_ceiling(nonlinearity: float, order: int, noise: float) -> float:
    """The largest accuracy of any linear classifier with offset, sign(w x + b), in the limit of many images.

    An offset catches a corner of an exclusive or, which no convex loss finds: this lies above `regression_limit`. Any
    other pixel only adds noise to the offset, so w runs over l and the factors of q. Nelder-Mead from several starts.

    Args:
        nonlinearity: t, in [0, 1]. order: 2 or 3. noise: > 0.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> linear_ceiling(1.0, 2, 0.3) > 0.55
        True
    """
    _check(nonlinearity, order, noise)
    drawn = _normals(1 + order, 2**13)
    score = np.sqrt(1 - nonlinearity) * drawn[:, 0] + np.sqrt(nonlinearity) * drawn[:, 1:].prod(axis=1)
    positive = special.ndtr(score / noise)

    def miss(weights: FloatArray) -> float:
        side = drawn @ weights[:-1] + weights[-1] > 0
        return -float(np.where(side, positive, 1 - positive).mean())

    starts = [np.r_[1.0, np.zeros(order), 0.0]]
    for offset in (0.0, 1.0, -1.0):
        starts += [np.r_[along, np.ones(order), offset * np.sqrt(order)] for along in (0.0, 1.0)]
    found = [optimize.minimize(miss, start, method="Nelder-Mead", options={"maxiter": 400}) for start in starts]
    return float(max(-result.fun for result in found))


def product_accuracy(noise: float) -> float:
    """`bayes_accuracy` at t = 1 and order 2 by a one-dimensional integral: E_u[1/2 + arctan(|u| / noise) / pi].

    Example:
        >>> abs(product_accuracy(0.3) - bayes_accuracy(1.0, 2, 0.3)) < 0.001
        True
    """
    _check(1.0, 2, noise)

    def weighted(u: float) -> float:
        return float(2 * stats.norm.pdf(u) * (0.5 + np.arctan(u / noise) / np.pi))

    return float(integrate.quad(weighted, 0, 12)[0])
