"""Losses of a fit as functions of the predicted response: squares, Huber on logarithms, and likelihoods of counts.

A loss is a sum over rows. Each gives its value, its slope and two second derivatives in the predicted mean: the one
that Newton's method wants, and one that never lies below it (the majorant), which is what keeps a step downhill where
the first vanishes, as in the straight arms of Huber's loss. A mean outside the domain costs infinity.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from sim.types import FloatArray

HUBER_DELTA = 1e-3  # as in the fits of Hoffmann et al. (2022) and of Besiroglu et al. (2024)
SMALLEST_OVERDISPERSION = 1e-7  # below this it is the binomial: 1e4 items add a share of 1e-3 to the variance

_Curve = Callable[[FloatArray], FloatArray]


class Loss(NamedTuple):
    """One loss with its data in it; all functions take the predicted means, shape (rows,), and return that shape.

    Attributes:
        name: such as "huber_log".
        value: loss of each row, >= 0, infinite outside the domain.
        slope: its derivative.
        newton: its second derivative, as far as it is not negative.
        majorant: a second derivative that is positive everywhere and not below `newton`.
        guess: means that the data alone suggest, inside the domain.
    """

    name: str
    value: _Curve
    slope: _Curve
    newton: _Curve
    majorant: _Curve
    guess: FloatArray


def squares(response: ArrayLike, variance: ArrayLike = 1.0) -> Loss:
    """Squared residuals over their variance: sum (mean - response)^2 / variance.

    >>> float(squares([1.0, 2.0], 0.5).value(np.array([1.0, 3.0])).sum())
    2.0
    """
    target = np.asarray(response, dtype=np.float64)
    weight = 1 / np.broadcast_to(np.asarray(variance, dtype=np.float64), target.shape)
    curvature: FloatArray = 2 * weight
    return Loss(
        "squares",
        lambda mean: weight * (mean - target) ** 2,
        lambda mean: curvature * (mean - target),
        lambda mean: curvature,
        lambda mean: curvature,
        target,
    )


def huber_log(response: ArrayLike, delta: float = HUBER_DELTA) -> Loss:
    """Huber's loss of r = ln mean - ln response: r^2/2 within delta, delta (|r| - delta/2) beyond; a sum, no average.

    Args:
        response: > 0.
        delta: > 0; small against the noise, the fit is one of least absolute log residuals.

    Raises:
        ValueError: a response or delta is not positive.

    >>> loss = huber_log([1.0, 1.0], 0.1)
    >>> loss.value(np.exp([0.05, 1.0])).round(6).tolist()
    [0.00125, 0.095]

    Source: Huber, Annals of Mathematical Statistics 35 (1964); on logarithms Hoffmann et al. (2022).
    """
    target = np.asarray(response, dtype=np.float64)
    if not np.all(target > 0):
        raise ValueError(f"response must be > 0 for huber_log, got {target.min()}")
    if not delta > 0:
        raise ValueError(f"delta must be > 0, got {delta}")
    logs = np.log(target)

    def residual(mean: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(mean > 0, np.log(mean) - logs, np.inf)

    def newton(mean: FloatArray) -> FloatArray:
        return np.where(np.abs(residual(mean)) <= delta, mean**-2, 0.0)

    def majorant(mean: FloatArray) -> FloatArray:
        return np.asarray(delta / np.maximum(np.abs(residual(mean)), delta) / mean**2)

    return Loss(
        "huber_log",
        lambda mean: np.asarray(special.huber(delta, residual(mean))),
        lambda mean: np.clip(residual(mean), -delta, delta) / mean,
        newton,
        majorant,
        target,
    )


def check_counts(correct: ArrayLike, total: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Counts as float64 arrays.

    Raises:
        ValueError: not whole numbers with 0 <= correct <= total and total >= 1.
    """
    hits, items = np.broadcast_arrays(np.asarray(correct, dtype=np.float64), np.asarray(total, dtype=np.float64))
    if not np.all((hits == np.round(hits)) & (items == np.round(items))):
        raise ValueError("correct and total must be whole numbers, got fractions")
    if not np.all((items >= 1) & (hits >= 0) & (hits <= items)):
        wrong = int(np.flatnonzero(~((items >= 1) & (hits >= 0) & (hits <= items)))[0])
        raise ValueError(f"correct must be in [0, total] with total >= 1, got {hits[wrong]:g} of {items[wrong]:g}")
    return hits, items


def saturated_log_likelihood(correct: FloatArray, total: FloatArray) -> float:
    """Binomial log likelihood of the counts at their own shares: where the losses of counts are 0."""
    share = correct / total
    choices = -special.betaln(correct + 1, total - correct + 1) - np.log1p(total)
    return float(np.sum(choices + special.xlogy(correct, share) + special.xlog1py(total - correct, -share)))


def counts(correct: ArrayLike, total: ArrayLike, overdispersion: float = 0.0) -> Loss:
    """Negative log likelihood of counts, above that of the saturated binomial (half the deviance, for the binomial).

    Args:
        correct, total: whole numbers, 0 <= correct <= total.
        overdispersion: rho in [0, 1), the correlation between two items of one row; 0 is the binomial, above it the
            beta-binomial with Var(correct/total) = p (1 - p) (1 + (total - 1) rho) / total, the seeds' own variance.

    Raises:
        ValueError: impossible counts or overdispersion.

    >>> counts([3], [10]).value(np.array([0.3, 0.5])).round(4).tolist()
    [0.0, 0.8228]
    >>> round(float(counts([3], [10], 0.1).majorant(np.array([0.3]))[0]), 2)
    25.06

    Source: Skellam, Journal of the Royal Statistical Society B 10 (1948) for the beta-binomial [unchecked].
    """
    hits, items = check_counts(correct, total)
    if not 0 <= overdispersion < 1:
        raise ValueError(f"overdispersion must be in [0, 1), got {overdispersion}")
    misses, share = items - hits, hits / items
    saturated = special.xlogy(hits, share) + special.xlog1py(misses, -share)
    concentrated = overdispersion <= SMALLEST_OVERDISPERSION
    strength = np.inf if concentrated else (1 - overdispersion) / overdispersion

    def value(mean: FloatArray) -> FloatArray:
        inside = (mean > 0) & (mean < 1)
        p = np.where(inside, mean, 0.5)
        if concentrated:
            logs = special.xlogy(hits, p) + special.xlog1py(misses, -p)
        else:
            logs = special.betaln(hits + strength * p, misses + strength * (1 - p))
            logs = logs - special.betaln(strength * p, strength * (1 - p))
        return np.where(inside, saturated - logs, np.inf)

    def slope(mean: FloatArray) -> FloatArray:
        if concentrated:
            return np.asarray((mean * items - hits) / (mean * (1 - mean)))
        a, b = strength * mean, strength * (1 - mean)
        own = special.digamma(hits + a) - special.digamma(a) - special.digamma(misses + b) + special.digamma(b)
        return np.asarray(-strength * own)

    def information(mean: FloatArray) -> FloatArray:
        return np.asarray(items / (mean * (1 - mean) * (1 + (items - 1) * overdispersion)))

    name = "binomial" if overdispersion == 0 else "beta_binomial"
    return Loss(name, value, slope, information, information, (hits + 0.5) / (items + 1))


def best_overdispersion(mean: FloatArray, correct: FloatArray, total: FloatArray) -> float:
    """The most likely overdispersion at these means; 0 where the binomial is likelier.

    >>> best_overdispersion(np.full(4, 0.5), np.array([50.0, 51.0, 49.0, 50.0]), np.full(4, 100.0))
    0.0
    """

    def cost(log_rho: float) -> float:
        return float(np.sum(counts(correct, total, float(np.exp(log_rho))).value(mean)))

    bounds = (float(np.log(SMALLEST_OVERDISPERSION)), float(np.log(0.9)))
    best = optimize.minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return float(np.exp(best.x)) if best.fun < float(np.sum(counts(correct, total).value(mean))) else 0.0
