"""[18]: a network's shape leads a deformable contour: as its start, as its prior, or as both."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sim.segmentation.deep.hybrids import UNET
from sim.segmentation.deep.pixels import TRAINING, Floats, Labels, fit_scaling, most_probable
from sim.segmentation.deep.refiners import Mask, Plane, Refiners, fit_map, refined, signed_distance
from sim.segmentation.protocol import Examples, Predict, Segmenter

ARMS = ("both", "start", "prior", "network", "forest")


def middle_disc(masks: NDArray[np.bool_]) -> Mask:
    """A start without a network: a disc as large as the examples' masks on average, about their mean centre.

    Example:
        >>> middle_disc(np.array([[[0, 0, 0], [0, 1, 0], [0, 0, 0]]], bool)).astype(int).tolist()
        [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    """
    down, right = np.indices(masks.shape[1:])
    row, column = ndimage.center_of_mass(masks.mean(axis=0)) if masks.any() else (0.0, 0.0)
    radius = np.sqrt(masks.sum(axis=(1, 2)).mean() / np.pi)
    return np.asarray(np.hypot(down - row, right - column) <= radius)


def claimed(masks: NDArray[np.bool_], probability: Floats) -> Labels:
    """Labels of pixels that one mask a label claims: of several the most probable, of none 0.

    Args:
        masks: shape (L - 1, rows, columns), of the labels from 1 on. probability: shape (rows, columns, L).

    Example:
        >>> masks = np.array([[[True, True, False]], [[True, False, False]]])
        >>> claimed(masks, np.array([[[0.1, 0.3, 0.6], [0.9, 0.1, 0.0], [0.0, 1.0, 0.0]]])).tolist()
        [[2, 1, 0]]
    """
    chances = np.where(masks, np.moveaxis(probability[..., 1:], -1, 0), -1.0)
    return np.where(masks.any(axis=0), 1 + chances.argmax(axis=0), 0).astype(np.int32)


def contour_force(image: Plane, shape: Mask, region: float, prior: float) -> Callable[[Plane], Plane]:
    """What pulls a contour outwards: Chan and Vese's region term, and the way back to a shape.

        force(phi) = region ((I - c_out)^2 - (I - c_in)^2) / var I + prior (d - phi)

    Args:
        image: shape (rows, columns). shape: the mask with signed distance d, taken within five pixels of its border.
        region, prior: weights.
    """
    target, variance = np.clip(signed_distance(shape), -5, 5), max(float(image.var()), 1e-12)

    def force(phi: Plane) -> Plane:
        inside = phi > 0
        if inside.all() or not inside.any():
            return prior * (target - np.clip(phi, -5, 5))
        means = image[~inside].mean(), image[inside].mean()
        data = ((image - means[0]) ** 2 - (image - means[1]) ** 2) / variance
        return np.asarray(region * data + prior * (target - np.clip(phi, -5, 5)))

    return force


def shape_contour(refiners: Refiners) -> Segmenter:
    """The system with its arms."""

    def fit(examples: Examples, settings: Mapping[str, Any], seed: int) -> Predict:
        arm = settings["arm"]
        answer = fit_map(refiners, "encoder_decoder", examples, settings, seed, tuple(UNET))
        if arm == "network":
            return lambda images: most_probable(answer(images))
        blind = [middle_disc(examples.answers == label) for label in range(1, examples.num_labels)]
        weight = 0.0 if arm == "start" else settings["prior"]

        def refine(probability: Floats, image: Plane) -> Labels:
            moved = []
            for label, disc in enumerate(blind, start=1):
                shape = np.asarray(probability.argmax(axis=-1) == label)
                if arm == "prior" and disc.shape != shape.shape:
                    raise ValueError(f"arm prior needs images of the examples' shape {disc.shape}, got {shape.shape}")
                force = contour_force(image, shape, settings["region"], weight)
                start = disc if arm == "prior" else shape
                moved.append(refiners.level_set(start, force, settings["length"], settings["contour_steps"]))
            return claimed(np.asarray(moved, dtype=bool), probability)

        return refined(answer, fit_scaling(examples.images), refine)

    return Segmenter(
        "shape_contour",
        "a network's shape as start and prior of a deformable contour",
        "segment",
        "ventricle",
        "[18]",
        "Avendi, Kheradvar, Jafarkhani, 2016 [unchecked]. An encoder-decoder on the whole image in place of a detector "
        "and a stacked autoencoder, one contour a label; arms: start "
        "and prior, start only, prior only from a mean disc, network only, a forest's shape in the network's place.",
        {
            **TRAINING, "arm": ARMS, **UNET, "region": (0.3, 0.1, 1.0), "prior": (0.5, 0.25, 1.0),
            "length": (1.0, 0.3), "contour_steps": (100,),
        },
        fit,
        deep=True,
    )  # fmt: skip
