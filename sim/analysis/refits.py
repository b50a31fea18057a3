"""Hundreds of bounded least-squares refits of one law at once, as the seed bootstrap needs them.

One refit by SciPy spends most of its time outside the law, whose cells are few. Here all refits take their steps
together: projected Levenberg-Marquardt on arrays of shape (refits, ...), the law evaluated once for all of them. What
may not have found its optimum that way is done one by one by `optimum.minimise`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.analysis.coordinates import Coordinates, ManyPredictions, forward_slopes, many_predictions
from sim.analysis.optimum import minimise
from sim.types import FloatArray

STEPS = 60  # most refits need under twenty; what needs more is left to `minimise`
TOLERANCE = 1e-8  # relative fall of the sum of squares, and cosine of residual and Jacobian: what `minimise` asks for
AGREEMENT = 1e-6  # two descents that end within this share of one another have found one optimum


def descend(
    scale: Coordinates, many: ManyPredictions, starts: FloatArray, targets: FloatArray, weight: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Minimise sum weight (law(u) - target)^2 within the bounds for each row of `targets`, from its row of `starts`.

    A parameter on a bound that its gradient pushes outwards is held there; the others take a step damped in the
    units of the Jacobian's columns, cut at the box.

    Args:
        scale: coordinates of the law.
        many: the law at many u, from `many_predictions`.
        starts: shape (refits, parameters).
        targets: shape (refits, cells).
        weight: of each cell, shape (cells,).

    Returns:
        u, shape (refits, parameters), and whether it converged, shape (refits,).

    Source: Levenberg-Marquardt with the damping of Nielsen, Damping Parameter in Marquardt's Method (1999) [unchecked].
    """
    low, high = scale.low, scale.high
    u = np.clip(starts, low, high)
    converged = np.zeros(len(u), dtype=bool)
    root = np.sqrt(weight)
    values = many(u)
    loss = np.sum(((values - targets) * root) ** 2, axis=1)
    damping, growth = np.full(len(u), 1e-3), np.full(len(u), 2.0)
    left = np.arange(len(u))
    jacobian = np.empty((len(u), u.shape[1], targets.shape[1]))
    stale = np.ones(len(u), dtype=bool)
    longest = np.zeros(u.shape)  # of each Jacobian column so far: the scale of its parameter
    for _ in range(STEPS):
        fresh = left[stale[left]]
        if len(fresh):
            jacobian[fresh] = forward_slopes(scale, many, u[fresh], values[fresh]) * root
            stale[fresh] = False
        here, slopes = u[left], jacobian[left]
        residual = (values[left] - targets[left]) * root
        gradient = np.einsum("bic,bc->bi", slopes, residual)
        free = ~((here <= low) & (gradient > 0) | (here >= high) & (gradient < 0))
        longest[left] = np.maximum(longest[left], np.sqrt(np.einsum("bic,bic->bi", slopes, slopes)))
        lengths = np.where(longest[left] > 0, longest[left], 1.0)
        slopes = slopes * (free / lengths)[:, :, None]
        force = -np.einsum("bic,bc->bi", slopes, residual)
        flat = np.max(np.abs(force), axis=1) <= TOLERANCE * np.sqrt(loss[left])
        normal = slopes @ slopes.transpose(0, 2, 1)
        damped = normal + (damping[left][:, None, None] + 1e-12) * np.eye(u.shape[1])
        step = np.linalg.solve(damped, force[:, :, None])[:, :, 0] * free / lengths
        proposal = np.clip(here + step, low, high)
        scaled = (proposal - here) * lengths * free
        promised = 2 * np.einsum("bi,bi->b", force, scaled) - np.einsum("bi,bij,bj->b", scaled, normal, scaled)
        new_values = many(proposal)
        new_loss = np.sum(((new_values - targets[left]) * root) ** 2, axis=1)
        gain = loss[left] - new_loss
        ratio = np.clip(gain / np.maximum(promised, 1e-14 * loss[left] + 1e-300), -1.0, 2.0)
        better = gain > 0
        settled = better & (gain <= TOLERANCE * loss[left]) & (ratio > 0.25)
        settled |= np.linalg.norm(proposal - here, axis=1) <= TOLERANCE * (TOLERANCE + np.linalg.norm(here, axis=1))
        taken = left[better]
        u[taken], values[taken], loss[taken] = proposal[better], new_values[better], new_loss[better]
        stale[taken] = True
        factor = np.where(better, np.clip(1 - (2 * ratio - 1) ** 3, 1 / 3, 2.0), growth[left])
        damping[left] = np.clip(damping[left] * factor, 1e-12, 1e12)
        growth[left] = np.where(better, 2.0, growth[left] * 2)
        converged[left] = flat | settled
        left = left[~(flat | settled)]
        if not len(left):
            break
    return u, converged


def refit_many(
    scale: Coordinates,
    columns: Mapping[str, Any],
    starts: FloatArray,
    optimum: FloatArray,
    targets: FloatArray,
    weight: FloatArray,
) -> FloatArray:
    """Refits u of a law, shape (refits, parameters), to each row of `targets`, shape (refits, cells).

    Each refit goes down twice, from its own start and from the fit to the data. A kink of the law or a bound in the way
    may stop one of them early: where the two do not end equally low, `minimise` goes from the start as well, and the
    lowest of the three is taken.

    Args:
        scale: coordinates of the law.
        columns: what the law reads, shape (cells,) each.
        starts: where each refit begins, shape (refits, parameters).
        optimum: u of the fit to the data, shape (parameters,).
        targets: resampled cell means.
        weight: of each cell, shape (cells,).
    """
    many = many_predictions(scale, columns, starts)
    found = [descend(scale, many, begin, targets, weight) for begin in (starts, np.broadcast_to(optimum, starts.shape))]
    losses = np.array([np.sum(weight * (many(u) - targets) ** 2, axis=1) for u, _ in found])
    refits = np.where((losses[0] <= losses[1])[:, None], found[0][0], found[1][0])
    lowest = losses.min(axis=0)
    sure = found[0][1] & found[1][1] & (losses.max(axis=0) <= lowest * (1 + AGREEMENT))
    for index in np.flatnonzero(~sure):
        u, _, half = minimise(scale, many, starts[index], targets[index], weight)
        if 2 * half < lowest[index]:
            refits[index] = u
    return refits
