"""Which accuracy curves a fixed score function can have: completely monotone ones in the number of classes.

If a network scores each class by itself, and k classes are a random choice out of many, then with U the probability
that a random class scores below the true one

    A_k = E[U^(k-1)],    (-1)^m Delta^m A_k = E[U^(k-1) (1 - U)^m] >= 0    for every m and k,

Delta the difference A_{k+1} - A_k. A law of accuracy that breaks this cannot hold for a fixed score function at any
parameters that break it. For a network that is trained anew at each k it is a hypothesis, not a theorem.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sim.theory import checks
from sim.types import FloatArray, Law


class Violation(NamedTuple):
    """The place where a curve is farthest from (-1)^m Delta^m A_k >= 0.

    Attributes:
        size: -(-1)^m Delta^m A_k there, in accuracy; positive breaks the rule, negative is the room that is left.
        num_classes: the k of the first of the m + 1 accuracies that enter.
        rounding: what the rounding of accuracies to float64 can contribute to `size`, at most; a curve that is itself
            computed with a larger error e adds up to 2^m e.
    """

    size: float
    num_classes: int
    rounding: float


def monotone_violation(accuracy: ArrayLike, order: int, first_classes: int = 2) -> Violation:
    """The largest violation of (-1)^m Delta^m A_k >= 0 along a curve of accuracies.

    Orders 0, 1 and 2 say that accuracy is not negative, does not rise and does not bend downwards.

    Args:
        accuracy: A_k at consecutive k, shape (number of k,), more than m of them.
        order: m >= 0.
        first_classes: the k >= 1 of the first accuracy.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> monotone_violation([0.9, 0.81, 0.729], 2).size < 0  # powers of U = .9
        True
        >>> worst = monotone_violation([0.9, 0.8, 0.6, 0.5], 2)  # falls faster and faster from k = 2 to 4
        >>> round(worst.size, 12), worst.num_classes
        (0.1, 2)

    Source: Zheng, Achanta and Benjamini (2018) for A_k = E[U^(k-1)]; Hausdorff's moment problem for the rest: the
    sequences (A_1 = 1, A_2, ...) that keep the rule at every order are exactly the moments of some U in [0, 1].
    """
    values = np.asarray(accuracy, dtype=np.float64)
    order = checks.require_whole("order", order, 0)
    first_classes = checks.require_whole("first_classes", first_classes, 1)
    checks.require(values.ndim == 1 and len(values) > order, "accuracy", f"of shape (> {order},)", values.shape)
    checks.require(bool(np.all(np.isfinite(values))), "accuracy", "finite", accuracy)
    sizes = -((-1.0) ** order) * np.diff(values, n=order)
    worst = int(np.argmax(sizes))
    # each accuracy is off by half an ulp at most and enters binom(m, i) times; each of m subtractions may add as much
    rounding = 0.5 * (order + 1) * 2.0**order * float(np.finfo(np.float64).eps) * float(np.max(np.abs(values)))
    return Violation(float(sizes[worst]), first_classes + worst, rounding)


def law_violation(law: Law, parameters: ArrayLike, columns: Mapping[str, FloatArray], order: int) -> Violation:
    """`monotone_violation` of a law's accuracies at consecutive numbers of outputs.

    Args:
        law: the law.
        parameters: its parameters, in order.
        columns: what the law reads, float64; `outputs` rises by one from row to row. The rest says what is kept: equal
            `inputs` for a fixed number of images, `inputs` = n * `outputs` for n of each class, which is what a score
            that knows each class from its own images sees.
        order: m >= 0.

    Raises:
        ValueError: `outputs` are not consecutive whole numbers, or an argument breaks its rule.

    Example:
        >>> from sim.theory.laws import LAWS
        >>> outputs = np.arange(2.0, 30.0)
        >>> columns = {"inputs": np.full(28, 20.0), "outputs": outputs, "chance": 1 / outputs}
        >>> worst = law_violation(LAWS["coverage"], [0.0], columns, 2)
        >>> worst.size > 0.005, worst.num_classes
        (True, 4)

    Source: as `monotone_violation`.
    """
    outputs = np.asarray(columns["outputs"], dtype=np.float64)
    consecutive = outputs.ndim == 1 and outputs.size > 0 and np.all(outputs == outputs[0] + np.arange(outputs.size))
    checks.require(bool(consecutive), "outputs", "consecutive whole numbers", outputs)
    return monotone_violation(law.predict(np.asarray(parameters, dtype=np.float64), columns), order, int(outputs[0]))
