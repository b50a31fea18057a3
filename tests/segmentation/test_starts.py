"""Wrong starts are wrong by what they say; contours on an edge map find a disc, and the global ones from any start."""

import numpy as np
import pytest

from sim.metrics.masks import segmentation_scores
from sim.segmentation.refinement.edge_contours import (
    convex_contour,
    geodesic_contour,
    polar_contour,
    snake_contour,
    stopping_map,
)
from sim.segmentation.refinement.starts import KINDS, main_part, wrong_start

DOWN, RIGHT = np.indices((64, 64)) - 31.5
DISC = np.hypot(DOWN, RIGHT) < 16
IMAGE = 4.0 * DISC + np.random.default_rng(0).normal(scale=0.5, size=DISC.shape)
ATLAS = np.clip(1 - (np.hypot(DOWN, RIGHT) - 8) / 16, 0, 1)


def dice(found):
    return segmentation_scores(found, DISC)["dice"]


def test_errors_are_shares_of_the_radius():
    assert np.array_equal(wrong_start(DISC, "displaced", 0.0), DISC)
    for error in (0.2, 0.4):
        moved = wrong_start(DISC, "displaced", error, direction=np.pi / 2)
        middle = np.array([index[moved].mean() for index in (DOWN, RIGHT)])
        assert middle == pytest.approx([16 * error, 0], abs=0.5)  # a mask moves by whole pixels along an axis
        for kind, factor in (("small", 1 - error), ("large", 1 + error)):
            radius = np.sqrt(wrong_start(DISC, kind, error).sum() / np.pi)
            assert radius == pytest.approx(16 * factor, abs=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DISC, "tilted", 0.1), "kind must be one of displaced, small, large, got 'tilted'"),
        ((DISC, "small", 1.0), r"error must be in \[0, 1\), got 1.0"),
        ((np.zeros((4, 4)), "small", 0.1), "truth must be a mask of one object"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        wrong_start(*arguments)


def test_the_part_that_the_start_touches_is_kept_and_filled():
    ring = DISC & (np.hypot(DOWN, RIGHT) > 8)
    other = np.zeros_like(DISC)
    other[:5, :5] = True
    assert np.array_equal(main_part(ring | other, DISC), DISC)
    assert not main_part(other, DISC).any()


def test_every_contour_keeps_the_true_start_on_a_clear_disc():
    stopping = stopping_map(IMAGE)
    # The edge map's blur of 1.5 pixels may move a contour by a pixel: Dice 1 - 1/16 at a radius of 16.
    for found in (
        polar_contour(stopping, DISC),
        convex_contour(stopping, ATLAS, DISC, 0.02),
        geodesic_contour(stopping, DISC),
        snake_contour(stopping, DISC),
    ):
        assert dice(found) > 1 - 1 / 16


def test_the_convex_contour_does_not_depend_on_its_start():
    stopping = stopping_map(IMAGE)
    starts = [wrong_start(DISC, kind, 0.4, 1.0) for kind in KINDS] + [np.zeros_like(DISC), np.ones_like(DISC)]
    found = [convex_contour(stopping, ATLAS, start, 0.05) for start in starts]
    for other in found[1:]:  # the duality gap allows a few pixels of the contour of a hundred to be either
        assert np.count_nonzero(other ^ found[0]) <= 5


def test_a_local_contour_far_from_the_edge_stays_away_where_a_global_one_finds_it():
    stopping = stopping_map(IMAGE)
    start = wrong_start(DISC, "small", 0.6)
    assert dice(geodesic_contour(stopping, start)) < 0.8
    assert dice(polar_contour(stopping, start)) > 1 - 1 / 16
