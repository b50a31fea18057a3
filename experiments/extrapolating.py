"""Class-number extrapolation scored on trained networks: the accuracy on all J classes, told from k << J of them.

The object is ONE network trained on J classes and restricted to k: the items of those classes, each answered with the
best of the k. Its true class beats R of J - 1 rivals, and E[U^(k-1)] holds for every k. A network trained anew on k
classes is another network, on which this says nothing.

A store holds how many rivals an item beats, not which. The rivals that stay are therefore drawn for each item apart:
right for each item, but the luck that items share through their rivals is in neither the errors nor the intervals
here, so that real ones are somewhat larger. Trials trained once more (`experiments.rescoring`) bring whole rows of
scores: the network is then restricted exactly, and estimators that need scores stand beside the others.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special, stats

from experiments.factors import UsageError
from sim.analysis.class_ranks import ClassRanks, average_test_accuracy, keep_classes, make_ranks
from sim.analysis.extrapolation import ESTIMATORS, Extrapolation, extrapolate

RANK_ESTIMATORS = tuple(name for name, estimator in ESTIMATORS.items() if not estimator.needs_scores)
SOURCES = ("ranks", "scores")  # what a row was told from: stored ranks, or the scores of trials trained once more
FEWEST_CLASSES = 4  # with fewer, `extrapolate` has no interval
LEVEL = 0.95
_READ = ("identity", "arm", "factors_json", "outputs", "inputs", "seed", "rank_class", "rank_beaten")

Progress = Callable[[int, int], None]  # told the trials done, and how many there are


def subset_sizes(outputs: int) -> tuple[int, ...]:
    """Numbers of classes to tell J from: J/16 and J/4 where that is four or more; below sixteen classes 3 .. J/2.

    Example:
        >>> subset_sizes(256), subset_sizes(64), subset_sizes(10)
        ((16, 64), (4, 16), (3, 4, 5))
    """
    if outputs < 16:
        return tuple(range(3, outputs // 2 + 1))
    return tuple(outputs // part for part in (16, 4) if outputs // part >= FEWEST_CLASSES)


def ranked_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of the trials that kept their ranks, with what is needed here."""
    kept = table.filter(pc.is_valid(table["rank_beaten"]))
    return list(kept.select(list(_READ)).to_pylist())


def _class_variance(whole: ClassRanks, known: float) -> float:
    """Variance of the logit of the accuracy on all J classes, were they drawn anew: items vary together in a class."""
    right = whole.classes_beaten == whole.num_classes - 1
    sums = np.bincount(whole.labels, weights=right - known)
    variance = float(np.sum(sums**2)) / len(right) ** 2 * len(sums) / (len(sums) - 1)
    return variance / (known * (1 - known)) ** 2 if 0 < known < 1 else 0.0


def _held(found: Extrapolation, whole: ClassRanks, known: float, classes: int) -> dict[str, bool | None]:
    """Whether the interval holds what is known: as it stands, and narrowed because the k classes are among the J.

    A prediction that is right on average over sets of k of these J classes varies, over populations, as what is known
    does plus its own error about it, so var(error) = var(prediction) - var(known); at the least 1 - k/J of the first,
    what is left for a mean. None where the replicates show no error, so that there is no interval.
    """
    accuracy, variance = float(found.accuracy[0]), float(found.standard_error[0]) ** 2
    if not np.isfinite(variance):
        return {"held": None, "held_finite": None}
    left = max(variance - _class_variance(whole, known), (1 - classes / whole.num_classes) * variance)
    half = float(stats.t.ppf((1 + LEVEL) / 2, classes - 1)) * np.sqrt(left)
    low, high = special.expit(special.logit(accuracy) + np.array([-half, half]))
    return {
        "held": bool(found.interval[0, 0] <= known <= found.interval[1, 0]),
        "held_finite": bool(low <= known <= high),
    }


def score_trial(
    row: Mapping[str, Any], estimators: Sequence[str] = RANK_ESTIMATORS, subsets: int = 2, resamples: int = 20
) -> list[dict[str, Any]]:
    """Predict one trial's accuracy on all J classes from random k of them.

    Args:
        row: with identity, outputs J, rank_class and rank_beaten; with `scores`, shape (items, J), the network is
            restricted exactly.
        estimators: names in `RANK_ESTIMATORS`, with scores in `ESTIMATORS`.
        subsets: sets of k classes, drawn for each k from the trial's identity; the same for every estimator.
        resamples: replicates of each interval, >= 20.

    Returns:
        for each k, set and estimator: `classes` k, `estimator`, `seen` (accuracy on the k), `known` (on all J),
        `predicted`, and whether the 95% interval `held`, as it stands (for the population that all classes are
        drawn from) and, `held_finite`, narrowed because the k are among the J. None without an interval.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> beaten = rng.binomial(63, special.ndtr(2 + rng.standard_normal(6400)))
        >>> row = {"identity": "a", "outputs": 64, "rank_class": np.arange(6400) % 64, "rank_beaten": beaten}
        >>> found = score_trial(row, ["skew_probit"], subsets=1)[-1]
        >>> found["classes"], round(found["known"], 1), round(found["predicted"], 1)
        (16, 0.4, 0.4)
    """
    outputs = int(row["outputs"])
    whole = make_ranks(np.asarray(row["rank_beaten"]), outputs, np.asarray(row["rank_class"]), row.get("scores"))
    known = float(np.mean(whole.classes_beaten == outputs - 1))
    rows = []
    for classes in subset_sizes(outputs):
        generator = np.random.default_rng([*str(row["identity"]).encode(), classes])
        for _ in range(subsets):
            part = keep_classes(whole, classes, generator)
            seen = float(average_test_accuracy(part.classes_beaten, classes, classes))
            for name in estimators:
                line: dict[str, Any] = {"classes": classes, "estimator": name, "seen": seen, "known": known}
                if classes < FEWEST_CLASSES:
                    told = ESTIMATORS[name].estimate(part, np.array([float(outputs)]))
                    rows.append({**line, "predicted": float(told[0]), "held": None, "held_finite": None})
                    continue
                found = extrapolate(
                    part.classes_beaten, classes, outputs, labels=part.labels, scores=part.scores,
                    estimator=name, level=LEVEL, resamples=resamples,
                )  # fmt: skip
                held = _held(found, whole, known, classes)
                rows.append({**line, "predicted": float(found.accuracy[0]), **held})
    return rows


def _share(values: Sequence[bool | None]) -> float | None:
    given = [value for value in values if value is not None]
    return float(np.mean(given)) if given else None


def score_extrapolation(
    table: pa.Table,
    estimators: Sequence[str] = RANK_ESTIMATORS,
    subsets: int = 2,
    resamples: int = 20,
    progress: Progress | None = None,
    rescored: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """`score_trial` for every ranked row of a table and every row with scores, pooled over seeds and sets of a cell.

    Args:
        table: stored rows; those that kept their ranks are told from them by the rank estimators among `estimators`.
        estimators: names in `ESTIMATORS`; those that need scores see `rescored` only.
        subsets, resamples: as for `score_trial`.
        progress: told how far it is.
        rescored: rows with scores (`experiments.rescoring`), for all estimators.

    Returns:
        one row a source, cell, k and estimator: `source`, `arm`, `inputs`, `outputs`, `classes`, `estimator`,
        `trials`, means of `seen`, `known` and `predicted`, `bias` and `rms` of predicted - known, `coverage` and
        `coverage_finite` of the 95% intervals with their number `intervals`. Sets of one trial share its network, so
        they are not independent.

    Raises:
        UsageError: an estimator that does not exist, or needs scores where there are none; too few subsets or
            replicates.
    """
    allowed = tuple(ESTIMATORS) if rescored else RANK_ESTIMATORS
    for name in estimators:
        if name not in allowed:
            raise UsageError(f"estimator must be one of {', '.join(allowed)}, got {name!r}")
    if subsets < 1:
        raise UsageError(f"subsets must be >= 1, got {subsets}")
    if resamples < 20:
        raise UsageError(f"resamples must be >= 20, got {resamples}")
    by_ranks = [name for name in estimators if name in RANK_ESTIMATORS]
    work = [(SOURCES[0], row, by_ranks) for row in (ranked_rows(table) if by_ranks else ())]
    work += [(SOURCES[1], dict(row), list(estimators)) for row in rescored]
    order = ("arm", "outputs", "inputs", "factors_json", "identity")
    work.sort(key=lambda part: (part[0], *(part[1][name] for name in order)))
    cells: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for number, (source, row, names) in enumerate(work, start=1):
        for found in score_trial(row, names, subsets, resamples):
            cell = (row["factors_json"], source, row["arm"], row["inputs"], row["outputs"])
            key = (*cell, found["classes"], found["estimator"])
            cells.setdefault(key, []).append({**found, "identity": row["identity"]})
        if progress is not None:
            progress(number, len(work))
    return [_summary(key, rows) for key, rows in cells.items()]


def _summary(key: tuple[Any, ...], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    errors = np.array([row["predicted"] - row["known"] for row in rows])
    return {
        **dict(zip(("source", "arm", "inputs", "outputs", "classes", "estimator"), key[1:], strict=True)),
        "trials": len({row["identity"] for row in rows}),
        **{name: float(np.mean([row[name] for row in rows])) for name in ("seen", "known", "predicted")},
        "bias": float(errors.mean()),
        "rms": float(np.sqrt(np.mean(errors**2))),
        "coverage": _share([row["held"] for row in rows]),
        "coverage_finite": _share([row["held_finite"] for row in rows]),
        "intervals": sum(row["held"] is not None for row in rows),
    }
