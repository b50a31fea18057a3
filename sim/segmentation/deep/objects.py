"""Systems that go on from a network's map to objects: [25] rejects components, [27] parts touching cells."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sim.segmentation.deep.hybrids import ARMS, UNET
from sim.segmentation.deep.pixels import TRAINING, Floats, Labels, fit_scaling, most_probable
from sim.segmentation.deep.refiners import Plane, Refiners, fit_map, named, refined
from sim.segmentation.protocol import Examples, Predict, Segmenter

HELD_BACK = 4  # every fourth image is kept from the network for what learns from its answers


def component_rejection(refiners: Refiners) -> Segmenter:
    """[25]: a network's components, those that look false taken away by a random forest."""

    def fit(examples: Examples, settings: Mapping[str, Any], seed: int) -> Predict:
        images, answers, labels = examples
        kept = np.arange(len(images)) % HELD_BACK == HELD_BACK - 1
        seen = Examples(images[~kept], answers[~kept], labels)
        answer = fit_map(refiners, "fcn", seen, settings, seed, (*UNET, "skips"))
        if settings["arm"] == "network" or not kept.any():
            return lambda others: most_probable(answer(others))
        scale, found = fit_scaling(seen.images), answer(images[kept])
        chances = list(1 - found[..., 0].astype(np.float64))
        masks = [np.asarray(chance > settings["threshold"]) for chance in chances]
        grey = list(scale(images[kept]).astype(np.float64))
        reject = refiners.fit_rejector(masks, chances, grey, list(answers[kept] > 0), seed)

        def refine(probability: Floats, image: Plane) -> Labels:
            chance = 1 - probability[..., 0].astype(np.float64)
            return named(np.asarray(reject(chance > settings["threshold"], chance, image)), probability)

        return refined(answer, scale, refine)

    return Segmenter(
        "component_rejection",
        "fully convolutional network, false components rejected by a random forest",
        "segment",
        "tumour",
        "[25]",
        "Chlebus et al., 2018 [unchecked]. Two dimensions; the forest learns from every fourth training image, which "
        "the network does not see.",
        {**TRAINING, "arm": ARMS, **UNET, "skips": (2,), "threshold": (0.5, 0.3)},
        fit,
        deep=True,
    )


def mark_rims(answers: NDArray[np.int32], labels: int) -> NDArray[np.int32]:
    """Label maps with one label more, `labels`, for object pixels that touch another label.

    Example:
        >>> mark_rims(np.array([[[0, 1, 1, 1, 1, 0]]]), 2).tolist()
        [[[0, 2, 1, 1, 2, 0]]]
    """
    square = (1, 3, 3)
    lowest = ndimage.minimum_filter(answers, square, mode="nearest")
    highest = ndimage.maximum_filter(answers, square, mode="nearest")
    return np.where((answers > 0) & (lowest != highest), labels, answers).astype(np.int32)


def network_watershed(refiners: Refiners) -> Segmenter:
    """[27]: a network's insides of cells as markers of a watershed over its foreground."""

    def fit(examples: Examples, settings: Mapping[str, Any], seed: int) -> Predict:
        images, answers, labels = examples
        marked = Examples(images, mark_rims(answers, labels), labels + 1)
        answer = fit_map(refiners, "unet", marked, settings, seed, tuple(UNET))

        def refine(probability: Floats, image: Plane) -> Labels:
            # Of a rim the network does not say whose it is: labels are compared on the insides alone.
            foreground = np.asarray(probability[..., 0] < 0.5)
            if settings["arm"] == "network":
                return named(foreground, probability[..., :labels])
            insides = probability[..., 1:labels].sum(axis=-1).astype(np.float64)
            markers = ndimage.label(foreground & (insides > settings["marker"]))[0].astype(np.int32)
            parts = refiners.part_touching(foreground, markers, probability[..., labels].astype(np.float64))
            number = np.arange(int(parts.max()) + 1)
            votes = np.stack([
                ndimage.sum_labels(probability[..., label], parts, number) for label in range(1, labels)
            ])  # fmt: skip
            size = ndimage.sum_labels(np.ones(parts.shape), parts, number)
            name = np.where((number > 0) & (size >= settings["smallest"]), 1 + votes.argmax(axis=0), 0)
            return np.asarray(name[parts], dtype=np.int32)

        return refined(answer, fit_scaling(images), refine)

    return Segmenter(
        "network_watershed",
        "network for insides and rims of cells, then a watershed from the insides",
        "segment",
        "cells",
        "[27]",
        "Al-Kofahi et al., BMC Bioinformatics 19, 2018 [unchecked]. A small U-Net for background, inside and rim; "
        "objects below a size are dropped; the answer is one label an object.",
        {**TRAINING, "arm": ARMS, **UNET, "marker": (0.5, 0.7), "smallest": (8, 0, 24)},
        fit,
        deep=True,
    )
