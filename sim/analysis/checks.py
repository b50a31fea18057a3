"""Checks that fail a run: does an arm beat its ceiling (a leak), and does the Bayes learner obey the integral?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sim.analysis.compare import holm
from sim.analysis.curves import CellSummary, IntArray, moderated_variance, variance_model
from sim.types import FloatArray

# At .001 over 40 cells the tail of the t law decides. Measured false alarms with 4 seeds: below .001 for equal
# variances and for a + b p (1 - p); .001 where variances spread log-normally by exp(.5) (.005 at caution 0), .005 where
# by exp(1). With 10 seeds .002 or less throughout.
CAUTION = 1.0


class LeakTest(NamedTuple):
    """Outcome of `leak_test`.

    Attributes:
        leak: True fails the run.
        leaking: numbers of the cells whose adjusted p value is below the level.
        effect: mean difference of each cell, arm - ceiling.
        p_value: Holm-adjusted, NaN for cells left out.
        left_out: numbers of the cells with fewer than two seeds or without variance.
        detectable: the leak that the median tested cell would have shown with probability .8.
    """

    leak: bool
    leaking: IntArray
    effect: FloatArray
    p_value: FloatArray
    left_out: IntArray
    detectable: float


class IntegralCheck(NamedTuple):
    """Outcome of `integral_check`.

    Attributes:
        passed: False fails the run.
        cells: cells that were tested (those without variance are left out).
        misses: cells whose interval leaves out their ceiling.
        share: misses / cells.
        p_value: probability of so many misses or more if the integral is right.
        error: mean accuracy - ceiling of each cell.
        missed: numbers of the cells that missed.
    """

    passed: bool
    cells: int
    misses: int
    share: float
    p_value: float
    error: FloatArray
    missed: IntArray


def share_of_misses(misses: int, trials: int, rate: float) -> float:
    """P(at least `misses` of `trials` independent intervals miss) when each misses with probability `rate`.

    >>> round(share_of_misses(2, 20, 0.01), 4)
    0.0169
    """
    if not 0 <= misses <= trials:
        raise ValueError(f"misses must be between 0 and trials = {trials}, got {misses}")
    return float(special.bdtrc(misses - 1, trials, rate))


def _moments(samples: Sequence[ArrayLike]) -> CellSummary:
    rows = [np.asarray(sample, dtype=np.float64).ravel() for sample in samples]
    rows = [row[np.isfinite(row)] for row in rows]
    trials = np.array([len(row) for row in rows], dtype=np.int64)
    mean = np.array([row.mean() if len(row) else np.nan for row in rows])
    variance = np.array([row.var(ddof=1) if len(row) > 1 else np.nan for row in rows])
    # Equal seeds leave rounding of order 1e-33: that is no variance.
    variance = np.where(variance < 1e-24, 0.0, variance)
    return CellSummary({}, mean, variance, trials, np.empty(0), np.empty(0, dtype=np.int64))


def leak_test(differences: Sequence[ArrayLike], *, accuracy: ArrayLike | None = None, level: float = 0.001) -> LeakTest:
    """Does an arm beat the paired exact Bayes learner in any cell? One-sided t over seeds, pooled variance, Holm.

    The variance is pooled over all tested cells; where cells are seen to differ, each cell's own variance moderates it
    (`curves.moderated_variance`), because one variance for unequal cells would raise false alarms in the noisy ones.

    Args:
        differences: for each cell the differences arm - Bayes learner, one a seed, on the same codebook, training
            images and test items.
        accuracy: mean accuracy of each cell, to model the variance as a + b p (1 - p); None takes one variance.
        level: chance of a false alarm anywhere.

    >>> rng = np.random.default_rng(0)
    >>> honest = [rng.normal(-0.01, 0.004, 4) for _ in range(30)]
    >>> leak_test(honest).leak, leak_test([*honest, rng.normal(0.05, 0.004, 4)]).leaking.tolist()
    (False, [30])
    """
    cells = _moments(differences)
    tested = (cells.trials > 1) & (np.nan_to_num(cells.variance) > 0)
    p_value = np.full(len(cells.mean), np.nan)
    left_out = np.flatnonzero(~tested)
    if not tested.any():
        return LeakTest(False, np.empty(0, dtype=np.int64), cells.mean, p_value, left_out, float("inf"))
    kept = cells._replace(mean=cells.mean[tested], variance=cells.variance[tested], trials=cells.trials[tested])
    place = np.zeros_like(kept.mean) if accuracy is None else np.asarray(accuracy, dtype=np.float64)[tested]
    shaped = kept._replace(mean=place)
    modelled = accuracy is not None
    variance, degrees = moderated_variance(shaped, variance_model(shaped, proportional=modelled))
    cautious = variance_model(shaped, proportional=modelled, caution=CAUTION).prior_degrees + kept.trials - 1
    degrees = np.minimum(degrees, cautious)
    error = np.sqrt(variance / kept.trials)
    p_value[tested] = holm(special.stdtr(degrees, -kept.mean / error))
    leaking = np.flatnonzero(np.nan_to_num(p_value, nan=1.0) < level)
    needed = special.stdtrit(degrees, 1 - level / len(error)) + special.stdtrit(degrees, 0.8)
    return LeakTest(len(leaking) > 0, leaking, cells.mean, p_value, left_out, float(np.median(needed * error)))


def integral_check(
    accuracies: Sequence[ArrayLike],
    ceilings: ArrayLike,
    *,
    level: float = 0.99,
    fail_below: float = 0.001,
    min_codebooks: int = 20,
) -> IntegralCheck:
    """Does the exact Bayes learner score what the integral says? t intervals per cell, binomial over cells.

    Args:
        accuracies: for each cell the Bayes learner's accuracy on each of 20 or more fresh codebooks.
        ceilings: the integral's value in each cell.
        level: coverage of each cell's interval.
        fail_below: the check fails where so large a share of misses has a probability below this.
        min_codebooks: fewest codebooks a cell.

    >>> rng = np.random.default_rng(0)
    >>> samples = [rng.normal(0.5, 0.03, 20) for _ in range(40)]
    >>> integral_check(samples, np.full(40, 0.5)).passed, integral_check(samples, np.full(40, 0.53)).passed
    (True, False)
    """
    cells = _moments(accuracies)
    expected = np.asarray(ceilings, dtype=np.float64)
    if expected.shape != cells.mean.shape:
        raise ValueError(f"ceilings must hold one value a cell, got {expected.shape} for {len(cells.mean)} cells")
    if np.any(cells.trials < min_codebooks):
        raise ValueError(f"each cell must hold {min_codebooks} codebooks or more, got {cells.trials.min()}")
    tested = cells.variance > 0
    error = cells.mean - expected
    half = special.stdtrit(cells.trials - 1, (1 + level) / 2) * np.sqrt(cells.variance / cells.trials)
    missed = np.flatnonzero(tested & (np.abs(error) > half))
    number = int(tested.sum())
    p_value = share_of_misses(len(missed), number, 1 - level)
    share = len(missed) / number if number else 0.0
    return IntegralCheck(p_value >= fail_below, number, len(missed), share, p_value, error, missed)
