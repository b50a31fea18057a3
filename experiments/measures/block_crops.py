"""Measure `block_crops`: train a network on all crops of I images, score it on fresh crops by their exact posterior.

An image holds `OFFSETS` neighbouring places for a block, whatever the block's size, so that every size learns from as
many images and crops. A crop of a stationary chain is a chain: the exact posterior of a crop is that of a short row.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from experiments.measures.chains import finished, keys_of, recipe_of, settings_of
from experiments.spec import Trial
from experiments.tasks import bucket
from sim.generators.fields import FIELDS, FieldsSpec
from sim.learners import LEARNERS
from sim.member import in_chunks
from sim.metrics import score_by_posterior
from sim.networks.chains import ChainNetwork, ChainSettings
from sim.networks.registry import Network, NetworkSettings
from sim.theory.crops import crop_accuracy
from sim.training import Recipe, TrainSettings, make_train_on
from sim.types import Array, Key

IMAGES = 1024  # training images that a compiled program has room for, at least
OFFSETS = 32  # places of a block in one training image
LAYERS = 3  # of the convolutional network, which together see the margin on either side


def make_network(network: str, block: int, margin: int, width: int) -> Network | ChainNetwork:
    """The network of a block: crops (batch, block + 2 margin) -> logits (batch, block, 2).

    "mlp" has weights of its own for every pixel; "conv" uses the same for all and sees `margin` pixels on either side.

    Raises:
        ValueError: another network, or a margin that three layers cannot see evenly.
    """
    if network == "mlp":
        return Network(NetworkSettings("mlp", "dense", (1, block + 2 * margin), block, 2, width, depth=2))
    if network != "conv":
        raise ValueError(f"network must be mlp or conv for block_crops, got {network!r}")
    if margin % LAYERS:
        raise ValueError(f"crop_margin must be a multiple of {LAYERS} for conv, got {margin}")
    return ChainNetwork(ChainSettings(2, 1 + 2 * margin // LAYERS, LAYERS, width, padded=False))


@lru_cache(maxsize=16)
def _make_run(
    module: Network | ChainNetwork, block: int, margin: int, max_inputs: int, test_items: int, training: TrainSettings
) -> Callable[..., dict[str, Array]]:
    flat = isinstance(module, ChainNetwork)
    crop = block + 2 * margin
    inside = slice(margin, margin + block)

    def run(
        long: FieldsSpec, short: FieldsSpec, stride: Array, num_inputs: Array, recipe: Recipe, data_key: Key,
        model_key: Key,
    ) -> dict[str, Array]:  # fmt: skip
        train_key, test_key = jax.random.split(data_key)
        init_key, order_key = jax.random.split(model_key)
        world = FIELDS.make_world(train_key, long)
        train = FIELDS.draw(train_key, long, world, jnp.arange(max_inputs))
        test = FIELDS.draw(test_key, short, world, jnp.arange(test_items))
        places = OFFSETS // stride

        def look(chosen: Array) -> tuple[Array, Array]:
            image, start = chosen // places, stride * (chosen % places)
            pixels = start[:, None] + jnp.arange(crop)[None, :]
            return train.images[image[:, None], 0, pixels], train.labels[image[:, None], pixels][:, inside]

        def apply(parameters: Any, crops: Array) -> Any:
            return module.apply(parameters, crops if flat else crops[:, None])

        def choose(crops: Array) -> Array:
            return jnp.argmax(apply(parameters, crops), axis=-1).astype(jnp.int32)

        start = module.init(init_key, jnp.zeros((1, crop) if flat else (1, 1, crop)))
        examples = num_inputs * places
        parameters, info = make_train_on(apply, training)(order_key, recipe, start, look, examples, 2)
        known = LEARNERS["fields", "bayes"].learn(short, world, test, num_inputs)
        exact = in_chunks(lambda chunk: known(*chunk), (test.images, test.labels))
        chosen, truth = in_chunks(choose, test.images[:, 0]), test.labels[:, inside]
        seen, seen_labels = look(jnp.arange(test_items) % examples)
        right = chosen == truth
        return {
            **score_by_posterior(exact.log_probabilities[:, inside], chosen)._asdict(),
            "pixel_accuracy": right.mean(),
            "known_pixel_accuracy": (exact.marginal[:, inside] == truth).mean(),
            "exact_match": right.all(axis=1).mean(),
            "train_accuracy": (in_chunks(choose, seen) == seen_labels).mean(),
            "examples": examples,
            **info._asdict(),
        }

    return jax.jit(run)


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of each trial: raw and posterior-scored pixel accuracy on the block, the exact ones for the same crop, and
    their expectation `exact_ceiling`.

    Raises:
        ValueError: a network, margin or stride that is impossible.
    """
    return [_measure_one(trial) for trial in trials]


def _measure_one(trial: Trial) -> dict[str, Any]:
    factors = dict(trial.factors)
    block, margin, stride = (factors[name] for name in ("block_size", "crop_margin", "block_stride"))
    if stride > OFFSETS:
        raise ValueError(f"block_stride must be <= {OFFSETS}, got {stride}")
    module = make_network(factors["network"], block, margin, factors["width"])
    crop = block + 2 * margin
    numbers: dict[str, Any] = {name: jnp.float32(factors[name]) for name in ("spacing", "noise", "stay")}
    long, short = (
        FieldsSpec(grid_shape=(1, length), field="chain", labels=jnp.int32(2), **numbers)
        for length in (OFFSETS - 1 + crop, crop)
    )
    run = _make_run(
        module, block, margin, max(IMAGES, bucket(factors["inputs"])), factors["test_items"], settings_of(factors)
    )
    found = run(long, short, jnp.int32(stride), jnp.int32(factors["inputs"]), recipe_of(factors), *keys_of(trial))
    shape = (1, crop) if isinstance(module, ChainNetwork) else (1, 1, crop)
    scores = finished(found, jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape)))
    ceiling = crop_accuracy(block, margin, factors["stay"], factors["noise"], factors["spacing"])
    return scores | {
        "pixel_chance": 0.5,
        "exact_ceiling": ceiling,
        "gap": scores["expected_accuracy"] - scores["expected_ceiling"],
    }
