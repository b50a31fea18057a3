"""Closed shapes: contrast, noise and place are as stated; clutter touches the object and leaves it as it is."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from sim.generators.closed_shapes import NEIGHBOUR, ClosedShapeSpec, draw_closed_shapes

KEY = jax.random.key(7)


def test_objects_are_single_closed_and_within_the_image():
    for radius in (6.0, 18.0):
        masks = np.asarray(draw_closed_shapes(KEY, ClosedShapeSpec(radius=radius), 40).masks)
        for mask in masks:
            assert ndimage.label(mask)[1] == 1
            assert np.array_equal(ndimage.binary_fill_holes(mask), mask)
        edge = np.concatenate([masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]])
        assert not edge.any()
        sizes = np.sqrt(masks.sum(axis=(1, 2)) / np.pi)
        assert sizes.mean() == pytest.approx(radius, rel=0.06)  # 40 radii, uniform within 15%: standard error 1.4%


def test_contrast_is_the_step_at_the_edge_in_units_of_the_noise():
    drawn = draw_closed_shapes(KEY, ClosedShapeSpec(contrast=4.0), 20)
    images, masks = np.asarray(drawn.images), np.asarray(drawn.masks)
    inside = np.stack([ndimage.binary_erosion(mask, iterations=4) for mask in masks])
    outside = np.stack([~ndimage.binary_dilation(mask, iterations=4) for mask in masks])
    # At least 3,000 pixels each: the standard error of a mean is below .02, of a deviation below .013.
    assert images[inside].mean() - images[outside].mean() == pytest.approx(4.0, abs=0.1)
    assert images[outside].std() == pytest.approx(1.0, abs=0.06)


def test_clutter_touches_the_object_and_changes_no_label():
    plain = draw_closed_shapes(KEY, ClosedShapeSpec(contrast=1000.0), 12)
    crowded = draw_closed_shapes(KEY, ClosedShapeSpec(contrast=1000.0, clutter=True), 12)
    assert np.array_equal(plain.masks, crowded.masks)
    for mask, clean, full in zip(*map(np.asarray, (plain.masks, plain.images, crowded.images)), strict=True):
        added = full - clean > 0.5 * NEIGHBOUR * 1000
        assert added.sum() > 100
        assert (ndimage.binary_dilation(mask, iterations=2) & added).any()
        assert not (ndimage.binary_erosion(mask, iterations=3) & added).any()


@pytest.mark.parametrize("fields", [{"contrast": 0.0}, {"radius": 25.0}, {"clutter": 2}])
def test_fields_are_checked(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        draw_closed_shapes(KEY, ClosedShapeSpec(**fields), 1)
