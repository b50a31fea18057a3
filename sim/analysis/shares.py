"""Shares of seeds that succeed, and the place where that share falls through a half: exact intervals from few seeds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sim.analysis.compare import Estimate
from sim.types import FloatArray


class HalfPoint(NamedTuple):
    """Where a falling share crosses one half.

    Attributes:
        place: the estimate, NaN where the share never crosses.
        low: a bound that the true place passes, 0 if no place is shown to lie below it.
        high: a bound that it stays under, infinite if no place is shown to lie above it.
    """

    place: float
    low: float
    high: float


def share_interval(successes: int, trials: int, *, level: float = 0.95) -> Estimate:
    """A share with its exact (Clopper-Pearson) interval. The standard error is that of the interval's half width.

    low and high solve P(X >= successes; low) = P(X <= successes; high) = (1 - level)/2.

    Args:
        successes: 0 to trials.
        trials: >= 2, independent.
        level: nominal coverage; the true one is never below.

    Example:
        >>> ten = share_interval(10, 10, level=0.99)
        >>> ten.effect, round(ten.low, 4), ten.high
        (1.0, 0.5887, 1.0)

    Source: Clopper and Pearson, Biometrika 26 (1934).
    """
    if trials < 2:
        raise ValueError(f"trials must be >= 2, got {trials}")
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must be between 0 and trials = {trials}, got {successes}")
    tail = (1 - level) / 2
    low = float(special.betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    missed = trials - successes
    high = float(special.betaincinv(successes + 1, missed, 1 - tail)) if missed else 1.0
    both = 2 * min(_at_least(successes, trials), _at_least(missed, trials))
    error = (high - low) / 2 / float(special.stdtrit(trials - 1, 1 - tail))
    return Estimate(successes / trials, low, high, min(1.0, both), error, trials - 1, trials, level)


def _at_least(successes: int, trials: int) -> float:
    """P(so many successes or more) at a share of one half."""
    return float(special.bdtrc(successes - 1, trials, 0.5)) if successes else 1.0


def half_point(places: ArrayLike, successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> HalfPoint:
    """The place where a share that falls with it crosses one half, with bounds that assume the falling alone.

    The estimate interpolates the falling (isotonic) fit in ln place. The lower bound is the last place, counted from
    the smallest, up to which every share is above one half by a one-sided exact test at (1 - level)/2; the tests stop
    at the first that fails, so all of them together are wrong that rarely. The upper bound likewise from above. Both
    are places of the grid: an interval is as fine as the grid is.

    Args:
        places: shape (n,), > 0 and ascending. successes, trials: of each place.
        level: nominal coverage; the true one is never below where the share falls.

    Raises:
        ValueError: places that do not ascend, or counts that do not fit.

    Example:
        >>> found = half_point([1.0, 2.0, 4.0], [10, 10, 0], [10, 10, 10], level=0.99)
        >>> round(found.place, 3), found.low, found.high
        (2.828, 2.0, 4.0)

    Source: fixed-sequence testing (Maurer, Hothorn and Lehmacher, 1995 [unchecked]); isotonic regression.
    """
    x = np.asarray(places, dtype=np.float64)
    hits, tries = np.asarray(successes, dtype=np.int64), np.asarray(trials, dtype=np.int64)
    if not (x.ndim == 1 and len(x) and np.all(x > 0) and np.all(np.diff(x) > 0)):
        raise ValueError(f"places must be > 0 and ascend, got {x}")
    if hits.shape != x.shape or tries.shape != x.shape or not np.all((hits >= 0) & (hits <= tries) & (tries > 0)):
        raise ValueError(f"successes must be between 0 and trials at each place, got {hits} of {tries}")
    tail, low, high = (1 - level) / 2, 0.0, np.inf
    for place, hit, tried in zip(x, hits, tries, strict=True):
        if _at_least(int(hit), int(tried)) > tail:
            break
        low = float(place)
    for place, hit, tried in zip(x[::-1], hits[::-1], tries[::-1], strict=True):
        if _at_least(int(tried - hit), int(tried)) > tail:
            break
        high = float(place)
    return HalfPoint(_crossing(np.log(x), _falling(hits / tries, tries)), low, high)


def _falling(shares: FloatArray, weights: ArrayLike) -> FloatArray:
    """The falling sequence nearest to the shares: neighbours that rise are pooled."""
    pooled: list[list[float]] = []
    for share, weight in zip(shares, np.asarray(weights, dtype=np.float64), strict=True):
        pooled.append([float(share), float(weight), 1])
        while len(pooled) > 1 and pooled[-2][0] < pooled[-1][0]:
            last, before = pooled.pop(), pooled.pop()
            total = last[1] + before[1]
            pooled.append([(last[0] * last[1] + before[0] * before[1]) / total, total, last[2] + before[2]])
    return np.concatenate([np.full(int(count), share) for share, _, count in pooled])


def _crossing(x: FloatArray, shares: FloatArray) -> float:
    if not shares[0] >= 0.5 >= shares[-1] or shares[0] == shares[-1]:
        return float("nan")
    above, below = int(np.flatnonzero(shares >= 0.5)[-1]), int(np.flatnonzero(shares <= 0.5)[0])
    if below <= above:  # a stretch at one half exactly
        return float(np.exp((x[below] + x[above]) / 2))
    return float(np.exp(np.interp(-0.5, -shares[[above, below]], x[[above, below]])))
