"""Bounds on accuracy from information alone: every exact ceiling must lie between them.

Above: Fano's inequality, h(e) + e ln(J - 1) >= H(Y|X), e = 1 - A, for whole label maps, for the mean pixel, and for
maps with a few wrong pixels. Below, for the best guess: A >= 2^-H(Y|X) and e <= H(Y|X) / 2 with H in bits. Nothing
is assumed about images, learners or networks, so none of the bounds above can be beaten by a larger model.
"""

import numpy as np
from scipy import optimize, special

from sim.theory import checks


def _require_entropy(name: str, entropy: float, highest: float, symbol: str) -> None:
    slack = 1e-9 * max(highest, 1.0)  # entropies come from sums of logarithms: forgive rounding
    checks.require(-slack <= entropy <= highest + slack, name, f"in [0, {symbol}]", entropy)


def fano_accuracy(num_outputs: float, information: float, label_entropy: float | None = None) -> float:
    """The largest accuracy on J outputs, equally likely or not, given `information` about them.

    Solves h(e) + e ln(J - 1) = H(Y) - iota for A = 1 - e.

    Args:
        num_outputs: J >= 1; need not be whole.
        information: iota >= 0, an upper bound of I(X;Y), in nats.
        label_entropy: H(Y) in [0, ln J], in nats; None for equally likely outputs, H(Y) = ln J.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(fano_accuracy(16, 2 * np.log(2)), 8)
        0.71033069
        >>> round(fano_accuracy(16, 2 * np.log(2), label_entropy=3 * np.log(2)), 8)  # one bit less to be told
        0.87973269

    Source: Fano (1961); Cover and Thomas, Elements of Information Theory, theorem 2.10.1.
    """
    checks.require(1 <= num_outputs < np.inf, "num_outputs", ">= 1 and finite", num_outputs)
    information = checks.require_not_negative("information", information)
    log_outputs = float(np.log(num_outputs))
    if label_entropy is None:
        label_entropy = log_outputs
    _require_entropy("label_entropy", label_entropy, log_outputs, "ln J")
    return fano_accuracy_entropy(log_outputs, max(label_entropy - information, 0.0))


def weak_fano_accuracy(log_num_outputs: float, information: float) -> float:
    """The bound that is usually quoted: A <= (iota + ln 2) / ln J for equally likely outputs, all in nats.

    Never below `fano_accuracy`, and never above it by more than ln 2 / ln J: it shows that iota limits ln J.

    Args:
        log_num_outputs: ln J > 0.
        information: iota >= 0, an upper bound of I(X;Y).

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> weak_fano_accuracy(10 * np.log(2), 4 * np.log(2))
        0.5

    Source: as `fano_accuracy`, with h(e) <= ln 2 and ln(J - 1) <= ln J.
    """
    log_num_outputs = checks.require_positive("log_num_outputs", log_num_outputs)
    information = checks.require_not_negative("information", information)
    return float(min((information + np.log(2)) / log_num_outputs, 1.0))


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
    _require_entropy("conditional_entropy", conditional_entropy, log_num_outputs, "ln J")
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


def fano_pixel_accuracy(num_labels: float, conditional_entropy_per_pixel: float) -> float:
    """The largest mean pixel accuracy of any predictor of label maps with H(Y|X)/n nats left a pixel.

    Solves h(d) + d ln(L - 1) = H(Y|X) / n for 1 - d, d the mean share of wrong pixels; neighbours may depend on each
    other in any way.

    Args:
        num_labels: L >= 1.
        conditional_entropy_per_pixel: H(Y|X) / n in [0, ln L], n the number of pixels.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(fano_pixel_accuracy(2, 0.5 * np.log(2)), 6)
        0.889972

    Source: H(Y|X) <= sum_i H(Y_i|X), `fano_accuracy` for each pixel, and concavity in d.
    """
    checks.require(1 <= num_labels < np.inf, "num_labels", ">= 1 and finite", num_labels)
    log_labels = float(np.log(num_labels))
    _require_entropy("conditional_entropy_per_pixel", conditional_entropy_per_pixel, log_labels, "ln L")
    return fano_accuracy_entropy(log_labels, conditional_entropy_per_pixel)


def log_hamming_ball(num_pixels: int, num_labels: int, tolerance: int) -> float:
    """ln N_t, N_t = sum_{i<=t} binom(n, i) (L - 1)^i: label maps with at most t pixels other than in a given one.

    Args:
        num_pixels: n >= 1.
        num_labels: L >= 1.
        tolerance: t in 0..n.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(float(np.exp(log_hamming_ball(4, 3, 1))), 9)  # the map itself, and 4 pixels x 2 other labels
        9.0

    Source: counting.
    """
    num_pixels = checks.require_whole("num_pixels", num_pixels, 1)
    num_labels = checks.require_whole("num_labels", num_labels, 1)
    tolerance = checks.require_whole("tolerance", tolerance, 0)
    checks.require(tolerance <= num_pixels, "tolerance", f"<= num_pixels = {num_pixels}", tolerance)
    wrong = np.arange(tolerance + 1)
    log_choices = -special.betaln(wrong + 1, num_pixels - wrong + 1) - np.log(num_pixels + 1)
    return float(special.logsumexp(log_choices + special.xlogy(wrong, num_labels - 1)))


def tolerant_fano_match(num_pixels: int, num_labels: int, tolerance: int, information: float) -> float:
    """The largest probability of a label map with at most t wrong pixels: P <= (iota + ln 2) / ln(J / N_t), J = L^n.

    N_t is that of `log_hamming_ball`; t = 0 is the weak Fano bound of the exact match. Counting a map with a few wrong
    pixels as right lowers the label's bits from log2 J to log2(J / N_t), and no further.

    Args:
        num_pixels: n >= 1.
        num_labels: L >= 1.
        tolerance: t in 0..n, wrong pixels that are forgiven.
        information: iota >= 0, an upper bound of I(X;Y) in nats, for equally likely maps; else of ln J - H(Y|X), which
            is larger.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> half = 32768 * np.log(2)  # half a bit a pixel, 256 x 256 pixels, one in a hundred forgiven
        >>> round(tolerant_fano_match(65536, 2, 655, half), 4)
        0.5439

    Source: Duchi and Wainwright (2013), Distance-based and continuum Fano inequalities, corollary 1 [unchecked number].
    """
    information = checks.require_not_negative("information", information)
    log_ball = log_hamming_ball(num_pixels, num_labels, tolerance)
    log_ratio = num_pixels * float(np.log(num_labels)) - log_ball
    if log_ratio <= np.log(2):  # half of all maps would do: the bound says nothing
        return 1.0
    return float(min((information + np.log(2)) / log_ratio, 1.0))


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
