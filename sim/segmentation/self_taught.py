"""The network that [28] should be held against: a U-Net that is taught by the same clusters, not by true label maps."""

from collections.abc import Mapping
from typing import Any

from sim.segmentation.classical.clustering import teaching_clusters
from sim.segmentation.classical.naming import fit_names
from sim.segmentation.deep.pixels import fit_pixels, most_probable
from sim.segmentation.deep.plain import UNET
from sim.segmentation.protocol import Examples, Predict, Segmenter


def fit_self_taught(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Train on k-means clusters of the training images; of the true answers only the clusters' names are taken."""
    clusters = examples.num_labels + parameters["extra"]
    names = fit_names(lambda images: teaching_clusters(images, clusters, seed), examples, clusters)
    taught = examples._replace(answers=names[teaching_clusters(examples.images, clusters, seed)])
    shape = {name: parameters[name] for name in ("width", "depth", "levels")}
    answer = fit_pixels("unet", taught, parameters, seed, **shape)
    return lambda images: most_probable(answer(images))


SELF_TAUGHT = Segmenter(
    name="self_taught_unet",
    summary="U-Net trained on k-means clusters of the training images in place of their true label maps",
    task="segment",
    phantom="cells",
    survey="[28]",
    source=(
        "the pseudo-labels of Zheng et al., Micron 107, 2018 [unchecked], under a small U-Net: the survey does not say "
        "which network [28] was compared with"
    ),
    parameters={**UNET.parameters, "extra": (0, 1)},
    fit=fit_self_taught,
    deep=True,
)
