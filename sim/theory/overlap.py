"""What one predictor scores under several metrics: pixel accuracy, Dice and mean IoU from its confusions.

Everything follows from the shares T[i, j] of pixels whose label is i and whose answer is j, which sum to one:

    pixel accuracy = sum_k T[k, k]
    Dice = 2 T[1, 1] / (T[1, 0] + T[0, 1] + 2 T[1, 1])                        with two labels, of label 1
    IoU_k = T[k, k] / (sum_j T[k, j] + sum_i T[i, k] - T[k, k])               mean IoU: their mean over labels

These are the scores of counts pooled over many images; few images scatter about them, and a mean of ratios of random
counts lies off by a term of the order of one over the count.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from sim.theory import checks
from sim.types import FloatArray

PLACEMENTS = ("independent", "boundary", "missed", "renamed")
METRICS = ("mean_iou", "dice")


class OverlapScores(NamedTuple):
    """Scores of one predictor; Dice is NaN where there are more than two labels."""

    pixel_accuracy: float
    dice: float
    mean_iou: float


def class_shares(foreground: float, num_labels: int, weights: Sequence[float] | None = None) -> FloatArray:
    """Share of pixels of each label: 1 - f for the background 0, f divided over the other labels.

    Args:
        foreground: f, in (0, 1).
        num_labels: L >= 2, background included.
        weights: of the L - 1 other labels, > 0; equal by default.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> class_shares(0.3, 3, weights=(2, 1)).round(3).tolist()
        [0.7, 0.2, 0.1]
    """
    checks.require(0 < foreground < 1, "foreground", "in (0, 1)", foreground)
    num_labels = checks.require_whole("num_labels", num_labels, 2)
    parts = np.ones(num_labels - 1) if weights is None else np.asarray(weights, dtype=np.float64)
    checks.require(
        parts.shape == (num_labels - 1,) and bool(np.all(parts > 0)),
        "weights",
        f"{num_labels - 1} numbers > 0",
        weights,
    )
    return np.concatenate([[1 - foreground], foreground * parts / parts.sum()])


def _room(placement: str, shares: FloatArray) -> float:
    """The largest share of pixels that may err."""
    foreground = float(shares[1:].sum())
    return {"independent": 1.0, "boundary": 2 * min(foreground, 1 - foreground)}.get(placement, foreground)


def confusions(placement: str, shares: FloatArray, error: float) -> FloatArray:
    """The table T of a predictor that errs on a share e of all pixels.

    "independent": every pixel errs with chance e, to any other label alike. "boundary": as many pixels of the
    background take the label beside them as pixels of objects become background, each label in proportion to its
    pixels.
    "missed": objects become background. "renamed": objects take any of the other objects' labels alike.

    Args:
        placement: one of `PLACEMENTS`.
        shares: of the labels, as from `class_shares`.
        error: e, share of wrong pixels, in [0, 1], and no more than the pixels that may err.

    Returns:
        shape (labels, labels), true label by answer, sum 1.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> confusions("missed", class_shares(0.4, 2), 0.1).round(3).tolist()
        [[0.6, 0.0], [0.1, 0.3]]
    """
    placement = checks.require_one_of("placement", placement, PLACEMENTS)
    foreground, labels = float(shares[1:].sum()), len(shares)
    error = checks.require_between("error", error, 0.0, _room(placement, shares))
    checks.require(placement != "renamed" or labels > 2, "num_labels", ">= 3 where objects are renamed", labels)
    table = np.zeros((labels, labels))
    if placement == "independent":
        table[:] = (shares * error / (labels - 1))[:, None]
    elif placement == "boundary":
        table[0, 1:] = table[1:, 0] = error / 2 * shares[1:] / foreground
    elif placement == "missed":
        table[1:, 0] = error * shares[1:] / foreground
    else:
        table[1:, 1:] = (error / (labels - 2) * shares[1:] / foreground)[:, None]
    np.fill_diagonal(table, 0.0)
    return table + np.diag(shares - table.sum(axis=1))


def overlap_scores(table: FloatArray) -> OverlapScores:
    """Scores of the table T of one predictor.

    Args:
        table: shape (labels, labels), shares or counts of pixels, true label by answer.

    Example:
        >>> scores = overlap_scores(confusions("independent", class_shares(0.1, 2), 0.05))
        >>> round(scores.pixel_accuracy, 3), round(scores.dice, 3), round(scores.mean_iou, 3)
        (0.95, 0.792, 0.8)
    """
    table = np.asarray(table, dtype=np.float64) / np.sum(table)
    right = np.diag(table)
    both = table.sum(axis=0) + table.sum(axis=1)
    seen = both > 0
    dice = float(2 * right[1] / both[1]) if len(table) == 2 else float("nan")
    return OverlapScores(float(right.sum()), dice, float(np.mean(right[seen] / (both - right)[seen])))


def error_at_score(score: float, placement: str, shares: FloatArray, metric: str = "mean_iou") -> float:
    """The share of wrong pixels at which the predictor's score is `score`.

    Of the 1 - score that are missing from 100%, this many are wrong pixels; the rest is the choice of metric.

    Args:
        score: in (0, 1).
        placement, shares: as in `confusions`.
        metric: one of `METRICS`; Dice needs two labels.

    Raises:
        ValueError: an argument breaks its rule, or no predictor of this family scores so low.

    Example:
        >>> round(error_at_score(0.8, "independent", class_shares(0.1, 2)), 4)
        0.05
    """
    metric = checks.require_one_of("metric", metric, METRICS)
    checks.require(0 < score < 1, "score", "in (0, 1)", score)
    checks.require(metric != "dice" or len(shares) == 2, "metric", "mean_iou where labels are more than two", metric)
    most = (len(shares) - 1) / len(shares) if placement == "independent" else _room(placement, shares)
    largest = most * (1 - 1e-9)  # answers by chance score lowest among independent ones

    def excess(error: float) -> float:
        return float(getattr(overlap_scores(confusions(placement, shares, error)), metric)) - score

    checks.require(excess(largest) < 0, "score", f"at least {score + excess(largest):.4g}, the family's lowest", score)
    return float(optimize.brentq(excess, 0.0, largest, xtol=1e-13))


def metric_share(score: float, placement: str, shares: FloatArray, metric: str = "mean_iou") -> float:
    """Share of the points between `score` and 100% that the choice of metric explains: 1 - e/(1 - score).

    Example:
        >>> round(metric_share(0.8, "independent", class_shares(0.1, 2)), 3)  # pixel accuracy .95: 15 of 20 points
        0.75
    """
    return 1 - error_at_score(score, placement, shares, metric) / (1 - score)
