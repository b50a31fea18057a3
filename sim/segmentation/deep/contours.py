"""[18]: a network's shape leads a deformable contour: as its start, as its prior, or as both."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from sim.segmentation.deep.hybrids import UNET
from sim.segmentation.deep.pixels import TRAINING, Floats, Labels, fit_pixels, fit_scaling, most_probable
from sim.segmentation.deep.refiners import Mask, Plane, Refiners, named, refined, signed_distance
from sim.segmentation.protocol import Examples, Predict, Segmenter

ARMS = ("both", "start", "prior", "network")


def middle_disc(answers: np.ndarray) -> Mask:
    """A start without a network: a disc as large as the objects of the examples, about their mean centre."""
    foreground = answers > 0
    down, right = np.indices(foreground.shape[1:])
    row, column = ndimage.center_of_mass(foreground.mean(axis=0)) if foreground.any() else (0.0, 0.0)
    radius = np.sqrt(foreground.sum(axis=(1, 2)).mean() / np.pi)
    return np.asarray(np.hypot(down - row, right - column) <= radius)


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
        answer = fit_pixels("encoder_decoder", examples, settings, seed, **{name: settings[name] for name in UNET})
        if arm == "network":
            return lambda images: most_probable(answer(images))
        blind = middle_disc(examples.answers)

        def refine(probability: Floats, image: Plane) -> Labels:
            shape = np.asarray(probability[..., 0] < 0.5)
            prior = 0.0 if arm == "start" else settings["prior"]
            # The examples' disc fits the examples' grid; on another one the network has to start.
            start = blind if arm == "prior" and blind.shape == shape.shape else shape
            force = contour_force(image, shape, settings["region"], prior)
            moved = refiners.level_set(start, force, settings["length"], settings["contour_steps"])
            return named(np.asarray(moved, dtype=bool), probability)

        return refined(answer, fit_scaling(examples.images), refine)

    return Segmenter(
        "shape_contour",
        "a network's shape as start and prior of a deformable contour",
        "segment",
        "ventricle",
        "[18]",
        "Avendi, Kheradvar, Jafarkhani, 2016 [unchecked]. An encoder-decoder on the whole image in place of a detector "
        "and a stacked autoencoder; arms: start and prior, start only, prior only from a mean disc, network only.",
        {
            **TRAINING, "arm": ARMS, **UNET, "region": (0.5, 1.0, 2.0), "prior": (0.5, 0.25, 1.0),
            "length": (1.0, 0.3), "contour_steps": (100,),
        },
        fit,
        deep=True,
    )  # fmt: skip
