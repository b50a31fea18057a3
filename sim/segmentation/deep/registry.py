"""Deep systems by name. Those that refine a network's map are made from the functions that refine it."""

from sim.segmentation.deep.contours import shape_contour
from sim.segmentation.deep.hybrids import dilated_crf, network_graph_cut, surface_evolution
from sim.segmentation.deep.membranes import SLIDING_WINDOW
from sim.segmentation.deep.mitosis import MITOSIS_DETECTOR
from sim.segmentation.deep.objects import component_rejection, network_watershed
from sim.segmentation.deep.plain import ENCODER_DECODER, FCN, UNET
from sim.segmentation.deep.refiners import Refiners
from sim.segmentation.deep.whole_images import CLASSIFIER, COMMITTEE, MAXOUT
from sim.segmentation.protocol import Segmenter

DEEP: dict[str, Segmenter] = {
    system.name: system
    for system in (
        MAXOUT, COMMITTEE, CLASSIFIER, FCN, SLIDING_WINDOW, MITOSIS_DETECTOR, ENCODER_DECODER, UNET,
    )
}  # fmt: skip


def hybrids(refiners: Refiners) -> dict[str, Segmenter]:
    """The systems [10] [18] [21] [22] [25] [27], by name, with these functions for what follows the network."""
    makers = (dilated_crf, shape_contour, surface_evolution, network_graph_cut, component_rejection, network_watershed)
    made = [make(refiners) for make in makers]
    return {system.name: system for system in made}
