"""Family `refinement`: maps of probabilities from networks and exact posteriors, refined by other methods."""

from collections.abc import Mapping
from typing import Any

from experiments.factor import Factor, one_of
from experiments.families.family import LEAST_STEPS, Family

MAP_LAWS = ("ising", "discs")
MAP_NETWORKS = ("conv1", "conv3", "conv7", "unet", "exact")
_STEP = {"conv1": 0.7, "conv3": 1.2, "conv7": 3.0, "unet": 4.0, "exact": 0.0}  # ms a step at 8 x 8, batches of 16


def _seconds(factors: Mapping[str, Any]) -> float:
    large = 4.0 if factors["map_law"] == "discs" else 1.0
    training = _STEP[factors["map_network"]] * large * factors["max_steps"] * factors["batch_size"] / 16e3
    return float(training + 2.0 * large * factors["test_items"] / 1000 + 1.0)


FAMILY = Family(
    name="refinement",
    summary="prediction maps of networks and exact posteriors, refined by other segmentation methods",
    factors=(
        Factor("map_law", str, "ising", one_of(MAP_LAWS), "8 x 8 Ising fields, or one of 1,024 discs on 16 x 16"),
        Factor("map_network", str, "unet", one_of(MAP_NETWORKS), "what makes the map: a network, or exact marginals"),
        "noise", "inputs", "test_items", "width", LEAST_STEPS, "max_steps", "batch_size",
        "learning_rate", "weight_decay", "input_noise",
    ),
    data=("map_law", "noise", "inputs", "test_items"),
    arm=("map_network",),
    together=("map_law", "map_network", "inputs", "test_items", "width", "least_steps", "batch_size"),
    batch=4,
    seconds=_seconds,
)  # fmt: skip
