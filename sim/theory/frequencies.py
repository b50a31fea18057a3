"""How frequent the classes are, and how many training images each one gets."""

from typing import Any

import numpy as np

from sim.theory import checks
from sim.types import FloatArray


def zipf_frequencies(num_classes: int, exponent: float) -> FloatArray:
    """Class frequencies p_j proportional to j^-a, j = 1..J, summing to one.

    Args:
        num_classes: J >= 1.
        exponent: a >= 0; 0 is uniform.

    Example:
        >>> zipf_frequencies(3, 1.0).round(4).tolist()
        [0.5455, 0.2727, 0.1818]

    Source: Zipf's law.
    """
    num_classes = checks.require_whole("num_classes", num_classes, 1)
    exponent = checks.require_not_negative("exponent", exponent)
    weights = np.arange(1, num_classes + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())


def proportional_counts(frequencies: Any, num_images: int) -> FloatArray:
    """Whole class counts n_j that sum to I and lie within one of I p_j (largest remainders).

    Example:
        >>> proportional_counts([0.5, 0.3, 0.2], 7).tolist()
        [4.0, 2.0, 1.0]

    Source: Hamilton's method of apportionment.
    """
    shares = check_frequencies(frequencies)
    num_images = checks.require_whole("num_images", num_images, 0)
    counts = np.floor(num_images * shares + 1e-9)
    missing = num_images - int(counts.sum())
    counts[np.argsort(counts - num_images * shares, kind="stable")[:missing]] += 1
    return counts


def check_frequencies(frequencies: Any) -> FloatArray:
    """Return p_j >= 0 of shape (J,), which must sum to one within 1e-6, summing to one."""
    shares = np.asarray(frequencies, dtype=np.float64)
    checks.require(shares.ndim == 1 and shares.size > 0, "frequencies", "of shape (J,)", shares.shape)
    proper = bool(np.all(shares >= 0)) and abs(shares.sum() - 1) < 1e-6
    checks.require(proper, "frequencies", ">= 0 and summing to one", float(shares.sum()))
    return np.asarray(shares / shares.sum())
