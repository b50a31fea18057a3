"""[13]: a patch classifier slid over the image, its answers averaged over turns, calibrated and median filtered."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize

from sim.segmentation.deep.pixels import TRAINING, Labels, average_over_turns, fit_pixels, most_probable
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter

Floats = NDArray[np.float64]


def fit_calibration(probabilities: ArrayLike, happened: ArrayLike) -> Callable[[ArrayLike], Floats]:
    """The rising cubic q(p) closest to what happened, in squares, with values in [0, 1].

    q(p) = sum_k c_k B_k(p) in Bernstein's polynomials with 0 <= c_0 <= c_1 <= c_2 <= c_3 <= 1: steps of c are >= 0.

    Args:
        probabilities: float in [0, 1], any shape. happened: 0 or 1, the same shape.

    Example:
        >>> calibrate = fit_calibration([0.0, 0.5, 0.5, 1.0], [0, 0, 1, 1])
        >>> calibrate([0.0, 0.5, 1.0]).round(3).tolist()
        [0.0, 0.5, 1.0]
    """
    design = _bernstein(np.ravel(probabilities)) @ np.tri(4)
    # Normal equations by their square root: four numbers, however many pixels there are.
    orthogonal, triangle = np.linalg.qr(design)
    steps = optimize.nnls(triangle, orthogonal.T @ np.ravel(happened).astype(np.float64))[0]
    heights = np.clip(np.cumsum(steps), 0.0, 1.0)

    def calibrate(others: ArrayLike) -> Floats:
        given = np.asarray(others, dtype=np.float64)
        return np.asarray(_bernstein(given.ravel()) @ heights).reshape(given.shape)

    return calibrate


def _bernstein(values: NDArray[Any]) -> Floats:
    p = np.asarray(values, dtype=np.float64)
    return np.stack([(1 - p) ** 3, 3 * p * (1 - p) ** 2, 3 * p**2 * (1 - p), p**3], axis=1)


def _disc(radius: float) -> NDArray[np.bool_]:
    reach = int(radius)
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(down**2 + right**2 <= radius**2)


def _fit(examples: Examples, settings: Mapping[str, Any], seed: int) -> Predict:
    network = fit_pixels(
        "patch", examples, settings, seed, balanced=True,
        width=settings["width"], levels=2, receptive_field=settings["receptive_field"],
    )  # fmt: skip
    answer = average_over_turns(network)
    seen = answer(examples.images)
    calibrations = [fit_calibration(seen[..., k], examples.answers == k) for k in range(examples.num_labels)]
    footprint = _disc(settings["median_radius"])

    def predict(images: Images) -> Labels:
        found = answer(images)
        maps = np.stack([calibrate(found[..., k]) for k, calibrate in enumerate(calibrations)], axis=-1)
        smooth = ndimage.median_filter(maps, footprint=footprint[None, :, :, None], mode="nearest")
        return most_probable(smooth)

    return predict


SLIDING_WINDOW = Segmenter(
    "sliding_window",
    "patch classifier of every pixel's window, turned, calibrated, median filtered",
    "segment",
    "membranes",
    "[13]",
    "Ciresan, Giusti, Gambardella, Schmidhuber, NIPS 2012 [unchecked]. Two poolings of 3 x 3; all pixels with balanced "
    "weights in place of balanced samples; no foveation; calibrated on the training images.",
    TRAINING | {"receptive_field": (21, 29, 13), "width": (8, 16), "median_radius": (1.0, 0.0, 2.0)},
    _fit,
    deep=True,
)
