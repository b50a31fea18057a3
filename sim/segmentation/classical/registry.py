"""Non-deep segmenters by name. One of your own needs no entry: pass the `Segmenter` itself wherever one is taken."""

from sim.segmentation.classical.clustering import KMEANS, OTSU, SELF_SUPERVISED_SVM
from sim.segmentation.classical.deformable import CHAN_VESE, GEODESIC, MAX_FLOW, RANDOM_WALKER
from sim.segmentation.classical.fitting_and_contour import FITTING_AND_CONTOUR
from sim.segmentation.classical.forest_cut import FOREST_CUT
from sim.segmentation.classical.forest_peaks import FOREST_PEAKS
from sim.segmentation.classical.lesion_pipeline import LESION_PIPELINE
from sim.segmentation.classical.pixel_models import DISCRIMINANT, FOREST, LINEAR, LOGISTIC, SUPPORT_VECTORS
from sim.segmentation.classical.shape_cut import SHAPE_CUT
from sim.segmentation.classical.sparse_level_set import SPARSE_LEVEL_SET
from sim.segmentation.protocol import Segmenter

CLASSICAL: dict[str, Segmenter] = {
    segmenter.name: segmenter
    for segmenter in (
        OTSU, KMEANS, LINEAR, LOGISTIC, DISCRIMINANT, SUPPORT_VECTORS, FOREST, RANDOM_WALKER, CHAN_VESE, GEODESIC,
        MAX_FLOW, FITTING_AND_CONTOUR, SHAPE_CUT, SPARSE_LEVEL_SET, LESION_PIPELINE, FOREST_CUT, SELF_SUPERVISED_SVM,
        FOREST_PEAKS,
    )
}  # fmt: skip
