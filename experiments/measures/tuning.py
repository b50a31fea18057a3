"""Recipes of measured families: every candidate on tuning seeds that no result uses, ranked by a mean score."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.factor import RECIPE_NUMBERS
from experiments.measures.registry import measure_of
from experiments.spec import Sweep


class Ranking(NamedTuple):
    """Candidates of one group, best first: the group's values, the candidates, and their mean scores."""

    group: Mapping[str, Any]
    recipes: list[dict[str, float]]
    scores: list[float]


def rank_recipes(sweep: Sweep, by: Sequence[str], score: str) -> Iterator[Ranking]:
    """Measure a grid over learning rate, weight decay and input noise, pooled over everything but `by`.

    Args:
        sweep: one measured family, with tuning seeds.
        by: factors whose values have a recipe each.
        score: name of the score, larger is better; a diverged trial counts as 0.

    Yields:
        one ranking a group.
    """
    found: dict[tuple[Any, ...], dict[tuple[float, ...], list[float]]] = {}
    for trial in sweep.trials():
        factors = dict(trial.factors)
        scores = measure_of(factors["generator"])([trial])[0]
        value = 0.0 if "diverged" in scores else scores[score]
        group, recipe = (tuple(factors[name] for name in names) for names in (by, RECIPE_NUMBERS))
        found.setdefault(group, {}).setdefault(recipe, []).append(value)
    for group, candidates in found.items():
        means = {recipe: float(np.mean(values)) for recipe, values in candidates.items()}
        ordered = sorted(means, key=lambda recipe: -means[recipe])
        recipes = [dict(zip(RECIPE_NUMBERS, recipe, strict=True)) for recipe in ordered]
        yield Ranking(dict(zip(by, group, strict=True)), recipes, [means[recipe] for recipe in ordered])
