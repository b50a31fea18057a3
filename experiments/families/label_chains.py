"""Family `label_chains`: rows of pixels with L labels, shown to a network as basis functions of the grey value."""

from collections.abc import Mapping
from typing import Any

from experiments.factor import Factor, at_least
from experiments.families.family import Family

CHANNELS = Factor(
    "grey_channels", int, 64, at_least(1), "radial basis functions of the grey value; 1 shows the value itself"
)
_STEP_SECONDS = {"conv": 3e-6, "linear": 1e-6}  # one pixel of a batch of eight rows, one step, 32 channels
_EXACT_SECONDS = 6e-6  # one pixel of one test row, exact posterior with room for 32 labels


def _seconds(factors: Mapping[str, Any]) -> float:
    step = _STEP_SECONDS.get(factors["network"], _STEP_SECONDS["conv"]) * factors["batch_size"] / 8
    if factors["network"] == "conv":
        step *= factors["width"] / 32
    return float(0.3 + factors["columns"] * (step * factors["max_steps"] + _EXACT_SECONDS * factors["test_items"]))


FAMILY = Family(
    name="label_chains",
    summary="Markov chains of L labels along a row; convolution or softmax regression on basis functions of the grey",
    factors=(
        "network", "inputs", "noise", "labels", "columns", "spacing", "stay", "width", "learning_rate", "weight_decay",
        "input_noise", "max_steps", "batch_size", "test_items", "init_seed", CHANNELS,
    ),
    data=("inputs", "noise", "labels", "columns", "spacing", "stay", "test_items"),
    arm=("network", "grey_channels"),
    together=("network", "columns", "grey_channels", "width", "batch_size", "test_items"),
    batch=8,
    seconds=_seconds,
)  # fmt: skip
