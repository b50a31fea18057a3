"""Accuracy as a function of inputs and outputs: the laws that are fitted and told apart.

`LAWS[name]` is a `Law`. All but "theorem" are laws of the chance-corrected accuracy A* in [0, 1] and predict

    A = chance + (1 - chance) A*,

"theorem" predicts A itself and has its chance 1/J built in. Parameters of scale are logarithms, so that a fit starts
and steps well over many decades. I: inputs, J: outputs.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import special

from sim.theory.codebooks import learning_curve
from sim.types import FloatArray, Law

Columns = Mapping[str, FloatArray]
_Shape = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]  # (parameters, I, J) -> A*

_LOG_SCALE = (-15.0, 25.0)
_EXPONENT = (0.0, 10.0)


def _corrected(shape: _Shape) -> Callable[[FloatArray, Columns], FloatArray]:
    """Raise a law of A* above chance."""

    def predict(parameters: FloatArray, columns: Columns) -> FloatArray:
        with np.errstate(over="ignore", under="ignore"):
            corrected = shape(np.asarray(parameters), columns["inputs"], columns["outputs"])
        chance = columns["chance"]
        return np.asarray(chance + (1 - chance) * corrected)

    return predict


def _grid(*axes: tuple[float, ...]) -> FloatArray:
    """All combinations of start values, shape (num_starts, num_parameters)."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _coverage(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(-np.expm1(-np.exp(p[0]) * inputs / outputs))


def _hill(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(special.expit(p[1] * (np.log(inputs / outputs) - p[0])))


def _clipped_power(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(np.minimum(np.exp(p[0] + p[1] * np.log(inputs / outputs)), 1.0))


def _logistic(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(special.expit(p[2] * (p[0] + p[1] * np.log(inputs) - np.log(outputs))))


def _probit(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(special.ndtr(p[0] + p[1] * np.log(inputs) - p[2] * np.sqrt(2 * np.log(outputs))))


def _power(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(-np.expm1(np.minimum(p[0] - p[1] * np.log(inputs) + p[2] * np.log(outputs), 0.0)))


def _theorem(parameters: FloatArray, columns: Columns) -> FloatArray:
    """A(kappa I/J, J) of each cell's own task; `noise` is a standard deviation."""
    tasks = np.stack([columns["outputs"], columns["dimension"], columns["signal_power"], columns["noise"] ** 2], axis=1)
    return learning_curve(tasks, np.exp(parameters[0]) * columns["inputs"] / columns["outputs"])


_ALL = (
    Law(
        "coverage",
        "A* = 1 - exp(-k I/J): the share of classes seen by a lookup table; k = exp(log_rate)",
        {"log_rate": _LOG_SCALE},
        _corrected(_coverage),
        _grid((-6.0, -4.0, -2.0, 0.0, 2.0)),
        "the survey's proportion of inputs to outputs; coupon collector",
    ),
    Law(
        "hill",
        "A* = x^a / (x0^a + x^a), x = I/J; x0 = exp(log_half), a = slope",
        {"log_half": _LOG_SCALE, "slope": _EXPONENT},
        _corrected(_hill),
        _grid((-3.0, 0.0, 3.0, 6.0), (0.5, 1.0, 2.0)),
        "the survey's proportion of inputs to outputs; Hill (1910) for the form",
    ),
    Law(
        "clipped_power",
        "A* = min(1, c (I/J)^a); c = exp(log_scale), a = exponent",
        {"log_scale": _LOG_SCALE, "exponent": _EXPONENT},
        _corrected(_clipped_power),
        _grid((-6.0, -3.0, -1.0), (0.2, 0.5, 1.0)),
        "the survey's proportion of inputs to outputs",
    ),
    Law(
        "logistic",
        "A* = 1 / (1 + (J/J50)^s), J50 = c I^b: logistic in ln J, ln J50 linear in ln I; c = exp(log_scale), s = slope",
        {"log_scale": (-25.0, 25.0), "input_exponent": _EXPONENT, "slope": _EXPONENT},
        _corrected(_logistic),
        _grid((-6.0, 0.0, 6.0), (0.3, 1.0), (0.5, 1.5)),
        "empirical; the threshold moves with inputs as a power",
    ),
    Law(
        "probit",
        "A* = Phi(alpha + a ln I - beta sqrt(2 ln J)): the largest of J normal rivals, evidence linear in ln I",
        {"intercept": (-40.0, 40.0), "input_slope": _EXPONENT, "output_slope": _EXPONENT},
        _corrected(_probit),
        _grid((-3.0, 0.0, 3.0), (0.2, 0.8), (0.5, 1.5)),
        "extreme values of normal scores; the threshold moves with inputs through the intercept",
    ),
    Law(
        "power",
        "1 - A* = min(1, c J^b / I^a): power surface of the error; c = exp(log_scale)",
        {"log_scale": (-25.0, 25.0), "input_exponent": _EXPONENT, "output_exponent": _EXPONENT},
        _corrected(_power),
        _grid((-3.0, 0.0, 3.0), (0.2, 0.6), (0.1, 0.5)),
        "form of Rosenfeld, Rosenfeld, Belinkov and Shavit (2020), outputs in the place of model size",
    ),
    Law(
        "theorem",
        "A = A(kappa I/J, J), the exact accuracy on Gaussian codebooks with a share kappa = exp(log_efficiency) of "
        "the inputs; columns dimension, signal_power and noise",
        {"log_efficiency": (-15.0, 5.0)},
        _theorem,
        _grid((-5.0, -3.0, -1.0, 0.0, 1.0)),
        "sim.theory.ceilings.gaussian_codebook_accuracy",
    ),
)

LAWS: dict[str, Law] = {law.name: law for law in _ALL}
