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
# the laws of four parameters have flat directions: wider bounds let fits follow them far beyond any data
_NARROW_SCALE = (-12.0, 12.0)
_NARROW_EXPONENT = (0.0, 4.0)
_NARROW = {"log_scale": _NARROW_SCALE, "input_exponent": _NARROW_EXPONENT, "output_exponent": _NARROW_EXPONENT}
_LARGEST_EXPONENT = 300.0  # beyond it an error is 1 in float64, and its square may not overflow


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
    return np.asarray(special.expit(p[1] * (np.log(inputs) - np.log(outputs) - p[0])))


def _clipped_power(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(np.minimum(np.exp(p[0] + p[1] * (np.log(inputs) - np.log(outputs))), 1.0))


def _logistic(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(special.expit(p[2] * (p[0] + p[1] * np.log(inputs) - np.log(outputs))))


def _probit(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(special.ndtr(p[0] + p[1] * np.log(inputs) - p[2] * np.sqrt(2 * np.log(outputs))))


def _power(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(-np.expm1(np.minimum(p[0] - p[1] * np.log(inputs) + p[2] * np.log(outputs), 0.0)))


def _exponential(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-np.exp(np.log(outputs) - p[0] - p[1] * np.log(inputs))))


def _factorised(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-np.exp(p[0]) * np.log2(outputs) / inputs))


def _shifted_power(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    part = np.exp(np.minimum(p[0] + p[1] * np.log(inputs) - p[2] * np.log(outputs), _LARGEST_EXPONENT))
    return np.asarray(p[3] + (1 - p[3]) * part / np.hypot(1.0, part))


def _power_floor(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    log_part = np.minimum(p[0] - p[1] * np.log(inputs) + p[2] * np.log(outputs), _LARGEST_EXPONENT)
    error = np.exp(log_part) + p[3]
    return np.asarray(1 - error / np.hypot(1.0, error))


def _broken_power(p: FloatArray, inputs: FloatArray, outputs: FloatArray) -> FloatArray:
    above_break = np.log(inputs) - p[1] * np.log(outputs) - p[0]
    return np.asarray(-np.expm1(-p[2] / p[3] * np.logaddexp(0.0, p[3] * above_break)))


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
        "power_floor",
        "1 - A* = e / sqrt(1 + e^2), e = c J^b / I^a + e0: power surface with an error e0 that no inputs remove, "
        "bending smoothly to chance; c = exp(log_scale)",
        {**_NARROW, "floor": (0.0, 10.0)},
        _corrected(_power_floor),
        _grid((-3.0, 0.0, 3.0), (0.5, 1.0), (0.3, 1.0), (0.01, 0.2)),
        "floor and envelope of Rosenfeld, Rosenfeld, Belinkov and Shavit (2020), whose two powers add [unchecked]: a "
        "product here, since outputs raise what inputs lower",
    ),
    Law(
        "broken_power",
        "1 - A* = [1 + (x/x0)^s]^(-c/s), x = I/J^g: chance before the break x0 = exp(log_break), a power c after it, "
        "s = sharpness",
        {
            "log_break": _NARROW_SCALE,
            "output_exponent": _NARROW_EXPONENT,
            "slope": _NARROW_EXPONENT,
            "sharpness": (0.2, 20.0),
        },
        _corrected(_broken_power),
        _grid((-2.0, 1.0, 4.0), (0.3, 1.0), (0.5, 1.5), (1.0, 4.0)),
        "Caballero, Gupta, Rish and Krueger (2023), broken neural scaling laws: one break, a = 0, b = 1, c0 = 0, "
        "f = 1/s",
    ),
    Law(
        "exponential",
        "A* = exp(-J/J0), J0 = c I^a: exponential in the number of outputs; c = exp(log_scale), a = input_exponent",
        {"log_scale": (-25.0, 25.0), "input_exponent": _EXPONENT},
        _corrected(_exponential),
        _grid((-6.0, -2.0, 0.0, 2.0), (0.3, 0.6, 1.0)),
        "empirical; each output more takes the same share of what is left",
    ),
    Law(
        "shifted_power",
        "A* = a + (1 - a) t / sqrt(1 + t^2), t = c I^h / J^g: power of the outputs above a limit a, bending smoothly "
        "to one; c = exp(log_scale)",
        {**_NARROW, "limit": (0.0, 1.0)},
        _corrected(_shifted_power),
        _grid((-3.0, -1.0, 1.0), (0.2, 0.6), (0.2, 0.8), (0.05, 0.3)),
        "empirical; a + b J^-g at each number of inputs, as long as b J^-g is small",
    ),
    Law(
        "factorised",
        "A* = exp(-k log2 J / I): all of n = log2 J units right, each wrong with probability k/I; k = exp(log_rate)",
        {"log_rate": _LOG_SCALE},
        _corrected(_factorised),
        _grid((-2.0, 1.0, 3.0, 5.0, 8.0)),
        "exact match of a head that predicts each unit by itself; it depends on I / log J and on no I / J^g",
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
