"""What one trained model's scores say about any number of classes: how many rivals each test item's own class beats.

If a class's score does not depend on which other classes there are, an item x beats a random rival with a probability
U_x of its own, and R_x ~ Binomial(K - 1, U_x) of its K - 1 rivals. The accuracy on k random classes is E[U^(k-1)]
for every k.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sim.analysis.curves import IntArray
from sim.theory import checks
from sim.types import FloatArray


class ClassRanks(NamedTuple):
    """Test items of K classes, as one trained model ranks them.

    Attributes:
        classes_beaten: R_x, rivals that score below the true class, 0 .. K - 1, shape (items,).
        num_classes: K.
        labels: true classes, shape (items,); numbers without gaps where `scores` is given.
        scores: score of each class, shape (items, K), or None where only the ranks are known.
    """

    classes_beaten: IntArray
    num_classes: int
    labels: IntArray
    scores: FloatArray | None


def count_classes_beaten(scores: ArrayLike, labels: ArrayLike) -> IntArray:
    """Rivals that score strictly below the true class, shape (items,): a tie counts as an error.

    Args:
        scores: shape (items, K), higher is better.
        labels: true classes 0 .. K - 1, shape (items,).

    >>> count_classes_beaten([[0.1, 0.5, 0.4], [0.2, 0.2, 0.6]], [2, 0]).tolist()
    [1, 0]
    """
    table, true = _checked_scores(scores, labels)
    return np.asarray((table < table[np.arange(len(true)), true][:, None]).sum(axis=1), dtype=np.int64)


def make_ranks(
    classes_beaten: ArrayLike, num_classes: int, labels: ArrayLike | None = None, scores: ArrayLike | None = None
) -> ClassRanks:
    """Checked `ClassRanks`; without `labels` each item is taken to be of a class of its own.

    Raises:
        ValueError: an argument breaks its rule, or `classes_beaten` is not what `scores` say.

    >>> make_ranks([3, 2], 4).labels.tolist()
    [0, 1]
    """
    num_classes = checks.require_whole("num_classes", num_classes, 2)
    beaten = np.asarray(classes_beaten)
    checks.require(
        beaten.ndim == 1 and len(beaten) > 0 and beaten.dtype.kind in "iu",
        "classes_beaten",
        "a vector of whole numbers, one a test item",
        f"shape {beaten.shape} of {beaten.dtype}",
    )
    inside = (beaten >= 0) & (beaten < num_classes)
    checks.require(bool(inside.all()), "classes_beaten", f"in 0 .. {num_classes - 1}", beaten[~inside][:3].tolist())
    beaten = beaten.astype(np.int64)
    if scores is not None:
        checks.require(labels is not None, "labels", "given together with scores", None)
        table, true = _checked_scores(scores, np.asarray(labels))
        checks.require(table.shape == (len(beaten), num_classes), "scores", "(items, K) in shape", table.shape)
        other = beaten != count_classes_beaten(table, true)
        checks.require(not other.any(), "classes_beaten", "what scores and labels say", beaten[other][:3].tolist())
        return ClassRanks(beaten, num_classes, true, table)
    true = np.arange(len(beaten)) if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    checks.require(true.shape == beaten.shape, "labels", f"{beaten.shape} in shape", true.shape)
    return ClassRanks(beaten, num_classes, true.astype(np.int64), None)


def _checked_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, IntArray]:
    table, true = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    checks.require(table.ndim == 2 and table.shape[1] >= 2, "scores", "(items, K >= 2) in shape", table.shape)
    checks.require(bool(np.isfinite(table).all()), "scores", "finite", "NaN or infinity")
    checks.require(true.shape == table.shape[:1], "labels", f"{table.shape[:1]} in shape", true.shape)
    known = true.dtype.kind in "iu" and bool(((true >= 0) & (true < table.shape[1])).all())
    checks.require(known, "labels", f"classes 0 .. {table.shape[1] - 1}", np.unique(true)[:3].tolist())
    return table, true.astype(np.int64)


def average_test_accuracy(classes_beaten: ArrayLike, num_classes: int, k: ArrayLike) -> FloatArray:
    """Accuracy averaged over all sets of k of the K classes that hold the item's own: unbiased for k random classes.

        ATA_k = mean_x C(R_x, k - 1) / C(K - 1, k - 1)

    Args:
        classes_beaten: R_x, shape (items,).
        num_classes: K.
        k: classes in a set, whole numbers 1 .. K, any shape.

    Returns:
        Accuracies in the shape of `k`.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> average_test_accuracy([3, 2, 0], 4, [1, 2, 4]).round(4).tolist()
        [1.0, 0.5556, 0.3333]

    Source: Zheng, Achanta and Benjamini, Journal of Machine Learning Research 19 (2018), section 3.
    """
    ranks = make_ranks(classes_beaten, num_classes)
    sets = np.asarray(k, dtype=np.float64)
    allowed = (sets >= 1) & (sets <= num_classes) & (sets == np.round(sets))
    checks.require(bool(allowed.all()), "k", f"whole numbers 1 .. {num_classes}", sets[~allowed][:3].tolist())
    beaten, counts = np.unique(ranks.classes_beaten, return_counts=True)
    rivals = sets[..., None] - 1
    enough = beaten >= rivals
    spare = np.where(enough, beaten - rivals, 0.0)
    log_share = special.gammaln(beaten + 1) - special.gammaln(spare + 1)
    log_share = log_share - special.gammaln(num_classes) + special.gammaln(num_classes - rivals)
    return np.asarray(np.where(enough, np.exp(log_share), 0.0) @ counts / counts.sum())


def keep_classes(ranks: ClassRanks, number: int, generator: np.random.Generator) -> ClassRanks:
    """The same model on `number` random ones of its classes: their items, ranked among these classes alone.

    With scores the new ranks are exact. From ranks alone, the rivals that stay are drawn for each item apart
    (hypergeometric): right for each item, but the luck that items share through their rivals is lost.

    >>> table = np.eye(6)
    >>> kept = keep_classes(make_ranks([5] * 6, 6, np.arange(6), table), 4, np.random.default_rng(0))
    >>> kept.classes_beaten.tolist(), kept.labels.tolist()
    ([3, 3, 3, 3], [0, 1, 2, 3])
    """
    if ranks.scores is None:
        present = int(ranks.labels.max()) + 1
        share = max(round(present * number / ranks.num_classes), 1)
        kept = np.isin(ranks.labels, generator.choice(present, share, replace=False))
        beaten = ranks.classes_beaten[kept]
        fewer = generator.hypergeometric(beaten, ranks.num_classes - 1 - beaten, number - 1)
        labels = np.unique(ranks.labels[kept], return_inverse=True)[1]
        return ClassRanks(fewer.astype(np.int64), number, labels.astype(np.int64), None)
    classes = np.sort(generator.choice(ranks.num_classes, number, replace=False))
    kept = np.isin(ranks.labels, classes)
    scores = ranks.scores[np.ix_(kept, classes)]
    labels = np.searchsorted(classes, ranks.labels[kept])
    beaten = (scores < scores[np.arange(len(labels)), labels][:, None]).sum(axis=1)
    return ClassRanks(beaten.astype(np.int64), number, labels.astype(np.int64), scores)


def thin_rivals(ranks: ClassRanks, number: int, generator: np.random.Generator) -> ClassRanks:
    """All items, the items of each class ranked against `number` - 1 rivals drawn for that class alone.

    Its spread is that of the pairs of classes, free of what a class does as a whole. With scores, the true class comes
    first in the new table and all labels are 0; from ranks alone, rivals are drawn for each item (hypergeometric).

    >>> thinned = thin_rivals(make_ranks([5] * 6, 6, np.arange(6), np.eye(6)), 4, np.random.default_rng(0))
    >>> thinned.classes_beaten.tolist(), thinned.labels.tolist(), thinned.scores[:, 0].tolist()
    ([3, 3, 3, 3, 3, 3], [0, 0, 0, 0, 0, 0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """
    if ranks.scores is None:
        lost = ranks.num_classes - 1 - ranks.classes_beaten
        beaten = generator.hypergeometric(ranks.classes_beaten, lost, number - 1)
        return ClassRanks(beaten.astype(np.int64), number, ranks.labels, None)
    places = generator.random((ranks.num_classes, ranks.num_classes))
    np.fill_diagonal(places, -1.0)  # the own class is always drawn, and comes first
    columns = np.argsort(places, axis=1)[:, :number]
    scores = np.take_along_axis(ranks.scores, columns[ranks.labels], axis=1)
    beaten = (scores < scores[:, :1]).sum(axis=1)
    return ClassRanks(beaten.astype(np.int64), number, np.zeros(len(beaten), dtype=np.int64), scores)
