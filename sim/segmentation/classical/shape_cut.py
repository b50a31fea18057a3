"""The survey's [23]: a principal-component shape model, and a graph cut in a narrow band around what it fits."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from skimage import measure
from sklearn.decomposition import PCA

from sim.segmentation.classical.appearance import Floats, Mask, fit_scores, label_by_label
from sim.segmentation.protocol import Examples, Predict, Segmenter
from sim.segmentation.refinement.graph_cut import binary_graph_cut
from sim.segmentation.refinement.lattice import contrast_weights, make_lattice
from sim.segmentation.refinement.level_set import signed_distance

SIDE = 24  # points along a side of the frame in which shapes are compared
LIMIT = 2.5  # standard deviations that a mode may take
ROUNDS = 3  # of shape fit and cut


class Shapes(NamedTuple):
    """Shapes in a frame around their centroids, in units of the radius of a disc of equal area.

    Attributes:
        reach: half the frame's side. mean: float, shape (SIDE^2,). modes: float, shape (modes, SIDE^2), orthonormal.
        deviations: float, shape (modes,).
    """

    reach: float
    mean: Floats
    modes: Floats
    deviations: Floats


def components(mask: Mask, smallest: int = 5) -> list[Mask]:
    """4-connected components with at least so many pixels, as masks."""
    parts = measure.label(mask, connectivity=1)
    sizes = np.bincount(parts.ravel())
    return [parts == part for part in range(1, len(sizes)) if sizes[part] >= smallest]


def _frame(mask: Mask) -> tuple[Floats, float]:
    places = np.argwhere(mask)
    return places.mean(axis=0), float(np.sqrt(len(places) / np.pi))


def describe(mask: Mask, reach: float) -> Floats:
    """Signed distances of one object in its own frame: float, shape (SIDE^2,)."""
    centre, radius = _frame(mask)
    along = np.linspace(-reach, reach, SIDE) * radius
    places = np.stack(np.meshgrid(centre[0] + along, centre[1] + along, indexing="ij"))
    pad = int(np.ceil(reach * radius)) + 1
    distance = signed_distance(np.pad(mask, pad))
    return ndimage.map_coordinates(distance, places + pad, order=1, mode="nearest").ravel() / radius


def fit_shapes(masks: Sequence[Mask], modes: int) -> Shapes | None:
    """The mean and the first modes of the shapes of objects; None if there are none."""
    if not masks:
        return None
    extents = []
    for mask in masks:
        centre, radius = _frame(mask)
        extents.append(np.abs(np.argwhere(mask) - centre).max() / radius)
    reach = float(max(extents)) + 0.3
    rows = np.stack([describe(mask, reach) for mask in masks])
    count = min(modes, len(rows) - 1)
    if count < 1 or np.ptp(rows, axis=0).max() == 0:
        return Shapes(reach, rows.mean(axis=0), np.zeros((0, SIDE**2)), np.zeros(0))
    model = PCA(count, svd_solver="full").fit(rows)
    return Shapes(reach, model.mean_, model.components_, np.sqrt(model.explained_variance_))


def fit_shape(shapes: Shapes, mask: Mask) -> Floats:
    """Signed distance, in pixels over the whole image, of the model's shape that is nearest to an object.

    Example:
        >>> disc = np.hypot(*(np.mgrid[:21, :21] - 10.0)) <= 6
        >>> model = fit_shapes([disc], modes=2)
        >>> bool(((fit_shape(model, disc) > 0) == disc).mean() > 0.98)
        True
    """
    centre, radius = _frame(mask)
    away = describe(mask, shapes.reach) - shapes.mean
    weights = np.clip(shapes.modes @ away, -LIMIT * shapes.deviations, LIMIT * shapes.deviations)
    shape = (shapes.mean + weights @ shapes.modes).reshape(SIDE, SIDE)
    places = np.indices(mask.shape, dtype=np.float64) - centre.reshape(2, 1, 1)
    scaled = (places / radius + shapes.reach) * (SIDE - 1) / (2 * shapes.reach)
    inside = ndimage.map_coordinates(shape, scaled, order=1, mode="nearest") * radius
    beyond = np.maximum(np.abs(places) - shapes.reach * radius, 0).max(axis=0)
    return np.asarray(inside - beyond)


def fit_shape_cut(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Learn appearance and, for each label, the shapes of its components."""
    models = {
        label: fit_shapes(
            [part for answer in examples.answers for part in components(answer == label)], parameters["modes"]
        )
        for label in range(1, examples.num_labels)
    }

    def move(image: Floats, ratio: Floats, start: Mask, label: int) -> Mask:
        shapes = models[label]
        lattice = make_lattice((image.shape[0], image.shape[1]))
        weights = contrast_weights(ndimage.gaussian_filter(image, 0.5), lattice, 1.0)
        found = np.zeros_like(start)
        for part in components(start):
            own = part
            for _ in range(ROUNDS if shapes is not None else 0):
                distance = fit_shape(shapes, own)  # type: ignore[arg-type]
                band = np.abs(distance) <= max(2.0, parameters["band"] * np.sqrt(own.sum() / np.pi))
                pull = np.clip(ratio, -3, 3) + parameters["shape"] * np.clip(distance, -5, 5)
                pull = np.where(band, pull, np.where(distance > 0, 1e3, -1e3))
                cut = binary_graph_cut(np.stack([pull, -pull]) / 2, lattice, weights) == 1
                if cut.sum() < 5 or np.array_equal(cut, own):
                    break
                own = cut
            found |= own
        return found if found.any() else start

    return label_by_label(fit_scores(examples, parameters["blur"], atlas=True), move, examples)


SHAPE_CUT = Segmenter(
    name="shape_graph_cut",
    summary="principal-component shape model with a graph cut in a narrow band around it",
    task="segment",
    phantom="liver",
    survey="[23]",
    source=(
        "Li et al., 'Automatic liver segmentation based on shape constraints and deformable graph cut in CT images', "
        "2015 [unchecked]; shapes are aligned by centroid and size instead of by registration of distance maps; "
        "two dimensions"
    ),
    parameters={"blur": (1.0, 2.0), "modes": (6, 2, 12), "shape": (0.5, 0.1, 1.5), "band": (0.3, 0.6)},
    fit=fit_shape_cut,
)
