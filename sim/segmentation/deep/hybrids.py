"""Systems in which a network's map is where another method begins: [10] [21] [22] and their networks alone.

Every hybrid has the parameter `arm`. Its value "network" leaves the refinement out: the same network by itself;
"forest" leaves the network out: the same refinement on a random forest's map.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sim.segmentation.deep.pixels import TRAINING, Floats, Labels, fit_scaling, most_probable
from sim.segmentation.deep.refiners import Plane, Refiners, fit_map, named, refined, unary
from sim.segmentation.protocol import Examples, Predict, Segmenter

ARMS = ("refined", "network", "forest")
UNET: dict[str, Sequence[Any]] = {"width": (8, 16), "depth": (1, 2), "levels": (3, 2)}


def map_system(
    name: str,
    refiners: Refiners,
    network: str,
    refine: Callable[[Floats, Plane, Mapping[str, Any]], Labels],
    *,
    shape: Mapping[str, Sequence[Any]],
    parameters: Mapping[str, Sequence[Any]],
    **facts: Any,
) -> Segmenter:
    """A network whose map of each image is refined by itself.

    Args:
        name: the registry key. refiners: for the map of arm "forest". network: a pixelwise one of `NETWORKS`.
        refine: (probability (rows, columns, L), standardised image, parameters) -> labels.
        shape: candidates of the network's settings. parameters: of the refinement.
        facts: summary, phantom, survey and source of the `Segmenter`.
    """

    def fit(examples: Examples, settings: Mapping[str, Any], seed: int) -> Predict:
        answer = fit_map(refiners, network, examples, settings, seed, tuple(shape))
        if settings["arm"] == "network":
            return lambda images: most_probable(answer(images))
        return refined(answer, fit_scaling(examples.images), lambda p, image: refine(p, image, settings))

    candidates = {**TRAINING, "arm": ARMS, **shape, **parameters}
    return Segmenter(name=name, task="segment", parameters=candidates, fit=fit, deep=True, **facts)


def dilated_crf(refiners: Refiners) -> Segmenter:
    """[10]: dilated convolutions, then a fully connected conditional random field."""

    def refine(probability: Floats, image: Plane, settings: Mapping[str, Any]) -> Labels:
        strengths = [settings[name] for name in ("bilateral", "reach", "contrast", "spatial")]
        return np.asarray(refiners.dense_crf(unary(probability), image, *strengths), dtype=np.int32)

    return map_system(
        "dilated_crf",
        refiners,
        "dilated",
        refine,
        shape={"width": (12, 24), "depth": (2, 3), "rates": ((1, 2, 4, 8), (1, 2, 4))},
        # A pixel's pairs weigh some 2 pi reach^2 bilateral in all, and must not outweigh what the network saw there.
        parameters={
            "bilateral": (0.005, 0.02, 0.001),
            "reach": (8.0, 4.0),
            "contrast": (0.5, 0.25, 1.0),
            "spatial": (0.1, 0.0, 0.3),
        },
        summary="dilated convolutions, then a fully connected conditional random field",
        phantom="liver",
        survey="[10]",
        source="Chen et al., DeepLab, 2016 [unchecked]. Parallel dilation rates on three-by-three convolutions at full "
        "resolution, no pretrained trunk; the field's widths are for images of some 64 pixels.",
    )


def network_graph_cut(refiners: Refiners) -> Segmenter:
    """[22]: a network's probabilities as the costs of a graph cut."""

    def refine(probability: Floats, image: Plane, settings: Mapping[str, Any]) -> Labels:
        return np.asarray(refiners.graph_cut(unary(probability), image, settings["strength"]), dtype=np.int32)

    return map_system(
        "network_graph_cut",
        refiners,
        "unet",
        refine,
        shape=UNET,
        parameters={"strength": (1.0, 0.3, 3.0)},
        summary="a network's probabilities as the costs of a graph cut",
        phantom="liver",
        survey="[22]",
        source="Lu et al., 2017 [unchecked]. Two dimensions, a U-Net in place of the detecting network, no "
        "search for the organ first.",
    )


def appearance(image: Plane, inside: Plane) -> Plane:
    """Log likelihood ratio of object to background, each with one normal distribution of grey values.

    Args:
        image: shape (rows, columns). inside: weights in [0, 1], the share of each pixel that counts as object.

    Returns:
        float64, shape (rows, columns); 0 where one side has no weight. Spreads are at least a tenth of the image's.

    Example:
        >>> ratio = appearance(np.array([[0.0, 0.1, 1.0, 0.9]]), np.array([[0.0, 0.0, 1.0, 1.0]]))
        >>> (ratio > 0).tolist()
        [[False, False, True, True]]
    """
    if min(inside.sum(), (1 - inside).sum()) < 1:
        return np.zeros(image.shape)
    logs = []
    for weight in (inside, 1 - inside):
        mean = np.average(image, weights=weight)
        spread = max(np.sqrt(np.average((image - mean) ** 2, weights=weight)), 0.1 * image.std(), 1e-6)
        logs.append(-0.5 * ((image - mean) / spread) ** 2 - np.log(spread))
    return np.asarray(logs[0] - logs[1])


def surface_evolution(refiners: Refiners) -> Segmenter:
    """[21]: a network's map as the prior of a surface that also follows the appearance within it."""

    def refine(probability: Floats, image: Plane, settings: Mapping[str, Any]) -> Labels:
        inside = 1 - probability[..., 0].astype(np.float64)
        costs = unary(np.stack([1 - inside, inside], axis=-1))
        force = costs[1] - costs[0] - settings["appearance"] * appearance(image, inside)
        slope = np.hypot(*np.gradient(image))
        smoothness = settings["smoothness"] / (1 + (slope / max(slope.mean(), 1e-6)) ** 2)
        return named(np.asarray(refiners.max_flow(force, smoothness), dtype=bool), probability)

    return map_system(
        "surface_evolution",
        refiners,
        "unet",
        refine,
        shape=UNET,
        parameters={"appearance": (0.3, 0.0, 1.0), "smoothness": (1.0, 0.3, 3.0)},
        summary="a network's map as prior of a globally optimal surface that follows edges and appearance",
        phantom="liver",
        survey="[21]",
        source="P. Hu et al., 2016 [unchecked]. Two dimensions, one convex problem instead of an evolution in time, "
        "one normal distribution a side for the appearance, adapted from the network's map.",
    )
