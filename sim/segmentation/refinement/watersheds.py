"""Touching objects parted by a watershed from markers."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage import feature, measure, segmentation


def find_markers(foreground: ArrayLike, distance: int = 5) -> NDArray[np.int32]:
    """One marker at each peak of the distance to the background, peaks at least `distance` pixels apart.

    Returns:
        int32, shape (rows, columns), markers numbered from 1.
    """
    mask = np.asarray(foreground, dtype=bool)
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1], 1.0)
    peaks = feature.peak_local_max(depth, min_distance=distance, labels=measure.label(mask), exclude_border=False)
    markers = np.zeros(mask.shape, dtype=np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return markers


def part_touching(
    foreground: ArrayLike, markers: ArrayLike | None = None, height: ArrayLike | None = None, distance: int = 5
) -> NDArray[np.int32]:
    """Numbers for the objects of a mask: 0 outside, every pixel inside with the marker whose basin it is in.

    Args:
        foreground: mask, shape (rows, columns).
        markers: int, 0 where there is none; peaks of the distance to the background by default. A component without a
            marker is an object of its own.
        height: float, what the water rises over, such as a border's probability; minus the distance by default.
        distance: least distance of two of the default's markers, in pixels.

    Raises:
        ValueError: shapes differ.

    Example:
        >>> part_touching([[1, 1, 1, 1, 0, 1]], markers=[[1, 0, 0, 2, 0, 0]], height=np.zeros((1, 6))).tolist()
        [[1, 1, 2, 2, 0, 3]]

    Source: Beucher, Meyer, "The morphological approach to segmentation: the watershed transformation", 1993
    [unchecked].
    """
    mask = np.asarray(foreground, dtype=bool)
    seeds = find_markers(mask, distance) if markers is None else np.array(markers, dtype=np.int32)
    level = -ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] if height is None else np.asarray(height)
    if mask.ndim != 2 or not mask.shape == seeds.shape == level.shape:
        raise ValueError(f"foreground, markers and height must share (rows, columns), got {mask.shape}, {seeds.shape}")
    seeds = np.where(mask, seeds, 0)
    parts = measure.label(mask, connectivity=1)
    unseeded = ~np.isin(parts, parts[seeds > 0]) & mask
    seeds[unseeded] = seeds.max() + parts[unseeded]
    found = segmentation.watershed(level, seeds, mask=mask)
    return np.asarray(segmentation.relabel_sequential(found)[0], dtype=np.int32)
