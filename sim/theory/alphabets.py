"""Codewords that are not Gaussian: uniform on a sphere of radius sqrt(g D), or binary, every number +-sqrt(g).

All codewords have one length, so the best learner of known codewords picks the largest inner product with the image x.
From n examples each a codeword is estimated by maximum likelihood, the class mean put on the sphere or its signs, and
then treated as known (plug-in). A rival's estimate is again uniform on the alphabet and independent of x, so given x
the rivals' law is that of known codewords, and only the own score changes:

    A = E[ F(own score | x)^(J-1) ],   F the law of a rival's inner product with x.

Sphere: inner product over both lengths is a coordinate t of a uniform direction, (1 + t)/2 ~ Beta((D-1)/2, (D-1)/2).
Binary: a sum of independent +-sqrt(g) x_i, of which F is the saddlepoint formula of Lugannani and Rice.
"""

from functools import lru_cache

import numpy as np
from scipy import special

from sim.theory import checks
from sim.theory.composition import SEED, Estimate
from sim.theory.distances import REACH, norm_nodes, panel_nodes, panel_rule
from sim.types import FloatArray

_AZIMUTH_NODES = 64
_SADDLE_STEPS = 60


def _check(
    num_classes: int, dimension: int, signal_power: float, noise_power: float, samples: float | None
) -> tuple[int, int, float, float]:
    """J, D, and the noise per coordinate of an image and of a class mean, in units of the signal's."""
    num_classes = checks.require_whole("num_classes", num_classes, 1)
    dimension = checks.require_whole("dimension", dimension, 4)
    signal_power = checks.require_positive("signal_power", signal_power)
    noise = checks.require_positive("noise_power", noise_power) / signal_power
    if samples is None:
        return num_classes, dimension, noise, 0.0
    return num_classes, dimension, noise, noise / checks.require_whole("samples_per_class", samples, 1)


@lru_cache(maxsize=4096)
def sphere_codebook_accuracy(
    num_classes: int, dimension: int, signal_power: float, noise_power: float, samples_per_class: int | None = None
) -> float:
    """Accuracy for codewords uniform on the sphere of radius sqrt(g D), averaged over codebooks.

    A = E[(1 - P(t > cos a))^(J-1)], a the angle between image and own (estimated) codeword. Known codewords: the best
    learner, exact. Learned: the nearest of the projected class means, the exact value of this plug-in rule; the Bayes
    rule also weighs the lengths of the class means (.285 instead of .282 at D = 8, J = 32, g = s2, n = 1).

    Args:
        num_classes: J >= 1.
        dimension: D >= 4, numbers in an image; in fewer, rivals crowd around the image closer than the nodes.
        signal_power: g > 0, squared radius over D.
        noise_power: s2 > 0, variance of the noise, per coordinate.
        samples_per_class: n >= 1, training images a class; None for known codewords.

    Returns:
        The accuracy; quadrature error below 1e-6, measured by doubling the nodes up to J = 10^6.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> [round(sphere_codebook_accuracy(64, 16, 1.0, 1.0, n), 4) for n in (None, 1)]
        [0.8641, 0.4194]

    Source: derived in the module's first lines.
    """
    task = _check(num_classes, dimension, signal_power, noise_power, samples_per_class)
    num_classes, dimension, noise, mean_noise = task
    angles, weights = _angle_rule(dimension, noise, 40 if mean_noise == 0 else 16)
    if mean_noise == 0:
        half_chord = np.sin(angles / 2) ** 2  # (1 - cos a) / 2, without cancellation
    else:
        mean_angles, mean_weights = _angle_rule(dimension, mean_noise, 16)
        cosines, azimuth_weights = _azimuth_rule(dimension)
        difference = np.sin((angles[:, None] - mean_angles) / 2) ** 2
        turned = np.sin(angles)[:, None] * np.sin(mean_angles)
        half_chord = difference[..., None] + turned[..., None] * (1 - cosines) / 2
        weights = weights[:, None, None] * mean_weights[:, None] * azimuth_weights
    shape = (dimension - 1) / 2
    higher = special.betainc(shape, shape, np.clip(half_chord, 0.0, 1.0))
    with np.errstate(divide="ignore", under="ignore"):
        return min(float(np.sum(weights * np.exp((num_classes - 1) * np.log1p(-higher)))), 1.0)


def _angle_rule(dimension: int, noise: float, num_panels: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights for the angle of c + z from c, |c| = sqrt(D), z ~ N(0, noise I_D).

    Density ~ sin(a)^(D-2) int r^(D-1) exp(-(r^2 - 2 r |c| cos a) / (2 noise)) dr.
    """
    radius, across = np.sqrt(dimension / noise), np.sqrt(dimension - 1)  # lengths in units of the noise
    first = np.arctan2(max(across - REACH, 0.0), radius + REACH)
    last = np.arctan2(across + REACH, radius - REACH)
    nodes, widths = panel_nodes((first + (last - first) * np.linspace(0, 1, num_panels + 1))[None])
    angles = nodes.ravel()
    along = radius * np.cos(angles)
    peak = (along + np.sqrt(along**2 + 4 * (dimension - 1))) / 2
    low = np.maximum(peak - REACH, 0.0)[:, None]
    lengths, length_widths = panel_nodes(low + (peak[:, None] + REACH - low) * np.linspace(0, 1, 21))
    exponent = (dimension - 1) * np.log(lengths / peak[:, None, None]) - 0.5 * (lengths - along[:, None, None]) ** 2
    # |c|^2 sin^2 / 2 completes the square that `exponent` leaves out
    log_scale = (dimension - 2) * np.log(np.sin(angles)) + (dimension - 1) * np.log(peak)
    log_scale -= 0.5 * (radius * np.sin(angles)) ** 2
    top = exponent.max(axis=(1, 2))
    with np.errstate(under="ignore"):
        integral = np.sum(np.exp(exponent - top[:, None, None]) * length_widths * panel_rule()[1], axis=(1, 2))
        log_density = log_scale + top + np.log(integral)
        weights = np.exp(log_density - log_density.max()) * (widths * panel_rule()[1]).ravel()
    return angles, np.asarray(weights / weights.sum())


def _azimuth_rule(dimension: int) -> tuple[FloatArray, FloatArray]:
    """Cosine of the angle between the parts of two noise vectors across the codeword: D - 1 dimensions."""
    cosines, weights = special.roots_gegenbauer(_AZIMUTH_NODES, (dimension - 3) / 2)
    return np.asarray(cosines), np.asarray(weights / weights.sum())


@lru_cache(maxsize=4096)
def binary_codebook_accuracy(
    num_classes: int, dimension: int, signal_power: float, noise_power: float, samples_per_class: int | None = None
) -> Estimate:
    """Accuracy for codewords of independent fair +-sqrt(g), averaged over codebooks.

    A = E_x[(1 - P(sum_i +-x_i > sum_i f_i x_i))^(J-1)], f the own (estimated) codeword. Known codewords: the best
    learner. Learned: codewords are the signs of the class means, wrong with probability Q(sqrt(n g / s2)) a number;
    the Bayes rule, which weighs each number by its certainty, can be much better (.469 instead of .405 at D = 8,
    J = 16, g = s2, n = 1). The rivals' probability is a saddlepoint approximation, the average over images Monte Carlo
    with a fixed seed: quadrature over the noise along the codeword and its length across, directions and wrong signs
    drawn. The approximation adds at most .003 for D = 8 to 16, and less than .001 from D = 24 on (measured against
    simulations with standard errors of .0005 to .001).

    Args:
        num_classes: J >= 1, at most 2^(D/2): beyond it codewords coincide, which the saddlepoint does not see.
        dimension: D >= 8, numbers in an image.
        signal_power: g > 0, square of a codeword's numbers.
        noise_power: s2 > 0, variance of the noise, per coordinate.
        samples_per_class: n >= 1, training images a class; None for known codewords.

    Returns:
        The accuracy and its Monte Carlo standard error.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(binary_codebook_accuracy(64, 24, 0.5, 1.0).value, 2)
        0.79

    Source: Lugannani and Rice (1980), Advances in Applied Probability 12 [unchecked]; the rest derived above.
    """
    task = _check(num_classes, dimension, signal_power, noise_power, samples_per_class)
    num_classes, dimension, noise, mean_noise = task
    checks.require_whole("dimension", dimension, 8)
    checks.require(num_classes <= 2 ** (dimension / 2), "num_classes", f"<= 2^(D/2), D = {dimension}", num_classes)
    wrong = float(special.ndtr(-1 / np.sqrt(mean_noise))) if mean_noise > 0 else 0.0
    along = np.arange(-6.0, 6.1, 0.25)
    lengths, length_weights = norm_nodes(dimension - 1)
    kept = length_weights > 1e-9
    weights = np.outer(np.exp(-0.5 * along**2), length_weights[kept]).ravel()
    weights /= weights.sum()
    first, second = (part.ravel() for part in np.meshgrid(along, lengths[kept], indexing="ij"))
    rng = np.random.default_rng(SEED)
    values = []
    for _ in range(32 if wrong == 0 else int(np.clip(2e4 / dimension, 64, 256))):
        across = rng.standard_normal((len(weights), dimension))
        across -= across.mean(axis=1, keepdims=True)
        across *= (second / np.linalg.norm(across, axis=1))[:, None]
        images = 1 + np.sqrt(noise) * (first[:, None] / np.sqrt(dimension) + across)  # own codeword: all +1
        signs = np.where(rng.random(images.shape) < wrong, -1.0, 1.0) if wrong > 0 else 1.0
        higher = _sign_sum_tail(np.abs(images), np.sum(signs * images, axis=1))
        with np.errstate(under="ignore"):
            values.append(float(weights @ np.exp((num_classes - 1) * np.log1p(-higher))))
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values))))


def _sign_sum_tail(sizes: FloatArray, level: FloatArray) -> FloatArray:
    """P(sum_i +-a_i > level) for independent fair signs; sizes a >= 0 of shape (rows, D), level (rows,).

    K(t) = sum ln cosh(a t), K'(t) = |level|: K' is concave, so Newton from |level| / K''(0) rises to the root.
    """
    size = sizes.sum(axis=1)
    target = np.minimum(np.abs(level), size * (1 - 1e-9))  # at the very end only the own codeword itself is left
    t = target / np.sum(sizes**2, axis=1)
    for _ in range(_SADDLE_STEPS):
        tanh = np.tanh(sizes * t[:, None])
        slope = np.sum(sizes**2 * (1 - tanh**2), axis=1)
        step = (target - np.sum(sizes * tanh, axis=1)) / np.maximum(slope, 1e-300)
        moved = t + np.minimum(step, 1.0 + t)
        if np.all(np.abs(moved - t) < 1e-7 * (1 + t)):
            break
        t = moved
    product = sizes * t[:, None]
    cumulant = np.sum(product + np.log1p(np.exp(-2 * product)) - np.log(2.0), axis=1)
    w = np.sqrt(2 * np.maximum(t * target - cumulant, 0.0))
    u = t * np.sqrt(np.maximum(slope, 1e-300))
    safe = w > 1e-3  # the correction vanishes with w, the law being symmetric
    with np.errstate(under="ignore"):
        density = np.exp(-0.5 * w**2) / np.sqrt(2 * np.pi)
        correction = density * (1 / np.where(safe, u, 1.0) - 1 / np.where(safe, w, 1.0))
        # Chernoff's bound holds the formula where only a few sign patterns are left beyond the level
        tail = np.clip(special.ndtr(-w) + np.where(safe, correction, 0.0), 0.0, np.exp(-0.5 * w**2))
    return np.asarray(np.clip(np.where(level >= 0, tail, 1 - tail), 0.0, 1 - 1e-16))
