"""How the recipes of study `continuous` were found: the same search for both heads, on seeds and sizes no result uses.

python -m experiments.measures.continuous_tuning      a quarter of an hour on one core
"""

from collections.abc import Iterator, Sequence
from itertools import product

from experiments.measures.continuous import measure
from experiments.spec import Sweep

SEEDS = (900_001,)
SIZES = {"small": 128, "large": 2048}  # training images: for I up to 512, and above
RATE = 0.003
DECAYS, NOISES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0), (0.0, 0.3, 0.6, 1.0, 1.5, 2.0)  # how far a search may go
GRID = {"weight_decay": DECAYS[2:6], "input_noise": NOISES[:4]}
HEADS = {"regression": 0, "few": 16, "many": 1024}  # head of the study -> the bins it is tuned at

Recipe = tuple[float, float, float]  # learning rate, weight decay, input noise


def _neighbours(recipe: Recipe) -> Iterator[Recipe]:
    """One step along either ladder."""
    rate, decay, noise = recipe
    for move in (-1, 1):
        for ladder, place in ((DECAYS, DECAYS.index(decay)), (NOISES, NOISES.index(noise))):
            if 0 <= place + move < len(ladder):
                value = ladder[place + move]
                yield (rate, value, noise) if ladder is DECAYS else (rate, decay, value)


def choose_recipe(
    target: str, noise: float, bins: int, inputs: int, seeds: Sequence[int] = SEEDS
) -> tuple[Recipe, float]:
    """The recipe of least error, averaged over seeds, and that error.

    The whole grid first; while the best lies on its edge, its neighbours beyond.

    Args:
        target, noise: the task. bins: Q, 0 for the head with one output. inputs: training images I.
        seeds: tuning seeds.
    """

    def error(recipe: Recipe) -> float:
        trials = Sweep(
            generator="continuous", target=target, noise=noise, estimator="bins" if bins else "regression", bins=bins,
            inputs=inputs, max_steps=4000, test_items=2000, seeds=seeds,
            **dict(zip(("learning_rate", *GRID), recipe, strict=True)),
        ).trials()  # fmt: skip
        errors = [row.get("error", float("inf")) for row in measure(trials)]
        return float(sum(errors) / len(errors))

    recipes: list[Recipe] = [(RATE, decay, blur) for decay, blur in product(*GRID.values())]
    found: dict[Recipe, float] = {}
    while recipes:
        found |= {recipe: error(recipe) for recipe in recipes}
        best = min(found, key=lambda recipe: found[recipe])
        recipes = [recipe for recipe in _neighbours(best) if recipe not in found]
    return best, found[best]


if __name__ == "__main__":
    for (size, inputs), (target, noise), (head, bins) in product(
        SIZES.items(), (("linear", 0.3), ("disc", 0.5)), HEADS.items()
    ):
        print(size, target, head, *choose_recipe(target, noise, bins, inputs), flush=True)
