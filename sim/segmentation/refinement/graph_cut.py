"""Minimum cuts: the exact minimum of a binary energy, and alpha-expansion for more labels.

SciPy's maximum flow takes whole-number capacities, so energies are scaled and rounded. Every capacity is off by at most
half a unit; with n capacities the cut found costs at most n units more than the true minimum, where a unit is
2^-30 of the largest sum of capacities that must fit into 32 bits: about 1e-6 of the energy on a 64 x 64 image.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from sim.segmentation.refinement.lattice import Labels, Lattice, check_unary, check_weights, potts_energy

LARGEST = 2**30  # what capacities may sum to; flows and residuals are int32 inside SciPy


def minimum_cut(
    cost: ArrayLike, first: ArrayLike, second: ArrayLike, forward: ArrayLike, backward: ArrayLike
) -> NDArray[np.bool_]:
    """The x in {0, 1}^n with the least energy over pixels p and pairs (p, q) = (first, second).

        sum cost_p x_p + sum forward_pq (1 - x_p) x_q + backward_pq x_p (1 - x_q).

    Args:
        cost: float, shape (n,), of either sign.
        first, second: int, shape (pairs,). forward, backward: float >= 0, shape (pairs,).

    Raises:
        ValueError: a pair's weight is negative (no cut minimises such an energy), or a number is not finite.

    Example:
        >>> minimum_cut([-3.0, 1.0], [0], [1], [2.0], [2.0]).tolist()
        [True, True]

    Source: Kolmogorov, Zabih, "What energy functions can be minimized via graph cuts?", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 26, 2004 [unchecked].
    """
    own = np.asarray(cost, dtype=np.float64)
    along, against = np.asarray(forward, dtype=np.float64), np.asarray(backward, dtype=np.float64)
    if not (np.isfinite(own).all() and np.isfinite(along).all() and np.isfinite(against).all()):
        raise ValueError("costs and weights must be finite")
    if along.size and min(along.min(), against.min()) < 0:
        raise ValueError(f"weights must be >= 0, got {min(along.min(), against.min())}")
    n = len(own)
    source, sink = n, n + 1
    # A pixel on the source's side has x = 0: x = 1 cuts its edge from the source, x = 0 its edge to the sink.
    pixels = np.arange(n)
    begin = np.concatenate([np.full(n, source), pixels, first, second])
    end = np.concatenate([pixels, np.full(n, sink), second, first])
    capacity = np.concatenate([np.maximum(own, 0), np.maximum(-own, 0), along, against])
    most = max(capacity[:n].sum(), capacity[n : 2 * n].sum(), (along + against).max() if along.size else 0.0)
    if most == 0:
        return np.zeros(n, dtype=bool)
    whole = np.rint(capacity * (LARGEST / most)).astype(np.int32)
    graph = sparse.csr_array((whole, (begin, end)), shape=(n + 2, n + 2))
    residual = graph - maximum_flow(graph, source, sink).flow
    residual.data[residual.data < 0] = 0
    residual.eliminate_zeros()
    reached = breadth_first_order(residual, source, directed=True, return_predecessors=False)
    answer = np.ones(n + 2, dtype=bool)
    answer[reached] = False
    return answer[:n]


def binary_graph_cut(unary: ArrayLike, lattice: Lattice, weights: ArrayLike) -> Labels:
    """The label map of two labels with the least Potts energy.

    Args:
        unary: float, shape (2, rows, columns). weights: float >= 0, shape (pairs,) or a number.

    Raises:
        ValueError: unary or weights break their rules, or there are not two labels.
    """
    costs = check_unary(unary)
    if len(costs) != 2:
        raise ValueError(f"unary must have two labels, got {len(costs)}")
    weight = check_weights(weights, lattice)
    x = minimum_cut((costs[1] - costs[0]).ravel(), lattice.first, lattice.second, weight, weight)
    return x.reshape(costs.shape[1:]).astype(np.int32)


def alpha_expansion(
    unary: ArrayLike, lattice: Lattice, weights: ArrayLike, start: ArrayLike | None = None, cycles: int = 5
) -> Labels:
    """Let one label after another grow where that lowers the energy, until none can.

    Each growth is a minimum cut over all pixels. The energy never rises, and at the end it is at most twice the least
    one (the Potts energy is a metric). Two labels are cut at once, exactly.

    Args:
        unary: float, shape (L, rows, columns), >= 0 for the factor to mean anything.
        weights: float >= 0, shape (pairs,) or a number.
        start: int, shape (rows, columns); the cheapest unary by default.
        cycles: at most so many rounds over the labels.

    Source: Boykov, Veksler, Zabih, "Fast approximate energy minimization via graph cuts", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 23, 2001 [unchecked].
    """
    costs = check_unary(unary)
    if len(costs) == 2 and start is None:
        return binary_graph_cut(costs, lattice, weights)
    weight = check_weights(weights, lattice)
    flat = costs.reshape(len(costs), -1)
    x = (flat.argmin(axis=0) if start is None else np.array(start, dtype=np.intp).ravel()).astype(np.int32)
    energy = potts_energy(x, costs, lattice, weight)
    for _ in range(cycles):
        before = energy
        for label in range(len(costs)):
            grown = _expand(x, label, flat, lattice, weight)
            found = potts_energy(grown, costs, lattice, weight)
            if found < energy:  # rounding alone could raise it
                x, energy = grown, found
        if energy == before:
            break
    return x.reshape(costs.shape[1:])


def _expand(x: Labels, label: int, flat: NDArray[np.float64], lattice: Lattice, weight: NDArray[np.float64]) -> Labels:
    """The cheapest map in which every pixel keeps its label or takes this one."""
    p, q = x[lattice.first], x[lattice.second]
    keep, second_moves, first_moves = weight * (p != q), weight * (p != label), weight * (q != label)
    cost = flat[label] - np.take_along_axis(flat, x[None], axis=0)[0]
    # With y = 1 for a pixel that moves: keep + (first_moves - keep) y_p - first_moves y_q + rest (1 - y_p) y_q.
    np.add.at(cost, lattice.first, first_moves - keep)
    np.add.at(cost, lattice.second, -first_moves)
    rest = second_moves + first_moves - keep  # >= 0 by the triangle inequality
    moves = minimum_cut(cost, lattice.first, lattice.second, rest, np.zeros_like(rest))
    return np.where(moves, label, x).astype(np.int32)
