"""Overlap and surface scores: by hand, against SimpleITK and scikit-learn, on empty masks, under symmetries."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name that its documentation uses
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score, jaccard_score

from sim.metrics import boundary_f, mean_iou, segmentation_scores


def square(side=4, size=10, top=3, left=3):
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def blobs(rng, shape):
    """Two random masks that overlap in part: thresholded smooth noise."""
    axes = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    masks = []
    for _ in range(2):
        centre = [n / 2 + rng.normal() for n in shape]
        distance = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))
        masks.append(distance + rng.normal(size=shape) * 3 < (min(shape) / 3) ** 2)
    return masks


def itk_distances(prediction, reference, spacing):
    """The organisers' way: borders by erosion with ITK's ball, exact distance maps, both borders pooled."""
    edges, maps = [], []
    for mask in (prediction, reference):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing([float(s) for s in spacing[::-1]])
        inner = sitk.BinaryErode(image, [1] * mask.ndim, sitk.sitkBall, 0.0, 1.0, True)
        edge = sitk.Subtract(image, inner)
        distance = sitk.SignedMaurerDistanceMap(edge, squaredDistance=False, useImageSpacing=True)
        edges.append(sitk.GetArrayFromImage(edge) == 1)
        maps.append(np.abs(sitk.GetArrayFromImage(distance)))
    return np.concatenate([maps[1][edges[0]], maps[0][edges[1]]])


def test_a_square_moved_by_one_pixel():
    scores = segmentation_scores(square(), square(left=4))
    assert scores["dice"] == 0.75
    assert scores["voe"] == pytest.approx(40)
    assert scores["rvd"] == 0
    assert scores["asd"] == 0.5
    assert scores["rmsd"] == pytest.approx(np.sqrt(0.5))
    assert scores["msd"] == 1
    assert scores["over_segmentation"] == scores["under_segmentation"] == 0.25
    assert scores["error_rate"] == pytest.approx(8 / 12)
    assert scores["pixel_accuracy"] == pytest.approx(0.92)
    points = [0, 100, 100 - 12.5, 100 - 25 * np.sqrt(0.5) / 1.8, 100 - 25 / 19]
    assert scores["sliver07"] == pytest.approx(np.mean(points))


def test_a_square_grown_by_one_pixel_all_round():
    scores = segmentation_scores(square(6, top=2, left=2), square())
    assert scores["rvd"] == 125
    assert scores["voe"] == pytest.approx(100 * (1 - 16 / 36))
    assert scores["asd"] == pytest.approx((28 + 4 * np.sqrt(2)) / 32)
    assert scores["rmsd"] == pytest.approx(np.sqrt(36 / 32))


@pytest.mark.parametrize(
    ("shape", "spacing"), [((24, 30), (1.0, 1.0)), ((24, 24), (0.7, 1.3)), ((12, 14, 16), (2.0, 1.0, 0.5))]
)
def test_against_simpleitk(shape, spacing):
    rng = np.random.default_rng(3)
    for _ in range(5):
        found, truth = blobs(rng, shape)
        scores = segmentation_scores(found, truth, spacing)
        distances = itk_distances(found, truth, spacing)
        # SimpleITK's distance maps are single precision
        assert scores["asd"] == pytest.approx(distances.mean(), rel=1e-5)
        assert scores["rmsd"] == pytest.approx(np.sqrt(np.mean(distances.astype(float) ** 2)), rel=1e-5)
        assert scores["msd"] == pytest.approx(distances.max(), rel=1e-5)
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        overlap.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (found, truth)))
        assert scores["dice"] == pytest.approx(overlap.GetDiceCoefficient(1))
        assert scores["iou"] == pytest.approx(overlap.GetJaccardCoefficient(1))
        assert scores["dice"] == pytest.approx(f1_score(truth.ravel(), found.ravel()))


def test_the_edge_of_the_image_is_no_border():
    mask = np.zeros((6, 6), bool)
    mask[:3] = True  # touches three sides: only its third row is border
    scores = segmentation_scores(mask, np.roll(mask, 1, axis=0) | mask)
    assert scores["asd"] == 1.0
    assert np.isnan(segmentation_scores(np.ones((6, 6), bool), mask)["asd"])


def test_empty_masks():
    empty, full = np.zeros((5, 5), bool), square(2, 5, 1, 1)
    both = segmentation_scores(empty, empty)
    assert (both["dice"], both["iou"], both["voe"], both["pixel_accuracy"]) == (1.0, 1.0, 0.0, 1.0)
    undefined = {"rvd", "asd", "rmsd", "msd", "sliver07", "over_segmentation", "under_segmentation", "error_rate"}
    assert {name for name, value in both.items() if np.isnan(value)} == undefined
    missed = segmentation_scores(empty, full)
    assert (missed["dice"], missed["voe"], missed["rvd"], missed["sliver07"]) == (0.0, 100.0, -100.0, 0.0)
    assert missed["under_segmentation"] == 1.0
    invented = segmentation_scores(full, empty)
    assert (invented["dice"], invented["sliver07"]) == (0.0, 0.0)
    assert np.isnan(invented["rvd"])
    assert np.isnan(invented["msd"])


masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=6))


@given(masks, st.data())
def test_symmetries_and_identities(mask, data):
    other = data.draw(hnp.arrays(bool, mask.shape))
    scores, swapped = segmentation_scores(mask, other), segmentation_scores(other, mask)
    same = ("dice", "iou", "voe", "asd", "rmsd", "msd", "pixel_accuracy")
    assert [scores[n] for n in same] == pytest.approx([swapped[n] for n in same], nan_ok=True)
    flipped = segmentation_scores(np.flip(mask, 0), np.flip(other, 0))
    assert flipped == pytest.approx(scores, nan_ok=True)
    doubled = segmentation_scores(mask, other, (2.0,) * mask.ndim)
    assert doubled["asd"] == pytest.approx(2 * scores["asd"], nan_ok=True)
    assert scores["dice"] == pytest.approx(2 * scores["iou"] / (1 + scores["iou"]))
    if np.isfinite(scores["rvd"]):
        assert scores["rvd"] / 100 == pytest.approx(scores["over_segmentation"] - scores["under_segmentation"])
    itself = segmentation_scores(mask, mask)
    assert itself["dice"] == 1.0
    assert itself["msd"] in (0.0,) or np.isnan(itself["msd"])


def test_mean_iou_against_scikit_learn():
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 4, (3, 8, 8)), rng.integers(0, 4, (3, 8, 8))
    expected = jaccard_score(truth.ravel(), found.ravel(), average="macro")
    assert mean_iou(found, truth, 4) == pytest.approx(expected)
    assert mean_iou(found, truth, 6) == pytest.approx(expected)  # absent from both: left out
    assert mean_iou([0, 1], [0, 0], 2) == pytest.approx((0.5 + 0) / 2)  # predicted, never true: 0


def test_boundary_f():
    assert boundary_f(square(), square(left=4), 1.0) == 1.0
    # Moved by one column at tolerance 0, the borders of 12 pixels share the six of rows 3 and 6, columns 4 to 6.
    assert boundary_f(square(), square(left=4), 0.0) == pytest.approx(0.5)
    assert boundary_f(np.zeros((5, 5)), square(2, 5, 1, 1), 1.0) == 0.0
    assert boundary_f(np.zeros((5, 5)), np.zeros((5, 5)), 1.0) == 1.0


def test_errors_name_rule_and_value():
    with pytest.raises(ValueError, match=r"must have one shape, got \(2, 2\) and \(3, 3\)"):
        segmentation_scores(np.zeros((2, 2)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"prediction must hold true and false only, got \[0, 2\]"):
        segmentation_scores(np.array([[0, 2]]), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="spacing must be 2 lengths > 0"):
        segmentation_scores(np.zeros((2, 2)), np.zeros((2, 2)), (1.0, -1.0))
    with pytest.raises(ValueError, match="must be a mask of 2 or 3 dimensions"):
        segmentation_scores(np.zeros(4), np.zeros(4))
    with pytest.raises(ValueError, match=r"predictions must be whole numbers in 0..1, got 0..2"):
        mean_iou([0, 2], [0, 1], 2)
    with pytest.raises(ValueError, match="tolerance must be >= 0, got -1"):
        boundary_f(np.zeros((2, 2)), np.zeros((2, 2)), -1)
