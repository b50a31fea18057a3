"""Systems that are a pixelwise network and nothing else: FCN, encoder-decoder, U-Net."""

from collections.abc import Mapping, Sequence
from typing import Any

from sim.segmentation.deep.pixels import TRAINING, Labels, fit_pixels, most_probable
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter


def _system(
    name: str, summary: str, phantom: str, survey: str, source: str, parameters: Mapping[str, Sequence[Any]]
) -> Segmenter:
    """A network by name, whose own parameters are fields of `NetworkSettings`."""

    def fit(examples: Examples, settings: Mapping[str, Any], seed: int) -> Predict:
        answer = fit_pixels(name, examples, settings, seed, **{field: settings[field] for field in parameters})

        def predict(images: Images) -> Labels:
            return most_probable(answer(images))

        return predict

    return Segmenter(name, summary, "segment", phantom, survey, source, {**TRAINING, **parameters}, fit, deep=True)


FCN = _system(
    "fcn",
    "fully convolutional network, scores of three scales added",
    "liver",
    "[9]",
    "Long, Shelhamer, Darrell, CVPR 2015 [unchecked]. Three poolings instead of five, trained from scratch, bilinear "
    "growing not learned, AdamW; skips 0, 1, 2 stand for FCN-32s, 16s, 8s.",
    {"width": (8, 16), "depth": (1, 2), "levels": (3,), "skips": (2, 1, 0)},
)
ENCODER_DECODER = _system(
    "encoder_decoder",
    "convolutional-deconvolutional network without skips",
    "ventricle",
    "[19]",
    "Yang et al., cardiac segmentation with a convolution-deconvolution network [unchecked]. Transposed convolutions "
    "of 2 x 2; trained from scratch on whole images.",
    {"width": (8, 16), "depth": (1, 2), "levels": (3, 2)},
)
UNET = _system(
    "unet",
    "U-Net: what people use today",
    "ventricle",
    "",
    "Ronneberger, Fischer, Brox, MICCAI 2015 [unchecked]. Three poolings, zero-padded convolutions, no normalisation, "
    "no elastic deformation, no weights at borders.",
    {"width": (8, 16), "depth": (2, 1), "levels": (3, 2)},
)
