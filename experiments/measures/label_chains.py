"""Measure `label_chains`: draw rows, train a network on basis functions of their grey values, score by the posterior.

The exact posterior (forward-backward, told the law) answers the same test rows: the paired ceiling.
"""

import math
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
from sim.metrics import score_by_posterior, weighted_mean
from sim.networks.chains import ChainNetwork, ChainSettings, radial_basis
from sim.networks.heads import mask_classes
from sim.theory.ceilings import pixel_accuracy
from sim.training import Recipe, TrainSettings, make_train
from sim.types import Array, Key

IMAGES = 1024  # training images that a compiled program has room for, at least
ROOM = 32  # labels that every compiled program has room for
LAYERS = 3  # of three pixels each: an output sees seven
BEYOND = 3.0  # the centres reach this many deviations of the noise beyond the outermost labels


@lru_cache(maxsize=16)
def _make_run(
    network: ChainSettings, columns: int, max_inputs: int, test_items: int, training: TrainSettings
) -> Callable[..., dict[str, Array]]:
    module = ChainNetwork(network)

    def run(spec: FieldsSpec, num_inputs: Array, recipe: Recipe, data_key: Key, model_key: Key) -> dict[str, Array]:
        world_key, image_key = jax.random.split(data_key)
        init_key, order_key = jax.random.split(model_key)
        world = FIELDS.make_world(world_key, spec)
        train = FIELDS.draw(image_key, spec, world, jnp.arange(max_inputs))
        test = FIELDS.draw(image_key, spec, world, num_inputs + jnp.arange(test_items))
        num_labels, noise = jnp.asarray(spec.labels), jnp.asarray(spec.noise)
        reach = spec.spacing * (num_labels.astype(jnp.float32) - 1.0) / 2.0 + BEYOND * noise

        def apply(parameters: Any, rows: Array) -> Any:
            if network.channels == 1:
                return module.apply(parameters, (rows / reach)[..., None])
            return module.apply(parameters, radial_basis(rows, -reach, reach, network.channels, noise))

        def choose(rows: Array) -> Array:
            return jnp.argmax(mask_classes(apply(parameters, rows), num_labels), axis=-1).astype(jnp.int32)

        rows, test_rows = train.images[:, 0], test.images[:, 0]
        start = module.init(init_key, jnp.zeros((1, columns, network.channels)))
        parameters, info = make_train(apply, training)(
            order_key, recipe, start, rows, train.labels, num_inputs, spec.labels
        )
        known = LEARNERS["fields", "bayes"].learn(spec, world, train, num_inputs)
        exact = in_chunks(lambda chunk: known(*chunk), (test.images, test.labels))
        chosen, fitted = in_chunks(choose, test_rows), in_chunks(choose, rows)
        used = (jnp.arange(max_inputs) < num_inputs).astype(jnp.float32)
        right, known_right = chosen == test.labels, exact.marginal == test.labels
        return {
            **score_by_posterior(exact.log_probabilities, chosen)._asdict(),
            "pixel_accuracy": right.mean(),
            "known_pixel_accuracy": known_right.mean(),
            "exact_match": right.all(axis=1).mean(),
            "known_exact_match": (exact.joint == test.labels).all(axis=1).mean(),
            "train_accuracy": weighted_mean(fitted == train.labels, used),
            **info._asdict(),
        }

    return jax.jit(run)


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of each trial: raw and posterior-scored pixel accuracy, exact match, the exact posterior's own
    (of the whole row, and of one pixel by itself), and rho.

    Raises:
        ValueError: more labels than there is room for, or a network other than "conv" and "linear".
    """
    return [_measure_one(trial) for trial in trials]


def _measure_one(trial: Trial) -> dict[str, Any]:
    factors = dict(trial.factors)
    labels, network = factors["labels"], factors["network"]
    if labels > ROOM:
        raise ValueError(f"labels must be <= {ROOM} for label_chains, got {labels}")
    if network not in ("conv", "linear"):
        raise ValueError(f"network must be conv or linear for label_chains, got {network!r}")
    settings = ChainSettings(
        ROOM, 3, LAYERS if network == "conv" else 0, factors["width"], channels=factors["grey_channels"]
    )
    spec = FieldsSpec(
        grid_shape=(1, factors["columns"]),
        field="chain",
        max_labels=ROOM,
        labels=jnp.int32(labels),
        spacing=jnp.float32(factors["spacing"]),
        noise=jnp.float32(factors["noise"]),
        stay=jnp.float32(factors["stay"]),
    )
    run = _make_run(
        settings,
        factors["columns"],
        max(IMAGES, bucket(factors["inputs"])),
        factors["test_items"],
        settings_of(factors),
    )
    found = run(spec, jnp.int32(factors["inputs"]), recipe_of(factors), *keys_of(trial))
    parameters = jax.eval_shape(
        ChainNetwork(settings).init, jax.random.key(0), jnp.zeros((1, factors["columns"], settings.channels))
    )
    chance = 1.0 / labels
    scores = finished(found, parameters)
    return scores | {
        "pixel_chance": chance,
        "pixel_ceiling": pixel_accuracy(labels, factors["spacing"] / factors["noise"]),
        "log2_outputs": factors["columns"] * math.log2(labels),
        "chance_normalised": (scores["expected_accuracy"] - chance) / (1.0 - chance),
        "normalised_ceiling": (scores["expected_ceiling"] - chance) / (1.0 - chance),
        "rho": (scores["expected_accuracy"] - chance) / (scores["expected_ceiling"] - chance),
    }
