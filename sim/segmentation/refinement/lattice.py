"""The grid of pixels as a graph, its Potts energy, and iterated conditional modes on it.

    E(x) = sum_p unary[x_p, p] + sum_{p~q} weight_pq [x_p != x_q]

with neighbours p ~ q to the side and, where asked for, across the corner.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]


class Lattice(NamedTuple):
    """Pairs of neighbours, each once.

    Attributes:
        shape: (rows, columns).
        first, second: int, shape (pairs,), pixels counted row by row.
        step: float, shape (pairs, 2), from the first to the second as a unit vector (down, right).
        length: float, shape (pairs,), 1 or sqrt 2 pixels.
    """

    shape: tuple[int, int]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    step: Floats
    length: Floats


def make_lattice(shape: tuple[int, int], diagonals: bool = True) -> Lattice:
    """The 8-neighbour lattice of an image, or the 4-neighbour one.

    Example:
        >>> len(make_lattice((2, 3)).first), len(make_lattice((2, 3), diagonals=False).first)
        (11, 7)
    """
    pixel = np.arange(shape[0] * shape[1]).reshape(shape)
    moves = [(1, 0), (0, 1), *([(1, 1), (1, -1)] if diagonals else [])]
    first, second, step = [], [], []
    for down, right in moves:
        rows = slice(0, shape[0] - down)
        here = pixel[rows, max(-right, 0) : shape[1] - max(right, 0)].ravel()
        there = pixel[down:, max(right, 0) : shape[1] + min(right, 0)].ravel()
        first.append(here)
        second.append(there)
        step.append(np.tile(np.array([down, right]) / np.hypot(down, right), (len(here), 1)))
    length = np.repeat([np.hypot(*move) for move in moves], [len(part) for part in first])
    return Lattice(shape, np.concatenate(first), np.concatenate(second), np.concatenate(step), length)


def check_unary(unary: ArrayLike) -> Floats:
    """Costs of labels as float64, shape (L, rows, columns).

    Raises:
        ValueError: another shape, fewer than two labels, or a value that is not finite.
    """
    array = np.asarray(unary, dtype=np.float64)
    if array.ndim != 3 or array.shape[0] < 2 or array.size == 0:
        raise ValueError(f"unary must have shape (labels >= 2, rows, columns), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"unary must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def check_weights(weights: ArrayLike, lattice: Lattice) -> Floats:
    """Weights of pairs as float64, shape (pairs,); one number stands for all.

    Raises:
        ValueError: another shape, or a weight that is negative or not finite.
    """
    array = np.asarray(weights, dtype=np.float64)
    if array.shape not in ((), lattice.first.shape):
        raise ValueError(f"weights must be one number or one a pair ({len(lattice.first)}), got shape {array.shape}")
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError(f"weights must be finite and >= 0, got a smallest of {array.min()}")
    return np.broadcast_to(array, lattice.first.shape)


def contrast_weights(image: ArrayLike, lattice: Lattice, strength: float) -> Floats:
    """Weights that fall across edges: strength exp(-d^2 / (2 <d^2>)) / length, d the difference of the grey values.

    Args:
        image: float, shape (rows, columns).
        strength: weight of a pair of equal pixels side by side.

    Source: Boykov, Jolly, "Interactive graph cuts for optimal boundary and region segmentation of objects in N-D
    images", ICCV 2001 [unchecked], with the mean of d^2 taken from the image itself.
    """
    grey = np.asarray(image, dtype=np.float64).ravel()
    square = (grey[lattice.first] - grey[lattice.second]) ** 2
    mean = square.mean() if square.size else 0.0
    return strength * np.exp(-square / (2 * mean if mean > 0 else 1.0)) / lattice.length


def potts_energy(labels: ArrayLike, unary: ArrayLike, lattice: Lattice, weights: ArrayLike) -> float:
    """Energy of a label map, as the module says.

    Args:
        labels: int, shape (rows, columns).
        unary: float, shape (L, rows, columns).
        weights: float >= 0, shape (pairs,) or a number.

    Example:
        >>> unary = np.zeros((2, 1, 3))
        >>> potts_energy([[0, 1, 1]], unary, make_lattice((1, 3)), 2.0)
        2.0
    """
    x = np.asarray(labels).ravel()
    own = np.take_along_axis(check_unary(unary).reshape(len(np.asarray(unary)), -1), x[None], axis=0).sum()
    return float(own + check_weights(weights, lattice)[x[lattice.first] != x[lattice.second]].sum())


def iterated_conditional_modes(
    unary: ArrayLike, lattice: Lattice, weights: ArrayLike, start: ArrayLike | None = None, sweeps: int = 50
) -> Labels:
    """Set pixel after pixel to its best label given its neighbours, until nothing changes: a local minimum of E.

    Pixels of equal parity of row and column are no neighbours, so each of the four kinds is set at once.

    Args:
        unary: float, shape (L, rows, columns). weights: float >= 0, shape (pairs,) or a number.
        start: int, shape (rows, columns); the cheapest unary by default.
        sweeps: at most so many passes over all pixels.

    Raises:
        ValueError: unary or weights break their rules.

    Source: Besag, "On the statistical analysis of dirty pictures", Journal of the Royal Statistical Society B 48, 1986
    [unchecked].
    """
    costs = check_unary(unary)
    labels_count, rows, columns = costs.shape
    flat = costs.reshape(labels_count, -1).T
    weight = check_weights(weights, lattice)
    ends = np.concatenate([lattice.first, lattice.second]), np.concatenate([lattice.second, lattice.first])
    graph = sparse.csr_array((np.tile(weight, 2), ends), shape=(rows * columns, rows * columns))
    kind = (2 * (np.arange(rows)[:, None] % 2) + np.arange(columns)[None] % 2).ravel()
    parts = [(np.flatnonzero(kind == k), graph[np.flatnonzero(kind == k)]) for k in range(4)]
    x = flat.argmin(axis=1) if start is None else np.array(start, dtype=np.intp).ravel()
    for _ in range(sweeps):
        before = x.copy()
        for pixels, links in parts:
            x[pixels] = (flat[pixels] - links @ np.eye(labels_count)[x]).argmin(axis=1)
        if np.array_equal(before, x):
            break
    return x.reshape(rows, columns).astype(np.int32)
