"""The effective number of outputs: with how many unrelated classes would the best learner be right as often?

Any exact match at I inputs is that of a classification task with some number of outputs J_eff, matched in dimension,
signal and noise: the inverse of the exact learned-codebook accuracy at n = I/J images a class. That number says
something only if it foretells the accuracy at another I: the test of this file.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import interpolate, special

from sim.analysis.compare import Equivalence, Estimate, paired_t, tost
from sim.theory import codebooks
from sim.types import FloatArray

MARGIN = 0.05  # error of a foretold accuracy that is none
WINDOW = (0.05, 0.95)  # accuracies that determine J_eff: near 0 and 1 any large or small number does
FEWEST = 2.0**-14  # images a class, down to which the law is tabulated
STEPS = 2  # tables for each doubling of n


class Matched(NamedTuple):
    """The classification task that a task is held against.

    Attributes:
        dimension: D, numbers in an image.
        signal_power: g, variance of a number of the noiseless image.
        noise_power: s2, variance of its noise.
    """

    dimension: int
    signal_power: float
    noise_power: float


class EffectiveTest(NamedTuple):
    """J_eff from few inputs, and whether it foretells more.

    Attributes:
        log_outputs: ln J_eff with its interval over seeds.
        few, many: mean accuracy at few and at many inputs.
        predicted: accuracy at many inputs by J_eff.
        error: measured minus predicted, two one-sided tests against the margin.
    """

    log_outputs: Estimate
    few: float
    many: float
    predicted: float
    error: Equivalence


@lru_cache(maxsize=1024)
def _curve(task: Matched, inputs: float) -> tuple[FloatArray, FloatArray]:
    """ln(J - 1), falling, and the normal score of A(I/J, J): one table of the law for each n, shared by all I."""
    steps = np.arange(int(np.log2(FEWEST) * STEPS), int(np.ceil(np.log2(inputs) * STEPS)))
    samples = np.append(2.0 ** (steps / STEPS), inputs / (1 + 2.0 ** -np.arange(1, 31, 2)))
    samples = np.unique(samples[samples < inputs])
    rivals = np.log(inputs / samples - 1)
    scores = []
    for count, log_rivals in zip(samples, rivals, strict=True):
        table = codebooks.margin_table(
            task.dimension, task.signal_power, task.noise_power, task.noise_power / float(count)
        )
        accuracy = table.accuracy(log_rivals)
        scores.append(
            special.ndtri(accuracy) if accuracy < 0.5 else -special.ndtri(max(table.error(log_rivals), 1e-300))
        )
    return rivals, np.array(scores)


def matched_accuracy(log_outputs: ArrayLike, inputs: float, task: Matched) -> FloatArray:
    """Accuracy of the best learner of ln J unrelated classes from I inputs, A(I/J, J), J any real number above 1.

    Args:
        log_outputs: ln J > 0.
        inputs: I >= 1.
        task: dimension, signal and noise.

    Raises:
        ValueError: ln J or I against its rule.

    Example:
        >>> matched_accuracy(np.log(64), 256, Matched(64, 0.25, 1.0)).round(4).item()
        0.5945

    Source: `sim.theory.ceilings.gaussian_codebook_accuracy`, at real J and n.
    """
    log_outputs = np.asarray(log_outputs, dtype=np.float64)
    if not np.all(log_outputs > 0):
        raise ValueError(f"log_outputs must be > 0, got {log_outputs.min()}")
    if not inputs >= 1:
        raise ValueError(f"inputs must be >= 1, got {inputs}")
    rivals, scores = _curve(task, float(inputs))
    place = np.clip(np.log(np.expm1(log_outputs)), rivals[-1], rivals[0])
    return np.asarray(special.ndtr(interpolate.PchipInterpolator(rivals[::-1], scores[::-1])(place)))


def effective_outputs(accuracy: ArrayLike, inputs: float, task: Matched) -> FloatArray:
    """ln J_eff, the inverse of `matched_accuracy` in J.

    Args:
        accuracy: between 0 and 1, both excluded.
        inputs, task: as in `matched_accuracy`.

    Raises:
        ValueError: an accuracy or I against its rule.

    Example:
        >>> np.exp(effective_outputs(0.5945, 256, Matched(64, 0.25, 1.0))).round(1).item()
        64.0
    """
    accuracy = np.asarray(accuracy, dtype=np.float64)
    if not np.all((accuracy > 0) & (accuracy < 1)):
        raise ValueError(f"accuracy must be between 0 and 1, got {accuracy}")
    if not inputs >= 1:
        raise ValueError(f"inputs must be >= 1, got {inputs}")
    rivals, scores = _curve(task, float(inputs))
    falling = np.concatenate([[True], np.diff(scores) > 1e-12])  # scores rise with n; far out they may tie
    inverse = interpolate.PchipInterpolator(scores[falling], rivals[falling])
    place = inverse(np.clip(special.ndtri(accuracy), scores[falling][0], scores[falling][-1]))
    return np.asarray(np.log1p(np.exp(place)))


def foretell_more_inputs(
    few: Sequence[float],
    many: Sequence[float],
    inputs: tuple[float, float],
    task: Matched,
    *,
    margin: float = MARGIN,
    level: float = 0.95,
) -> EffectiveTest | None:
    """J_eff at few inputs, and whether A(I/J_eff, J_eff) at many inputs is the measured accuracy within `margin`.

    Inverting is not linear, so the seeds enter by the jackknife: the t law of n f - (n - 1) f without seed i, f taken
    at mean accuracies.

    Args:
        few, many: accuracy of each seed at few and at many inputs, in one order.
        inputs: the two numbers of inputs.
        task: what the task is held against.
        margin: error that is none.
        level: of each one-sided test, and of the interval of ln J_eff.

    Returns:
        None where the accuracy at few inputs, with any one seed left out, lies outside `WINDOW`.

    Raises:
        ValueError: fewer than two seeds, other numbers of them, or inputs that do not rise.
    """
    first, second = np.asarray(few, dtype=np.float64), np.asarray(many, dtype=np.float64)
    if first.shape != second.shape or len(first) < 2:
        raise ValueError(f"few and many must hold the same two seeds or more, got {first.shape} and {second.shape}")
    if not inputs[0] < inputs[1]:
        raise ValueError(f"inputs must rise, got {inputs}")
    size = len(first)
    # row 0: all seeds; row i: without seed i
    means = np.array([[v.mean(), *((v.sum() - v) / (size - 1))] for v in (first, second)])
    if means[0].min() < WINDOW[0] or means[0].max() > WINDOW[1]:
        return None
    logs = effective_outputs(means[0], inputs[0], task)
    predicted = matched_accuracy(logs, inputs[1], task)
    errors = means[1] - predicted
    pseudo_logs = size * logs[0] - (size - 1) * logs[1:]
    pseudo_errors = size * errors[0] - (size - 1) * errors[1:]
    estimate = paired_t(pseudo_logs, level=level)
    return EffectiveTest(
        estimate, float(means[0, 0]), float(means[1, 0]), float(predicted[0]), tost(pseudo_errors, margin, level=level)
    )
