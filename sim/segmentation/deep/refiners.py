"""What the hybrid systems need from the refinement of maps, as functions to be passed in.

Everywhere a unary is -log p, float64, shape (L, rows, columns), and an image is float, shape (rows, columns), with grey
values standardised by the training images.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sim.segmentation.deep.pixels import Floats, Labels, Probabilities, fit_pixels
from sim.segmentation.protocol import Examples

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]
Reject = Callable[[Mask, Plane, Plane], Mask]  # (mask, probability, image) -> what is left of the mask
SMALLEST = 1e-6  # of a probability: its cost stays finite


class Refiners(NamedTuple):
    """Functions of one image.

    Attributes:
        dense_crf: (unary, image, bilateral, reach, contrast, spatial) -> labels, int: pairs of unlike pixels cost
            bilateral exp(-d^2 / (2 reach^2) - g^2 / (2 contrast^2)), and `spatial` times a narrow Gaussian of d.
        graph_cut: (unary, image, strength) -> labels, int: least sum of unaries plus `strength` a pair of unlike
            neighbours, less where the grey values differ.
        max_flow: (force, smoothness) -> mask: least sum of force inside plus smoothness times the border, both (rows,
            columns).
        level_set: (start, force, length, steps) -> mask: a contour from the mask `start`; force(phi) pulls outwards,
            phi > 0 being inside.
        part_touching: (foreground, markers, height) -> numbers of objects, int, 0 outside: a watershed.
        fit_rejector: (masks, probabilities, images, truths, seed) -> Reject, learned on components.
        fit_start: (examples, seed) -> probabilities a pixel without a network, in the network's place in arm "forest".
    """

    dense_crf: Callable[[Plane, Plane, float, float, float, float], NDArray[Any]]
    graph_cut: Callable[[Plane, Plane, float], NDArray[Any]]
    max_flow: Callable[[Plane, Plane], NDArray[Any]]
    level_set: Callable[[Mask, Callable[[Plane], Plane], float, int], NDArray[Any]]
    part_touching: Callable[[Mask, NDArray[np.int32], Plane], NDArray[np.int32]]
    fit_rejector: Callable[[Sequence[Mask], Sequence[Plane], Sequence[Plane], Sequence[Mask], int], Reject]
    fit_start: Callable[[Examples, int], Probabilities]


def fit_map(
    refiners: Refiners,
    network: str,
    examples: Examples,
    settings: Mapping[str, Any],
    seed: int,
    shape: Sequence[str],
) -> Probabilities:
    """The map that is refined: a network's, or in arm "forest" that of `fit_start`.

    Args:
        network: a pixelwise one of `NETWORKS`, with the settings named in `shape`.
    """
    if settings["arm"] == "forest":
        return refiners.fit_start(examples, seed)
    return fit_pixels(network, examples, settings, seed, **{name: settings[name] for name in shape})


def unary(probability: Floats) -> Plane:
    """Costs of labels: (rows, columns, L) -> float64, (L, rows, columns)."""
    return np.moveaxis(-np.log(np.maximum(probability.astype(np.float64), SMALLEST)), -1, 0)


def named(mask: Mask, probability: Floats) -> Labels:
    """Labels of a refined foreground: in the mask the most probable label but 0, outside 0.

    Example:
        >>> named(np.array([[True, False]]), np.array([[[0.8, 0.05, 0.15], [0.1, 0.9, 0.0]]])).tolist()
        [[2, 0]]
    """
    return np.where(mask, 1 + probability[..., 1:].argmax(axis=-1), 0).astype(np.int32)


def signed_distance(mask: Mask) -> Plane:
    """Distance to the border of a mask in pixels, above 0 inside; 0 everywhere where there is no border."""
    if mask.all() or not mask.any():
        return np.zeros(mask.shape)
    return np.asarray(ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask))


def refined(
    answer: Callable[[NDArray[np.float32]], Floats],
    scale: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    refine: Callable[[Floats, Plane], Labels],
) -> Callable[[NDArray[np.float32]], Labels]:
    """Refine an answer image by image: refine(probability (rows, columns, L), standardised image) -> labels."""

    def predict(images: NDArray[np.float32]) -> Labels:
        pairs = zip(answer(images), scale(images), strict=True)
        return np.stack([refine(probability, image.astype(np.float64)) for probability, image in pairs]).astype(
            np.int32
        )

    return predict
