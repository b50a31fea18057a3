"""Phantoms: valid, independent of what they are packed with, exact in count, connected, and turned with their scene."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phantom_programs import IMAGES, draw_pair
from scipy import ndimage

from sim.generators.phantoms.registry import PHANTOM_GENERATORS, PHANTOMS, easy, hard, reference, shifted
from sim.testing import assert_generator_conforms

NAMES = sorted(PHANTOMS)
seeds = st.integers(0, 2**31 - 1)


def parts(mask):
    return ndimage.label(mask)[1]  # neighbours along the axes only


def test_the_generator_contract_holds():
    """On one phantom: the others are made into generators by the same function, and their parts are tested below."""
    spec = reference("ventricle", grid_size=32, supersample=1)
    assert_generator_conforms(PHANTOM_GENERATORS["ventricle"], spec, jax.random.key(3), 6)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=1)
@given(seed=seeds)
def test_images_and_truth_are_valid_and_independent_of_their_company(name, seed):
    phantom = PHANTOMS[name]
    first, second = draw_pair(name, seed, {}, phantom.difficulties["hard"], seeds=(seed, seed + 1))
    other, again = draw_pair(name, seed, phantom.difficulties["hard"], {}, seeds=(seed + 1, seed))
    for one, same in ((first, again), (second, other)):
        assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
        assert one.image.dtype == np.float32
        assert one.labels.dtype == np.int32
        assert one.instances.dtype == np.int32
        assert np.isfinite(one.image).all()
        assert np.abs(one.image).max() < 20
        assert set(np.unique(one.labels)) == set(range(phantom.num_labels))
        # A pixel holds the label with the largest share; shares sum to one.
        assert one.fractions.sum(axis=-1) == pytest.approx(1, abs=1e-5)
        assert np.array_equal(one.labels, one.fractions.argmax(axis=-1))
        # The label map's area is that of the shares but for pixels on a contour, which err both ways.
        counted = (one.labels[..., None] == np.arange(phantom.num_labels)).mean(axis=(1, 2))
        assert np.abs(counted - one.fractions.mean(axis=(1, 2))).max() < 0.03
        assert np.array_equal(one.instances > 0, one.labels == phantom.instance_label)
    assert not np.array_equal(first.image[0], first.image[1])
    assert not np.array_equal(first.labels, second.labels)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=2)
@given(seed=seeds, pose=st.integers(1, 7))
def test_a_pose_turns_and_mirrors_scene_and_truth(name, seed, pose):
    """Without a bias field, which stays with the scanner, the clean image turns too; sums round in another order."""
    plain, posed = draw_pair(name, seed, {"bias": 0.0}, {"bias": 0.0, "pose": pose})

    def turn(image):
        return np.rot90(image[:, ::-1] if pose >= 4 else image, k=pose % 4)

    for index in range(IMAGES):
        assert np.array_equal(turn(plain.labels[index]), posed.labels[index])
        assert np.array_equal(turn(plain.instances[index]), posed.instances[index])
        np.testing.assert_allclose(turn(plain.clean[index]), posed.clean[index], atol=1e-4)
    seen = plain.present[0]
    for before, after in zip(plain.points[0][seen], posed.points[0][seen], strict=True):
        marked = np.zeros((64, 64))
        row, column = np.clip(np.round(before).astype(int), 0, 63)
        marked[row, column] = 1
        expected = np.argwhere(turn(marked))[0]
        assert np.abs(np.clip(after, 0, 63) - expected).max() <= 0.51  # half a pixel of rounding


@settings(max_examples=2)
@given(seed=seeds)
def test_the_myocardium_is_a_closed_ring_around_one_cavity(seed):
    for truth in draw_pair("ventricle", seed, {}, PHANTOMS["ventricle"].difficulties["shifted"]):
        for labels in truth.labels:
            assert parts(labels == 1) == parts(labels == 2) == parts(labels == 0) == 1
            beside = ndimage.binary_dilation(labels == 1) & (labels != 1)
            assert np.all(labels[beside] == 2)


@settings(max_examples=2)
@given(seed=seeds)
def test_the_liver_is_one_region_of_a_fitting_size(seed):
    for truth in draw_pair("liver", seed, {}, PHANTOMS["liver"].difficulties["hard"]):
        assert all(parts(labels == 1) == 1 for labels in truth.labels)
        area = truth.fractions[..., 1].mean(axis=(1, 2)) * 336**2
        body = np.pi * 150 * 108
        assert np.all((area > 0.14 * body) & (area < 0.31 * body))


def test_neighbours_press_on_the_stated_share_of_the_liver():
    """Mean over four livers of the share of directions with a neighbour just outside; the wall takes some away."""
    tasks = draw_pair("liver", 17, {"contact": 0.15}, {"contact": 0.4})
    seen = []
    for truth in tasks:
        shares = []
        for labels, neighbour, centre in zip(truth.labels, truth.probe[..., 1], truth.points[:, 0], strict=True):
            outside = ndimage.binary_dilation(labels == 1) & (labels == 0)
            down, right = np.argwhere(outside).T - centre[:, None]
            directions = np.floor((np.arctan2(down, right) / (2 * np.pi) + 0.5) * 36).astype(int) % 36
            touched = np.bincount(directions, neighbour[outside] > 0.2, 36) > 0
            shares.append(touched.mean())
        seen.append(np.mean(shares))
    # Three neighbours' six ends add up to a direction of 10 degrees each, the wall may hide as much of each.
    assert seen == pytest.approx([0.15, 0.4], abs=6 / 36)
    assert seen[1] > seen[0] + 0.1


@settings(max_examples=2)
@given(seed=seeds, number=st.integers(0, 7))
def test_lesions_are_as_many_as_asked_and_apart(seed, number):
    some, exact = draw_pair("tumour", seed, {}, {"fewest": number, "most": number, "radius": 9.0})
    counts = [parts(labels == 1) for labels in some.labels]
    assert counts == list(some.present.sum(axis=1))
    assert min(counts) >= 1
    assert max(counts) <= 4
    assert [parts(labels == 1) for labels in exact.labels] == [number] * IMAGES


@settings(max_examples=2)
@given(seed=seeds, number=st.integers(1, 16))
def test_cells_are_as_many_as_asked_and_each_hangs_together(seed, number):
    for truth in draw_pair("cells", seed, {"cells": number}, PHANTOMS["cells"].difficulties["hard"] | {"cells": 16}):
        for instances, present in zip(truth.instances, truth.present, strict=True):
            found = set(np.unique(instances)) - {0}
            assert found == set(1 + np.flatnonzero(present))
            assert all(parts(instances == cell) == 1 for cell in found)
    assert truth.present.sum() == 16 * IMAGES


@settings(max_examples=2)
@given(seed=seeds)
def test_membranes_keep_cells_apart(seed):
    """At two and a half pixels of thickness: of the pixels of one part, all belong to one cell."""
    for truth in draw_pair("membranes", seed, {"thickness": 40.0}, {"thickness": 40.0, "decay": 1.0}):
        for labels, instances in zip(truth.labels, truth.instances, strict=True):
            numbered, number = ndimage.label(labels == 0)
            assert 15 <= number <= 50
            assert all(len(np.unique(instances[numbered == part])) == 1 for part in range(1, number + 1))


@settings(max_examples=2)
@given(seed=seeds, number=st.integers(0, 5))
def test_mitoses_are_as_many_as_asked_and_in_their_discs(seed, number):
    some, exact = draw_pair("mitosis", seed, {}, {"fewest": number, "most": number, "lookalikes": 15})
    assert [parts(labels == 1) for labels in exact.labels] == [number] * IMAGES
    assert set(some.present.sum(axis=1)) <= {1, 2, 3}
    for labels, instances, points, present in zip(*some[2:3], *some[4:7], strict=True):
        for index in np.flatnonzero(present):
            row, column = np.round(points[index]).astype(int)
            assert labels[row, column] == 1
            assert instances[row, column] == index + 1
    # Discs of radius 4 micrometres, none cut by the edge by more than a sliver; a pixel is one micrometre.
    area = exact.fractions[..., 1].sum(axis=(1, 2))
    assert area == pytest.approx(number * np.pi * 16, rel=0.06, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_finer_grids_show_the_same_scene(name):
    """The programs that draw a scene and paint it on 48 points do not know the grid of the image."""
    phantom, key = PHANTOMS[name], jax.random.key(7)

    def paint(key, spec):
        return phantom.paint(phantom.draw_scene(key, spec), spec, 48)

    coarse, fine = (str(jax.make_jaxpr(paint)(key, reference(name, grid_size=size))) for size in (64, 96))
    assert coarse == fine


@pytest.mark.parametrize("name", NAMES)
def test_difficulties_are_valid_and_ordered(name):
    ratio = [spec.contrast / spec.noise for spec in (easy(name), reference(name), hard(name))]
    assert ratio[0] > ratio[1] > ratio[2]
    changed = shifted(name)
    for field in ("contrast", "blur", "decay"):
        assert getattr(changed, field) != getattr(reference(name), field)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("lung", {}, "phantom must be one of ventricle, liver, tumour, cells, membranes, mitosis, got 'lung'"),
        ("liver", {"contrast": 0.0}, "contrast must be > 0 and finite, got 0.0"),
        ("ventricle", {"grid_size": 16}, r"extent must be at most 73.6 for 16 pixels, so that the wall has a pixel"),
        ("tumour", {"fewest": 3, "most": 2}, "fewest must be at most `most`, got 3"),
        ("cells", {"cells": 17}, r"cells must be a whole number in \[1, 16\], got 17"),
        ("membranes", {"thickness": 12.0}, r"thickness must be >= 1.2 pixels = 19.2, so that membranes close, got 12"),
        ("mitosis", {"pose": 8}, r"pose must be a whole number in \[0, 7\], got 8"),
        ("mitosis", {"bias": 1.0}, r"bias must be in \[0, 1\), got 1.0"),
    ],
)
def test_impossible_specs_are_refused(name, fields, message):
    with pytest.raises(ValueError, match=message):
        reference(name, **fields)
