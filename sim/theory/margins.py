"""A row of pixels divided into blocks, each seen with a margin on either side: what a block loses to its border.

Two labels +-1, kept from pixel to pixel with probability p; images x + sigma e. Given the label of a pixel, what lies
on its left is independent of what lies on its right, and k pixels on one side tell about it the log odds

    l_0 = 0,   l_(k+1) = 2 artanh[(2 p - 1) tanh((l_k + 2 y / sigma^2) / 2)],   y the nearest pixel.

Its law is followed exactly: after each pixel's normal noise the density of the argument is smooth, so equally spaced
nodes converge exponentially.
"""

from functools import lru_cache

import numpy as np
from scipy import special

from sim.theory import checks
from sim.types import FloatArray

_NODES_PER_DEVIATION = 4.0  # of the log odds' noise, 2 / sigma: the trapezoidal rule errs by e^(-2 pi^2 4^2)


def chain_block_accuracy(block: int, margin: int, stay: float, noise: float) -> float:
    """Pixel accuracy in a block of b pixels of a long row, from these b pixels and `margin` more on either side.

    A = mean_i P(l_(i + margin) + l'_(b - 1 - i + margin) + 2 y_i / sigma^2 > 0 | x_i = 1), i = 0..b-1; l, l' the log
    odds from the left and from the right (the module's first lines). The best possible; exact to 1e-9.

    Args:
        block: b >= 1.
        margin: pixels seen on either side without being scored, >= 0; 0: the block sees only itself.
        stay: p, strictly between 0 and 1; .5: independent pixels.
        noise: sigma > 0, standard deviation; the labels' means are -1 and +1.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> [round(chain_block_accuracy(b, 0, 0.9, 1.0), 3) for b in (1, 4, 8, 16)]
        [0.841, 0.914, 0.926, 0.932]
        >>> [round(chain_block_accuracy(b, 4, 0.9, 1.0), 3) for b in (1, 16)]
        [0.937, 0.937]

    Source: forward-backward, Rabiner (1989), sections III.A-C; the law of its messages derived above.
    """
    block = checks.require_whole("block", block, 1)
    margin = checks.require_whole("margin", margin, 0)
    checks.require(0 < stay < 1, "stay", "strictly between 0 and 1", stay)
    noise = checks.require_positive("noise", noise)
    odds, weights = _side_laws(block + margin, float(stay), noise)
    # P(right) for every pair of left and right log odds at a pixel of label +1
    right = special.ndtr((1 + noise**2 * (odds[:, None] + odds) / 2) / noise)
    values = [weights[i + margin] @ right @ weights[block - 1 - i + margin] for i in range(block)]
    return min(float(np.mean(values)), 1.0)


@lru_cache(maxsize=64)
def _side_laws(num_laws: int, stay: float, noise: float) -> tuple[FloatArray, FloatArray]:
    """The law of l_k given label +1, k = 0..num_laws - 1: nodes (nodes,) and weights (num_laws, nodes)."""
    deviation, shift = 2 / noise, 2 / noise**2
    reach = abs(np.log(stay / (1 - stay))) + shift + 9 * deviation
    half = int(np.ceil(reach / deviation * _NODES_PER_DEVIATION))
    arguments = np.arange(-half, half + 1) * (reach / half)
    step = reach / half
    slope = 2 * stay - 1
    tanh = np.tanh(arguments / 2)
    # the same as 2 artanh(slope * tanh), without cancellation near its ends
    odds = np.log1p(slope * tanh) - np.log1p(-slope * tanh)
    # arguments of the next pixel, given its label +1, from the log odds behind it
    kernel = np.exp(-0.5 * ((arguments[:, None] - odds - shift) / deviation) ** 2)
    kernel *= step / (deviation * np.sqrt(2 * np.pi))
    weights = np.zeros((num_laws, arguments.size))
    weights[0, half] = 1.0  # the node at zero log odds: nothing is seen
    for k in range(1, num_laws):
        density = kernel @ weights[k - 1]
        weights[k] = stay * density + (1 - stay) * density[::-1]  # the next pixel may have the other label
    return odds, weights
