"""What the fitted laws say of a cell that was not run: its accuracy, and the inputs that an accuracy needs.

The law that scored best on the held-out cells is fitted again to all cells and speaks; its interval is widened by how
far the laws that cannot be told from it disagree with it there, and beyond the fitted range by the error that all of
them make when they foretell the outermost cells (`hindcasts`), which grows with the distance.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.factors import UsageError
from experiments.fitting import Arm, rank_arm
from experiments.hindcasts import AxisError, axis_errors, from_angle, to_angle
from sim.analysis.fits import LawFit, LawRanking, fit_law, inside_range, predict_law
from sim.theory.ceilings import gaussian_codebook_accuracy
from sim.types import FloatArray

MOST_INPUTS = 2**60  # nobody collects more; a target that is not reached here is not reached
ENDLESS = 1e100  # inputs at which a law stands at its asymptote
MOST_DECADES = 2.0  # an interval of inputs wider than this is no plan
POINTS = 64  # evaluated at once while the interval is inverted
_TASK = ("dimension", "signal_power", "noise")  # what the theorem reads beside inputs, outputs and chance


class Predictor(NamedTuple):
    """The laws that speak for one arm.

    Attributes:
        arm: the arm.
        best: the fit of the best law, to all cells.
        rivals: the fits of those that cannot be told from it.
        beyond: how fast all of them go wrong outside the range of each axis, by the axis's name.
    """

    arm: Arm
    best: LawFit
    rivals: tuple[LawFit, ...]
    beyond: Mapping[str, AxisError]


def choose_arm(arms: Sequence[Arm], name: str | None, metric: str | None) -> Arm:
    """The arm that is asked for; the name may be left out where there is one, the metric for the arm's first.

    Raises:
        UsageError: no such arm or metric, or no arm that can be fitted.
    """
    names = list(dict.fromkeys(arm.name for arm in arms))
    if not arms:
        raise UsageError("an arm must have six cells or more to be fitted, got none that has")
    if (name is None and len(names) > 1) or (name is not None and name not in names):
        raise UsageError(f"arm must be one of {', '.join(names)}, got {'none' if name is None else repr(name)}")
    found = [arm for arm in arms if arm.name == (name or names[0])]
    metrics = [arm.metric for arm in found]
    if metric is not None and metric not in metrics:
        raise UsageError(f"metric must be one of {', '.join(metrics)}, got {metric!r}")
    return found[0 if metric is None else metrics.index(metric)]


def learn(arm: Arm, ranking: LawRanking | None = None) -> Predictor:
    """Rank the laws on the held-out cells, then fit the best and those tied with it to all cells.

    Args:
        arm: what the laws are fitted to.
        ranking: of `rank_arm`, where it is there already.

    Raises:
        ValueError: rows that show no variance.
    """
    scores = (rank_arm(arm) if ranking is None else ranking).scores
    kept = [score for index, score in enumerate(scores) if index == 0 or score.tied]
    moments = {"variance": arm.variance, "trials": arm.trials}
    fits = [fit_law(score.fit.law, arm.columns, arm.accuracy, **moments) for score in kept]
    return Predictor(arm, fits[0], tuple(fits[1:]), axis_errors(arm, [fit.law for fit in fits]))


def _chance(arm: Arm, outputs: float) -> float:
    """Chance at J: 1/J where the arm's rows have that, else the rows' one value, or that of the same J."""
    chance, known = arm.columns["chance"], arm.columns["outputs"]
    if np.allclose(chance * known, 1.0):
        return 1 / outputs
    values = np.unique(chance if np.ptp(chance) == 0 else chance[known == outputs])
    if len(values) != 1:
        raise UsageError(f"outputs must be a number whose chance the rows show, got {outputs:g}")
    return float(values[0])


def _task(arm: Arm) -> dict[str, float]:
    """The codebook's own columns, empty for other arms."""
    task = {}
    for name in _TASK:
        if name in arm.columns:
            values = np.unique(arm.columns[name])
            if len(values) != 1:
                raise UsageError(f"{name} must be the same in all rows of arm {arm.name}, got {len(values)} values")
            task[name] = float(values[0])
    return task


def known_ceiling(arm: Arm, outputs: float) -> float | None:
    """Accuracy with known codewords, exact; None for an arm that is no codebook."""
    task = _task(arm)
    if not task or not float(outputs).is_integer():
        return None
    return gaussian_codebook_accuracy(int(outputs), int(task["dimension"]), task["signal_power"], task["noise"] ** 2)


def _widen(beyond: Mapping[str, AxisError], columns: Mapping[str, FloatArray], curves: FloatArray) -> FloatArray:
    """Low and high of `curves` (low, centre, high), joined in quadrature with the error beyond the range."""
    extra = np.sqrt(np.sum([error.at(columns[axis]) ** 2 for axis, error in beyond.items()], axis=0))
    low, centre, high = to_angle(curves, columns["chance"])
    wide_low = np.minimum(curves[0], from_angle(centre - np.hypot(centre - low, extra), columns["chance"]))
    wide_high = np.maximum(curves[2], from_angle(centre + np.hypot(high - centre, extra), columns["chance"]))
    return np.where(extra > 0, [wide_low, wide_high], curves[[0, 2]])


def _curves(predictor: Predictor, inputs: FloatArray, outputs: float | FloatArray) -> FloatArray:
    """Low, centre and high at each number of inputs and outputs, shape (3, points); none above the exact ceiling."""
    arm = predictor.arm
    levels, level = np.unique(np.broadcast_to(np.asarray(outputs, np.float64), inputs.shape), return_inverse=True)
    chance = np.array([_chance(arm, float(value)) for value in levels])
    exact = [known_ceiling(arm, float(value)) for value in levels]
    ceiling = np.array([1.0 if value is None else value for value in exact])
    columns = {"inputs": inputs, "outputs": levels[level], "chance": chance[level]}
    columns |= {name: np.full(len(inputs), value) for name, value in _task(arm).items()}
    best = predict_law(predictor.best, columns)
    rivals = [predict_law(rival, columns).accuracy - best.accuracy for rival in predictor.rivals]
    apart = np.stack([np.zeros_like(inputs), *rivals])
    low, high = best.interval[:, 0] + apart.min(axis=0), best.interval[:, 1] + apart.max(axis=0)
    low, high = _widen(predictor.beyond, columns, np.stack([low, best.accuracy, high]))
    return np.clip([low, best.accuracy, high], 0.0, ceiling[level])


def _labels(predictor: Predictor) -> dict[str, Any]:
    return {"law": predictor.best.law.name, "arm": predictor.arm.name, "metric": predictor.arm.metric}


def _inside(predictor: Predictor, inputs: float, outputs: float) -> bool:
    cell = {"inputs": np.array([float(inputs)]), "outputs": np.array([float(outputs)])}
    return bool(inside_range(predictor.best, cell)[0])


def predict_accuracy(predictor: Predictor, inputs: float, outputs: float) -> dict[str, Any]:
    """Accuracy at I and J with its 95% interval, and whether the cell lies inside the fitted range.

    Args:
        inputs: I >= 1.
        outputs: J >= 2.

    Raises:
        UsageError: inputs or outputs against their rule, or a J whose chance is not known.
    """
    _check_inputs(inputs)
    _check_outputs(outputs)
    low, centre, high = _curves(predictor, np.array([float(inputs)]), outputs)[:, 0].tolist()
    inside = _inside(predictor, inputs, outputs)
    return {"accuracy": centre, "interval": [low, high], "inside_range": inside, **_labels(predictor)}


def predict_curve(predictor: Predictor, inputs: float, outputs: FloatArray) -> FloatArray:
    """What `predict_accuracy` says of many J at one I: low, accuracy and high, shape (3, points).

    Args:
        inputs: I >= 1.
        outputs: each J >= 2, shape (points,).

    Raises:
        UsageError: inputs or outputs against their rule, or a J whose chance is not known.
    """
    _check_inputs(inputs)
    _check_outputs(float(np.min(outputs)))
    _check_outputs(float(np.max(outputs)))
    return _curves(predictor, np.full(len(outputs), float(inputs)), outputs)


def _check_inputs(inputs: float) -> None:
    if not 1 <= inputs <= MOST_INPUTS:
        raise UsageError(f"inputs must be in [1, 2^60], got {inputs:g}")


def _check_outputs(outputs: float) -> None:
    if not (outputs >= 2 and math.isfinite(outputs)):
        raise UsageError(f"outputs must be >= 2, got {outputs:g}")


def smallest_inputs(curve: Callable[[FloatArray], FloatArray], target: float) -> int | None:
    """The smallest whole number of inputs at which a curve reaches the target, None if it never does.

    It is looked for in the first pair of neighbouring powers of two between which the curve gets there.

    >>> smallest_inputs(lambda inputs: 1 - 1 / inputs, 0.99), smallest_inputs(lambda inputs: 0 * inputs, 0.5)
    (100, None)
    """
    points = 2 ** np.arange(int(math.log2(MOST_INPUTS)) + 1, dtype=np.int64)
    first = 0
    while True:
        reached = curve(points.astype(np.float64)) >= target
        if not reached.any():
            return None
        first = int(np.argmax(reached))
        if first == 0 or points[first] - points[first - 1] == 1:
            return int(points[first])
        low, high = int(points[first - 1]), int(points[first])
        points = np.unique([low + (high - low) * step // POINTS for step in range(POINTS + 1)])


def plan_inputs(predictor: Predictor, outputs: float, accuracy: float) -> dict[str, Any]:
    """The smallest number of inputs whose predicted accuracy reaches a target at J outputs.

    Args:
        outputs: J >= 2.
        accuracy: the target, in (0, 1].

    Returns:
        inputs with the interval that inverts that of `predict_accuracy` (an end is None where it is never reached); the
        ceiling: the exact one with known codewords, else the law's asymptote; and a reason where inputs is None (a
        target that is not below the ceiling, or more than 2^60 inputs) or its interval spans more than two decades.

    Raises:
        UsageError: outputs or accuracy against their rule, or a J whose chance is not known.
    """
    _check_outputs(outputs)
    if not 0 < accuracy <= 1:
        raise UsageError(f"accuracy must be in (0, 1], got {accuracy:g}")
    exact = known_ceiling(predictor.arm, outputs)
    asymptote = float(_curves(predictor, np.array([ENDLESS]), outputs)[1, 0])
    ceiling = asymptote if exact is None else exact
    row: dict[str, Any] = {"inputs": None, "interval": [None, None], "inside_range": False, **_labels(predictor)}
    row |= {"ceiling": ceiling, "reason": None}
    if accuracy >= ceiling:  # a ceiling is come near to without end; only rounding would reach it
        what = f"the asymptote of law {row['law']}" if exact is None else "the accuracy with known codewords"
        return row | {"reason": f"accuracy {accuracy:g} is not below the ceiling {ceiling:.6g}, {what}"}
    found = [
        smallest_inputs(lambda inputs, end=end: _curves(predictor, inputs, outputs)[end], accuracy)  # type: ignore[misc]
        for end in (2, 1, 0)
    ]
    if found[1] is None:
        reason = f"accuracy {accuracy:g} is not reached with 2^60 inputs by law {row['law']}"
        return row | {"interval": [found[0], None], "reason": reason}
    inside = _inside(predictor, found[1], outputs)
    row |= {"inputs": found[1], "interval": [found[0], found[2]], "inside_range": inside}
    return row | {"reason": _too_wide(found[0], found[2])}


def _too_wide(low: int | None, high: int | None) -> str | None:
    """What to say of an interval of inputs that is too wide to plan by, None for a narrower one."""
    if low is None or high is None:
        return "the interval has no upper end: at its lower edge the accuracy is never reached"
    decades = math.log10(high / low)
    if decades <= MOST_DECADES:
        return None
    return f"the interval spans {decades:.1f} decades of inputs, more than {MOST_DECADES:g}: too wide to plan by"
