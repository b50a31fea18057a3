"""Training recipes (learning rate, weight decay, input noise): chosen by validation on seeds no result uses.

`capsim tune STUDY` trains every recipe of one grid a study, the same number for each arm, on separate tuning seeds,
pools validation accuracy over them and over inputs, and writes the winners to `experiments/studies/recipes.json`,
which is committed. Main trials then train on all of their I images with the winner written into their identity.
"""

import itertools
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

RECIPES_FILE = Path(__file__).parent / "studies" / "recipes.json"
TUNED = ("learning_rate", "weight_decay", "input_noise")
TUNING_SEEDS = (900_001, 900_002)  # far from the seeds 0, 1, 2, ... of every preset
PLAIN_GRID = [
    {"learning_rate": round(float(rate), 6), "weight_decay": 0.0, "input_noise": 0.0}
    for rate in np.geomspace(3e-4, 1e-2, 8)
]
REGULARISED_GRID = [
    {"learning_rate": rate, "weight_decay": decay, "input_noise": noise}
    for rate, decay, noise in itertools.product((1e-3, 3e-3), (0.03, 0.3), (0.5, 1.0))
]
FALLBACK = {  # for shapes that no study has tuned: the middle of the grids
    "plain": {"learning_rate": 1e-3, "weight_decay": 0.0, "input_noise": 0.0},
    "regularised": {"learning_rate": 1e-3, "weight_decay": 0.03, "input_noise": 0.5},
}


def grid(recipe: str) -> list[dict[str, float]]:
    """The candidate recipes of an arm: eight each, so that no arm is tuned harder than another."""
    return PLAIN_GRID if recipe == "plain" else REGULARISED_GRID


def shape_name(factors: Mapping[str, Any]) -> str:
    """The shape that shares one recipe: generator, network, head, recipe kind and the size of the output.

    Outputs count in three classes (to 16, to 256, above) on codebooks and digits; tiles and pixels likewise.
    """
    size = factors.get("outputs") or factors.get("tiles", 0) * 64 or factors["rows"] * factors["columns"]
    width = "small" if size <= 16 else "medium" if size <= 256 else "large"
    parts = [factors["generator"], factors["network"], factors.get("head", "-"), factors.get("recipe", "plain"), width]
    if "receptive_field" in factors:
        parts.insert(2, f"rf{factors['receptive_field']}")
    return "/".join(parts)


@lru_cache(maxsize=1)
def _chosen() -> dict[str, dict[str, Any]]:
    return json.loads(RECIPES_FILE.read_text()) if RECIPES_FILE.exists() else {}


def resolve_recipe(factors: Mapping[str, Any]) -> dict[str, Any]:
    """Fill what a trained network's factors leave open, from the committed choices or the fallback.

    Returns:
        the factors with numbers for learning_rate, weight_decay and input_noise.
    """
    kind = factors.get("recipe", "plain")
    found = _chosen().get(shape_name(factors), FALLBACK[kind])
    filled = {name: found[name] for name in TUNED if factors.get(name) is None}
    return {**factors, **filled}
