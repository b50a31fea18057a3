"""Best accuracy on a block of a two-label chain seen through a crop: density evolution, deterministic.

A pixel's label is decided by three independent pieces of evidence: its own grey value and what the pixels to its left
and to its right say of it. Each is a log odds. With r = spacing/noise the own one is, given label +,

    u ~ N(m, 2 m),   m = r^2 / 2,

and one step along the chain turns the log odds l of a neighbour into

    f(l) = ln[(q e^l + 1 - q) / ((1 - q) e^l + q)],   q = stay,

so that given label + the log odds of k + 1 pixels is f(l_k) + u, where l_k belongs to a neighbour of label + with
probability q and of label - otherwise. Densities given - mirror those given +. The density of l_k is carried on a grid
fine enough for the trapezoid rule to be exact to about ten digits (all integrands are analytic).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

from sim.theory import checks
from sim.types import FloatArray

_STEPS_A_DEVIATION = 10  # grid steps in a standard deviation of u: trapezoid error exp(-2 pi^2 100)
_LARGEST_STEP = 0.5  # f has poles pi away from the real axis: error exp(-2 pi^2 / step)
_REACH = 8.0  # standard deviations beyond which u is cut off: 1e-15
LARGEST_SEPARATION = 60.0  # of spacing/noise: larger grids would not fit, and errors are below 1e-190 there


class _Messages(NamedTuple):
    """Log odds that a side can send, shape (N + 1,), the last being "no pixel there", and `decide`, shape
    (N + 1, N + 1): P(right | messages from left and right) for a pixel of label +."""

    decide: FloatArray
    weights: FloatArray  # (pixels on that side, N + 1), row k for k pixels, given label +


@lru_cache(maxsize=64)
def _messages(stay: float, separation: float, pixels: int) -> _Messages:
    mean, deviation = separation**2 / 2, separation
    bound = abs(np.log(stay) - np.log1p(-stay))
    step = min(deviation / _STEPS_A_DEVIATION, _LARGEST_STEP)
    count = int(np.ceil((bound + mean + _REACH * deviation) / step))
    grid = step * np.arange(-count, count + 1)
    sent = np.logaddexp(np.log(stay) + grid, np.log1p(-stay)) - np.logaddexp(np.log1p(-stay) + grid, np.log(stay))

    def density(centre: FloatArray) -> FloatArray:
        return np.exp(-(((grid - centre - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))

    onwards = density(sent[:, None])  # (sending, receiving)
    known = density(np.zeros(1)) * step
    weights = np.zeros((pixels + 1, len(grid) + 1))
    weights[0, -1] = 1.0
    for k in range(1, pixels + 1):
        weights[k, :-1] = stay * known + (1 - stay) * known[::-1]
        known = weights[k, :-1] @ onwards * step
    messages = np.append(sent, 0.0)
    decide = special.ndtr((messages[:, None] + messages[None, :] + mean) / deviation)
    return _Messages(decide, weights)


def crop_accuracy(block: int, margin: int, stay: float, noise: float, spacing: float = 2.0) -> float:
    """Pixel accuracy on a block of a two-label Markov chain that is seen with `margin` pixels on either side.

    Mean over the block's pixels of E max_l p(label = l | crop): no predictor that sees the crop alone does better.

    Args:
        block: b >= 1, pixels that are labelled.
        margin: pixels seen on either side of the block, >= 0.
        stay: in (0, 1), probability that a pixel has its neighbour's label.
        noise: standard deviation of a pixel's noise, > 0.
        spacing: distance of the two grey values, > 0, at most 60 `noise`.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> [round(crop_accuracy(b, 0, 0.9, 1.0), 3) for b in (1, 4, 8, 16)]
        [0.841, 0.914, 0.926, 0.932]
        >>> [round(crop_accuracy(b, 9, 0.9, 1.0), 4) for b in (1, 4, 8, 16)]
        [0.9371, 0.9371, 0.9371, 0.9371]

    Source: derived in the module's first lines; density evolution as in Richardson and Urbanke, "Modern Coding
    Theory", 2008 [unchecked].
    """
    block = checks.require_whole("block", block, 1)
    margin = checks.require_whole("margin", margin, 0)
    checks.require(0 < stay < 1, "stay", "in (0, 1)", stay)
    separation = checks.require_positive("spacing", spacing) / checks.require_positive("noise", noise)
    checks.require(separation <= LARGEST_SEPARATION, "spacing / noise", f"<= {LARGEST_SEPARATION:g}", separation)
    left = margin + np.arange(block)
    messages = _messages(float(stay), float(separation), int(left[-1]))
    towards = messages.weights[left]
    return float(np.einsum("bi,ij,bj->b", towards, messages.decide, towards[::-1], optimize=True).mean())
