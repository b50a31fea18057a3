"""From examples to probabilities a pixel: what every system with a pixelwise network shares.

Grey values are standardised by the training images. Sides that pooling cannot halve are filled up by mirroring images
and answers alike, and cut again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.networks.registry import POOLED, NetworkSettings
from sim.segmentation.deep.training import Plan, committee_probabilities, train_networks
from sim.segmentation.protocol import Examples, Images
from sim.training import TrainSettings

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Probabilities: TypeAlias = Callable[[Images], Floats]  # (images, rows, columns) -> (images, rows, columns, classes)

TRAINING: dict[str, Sequence[Any]] = {
    "learning_rate": (3e-3, 1e-3, 1e-2),
    "steps": (1000, 4000),
    "batch_size": (2, 8),
    "members": (1, 4),
    "augment": (True, False),
}


def fit_scaling(images: Images) -> Callable[[Images], Images]:
    """Standardise by the mean and the standard deviation of these images; flat ones are only centred.

    Example:
        >>> fit_scaling(np.array([[[0.0, 2.0]]]))(np.array([[[4.0]]])).item()
        3.0
    """
    mean, deviation = images.mean(), images.std()
    scale = deviation if deviation > 0 else 1.0
    return lambda others: np.asarray((others - mean) / scale, dtype=np.float32)


def fill_up(maps: NDArray[Any], factor: int) -> NDArray[Any]:
    """Mirror maps at their far edges up to sides that divide by `factor`: (images, rows, columns).

    Example:
        >>> fill_up(np.array([[[1, 2, 3]]]), 2).tolist()
        [[[1, 2, 3, 3], [1, 2, 3, 3]]]
    """
    return np.pad(maps, [(0, 0), *((0, -side % factor) for side in maps.shape[1:])], mode="symmetric")


def balanced_weights(answers: ArrayLike, classes: int) -> NDArray[np.float64]:
    """Weights under which every class that occurs counts the same, of mean 1 over all pixels.

    Example:
        >>> balanced_weights([0, 0, 0, 1], 3).round(3).tolist()
        [0.667, 2.0, 0.0]
    """
    share = np.bincount(np.ravel(answers), minlength=classes) / np.size(answers)
    return np.divide(1, share * np.count_nonzero(share), out=np.zeros(classes), where=share > 0)


def fit_pixels(
    network: str,
    examples: Examples,
    parameters: Mapping[str, Any],
    seed: int,
    balanced: bool = False,
    **shape: Any,
) -> Probabilities:
    """Train a committee of pixelwise networks on label maps.

    Args:
        network: a pixelwise network of `NETWORKS`.
        examples: checked, of task segment.
        parameters: those of `TRAINING`.
        seed: of the first member; the others follow.
        balanced: whether rare labels count as much as frequent ones.
        shape: fields of `NetworkSettings`.

    Returns:
        images -> the committee's mean probabilities; images may be of another size than the examples.
    """
    scale, labels = fit_scaling(examples.images), examples.num_labels
    factor = 2 ** shape.get("levels", NetworkSettings.levels) if network in POOLED else 1
    images, answers = fill_up(scale(examples.images), factor), fill_up(examples.answers, factor)
    rows, columns = images.shape[1:]
    settings = NetworkSettings(network, "shared", (rows, columns), rows * columns, labels, **shape)
    turns = "turns" if rows == columns else "mirrors"
    trained = train_networks(
        Plan(
            settings,
            TrainSettings(batch_size=parameters["batch_size"], min_steps=400),
            turns if parameters["augment"] else "none",
        ),
        images,
        answers,
        seeds=[seed * 1000 + member for member in range(parameters["members"])],
        learning_rates=parameters["learning_rate"],
        steps=parameters["steps"],
        class_weights=balanced_weights(answers, labels) if balanced else None,
    )

    def answer(others: Images) -> Floats:
        filled = fill_up(scale(others), factor)
        found = committee_probabilities(trained, filled).reshape(*filled.shape, labels)
        return found[:, : others.shape[1], : others.shape[2]]

    return answer


def average_over_turns(answer: Probabilities) -> Probabilities:
    """The mean of the answers for an image's eight mirrored and turned copies, each turned back."""

    def averaged(images: Images) -> Floats:
        total = np.zeros(1, np.float32)
        for number in range(8):
            seen = images.swapaxes(1, 2) if number >= 4 else images
            found = np.rot90(answer(np.ascontiguousarray(np.rot90(seen, number, (1, 2)))), -number, (1, 2))
            total = total + (found.swapaxes(1, 2) if number >= 4 else found)
        return np.asarray(total / 8, dtype=np.float32)

    return averaged


def most_probable(probabilities: Floats) -> Labels:
    """The label of the largest probability along the last axis."""
    return np.asarray(probabilities.argmax(axis=-1), dtype=np.int32)
