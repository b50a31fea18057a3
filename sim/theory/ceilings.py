"""The best accuracy any learner can reach on the tasks of this project: exact, or Monte Carlo with a fixed seed.

The public face of the ceilings. The numerics live beside it: `codebooks` (equal class counts), `counts` (independent
labels), `composition` (tiles), `fields` (chains and Ising grids), `dictionaries` (discs). Values are cached: a call
costs its time once.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from sim.theory import checks, codebooks, composition, counts
from sim.theory.dictionaries import DiscCeilings, dictionary_ceilings, disc_ceilings
from sim.theory.fields import FieldCeilings, chain_ceilings, ising_ceilings
from sim.types import FloatArray

__all__ = [
    "DiscCeilings",
    "FieldCeilings",
    "chain_ceilings",
    "class_mean_accuracy",
    "composed_accuracy",
    "dictionary_ceilings",
    "disc_ceilings",
    "gaussian_codebook_accuracy",
    "gaussian_codebook_curve",
    "ising_ceilings",
    "lookup_accuracy",
    "orthogonal_accuracy",
    "pixel_accuracy",
]

LEARNERS = ("bayes", "plugin")
CLASS_COUNTS = ("equal", "iid")


@lru_cache(maxsize=4096)
def orthogonal_accuracy(num_classes: int, separation: float) -> float:
    """Accuracy on J known orthogonal codewords: A = int phi(z - d) Phi(z)^(J-1) dz.

    Args:
        num_classes: J >= 1.
        separation: d >= 0, codeword length over noise standard deviation; d^2/2 is the capacity in nats.

    Example:
        >>> round(orthogonal_accuracy(8, 2.0), 8)
        0.71099828

    Source: M-ary orthogonal signalling, Proakis, Digital Communications, section 4.4.
    """
    num_classes = checks.require_whole("num_classes", num_classes, 1)
    separation = checks.require_not_negative("separation", separation)
    # the trapezoidal rule converges exponentially; rivals' largest score lies below 9 for J up to 1e18
    z = np.linspace(-10.0, separation + 10.0, int(40 * (separation + 20)) + 1)
    log_integrand = -0.5 * (z - separation) ** 2 + (num_classes - 1) * special.log_ndtr(z)
    with np.errstate(under="ignore"):
        return min(float(np.sum(np.exp(log_integrand)) * (z[1] - z[0]) / np.sqrt(2 * np.pi)), 1.0)


@lru_cache(maxsize=65536)
def gaussian_codebook_accuracy(
    num_classes: int,
    dimension: int,
    signal_power: float,
    noise_power: float,
    samples_per_class: float | None = None,
    learner: str = "bayes",
    class_counts: str = "equal",
    effective_samples: float | None = None,
) -> float:
    """Accuracy of the best learner of J random codewords from n examples each, averaged over codebooks.

    Codewords c_j ~ N(0, g I_D), images c_y + N(0, s2 I_D); the learner scores by the distance to k * class mean:
    A(n, J) = E[(1 - F_rival)^(J-1)]. With `learner="bayes"` no learner does better on average. `class_counts="iid"`
    is the same for labels drawn independently (n = I/J on average, I fixed); see `sim.theory.counts`.

    Args:
        num_classes: J >= 1.
        dimension: D >= 1, numbers in an image.
        signal_power: g >= 0, variance of a codeword, per coordinate.
        noise_power: s2 > 0, variance of the noise, per coordinate.
        samples_per_class: n, training images a class; None for known codewords.
        learner: "bayes" (k = g / (g + s2/n)) or "plugin" (k = 1; classes without examples are never chosen).
        class_counts: "equal", n whole; or "iid", any n > 0 with J n whole.
        effective_samples: any real n >= 0 in the equal formula, a law and not a ceiling; excludes `samples_per_class`.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(gaussian_codebook_accuracy(100, 10, 1.0, 0.5), 7)
        0.7974409
        >>> round(gaussian_codebook_accuracy(64, 64, 0.25, 1.0, samples_per_class=4), 4)
        0.5945

    Source: derived in the documentation of this project (theory); leading term Willems et al. (2003).
    """
    num_classes = checks.require_whole("num_classes", num_classes, 1)
    dimension = checks.require_whole("dimension", dimension, 1)
    signal_power = checks.require_not_negative("signal_power", signal_power)
    noise_power = checks.require_positive("noise_power", noise_power)
    checks.require_one_of("learner", learner, LEARNERS)
    checks.require_one_of("class_counts", class_counts, CLASS_COUNTS)
    samples = samples_per_class
    if effective_samples is not None:
        if samples is not None or class_counts != "equal":
            raise ValueError("effective_samples replaces samples_per_class and needs class_counts='equal'")
        samples = checks.require_not_negative("effective_samples", effective_samples)
    elif samples is not None:
        samples = _whole_images(samples, num_classes, class_counts, "samples_per_class", "num_classes")
    if num_classes == 1 or samples == 0 or _no_signal(signal_power, noise_power, samples):
        return 1.0 / num_classes
    if samples is None or class_counts == "equal":
        mean_noise = 0.0 if samples is None else noise_power / samples
        table = codebooks.margin_table(dimension, signal_power, noise_power, mean_noise, learner)
        return table.accuracy(np.log(num_classes - 1))
    return counts.independent_labels_accuracy(num_classes, dimension, signal_power, noise_power, samples, learner)


def _no_signal(signal_power: float, noise_power: float, samples: float | None = None) -> bool:
    """Whether image and class mean are uncorrelated up to 1e-7, so that every rule guesses."""
    signal_share = signal_power / (signal_power + noise_power)
    mean_share = 1.0 if samples is None else signal_power / (signal_power + noise_power / samples)
    return signal_share < codebooks.NO_SIGNAL or signal_share * mean_share < codebooks.NO_SIGNAL**2


def _whole_images(samples: float, classes: int, class_counts: str, name: str, classes_name: str) -> float:
    """Check that n examples a class can be drawn; returns n."""
    if class_counts == "equal":
        checks.require(
            float(samples).is_integer() and samples >= 1,
            name,
            "a whole number >= 1 with class_counts='equal': unequal counts follow another formula, "
            "class_counts='iid', and a law in real n takes effective_samples",
            samples,
        )
        return float(samples)
    samples = checks.require_positive(name, samples)
    images = samples * classes
    whole = abs(images - round(images)) < 1e-6 * max(images, 1.0) and round(images) >= 1
    checks.require(whole, f"{classes_name} * {name}", "a whole number of images >= 1", images)
    return round(images) / classes


def gaussian_codebook_curve(
    num_classes: int, dimension: int, signal_power: float, noise_power: float, effective_samples: Any
) -> FloatArray:
    """`gaussian_codebook_accuracy` of the Bayes learner for many real n at once, from a cached table: for fits.

    Args:
        effective_samples: n >= 0, any shape; infinity gives known codewords.

    Returns:
        Accuracies in the shape of `effective_samples`, within 1e-4, and within 1e-6 where D >= 16 (tested).

    Example:
        >>> gaussian_codebook_curve(64, 64, 0.25, 1.0, np.array([0.0, 4.0])).round(4).tolist()
        [0.0156, 0.5945]
    """
    num_classes = checks.require_whole("num_classes", num_classes, 1)
    dimension = checks.require_whole("dimension", dimension, 1)
    signal_power = checks.require_not_negative("signal_power", signal_power)
    noise_power = checks.require_positive("noise_power", noise_power)
    samples = np.asarray(effective_samples, dtype=np.float64)
    checks.require(bool(np.all(samples >= 0)), "effective_samples", ">= 0", effective_samples)
    if num_classes == 1 or _no_signal(signal_power, noise_power):
        return np.full(samples.shape, 1.0 / num_classes)
    task = np.array([[num_classes, dimension, signal_power, noise_power]], dtype=np.float64)
    return codebooks.learning_curve(task, samples[None])[0]


@lru_cache(maxsize=4096)
def composed_accuracy(
    tiles: int,
    labels: int,
    tile_dimension: int,
    signal_power: float,
    noise_power: float,
    samples_per_codeword: float | None = None,
    similarity: float = 1.0,
    class_counts: str = "equal",
) -> float:
    """Exact match on images of m tiles for the learner that knows the composition.

    Own codebooks (similarity 0): A(n, L)^m, exact. A shared codebook (similarity 1): E[a^m], a the accuracy of a tile
    given codebook and training images, by Monte Carlo (standard error below 1e-3 with a tenth of a second to one).

    The decision is tile by tile. With own or with known codewords it is the best possible; with a learned shared
    codebook the m tiles of the test image itself hold a little more about the codewords, which is not used.

    Args:
        tiles: m >= 1.
        labels: L >= 1 of each tile; J = L^m.
        tile_dimension: numbers in one tile.
        signal_power, noise_power: as in `gaussian_codebook_accuracy`.
        samples_per_codeword: training tiles of each codeword: I/L with own codebooks, I m/L with a shared one;
            None for known codewords.
        similarity: 0 or 1; between them the best learner is not known in closed form.
        class_counts: "equal" or "iid" for the labels of the tiles.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(composed_accuracy(2, 10, 10, 1.0, 0.5, similarity=0.0), 5)  # .9615717^2
        0.92462
    """
    tiles = checks.require_whole("tiles", tiles, 1)
    labels = checks.require_whole("labels", labels, 1)
    checks.require_one_of("class_counts", class_counts, CLASS_COUNTS)
    if samples_per_codeword is not None:
        samples_per_codeword = _whole_images(
            samples_per_codeword, labels, class_counts, "samples_per_codeword", "labels"
        )
    checks.require(similarity in (0, 1), "similarity", "0 (own codebooks) or 1 (one shared codebook)", similarity)
    tile_accuracy = gaussian_codebook_accuracy(
        labels, tile_dimension, signal_power, noise_power, samples_per_codeword, class_counts=class_counts
    )
    if tiles == 1 or similarity == 0 or tile_accuracy in (0.0, 1.0) or _no_signal(signal_power, noise_power):
        return tile_accuracy**tiles
    samples = np.inf if samples_per_codeword is None else float(samples_per_codeword)
    equal = class_counts == "equal" or samples_per_codeword is None
    return composition.shared_codebook_match(
        tiles, labels, int(tile_dimension), signal_power, noise_power, samples, equal, tile_accuracy
    ).value


@lru_cache(maxsize=4096)
def class_mean_accuracy(
    tiles: int,
    labels: int,
    tile_dimension: int,
    signal_power: float,
    noise_power: float,
    samples_per_map: float,
    similarity: float = 1.0,
    class_counts: str = "equal",
) -> float:
    """Exact match on images of m tiles for the learner that treats the J = L^m maps as unrelated classes.

    It is the shrunken class-mean rule of `gaussian_codebook_accuracy`, applied to data on which rival maps may differ
    in one tile only: far below the random-codebook formula. Monte Carlo with a fixed seed; standard error below .01.

    Args:
        samples_per_map: n = I/J, whole with class_counts "equal"; any n > 0 with J n whole with "iid".
        similarity: s in [0, 1], correlation of the codewords of one label on two tiles.
        (others as in `composed_accuracy`)

    Raises:
        ValueError: an argument breaks its rule; more than 2^20 maps.

    Example:
        >>> 0.05 < class_mean_accuracy(5, 4, 8, 1.0, 1.0, samples_per_map=1) < 0.20
        True
    """
    tiles = checks.require_whole("tiles", tiles, 1)
    labels = checks.require_whole("labels", labels, 1)
    tile_dimension = checks.require_whole("tile_dimension", tile_dimension, 1)
    signal_power = checks.require_not_negative("signal_power", signal_power)
    noise_power = checks.require_positive("noise_power", noise_power)
    similarity = checks.require_between("similarity", similarity, 0, 1)
    checks.require_one_of("class_counts", class_counts, CLASS_COUNTS)
    num_maps = labels**tiles
    checks.require(num_maps <= 2**20, "labels**tiles", "<= 2^20", num_maps)
    samples = _whole_images(samples_per_map, num_maps, class_counts, "samples_per_map", "labels**tiles")
    if num_maps == 1 or _no_signal(signal_power, noise_power):
        return 1.0 / num_maps
    return composition.class_mean_match(
        tiles, labels, tile_dimension, signal_power, noise_power, samples, class_counts == "equal", similarity
    ).value


def pixel_accuracy(num_labels: int, separation: float) -> float:
    """Accuracy on L equally likely, equally spaced means in normal noise: 1 - 2 (1 - 1/L) Q(r/2).

    Args:
        num_labels: L >= 1.
        separation: r = spacing / noise standard deviation, >= 0.

    Example:
        >>> round(pixel_accuracy(4, 4.0), 8)
        0.9658748

    Source: pulse amplitude modulation, Proakis, Digital Communications, section 4.3.
    """
    num_labels = checks.require_whole("num_labels", num_labels, 1)
    separation = checks.require_not_negative("separation", separation)
    return float(1 - 2 * (1 - 1 / num_labels) * special.ndtr(-separation / 2))


def lookup_accuracy(num_outputs: int, num_inputs: int, guess: str = "uniform") -> float:
    """Accuracy of a learner that has memorised I noiseless images with uniform labels among J.

    s = 1 - (1 - 1/J)^I is the probability that the test label was seen; guessing uniformly A = s + (1 - s)/J,
    guessing among the U unseen labels A = s + P(U >= 1)/J.

    Args:
        num_outputs: J >= 1.
        num_inputs: I >= 0.
        guess: "uniform" or "unseen".

    Example:
        >>> round(lookup_accuracy(16, 64), 8), round(lookup_accuracy(16, 64, guess="unseen"), 8)
        (0.98492932, 0.99860073)

    Source: the coupon collector's problem, Feller, An Introduction to Probability Theory, volume 1, IV.2.
    """
    num_outputs = checks.require_whole("num_outputs", num_outputs, 1)
    num_inputs = checks.require_whole("num_inputs", num_inputs, 0)
    checks.require_one_of("guess", guess, ("uniform", "unseen"))
    unseen = float(np.exp(num_inputs * np.log1p(-1 / num_outputs))) if num_outputs > 1 else float(num_inputs == 0)
    if guess == "uniform":
        return 1 - unseen + unseen / num_outputs
    return 1 - unseen + (1 - _all_seen(num_outputs, num_inputs, num_outputs * unseen)) / num_outputs


def _all_seen(num_outputs: int, num_inputs: int, expected_unseen: float) -> float:
    """P(every label was seen), error below 1e-6 / J after the division by J above."""
    if num_inputs < num_outputs:
        return 0.0
    if expected_unseen > 14:  # the alternating sum would cancel; U is Poisson to first order, P(0) < 1e-6
        return float(np.exp(-expected_unseen))
    k = np.arange(min(num_outputs, 200))
    log_terms = special.gammaln(num_outputs + 1) - special.gammaln(k + 1) - special.gammaln(num_outputs - k + 1)
    log_terms += num_inputs * np.log1p(-k / num_outputs)
    return float(np.clip(np.sum(np.exp(log_terms) * (-1.0) ** k), 0.0, 1.0))
