"""Continuous targets under a linear-Gaussian law: the least error that I training examples allow, exactly.

y = w.x + noise e, w ~ N(0, prior_power I_D), x ~ N(0, I_D), e ~ N(0, 1). Given the I rows of a design X and their
targets, w is normal with precision A = X'X / noise^2 + I / prior_power, so the best prediction is ridge regression with
penalty noise^2 / prior_power, and a new target is normal about it with variance noise^2 + x' A^-1 x.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sim.theory import checks
from sim.types import FloatArray


class Bins(NamedTuple):
    """Intervals that cover the line.

    Attributes:
        edges: shape (Q - 1,), ascending: what separates neighbouring intervals.
        centres: shape (Q,), the mean target in each.
    """

    edges: FloatArray
    centres: FloatArray


class Predictive(NamedTuple):
    """Normal laws of new targets: `mean` and standard deviation `spread`, shape (num_images,)."""

    mean: FloatArray
    spread: FloatArray


def gaussian_bins(num_bins: int, spread: float) -> Bins:
    """Q intervals of equal probability 1/Q under N(0, spread^2), and the mean of each.

    edges spread Phi^-1(q/Q), centres spread Q [phi(Phi^-1((q-1)/Q)) - phi(Phi^-1(q/Q))].

    Args:
        num_bins: Q >= 1.
        spread: standard deviation > 0.

    Example:
        >>> gaussian_bins(2, 1.0).centres.round(6).tolist()
        [-0.797885, 0.797885]

    Source: means of a truncated normal law.
    """
    num_bins = checks.require_whole("num_bins", num_bins, 1)
    spread = checks.require_positive("spread", spread)
    scores = special.ndtri(np.arange(1, num_bins) / num_bins)
    density = np.concatenate([[0.0], np.exp(-0.5 * scores**2) / np.sqrt(2 * np.pi), [0.0]])
    return Bins(spread * scores, spread * num_bins * (density[:-1] - density[1:]))


def posterior_covariance(design: ArrayLike, noise: float, prior_power: float) -> FloatArray:
    """A^-1, the covariance of the weights given the training inputs, shape (D, D). See the module's first lines.

    Args:
        design: X, training inputs, shape (I, D).
        noise: standard deviation of a target about its mean, > 0.
        prior_power: variance of a weight before any data, > 0.

    Example:
        >>> posterior_covariance([[1.0]], 1.0, 1.0).item()
        0.5
    """
    x = np.asarray(design, dtype=np.float64)
    checks.require(x.ndim == 2, "design", "of shape (I, D)", x.shape)
    noise = checks.require_positive("noise", noise)
    prior_power = checks.require_positive("prior_power", prior_power)
    return np.asarray(np.linalg.inv(x.T @ x / noise**2 + np.eye(x.shape[1]) / prior_power), dtype=np.float64)


def linear_gaussian_floor(design: ArrayLike, noise: float, prior_power: float) -> float:
    """Root mean squared error of the best predictor that saw this design: sqrt(noise^2 + trace A^-1). Exact.

    The mean is over weights, noise, and new inputs x ~ N(0, I_D); no learner does better on average.

    Args:
        (as in `posterior_covariance`)

    Example:
        >>> round(linear_gaussian_floor([[1.0]], 1.0, 1.0), 6)
        1.224745

    Source: Bayesian linear regression, e.g. Bishop (2006), section 3.3 [unchecked].
    """
    return float(np.sqrt(noise**2 + np.trace(posterior_covariance(design, noise, prior_power))))


def least_squares_error(num_inputs: int, dimension: int, noise: float) -> float:
    """Root mean squared error of least squares without an offset on I inputs x ~ N(0, I_D), averaged over designs.

    noise sqrt(1 + D / (I - D - 1)), from E (X'X)^-1 = I / (I - D - 1).

    Args:
        num_inputs: I > D + 1; below, the mean does not exist.
        dimension: D >= 1.
        noise: > 0.

    Example:
        >>> round(least_squares_error(64, 16, 1.0), 6)
        1.157767

    Source: mean of an inverse Wishart matrix.
    """
    dimension = checks.require_whole("dimension", dimension, 1)
    num_inputs = checks.require_whole("num_inputs", num_inputs, dimension + 2)
    return float(checks.require_positive("noise", noise) * np.sqrt(1 + dimension / (num_inputs - dimension - 1)))


def predict(design: ArrayLike, targets: ArrayLike, images: ArrayLike, noise: float, prior_power: float) -> Predictive:
    """The law of the target of each new image, given the training examples: what the Bayes learner knows. Exact.

    Args:
        design: X, shape (I, D). targets: shape (I,). images: shape (num_images, D).
        noise, prior_power: as in `posterior_covariance`.

    Example:
        >>> law = predict([[1.0]], [2.0], [[1.0]], 1.0, 1.0)
        >>> law.mean.item(), round(law.spread.item(), 6)
        (1.0, 1.224745)
    """
    covariance = posterior_covariance(design, noise, prior_power)
    x, new = np.asarray(design, dtype=np.float64), np.asarray(images, dtype=np.float64)
    weights = covariance @ (x.T @ np.asarray(targets, dtype=np.float64)) / noise**2
    return Predictive(new @ weights, np.sqrt(noise**2 + np.einsum("nd,de,ne->n", new, covariance, new)))


def decode_bins(law: Predictive, bins: Bins) -> FloatArray:
    """Mean decoding of the exact Q-bin posterior: sum_q P(bin q | image) centre_q, shape (num_images,).

    No network that answers with one probability a bin and is read by its mean is closer on average than the target's
    own mean, and this is what the perfect one of them says.

    Example:
        >>> decode_bins(Predictive(np.array([0.0]), np.array([1.0])), gaussian_bins(4, 1.0)).round(12).tolist()
        [0.0]
    """
    below = special.ndtr((bins.edges - law.mean[:, None]) / law.spread[:, None])
    # sum_q c_q (F_q - F_{q-1}) = c_Q - sum_q F_q (c_{q+1} - c_q)
    decoded: FloatArray = bins.centres[-1] - below @ np.diff(bins.centres)
    return decoded
