"""Label maps and mistakes: stated shares are met, mistakes stay where they belong, and scores are the closed form's."""

import jax
import numpy as np
import pytest

from sim.generators.mistakes import MAX_FOREGROUND, OBJECTS, PLACEMENTS, draw_instances, make_mistakes, name_objects
from sim.metrics import mean_iou
from sim.theory.overlap import class_shares, confusions, overlap_scores

LABELS = 5


@pytest.fixture(scope="module")
def maps():
    """Objects and labels of 120 maps with a foreground of .27."""
    instances = draw_instances(jax.random.key(3), 120, 0.27)
    return instances, name_objects(instances, np.ones(LABELS - 1), np.random.default_rng(4))


def answers(maps, placement, error, seed=0):
    instances, labels = maps
    return make_mistakes(labels, instances, LABELS, placement, error, np.random.default_rng(seed))


@pytest.mark.parametrize("foreground", [0.05, 0.27, 0.5])
def test_the_foreground_has_its_share_and_every_object_its_pixels(foreground):
    instances = draw_instances(jax.random.key(1), 120, foreground)
    for number in range(1, OBJECTS + 1):
        assert (instances == number).any(axis=(1, 2)).all()
    each = (instances > 0).mean(axis=(1, 2))
    # the mean over maps, within five standard errors: false-fail rate below 1e-6, and 1% for pixels at the edges
    assert each.mean() == pytest.approx(foreground, abs=5 * each.std(ddof=1) / np.sqrt(len(each)) + 0.01 * foreground)


def test_a_longer_draw_starts_with_the_shorter_one():
    one, two = (draw_instances(jax.random.key(2), number, 0.2) for number in (3, 7))
    np.testing.assert_array_equal(one, two[:3])


def test_objects_are_named_by_their_weights():
    instances = draw_instances(jax.random.key(2), 400, 0.4)
    labels = name_objects(instances, [3.0, 1.0], np.random.default_rng(0))
    assert ((labels > 0) == (instances > 0)).all()
    for number in range(1, OBJECTS + 1):  # one label an object
        seen = [set(labels[index][instances[index] == number].tolist()) for index in range(20)]
        assert all(len(found) == 1 for found in seen)
    # 1,600 draws of chance .75: standard error .011; pixels weigh them by area, which adds a third; five of both
    assert (labels == 1).sum() / (labels > 0).sum() == pytest.approx(0.75, abs=0.07)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_stated_share_is_wrong_and_scores_are_the_closed_form_s(maps, placement):
    instances, labels = maps
    largest = max((instances == number).sum(axis=(1, 2)).max() for number in range(1, OBJECTS + 1))
    for error in (0.0, 0.02, 0.1):
        answer = answers(maps, placement, error)
        wrong = float(np.mean(answer != labels))
        # independent: standard error .0006 of 491,520 pixels, five and more of them; objects: half of the largest disc
        tolerance = {"independent": 0.003, "boundary": 1 / labels.size}.get(placement, 0.5 * largest / labels.size)
        assert wrong == pytest.approx(error, abs=tolerance)
        shares = np.bincount(labels.ravel(), minlength=LABELS) / labels.size
        expected = overlap_scores(confusions(placement, shares, wrong)).mean_iou
        # 480 objects: at 180 wrong ones each label's share of them scatters by a tenth, the mean over five by .02;
        # discs that shift outwards gain more pixels than they lose inwards
        assert mean_iou(answer, labels, LABELS) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_mistakes_are_nested_and_the_same_again(maps, placement):
    _, labels = maps
    few, many = (answers(maps, placement, error) != labels for error in (0.03, 0.12))
    assert (few <= many).all()
    np.testing.assert_array_equal(answers(maps, placement, 0.03), answers(maps, placement, 0.03))
    assert (answers(maps, placement, 0.03, seed=1) != answers(maps, placement, 0.03)).any()


def test_mistakes_stay_where_they_belong(maps):
    instances, labels = maps
    for placement in ("missed", "renamed"):
        answer = answers(maps, placement, 0.1)
        wrong = answer != labels
        assert (answer[wrong] == 0).all() == (placement == "missed")
        for number in range(1, OBJECTS + 1):  # the whole of an object or nothing
            own = instances == number
            share = (wrong & own).sum(axis=(1, 2)) / own.sum(axis=(1, 2))
            assert set(share.tolist()) == {0.0, 1.0}
    shifted = answers(maps, "boundary", 0.05)
    wrong = shifted != labels
    assert ((shifted[wrong] == 0) != (labels[wrong] == 0)).all()  # between an object and the background only
    assert 0.3 < (labels[wrong] == 0).mean() < 0.8  # outwards and inwards
    near = np.zeros_like(wrong)
    for step in np.ndindex(7, 7):
        near |= np.roll(labels, (step[0] - 3, step[1] - 3), axis=(1, 2)) != labels
    assert wrong[near].mean() > 10 * wrong[~near].mean()


@pytest.mark.parametrize(
    ("placement", "error", "words"),
    [
        ("missed", 0.4, "error must be at most the foreground's 0.2"),
        ("boundary", 0.9, "error must be at most 0.[45].* at these boundaries, got 0.9"),
        ("edges", 0.1, "placement must be one of independent, boundary, missed, renamed, got 'edges'"),
        ("missed", 1.5, r"error must be in \[0, 1\], got 1.5"),
    ],
)
def test_wrong_arguments_are_named(maps, placement, error, words):
    with pytest.raises(ValueError, match=words):
        answers(maps, placement, error)


def test_wrong_maps_are_named():
    with pytest.raises(ValueError, match=r"foreground must be in \(0, 0.513\], got 0.6"):
        draw_instances(jax.random.key(0), 1, 0.6)
    with pytest.raises(ValueError, match="num_maps must be >= 1, got 0"):
        draw_instances(jax.random.key(0), 0, 0.2)
    with pytest.raises(ValueError, match="num_labels must be >= 3 where objects are renamed, got 2"):
        make_mistakes(np.ones((1, 2, 2), int), np.ones((1, 2, 2), int), 2, "renamed", 0.1, np.random.default_rng(0))
    assert pytest.approx(0.513, abs=5e-4) == MAX_FOREGROUND
    assert class_shares(0.2, 2)[1] == pytest.approx(0.2)
