"""Accuracy on more classes than were trained, from ranks alone: three estimates of the distribution of U.

All three work with z = Phi^-1(U), which is near normal for scores that are sums, and differ in what they let the
density of z be: a mixture fitted to average test accuracies, a mixture fitted to ranks, or one skewed normal.
"""

from functools import lru_cache

import numpy as np
from scipy import optimize, special

from sim.analysis.class_ranks import ClassRanks, average_test_accuracy, keep_classes
from sim.types import FloatArray

MOST_SETS = 40  # set sizes k at which average test accuracies are fitted: more add cost and no information
WIDTHS = tuple(float(width) for width in np.arange(1, 11) / 10)  # component widths that `regression` chooses from
LEAST_SQUARES_STEPS = 100  # steps a component: SciPy's own limit of 3 stops one fit in some 100,000 short of its end
HALVINGS = 20  # random halves of the classes by which it chooses
MIXTURE_WIDTH = 0.5  # component width of `mixture`; .3 and .8 were worse on Gaussian codebooks
MIXTURE_STEPS = 200  # steps of EM; the likelihood is flat in the detail that more steps would add
LOG_SPREAD = 0.5  # prior standard deviation of the log spread of z about 1, equal spread of own and rival scores
SKEWNESS = 0.3  # prior standard deviation of the skewness of z about 0

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def set_sizes(num_classes: int) -> tuple[int, ...]:
    """Set sizes 1 .. K, or at most `MOST_SETS` of them, evenly spaced in logarithm.

    >>> set_sizes(4)
    (1, 2, 3, 4)
    """
    if num_classes <= MOST_SETS:
        return tuple(range(1, num_classes + 1))
    return tuple(int(k) for k in np.unique(np.round(np.geomspace(1, num_classes, MOST_SETS))))


def power_means(z: FloatArray, weights: FloatArray, k: FloatArray) -> FloatArray:
    """E[Phi(z)^(k-1)] for a distribution with mass `weights` (same shape as z, or its last axis), shape (k, ...)."""
    powers = np.exp(np.multiply.outer(np.asarray(k, dtype=np.float64) - 1, special.log_ndtr(z)))
    return np.asarray(powers @ weights)


@lru_cache(maxsize=256)
def _centres(num_classes: int, width: float) -> FloatArray:
    """Component means on both sides of zero, at most a width apart, up to where one item in K^2 is confused."""
    end = -special.ndtri(1 / num_classes**2)
    return np.linspace(-end, end, 2 * int(np.ceil(end / width)) + 1)


@lru_cache(maxsize=1024)
def _accuracy_basis(num_classes: int, width: float, sizes: tuple[float, ...]) -> FloatArray:
    """Accuracy at each size if z is one component; the last column is z = infinity, items that are never confused."""
    nodes = _centres(num_classes, width)[:, None] + width * _NODES
    columns = power_means(nodes, _WEIGHTS, np.asarray(sizes))
    return np.concatenate([columns, np.ones((len(sizes), 1))], axis=1)


def _regress(ranks: ClassRanks, width: float, k: tuple[float, ...]) -> FloatArray:
    sizes = set_sizes(ranks.num_classes)
    seen = average_test_accuracy(ranks.classes_beaten, ranks.num_classes, sizes)
    basis = _accuracy_basis(ranks.num_classes, width, sizes)
    weights, _ = optimize.nnls(basis, seen, maxiter=LEAST_SQUARES_STEPS * basis.shape[1])
    return np.asarray(_accuracy_basis(ranks.num_classes, width, k) @ weights)


def regression(ranks: ClassRanks, k: FloatArray) -> FloatArray:
    """Non-negative least squares of average test accuracies on those of normal components of z.

    The components' common width is the one that best predicts the accuracy on all K classes from random halves of
    them. (Weights are free but for their sign, and so the accuracy at k = 1 is fitted, not forced, to be one.)

    Source: Zheng, Achanta and Benjamini, Journal of Machine Learning Research 19 (2018); their published program.

    >>> ranks = ClassRanks(np.array([15, 15, 14, 10] * 8), 16, np.repeat(np.arange(16), 2), None)
    >>> 0.2 < float(regression(ranks, np.array([64.0]))[0]) < 0.6
    True
    """
    generator = np.random.default_rng(0)  # the same halves for the same data
    whole = (float(ranks.num_classes),)
    seen = float(average_test_accuracy(ranks.classes_beaten, ranks.num_classes, ranks.num_classes))
    errors = np.zeros(len(WIDTHS))
    if ranks.num_classes >= 4:  # a half must hold two classes
        for _ in range(HALVINGS):
            half = keep_classes(ranks, ranks.num_classes // 2, generator)
            if len(half.labels):
                errors += [(float(_regress(half, width, whole)[0]) - seen) ** 2 for width in WIDTHS]
    width = WIDTHS[int(np.argmin(errors))]
    return np.clip(_regress(ranks, width, tuple(float(number) for number in k)), 0.0, 1.0)


def _log_binomial(beaten: FloatArray, rivals: int, z: FloatArray) -> FloatArray:
    """ln P(R | z), R ~ Binomial(rivals, Phi(z)), shape (beaten, *z.shape)."""
    constant = special.gammaln(rivals + 1) - special.gammaln(beaten + 1) - special.gammaln(rivals - beaten + 1)
    log_win, log_loss = special.log_ndtr(z), special.log_ndtr(-z)
    outer = np.multiply.outer(beaten, log_win) + np.multiply.outer(rivals - beaten, log_loss)
    return np.asarray(outer + constant.reshape(-1, *[1] * z.ndim))


@lru_cache(maxsize=64)
def _rank_table(num_classes: int) -> tuple[FloatArray, FloatArray]:
    """P(R = r) of each component of `mixture`, shape (K, components), and the components' nodes."""
    end = -special.ndtri(1 / num_classes**2) + 1.5
    nodes = np.arange(-3.0, end, MIXTURE_WIDTH / 2)[:, None] + MIXTURE_WIDTH * _NODES
    ranks = np.arange(num_classes, dtype=np.float64)
    return np.exp(_log_binomial(ranks, num_classes - 1, nodes)) @ _WEIGHTS, nodes


def mixture(ranks: ClassRanks, k: FloatArray) -> FloatArray:
    """Maximum likelihood of the ranks under a mixture of normal components of z, by EM from equal weights.

    The non-parametric maximum-likelihood estimate, smoothed: components of width 0 would put lumps at the tail, where
    large k look.

    Source: Laird, Journal of the American Statistical Association 73, 805 (1978), for the estimate without smoothing.

    >>> ranks = ClassRanks(np.array([15, 15, 14, 10] * 8), 16, np.repeat(np.arange(16), 2), None)
    >>> 0.2 < float(mixture(ranks, np.array([64.0]))[0]) < 0.6
    True
    """
    table, nodes = _rank_table(ranks.num_classes)
    counts = np.bincount(ranks.classes_beaten, minlength=ranks.num_classes) / len(ranks.classes_beaten)
    table, counts = table[counts > 0], counts[counts > 0]
    weights = np.full(table.shape[1], 1 / table.shape[1])
    for _ in range(MIXTURE_STEPS):
        weights = weights * ((counts / (table @ weights)) @ table)
    return np.asarray(power_means(nodes, _WEIGHTS, k) @ weights)


_DEVIATES = np.linspace(-6.0, 6.0, 61)  # a trapezoidal rule in standard normal deviates, exact to rounding
_MASS = np.exp(-0.5 * _DEVIATES**2) / np.exp(-0.5 * _DEVIATES**2).sum()


def _skewed(parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
    """z at the deviates, m + exp(s) sinh(asinh(deviate) + e), and its derivatives by (m, s, e)."""
    middle, log_spread, skewness = parameters
    angle, spread = np.arcsinh(_DEVIATES) + skewness, np.exp(log_spread)
    z = middle + spread * np.sinh(angle)
    return z, np.array([np.ones_like(z), z - middle, spread * np.cosh(angle)])


def skew_probit(ranks: ClassRanks, k: FloatArray) -> FloatArray:
    """Penalised maximum likelihood of the ranks where z is one skewed normal: m + exp(s) sinh(asinh(normal) + e).

    The penalties are the normal priors of `LOG_SPREAD` and `SKEWNESS`: some hundred items outvote them, and a nearly
    perfect model, whose few errors leave the spread of z open, needs them.

    Source: the sinh-arcsinh law, Jones and Pewsey, Biometrika 96, 761 (2009); its use here is this project's.

    >>> ranks = ClassRanks(np.array([15, 15, 14, 10] * 8), 16, np.repeat(np.arange(16), 2), None)
    >>> 0.2 < float(skew_probit(ranks, np.array([64.0]))[0]) < 0.6
    True
    """
    rivals = ranks.num_classes - 1
    seen, counts = np.unique(ranks.classes_beaten, return_counts=True)
    beaten = seen.astype(np.float64)
    precision = np.array([0.0, LOG_SPREAD**-2.0, SKEWNESS**-2.0])

    def misfit(parameters: FloatArray) -> tuple[float, FloatArray]:
        z, slopes = _skewed(parameters)
        joint = np.exp(_log_binomial(beaten, rivals, z)) * _MASS
        likelihood = np.maximum(joint.sum(axis=1), 1e-300)
        posterior = joint / likelihood[:, None] * counts[:, None]
        # phi / Phi on both sides, from logarithms: Phi alone underflows
        up, down = (np.exp(-0.5 * z**2 - special.log_ndtr(side)) / np.sqrt(2 * np.pi) for side in (z, -z))
        by_z = (posterior * (np.multiply.outer(beaten, up) - np.multiply.outer(rivals - beaten, down))).sum(axis=0)
        value = -counts @ np.log(likelihood) + 0.5 * precision @ parameters**2
        return float(value), np.asarray(precision * parameters - slopes @ by_z)

    rough = special.ndtri((ranks.classes_beaten + 0.5) / ranks.num_classes)
    start = np.array([rough.mean(), np.log(max(rough.std(), 0.3)), 0.0])
    # beyond these limits no accuracy between 1e-6 and 1 - 1e-6 changes for any k below a million
    limits = [(-6.0, 12.0), (-4.0, 3.0), (-2.0, 2.0)]
    best = optimize.minimize(misfit, start, jac=True, method="L-BFGS-B", bounds=limits).x
    return power_means(_skewed(best)[0], _MASS, k)
