"""What a system has to beat: random labels, the best answer that is the same for every image; and a human's outline."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sim.segmentation.protocol import Answers, Examples, Images, Predict

Score = Callable[[Answers, Examples], float]  # answers for the examples' images -> the primary metric
LEVELS = tuple(np.linspace(0.05, 0.95, 19))
GRIDS = (1, 2, 3, 4, 6)  # points along a side of a constant detection
SMOOTH = 2.0  # pixels by which a mean label map is blurred


def fit_chance(examples: Examples, task: str, seed: int) -> Predict:
    """Random answers at the training answers' rates: labels a pixel, classes, or uniform points."""
    rng = np.random.default_rng(seed)
    if task == "detect":
        numbers = [len(points) for points in examples.answers]

        def scatter(images: Images) -> Answers:
            sides = np.array(images.shape[1:])
            return [rng.uniform(0, sides, (rng.choice(numbers), 2)) for _ in images]

        return scatter
    counts = np.bincount(np.ravel(examples.answers), minlength=examples.num_labels)
    shares = counts / counts.sum()

    def draw(images: Images) -> Answers:
        shape = images.shape if task == "segment" else images.shape[:1]
        return rng.choice(len(shares), shape, p=shares).astype(np.int32)

    return draw


def constant_answers(examples: Examples, task: str) -> Sequence[NDArray[Any]]:
    """Candidates for an answer that is the same for every image.

    Label maps are level sets of the blurred mean maps of "label l or more", at one level for all labels, and each label
    everywhere; points are the middles of square grids.
    """
    if task == "classify":
        return [np.int32(label) * np.ones((), np.int32) for label in range(examples.num_labels)]
    rows, columns = examples.images.shape[1:]
    if task == "detect":
        lines = [(np.arange(side) + 0.5) / side for side in GRIDS]
        return [
            np.stack(np.meshgrid(line * rows, line * columns, indexing="ij"), axis=-1).reshape(-1, 2) for line in lines
        ]
    answers = np.asarray(examples.answers)
    maps = [answers > 0, *(answers == label for label in range(1, examples.num_labels - 1))]  # each inside the last
    smooth = [ndimage.gaussian_filter(each.mean(axis=0), SMOOTH, mode="nearest") for each in maps]
    candidates = [np.full((rows, columns), label, np.int32) for label in range(examples.num_labels)]
    for level in LEVELS:
        constant = np.where(smooth[0] > level, examples.num_labels - 1, 0)
        for label in range(examples.num_labels - 2, 0, -1):
            constant = np.where((smooth[label] > level) & (constant > 0), label, constant)
        candidates.append(constant.astype(np.int32))
    return candidates


def fit_constant(examples: Examples, task: str, score: Score) -> Predict:
    """The candidate that scores best on the training images."""
    candidates = constant_answers(examples, task)
    values = [score([candidate] * len(examples.images), examples) for candidate in candidates]
    best = candidates[int(np.argmax(values))]
    return lambda images: [best] * len(images)
