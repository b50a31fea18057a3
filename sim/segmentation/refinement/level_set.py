"""Level sets: descent under a given force, and region-scalable fitting (the local binary fit) on an image.

phi > 0 inside. With the smoothed delta d(phi) = e / (pi (e^2 + phi^2)), one step adds

    dt [ d(phi) (force + nu curvature(phi)) + mu (laplacian(phi) - curvature(phi)) ],

the last term of which keeps phi close to a distance function. Descent finds a local minimum: the start matters.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
WIDTH = 1.0  # e, in pixels
PENALTY = 1.0  # mu; with dt .1 the step is stable (mu dt < 1/4)
RATE = 0.1  # dt


def signed_distance(mask: ArrayLike) -> Floats:
    """Distance to the mask's border in pixels, positive inside; a mask without inside or outside gets no border.

    Example:
        >>> signed_distance(np.array([[0, 1, 1]], bool)).tolist()
        [[-0.5, 0.5, 1.5]]
    """
    inside = np.asarray(mask, dtype=bool)
    if inside.all() or not inside.any():
        return np.full(inside.shape, float(max(inside.shape)) * (1.0 if inside.all() else -1.0))
    inner, outer = ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside)
    return np.where(inside, inner - 0.5, 0.5 - outer)


def curvature(phi: Floats) -> Floats:
    """Divergence of the unit normal, div(grad phi / |grad phi|), by central differences."""
    down, right = np.gradient(np.pad(phi, 1, mode="edge"))
    size = np.sqrt(down**2 + right**2) + 1e-10
    return np.asarray((np.gradient(down / size, axis=0) + np.gradient(right / size, axis=1))[1:-1, 1:-1])


def descend(start: ArrayLike, force: Callable[[Floats], ArrayLike], length: float, steps: int) -> Floats:
    """Move a level set for so many steps.

    Args:
        start: mask, shape (rows, columns).
        force: phi -> what pulls outwards, shape (rows, columns).
        length: nu >= 0, the weight of the contour's length.

    Returns:
        phi, float64; its positive part is the object.

    Raises:
        ValueError: the length's weight is negative.
    """
    if length < 0:
        raise ValueError(f"length must be >= 0, got {length}")
    phi = np.where(np.asarray(start, dtype=bool), 2.0, -2.0)
    for _ in range(steps):
        bend = curvature(phi)
        delta = WIDTH / (np.pi * (WIDTH**2 + phi**2))
        smooth = ndimage.laplace(phi, mode="nearest") - bend
        phi = phi + RATE * (delta * (np.asarray(force(phi)) + length * bend) + PENALTY * smooth)
    return phi


def forced_level_set(force: ArrayLike, start: ArrayLike, length: float = 1.0, steps: int = 100) -> Mask:
    """The object that a level set reaches under a fixed force, such as a log ratio of object to background.

    The force is scaled to a standard deviation of 5, so that `length` and `steps` mean the same on every image.
    """
    field = np.asarray(force, dtype=np.float64)
    spread = field.std()
    scaled = 5 * field / (spread if spread > 0 else 1.0)
    return descend(start, lambda phi: scaled, length, steps) > 0


def region_scalable_fitting(
    image: ArrayLike, start: ArrayLike, scale: float = 3.0, length: float = 0.5, steps: int = 100
) -> Mask:
    """Separate what is brighter or darker than its near surroundings, so that a slow bias field does no harm.

    The force is e2 - e1 with e_i = (K * |I - f_i|^2) of the local means f_i inside and outside, K a Gaussian:

        f_1 = K * (H I) / K * H,   e_i = I^2 - 2 I (K * f_i) + K * f_i^2.

    Args:
        image: float, shape (rows, columns); scaled to a standard deviation of 3 here.
        start: mask; the result depends on it.
        scale: standard deviation of K in pixels, > 0.
        length: weight of the contour's length, >= 0.
        steps: of descent.

    Returns:
        mask, shape (rows, columns).

    Raises:
        ValueError: the scale or the length breaks its rule.

    Source: Li, Kao, Gore, Ding, "Minimization of region-scalable fitting energy for image segmentation", IEEE
    Transactions on Image Processing 17, 2008 [unchecked]; no reinitialisation and equal weights inside and outside.
    """
    if not scale > 0:
        raise ValueError(f"scale must be > 0, got {scale}")
    grey = np.asarray(image, dtype=np.float64)
    spread = grey.std()
    grey = 3 * (grey - grey.mean()) / (spread if spread > 0 else 1.0)

    def smooth(values: Floats) -> Floats:
        return np.asarray(ndimage.gaussian_filter(values, scale, mode="reflect", truncate=3.0))

    whole = smooth(grey)

    def force(phi: Floats) -> Floats:
        inside = 0.5 + np.arctan(phi / WIDTH) / np.pi
        share, part = smooth(inside), smooth(inside * grey)
        errors = []
        for mean in (part / np.maximum(share, 1e-6), (whole - part) / np.maximum(1 - share, 1e-6)):
            errors.append(-2 * grey * smooth(mean) + smooth(mean**2))
        return np.asarray(errors[1] - errors[0])

    return descend(start, force, length, steps) > 0
