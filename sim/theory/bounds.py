"""Bounds on accuracy from information alone: every exact ceiling must lie between them.

Above: Fano's inequality, h(e) + e ln(J - 1) >= H(Y|X), e = 1 - A. Below, for the best guess: A >= 2^-H(Y|X) and
e <= H(Y|X) / 2 with H in bits.
"""

import numpy as np
from scipy import optimize, special

from sim.theory import checks


def fano_accuracy(num_outputs: float, information: float) -> float:
    """The largest accuracy on J equally likely outputs given `information` about them.

    Solves h(e) + e ln(J - 1) = ln J - iota for A = 1 - e.

    Args:
        num_outputs: J >= 1; need not be whole.
        information: iota >= 0, an upper bound of I(X;Y), in nats.

    Example:
        >>> round(fano_accuracy(16, 2 * np.log(2)), 8)
        0.71033069

    Source: Fano (1961); Cover and Thomas, Elements of Information Theory, theorem 2.10.1.
    """
    checks.require(1 <= num_outputs < np.inf, "num_outputs", ">= 1 and finite", num_outputs)
    information = checks.require_not_negative("information", information)
    log_outputs = float(np.log(num_outputs))
    return fano_accuracy_entropy(log_outputs, max(log_outputs - information, 0.0))


def fano_accuracy_entropy(log_num_outputs: float, conditional_entropy: float) -> float:
    """The largest accuracy when `conditional_entropy` H(Y|X) is left about one of J outputs, all in nats.

    Takes ln J, so that J = L^n label maps do not overflow; with J = L and H(X|Y) / n it bounds the pixel accuracy.

    Args:
        log_num_outputs: ln J >= 0.
        conditional_entropy: H(Y|X) in [0, ln J].

    Example:
        >>> fano_accuracy_entropy(np.log(16), np.log(16))  # nothing known: chance
        0.0625

    Source: as `fano_accuracy`; per pixel by concavity.
    """
    log_num_outputs = checks.require_not_negative("log_num_outputs", log_num_outputs)
    # entropies come from sums of logarithms: forgive rounding
    tolerance = 1e-9 * max(log_num_outputs, 1.0)
    highest = log_num_outputs + tolerance
    checks.require(
        -tolerance <= conditional_entropy <= highest, "conditional_entropy", "in [0, ln J]", conditional_entropy
    )
    chance = float(np.exp(-log_num_outputs))
    if conditional_entropy <= 0 or log_num_outputs == 0:
        return 1.0
    if conditional_entropy >= log_num_outputs:
        return chance
    log_others = log_num_outputs + float(np.log1p(-chance))

    def excess(error: float) -> float:
        entropy = float(special.entr(error) + special.entr(1 - error))
        return entropy + error * log_others - conditional_entropy

    if excess(1 - chance) <= 0:  # rounding at the top of the curve
        return chance
    return float(1 - optimize.brentq(excess, 0.0, 1 - chance, xtol=1e-15))


def hellman_raviv_accuracy(conditional_entropy_bits: float) -> float:
    """What the best guess reaches at least: A >= 1 - H(Y|X) / 2, H in bits; useless (negative) above two bits.

    Args:
        conditional_entropy_bits: H(Y|X) >= 0.

    Example:
        >>> hellman_raviv_accuracy(0.5)
        0.75

    Source: Hellman and Raviv (1970).
    """
    return 1 - checks.require_not_negative("conditional_entropy_bits", conditional_entropy_bits) / 2


def entropy_floor_accuracy(conditional_entropy_bits: float) -> float:
    """What the best guess reaches at least: A >= 2^-H(Y|X), H in bits, by Jensen's inequality.

    Args:
        conditional_entropy_bits: H(Y|X) >= 0.

    Example:
        >>> entropy_floor_accuracy(2.0)
        0.25

    Source: max_y p(y|x) >= 2^-H(Y|X=x), then convexity of 2^-H.
    """
    return float(2.0 ** -checks.require_not_negative("conditional_entropy_bits", conditional_entropy_bits))
