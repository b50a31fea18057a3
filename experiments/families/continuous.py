"""Family `continuous`: a continuous target, answered by one number or through Q bins, beside exact predictors."""

from collections.abc import Mapping
from typing import Any

from experiments.factor import Factor, Rule, one_of
from experiments.families.family import Family

TARGETS = {
    "linear": "a weighted sum of 16 normal inputs plus noise",
    "disc": "the offset of a disc along the columns of a noisy image of 12 x 12 pixels",
}
ESTIMATORS = {
    "regression": "network with one output, squared error",
    "bins": "network with one output a bin, cross-entropy, read by the mean",
    "least_squares": "linear regression (trains nothing: the factors of training have no effect)",
    "ridge": "linear regression with a penalty chosen by leaving one out (likewise)",
}
MAX_BINS = 1024


def _seconds(factors: Mapping[str, Any]) -> float:
    """Measured on one core, compilation apart."""
    exact = 0.25 if factors["target"] == "disc" else 0.02
    if factors["estimator"] not in ("regression", "bins"):
        return exact
    inputs = 144 if factors["target"] == "disc" else 16
    weights = factors["width"] * (inputs + factors["width"] * (factors["depth"] - 1) + factors["bins"])
    draws = inputs * factors["batch_size"] * (2.5e-8 if factors["input_noise"] else 0.0)
    step = 3e-5 + 7e-11 * weights * factors["batch_size"] + 2e-9 * factors["bins"] * factors["batch_size"] + draws
    return float(exact + factors["max_steps"] * step)


FAMILY = Family(
    name="continuous",
    summary="a continuous target with exact floors: linear-Gaussian, or the place of a disc",
    factors=(
        Factor("target", str, "linear", one_of(TARGETS), "what is to be said: " + ", ".join(TARGETS)),
        Factor("estimator", str, "regression", one_of(ESTIMATORS), "who says it: " + ", ".join(ESTIMATORS)),
        Factor(
            "bins", int, 0,
            Rule(lambda q: q == 0 or (2 <= q <= MAX_BINS and MAX_BINS % q == 0),
                 lambda: f"must be 0 (none) or a divisor of {MAX_BINS}, at least 2"),
            "bins Q of equal probability; for estimator bins alone",
        ),
        "inputs", "noise", "width", "depth",
        "learning_rate", "weight_decay", "input_noise", "max_steps", "batch_size", "test_items", "init_seed",
    ),
    data=("target", "inputs", "noise", "test_items"),
    arm=("estimator",),
    together=("target", "estimator", "bins", "width", "depth", "batch_size", "max_steps", "test_items"),
    batch=10,
    seconds=_seconds,
)  # fmt: skip
