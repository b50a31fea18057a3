"""Contours that start from a mask and end in another: snake, Chan-Vese, geodesic active contour, by scikit-image."""

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage import draw, measure, segmentation

from sim.segmentation.refinement.level_set import signed_distance

Mask = NDArray[np.bool_]
STEP = 0.1  # of a snake, in pixels


def _pair(image: ArrayLike, start: ArrayLike) -> tuple[NDArray[np.float64], Mask]:
    grey, mask = np.asarray(image, dtype=np.float64), np.asarray(start, dtype=bool)
    if grey.ndim != 2 or grey.shape != mask.shape:
        raise ValueError(f"image and start must have one shape (rows, columns), got {grey.shape} and {mask.shape}")
    return grey, mask


def edge_map(image: ArrayLike, blur: float = 1.0) -> NDArray[np.float64]:
    """1 where the image is flat, towards 0 on its edges: 1 / sqrt(1 + a |grad G * I|).

    The scale a is set by the image: 1/a is the tenth part of its median slope.
    """
    grey = np.asarray(image, dtype=np.float64)
    slope = float(np.median(ndimage.gaussian_gradient_magnitude(grey, blur)))
    return np.asarray(segmentation.inverse_gaussian_gradient(grey, alpha=10.0 / max(slope, 1e-12), sigma=blur))


def snake(image: ArrayLike, start: ArrayLike, tension: float = 0.01, stiffness: float = 0.1, blur: float = 1.5) -> Mask:
    """Move the outline of every component of a mask to nearby edges.

    Args:
        image: float, shape (rows, columns). start: mask of the same shape.
        tension, stiffness: weights of the contour's length and bending.
        blur: of the image before its edges are taken, in pixels; it is how far an edge is felt.

    Returns:
        mask; components of fewer than 9 pixels stay as they are.

    Raises:
        ValueError: shapes differ.

    Source: Kass, Witkin, Terzopoulos, "Snakes: active contour models", International Journal of Computer Vision 1, 1988
    [unchecked].
    """
    grey, mask = _pair(image, start)
    smooth = ndimage.gaussian_filter(grey, blur)
    spread = smooth.std()
    smooth = smooth / (spread if spread > 0 else 1.0)
    result = np.zeros_like(mask)
    parts = measure.label(mask)
    for part in measure.regionprops(parts):
        own = ndimage.binary_fill_holes(parts == part.label)
        outlines = measure.find_contours(np.pad(own, 1).astype(float), 0.5)
        if part.area < 9 or not outlines:
            result |= own
            continue
        outline = max(outlines, key=len)[:-1] - 1.0
        points = outline[np.linspace(0, len(outline), min(len(outline), 80), endpoint=False).astype(int)]
        # Small steps: with scikit-image's default of one pixel the outline of a noiseless disc settles a pixel inside.
        moved = segmentation.active_contour(
            smooth, points, alpha=tension, beta=stiffness, w_edge=2.0, gamma=0.1, max_px_move=STEP,
            max_num_iter=300, convergence=0.01,
        )  # fmt: skip
        result |= draw.polygon2mask(mask.shape, moved)
    return result


def chan_vese(image: ArrayLike, start: ArrayLike, length: float = 0.1) -> Mask:
    """Two regions of constant grey value with a short border; the region that the start covers more is the object.

    Args:
        image: float, shape (rows, columns). start: mask of the same shape.
        length: weight of the border's length, >= 0; the image is scaled to [0, 1].

    Raises:
        ValueError: shapes differ.

    Source: Chan, Vese, "Active contours without edges", IEEE Transactions on Image Processing 10, 2001 [unchecked].
    """
    grey, mask = _pair(image, start)
    if np.ptp(grey) == 0 or mask.all() or not mask.any():
        return mask.copy()
    level = np.clip(signed_distance(mask), -1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it divides by an empty region before it looks
        # With scikit-image's default step of .5 a level set was still far from its end after 100 steps.
        descended = segmentation.chan_vese(grey, mu=length, max_num_iter=200, dt=5.0, init_level_set=level)
    found = np.asarray(descended, dtype=bool)
    inside, outside = (found & mask).sum() / mask.sum(), (found & ~mask).sum() / (~mask).sum()
    return found if inside >= outside else ~found


def geodesic_active_contour(
    image: ArrayLike, start: ArrayLike, balloon: float = 0.0, smoothing: int = 1, blur: float = 1.0, steps: int = 60
) -> Mask:
    """Shrink (balloon -1), grow (+1) or only relax (0) a mask until its border lies on edges.

    Args:
        image: float, shape (rows, columns). start: mask of the same shape.
        smoothing: morphological smoothings a step. blur: in pixels, before edges are taken.
        steps: pixels that the border can travel.

    Raises:
        ValueError: shapes differ.

    Source: Caselles, Kimmel, Sapiro, "Geodesic active contours", International Journal of Computer Vision 22, 1997
    [unchecked], in the morphological form of Marquez-Neila, Baumela, Alvarez, 2014 [unchecked].
    """
    grey, mask = _pair(image, start)
    if mask.all() or not mask.any() or np.ptp(grey) == 0:
        return mask.copy()
    found = segmentation.morphological_geodesic_active_contour(
        edge_map(grey, blur), steps, init_level_set=mask.astype(np.int8), smoothing=smoothing, balloon=balloon
    )
    return np.asarray(found, dtype=bool)
