"""Random Gaussian codebooks learned from equally many examples of each class: the exact accuracy integral.

Codewords c_j ~ N(0, g I_D), images x = c_y + N(0, s2 I_D), n examples a class. The best learner scores by the distance
to k * mean_j, k = g / (g + s2/n) (plug-in: k = 1). Given |x|, own and rival distances are scaled noncentral chi, so

    A(n, J) = E_|x| E_own [ (1 - F_rival)^(J-1) ].

The two-dimensional rule does not depend on J: it is kept as a `MarginTable`, and every J reads the same table.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special

from sim.theory.distances import REACH, cumulative, noncentral_chi_log_density, norm_nodes, panel_nodes, panel_rule
from sim.types import FloatArray

CURVE_NODES = 25  # Chebyshev nodes of `learning_curve`; more change nothing above 1e-6 for D >= 16


class MarginTable(NamedTuple):
    """Quadrature over one test image and its own class: all that the rivals' number acts upon.

    Attributes:
        weights: probability of each node, sums to one.
        log_risk: ln[-ln(1 - F)], F the probability that one rival scores higher.
    """

    weights: FloatArray
    log_risk: FloatArray

    def accuracy(self, log_rivals: float) -> float:
        """sum_i w_i exp(-exp(log_rivals + log_risk_i)), log_rivals = ln(J - 1)."""
        with np.errstate(over="ignore", under="ignore"):
            return min(float(self.weights @ np.exp(-np.exp(log_rivals + self.log_risk))), 1.0)

    def error(self, log_rivals: float) -> float:
        """1 - accuracy, without cancellation."""
        with np.errstate(over="ignore", under="ignore"):
            return float(self.weights @ -np.expm1(-np.exp(log_rivals + self.log_risk)))


def shrinkage(signal_power: float, mean_noise: float, learner: str) -> float:
    """k = g / (g + s2/n) of the Bayes learner, 1 of the plug-in learner; `mean_noise` is s2/n."""
    return signal_power / (signal_power + mean_noise) if learner == "bayes" else 1.0


@lru_cache(maxsize=128)
def margin_table(
    dimension: int, signal_power: float, noise_power: float, mean_noise: float, learner: str = "bayes"
) -> MarginTable:
    """The rule over (|x|, own distance) for enrolment noise `mean_noise` = s2/n per coordinate (0: known codewords)."""
    image_power = signal_power + noise_power
    k = shrinkage(signal_power, mean_noise, learner)
    rival_power = k * k * (signal_power + mean_noise)
    pull = k * signal_power / image_power
    own_power = rival_power - pull * pull * image_power
    norms, norm_weights = norm_nodes(dimension)
    norms = norms[:, None] * np.sqrt(image_power)
    rival_scale, own_scale = np.sqrt(rival_power), np.sqrt(own_power)
    own_middle = np.sqrt(((1 - pull) * norms) ** 2 + dimension * own_power)
    rival_middle = np.sqrt(norms**2 + dimension * rival_power)

    low = np.maximum(own_middle - REACH * own_scale, 0.0)
    high = own_middle + REACH * own_scale
    # the rivals' tail below `low` counts: four of their own standard deviations hold all but 1e-10 of it
    start = np.maximum(np.minimum(rival_middle - REACH * rival_scale, low - 4 * rival_scale), 0.0)
    own_edges = low + (high - low) * np.linspace(0, 1, 31)
    num_rival = int(np.ceil(np.max(high - start) / (0.6 * rival_scale)))
    rival_edges = start + (high - start) * np.linspace(0, 1, num_rival + 1)
    edges = np.sort(np.concatenate([own_edges, rival_edges], axis=1), axis=1)
    nodes, widths = panel_nodes(edges)

    def density(power: float, centre: FloatArray) -> FloatArray:
        scale = np.sqrt(power)
        log_density = noncentral_chi_log_density(nodes / scale, centre[..., None] / scale, dimension)
        return np.asarray(np.exp(log_density) / scale)

    own = density(own_power, (1 - pull) * norms) * panel_rule()[1] * widths
    rival = cumulative(density(rival_power, norms), widths)
    weights = (own * norm_weights[:, None, None]).ravel()
    keep = weights > 1e-25
    # 5e-324 and 1 - 1e-16 keep the logarithms finite where a rival never, or always, wins
    probability = np.clip(rival.ravel()[keep], 5e-324, 1 - 1e-16)
    return MarginTable(weights[keep], np.log(-np.log1p(-probability)))


@lru_cache(maxsize=4096)
def _curve_coefficients(num_classes: int, dimension: int, signal_power: float, noise_power: float) -> FloatArray:
    """Chebyshev coefficients of the normal score of A in q = sqrt(g / (g + s2/n)), q in [0, 1]."""
    angles = np.pi * (np.arange(CURVE_NODES) + 0.5) / CURVE_NODES
    values = []
    for q in (np.cos(angles) + 1) / 2:
        mean_noise = signal_power * (1 - q * q) / (q * q)
        table = margin_table(dimension, signal_power, noise_power, mean_noise)
        accuracy, error = table.accuracy(np.log(num_classes - 1)), table.error(np.log(num_classes - 1))
        values.append(special.ndtri(accuracy) if accuracy < 0.5 else -special.ndtri(max(error, 1e-300)))
    orders = np.arange(CURVE_NODES)
    coefficients = 2 / CURVE_NODES * np.cos(orders[:, None] * angles) @ np.asarray(values)
    coefficients[0] /= 2
    return np.asarray(coefficients)


def learning_curve(
    num_classes: int, dimension: int, signal_power: float, noise_power: float, effective_samples: Any
) -> FloatArray:
    """A(n, J) of the Bayes learner for an array of real n >= 0, from a Chebyshev table.

    The normal score of A is smooth in q = sqrt(g / (g + s2/n)), the correlation of class mean and codeword, on all
    of [0, 1]: no range of n to choose, no extrapolation.
    """
    samples = np.asarray(effective_samples, dtype=np.float64)
    correlation = np.sqrt(signal_power * samples / (signal_power * samples + noise_power))
    coefficients = _curve_coefficients(num_classes, dimension, signal_power, noise_power)
    score = chebyshev.chebval(2 * correlation - 1, coefficients)
    return np.asarray(np.clip(special.ndtr(score), 1.0 / num_classes, 1.0))
