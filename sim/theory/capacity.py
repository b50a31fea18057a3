"""How many outputs can be told apart: thresholds in ln J, the variable that collapses them, and Cover's function.

For learned codebooks image and class mean correlate per coordinate with
rho^2 = g^2 / [(g + s2)(g + s2/n)], and iota_n = -(D/2) ln(1 - rho^2) nats limit ln J, not J.
"""

from functools import lru_cache

import numpy as np
from scipy import optimize, special

from sim.theory import checks, codebooks

METHODS = ("exact", "asymptotic")
CODEBOOK_METHODS = (*METHODS, "refined")
GUMBEL_VARIANCE = np.pi**2 / 6  # of the logarithm of an exponential variable, the luck of the best rival
_LARGEST_LOG_CLASSES = 690.0  # beyond it a rival's probability underflows float64


def squared_correlation(signal_power: float, noise_power: float, samples_per_class: float | None = None) -> float:
    """rho^2 = g^2 / [(g + s2)(g + s2/n)] between an image and the mean of n images of its class; None: n infinite.

    Example:
        >>> squared_correlation(1.0, 1.0, 1)
        0.25
    """
    signal_power = checks.require_positive("signal_power", signal_power)
    noise_power = checks.require_positive("noise_power", noise_power)
    mean_noise = 0.0
    if samples_per_class is not None:
        mean_noise = noise_power / checks.require_positive("samples_per_class", samples_per_class)
    return signal_power / (signal_power + noise_power) * (signal_power / (signal_power + mean_noise))


def codebook_information(
    dimension: int, signal_power: float, noise_power: float, samples_per_class: float | None = None
) -> float:
    """iota_n = -(D/2) ln(1 - rho^2), nats: what an image tells about a class known from n images.

    For known codewords (None) it is the Gaussian capacity (D/2) ln(1 + g/s2).

    Example:
        >>> round(codebook_information(64, 0.25, 1.0), 6)
        7.140594

    Source: Willems, Kalker, Goseling and Linnartz (2003), capacity of identification from noisy enrolment.
    """
    dimension = checks.require_whole("dimension", dimension, 1)
    return -0.5 * dimension * float(np.log1p(-squared_correlation(signal_power, noise_power, samples_per_class)))


@lru_cache(maxsize=65536)
def log_half_accuracy_classes(
    dimension: int,
    signal_power: float,
    noise_power: float,
    samples_per_class: float | None = None,
    method: str = "exact",
) -> float:
    """ln J50, the number of classes at which the best learner of a Gaussian codebook is right half of the time.

    exact: solves A(n, J50) = 1/2 for real J50, A the integral of `gaussian_codebook_accuracy`;
    asymptotic: iota_n + (1/2) ln[2 pi D (rho^2 - rho^4 / 2)] - gamma + rho^2 / 4, a heuristic Laplace expansion;
    refined: ln(J50 - 1) = iota_n + (1/2) ln 2 pi [D (rho^2 - rho^4 / 2) + pi^2 / 6] - gamma + rho^2 / 4
    + zeta(3) / [3 (D rho^2 + pi^2 / 6)]: J - 1 rivals, the variance of the best rival's luck, and the median of a
    skewed sum instead of its mean. Largest errors over D 16 to 4096, g D / s2 4 to 256, n 1 to infinity: .45
    (asymptotic) and .053 (refined) where J50 > 10, .24 and .053 where J50 > 100.

    Args:
        dimension: D >= 1.
        signal_power, noise_power: g and s2 per coordinate, > 0.
        samples_per_class: n > 0, real; None for known codewords.
        method: "exact", "asymptotic" or "refined".

    Raises:
        ValueError: an argument breaks its rule, or ln J50 > 690 with "exact".

    Example:
        >>> round(log_half_accuracy_classes(10, 1.0, 0.5), 2)  # accuracy .499 at J = 1000
        6.9
    """
    checks.require_one_of("method", method, CODEBOOK_METHODS)
    information = codebook_information(dimension, signal_power, noise_power, samples_per_class)
    squared = squared_correlation(signal_power, noise_power, samples_per_class)
    if method == "asymptotic":
        spread = 2 * np.pi * dimension * (squared - squared**2 / 2)
        return float(information + 0.5 * np.log(spread) - np.euler_gamma + squared / 4)
    if method == "refined":
        spread = 2 * np.pi * (dimension * (squared - squared**2 / 2) + GUMBEL_VARIANCE)
        skew = special.zeta(3) / (3 * (dimension * squared + GUMBEL_VARIANCE))
        log_rivals = information + 0.5 * np.log(spread) - np.euler_gamma + squared / 4 + skew
        return float(np.logaddexp(0.0, log_rivals))
    mean_noise = 0.0 if samples_per_class is None else noise_power / float(samples_per_class)
    table = codebooks.margin_table(int(dimension), float(signal_power), float(noise_power), mean_noise)
    if table.accuracy(_LARGEST_LOG_CLASSES) > 0.5:
        raise ValueError(f"ln J50 must be <= 690 for method='exact', got about {information:.0f}; use 'asymptotic'")
    log_rivals = optimize.brentq(lambda x: table.accuracy(x) - 0.5, -40.0, _LARGEST_LOG_CLASSES, xtol=1e-10)
    return float(np.logaddexp(0.0, log_rivals))


def collapse_variable(
    num_classes: float,
    dimension: int,
    signal_power: float,
    noise_power: float,
    samples_per_class: float | None = None,
) -> float:
    """z = [ln J50(n) - ln J] / sqrt(D rho^2 + pi^2 / 6): the axis on which learned codebooks fall on one curve.

    The denominator joins the spread of the own score (D rho^2) and of the best rival's (Gumbel, pi^2 / 6).

    Args:
        num_classes: J >= 1.
        (others as in `log_half_accuracy_classes`)

    Example:
        >>> abs(collapse_variable(1000, 10, 1.0, 0.5)) < 0.01  # J50 is about 1000
        True
    """
    checks.require(1 <= num_classes < np.inf, "num_classes", ">= 1 and finite", num_classes)
    threshold = log_half_accuracy_classes(dimension, signal_power, noise_power, samples_per_class)
    squared = squared_correlation(signal_power, noise_power, samples_per_class)
    return float((threshold - np.log(num_classes)) / np.sqrt(dimension * squared + GUMBEL_VARIANCE))


def orthogonal_log_half_accuracy_classes(separation: float, method: str = "exact") -> float:
    """ln J50 of known orthogonal codewords at `separation` d, `orthogonal_accuracy`'s threshold.

    asymptotic: iota + (1/2) ln(4 pi iota) - gamma, iota = d^2/2 the capacity in nats.

    Args:
        separation: d > 0.
        method: "exact" or "asymptotic".

    Example:
        >>> exact = orthogonal_log_half_accuracy_classes(10.0)
        >>> round(exact - orthogonal_log_half_accuracy_classes(10.0, "asymptotic"), 3)
        0.021

    Source: extreme values of J normal scores; orthogonal signalling, Proakis, section 4.4.
    """
    separation = checks.require_positive("separation", separation)
    checks.require_one_of("method", method, METHODS)
    if method == "asymptotic":
        energy = separation**2 / 2
        return float(energy + 0.5 * np.log(4 * np.pi * energy) - np.euler_gamma)
    return _orthogonal_log_classes(separation, 0.5)


def orthogonal_threshold_width(separation: float, method: str = "exact") -> float:
    """How sharp `orthogonal_log_half_accuracy_classes` is: the nats of ln J from accuracy .75 down to .25.

    asymptotic: 2 q [d + (1 + pi^2/12) / d] + O(d^-3), q = .6745 the normal quartile. Accuracy falls when
    d w + w^2/2 + ln(1 + w/d) - G < ln J - iota - ln(d sqrt(2 pi)), w the normal noise of the true score and G (Gumbel,
    variance pi^2/6) that of the best rival. It grows as sqrt(2 iota) while the threshold grows as iota, so that the
    fall is a step in ln J / iota, and covers more and more classes.

    Args:
        separation: d > 0.
        method: "exact" (two roots, J real) or "asymptotic" (error -8.9 / d^3 for large d: -.054 at 5, -.008 at 10).

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(orthogonal_threshold_width(10.0), 3), round(orthogonal_threshold_width(10.0, "asymptotic"), 3)
        (13.727, 13.736)

    Source: derived here from the integral of `orthogonal_accuracy`; tested against it and by simulation.
    """
    separation = checks.require_positive("separation", separation)
    checks.require_one_of("method", method, METHODS)
    if method == "asymptotic":
        return float(2 * special.ndtri(0.75) * (separation + (1 + np.pi**2 / 12) / separation))
    return _orthogonal_log_classes(separation, 0.25) - _orthogonal_log_classes(separation, 0.75)


def _orthogonal_log_classes(separation: float, accuracy: float) -> float:
    """ln J, J real, at which known orthogonal codewords are told apart with this accuracy."""
    # the integrand falls from one to zero within 1/d, which takes a few points at any d
    z = np.linspace(separation - 10, separation + 10, int(2001 * max(separation / 20, 1.0)))
    weights = np.exp(-0.5 * (z - separation) ** 2)
    weights /= weights.sum()
    # ln(-ln Phi(z)); for large z it is ln Q(z), where Phi(z) rounds to one
    log_risk = np.where(z > 6, special.log_ndtr(-z), np.log(-special.log_ndtr(np.minimum(z, 6))))

    def excess(log_rivals: float) -> float:
        with np.errstate(over="ignore", under="ignore"):
            return float(weights @ np.exp(-np.exp(log_rivals + log_risk))) - accuracy

    highest = separation**2 / 2 + separation * 10 + 60
    return float(np.logaddexp(0.0, optimize.brentq(excess, -40.0, highest, xtol=1e-10)))


def cover_fraction(num_points: int, dimension: int) -> float:
    """Share of the 2^N labellings of N points in general position in R^D that a hyperplane through zero realises.

    C(N, D) / 2^N = 2^(1-N) sum_{k<D} binom(N-1, k); one half at N = 2 D: two bits a weight.

    Args:
        num_points: N >= 1.
        dimension: D >= 1.

    Example:
        >>> round(cover_fraction(10, 5), 10), round(cover_fraction(25, 10), 10)
        (0.5, 0.1537281275)

    Source: Cover (1965).
    """
    num_points = checks.require_whole("num_points", num_points, 1)
    dimension = checks.require_whole("dimension", dimension, 1)
    return float(special.bdtr(dimension - 1, num_points - 1, 0.5)) if dimension < num_points else 1.0
