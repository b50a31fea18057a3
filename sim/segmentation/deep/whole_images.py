"""Systems that name the class of an image: a convolutional classifier, a maxout one, a multi-column committee."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.networks.registry import NetworkSettings
from sim.segmentation.deep.pixels import Floats, Labels, fill_up, fit_scaling, most_probable
from sim.segmentation.deep.training import Plan, committee_probabilities, train_networks
from sim.segmentation.deep.views import VIEWS
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter
from sim.training import TrainSettings

TRAINING: dict[str, Sequence[Any]] = {
    "learning_rate": (3e-3, 1e-3, 1e-2),
    "steps": (1000, 4000),
    "augment": (True, False),
    "width": (8, 16),
    "depth": (1, 2),
    "levels": (2,),
}


def fit_classes(
    network: str, examples: Examples, settings: Mapping[str, Any], seed: int, views: Sequence[str], each: int
) -> Any:
    """Train `each` networks on every view of the images.

    Args:
        network: "classifier" or "maxout". settings: the parameters of `TRAINING`. views: keys of `VIEWS`.

    Returns:
        images -> the mean of all networks' answers, float32, shape (images, classes).
    """
    factor = 2 ** settings["levels"]
    scalings = [fit_scaling(VIEWS[view](examples.images)) for view in views]

    def look(images: Images) -> NDArray[np.float32]:
        return np.stack([
            fill_up(scale(VIEWS[view](images)), factor) for view, scale in zip(views, scalings, strict=True)
        ])  # fmt: skip

    seen = look(examples.images)
    plan = Plan(
        NetworkSettings(
            network, "dense", seen.shape[2:], 1, examples.num_labels,
            width=settings["width"], depth=settings["depth"], levels=settings["levels"],
        ),
        TrainSettings(batch_size=32, min_steps=400),
        "shifts" if settings["augment"] else "none",
    )  # fmt: skip
    members = len(views) * each
    trained = train_networks(
        plan, seen, examples.answers,
        seeds=[seed * 1000 + member for member in range(members)],
        learning_rates=settings["learning_rate"],
        steps=settings["steps"],
        views=np.repeat(np.arange(len(views)), each).tolist(),
    )  # fmt: skip

    def answer(images: Images) -> Floats:
        return committee_probabilities(trained, look(images))[:, 0]

    return answer


def _system(
    name: str, network: str, summary: str, survey: str, source: str, parameters: Mapping[str, Sequence[Any]]
) -> Segmenter:
    def fit(examples: Examples, settings: Mapping[str, Any], seed: int) -> Predict:
        views, each = settings.get("views", ("plain",)), settings.get("each", 1)
        answer = fit_classes(network, examples, settings, seed, views, each)

        def predict(images: Images) -> Labels:
            return most_probable(answer(images))

        return predict

    return Segmenter(name, summary, "classify", "digits", survey, source, {**TRAINING, **parameters}, fit, deep=True)


MAXOUT = _system(
    "maxout",
    "maxout",
    "convolutional network of maxout units",
    "[2]",
    "Goodfellow et al., ICML 2013 [unchecked], in place of the survey's hierarchical maxout network: two affine maps a "
    "unit, no dropout, no hierarchy of classes.",
    {},
)
CLASSIFIER = _system(
    "classifier",
    "classifier",
    "convolutional classifier",
    "[7] [8]",
    "Krizhevsky, Sutskever, Hinton, 2012 [unchecked]: two poolings, one hidden layer, trained from scratch; shifts "
    "of a pixel in place of crops and colours.",
    {},
)
COMMITTEE = _system(
    "committee",
    "classifier",
    "multi-column committee: networks on differently preprocessed images, answers averaged",
    "[4] [5] [6]",
    "Ciresan, Meier, Schmidhuber, CVPR 2012 [unchecked]. Shifts of a pixel in place of affine and elastic distortions; "
    "for [4] views of other widths, for [5] of other contrast, for [6] the plain one only, with more networks each.",
    {
        "views": (
            ("plain", "narrow", "wide"),
            ("plain", "stretched", "equalised", "local_contrast"),
            ("plain",),
        ),
        "each": (2, 5),
    },
)
