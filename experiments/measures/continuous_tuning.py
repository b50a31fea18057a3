"""How the recipes of study `continuous` were found: equal grids for both heads, on seeds and sizes no result uses.

python -m experiments.measures.continuous_tuning      eight minutes on one core
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

from experiments.measures.continuous import measure
from experiments.spec import Sweep

SEEDS = (900_001,)
SIZES = {"small": 128, "large": 2048}  # training images: for I up to 512, and above
GRID = {"learning_rate": (0.003,), "weight_decay": (0.1, 0.3, 1.0, 3.0), "input_noise": (0.0, 0.3, 0.6, 1.0)}
HEADS: dict[str, tuple[int, ...]] = {"regression": (0,), "bins": (16, 1024)}  # estimator -> the bins it is pooled over


def choose_recipe(target: str, noise: float, estimator: str, inputs: int, seeds: Sequence[int] = SEEDS) -> Any:
    """The recipe with the least error, averaged over bins and seeds: (learning rate, weight decay, input noise), error.

    Args:
        target, noise: the task. estimator: "regression" or "bins". inputs: training images I.
        seeds: tuning seeds.
    """
    found = {}
    for recipe in product(*GRID.values()):
        numbers: dict[str, Any] = dict(zip(GRID, recipe, strict=True))
        trials = Sweep(
            generator="continuous", target=target, noise=noise, estimator=estimator, bins=HEADS[estimator],
            inputs=inputs, max_steps=4000, test_items=2000, seeds=seeds, **numbers,
        ).trials()  # fmt: skip
        errors = [row.get("error", float("inf")) for row in measure(trials)]
        found[recipe] = sum(errors) / len(errors)
    best = min(found, key=lambda recipe: found[recipe])
    return best, found[best]


if __name__ == "__main__":
    for (size, inputs), (target, noise), estimator in product(SIZES.items(), (("linear", 0.3), ("disc", 0.5)), HEADS):
        print(size, target, estimator, *choose_recipe(target, noise, estimator, inputs), flush=True)
