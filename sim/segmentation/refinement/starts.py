"""Starts of contours with a known error: the true object displaced, too small or too large by a share of its radius."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from sim.segmentation.refinement.level_set import signed_distance

KINDS = ("displaced", "small", "large")
Mask = NDArray[np.bool_]


def wrong_start(truth: ArrayLike, kind: str, error: float, direction: float = 0.0) -> Mask:
    """A start that is wrong by `error` times the radius R = sqrt(area / pi).

    Args:
        truth: mask of one object, shape (rows, columns).
        kind: a key of `KINDS`: moved by error R, or every distance from the centre times 1 - error or 1 + error.
        error: share of the radius, in [0, 1); 0 gives the truth itself.
        direction: of the displacement: angle from the rightward axis towards the downward one, in radians.

    Raises:
        ValueError: an unknown kind, an error outside its range, or an empty mask.

    Example:
        >>> import numpy as np
        >>> row = np.array([[0, 0, 1, 1, 1, 1, 0, 0, 0]], bool)
        >>> wrong_start(row, "displaced", 0.9).astype(int).tolist()
        [[0, 0, 0, 1, 1, 1, 1, 0, 0]]
    """
    mask = np.asarray(truth, dtype=bool)
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if not 0 <= error < 1:
        raise ValueError(f"error must be in [0, 1), got {error}")
    if mask.ndim != 2 or not mask.any():
        raise ValueError(
            f"truth must be a mask of one object in the plane, got shape {mask.shape}, {mask.sum()} pixels"
        )
    if error == 0:
        return mask.copy()
    scale = {"displaced": 1.0, "small": 1 - error, "large": 1 + error}[kind]
    shift = error * np.sqrt(mask.sum() / np.pi) if kind == "displaced" else 0.0
    centre = np.reshape(ndimage.center_of_mass(mask), (2, 1, 1))
    moved = centre + shift * np.reshape([np.sin(direction), np.cos(direction)], (2, 1, 1))
    came_from = centre + (np.indices(mask.shape) - moved) / scale
    return np.asarray(ndimage.map_coordinates(signed_distance(mask), came_from, order=1, mode="nearest") > 0)


def main_part(found: ArrayLike, start: ArrayLike) -> Mask:
    """Of a mask's components (4 neighbours) the one that shares most pixels with the start, its holes filled.

    Example:
        >>> main_part([[1, 0, 1, 1]], [[1, 0, 0, 0]]).astype(int).tolist()
        [[1, 0, 0, 0]]
    """
    mask, begun = np.asarray(found, dtype=bool), np.asarray(start, dtype=bool)
    parts, number = ndimage.label(mask)
    shared = np.bincount(parts[begun & mask], minlength=number + 1)
    shared[0] = 0
    if not shared.any():
        return np.zeros_like(mask)
    return np.asarray(ndimage.binary_fill_holes(parts == shared.argmax()))
