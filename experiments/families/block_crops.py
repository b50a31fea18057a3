"""Family `block_crops`: a block of a row of pixels is labelled from a crop, the block and a margin on either side."""

from collections.abc import Mapping
from typing import Any

from experiments.factor import Factor, at_least
from experiments.families.family import Family

OWN = (
    Factor("block_size", int, 1, at_least(1), "pixels of a row that are labelled together"),
    Factor("crop_margin", int, 9, at_least(0), "pixels seen on either side of a block"),
    Factor("block_stride", int, 1, at_least(1), "pixels from one training block of an image to the next"),
)
_STEP_SECONDS = {"mlp": 5e-5, "conv": 1e-5}  # a step: of the whole batch, or of one pixel


def _seconds(factors: Mapping[str, Any]) -> float:
    pixels = factors["block_size"] + 2 * factors["crop_margin"] if factors["network"] == "conv" else 1
    step = _STEP_SECONDS.get(factors["network"], _STEP_SECONDS["conv"]) * factors["batch_size"] / 64
    return float(0.3 + pixels * step * factors["max_steps"])


FAMILY = Family(
    name="block_crops",
    summary="blocks of b pixels of a two-label chain, labelled from crops; fully connected or convolutional",
    factors=(
        "network", "inputs", "noise", "spacing", "stay", *OWN, "width", "learning_rate", "weight_decay",
        "input_noise", "max_steps", "batch_size", "test_items", "init_seed",
    ),
    data=("inputs", "noise", "spacing", "stay", "block_size", "crop_margin", "test_items"),
    arm=("network", "crop_margin", "block_stride"),
    together=("network", "block_size", "crop_margin", "width", "batch_size", "test_items"),
    batch=8,
    seconds=_seconds,
)  # fmt: skip
