"""From unnamed things to labels: clusters named by training images, components kept as training images have them."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from sim.segmentation.protocol import Examples, Images
from sim.segmentation.refinement.components import largest_components

Labels = NDArray[np.int32]
NAMING = 16  # images, the first ones, that name clusters: a naming has few choices


def name_clusters(counts: NDArray[np.int64]) -> Labels:
    """The label of each cluster that gives the largest mean Dice of the labels above 0; all namings are tried.

    Args:
        counts: pixels of each cluster (row) with each true label (column).

    Returns:
        int32, shape (clusters,).

    Example:
        >>> name_clusters(np.array([[90, 1], [5, 0], [2, 8]])).tolist()
        [0, 0, 1]
    """
    clusters, labels = counts.shape
    names = np.array(list(itertools.product(range(labels), repeat=clusters)))
    dice = np.zeros(len(names))
    for label in range(1, labels):
        chosen = names == label
        both = chosen @ counts[:, label]
        either = chosen @ counts.sum(axis=1) + counts[:, label].sum()
        dice += np.where(either > 0, 2 * both / np.maximum(either, 1), 1.0)
    return names[dice.argmax()].astype(np.int32)


def fit_names(cluster: Callable[[Images], Labels], examples: Examples, clusters: int) -> Labels:
    """Names for the clusters that a function finds, in the order in which it numbers them."""
    found = cluster(examples.images[:NAMING]).ravel().astype(np.int64)
    answers = np.asarray(examples.answers)[:NAMING].ravel()
    joint = np.bincount(found * examples.num_labels + answers, minlength=clusters * examples.num_labels)
    return name_clusters(joint.reshape(clusters, examples.num_labels))


class Regularity(NamedTuple):
    """How many components a label has, and how large they are.

    Attributes:
        most: int, shape (L,): components of each label in an image, at most.
        smallest: float, shape (L,): half the size of the smallest one, in pixels, leaving out the smallest 5%.
        usual: float, shape (L,): median size, in pixels; NaN for a label that was never seen.
        always: bool, shape (L,): whether every image shows the label.
    """

    most: NDArray[np.int64]
    smallest: NDArray[np.float64]
    usual: NDArray[np.float64]
    always: NDArray[np.bool_]


def fit_regularity(examples: Examples) -> Regularity:
    """Count the components of each label in the training answers."""
    most, smallest, usual, always = [], [], [], []
    for label in range(examples.num_labels):
        each = [np.bincount(measure.label(answer == label, connectivity=1).ravel())[1:] for answer in examples.answers]
        sizes = np.concatenate(each)
        most.append(max(len(one) for one in each))
        smallest.append(np.quantile(sizes, 0.05) / 2 if len(sizes) else 0.0)
        usual.append(np.median(sizes) if len(sizes) else np.nan)
        always.append(all(len(one) for one in each))
    return Regularity(np.array(most), np.array(smallest), np.array(usual), np.array(always))


def tidy(labels: Labels, regularity: Regularity) -> Labels:
    """Keep as many components of each label above 0 as were seen; what goes takes the nearest label that stays.

    Example:
        >>> seen = Regularity(np.array([1, 1]), np.zeros(2), np.ones(2), np.ones(2, bool))
        >>> tidy(np.array([[0, 1, 1, 0, 1]], np.int32), seen).tolist()
        [[0, 1, 1, 0, 0]]
    """
    gone = np.zeros(labels.shape, dtype=bool)
    for label in range(1, len(regularity.most)):
        own = labels == label
        gone |= own & ~largest_components(own, int(regularity.most[label]), float(regularity.smallest[label]))
    if not gone.any():
        return labels.copy()
    if gone.all():
        return np.zeros_like(labels)
    nearest = ndimage.distance_transform_edt(gone, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(nearest)], dtype=np.int32)
