"""Networks and training recipes of the studies of scenes, and the trials by which the recipes were chosen.

from experiments import run
from experiments.studies.scene_recipes import choose_recipes, tuning_sweeps
choose_recipes(run(list(tuning_sweeps()), store="tuning").to_pylist())
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from experiments.recipes import TUNED, TUNING_SEEDS
from experiments.spec import Sweep

SHAPES: dict[str, dict[str, Any]] = {
    "conv7": {"network": "conv", "width": 8, "receptive_field": 7, "batch_size": 8, "max_steps": 1500},
    "unet": {"network": "unet", "width": 8, "depth": 1, "levels": 2, "batch_size": 8, "max_steps": 1500},
    "mlp/dense+reg": {"network": "mlp", "head": "dense", "recipe": "regularised", "batch_size": 16, "max_steps": 2000},
}
_RATES = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3e-2)
_REGULARISED = ((1e-3, 0.03, 0.5), (1e-3, 0.3, 1.0), (3e-3, 0.03, 0.5), (3e-3, 0.3, 1.0), (1e-3, 1.0, 1.0),
                (3e-3, 1.0, 1.0), (3e-3, 1.0, 1.5))  # fmt: skip
CANDIDATES: dict[str, tuple[tuple[float, float, float], ...]] = {  # seven an arm: learning rate, decay, input noise
    "conv7": tuple((rate, 0.0, 0.0) for rate in _RATES),
    "unet": tuple((rate, 0.0, 0.0) for rate in _RATES),
    "mlp/dense+reg": _REGULARISED,
}
CELLS: tuple[dict[str, Any], ...] = (
    {"generator": "dictionary", "labels": 2, "noise": 2.0},
    {"generator": "fields", "field": "chain", "rows": 4, "columns": 32, "labels": 2, "noise": 1.0},
)
HIGHEST_RATE = 4e-3  # above it rectifiers of narrow networks may all die: one U-Net in twelve did at 1.6e-2
AS_GOOD = 0.005  # pixel accuracy; of rates that are as good the highest trains to a flat loss in the fewest steps
CHOSEN = {"conv7": (4e-3, 0.0, 0.0), "unet": (4e-3, 0.0, 0.0), "mlp/dense+reg": (3e-3, 1.0, 1.0)}


def arm_factors(arm: str) -> dict[str, Any]:
    """Factors of an arm with its recipe."""
    return SHAPES[arm] | dict(zip(TUNED, CHOSEN[arm], strict=True))


def tuning_sweeps() -> tuple[Sweep, ...]:
    """Every candidate of every arm on one cell of discs and one of chains, I = 64 and 512, on the tuning seeds."""
    return tuple(
        Sweep(**cell, **SHAPES[arm], **dict(zip(TUNED, numbers, strict=True)), inputs=[64, 512], test_items=1000,
              seeds=TUNING_SEEDS)
        for arm, candidates in CANDIDATES.items()
        for numbers in candidates
        for cell in CELLS
    )  # fmt: skip


def choose_recipes(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, ...]]:
    """The fastest good candidate of each arm: of those at `HIGHEST_RATE` or below whose mean pixel accuracy over cells,
    I and seeds is within `AS_GOOD` of the best one's, the highest learning rate, then the highest mean. Diverged trials
    score 0."""
    scores: dict[str, dict[tuple[float, ...], list[float]]] = {}
    for row in rows:
        value = float(row["pixel_accuracy"]) if row["status"] == "ok" else 0.0
        recipe = tuple(float(row[name]) for name in TUNED)
        if recipe[0] <= HIGHEST_RATE:
            scores.setdefault(row["arm"], {}).setdefault(recipe, []).append(value)
    chosen = {}
    for arm, found in scores.items():
        means = {recipe: float(np.mean(values)) for recipe, values in found.items()}
        good = [recipe for recipe, mean in means.items() if mean >= max(means.values()) - AS_GOOD]
        chosen[arm] = max(sorted(good), key=lambda recipe: (recipe[0], means[recipe]))
    return chosen
