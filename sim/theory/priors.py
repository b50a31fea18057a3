"""Random Gaussian codebooks whose classes are not equally frequent, as in Zipf's law p_j ~ j^-a.

The learner knows the frequencies p_j and has n_j examples of class j. The best one on average over codebooks scores

    S_j = ln p_j - (D/2) ln V_j - |x - k_j mean_j|^2 / (2 V_j),   k_j = g / (g + s2/n_j),   V_j = s2 + k_j s2/n_j

(n_j = 0: k = 0, V = g + s2; known codewords: k = 1, V = s2). Given |x| the scores of different classes are
independent, own and rival distances being scaled noncentral chi, so with deterministic counts

    A = sum_y p_y E_|x| E_own [ prod_(j != y) P(S_j < S_y) ],

a two-dimensional integral again. Classes with the same (p, n) are one group of the sums.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from sim.theory import checks
from sim.theory.composition import SEED, Estimate
from sim.theory.distances import (
    REACH,
    cumulative,
    noncentral_chi_log_density,
    norm_nodes,
    panel_nodes,
    panel_rule,
)
from sim.theory.frequencies import check_frequencies
from sim.types import FloatArray

MAX_PANELS = 400  # equal ones over all scores; more where a group needs its own
MAX_GROUPS = 2048  # distinct (p, n): a few seconds


class _Group(NamedTuple):
    """Classes of one frequency and count: the score of each is `offset` - `slope` * distance^2."""

    members: int
    frequency: float
    offset: float
    slope: float
    pull: float
    own_power: float
    rival_power: float


def unequal_codebook_accuracy(
    frequencies: Any, dimension: int, signal_power: float, noise_power: float, counts: Any = None
) -> float:
    """Accuracy of the best learner of classes with frequencies p_j and n_j examples each, averaged over codebooks.

    A = sum_y p_y E[prod_(j != y) P(S_j < S_y)] (the module's first lines). Test images follow the frequencies. Exact
    up to quadrature, 1e-6 (tested against the equal-count integral). Milliseconds for D > 3; seconds for D = 2 and 3 or
    for a signal too weak to change the order of the frequencies.

    Args:
        frequencies: p_j >= 0, shape (J,), summing to one (within 1e-6).
        dimension: D >= 2, numbers in an image.
        signal_power: g > 0, variance of a codeword, per coordinate.
        noise_power: s2 > 0, variance of the noise, per coordinate.
        counts: n_j, whole numbers >= 0, shape (J,); None for known codewords.

    Raises:
        ValueError: an argument breaks its rule; more than 2048 distinct (p, n).

    Example:
        >>> from sim.theory.frequencies import proportional_counts, zipf_frequencies
        >>> zipf = zipf_frequencies(64, 1.0)
        >>> round(unequal_codebook_accuracy(zipf, 16, 1.0, 1.0), 4)  # known codewords
        0.8851
        >>> round(unequal_codebook_accuracy(zipf, 16, 1.0, 1.0, proportional_counts(zipf, 256)), 4)
        0.7684

    Source: derived in the module's first lines.
    """
    shares = check_frequencies(frequencies)
    dimension = checks.require_whole("dimension", dimension, 2)
    signal_power = checks.require_positive("signal_power", signal_power)
    noise_power = checks.require_positive("noise_power", noise_power)
    if counts is None:
        examples = np.full(shares.shape, np.inf)
    else:
        examples = np.asarray(counts, dtype=np.float64)
        checks.require(examples.shape == shares.shape, "counts", f"of shape {shares.shape}", examples.shape)
        checks.require(bool(np.all((examples >= 0) & (examples % 1 == 0))), "counts", "whole numbers >= 0", counts)
    present = shares > 0
    rows, members = np.unique(np.stack([shares[present], examples[present]]), axis=1, return_counts=True)
    checks.require(len(members) <= MAX_GROUPS, "number of distinct (p, n)", f"<= {MAX_GROUPS}", len(members))
    groups = tuple(
        _describe(int(many), float(share), float(count), dimension, signal_power, noise_power)
        for share, count, many in zip(*rows, members, strict=True)
    )
    return _accuracy(groups, dimension, signal_power + noise_power)


def unequal_independent_accuracy(
    frequencies: Any, dimension: int, signal_power: float, noise_power: float, num_images: int, num_draws: int = 32
) -> Estimate:
    """The same for training images whose labels are drawn independently with the frequencies p_j, I of them in all.

    The mean of `unequal_codebook_accuracy` over multinomial class counts, drawn with a fixed seed: unbiased, with its
    standard error, which is small because only the counts are drawn: .01 or less with 32 draws in all cases tried
    (J from 16), .002 or less from J = 64 on.

    Args:
        num_images: I >= 1.
        num_draws: count vectors drawn, >= 2; each costs about a millisecond a distinct (p, n).
        (others as in `unequal_codebook_accuracy`)

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> from sim.theory.frequencies import zipf_frequencies
        >>> estimate = unequal_independent_accuracy(zipf_frequencies(64, 1.0), 16, 1.0, 1.0, 256, num_draws=8)
        >>> abs(estimate.value - 0.75) < 0.03
        True

    Source: derived in the module's first lines.
    """
    shares = check_frequencies(frequencies)
    num_images = checks.require_whole("num_images", num_images, 1)
    num_draws = checks.require_whole("num_draws", num_draws, 2)
    counts = np.random.default_rng(SEED).multinomial(num_images, shares, size=num_draws)
    values = [unequal_codebook_accuracy(shares, dimension, signal_power, noise_power, row) for row in counts]
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(num_draws)))


def _describe(
    members: int, share: float, count: float, dimension: int, signal_power: float, noise_power: float
) -> _Group:
    image_power = signal_power + noise_power
    if count == 0:  # all that is left of the distance is |x|^2: pull, own and rival powers are zero
        offset = np.log(share) - 0.5 * dimension * np.log(image_power)
        return _Group(members, share, offset, 0.5 / image_power, 0.0, 0.0, 0.0)
    mean_noise = noise_power / count
    k = signal_power / (signal_power + mean_noise)
    variance = noise_power + k * mean_noise
    rival_power = k * signal_power
    pull = k * signal_power / image_power
    own_power = rival_power - pull * pull * image_power
    offset = np.log(share) - 0.5 * dimension * np.log(variance)
    return _Group(members, share, offset, 0.5 / variance, pull, own_power, rival_power)


@lru_cache(maxsize=1024)
def _accuracy(groups: tuple[_Group, ...], dimension: int, image_power: float) -> float:
    """The integral over |x| and u = sqrt(top - own score); u grows with distance for every group."""
    norms, norm_weights = norm_nodes(dimension)
    norms = norms[:, None] * np.sqrt(image_power)
    seen = [group for group in groups if group.rival_power > 0]
    unseen = [group for group in groups if group.rival_power == 0]
    top = max(group.offset for group in groups)

    def coordinate(group: _Group, distance: FloatArray) -> FloatArray:
        return np.sqrt(top - group.offset + group.slope * distance**2)

    # of the unseen classes only the most frequent can be chosen
    best = max(unseen, key=lambda group: group.offset, default=None)
    unseen_at = np.full_like(norms, np.inf) if best is None else coordinate(best, norms)
    if not seen:
        return best.frequency if best else 0.0

    first, last, step = [], [], np.inf
    for group in seen:
        own_scale, rival_scale = np.sqrt(group.own_power), np.sqrt(group.rival_power)
        middle = np.sqrt(((1 - group.pull) * norms) ** 2 + dimension * group.own_power)
        rival_middle = np.sqrt(norms**2 + dimension * group.rival_power)
        tail = np.minimum(rival_middle - REACH * rival_scale, middle - REACH * own_scale - 4 * rival_scale)
        first.append(coordinate(group, np.maximum(tail, 0.0)))
        last.append(coordinate(group, middle + REACH * own_scale))
        # panels as fine as the narrowest own density needs, in units of u
        step = min(step, float(np.median(0.6 * own_scale * group.slope * middle / coordinate(group, middle))))
    start, stop = np.minimum.reduce(first), np.maximum.reduce(last)
    num_panels = int(np.ceil(np.max(stop - start) / step))
    fractions = np.linspace(0, 1, min(num_panels, MAX_PANELS) + 1)
    edges = [start + (stop - start) * fractions, np.clip(unseen_at, start, stop)]
    if num_panels > MAX_PANELS:  # a weak signal: narrow densities, set apart by the frequencies
        edges += [low + (high - low) * np.linspace(0, 1, 41) for low, high in zip(first, last, strict=True)]
    if dimension <= 8:  # where a group's distance is zero, its density has a kink in few dimensions
        grades = [0.0] if dimension > 3 else [0.0, *(4.0 ** -np.arange(8))]
        zeros = [np.sqrt(top - group.offset) + step * grade for group in seen for grade in grades]
        edges.append(np.clip(np.array(zeros), start, stop))
    nodes, widths = panel_nodes(np.sort(np.concatenate(edges, axis=1), axis=1))
    rule = norm_weights[:, None, None] * widths * panel_rule()[1]
    above_unseen = nodes < unseen_at[..., None]

    log_all = np.zeros_like(nodes)  # ln prod_j P(S_j < score at the node), every seen class a rival
    log_unseen = np.zeros(len(norms))
    kept = []  # of each own density, which must integrate to one
    own = np.zeros_like(nodes)  # sum_y p_y own density / P(S_y < score): takes the class itself out of the product
    for group in seen:
        squared = (nodes**2 - (top - group.offset)) / group.slope
        distance = np.sqrt(np.maximum(squared, 1e-280))
        stretch = np.where(squared > 0, nodes / (group.slope * distance), 0.0)
        rival = _density(distance, stretch, group.rival_power, norms, dimension)
        higher = np.minimum(cumulative(rival, widths), 1 - 1e-16)
        log_lower = np.log1p(-higher)
        log_all += group.members * log_lower
        density = _density(distance, stretch, group.own_power, (1 - group.pull) * norms, dimension)
        kept.append(float(np.sum(rule * density)))
        own += group.members * group.frequency * density / (1 - higher)
        if best is not None:
            before = np.sum(rival * above_unseen * widths * panel_rule()[1], axis=(1, 2))
            log_unseen += group.members * np.log1p(-np.minimum(before, 1 - 1e-16))
    lost = float(np.max(np.abs(np.array(kept) - 1)))
    if not lost < 1e-5:  # also catches NaN
        raise ArithmeticError(f"the quadrature must keep all probability, lost {lost} at D={dimension}, {groups[0]}")
    with np.errstate(under="ignore"):
        total = float(np.sum(rule * own * np.exp(log_all) * above_unseen))
        if best is not None:
            # M classes that share this score are each right with frequency p and guessed with probability 1/M
            total += best.frequency * float(norm_weights @ np.exp(log_unseen))
    return min(total, 1.0)


def _density(distance: FloatArray, stretch: FloatArray, power: float, centre: FloatArray, dimension: int) -> FloatArray:
    """Density in u of a distance of the given power, around points at `centre`."""
    scale = np.sqrt(power)
    log_density = noncentral_chi_log_density(distance / scale, centre[..., None] / scale, dimension)
    with np.errstate(under="ignore"):
        return np.asarray(np.exp(log_density) * stretch / scale)
