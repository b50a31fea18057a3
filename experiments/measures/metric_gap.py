"""Measure `metric_gap`: draw label maps, place mistakes on them, score the same answers by every metric.

Mistakes hang on the maps and on their placement alone, so that a seed's predictors with more wrong pixels err wherever
those with fewer do.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.spec import Trial
from experiments.tasks import key_words
from sim.generators.mistakes import IntMaps, draw_instances, make_mistakes, name_objects
from sim.metrics import mean_iou, pooled_dice


def label_weights(class_law: str, labels: int) -> Any:
    """How likely an object has each label 1, 2, ...: equally, or label k in proportion to 1/k.

    Example:
        >>> label_weights("unequal", 5).round(2).tolist()
        [1.0, 0.5, 0.33, 0.25]
    """
    numbers = np.arange(1, labels, dtype=np.float64)
    return np.ones_like(numbers) if class_law == "equal" else 1 / numbers


@lru_cache(maxsize=12)
def _draw(identity: str, foreground: float, labels: int, class_law: str, maps: int) -> tuple[IntMaps, IntMaps]:
    """Numbered objects and label maps of a trial's data."""
    instances = draw_instances(jax.random.wrap_key_data(key_words(identity, "data")), maps, foreground)
    generator = np.random.default_rng(key_words(identity, "names"))
    return instances, name_objects(instances, label_weights(class_law, labels), generator)


def measure_one(trial: Trial) -> dict[str, float]:
    """Scores of one predictor, counts pooled over all maps: Dice of label 1 where there are two labels, else NaN.

    Raises:
        ValueError: more wrong pixels are asked for than the placement can give.
    """
    f = dict(trial.factors)
    labels, placement = f["labels"], f["placement"]
    instances, truth = _draw(trial.data_identity, f["foreground"], labels, f["class_law"], f["test_items"])
    generator = np.random.default_rng(key_words(trial.data_identity, f"mistakes/{placement}"))
    answer = make_mistakes(truth, instances, labels, placement, f["pixel_error"], generator)
    flat, flat_truth = (jnp.asarray(maps.reshape(len(maps), -1)) for maps in (answer, truth))
    return {
        "pixel_accuracy": float(np.mean(answer == truth)),
        "exact_match": float(np.mean(np.all(answer == truth, axis=(1, 2)))),
        "dice": float(pooled_dice(flat, flat_truth, jnp.ones(len(truth)))) if labels == 2 else float("nan"),
        "mean_iou": mean_iou(answer, truth, labels),
        "realised_foreground": float(np.mean(truth > 0)),
    }


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of trials, one by one."""
    return [measure_one(trial) for trial in trials]
