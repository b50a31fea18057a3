"""Accuracy on more classes than were trained, from the scores: the smoothed and the reversed-ROC extrapolators.

Scores hold more than ranks where an item beats all its rivals: by how much. They are used on the scale they come in
(`kde`), or after one monotone map that makes the rivals' scores normal (`reversed_roc`).
"""

import numpy as np
from scipy import optimize, special

from sim.analysis.class_ranks import ClassRanks, average_test_accuracy
from sim.analysis.rank_extrapolators import power_means, set_sizes
from sim.theory import checks
from sim.types import FloatArray

BANDWIDTHS = ("normal_reference", "cross_validated")
CROSS_VALIDATED_ITEMS = 16  # items whose rivals choose the bandwidth: the cost grows as items K^2
BANDWIDTH_FACTORS = np.geomspace(0.15, 2.0, 14)  # times spread (K - 1)^(-1/5): .9 is the normal reference
POOL_TAIL = 20  # rivals of all items together beyond which the pooled quantiles are not trusted
POOL_QUANTILES = 400


def own_and_rivals(ranks: ClassRanks) -> tuple[FloatArray, FloatArray]:
    """Scores of the true class, shape (items,), and of its rivals, shape (items, K - 1).

    >>> ranks = ClassRanks(np.array([1, 0]), 3, np.array([0, 1]), np.array([[2.0, 1.0, 3.0], [5.0, 4.0, 6.0]]))
    >>> own_and_rivals(ranks)[1].tolist()
    [[1.0, 3.0], [5.0, 6.0]]
    """
    if ranks.scores is None:
        raise ValueError("scores must be given for an extrapolator of scores, got None")
    items = np.arange(len(ranks.labels))
    rival = np.ones(ranks.scores.shape, dtype=bool)
    rival[items, ranks.labels] = False
    rivals = ranks.scores[rival].reshape(len(items), -1)
    checks.require(rivals.shape[1] >= 2, "num_classes", ">= 3 for an extrapolator of scores", ranks.num_classes)
    checks.require(bool((np.ptp(rivals, axis=1) > 0).any()), "scores", "unequal among an item's rivals", "a constant")
    return ranks.scores[items, ranks.labels], rivals


def _spread(rivals: FloatArray) -> FloatArray:
    """The smaller of standard deviation and interquartile range / 1.34, of each item's rivals.

    Two rivals may well tie in single precision: an item whose rivals are all equal takes the median of the others.

    >>> _spread(np.array([[0.0, 1.0], [2.0, 2.0], [0.0, 1.0]])).round(2).tolist()
    [0.37, 0.37, 0.37]
    """
    deviation = rivals.std(axis=1, ddof=1)
    quartiles = np.quantile(rivals, [0.25, 0.75], axis=1)
    middle = (quartiles[1] - quartiles[0]) / 1.34
    spread = np.where(middle > 0, np.minimum(deviation, middle), deviation)
    equal = np.ptp(rivals, axis=1) == 0  # their deviation may be a rounding above zero
    return np.where(equal, np.median(spread[~equal]), spread)


def _cross_validated_factor(rivals: FloatArray, spread: FloatArray) -> float:
    """The bandwidth factor of least squares cross-validation, shared by all items."""
    number = rivals.shape[1]
    chosen = np.linspace(0, len(rivals) - 1, CROSS_VALIDATED_ITEMS).astype(int)
    some = rivals[chosen]
    first, second = np.triu_indices(number, 1)
    gaps = ((some[:, first] - some[:, second]) / spread[chosen, None]) ** 2
    losses = []
    for width in BANDWIDTH_FACTORS * number**-0.2:
        wide = np.exp(-gaps / (4 * width**2)).sum(axis=1) / (np.sqrt(4 * np.pi) * width)
        narrow = np.exp(-gaps / (2 * width**2)).sum(axis=1) / (np.sqrt(2 * np.pi) * width)
        alone = 1 / (number * np.sqrt(4 * np.pi) * width)
        losses.append(np.mean(alone + 2 * wide / number**2 - 4 * narrow / (number * (number - 1))))
    return float(BANDWIDTH_FACTORS[int(np.argmin(losses))])


def kde(ranks: ClassRanks, k: FloatArray, bandwidth: str = "normal_reference") -> FloatArray:
    """Mean of U_x^(k-1), U_x the share of a normal-kernel density of x's rival scores below its own.

    Not invariant under a change of the scores' scale, and biased down where rivals are few or skewed to low scores:
    the kernel reaches beyond the best of them. On Gaussian codebooks in few dimensions it errs by .2 to .6.

    Args:
        ranks: with scores.
        k: numbers of classes.
        bandwidth: "normal_reference", .9 min(standard deviation, interquartile range / 1.34) (K - 1)^(-1/5) of each
            item's rivals (Silverman); or "cross_validated", the same with a factor in place of .9 that least squares
            cross-validation chooses for all items together.

    Source: Kay, Naselaris, Prenger and Gallant, Nature 452, 352 (2008), supplement [unchecked]; as described by Zheng,
        Achanta and Benjamini (2018), who choose the bandwidth of each item by cross-validation.

    >>> table = np.random.default_rng(0).standard_normal((160, 16)) + 3 * np.eye(16)[np.arange(160) % 16]
    >>> labels = np.arange(160) % 16
    >>> beaten = (table < table[np.arange(160), labels][:, None]).sum(axis=1)
    >>> 0.3 < float(kde(ClassRanks(beaten, 16, labels, table), np.array([64.0]))[0]) < 0.8
    True
    """
    checks.require_one_of("bandwidth", bandwidth, BANDWIDTHS)
    own, rivals = own_and_rivals(ranks)
    spread = _spread(rivals)
    factor = 0.9 if bandwidth == "normal_reference" else _cross_validated_factor(rivals, spread)
    width = factor * spread * rivals.shape[1] ** -0.2
    lost = special.ndtr((rivals - own[:, None]) / width[:, None]).mean(axis=1)
    log_won = np.log1p(-np.minimum(lost, 1 - 1e-16))
    return np.exp(np.multiply.outer(np.asarray(k, dtype=np.float64) - 1, log_won)).mean(axis=1)


def kde_cross_validated(ranks: ClassRanks, k: FloatArray) -> FloatArray:
    """`kde` with the cross-validated bandwidth."""
    return kde(ranks, k, "cross_validated")


def _standardise(own: FloatArray, rivals: FloatArray) -> tuple[FloatArray, FloatArray]:
    mean, deviation = rivals.mean(axis=1), rivals.std(axis=1, ddof=1)
    deviation = np.where(deviation > 0, deviation, 1.0)
    return (own - mean) / deviation, (rivals - mean[:, None]) / deviation[:, None]


def normal_margins(own: FloatArray, rivals: FloatArray) -> FloatArray:
    """How many standard deviations an own score lies above its rivals, on a scale on which rivals are normal.

    Rivals are standardised within each item and pooled; the map from pooled quantiles to normal ones is applied to
    own and rival scores alike (linear beyond the `POOL_TAIL` highest), and the result standardised again.

    >>> rng = np.random.default_rng(0)
    >>> normal = rng.standard_normal((2000, 50))
    >>> margins = normal_margins(np.exp(np.full(2000, 1.5)), np.exp(normal))
    >>> bool(abs(np.median(margins) - 1.5) < 0.1)
    True
    """
    own, rivals = _standardise(own, rivals)
    pool = np.sort(rivals, axis=None)
    last = max(len(pool) - POOL_TAIL, len(pool) // 2)
    places = np.unique(np.append(np.arange(0, last, max(len(pool) // POOL_QUANTILES, 1)), last))
    scores, normal = pool[places], special.ndtri((places + 0.5) / len(pool))
    middle = len(places) // 2
    rise = max(scores[-1] - scores[middle], 1e-12)
    slope = (normal[-1] - normal[middle]) / rise

    def straighten(values: FloatArray) -> FloatArray:
        return np.interp(values, scores, normal) + slope * np.maximum(values - scores[-1], 0.0)

    return _standardise(straighten(own), straighten(rivals))[0]


def reversed_roc(ranks: ClassRanks, k: FloatArray) -> FloatArray:
    """Accuracy from the reversed ROC curve of margins, calibrated on the average test accuracies.

    The reversed ROC curve gives, for each share of rivals let through, the share of items whose own class passes:
    rROC(u) = P(U > 1 - u), and A_k = 1 - (k - 1) int (1 - rROC(1 - u)) u^(k-2) du = E[U^(k-1)]. Here
    U_x = Phi(a + b z_x) with z_x from `normal_margins`; a and b are fitted to ATA_2 .. ATA_K by least squares, which
    takes out most of the noise of z_x (its K - 1 rivals). What is left makes the tail too heavy: accuracy far above K
    comes out too high, by about .04 at 4 K from 12 classes.

    Source: Slavutsky and Benjamini, International Conference on Learning Representations (2021), for the curve and
        for fitting U_x to observed accuracies. Their neural network U_x(own score, rival scores) is left out: two
        calibration constants stand in its place.

    >>> table = np.random.default_rng(0).standard_normal((160, 16)) + 3 * np.eye(16)[np.arange(160) % 16]
    >>> labels = np.arange(160) % 16
    >>> beaten = (table < table[np.arange(160), labels][:, None]).sum(axis=1)
    >>> 0.3 < float(reversed_roc(ClassRanks(beaten, 16, labels, table), np.array([64.0]))[0]) < 0.8
    True
    """
    z = normal_margins(*own_and_rivals(ranks))
    sizes = np.array(set_sizes(ranks.num_classes)[1:], dtype=np.float64)
    seen = average_test_accuracy(ranks.classes_beaten, ranks.num_classes, sizes)
    equal = np.full(len(z), 1 / len(z))

    def calibrated(constants: FloatArray) -> FloatArray:
        # beyond these limits the curve is a step or flat: the data have no more to say
        return np.clip(constants[0], -20.0, 20.0) + np.exp(np.clip(constants[1], -3.0, 2.0)) * z

    def misfit(constants: FloatArray) -> FloatArray:
        return power_means(calibrated(constants), equal, sizes) - seen

    best = optimize.least_squares(misfit, np.zeros(2), method="lm").x
    return power_means(calibrated(best), equal, k)
