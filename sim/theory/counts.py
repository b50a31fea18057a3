"""Random Gaussian codebooks when the labels of the training images are drawn independently and uniformly.

Classes then have unequal counts, some none at all, and a count is itself information. With n examples a class scores

    S_n = -(D/2) ln V_n - |x - k_n mean|^2 / (2 V_n),   V_n = s2 + k_n s2/n   (n = 0: k = 0, V = g + s2),

and, with class-count probabilities p_n of a Poisson number of images,

    A = sum_n p_n E[(sum_m p_m P(S_m < S_n))^(J-1)] + E[(p_0 + q)^J - q^J] / J,   q = sum_{m>0} p_m P(S_m < S_0),

where the last term is the tie between all classes without examples. A fixed number of images I makes the counts
multinomial: the same expression with p_n e^(i t n) in place of p_n is the characteristic function of the total, and
its Fourier coefficient at I, divided by P(Poisson(I) = I), is the exact value. For many classes or counts the Poisson
value P(I) is close and 2 P(I) - [P(I + sqrt I) + P(I - sqrt I)] / 2 removes the spread of its total to 1e-5 (tested).
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sim.theory.codebooks import shrinkage
from sim.theory.distances import REACH, cumulative, noncentral_chi_log_density, norm_nodes, panel_nodes, panel_rule
from sim.types import FloatArray

ComplexArray: TypeAlias = NDArray[np.complex128]

EXACT_BELOW_CLASSES = 256  # the exact sum below this and below the mean count of _CHARLIER_FROM
_CHARLIER_FROM = 24.0  # mean count from which 16 Gauss-Charlier nodes replace the sum over all counts


class _Count(NamedTuple):
    """One class count: its score is `offset` - `slope` * distance^2, distances are scaled noncentral chi."""

    offset: float
    slope: float
    pull: float
    own_power: float
    rival_power: float


def _describe(count: float, dimension: int, signal_power: float, noise_power: float, learner: str) -> _Count:
    mean_noise = noise_power / count
    k = shrinkage(signal_power, mean_noise, learner)
    image_power = signal_power + noise_power
    rival_power = k * k * (signal_power + mean_noise)
    pull = k * signal_power / image_power
    own_power = rival_power - pull * pull * image_power
    if learner == "plugin":
        return _Count(0.0, 0.5, pull, own_power, rival_power)
    variance = noise_power + k * mean_noise
    return _Count(-0.5 * dimension * np.log(variance), 0.5 / variance, pull, own_power, rival_power)


def _poisson(counts: FloatArray | int, mean: float) -> FloatArray:
    return np.asarray(np.exp(special.xlogy(counts, mean) - mean - special.gammaln(np.asarray(counts) + 1.0)))


def _poisson_rule(mean: float) -> tuple[FloatArray, FloatArray]:
    """Counts and their probabilities: every count that matters, or a Gauss rule for the Poisson weight."""
    if mean < _CHARLIER_FROM:
        counts = np.arange(np.ceil(special.pdtrik(1 - 1e-13, mean)) + 1)
        probabilities = _poisson(counts, mean)
        keep = (probabilities > 1e-14) | (counts == 0)
        return counts[keep], probabilities[keep]
    order = np.arange(16)
    jacobi = np.diag(order + mean) + np.diag(np.sqrt(mean * order[1:]), 1) + np.diag(np.sqrt(mean * order[1:]), -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    return np.concatenate([[0.0], nodes]), np.concatenate([[0.0], vectors[0] ** 2])


def independent_labels_accuracy(
    num_classes: int, dimension: int, signal_power: float, noise_power: float, mean_count: float, learner: str
) -> float:
    """A for I = J * `mean_count` images with independent uniform labels (see the module's first lines)."""

    def rule(mean: float) -> "_Rule":
        return _make_rule(num_classes, dimension, signal_power, noise_power, mean, learner)

    if num_classes < EXACT_BELOW_CLASSES and mean_count < _CHARLIER_FROM:
        return min(_fixed_total(rule(mean_count), num_classes, mean_count), 1.0)
    spread = np.sqrt(mean_count / num_classes)  # sqrt(I) / J
    middle, more, fewer = (rule(mean_count + shift).at(num_classes, 0.0).real for shift in (0.0, spread, -spread))
    return float(np.clip(2 * middle - (more + fewer) / 2, 0.0, 1.0))


def _make_rule(
    num_classes: int, dimension: int, signal_power: float, noise_power: float, mean_count: float, learner: str
) -> "_Rule":
    """The quadrature over |x| and the own score for class counts of the given mean."""
    counts, probabilities = _poisson_rule(mean_count)
    seen = [_describe(n, dimension, signal_power, noise_power, learner) for n in counts[1:]]
    image_power = signal_power + noise_power
    norms, norm_weights = norm_nodes(dimension)
    norms = norms[:, None] * np.sqrt(image_power)
    top = max(count.offset for count in seen)  # u = sqrt(top - score) grows with distance for every count

    def coordinate(count: _Count, distance: FloatArray) -> FloatArray:
        return np.sqrt(top - count.offset + count.slope * distance**2)

    start, stop, step = np.full_like(norms, np.inf), np.zeros_like(norms), np.inf
    for count in seen:
        own_scale, rival_scale = np.sqrt(count.own_power), np.sqrt(count.rival_power)
        middle = np.sqrt(((1 - count.pull) * norms) ** 2 + dimension * count.own_power)
        rival_middle = np.sqrt(norms**2 + dimension * count.rival_power)
        tail = np.minimum(rival_middle - REACH * rival_scale, middle - REACH * own_scale - 4 * rival_scale)
        start = np.minimum(start, coordinate(count, np.maximum(tail, 0.0)))
        stop = np.maximum(stop, coordinate(count, middle + REACH * own_scale))
        # panels as fine as the narrowest own density needs, in units of u
        step = min(step, float(np.median(0.6 * own_scale * count.slope * middle / coordinate(count, middle))))
    unseen_at = np.full_like(norms, np.inf)
    if learner == "bayes" and probabilities[0] > 0:
        unseen_score = -0.5 * dimension * np.log(image_power) - norms**2 / (2 * image_power)
        unseen_at = np.sqrt(np.maximum(top - unseen_score, 0.0))
        stop = np.maximum(stop, unseen_at)
    num_panels = min(int(np.ceil(np.max(stop - start) / step)), 400)
    edges = [start + (stop - start) * np.linspace(0, 1, num_panels + 1), np.clip(unseen_at, start, stop)]
    if dimension <= 8:
        # where a count's own distance is zero densities are singular (D = 1), and in few dimensions the nearest of
        # J rivals lies at a distance of order J^(-1/D), of which the coordinate may be the square
        log_finest = max(float(np.log(num_classes)), 7.0 if dimension <= 2 else 0.0)
        grades = [0.0, *(4.0 ** -np.arange(1, 3 + np.ceil(2 * log_finest / np.log(4) / dimension)))]
        zeros = np.array([np.sqrt(top - count.offset) + step * grade for count in seen for grade in grades])
        edges.append(np.clip(zeros, start, stop))
    nodes, widths = panel_nodes(np.sort(np.concatenate(edges, axis=1), axis=1))

    shape = (len(seen) + 1, nodes.size)
    own, lower = np.zeros(shape), np.ones(shape)  # own densities x weights; P(S_m < score at the node)
    lower_unseen = np.zeros((len(seen), len(norms)))  # P(S_m < S_0)
    lower[0] = (nodes < unseen_at[..., None]).ravel()
    before = (nodes < unseen_at[..., None]) * widths * panel_rule()[1]
    for index, count in enumerate(seen):
        squared = (nodes**2 - (top - count.offset)) / count.slope
        distance = np.sqrt(np.maximum(squared, 1e-280))
        stretch = np.where(squared > 0, nodes / (count.slope * distance), 0.0)

        def density(
            power: float, centre: FloatArray, distance: FloatArray = distance, stretch: FloatArray = stretch
        ) -> FloatArray:
            scale = np.sqrt(power)
            log_density = noncentral_chi_log_density(distance / scale, centre[..., None] / scale, dimension)
            return np.asarray(np.exp(log_density) * stretch / scale)

        weight = norm_weights[:, None, None] * widths * panel_rule()[1]
        own[index + 1] = (density(count.own_power, (1 - count.pull) * norms) * weight).ravel()
        rival = density(count.rival_power, norms)
        lower[index + 1] -= np.minimum(cumulative(rival, widths), 1.0).ravel()
        lower_unseen[index] = 1 - np.minimum((rival * before).sum(axis=(1, 2)), 1.0)
    lost = float(np.max(np.abs(own[1:].sum(axis=1) - 1)))
    if not lost < 1e-3:  # also catches NaN
        raise ArithmeticError(
            f"the quadrature must keep all probability, lost {lost} at D={dimension}, J={num_classes}"
        )
    keep = own.max(axis=0) > 1e-25
    own, above = own[:, keep], 1 - lower[:, keep]
    return _Rule(counts, probabilities, own, above, lower_unseen, norm_weights, learner == "bayes")


class _Rule(NamedTuple):
    """All quadrature the sums over counts need; `at(J, t)` is the accuracy expression with p_n e^(i t n)."""

    counts: FloatArray
    probabilities: FloatArray
    own: FloatArray
    above: FloatArray
    lower_unseen: FloatArray
    norm_weights: FloatArray
    ties: bool

    def at(self, num_classes: int, angle: float) -> complex:
        phased = self.probabilities * np.exp(1j * angle * self.counts)
        with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
            # total minus the part above, so that J = 10^6 rivals see 1 - F without cancellation
            mixture = phased.sum() - _combine(phased, self.above)
            total = np.sum(_combine(phased, self.own) * mixture ** (num_classes - 1))
            if self.ties and self.probabilities[0] > 0:
                below = _combine(phased[1:], self.lower_unseen)
                both = phased[0] + below
                tied = both**num_classes - below**num_classes
                total += np.sum(self.norm_weights * tied) / num_classes
        return complex(total)


def _combine(phased: ComplexArray, table: FloatArray) -> ComplexArray:
    """sum_n phased_n table_n of shape (nodes,), real and imaginary part by one real product."""
    parts = np.stack([phased.real, phased.imag])
    real, imaginary = np.einsum("an,nk->ak", parts, table)
    return np.asarray(real + 1j * imaginary)


def _fixed_total(rule: _Rule, num_classes: int, mean_count: float) -> float:
    """The Fourier coefficient at exactly I = J * mean_count images."""
    images = round(num_classes * mean_count)
    num_angles = int(10 * np.sqrt(images)) + 40  # aliases lie ten standard deviations of the total away
    total, quiet = rule.at(num_classes, 0.0).real, 0
    for index in range(1, num_angles // 2 + 1):
        angle = 2 * np.pi * index / num_angles
        term = (rule.at(num_classes, angle) * np.exp(-1j * angle * images)).real
        total += term if 2 * index == num_angles else 2 * term
        quiet = quiet + 1 if abs(term) < 1e-10 else 0
        if quiet == 6:  # the characteristic function of the total decays like a Gaussian
            break
    return float(total / num_angles / _poisson(images, images))
