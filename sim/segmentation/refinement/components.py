"""Which connected components are objects: a count and size rule, and a random forest on what each looks like."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage import measure
from sklearn.ensemble import RandomForestClassifier

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Reject = Callable[[Mask, Floats, Floats], Mask]


def largest_components(mask: ArrayLike, most: int, smallest: float = 0.0) -> Mask:
    """The `most` largest 4-connected components with at least `smallest` pixels.

    Example:
        >>> largest_components([[1, 1, 0, 1, 0, 1]], most=1).astype(int).tolist()
        [[1, 1, 0, 0, 0, 0]]
    """
    parts = measure.label(np.asarray(mask, dtype=bool), connectivity=1)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")[:most]
    return np.isin(parts, [part for part in order if sizes[part] >= max(smallest, 1)])


def object_features(mask: ArrayLike, probability: ArrayLike, image: ArrayLike) -> tuple[NDArray[np.int32], Floats]:
    """Components of a mask and what a rejector sees of each.

    Args:
        mask, probability, image: shape (rows, columns).

    Returns:
        parts: int32, shape (rows, columns), 0 for background.
        features: float64, shape (components, 10): area, eccentricity, solidity, extent; mean, largest and spread of the
        probability; mean and spread of the grey value, and its mean over that of a ring of 2 pixels around.
    """
    parts = measure.label(np.asarray(mask, dtype=bool), connectivity=1)
    chance, grey = np.asarray(probability, dtype=np.float64), np.asarray(image, dtype=np.float64)
    rows = []
    for part in measure.regionprops(parts):
        own = parts == part.label
        ring = ndimage.binary_dilation(own, iterations=2) & (parts == 0)
        inside, around = grey[own], grey[ring] if ring.any() else grey
        rows.append([
            part.area, part.eccentricity, part.solidity, part.extent,
            chance[own].mean(), chance[own].max(), chance[own].std(),
            inside.mean(), inside.std(), inside.mean() - around.mean(),
        ])  # fmt: skip
    return parts.astype(np.int32), np.array(rows, dtype=np.float64).reshape(-1, 10)


def fit_rejector(
    masks: Sequence[ArrayLike],
    probabilities: Sequence[ArrayLike],
    images: Sequence[ArrayLike],
    truths: Sequence[ArrayLike],
    seed: int = 0,
    trees: int = 50,
) -> Reject:
    """Learn which components are objects: those of which half or more is true.

    Args:
        masks, probabilities, images, truths: one an image, shape (rows, columns); truths are masks.

    Returns:
        (mask, probability, image) -> mask without what the forest takes for false. Where all components seen were of
        one kind there is nothing to learn, and every mask stays as it is.

    Source: Chlebus et al., "Deep learning based automatic liver tumor segmentation in CT with shape-based
    post-processing", 2018 [unchecked]; two-dimensional components and ten features.
    """
    features, good = [], []
    for mask, probability, image, truth in zip(masks, probabilities, images, truths, strict=True):
        parts, rows = object_features(mask, probability, image)
        share = [np.asarray(truth, dtype=bool)[parts == part + 1].mean() for part in range(len(rows))]
        features.append(rows)
        good.append(np.array(share) >= 0.5)
    kinds = np.concatenate(good) if good else np.zeros(0, dtype=bool)
    if len(np.unique(kinds)) < 2:
        return lambda mask, probability, image: np.array(mask, dtype=bool)
    forest = RandomForestClassifier(trees, min_samples_leaf=2, random_state=seed)
    forest.fit(np.concatenate(features), kinds)

    def reject(mask: Mask, probability: Floats, image: Floats) -> Mask:
        parts, rows = object_features(mask, probability, image)
        if not len(rows):
            return np.zeros(parts.shape, dtype=bool)
        kept = 1 + np.flatnonzero(forest.predict(rows))
        return np.isin(parts, kept)

    return reject
