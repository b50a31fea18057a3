"""Family `refinement`: maps of probabilities from networks and exact posteriors, refined by other methods."""

from collections.abc import Mapping
from typing import Any

from experiments.factor import Factor, one_of
from experiments.families.family import LEAST_STEPS, Family

MAP_LAWS = ("ising", "discs")
MAP_NETWORKS = ("conv1", "conv3", "conv7", "unet", "exact")
# ms a step of 1,024 pixels; training takes about half of its budget of steps
_STEP = {"conv1": 0.5, "conv3": 1.0, "conv7": 2.0, "unet": 2.0, "exact": 0.0}


def _seconds(factors: Mapping[str, Any]) -> float:
    pixels = factors["batch_size"] * (256 if factors["map_law"] == "discs" else 64)
    training = _STEP[factors["map_network"]] * pixels / 1024 * factors["max_steps"] / 2 / 1000
    return float(training + 1.3 + 0.9 * factors["test_items"] / 1000)  # compilation spread over the trials


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
