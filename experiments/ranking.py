"""Recipes from one grid: every candidate is trained on tuning seeds that no result uses, and ranked by its mean score.

For studies whose arms have no shape of their own in `experiments.recipes`. A search is resumed where it was stopped.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from experiments.engines import Engine
from experiments.factor import RECIPE_NUMBERS
from experiments.records import spread
from experiments.spec import Sweep
from experiments.store import Store

if TYPE_CHECKING:
    from experiments.runner import Progress


class Search(NamedTuple):
    """A grid of recipes.

    Attributes:
        sweeps: trials over learning rate, weight decay and input noise, with tuning seeds.
        by: factors whose values have a recipe each; the score is pooled over all others.
        score: name of a column, larger is better.
    """

    sweeps: Sequence[Sweep]
    by: tuple[str, ...]
    score: str


class Ranking(NamedTuple):
    """Candidates of one group, best first: the group's values, the candidates, and their mean scores."""

    group: Mapping[str, Any]
    recipes: list[dict[str, float]]
    scores: list[float]


def rank_recipes(
    search: Search, store: Store, progress: "Progress | None" = None, engine: Engine | Executor | None = None
) -> list[Ranking]:
    """Run what the store lacks of a search and rank its candidates, group by group.

    Args:
        search: what is tried.
        store: where the trials are kept, under the name "recipes".
        progress, engine: as of `experiments.run`.

    Example:
        >>> from experiments.ranking import rank_recipes
        >>> from experiments.store import Store
        >>> from experiments.studies.labels import SEARCHES
        >>> [ranking.recipes[0] for ranking in rank_recipes(SEARCHES[0], Store("/tmp/x"))]  # doctest: +SKIP
        [{'learning_rate': 0.01, 'weight_decay': 1.0, 'input_noise': 0.4}, ...]
    """
    from experiments.runner import run_trials  # loads JAX, which a study that names its searches need not

    trials = [trial for sweep in search.sweeps for trial in sweep.trials()]
    return rank(run_trials("recipes", trials, store, progress, engine=engine)[0], search.by, search.score)


def rank(table: pa.Table, by: Sequence[str], score: str) -> list[Ranking]:
    """Rank the recipes of a table; a row that is not ok counts as 0, and of equal candidates the smallest is first.

    Raises:
        ValueError: two candidates of one group that were not tried equally often.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"head": ["a", "a"], "learning_rate": [0.1, 0.2], "weight_decay": [0.0, 0.0],
        ...                   "input_noise": [0.0, 0.0], "status": ["ok", "ok"], "test_accuracy": [0.6, 0.7]})
        >>> rank(table, ["head"], "test_accuracy")[0].scores
        [0.7, 0.6]
    """
    found: dict[tuple[Any, ...], dict[tuple[float, ...], list[float]]] = {}
    for row in spread(table).to_pylist():
        group, recipe = (tuple(row[name] for name in names) for names in (by, RECIPE_NUMBERS))
        value = row[score] if row["status"] == "ok" else 0.0
        found.setdefault(group, {}).setdefault(recipe, []).append(value)
    return [_ranking(dict(zip(by, group, strict=True)), candidates) for group, candidates in sorted(found.items())]


def _ranking(group: Mapping[str, Any], candidates: Mapping[tuple[float, ...], Iterable[float]]) -> Ranking:
    counts = {len(list(values)) for values in candidates.values()}
    if len(counts) > 1:
        raise ValueError(f"every recipe must be tried equally often in {dict(group)}, got {sorted(counts)} trials")
    means = {recipe: float(np.mean(list(values))) for recipe, values in candidates.items()}
    ordered = sorted(means, key=lambda recipe: (-means[recipe], recipe))
    recipes = [dict(zip(RECIPE_NUMBERS, recipe, strict=True)) for recipe in ordered]
    return Ranking(group, recipes, [means[recipe] for recipe in ordered])
