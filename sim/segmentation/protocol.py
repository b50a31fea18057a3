"""What every system is to the rest: one way to be fitted, one way to answer, one line on what it is.

A system is a `Segmenter`: a NamedTuple of facts and one pure function. Fitting sees training examples and parameters
and returns a function from images to answers. It may use nothing else: no constant of the images' generator.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

TASKS = {
    "classify": "one class an image: int, shape (images,)",
    "detect": "points in each image: a list of float arrays, shape (points, 2), as (row, column) in pixels",
    "segment": "one label a pixel: int, shape (images, rows, columns), 0 for background",
}
Images: TypeAlias = NDArray[np.float32]  # shape (images, rows, columns)
Answers: TypeAlias = Any  # as TASKS says
Predict: TypeAlias = Callable[[Images], Answers]


class Examples(NamedTuple):
    """Images with their true answers.

    Attributes:
        images: float32, shape (images, rows, columns).
        answers: as `TASKS` says for the system's task.
        num_labels: L, background included; classes for task classify, 2 for detection.
    """

    images: Images
    answers: Answers
    num_labels: int


class Segmenter(NamedTuple):
    """A system by name.

    Attributes:
        name: the registry key.
        summary: one line on what it is.
        task: a key of `TASKS`.
        phantom: the phantom of its own row.
        survey: the survey's reference, such as "[23]"; "" for what the survey does not name.
        source: the publication that it follows, with what was simplified.
        parameters: what may be tuned, name -> candidate values, the default first.
        fit: (examples, parameters, seed) -> predict. Systems that learn nothing look at the parameters alone.
        deep: whether a network is part of it.
    """

    name: str
    summary: str
    task: str
    phantom: str
    survey: str
    source: str
    parameters: Mapping[str, Sequence[Any]]
    fit: Callable[[Examples, Mapping[str, Any], int], Predict]
    deep: bool = False


def default_parameters(segmenter: Segmenter) -> dict[str, Any]:
    """The first candidate of each parameter."""
    return {name: values[0] for name, values in segmenter.parameters.items()}


def check_images(images: ArrayLike) -> Images:
    """Images as float32 of shape (images, rows, columns).

    Raises:
        ValueError: another shape, no pixel, or a value that is not finite.

    Example:
        >>> check_images([[0, 1], [1, 0]])
        Traceback (most recent call last):
        ValueError: images must have shape (images, rows, columns) with a pixel or more, got (2, 2)
    """
    array = np.asarray(images, dtype=np.float32)
    if array.ndim != 3 or array.size == 0:
        raise ValueError(f"images must have shape (images, rows, columns) with a pixel or more, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"images must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def check_examples(examples: Examples, task: str) -> Examples:
    """Examples with checked images and answers.

    Raises:
        ValueError: images break their rule, or answers do not fit the task and the images.
    """
    images, answers, labels = check_images(examples.images), examples.answers, examples.num_labels
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    if len(answers) != len(images):
        raise ValueError(f"answers must be one an image, got {len(answers)} for {len(images)} images")
    if task == "detect":
        points = [np.asarray(found, dtype=np.float64).reshape(-1, 2) for found in answers]
        return Examples(images, points, labels)
    expected = images.shape if task == "segment" else images.shape[:1]
    maps = np.asarray(answers)
    if maps.shape != expected:
        raise ValueError(f"answers must have shape {expected}, got {maps.shape}")
    if maps.min() < 0 or maps.max() >= labels or not np.array_equal(maps, maps.astype(int)):
        raise ValueError(f"answers must be whole numbers in 0..{labels - 1}, got {maps.min()}..{maps.max()}")
    return Examples(images, maps.astype(np.int32), labels)


def run(segmenter: Segmenter, examples: Examples, images: ArrayLike, seed: int = 0, **parameters: Any) -> Answers:
    """Fit a system and answer for images.

    Args:
        segmenter: the system.
        examples: what it may learn from.
        images: float, shape (images, rows, columns).
        seed: of whatever the system draws.
        parameters: replace defaults by name.

    Raises:
        ValueError: examples, images or a parameter's name break their rules.
    """
    unknown = set(parameters) - set(segmenter.parameters)
    if unknown:
        known = ", ".join(segmenter.parameters) or "none"
        raise ValueError(f"parameters of {segmenter.name} must be among {known}, got {', '.join(sorted(unknown))}")
    settings = default_parameters(segmenter) | parameters
    asked = check_images(images)
    return segmenter.fit(check_examples(examples, segmenter.task), settings, seed)(asked)
