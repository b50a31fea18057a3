"""Family `downsampling`: networks trained on shrunken images and scored on the fine grid, and what shrinking loses."""

from collections.abc import Mapping
from typing import Any

from experiments.factor import Factor, one_of, rule
from experiments.families.family import LEAST_STEPS, Family

OUTLINES = ("blobs", "rings")
TRAINED_GRIDS = (8, 16, 32, 64)
_GRIDS = rule("must be one of 8, 16, 32, 64", lambda side: side in TRAINED_GRIDS)


def _seconds(factors: Mapping[str, Any]) -> float:
    layers = max(factors["receptive_field"] // 2, 3)
    work = factors["trained_grid"] ** 2 * layers * factors["width"] ** 2 * factors["batch_size"] * factors["max_steps"]
    return float(0.8 + work / 5e8)  # compilation spread over the trials


FAMILY = Family(
    name="downsampling",
    summary="networks trained on shrunken images of blobs and rings, scored on the fine grid",
    factors=(
        Factor("outline", str, "blobs", one_of(OUTLINES), "three solid ellipses, or three rings two pixels thick"),
        Factor("trained_grid", int, 32, _GRIDS, "side of the grid that the network is trained on"),
        "noise", "inputs", "test_items", "receptive_field", "width", LEAST_STEPS, "max_steps", "batch_size",
        "learning_rate", "weight_decay",
    ),
    data=("outline", "noise", "inputs", "test_items"),
    arm=("trained_grid", "receptive_field"),
    together=(
        "outline", "trained_grid", "receptive_field", "inputs", "test_items", "width", "least_steps", "batch_size",
    ),
    batch=4,
    seconds=_seconds,
)  # fmt: skip
