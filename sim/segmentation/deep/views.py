"""What a multi-column committee looks at: the same images, preprocessed in different ways."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage import exposure

from sim.segmentation.protocol import Images


def stretch(images: Images) -> Images:
    """The middle 98% of each image's grey values to [0, 1], the rest cut off."""
    low, high = np.percentile(images, (1, 99), axis=(1, 2), keepdims=True)
    return np.asarray(np.clip((images - low) / np.maximum(high - low, 1e-6), 0, 1), dtype=np.float32)


def equalise(images: Images) -> Images:
    """Every grey value as often as every other, in each image."""
    return np.stack([exposure.equalize_hist(image) for image in images]).astype(np.float32)


def local_contrast(images: Images) -> Images:
    """Each pixel less the mean around it, over the standard deviation around it; Gaussian of a sixth of the side."""
    spread = (0, images.shape[1] / 6, images.shape[2] / 6)
    centred = images - ndimage.gaussian_filter(images, spread, mode="nearest")
    deviation = np.sqrt(ndimage.gaussian_filter(centred**2, spread, mode="nearest"))
    return np.asarray(centred / (deviation + 1e-3 + 0.1 * images.std()), dtype=np.float32)


def resized(factor: float) -> Callable[[Images], Images]:
    """Make what is seen `factor` times as wide about the middle column, by linear interpolation."""

    def resize(images: Images) -> Images:
        columns = images.shape[2]
        middle = (columns - 1) / 2
        places = np.clip(middle + (np.arange(columns) - middle) / factor, 0, columns - 1)
        left = np.minimum(places.astype(int), max(columns - 2, 0))
        share = (places - left).astype(np.float32)
        right = np.minimum(left + 1, columns - 1)
        return np.asarray((1 - share) * images[..., left] + share * images[..., right], dtype=np.float32)

    return resize


VIEWS: dict[str, Callable[[Images], Images]] = {
    "plain": lambda images: images,
    "stretched": stretch,
    "equalised": equalise,
    "local_contrast": local_contrast,
    "narrow": resized(0.8),
    "wide": resized(1.25),
}
