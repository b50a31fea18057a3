"""Laws of a user's own: any response as a function of named columns and named parameters."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import qmc

from sim.analysis.coordinates import make_coordinates
from sim.types import FloatArray, Law

NUM_STARTS = 128  # a power of two, as Sobol's sequence wants; a start costs one evaluation, only the best are polished


def design_starts(law: Law, number: int = NUM_STARTS, seed: int = 0) -> FloatArray:
    """Start values spread evenly over the box of a law's bounds, shape (number, parameters).

    Scrambled Sobol points, on a logarithmic scale for positive parameters whose bounds span a factor of 100 or more.

    Args:
        law: the law; its own starts are not read.
        number: starts, rounded up to a power of two.
        seed: of the scrambling.

    Raises:
        ValueError: a bound is infinite, so that there is no box to spread over.

    >>> law = Law("line", "", {"a": (0.0, 1.0)}, lambda theta, columns: theta[0] * columns["x"], np.empty((0, 1)), "")
    >>> bool(np.ptp(design_starts(law, 8)) > 0.8), design_starts(law, 8).shape
    (True, (8, 1))

    Source: Sobol's sequence with Owen's scrambling, as in `scipy.stats.qmc.Sobol`.
    """
    scale = make_coordinates(law)
    if not len(scale.low):
        return np.empty((1, 0))
    if not np.all(np.isfinite([scale.low, scale.high])):
        raise ValueError(f"bounds of law {law.name!r} must be finite where starts is None, got {dict(law.parameters)}")
    sampler = qmc.Sobol(len(scale.low), scramble=True, rng=np.random.default_rng(seed))
    points = sampler.random_base2(max(int(np.ceil(np.log2(max(number, 1)))), 0))
    return scale.outward(scale.low + points * (scale.high - scale.low))


def make_law(
    name: str,
    parameters: Mapping[str, tuple[float, float]],
    predict: Callable[..., ArrayLike],
    starts: ArrayLike | None = None,
    *,
    summary: str = "",
    source: str = "a law of the user's own",
) -> Law:
    """A `Law` from a plain function of the columns and of the parameters by name.

    Args:
        name: what the law is called in tables.
        parameters: name -> (lower bound, upper bound).
        predict: `predict(columns, **parameters)` -> the response of each row, shape (rows,); columns are float64
            arrays of one length.
        starts: start values, shape (starts, parameters); None spreads 128 over the bounds (`design_starts`).
        summary: one line, with the formula.
        source: where the law comes from.

    Raises:
        ValueError: no name, a parameter that is no Python name, bounds out of order, infinite bounds without starts,
            or starts of another width.

    >>> def predict(columns, floor, scale, power):
    ...     return floor + scale * columns["tokens"] ** -power
    >>> law = make_law("power", {"floor": (0.0, 5.0), "scale": (0.1, 1e4), "power": (0.0, 2.0)}, predict)
    >>> law.starts.shape, law.predict(np.array([1.0, 100.0, 0.5]), {"tokens": np.array([1e4])}).tolist()
    ((128, 3), [2.0])
    """
    if not name:
        raise ValueError(f"name must not be empty, got {name!r}")
    for parameter in parameters:
        if not parameter.isidentifier():
            raise ValueError(f"parameters must be Python names, got {parameter!r}")
    names = tuple(parameters)

    def by_position(theta: FloatArray, columns: Mapping[str, FloatArray]) -> FloatArray:
        return np.asarray(predict(columns, **dict(zip(names, theta, strict=True))), dtype=np.float64)

    bare = Law(name, summary or name, dict(parameters), by_position, np.empty((0, len(names))), source)
    begin = design_starts(bare) if starts is None else np.atleast_2d(np.asarray(starts, dtype=np.float64))
    if begin.ndim != 2 or begin.shape[1] != len(names):
        raise ValueError(f"starts must have {len(names)} columns, one a parameter, got shape {begin.shape}")
    return bare._replace(starts=begin)
