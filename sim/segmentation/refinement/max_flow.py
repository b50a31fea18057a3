"""Convex max-flow: the binary region problem relaxed to shares, with a certificate, whatever the start."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
STEP = 1 / np.sqrt(8)  # of both variables: the squared norm of the discrete gradient is below 8


class Relaxed(NamedTuple):
    """A solved relaxation.

    Attributes:
        shares: float64 in [0, 1], shape (rows, columns); above 1/2 is the object.
        energy: of the shares. gap: energy minus the dual's bound, >= 0: what is left to gain at most.
        steps: iterations done.
    """

    shares: Floats
    energy: float
    gap: float
    steps: int


def gradient(image: Floats) -> Floats:
    """Forward differences, 0 across the edge of the image: shape (2, rows, columns)."""
    slopes = np.zeros((2, *image.shape))
    slopes[0, :-1] = image[1:] - image[:-1]
    slopes[1, :, :-1] = image[:, 1:] - image[:, :-1]
    return slopes


def divergence(flow: Floats) -> Floats:
    """Minus the adjoint of `gradient`."""
    total = np.zeros(flow.shape[1:])
    total[:-1] += flow[0, :-1]
    total[1:] -= flow[0, :-1]
    total[:, :-1] += flow[1, :, :-1]
    total[:, 1:] -= flow[1, :, :-1]
    return total


def surface_energy(shares: ArrayLike, force: ArrayLike, smoothness: ArrayLike) -> float:
    """sum force u + sum smoothness |grad u|."""
    u = np.asarray(shares, dtype=np.float64)
    length = np.sqrt((gradient(u) ** 2).sum(axis=0))
    return float((np.asarray(force) * u).sum() + (np.broadcast_to(smoothness, u.shape) * length).sum())


def max_flow(
    force: ArrayLike,
    smoothness: ArrayLike,
    start: ArrayLike | None = None,
    tolerance: float = 1e-3,
    steps: int = 500,
) -> Relaxed:
    """Minimise sum force u + sum smoothness |grad u| over 0 <= u <= 1.

    The problem is convex and its relaxation is tight: cut at almost any level, u is a least binary surface. Its dual is
    the largest flow within |p| <= smoothness.

    Args:
        force: float, shape (rows, columns); negative inside, such as a log ratio of background to object.
        smoothness: float >= 0, one number or one a pixel (small where an edge is seen).
        start: shares to begin with; it does not change what is found.
        tolerance: stop when the gap is below so many times the sum of |force|.
        steps: at most so many iterations.

    Raises:
        ValueError: force is no finite image or a smoothness is negative.

    Example:
        >>> found = max_flow(np.pad(-np.ones((4, 4)), 2, constant_values=1.0), 0.1)
        >>> int((found.shares > 0.5).sum()), bool(found.gap < 0.04)
        (16, True)

    Source: Yuan, Bae, Tai, "A study on continuous max-flow and min-cut approaches", CVPR 2010 [unchecked], solved by
    Chambolle, Pock, "A first-order primal-dual algorithm for convex problems", 2011 [unchecked].
    """
    region = np.asarray(force, dtype=np.float64)
    if region.ndim != 2 or region.size == 0 or not np.isfinite(region).all():
        raise ValueError(f"force must be finite, of shape (rows, columns), got shape {region.shape}")
    bound = np.broadcast_to(np.asarray(smoothness, dtype=np.float64), region.shape)
    if not (np.isfinite(bound).all() and (bound >= 0).all()):
        raise ValueError(f"smoothness must be finite and >= 0, got a smallest of {bound.min()}")
    u = np.clip(np.asarray(start, dtype=np.float64), 0, 1) if start is not None else (region < 0).astype(np.float64)
    flow, ahead, done = np.zeros((2, *region.shape)), u, 0
    energy, gap = surface_energy(u, region, bound), np.inf
    while done < steps:
        for _ in range(min(25, steps - done)):
            flow = flow + STEP * gradient(ahead)
            size = np.sqrt((flow**2).sum(axis=0))
            flow *= np.divide(bound, size, out=np.ones_like(size), where=size > bound)
            moved = np.clip(u + STEP * (divergence(flow) - region), 0, 1)
            ahead, u = 2 * moved - u, moved
            done += 1
        energy = surface_energy(u, region, bound)
        gap = energy - float(np.minimum(region - divergence(flow), 0).sum())
        if gap <= tolerance * np.abs(region).sum():
            break
    return Relaxed(u, energy, gap, done)
