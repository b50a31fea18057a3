"""Random Gaussian codebooks learned from equally many examples of each class: the exact accuracy integral.

Codewords c_j ~ N(0, g I_D), images x = c_y + N(0, s2 I_D), n examples a class. The best learner scores by the distance
to k * mean_j, k = g / (g + s2/n) (plug-in: k = 1). Given |x|, own and rival distances are scaled noncentral chi, so

    A(n, J) = E_|x| E_own [ (1 - F_rival)^(J-1) ].

The two-dimensional rule does not depend on J: it is kept as a `MarginTable`, and every J reads the same table.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

from sim.theory.distances import REACH, cumulative, noncentral_chi_log_density, norm_nodes, panel_nodes, panel_rule
from sim.types import FloatArray

CURVE_NODES = 25  # Chebyshev nodes of `learning_curve`, doubled where the series has not converged

NO_SIGNAL = 1e-7  # a correlation, or a signal-to-noise ratio, from which float64 cannot tell an accuracy from chance


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
            return min(float(np.sum(self.weights * np.exp(-np.exp(log_rivals + self.log_risk)))), 1.0)

    def error(self, log_rivals: float) -> float:
        """1 - accuracy, without cancellation."""
        with np.errstate(over="ignore", under="ignore"):
            return float(np.sum(self.weights * -np.expm1(-np.exp(log_rivals + self.log_risk))))


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
    # in few dimensions rivals crowd around the image: the nearest of J lies at a distance of order J^(-1/D)
    near = np.clip(own_scale * 3.0 ** -np.arange(1, 2 + np.ceil(np.log(1e9) / np.log(3) / dimension)), start, high)
    edges = np.sort(np.concatenate([own_edges, rival_edges, near], axis=1), axis=1)
    nodes, widths = panel_nodes(edges)

    def density(power: float, centre: FloatArray) -> FloatArray:
        scale = np.sqrt(power)
        log_density = noncentral_chi_log_density(nodes / scale, centre[..., None] / scale, dimension)
        return np.asarray(np.exp(log_density) / scale)

    own = density(own_power, (1 - pull) * norms) * panel_rule()[1] * widths
    rival = cumulative(density(rival_power, norms), widths)
    weights = (own * norm_weights[:, None, None]).ravel()
    if not abs(weights.sum() - 1) < 1e-6:  # also catches NaN, which the selection below would hide
        task = f"D={dimension}, g={signal_power}, s2/n={mean_noise}"
        raise ArithmeticError(f"the quadrature must keep all probability, got {weights.sum()} at {task}")
    keep = weights > 1e-25
    # 5e-324 and 1 - 1e-16 keep the logarithms finite where a rival never, or always, wins
    probability = np.clip(rival.ravel()[keep], 5e-324, 1 - 1e-16)
    return MarginTable(weights[keep], np.log(-np.log1p(-probability)))


class _Curve(NamedTuple):
    """Chebyshev series of the normal score of A in q on [0, `high`]; above `high` A is 1 to 1e-11."""

    high: float
    coefficients: FloatArray


@lru_cache(maxsize=4096)
def _curve(num_classes: int, dimension: int, signal_power: float, noise_power: float) -> _Curve:
    """The table behind `learning_curve`, in q = sqrt(g / (g + s2/n))."""
    if num_classes == 1 or signal_power < NO_SIGNAL * noise_power:
        return _Curve(1.0, np.array([special.ndtri(1 / num_classes)]))
    log_rivals = float(np.log(num_classes - 1))

    def score(q: float) -> float:
        table = margin_table(dimension, signal_power, noise_power, signal_power * (1 - q * q) / (q * q))
        accuracy = table.accuracy(log_rivals)
        return float(
            special.ndtri(accuracy) if accuracy < 0.5 else -special.ndtri(max(table.error(log_rivals), 1e-300))
        )

    high = 1.0
    while score(high) > 9:
        high *= 0.8
    for num_nodes in (CURVE_NODES, 2 * CURVE_NODES):
        angles = np.pi * (np.arange(num_nodes) + 0.5) / num_nodes
        values = np.array([score(float(q)) for q in high * (np.cos(angles) + 1) / 2])
        coefficients = 2 / num_nodes * np.cos(np.arange(num_nodes)[:, None] * angles) @ values
        coefficients[0] /= 2
        if np.abs(coefficients[-3:]).max() < 1e-7:
            break
    return _Curve(high, coefficients)


def learning_curve(tasks: FloatArray, effective_samples: FloatArray) -> FloatArray:
    """A(n, J) of the Bayes learner at real n >= 0, from Chebyshev tables.

    The normal score of A is smooth in q = sqrt(g / (g + s2/n)), the correlation of class mean and codeword, on all
    of [0, 1]: no range of n to choose, no extrapolation.

    Args:
        tasks: rows (J, D, g, s2), shape (tasks, 4).
        effective_samples: n, shape (tasks, ...).
    """
    high, coefficients = _stacked_curves(tasks.tobytes())
    shape = (len(tasks),) + (1,) * (effective_samples.ndim - 1)
    signal_power, noise_power = tasks[:, 2].reshape(shape), tasks[:, 3].reshape(shape)
    with np.errstate(divide="ignore"):
        correlation = np.sqrt(signal_power / (signal_power + noise_power / effective_samples))
    position = 2 * np.minimum(correlation / high.reshape(shape), 1.0) - 1
    doubled, last, before = 2 * position, 0.0, 0.0
    for row in coefficients[:0:-1]:  # Clenshaw's recurrence, all tasks at once
        last, before = row.reshape(shape) + doubled * last - before, last
    score = coefficients[0].reshape(shape) + position * last - before
    return np.asarray(np.clip(special.ndtr(score), 1 / tasks[:, 0].reshape(shape), 1.0))


@lru_cache(maxsize=1024)
def _stacked_curves(tasks: bytes) -> tuple[FloatArray, FloatArray]:
    """`high` (tasks,) and coefficients (orders, tasks) of many tasks; a fit asks for the same ones every time."""
    rows = np.frombuffer(tasks).reshape(-1, 4)
    curves = [_curve(int(row[0]), int(row[1]), float(row[2]), float(row[3])) for row in rows]
    coefficients = np.zeros((max(len(curve.coefficients) for curve in curves), len(curves)))
    for column, curve in enumerate(curves):
        coefficients[: len(curve.coefficients), column] = curve.coefficients
    return np.array([curve.high for curve in curves]), coefficients
