"""Comparing arms: differences with t intervals, equivalence, correction for many tests, slopes, power."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sim.analysis.curves import IntArray, group_rows
from sim.types import FloatArray

MAX_SEEDS = 10_000  # more seeds than anybody would run: "this effect cannot be decided"


class Estimate(NamedTuple):
    """An effect with its interval.

    Attributes:
        effect: the estimate, in the units of the data.
        low: lower end of the two-sided interval.
        high: upper end.
        p_value: of no effect, by the stated alternative.
        standard_error: of the effect.
        degrees: degrees of freedom of the t law.
        trials: values behind the estimate (pairs, seeds or both samples together).
        level: nominal coverage.
    """

    effect: float
    low: float
    high: float
    p_value: float
    standard_error: float
    degrees: float
    trials: int
    level: float


class Equivalence(NamedTuple):
    """Outcome of two one-sided tests; `low` and `high` are the 2 level - 1 interval that must lie inside the margin."""

    effect: float
    low: float
    high: float
    p_value: float
    equivalent: bool
    margin: float
    trials: int


class Pairs(NamedTuple):
    """Rows of a table paired by key: `difference` first - second, and the row numbers of both."""

    difference: FloatArray
    first_rows: IntArray
    second_rows: IntArray


def pair_rows(
    columns: Mapping[str, Any], first: ArrayLike, second: ArrayLike, on: Sequence[str], value: str = "test_accuracy"
) -> Pairs:
    """Pair the rows of two arms that agree in the columns `on` (the seed among them); unpaired rows are left out.

    Args:
        columns: the table.
        first: bool mask of the rows of the first arm; `second` likewise.
        on: columns that identify a trial inside an arm.
        value: the column whose difference is taken; missing values are left out.

    Raises:
        ValueError: if `on` does not identify the trials of an arm.

    >>> table = {"arm": np.array(["a", "b", "a"]), "seed": np.array([0, 0, 1]), "y": np.array([0.5, 0.25, 0.7])}
    >>> pair_rows(table, table["arm"] == "a", table["arm"] == "b", ["seed"], "y").difference.tolist()
    [0.25]
    """
    values = np.asarray(columns[value], dtype=np.float64)
    key, _ = group_rows(columns, on)
    rows = []
    for mask in (first, second):
        chosen = np.flatnonzero(np.asarray(mask, dtype=bool) & np.isfinite(values))
        if len(np.unique(key[chosen])) < len(chosen):
            raise ValueError(f"on must identify one row of an arm, got several rows that agree in {list(on)}")
        rows.append(chosen)
    _, left, right = np.intersect1d(key[rows[0]], key[rows[1]], return_indices=True)
    one, two = rows[0][left], rows[1][right]
    return Pairs(values[one] - values[two], one, two)


def t_estimate(
    effect: float,
    standard_error: float,
    degrees: float,
    trials: int,
    level: float = 0.95,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
) -> Estimate:
    """An estimate whose error follows a t law: effect -+ t standard_error.

    >>> t_estimate(1.0, 0.5, 10, 11).p_value.__round__(4)
    0.0734
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    if standard_error > 0:
        statistic = effect / standard_error
    else:
        statistic = 0.0 if effect == 0 else float(np.copysign(np.inf, effect))
    above, below = float(special.stdtr(degrees, -statistic)), float(special.stdtr(degrees, statistic))
    p_value = {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[alternative]
    half = float(special.stdtrit(degrees, (1 + level) / 2)) * standard_error
    return Estimate(effect, effect - half, effect + half, p_value, standard_error, degrees, trials, level)


def _values(data: ArrayLike, name: str) -> FloatArray:
    values = np.asarray(data, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if len(values) < 2:
        raise ValueError(f"{name} must hold two finite values or more, got {len(values)}")
    return values


def paired_t(
    difference: ArrayLike,
    *,
    level: float = 0.95,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
) -> Estimate:
    """Mean of paired differences with its t interval over seeds.

    >>> estimate = paired_t([0.1, 0.2, 0.3])
    >>> round(estimate.effect, 3), round(estimate.high, 3)
    (0.2, 0.448)
    """
    values = _values(difference, "difference")
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return t_estimate(float(values.mean()), error, len(values) - 1, len(values), level, alternative)


def welch_t(
    first: ArrayLike,
    second: ArrayLike,
    *,
    level: float = 0.95,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
) -> Estimate:
    """Difference of two independent means, first - second, with unequal variances (Welch-Satterthwaite degrees).

    >>> round(welch_t([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]).degrees, 3)
    2.941
    """
    one, two = _values(first, "first"), _values(second, "second")
    parts = np.array([one.var(ddof=1) / len(one), two.var(ddof=1) / len(two)])
    total = float(parts.sum())
    spread = float(np.sum(parts**2 / (np.array([len(one), len(two)]) - 1)))
    degrees = total**2 / spread if spread > 0 else float(len(one) + len(two) - 2)
    effect = float(one.mean() - two.mean())
    return t_estimate(effect, float(np.sqrt(total)), degrees, len(one) + len(two), level, alternative)


def tost(difference: ArrayLike, margin: float, *, level: float = 0.95) -> Equivalence:
    """Two one-sided paired t tests: is the mean difference inside (-margin, margin)?

    Equivalent where both tests reject at 1 - level, which is where the 2 level - 1 interval lies inside the margin.

    Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987).

    >>> tost([0.01, -0.01, 0.0, 0.01], 0.05).equivalent
    True
    """
    if not margin > 0:
        raise ValueError(f"margin must be > 0, got {margin}")
    if not 0.5 < level < 1:
        raise ValueError(f"level must be between 0.5 and 1, got {level}")
    values = _values(difference, "difference")
    estimate = paired_t(values, level=2 * level - 1)
    p_value = max(
        paired_t(values + margin, alternative="greater").p_value, paired_t(values - margin, alternative="less").p_value
    )
    equivalent = p_value < 1 - level
    return Equivalence(estimate.effect, estimate.low, estimate.high, p_value, equivalent, margin, len(values))


def holm(p_values: ArrayLike) -> FloatArray:
    """Holm's adjusted p values: rejecting those below alpha keeps the chance of any false rejection below alpha.

    The i-th smallest of m is multiplied by m - i + 1; a running maximum keeps the order; at most 1.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979).

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    raw = np.asarray(p_values, dtype=np.float64)
    if raw.ndim != 1 or not np.all((raw >= 0) & (raw <= 1)):
        raise ValueError(f"p_values must be one row of numbers from 0 to 1, got {raw}")
    order = np.argsort(raw, kind="stable")
    steps = raw[order] * (len(raw) - np.arange(len(raw)))
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(raw) else steps
    return adjusted


def slope_per_doubling(
    size: ArrayLike, value: ArrayLike, seed: ArrayLike, *, level: float = 0.95, paired: bool = True
) -> Estimate:
    """Least-squares slope of `value` on log2(size), with a t interval over seeds.

    Args:
        size: what doubles (pixels, outputs, ...), > 0, one value a row.
        value: the response, one value a row; missing values are left out.
        seed: the seed of each row.
        level: nominal coverage.
        paired: True takes one slope a seed and the t law over seeds (right whatever the sizes share); False takes one
            slope through the means and each size's own variance with Satterthwaite's degrees of freedom: narrower, and
            right only where seeds are independent between sizes.

    Raises:
        ValueError: if there are fewer than two sizes or seeds, or a paired seed lacks a size.

    >>> slope_per_doubling([1, 2, 4] * 2, [0.9, 0.8, 0.7, 0.9, 0.7, 0.5], [0] * 3 + [1] * 3).effect.__round__(3)
    -0.15
    """
    sizes, values = np.asarray(size, dtype=np.float64), np.asarray(value, dtype=np.float64)
    if not np.all(sizes > 0):
        raise ValueError(f"size must be > 0, got {sizes.min()}")
    kept = np.isfinite(values)
    names = np.asarray(seed)[kept]
    levels, which = np.unique(np.log2(sizes[kept]), return_inverse=True)
    seeds, who = np.unique(names, return_inverse=True)
    values = values[kept]
    if len(levels) < 2 or len(seeds) < 2:
        raise ValueError(f"a slope needs two sizes and two seeds or more, got {len(levels)} and {len(seeds)}")
    centred = levels - levels.mean()
    contrast = centred / np.sum(centred**2)
    if paired:
        table = np.full((len(seeds), len(levels)), np.nan)
        table[who, which] = values
        if np.isnan(table).any() or len(values) > table.size:
            raise ValueError(
                f"paired slopes need each seed once at each size, got {len(values)} rows for {table.shape}"
            )
        return paired_t(table @ contrast, level=level)
    groups = [_values(values[which == index], "value at each size") for index in range(len(levels))]
    parts = np.array([k**2 * g.var(ddof=1) / len(g) for k, g in zip(contrast, groups, strict=True)])
    total = float(parts.sum())
    spread = float(np.sum(parts**2 / (np.array([len(g) for g in groups]) - 1)))
    effect = float(contrast @ np.array([g.mean() for g in groups]))
    degrees = total**2 / spread if spread > 0 else float(len(values) - len(levels))
    return t_estimate(effect, float(np.sqrt(total)), degrees, len(values), level)


def detectable_effect(estimate: Estimate, *, power: float = 0.8) -> float:
    """The effect that a test with this standard error would have seen with probability `power` (two-sided, its level).

    >>> round(detectable_effect(t_estimate(0.0, 0.01, 9, 10)), 4)
    0.0315
    """
    quantiles = special.stdtrit(estimate.degrees, [(1 + estimate.level) / 2, power])
    return float(quantiles.sum() * estimate.standard_error)


def seeds_to_decide(estimate: Estimate, threshold: float = 0.0, *, power: float = 0.8) -> int | None:
    """Seeds in all after which an effect of this size would be told from `threshold`; None if over 10,000.

    >>> seeds_to_decide(paired_t([0.1, 0.2, 0.3, -0.1]), 0.0)
    17
    """
    gap = abs(estimate.effect - threshold)
    spread = estimate.standard_error * np.sqrt(estimate.trials)
    counts = np.arange(2, MAX_SEEDS + 1)
    quantiles = special.stdtrit(counts - 1, (1 + estimate.level) / 2) + special.stdtrit(counts - 1, power)
    enough = quantiles * spread / np.sqrt(counts) <= gap
    return int(counts[np.argmax(enough)]) if enough.any() else None
