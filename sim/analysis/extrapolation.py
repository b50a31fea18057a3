"""Accuracy on k classes from ONE model trained on K: estimators by name, with intervals over classes.

    A_k = E[U^(k-1)] = 1 - (k - 1) int_0^1 D(u) u^(k-2) du,

U the probability that a random class scores below an item's own, D its distribution function. It holds for classes
drawn at random and scores that do not depend on which other classes there are. For a network retrained at each k it is
a hypothesis.

On Gaussian codebooks of 2, 10 and 64 dimensions (16, 64 and 256 classes, to 4 and 16 times as many) `skew_probit` was
the most accurate over all cases: the default. `mixture` is its check without a form. `reversed_roc` is as good where
scores are near normal; `regression` is unsure at 16 K, and `kde` fails where scores are skewed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sim.analysis.class_ranks import (
    ClassRanks,
    average_test_accuracy,
    count_classes_beaten,
    keep_classes,
    make_ranks,
    thin_rivals,
)
from sim.analysis.rank_extrapolators import mixture, regression, skew_probit
from sim.analysis.score_extrapolators import kde, kde_cross_validated, reversed_roc
from sim.theory import checks
from sim.types import FloatArray

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "Extrapolation",
    "average_test_accuracy",
    "count_classes_beaten",
    "extrapolate",
]

KEPT = 0.75  # share of the classes in each replicate


class Estimator(NamedTuple):
    """One way to extrapolate.

    Attributes:
        name: the registry key.
        summary: one line.
        needs_scores: whether ranks alone are not enough.
        estimate: (ranks, k of shape (numbers,)) -> accuracies, shape (numbers,).
    """

    name: str
    summary: str
    needs_scores: bool
    estimate: Callable[[ClassRanks, FloatArray], FloatArray]


ESTIMATORS: dict[str, Estimator] = {
    estimator.name: estimator
    for estimator in (
        Estimator("skew_probit", "one skewed normal law of Phi^-1(U), likelihood of the ranks", False, skew_probit),
        Estimator("mixture", "smoothed non-parametric likelihood of the ranks", False, mixture),
        Estimator("regression", "Zheng, Achanta, Benjamini: least squares on average accuracies", False, regression),
        Estimator("reversed_roc", "calibrated margins, after Slavutsky and Benjamini, no network", True, reversed_roc),
        Estimator("kde", "Kay et al.: kernel-smoothed rival scores, normal reference", True, kde),
        Estimator("kde_cross_validated", "the same, cross-validated bandwidth", True, kde_cross_validated),
    )
}


class Extrapolation(NamedTuple):
    """Predicted accuracy on k classes.

    Attributes:
        k: numbers of classes, shape (numbers,).
        accuracy: predicted, shape (numbers,).
        interval: low and high at `level`, shape (2, numbers); NaN where the replicates do not vary (no error seen).
        standard_error: of logit(accuracy), shape (numbers,).
        estimator: name of the estimator.
        level: nominal coverage.
    """

    k: FloatArray
    accuracy: FloatArray
    interval: FloatArray
    standard_error: FloatArray
    estimator: str
    level: float


def extrapolate(
    classes_beaten: ArrayLike,
    num_classes: int,
    k: ArrayLike,
    *,
    labels: ArrayLike,
    scores: ArrayLike | None = None,
    estimator: str = "skew_probit",
    level: float = 0.95,
    resamples: int = 100,
    seed: int = 0,
) -> Extrapolation:
    """Accuracy on k random classes of the population that the K trained ones are a sample of.

    The interval comes from `resamples` replicates on K' = three quarters of the classes, their items ranked among these
    alone (delete-d jackknife): K'/(K - K') times the replicates' variance of logit accuracy, and a t quantile with
    K - 1 degrees. Noise of single pairs (class, rival), which falls as 1/K^2, would count 1 + K/K' times; its excess
    is measured by replicates with rivals drawn anew for each class, and taken out. Classes are not drawn with
    replacement, because a class drawn twice would be its own rival, and would add noise to every rank. The interval
    holds the sampling of classes and items, not the error of the estimator's form, which grows with k/K.

    Args:
        classes_beaten: R_x, rivals that score below the true class, 0 .. K - 1, shape (items,).
        num_classes: K >= 4.
        k: numbers of classes >= 1, scalar or shape (numbers,); also above K.
        labels: true class of each item, shape (items,).
        scores: shape (items, K), then labels are 0 .. K - 1; without it the luck that items share through their
            rivals is left out of the interval, which is then too narrow.
        estimator: a name in `ESTIMATORS`.
        level: nominal coverage.
        resamples: replicates of each kind, >= 20.
        seed: of the replicates.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(np.arange(32), 10)
        >>> scores = rng.standard_normal((320, 32)) + 3 * np.eye(32)[labels]
        >>> found = extrapolate(count_classes_beaten(scores, labels), 32, [32, 128], labels=labels, scores=scores)
        >>> found.accuracy.round(1).tolist(), bool(np.all(found.interval[0] < found.accuracy))
        ([0.8, 0.7], True)

    Source: Zheng, Achanta and Benjamini, Journal of Machine Learning Research 19 (2018), for the frame; the delete-d
        jackknife, Shao and Wu, Annals of Statistics 17, 1176 (1989).
    """
    checks.require_one_of("estimator", estimator, tuple(ESTIMATORS))
    checks.require(0 < level < 1, "level", "between 0 and 1", level)
    resamples = checks.require_whole("resamples", resamples, 20)
    ranks = make_ranks(classes_beaten, checks.require_whole("num_classes", num_classes, 4), labels, scores)
    numbers = np.atleast_1d(np.asarray(k, dtype=np.float64))
    checks.require(bool(np.all(numbers >= 1)) and numbers.ndim == 1, "k", "a vector of numbers >= 1", k)
    chosen = ESTIMATORS[estimator]
    checks.require(not chosen.needs_scores or scores is not None, "scores", f"given for {estimator!r}", scores)
    accuracy = chosen.estimate(ranks, numbers)
    generator = np.random.default_rng(seed)
    kept = min(max(round(KEPT * ranks.num_classes), 3), ranks.num_classes - 1)
    present = len(np.unique(ranks.labels))
    rule = f"of more than {ranks.num_classes - kept} classes, so that none of the replicates is empty"
    checks.require(present > ranks.num_classes - kept, "labels", rule, present)
    by_class = [chosen.estimate(keep_classes(ranks, kept, generator), numbers) for _ in range(resamples)]
    thinned = [thin_rivals(ranks, kept, generator) for _ in range(resamples)]
    if not chosen.needs_scores:  # ranks alone keep their labels, by which `regression` halves the classes
        thinned = [replicate._replace(labels=ranks.labels, scores=None) for replicate in thinned]
    by_pair = [chosen.estimate(replicate, numbers) for replicate in thinned]
    # above, half an item's worth: a replicate without errors must have a logit; below, accuracies may well be tiny
    high = 1 - 0.5 / (len(ranks.labels) + 1)
    centre, classes, pairs = (special.logit(np.clip(a, 1e-12, high)) for a in (accuracy, by_class, by_pair))
    excess = ranks.num_classes / kept
    variance = kept / (ranks.num_classes - kept) * (classes.var(axis=0) - excess * pairs.var(axis=0))
    least = kept / (ranks.num_classes - kept) * classes.var(axis=0) / (1 + excess)  # what pairs alone would leave
    error = np.sqrt(np.maximum(variance, least))
    error = np.where(error > 1e-12, error, np.nan)
    half = special.stdtrit(ranks.num_classes - 1, (1 + level) / 2) * error
    low, high = special.expit(centre - half), special.expit(centre + half)
    interval = np.array([np.minimum(low, accuracy), np.maximum(high, accuracy)])
    return Extrapolation(numbers, accuracy, interval, error, estimator, level)
