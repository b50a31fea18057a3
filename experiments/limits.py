"""Exact limits of a trial: chance, ceilings and information, each for the metric it belongs to."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from experiments.factors import GENERATOR_FACTORS
from experiments.tasks import SPEC_MAKERS, log2_outputs
from sim.generators import dictionary
from sim.theory import ceilings
from sim.theory.dictionaries import scene_maps

LARGEST_SIDE = 6  # shorter side of the Ising grids whose ceilings are exact
MISSING = math.nan  # a limit that is not known exactly stays empty in the table


def limits_of(factors: Mapping[str, Any]) -> dict[str, float]:
    """All limits that theory gives for one cell; learner, recipe and seed do not enter.

    Returns:
        `chance`, `bayes_known`, `bayes_learned`, `bayes_composed` for exact match; `pixel_chance` and
        `pixel_bayes_known` for pixel accuracy; `log2_outputs`, `label_entropy_bits` and `information_bits`.
        A limit without an exact form is NaN. A dictionary that is the same for every seed has `minimum_distance`, too:
        the fewest pixels in which two of its maps differ.
    """
    task = ("inputs", *(name for name in GENERATOR_FACTORS[factors["generator"]] if name != "relabelled"))
    relevant = [("generator", factors["generator"])] + [(name, factors[name]) for name in task if name in factors]
    return dict(_limits(tuple(relevant)))


@lru_cache(maxsize=4096)
def _limits(items: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, float], ...]:
    factors = dict(items)
    bits = log2_outputs(factors)
    limits = {
        "log2_outputs": bits,
        "label_entropy_bits": MISSING if factors["generator"] in SPEC_MAKERS else bits,
        "information_bits": MISSING,
        "chance": 2.0**-bits,
        "bayes_known": MISSING,
        "bayes_learned": MISSING,
        "bayes_composed": MISSING,
        "pixel_chance": 2.0**-bits,
        "pixel_bayes_known": MISSING,
    }
    exact = EXACT_LIMITS.get(factors["generator"])
    if exact is not None:
        limits.update(exact(factors))
    return tuple(limits.items())


def _codebook(factors: Mapping[str, Any]) -> dict[str, float]:
    outputs, inputs = factors["outputs"], factors["inputs"]
    task = (outputs, factors["dimension"], factors["signal_power"], factors["noise"] ** 2)
    known = ceilings.gaussian_codebook_accuracy(*task)
    learned = MISSING
    if not factors["balanced"]:
        learned = ceilings.gaussian_codebook_accuracy(*task, samples_per_class=inputs / outputs, class_counts="iid")
    elif inputs % outputs == 0:
        learned = ceilings.gaussian_codebook_accuracy(*task, samples_per_class=inputs // outputs)
    return {"bayes_known": known, "bayes_learned": learned, "pixel_bayes_known": known}


def _blocks(factors: Mapping[str, Any]) -> dict[str, float]:
    tiles, labels, inputs = factors["tiles"], factors["labels"], factors["inputs"]
    task = (factors["tile_dimension"], factors["signal_power"], factors["noise"] ** 2)
    limits = {"pixel_chance": 1.0 / labels, "pixel_bayes_known": ceilings.gaussian_codebook_accuracy(labels, *task)}
    similarity, maps = factors["similarity"], labels**tiles
    if similarity not in (0.0, 1.0):
        return limits
    # Balanced maps give each codeword the same number of tiles where I is a multiple of J; on fewer images the maps
    # are drawn without repetition, whose codeword counts are those of independent labels to within a few per cent.
    even = factors["balanced"] and inputs % maps == 0
    counts = "equal" if even else "iid"
    per_codeword = inputs * (tiles if similarity == 1.0 else 1) / labels
    shape = (tiles, labels, *task)
    limits["bayes_known"] = ceilings.composed_accuracy(*shape, similarity=similarity)
    limits["bayes_composed"] = ceilings.composed_accuracy(*shape, per_codeword, similarity, counts)
    if even or not factors["balanced"]:
        limits["bayes_learned"] = ceilings.class_mean_accuracy(*shape, inputs / maps, similarity, counts)
    return limits


def _fields(factors: Mapping[str, Any]) -> dict[str, float]:
    rows, columns, labels = factors["rows"], factors["columns"], factors["labels"]
    separation = factors["spacing"] / factors["noise"]
    pixels = rows * columns
    if factors["field"] == "independent":
        pixel = ceilings.pixel_accuracy(labels, separation)
        return {"bayes_known": pixel**pixels, "pixel_bayes_known": pixel, "pixel_chance": 1.0 / labels}
    if factors["field"] == "chain":
        line = ceilings.chain_ceilings(columns, factors["stay"], factors["noise"], labels, factors["spacing"])
        return {
            "label_entropy_bits": rows * line.label_entropy_bits,
            "information_bits": rows * (line.label_entropy_bits - line.conditional_entropy_bits),
            "bayes_known": line.joint_exact_match**rows,
            "pixel_bayes_known": line.pixel_accuracy,
            "pixel_chance": 1.0 / labels,
        }
    if factors["field"] == "ising" and min(rows, columns) <= LARGEST_SIDE:
        noise = 2.0 / separation  # theory puts the two labels at -1 and +1
        grid = ceilings.ising_ceilings((rows, columns), factors["coupling"], noise)
        return {
            "label_entropy_bits": grid.label_entropy_bits,
            "information_bits": grid.label_entropy_bits - grid.conditional_entropy_bits,
            "bayes_known": grid.joint_exact_match,
            "pixel_bayes_known": grid.pixel_accuracy,
            "pixel_chance": 0.5,
        }
    return {"label_entropy_bits": MISSING, "pixel_chance": 1.0 / labels}


def _dictionary(factors: Mapping[str, Any]) -> dict[str, float]:
    """A dictionary drawn by chance has other limits for every seed: those of the exact learner beside the networks."""
    scenes, bits, side = factors["scenes"] ** 2, factors["bits"], factors["grid_size"] // factors["scenes"]
    limits = {
        "label_entropy_bits": float(scenes * bits),
        "chance": 2.0 ** -(scenes * bits),
        "pixel_chance": MISSING,
    }
    if bits == dictionary.MOST_BITS or factors["spread"]:
        limits["minimum_distance"] = dictionary.minimum_distance(side, bits)
    if bits == dictionary.MOST_BITS:
        known, constant = _whole_dictionary(side, factors["noise"] / factors["spacing"])
        limits |= {
            "bayes_known": known.joint_exact_match**scenes,
            "information_bits": scenes * (known.label_entropy_bits - known.conditional_entropy_bits),
            "pixel_bayes_known": known.pixel_accuracy,
            "pixel_chance": constant,
        }
    return limits


@lru_cache(maxsize=64)
def _whole_dictionary(side: int, noise: float) -> tuple[ceilings.DiscCeilings, float]:
    """Ceilings of all scenes, and the pixel accuracy of the best answer that does not look at the image."""
    maps = scene_maps(side, dictionary.LATTICE, dictionary.RADII)
    share = maps.mean(axis=0)
    return ceilings.dictionary_ceilings(maps, noise), float(np.maximum(share, 1 - share).mean())


# Generator -> factors -> the limits that are known exactly; one of your own may be added.
EXACT_LIMITS: dict[str, Callable[[Mapping[str, Any]], dict[str, float]]] = {
    "codebook": _codebook,
    "blocks": _blocks,
    "fields": _fields,
    "dictionary": _dictionary,
}
