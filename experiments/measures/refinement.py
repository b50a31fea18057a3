"""Measured family `refinement`: a map of probabilities, and what is gained by refining it, each metric by itself."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from experiments.measures.map_networks import Trained, train_maps
from experiments.spec import Trial
from experiments.tasks import key_words
from sim.generators.fields import FIELDS, FieldsSpec
from sim.networks.registry import NetworkSettings
from sim.segmentation.refinement.many_maps import GENERIC, THRESHOLD, dictionary_refiner, tuned
from sim.theory.dictionaries import disc_maps
from sim.theory.posteriors import best_dice_maps, ising_posterior, list_weights

Floats = NDArray[np.float64]
Maps = NDArray[np.int32]
SIDES = {"ising": 8, "discs": 16}
COUPLING = 0.44
RADII = (2.0, 3.0, 4.0, 5.0)
HELD_OUT = 300  # images on which settings of refiners are chosen
NETWORKS: dict[str, dict[str, Any]] = {
    "conv1": {"network": "conv", "receptive_field": 1, "depth": 3},
    "conv3": {"network": "conv", "receptive_field": 3, "depth": 3},
    "conv7": {"network": "conv", "receptive_field": 7, "depth": 3},
    "unet": {"network": "unet", "levels": 2, "depth": 1},
}


class Exact(NamedTuple):
    """The exact posterior of images: marginals, and the best map for each metric that the scene has."""

    marginals: Floats
    best: dict[str, Maps]


class Scenes(NamedTuple):
    """What a trial draws, each images and maps: to train on, to choose settings of refiners on, to be tested on."""

    training: tuple[NDArray[np.float32], Maps]
    held_out: tuple[NDArray[np.float32], Maps]
    test: tuple[NDArray[np.float32], Maps]


def pixel_accuracy(maps: Maps, truth: Maps) -> float:
    """Share of pixels that are right."""
    return float((maps == truth).mean())


def exact_match(maps: Maps, truth: Maps) -> float:
    """Share of images that are right everywhere."""
    return float((maps == truth).all(axis=(1, 2)).mean())


def mean_dice(maps: Maps, truth: Maps) -> float:
    """Dice of label 1, image by image, averaged; 1 where both maps are empty.

    Example:
        >>> mean_dice(np.array([[[1, 1]], [[0, 0]]]), np.array([[[1, 0]], [[0, 0]]]))
        0.8333333333333333
    """
    both, either = (maps * truth).sum(axis=(1, 2)), maps.sum(axis=(1, 2)) + truth.sum(axis=(1, 2))
    return float(np.where(either > 0, 2 * both / np.maximum(either, 1), 1.0).mean())


FIELD_METRICS = {"pixel_accuracy": pixel_accuracy, "exact_match": exact_match}
METRICS = {"ising": FIELD_METRICS, "discs": FIELD_METRICS | {"dice": mean_dice}}  # a field has no foreground


@partial(jax.jit, static_argnums=(1, 2))
def _draw_fields(words: Any, side: int, number: int) -> tuple[Any, Any]:
    """Images at noise 1, from which those at any other noise follow, and maps: one program for all of them."""
    key = jax.random.wrap_key_data(words)
    spec = FieldsSpec(grid_shape=(side, side), field="ising", noise=1.0, coupling=COUPLING)
    batch = FIELDS.draw(key, spec, FIELDS.make_world(key, spec), jnp.arange(number))
    return batch.images.reshape(number, side, side), batch.labels.reshape(number, side, side)


def draw_scene(trial: Trial, role: str, number: int) -> tuple[NDArray[np.float32], Maps]:
    """Images and maps of a trial: those of one role ("training", "held out", "test") start alike at any number."""
    factors = dict(trial.factors)
    side, words = SIDES[factors["map_law"]], key_words(trial.data_identity, role)
    if factors["map_law"] == "ising":
        unit, drawn = map(np.asarray, _draw_fields(words, side, number))
        spins = 2.0 * drawn - 1
        return (spins + factors["noise"] * (unit - spins)).astype(np.float32), drawn
    labels, noise = (np.random.default_rng([*words.tolist(), stream]) for stream in (0, 1))
    known = disc_maps(side, RADII).astype(np.int32).reshape(-1, side, side)
    maps = known[labels.integers(len(known), size=number)]
    return (maps + factors["noise"] * noise.standard_normal(maps.shape)).astype(np.float32), maps


def solve(factors: Mapping[str, Any], images: NDArray[np.float32]) -> Exact:
    """The exact posterior of images under a trial's law."""
    if factors["map_law"] == "ising":
        posterior = ising_posterior(images, COUPLING, factors["noise"])
        return Exact(posterior.marginals,
                     {"pixel_accuracy": _argmax(posterior.marginals), "exact_match": posterior.joint})  # fmt: skip
    side = SIDES["discs"]
    known = disc_maps(side, RADII)
    weights = list_weights(images.reshape(len(images), -1), known, factors["noise"])
    marginals = (weights @ known).reshape(images.shape)
    likeliest = known[weights.argmax(axis=1)].astype(np.int32).reshape(images.shape)
    dice = best_dice_maps(weights, known).reshape(images.shape)
    return Exact(marginals, {"pixel_accuracy": _argmax(marginals), "exact_match": likeliest, "dice": dice})


def _argmax(chances: Floats) -> Maps:
    return (chances > 0.5).astype(np.int32)


def refined_scores(
    factors: Mapping[str, Any],
    held_out: tuple[Floats, Floats, Maps],
    tested: tuple[Floats, Floats, Maps],
    base_rate: float,
) -> dict[str, float]:
    """Scores of the argmax and of every refiner: "dice", "icm_dice", ..., "generic_dice", "dictionary_dice".

    Every setting, and for "generic" the refiner too, is chosen on the held-out images for each metric by itself: the
    most that a refiner of that kind can be asked to give.

    Args:
        held_out, tested: chances of label 1, images, true maps. base_rate: share of label 1 in the training maps.
    """
    metrics = METRICS[factors["map_law"]]
    chances, images, truth = tested
    scores = {name: metric(_argmax(chances), truth) for name, metric in metrics.items()}
    refiners = {**GENERIC, "threshold": THRESHOLD}
    if factors["map_law"] == "discs":
        side = SIDES["discs"]
        known = disc_maps(side, RADII).astype(np.int32).reshape(-1, side, side)
        refiners["dictionary"] = dictionary_refiner(known, base_rate)
    best = dict.fromkeys(metrics, -1.0)
    for kind, refiner in refiners.items():
        for name, (chosen_by, maps) in tuned(refiner, held_out, (chances, images), metrics).items():
            scores[f"{kind}_{name}"] = metrics[name](maps, truth)
            if kind in GENERIC and chosen_by > best[name]:
                best[name], scores[f"generic_{name}"] = chosen_by, scores[f"{kind}_{name}"]
    return scores


def _draw_all(trials: Sequence[Trial]) -> list[Scenes]:
    first = dict(trials[0].factors)
    return [
        Scenes(
            draw_scene(trial, "training", first["inputs"]),
            draw_scene(trial, "held out", HELD_OUT),
            draw_scene(trial, "test", first["test_items"]),
        )
        for trial in trials
    ]


def _asked(scenes: Sequence[Scenes]) -> NDArray[np.float32]:
    """Images that networks answer for: the held-out ones of each trial, then its test images."""
    return np.stack([np.concatenate([drawn.held_out[0], drawn.test[0]]) for drawn in scenes])


def _train(trials: Sequence[Trial], scenes: Sequence[Scenes]) -> Trained:
    first = dict(trials[0].factors)
    side = SIDES[first["map_law"]]
    settings = NetworkSettings(
        head="shared", image_shape=(side, side), units=side**2, classes=2, width=first["width"],
        **NETWORKS[first["map_network"]],
    )  # fmt: skip
    images, maps = (np.stack([drawn.training[part] for drawn in scenes]).astype(np.float32) for part in (0, 1))
    return train_maps(trials, settings, images, maps, _asked(scenes))


def argmax_accuracy(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Pixel accuracy of each network's argmax on its held-out images: what recipes are chosen by."""
    scenes = _draw_all(trials)
    trained = _train(trials, scenes)
    return [
        {"pixel_accuracy": pixel_accuracy(_argmax(chances[:HELD_OUT]), drawn.held_out[1])} if finite else {}
        for chances, finite, drawn in zip(trained.chances, trained.finite, scenes, strict=True)
    ]


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of each trial; all of a call share one network, side, I and numbers of images."""
    factors = [dict(trial.factors) for trial in trials]
    is_exact = factors[0]["map_network"] == "exact"
    scenes = _draw_all(trials)
    asked = _asked(scenes)
    solved = slice(None) if is_exact else slice(HELD_OUT, None)  # a network needs its ceilings alone
    exact = [solve(f, images[solved]) for f, images in zip(factors, asked, strict=True)]
    if is_exact:
        whole = np.ones(len(trials), dtype=bool)
        answers = Trained(np.stack([answer.marginals for answer in exact]), [{} for _ in trials], whole)
    else:
        answers = _train(trials, scenes)
    rows = []
    for index, drawn in enumerate(scenes):
        if not answers.finite[index]:
            rows.append({"diverged": "the training loss was not finite"})
            continue
        parts = [(answers.chances[index, part], asked[index, part].astype(np.float64), truth) for part, truth in
                 ((slice(HELD_OUT), drawn.held_out[1]), (slice(HELD_OUT, None), drawn.test[1]))]  # fmt: skip
        base_rate = float(drawn.training[1].mean())
        row = answers.scores[index] | refined_scores(factors[index], parts[0], parts[1], base_rate)
        for name, metric in METRICS[factors[index]["map_law"]].items():
            row[f"ceiling_{name}"] = metric(exact[index].best[name][-len(drawn.test[1]) :], drawn.test[1])
        rows.append(row)
    return rows
