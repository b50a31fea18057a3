"""Training recipes (learning rate, weight decay, input noise): chosen by validation on seeds no result uses.

`capsim tune STUDY` trains every recipe of one grid a study, the same number for each arm, on separate tuning seeds,
pools validation accuracy over them and over inputs, and writes the winners to `experiments/studies/recipes.json`,
which is committed. Main trials then train on all of their I images with the winner written into their identity.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from experiments.spec import Study, Trial, canonical_json
from experiments.store import Store

RECIPES_FILE = Path(__file__).parent / "studies" / "recipes.json"
LABEL_MAPS = ("fields", "dictionary")  # generators of label maps on pixels
TUNED = ("learning_rate", "weight_decay", "input_noise")
TUNING_SEEDS = (900_001, 900_002)  # far from the seeds 0, 1, 2, ... of every preset
TUNING_STEPS = 4000  # the budget of a tuning trial, at most: recipes are ranked, not finished
PLAIN_RATES = (3e-5, 1e-4, 2e-4, 3e-4, 6e-4, 1e-3, 1.5e-3, 2e-3, 3e-3, 4e-3, 8e-3, 1.6e-2, 3e-2, 1e-1)
PLAIN_GRID = [{"learning_rate": rate, "weight_decay": 0.0, "input_noise": 0.0} for rate in PLAIN_RATES]
REGULARISED_GRID = [
    {"learning_rate": rate, "weight_decay": decay, "input_noise": noise}
    for rate in (1e-3, 3e-3)
    for decay, noise in ((0.03, 0.5), (0.03, 1.0), (0.3, 0.5), (0.3, 1.0), (0.3, 1.5), (1.0, 1.0), (3.0, 1.0))
]
FALLBACK = {  # for shapes that no study has tuned: the middle of the grids
    "plain": {"learning_rate": 1e-3, "weight_decay": 0.0, "input_noise": 0.0},
    "regularised": {"learning_rate": 1e-3, "weight_decay": 0.03, "input_noise": 0.5},
}


def grid(recipe: str) -> list[dict[str, float]]:
    """The candidate recipes of an arm: fourteen each, so that no arm is tuned harder than another."""
    return PLAIN_GRID if recipe == "plain" else REGULARISED_GRID


def shape_name(factors: Mapping[str, Any]) -> str:
    """The shape that shares one recipe: generator, network, head, recipe kind and the size of the output.

    Outputs count in three classes (to 16, to 256, above) on codebooks and digits; tiles and pixels likewise.
    """
    pixels = factors.get("grid_size", 0) ** 2 or factors.get("rows", 0) * factors.get("columns", 0)
    size = factors.get("outputs") or factors.get("tiles", 0) * 64 or pixels
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


def tuning_trials(study: Study, preset: str = "laptop") -> dict[str, list[Trial]]:
    """The tuning trials of each shape of a preset: two cells (few and many images) x the recipe grid x tuning seeds."""
    cells: dict[str, set[str]] = {}
    for trial in study.trials(preset):
        factors = dict(trial.factors)
        special = factors.get("relabelled") or factors.get("init_seed") or factors.get("keep_ranks")
        if "recipe" not in factors or special or factors.get("labels") == 3:
            continue
        kept = {name: value for name, value in factors.items() if name not in TUNED}
        kept["max_steps"] = min(kept["max_steps"], TUNING_STEPS)
        cells.setdefault(shape_name(factors), set()).add(canonical_json(kept))
    plan: dict[str, list[Trial]] = {}
    for shape, texts in cells.items():
        ordered = sorted((json.loads(text) for text in texts), key=_size)
        for cell in (ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]):
            for recipe in grid(cell["recipe"]):
                pairs = tuple(sorted({**cell, **recipe}.items()))
                plan.setdefault(shape, []).extend(Trial(pairs, seed) for seed in TUNING_SEEDS)
    return {shape: list(dict.fromkeys(trials)) for shape, trials in plan.items()}


def _size(cell: Mapping[str, Any]) -> tuple[float, str]:
    return cell["inputs"] * 1.0, canonical_json(cell)


def choose(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The recipe with the highest validation score, averaged over tuning seeds and cells; diverged trials score 0.

    Label fields are judged by pixel accuracy (exact match is near 0 on large grids), all others by exact match.
    """
    scores: dict[tuple[float, ...], list[float]] = {}
    for row in rows:
        value = row["pixel_accuracy"] if row["generator"] in LABEL_MAPS else row["validation_accuracy"]
        recipe = tuple(float(row[name]) for name in TUNED)
        scores.setdefault(recipe, []).append(float(value) if row["status"] == "ok" else 0.0)
    best = max(sorted(scores), key=lambda recipe: float(np.mean(scores[recipe])))
    return {**dict(zip(TUNED, best, strict=True)), "validation": round(float(np.mean(scores[best])), 4)}


def tune(study: Study, store: Store, progress: Any = None) -> Path:
    """Train the tuning trials of a study's laptop preset and write the winners to `RECIPES_FILE`."""
    from experiments.runner import run_trials

    plan = tuning_trials(study)
    table, _ = run_trials(f"{study.name}-tuning", [t for ts in plan.values() for t in ts], store, progress)
    rows = {row["identity"]: row for row in table.to_pylist()}
    found = dict(_chosen())
    for shape, trials in plan.items():
        found[shape] = choose([rows[trial.identity] for trial in trials])
    RECIPES_FILE.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")
    _chosen.cache_clear()
    return RECIPES_FILE
