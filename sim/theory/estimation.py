"""Learners that do not know the noise: equal class counts, shrinkage estimated from the training images.

With n examples of each class the Bayes decision argmin |x - k mean_j|^2 depends on the powers through k alone. The
pooled training images give k by one-way analysis of variance in J D and (I - J) D dimensions,

    between B = mean |mean_j|^2 / D ~ (g + s2/n) chi2_a / a,   a = J D,
    within  W ~ s2 chi2_b / b,                                 b = J (n - 1) D,
    1 - k^ = (W/n) / B = (1 - k) F,   F ~ F(b, a),

with k = g / (g + s2/n) and k^ cut at zero. The accuracy at a wrong k is the same exact integral, and flat at the best
k, so what the estimate costs is of second order: half the curvature times (1 - k)^2 (2/a + 2/b).
"""

import numpy as np
from scipy import special

from sim.theory import checks, codebooks
from sim.types import FloatArray

_NODES = 15


def shrunken_accuracy(
    num_classes: int,
    dimension: int,
    signal_power: float,
    noise_power: float,
    samples_per_class: int,
    shrinkage: float,
) -> float:
    """Accuracy of argmin |x - k mean_j|^2 at any k, from n examples of each class, averaged over codebooks. Exact.

    A = E[(1 - F_rival)^(J-1)] as for the Bayes learner, k = g / (g + s2/n), and the plug-in learner, k = 1: with
    v = k^2 (g + s2/n), a = k g / (g + s2), w = v - a^2 (g + s2) for the rival's power, the pull and the own power.

    Args:
        num_classes: J >= 1.
        dimension: D >= 1, numbers in an image.
        signal_power: g > 0, variance of a codeword, per coordinate.
        noise_power: s2 > 0, variance of the noise, per coordinate.
        samples_per_class: n >= 1, training images a class.
        shrinkage: k > 0, at most 1 + s2/g; as k falls to 0 the largest inner product with the class mean wins.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> [round(shrunken_accuracy(64, 64, 0.25, 1.0, 4, k), 4) for k in (0.25, 0.5, 1.0)]
        [0.5882, 0.5945, 0.569]

    Source: the integral of `gaussian_codebook_accuracy`.
    """
    num_classes = checks.require_whole("num_classes", num_classes, 1)
    dimension = checks.require_whole("dimension", dimension, 1)
    signal_power = checks.require_positive("signal_power", signal_power)
    noise_power = checks.require_positive("noise_power", noise_power)
    samples = checks.require_whole("samples_per_class", samples_per_class, 1)
    k = checks.require_positive("shrinkage", shrinkage)
    most = 1 + noise_power / signal_power  # beyond it the own class mean lies on the far side of the image
    checks.require(k <= most * (1 + 1e-12), "shrinkage", f"<= 1 + noise_power / signal_power = {most:g}", k)
    if num_classes == 1:
        return 1.0
    # |x - k mean| orders like |x/k - mean|: the plug-in rule for images scaled by 1/k, whose covariance with their
    # class mean is g/k; the three powers below are those of image x/k and class mean, split at that covariance
    covariance = signal_power / k
    image_power, mean_power = (signal_power + noise_power) / k**2, signal_power + noise_power / samples
    table = codebooks.margin_table(
        dimension, covariance, image_power - covariance, mean_power - covariance, learner="plugin"
    )
    return table.accuracy(float(np.log(num_classes - 1)))


def estimated_shrinkage_accuracy(
    num_classes: int, dimension: int, signal_power: float, noise_power: float, samples_per_class: int
) -> float:
    """Accuracy of the learner that estimates noise and signal power from its training images, n of each class.

    The mean of `shrunken_accuracy` over k^ = 1 - (1 - k) F, F ~ F((I - J) D, J D), by quadrature in normal scores. That
    k^ depends on the class means it is used with is left out: the simulated loss agrees within .0004 (for D = 2 it was
    .002 to .004 smaller, hence the rule for D). The loss against the Bayes ceiling, which is told both powers, is below
    .002 wherever (I - J) D > 50, and below .0003 wherever I - J > 50 (J = 2 to 64, D = 4 to 64, n = 2 to 8, g D = .5 to
    32): a learner that has to find the noise out can be scored against the ceiling for known powers.

    Args:
        dimension: D >= 4, numbers in an image.
        samples_per_class: n >= 2: from one image of each class noise and signal cannot be told apart.
        (others as in `shrunken_accuracy`)

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(estimated_shrinkage_accuracy(64, 64, 0.25, 1.0, 4), 4)  # .5945 with known powers
        0.5945

    Source: derived in the module's first lines; the F distribution of one-way analysis of variance.
    """
    samples = checks.require_whole("samples_per_class", samples_per_class, 2)
    num_classes = checks.require_whole("num_classes", num_classes, 1)
    dimension = checks.require_whole("dimension", dimension, 4)
    signal_power = checks.require_positive("signal_power", signal_power)
    noise_power = checks.require_positive("noise_power", noise_power)
    gap = noise_power / samples / (signal_power + noise_power / samples)  # 1 - k
    scores = np.linspace(-5.0, 5.0, _NODES)
    weights: FloatArray = np.exp(-0.5 * scores**2)
    degrees = num_classes * (samples - 1) * dimension, num_classes * dimension
    ratios = special.fdtri(*degrees, special.ndtr(scores))
    # at k^ = 0 all classes tie; an inner product decides there, the limit of small k
    shrinkages = np.maximum(1 - gap * ratios, 1e-3)
    task = (num_classes, dimension, signal_power, noise_power, samples)
    values = np.array([shrunken_accuracy(*task, float(k)) for k in shrinkages])
    return float(values @ weights / weights.sum())
