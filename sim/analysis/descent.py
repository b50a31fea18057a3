"""The way down from one start for any loss, with the parameters in which the law is linear solved for at every step.

Joint damped Newton steps in all parameters, each followed by the exact solution of the linear ones, go the way of
variable projection (Kaufman's form; Ruhe and Wedin, SIAM Review 22, 1980 [unchecked]) without its derivatives.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from sim.analysis.coordinates import Coordinates, make_coordinates
from sim.analysis.losses import Loss
from sim.types import FloatArray, Law

ITERATIONS = 300
STEP = float(np.finfo(np.float64).eps ** (1 / 3))  # of central differences: error of order STEP^2, about 4e-11
SETTLED = 1e-11  # a step that lowers the loss by a smaller share has arrived: far below the noise of any data
ARRIVED = (
    1e-13  # gap at which a descent ends; the loss may fall by some ten times more where Newton's curvature is less
)
PROJECTIONS = 3  # reweighted solutions of the linear parameters at a start; squares need one
LINEAR_TOLERANCE = 1e-8  # share by which a law may miss the straight line in its linear parameters: rounding


class Model(NamedTuple):
    """A law on its rows, in the optimiser's coordinates.

    Attributes:
        scale: coordinates u of the parameters; linear ones are never logarithmic.
        columns: what the law reads.
        linear: numbers of the parameters that are eliminated.
    """

    scale: Coordinates
    columns: Mapping[str, Any]
    linear: NDArray[np.int64]

    def predict(self, u: FloatArray) -> FloatArray:
        """Response of each row at u; NaN where the law has no value."""
        with np.errstate(all="ignore"):
            return np.asarray(self.scale.law.predict(self.scale.outward(u), self.columns), dtype=np.float64)

    def jacobian(self, u: FloatArray) -> FloatArray:
        """Slopes of the response in u by central differences inside the bounds, shape (rows, parameters)."""
        slopes = []
        for index, place in enumerate(u):
            step = STEP * max(1.0, abs(place))
            ends = np.tile(u, (2, 1))
            ends[:, index] = np.clip([place - step, place + step], self.scale.low[index], self.scale.high[index])
            slopes.append((self.predict(ends[1]) - self.predict(ends[0])) / (ends[1, index] - ends[0, index]))
        return np.nan_to_num(np.stack(slopes, axis=1), nan=0.0, posinf=0.0, neginf=0.0)


class Descent(NamedTuple):
    """Where a descent ended.

    Attributes:
        coordinates: u.
        objective: the loss there, summed over rows.
        jacobian: of the response.
        gap: by which share of the objective the loss would still fall along the majorant's quadratic.
    """

    coordinates: FloatArray
    objective: float
    jacobian: FloatArray
    gap: float


def make_model(law: Law, columns: Mapping[str, Any], linear: Sequence[str] = ()) -> Model:
    """The model of a law on columns; `linear` names the parameters in which the law is linear.

    Raises:
        ValueError: an unknown name.
    """
    names = list(law.parameters)
    unknown = [name for name in linear if name not in names]
    if unknown:
        raise ValueError(f"linear must name parameters of law {law.name!r}, {', '.join(names)}, got {unknown[0]!r}")
    where = np.array([names.index(name) for name in names if name in linear], dtype=np.int64)
    scale = make_coordinates(law)
    bounds = np.array(list(law.parameters.values()), dtype=np.float64).reshape(-1, 2)
    low, high, logarithmic = scale.low.copy(), scale.high.copy(), scale.logarithmic.copy()
    low[where], high[where], logarithmic[where] = bounds[where, 0], bounds[where, 1], False
    return Model(scale._replace(low=low, high=high, logarithmic=logarithmic), columns, where)


def _basis(model: Model, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The law at linear parameters 0, and what one unit of each adds, shape (rows, linear)."""
    place = u.copy()
    place[model.linear] = 0.0
    offset = model.predict(place)
    columns = []
    for index in model.linear:
        unit = place.copy()
        unit[index] = 1.0
        columns.append(model.predict(unit) - offset)
    return offset, np.stack(columns, axis=1)


def check_linear(model: Model, u: FloatArray) -> None:
    """Raise ValueError unless the law at u is a straight line in the parameters that were named linear."""
    offset, basis = _basis(model, u)
    place = u.copy()
    place[model.linear] = np.arange(1, len(model.linear) + 1) * 1.7
    straight = offset + basis @ place[model.linear]
    size = np.abs(offset) + np.abs(basis) @ np.abs(place[model.linear])
    miss = np.abs(model.predict(place) - straight)
    if np.any(miss > LINEAR_TOLERANCE * size):
        names = [list(model.scale.law.parameters)[index] for index in model.linear]
        raise ValueError(f"law {model.scale.law.name!r} must be linear in {', '.join(names)}, and it is not")


def project(model: Model, loss: Loss, u: FloatArray, mean: FloatArray, rounds: int = 1) -> FloatArray:
    """u with its linear parameters solved for, others held: weighted least squares, reweighted at each new mean.

    Args:
        mean: where the first quadratic of the loss is taken, such as `loss.guess`.
    """
    offset, basis = _basis(model, u)
    if not np.all(np.isfinite(basis)) or not np.all(np.isfinite(offset)):
        return u
    out = u.copy()
    low, high = model.scale.low[model.linear], model.scale.high[model.linear]
    for _ in range(rounds):
        weight = loss.majorant(mean)
        root = np.sqrt(weight)
        target = mean - loss.slope(mean) / weight
        length = np.linalg.norm(basis * root[:, None], axis=0)
        length = np.where(length > 0, length, 1.0)
        design, goal = basis * root[:, None] / length, (target - offset) * root
        answer = np.linalg.lstsq(design, goal, rcond=1e-12)[0] / length
        if np.any((answer < low) | (answer > high)):
            answer = optimize.lsq_linear(design, goal, bounds=(low * length, high * length), method="bvls").x / length
        out[model.linear] = np.clip(answer, low, high)
        mean = offset + basis @ out[model.linear]
        if not np.all(np.isfinite(loss.value(mean))):
            break
    return out


def total_loss(model: Model, loss: Loss, u: FloatArray) -> float:
    """Loss at u, infinite where the law or the loss has no value."""
    mean = model.predict(u)
    if not np.all(np.isfinite(mean)):
        return float("inf")
    return float(np.sum(loss.value(mean)))


def descend(model: Model, loss: Loss, start: FloatArray) -> Descent:
    """Damped Newton from one start u (inside the bounds, of finite loss) to where the loss no longer falls.

    Newton's own curvature plus damping times the majorant's: undamped it is Newton's step, damped it goes down whatever
    the loss. Parameters on a bound that the loss pushes outwards are held.
    """
    u, damping, still = start.copy(), 1e-3, 0
    objective = total_loss(model, loss, u)
    mean, jacobian = model.predict(u), model.jacobian(u)
    for _ in range(ITERATIONS):
        free, length, gradient, majorant = _local(model, loss, u, mean, jacobian)
        if not free.any() or _gap(gradient, majorant, objective) < ARRIVED:
            break
        inner = jacobian[:, free] / length
        newton = inner.T @ (loss.newton(mean)[:, None] * inner)
        ridge = majorant + np.eye(len(length))
        candidate, lower = u, objective
        while damping < 1e9:
            step = np.linalg.lstsq(newton + damping * ridge, -gradient, rcond=1e-14)[0] / length
            candidate = u.copy()
            candidate[free] = np.clip(u[free] + step, model.scale.low[free], model.scale.high[free])
            lower = total_loss(model, loss, candidate)
            if len(model.linear) and np.isfinite(lower):
                solved = project(model, loss, candidate, model.predict(candidate))
                better = total_loss(model, loss, solved)
                candidate, lower = (solved, better) if better < lower else (candidate, lower)
            if lower < objective:
                break
            damping *= 8
        if not lower < objective:
            break
        still = still + 1 if objective - lower <= SETTLED * objective else 0
        u, objective, damping = candidate, lower, max(damping / 8, 1e-9)
        mean, jacobian = model.predict(u), model.jacobian(u)
        if still >= 3:
            break
    _, _, gradient, majorant = _local(model, loss, u, mean, jacobian)
    return Descent(u, objective, jacobian, _gap(gradient, majorant, objective))


def _gap(gradient: FloatArray, majorant: FloatArray, objective: float) -> float:
    """Share of the objective by which the majorant's quadratic still falls."""
    decrease = 0.5 * float(gradient @ np.linalg.lstsq(majorant, gradient, rcond=1e-14)[0])
    return decrease / max(objective, 1e-300)


def _local(
    model: Model, loss: Loss, u: FloatArray, mean: FloatArray, jacobian: FloatArray
) -> tuple[NDArray[np.bool_], FloatArray, FloatArray, FloatArray]:
    """Which parameters may move, their units (of majorant curvature 1), and in these gradient and majorant."""
    gradient = jacobian.T @ loss.slope(mean)
    held = ((u <= model.scale.low) & (gradient > 0)) | ((u >= model.scale.high) & (gradient < 0))
    inner = jacobian[:, ~held]
    majorant = inner.T @ (loss.majorant(mean)[:, None] * inner)
    length = np.sqrt(np.diag(majorant))
    length = np.where(length > 0, length, 1.0)
    return ~held, length, gradient[~held] / length, majorant / np.outer(length, length)
