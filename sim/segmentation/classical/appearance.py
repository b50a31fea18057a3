"""What the labels look like and where they lie: histograms of grey values and a mean label map, from training images.

The systems that move a contour start from these scores; none is told how the images were made.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import logsumexp
from skimage import transform

from sim.segmentation.classical.naming import Regularity, fit_regularity, tidy
from sim.segmentation.protocol import Examples, Images

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Labels: TypeAlias = NDArray[np.int32]
Scores: TypeAlias = Callable[[Images], Floats]
Move: TypeAlias = Callable[[Floats, Floats, Mask, int], Mask]
BINS = 48
SPREAD = 12  # the mean label map is blurred over this part of the image's side


def blurred(images: Images, deviation: float) -> Floats:
    """Each image convolved with a Gaussian of so many pixels."""
    return np.asarray(ndimage.gaussian_filter(np.asarray(images, np.float64), (0, deviation, deviation)))


def fit_histograms(examples: Examples, blur: float) -> Scores:
    """Learn log p(grey value | label) by histograms of the blurred images.

    Returns:
        images -> float64, shape (images, L, rows, columns).
    """
    grey = blurred(examples.images, blur)
    low, high = np.quantile(grey, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    tables = []
    for label in range(examples.num_labels):
        own = np.clip(grey[np.asarray(examples.answers) == label], edges[0], edges[-1])
        counts = ndimage.gaussian_filter1d(np.histogram(own, edges)[0].astype(float), 1.5, mode="constant") + 0.5
        tables.append(np.log(counts / counts.sum()))

    def scores(images: Images) -> Floats:
        values = blurred(images, blur)
        return np.stack([np.interp(values, middle, table) for table in tables], axis=1)

    return scores


def fit_atlas(examples: Examples) -> Callable[[tuple[int, int]], Floats]:
    """Learn where labels lie: the mean label map, blurred, mixed with the labels' shares as if from two images more.

    Returns:
        (rows, columns) -> log probabilities, float64, shape (L, rows, columns).
    """
    answers = np.asarray(examples.answers)
    maps = np.stack([(answers == label).mean(axis=0) for label in range(examples.num_labels)])
    width = max(answers.shape[1:]) / SPREAD
    smooth = ndimage.gaussian_filter(maps, (0, width, width), mode="nearest")
    shares = maps.mean(axis=(1, 2), keepdims=True)
    chance = np.maximum((len(answers) * smooth + 2 * shares) / (len(answers) + 2), 1e-4)

    def log_chance(shape: tuple[int, int]) -> Floats:
        fitted = chance if chance.shape[1:] == shape else transform.resize(chance, (len(chance), *shape))
        return np.asarray(np.log(fitted / fitted.sum(axis=0)))

    return log_chance


def fit_scores(examples: Examples, blur: float, atlas: bool) -> Scores:
    """Histograms with the atlas's log probabilities, or with the logs of the labels' shares.

    Args:
        blur: of the images, in pixels. atlas: whether a label's place counts.

    Returns:
        images -> log p(grey value | label) + log p(label), float64, shape (images, L, rows, columns).
    """
    likelihood, place = fit_histograms(examples, blur), fit_atlas(examples)
    counts = np.bincount(np.asarray(examples.answers).ravel(), minlength=examples.num_labels)
    shares = np.log(np.maximum(counts / counts.sum(), 1e-4)).reshape(-1, 1, 1)

    def scores(images: Images) -> Floats:
        return likelihood(images) + (place((images.shape[1], images.shape[2])) if atlas else shares)

    return scores


def log_ratio(scores: Floats, label: int) -> Floats:
    """Score of one label over that of all others: (L, rows, columns) -> (rows, columns)."""
    others = np.delete(scores, label, axis=0)
    return np.asarray(scores[label] - logsumexp(others, axis=0))


def _disc(ratio: Floats, size: float) -> Mask:
    """A disc of so many pixels at the most likely place."""
    radius = np.sqrt(size / np.pi)
    smooth = ndimage.gaussian_filter(ratio, radius / 2)
    down, right = np.unravel_index(smooth.argmax(), smooth.shape)
    rows, columns = np.indices(ratio.shape)
    return np.asarray(np.hypot(rows - down, columns - right) <= radius)


def start_mask(labels: Labels, ratio: Floats, label: int, regularity: Regularity) -> Mask:
    """Where a label starts: its pixels; if it has none but always should, a disc of its usual size."""
    own = labels == label
    if not own.any() and regularity.always[label]:
        return _disc(ratio, float(regularity.usual[label]))
    return np.asarray(own)


def label_by_label(scores: Scores, move: Move, examples: Examples) -> Callable[[Images], Labels]:
    """Answers by a method that moves one mask at a time.

    Every label starts from the pixels where it scores best, tidied as the training answers are. Where several masks
    claim a pixel the best score has it; where none does, it is background.

    Args:
        scores: images -> (images, L, rows, columns).
        move: (image, log ratio, start, label) -> mask.
    """
    regularity = fit_regularity(examples)

    def predict(images: Images) -> Labels:
        answers = np.zeros(images.shape, dtype=np.int32)
        for index, each in enumerate(scores(images)):
            first = tidy(each.argmax(axis=0).astype(np.int32), regularity)
            claims = np.full(each.shape, -np.inf)
            for label in range(1, len(each)):
                ratio = log_ratio(each, label)
                start = start_mask(first, ratio, label, regularity)
                if start.any():
                    found = move(np.asarray(images[index], np.float64), ratio, start, label)
                    claims[label] = np.where(found, each[label], -np.inf)
            claimed = np.isfinite(claims[1:]).any(axis=0)
            answers[index] = tidy(np.where(claimed, claims.argmax(axis=0), 0).astype(np.int32), regularity)
        return answers

    return predict
