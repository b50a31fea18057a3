"""The coordinates a law is fitted in, and the law at many of them at once."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.types import FloatArray, Law

WIDE = 100.0  # a positive parameter whose bounds span this factor is fitted on a logarithmic scale
PROBES = 24  # points at which a law has to give in one call what it gives in many
ManyPredictions = Callable[[FloatArray], FloatArray]  # u of shape (points, parameters) -> shape (points, cells)


class Coordinates(NamedTuple):
    """The optimiser's coordinates u: logarithms of wide positive parameters, the others as they are.

    Attributes:
        law: the law.
        logarithmic: bool, shape (parameters,).
        low: lower bounds of u.
        high: upper bounds of u.
    """

    law: Law
    logarithmic: NDArray[np.bool_]
    low: FloatArray
    high: FloatArray

    def inward(self, parameters: FloatArray) -> FloatArray:
        """Parameters -> u."""
        safe = np.where(self.logarithmic, np.maximum(parameters, 1e-300), 1.0)
        return np.asarray(np.where(self.logarithmic, np.log(safe), parameters))

    def outward(self, coordinates: FloatArray) -> FloatArray:
        """u -> parameters."""
        return np.asarray(np.where(self.logarithmic, np.exp(np.where(self.logarithmic, coordinates, 0.0)), coordinates))

    def predict(self, coordinates: FloatArray, columns: Mapping[str, Any]) -> FloatArray:
        """The law's accuracy at u, shape (cells,); where it overflows it is simply wrong, by more than any accuracy.

        At many u, shape (points, parameters), the law gets parameters of shape (parameters, points, 1); one that
        broadcasts answers with shape (points, cells).
        """
        parameters = self.outward(coordinates)
        parameters = parameters if coordinates.ndim == 1 else parameters.T[:, :, None]
        with np.errstate(all="ignore"):
            values = np.asarray(self.law.predict(parameters, columns), dtype=np.float64)
        return np.clip(np.nan_to_num(values, nan=10.0), -10.0, 10.0)

    def margin(self, share: float) -> FloatArray:
        """A small part of each parameter's range."""
        span = self.high - self.low
        return np.asarray(share * np.where(np.isfinite(span), span, 1.0))


def make_coordinates(law: Law) -> Coordinates:
    """Coordinates of a law's parameters within their bounds."""
    bounds = np.array(list(law.parameters.values()), dtype=np.float64).reshape(-1, 2)
    if not np.all(bounds[:, 0] < bounds[:, 1]):
        raise ValueError(f"bounds of law {law.name!r} must be (low, high) with low < high, got {dict(law.parameters)}")
    positive = bounds[:, 0] > 0
    logarithmic = positive & (bounds[:, 1] >= WIDE * np.where(positive, bounds[:, 0], 1.0))
    plain = Coordinates(law, logarithmic, bounds[:, 0], bounds[:, 1])
    return plain._replace(low=plain.inward(bounds[:, 0]), high=plain.inward(bounds[:, 1]))


def many_predictions(scale: Coordinates, columns: Mapping[str, Any], points: FloatArray) -> ManyPredictions:
    """A law of many u at once: in one call if the law can take it, else point by point.

    A law need not know arrays of parameters. It is asked for some of `points` both ways, and whatever it answers to
    arrays other than to numbers, an exception included, leads back to one call a point.

    Args:
        scale: coordinates of the law.
        columns: what the law reads, shape (cells,) each.
        points: u that the law will be asked about, shape (points, parameters).
    """

    def each(asked: FloatArray) -> FloatArray:
        return np.array([scale.predict(u, columns) for u in asked])

    def together(asked: FloatArray) -> FloatArray:
        return scale.predict(asked, columns)

    probes = np.unique(points, axis=0)
    probes = probes[:: max(len(probes) // PROBES, 1)]
    if len(probes) < 2:  # one point looks like none: a law that needs numbers would pass
        return each
    expected = each(probes)
    try:
        answer = together(probes)
    except Exception:  # a user's law, and an array where it expects a number: anything may be raised
        return each
    # one call runs other vector instructions than many, which may round otherwise
    return together if answer.shape == expected.shape and np.allclose(answer, expected, 1e-9, 1e-12) else each


def forward_slopes(scale: Coordinates, many: ManyPredictions, u: FloatArray, values: FloatArray) -> FloatArray:
    """Slopes of a law by differences away from 0, towards it at a bound, shape (points, parameters, cells).

    Args:
        scale: coordinates of the law.
        many: the law at many u.
        u: where, shape (points, parameters).
        values: the law there, shape (points, cells).
    """
    points, size = u.shape
    step = np.sqrt(np.finfo(np.float64).eps) * np.maximum(np.abs(u), 1.0) * np.where(u < 0, -1.0, 1.0)
    step = np.where((u + step > scale.high) | (u + step < scale.low), -step, step)
    moved = u[:, None, :] + step[:, :, None] * np.eye(size)
    taken = np.einsum("bii->bi", moved) - u  # what was left of the step after rounding
    away = many(moved.reshape(-1, size)).reshape(points, size, -1)
    return np.asarray((away - values[:, None, :]) / taken[:, :, None])
