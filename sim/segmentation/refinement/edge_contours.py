"""Contours that take their evidence from one given edge map, so that start and edge map can be changed apart.

A stopping map g is 1 where the image is flat and near 0 on its edges; 1 - g is how much a pixel looks like an edge.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage import draw, measure, segmentation

from sim.segmentation.refinement.closed_contour import closed_contour
from sim.segmentation.refinement.max_flow import max_flow

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
POINTS = 80  # of a snake


def stopping_map(image: ArrayLike, blur: float = 1.5, scale: float = 2.5) -> Floats:
    """g = 1 / (1 + (|grad G * I| / (scale * median))^2), the median that of the image's own slopes.

    Args:
        image: float, shape (rows, columns).
        blur: standard deviation of G in pixels.
        scale: slopes of so many medians give 1/2.
    """
    slope = ndimage.gaussian_gradient_magnitude(np.asarray(image, dtype=np.float64), blur)
    return np.asarray(1 / (1 + (slope / max(scale * float(np.median(slope)), 1e-12)) ** 2))


def polar_contour(stopping: ArrayLike, start: ArrayLike, smallest: float = 4.0, step: int = 1) -> Mask:
    """The closed contour with the most edge among all that are star-shaped about the start's centre.

    Nothing of the start but its centre is used: radii reach from `smallest` to the image's nearest side. The map's
    mean is taken off, so that a long contour is no better than a short one by its length alone.

    Args:
        stopping: shape (rows, columns). start: mask with a pixel or more.
        smallest: radius in pixels. step: half pixels by which the radius may change from ray to ray.
    """
    edge = 1 - np.asarray(stopping, dtype=np.float64)
    row, column = ndimage.center_of_mass(np.asarray(start, dtype=bool))
    reach = min(row, column, edge.shape[0] - 1 - row, edge.shape[1] - 1 - column)
    return closed_contour(edge, (row, column), min(smallest, reach / 2), reach, step=step)


def convex_contour(stopping: ArrayLike, atlas: ArrayLike, start: ArrayLike, weight: float = 0.1) -> Mask:
    """The globally least geodesic contour under a fixed atlas: max-flow of weight * log odds within g.

        min over u in [0, 1] of  sum g |grad u| - weight * sum u log(a / (1 - a))

    Args:
        stopping: g, shape (rows, columns). atlas: share a of training masks that hold each pixel.
        start: mask where the iteration begins; it cannot change what is found.
        weight: of the atlas, > 0.
    """
    share = np.clip(np.asarray(atlas, dtype=np.float64), 0.01, 0.99)
    odds = np.log(share / (1 - share))
    begun = np.asarray(start, dtype=np.float64)
    return max_flow(-weight * odds, stopping, begun, tolerance=1e-5, steps=2000).shares > 0.5


def geodesic_contour(
    stopping: ArrayLike, start: ArrayLike, balloon: float = 0.0, smoothing: int = 1, steps: int = 60
) -> Mask:
    """Morphological geodesic active contour on a stopping map, by scikit-image.

    Args:
        balloon: -1 shrinks, 1 grows, 0 only relaxes. smoothing: a step. steps: pixels that the border can travel.
    """
    begun = np.asarray(start, dtype=np.int8)
    found = segmentation.morphological_geodesic_active_contour(
        np.asarray(stopping, dtype=np.float64), steps, init_level_set=begun, smoothing=smoothing, balloon=balloon
    )
    return np.asarray(found, dtype=bool)


def snake_contour(
    stopping: ArrayLike, start: ArrayLike, tension: float = 0.01, stiffness: float = 0.1, pull: float = 2.0
) -> Mask:
    """A snake on 1 - g, by scikit-image; a start of fewer than 9 pixels stays as it is.

    Args:
        tension, stiffness: weights of the contour's length and bending. pull: of the edge map.
    """
    edge, mask = 1 - np.asarray(stopping, dtype=np.float64), np.asarray(start, dtype=bool)
    outlines = measure.find_contours(np.pad(mask, 1).astype(float), 0.5)
    if mask.sum() < 9 or not outlines:
        return mask.copy()
    outline = max(outlines, key=len)[:-1] - 1.0
    points = outline[np.linspace(0, len(outline), min(len(outline), POINTS), endpoint=False).astype(int)]
    moved = segmentation.active_contour(
        edge, points, alpha=tension, beta=stiffness, w_line=pull, w_edge=0.0, gamma=0.1, max_px_move=0.2,
        max_num_iter=400, convergence=0.01,
    )  # fmt: skip
    return np.asarray(draw.polygon2mask(mask.shape, moved))
