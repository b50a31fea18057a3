"""Populations on given images: members are independent, averaged as they say, and see what they should."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from sim.networks.registry import NetworkSettings
from sim.segmentation.deep.augmentation import AUGMENTATIONS
from sim.segmentation.deep.rows import initial_parameters, initial_row
from sim.segmentation.deep.training import (
    Plan,
    committee_probabilities,
    member_probabilities,
    train_networks,
)
from sim.training import TrainSettings, cross_entropy

SIDE = 12
RNG = np.random.default_rng(0)
LABELS = (RNG.uniform(size=(6, SIDE, SIDE)) < 0.3).astype(np.int32)
IMAGES = (2.0 * LABELS + 0.5 * RNG.normal(size=LABELS.shape)).astype(np.float32)
# One convolution of a window of 3 pixels: the cheapest network to compile.
PLAN = Plan(
    NetworkSettings("patch", "shared", (SIDE, SIDE), SIDE**2, 2, width=4, levels=0, receptive_field=3),
    TrainSettings(batch_size=4, min_steps=200),
)


@pytest.fixture(scope="module")
def population():
    """Three members at two rates; the last at rate zero, on a view that is the first one upside down."""
    views = np.stack([IMAGES, IMAGES[:, ::-1]])
    return train_networks(
        PLAN, views, LABELS, seeds=[0, 1, 0], learning_rates=[0.01, 0.01, 0.0], steps=200, views=[0, 0, 1]
    )


def test_a_committee_answers_with_the_mean_of_its_members(population):
    views = np.stack([IMAGES, IMAGES[:, ::-1]])
    members = member_probabilities(population, views)
    assert members.shape == (3, 6, SIDE**2, 2)
    np.testing.assert_allclose(members.sum(axis=-1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(committee_probabilities(population, views), members.mean(axis=0))
    assert np.abs(members[0] - members[1]).max() > 0.01


def test_a_member_of_a_population_is_what_it_is_alone(population):
    """Same seed, same program for one: sums run in the same order, so the weights agree to float32's last digits."""
    alone = train_networks(PLAN, IMAGES, LABELS, seeds=[1], learning_rates=0.01, steps=200)
    np.testing.assert_allclose(alone.parameters[0], population.parameters[1], rtol=0, atol=1e-4)
    assert alone.info.steps.tolist() == [200]


def test_training_lowers_the_loss_and_a_rate_of_zero_does_nothing(population):
    loss, untrained = population.info.loss[:2], population.info.loss[2]
    assert (loss < 0.5 * untrained).all()
    assert population.info.finite.all()
    np.testing.assert_array_equal(population.parameters[2], initial_row(PLAN.network, 0))


def test_initial_kernels_have_variance_two_over_inputs():
    wide = replace(PLAN.network, width=256)
    layers = initial_parameters(wide, 5)["params"]
    kernel, head = layers["Patch_0"]["Conv_0"]["kernel"], layers["Head_0"]["kernel"]
    # 2,304 and 512 squared normal numbers: their mean is off by 6 standard errors, 18% and 38%, once in 10^9
    assert np.mean(kernel**2) == pytest.approx(2 / 9, rel=0.18)
    assert np.mean(head**2) == pytest.approx(2 / 256, rel=0.38)
    assert not layers["Head_0"]["bias"].any()


def test_each_member_answers_for_its_own_view(population):
    """With the two views exchanged every member's answers change."""
    views = np.stack([IMAGES, IMAGES[:, ::-1]])
    swapped = np.stack([IMAGES[:, ::-1], IMAGES])
    one, other = member_probabilities(population, views), member_probabilities(population, swapped)
    assert np.abs(one - other).max(axis=(1, 2, 3)).min() > 0.01


def test_larger_images_are_answered_as_windows_of_them_are(population):
    wide = RNG.normal(size=(2, SIDE + 5, SIDE + 4)).astype(np.float32)
    whole = member_probabilities(population, np.stack([wide, wide])).reshape(3, 2, SIDE + 5, SIDE + 4, 2)
    part = wide[:, 2 : 2 + SIDE, 3 : 3 + SIDE]
    cut = member_probabilities(population, np.stack([part, part])).reshape(3, 2, SIDE, SIDE, 2)
    inner = cut[:, :, 1:-1, 1:-1]  # a window of 3 pixels: the rim sees mirrored pixels
    np.testing.assert_allclose(inner, whole[:, :, 3 : 1 + SIDE, 4 : 2 + SIDE], rtol=0, atol=1e-6)


def test_class_weights_are_those_of_the_formula():
    logits = RNG.normal(size=(3, 4, 2)).astype(np.float32)
    targets = RNG.integers(0, 2, (3, 4)).astype(np.int32)
    weights = np.array([0.5, 3.0], np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    own = np.take_along_axis(shares, targets[..., None], axis=-1)[..., 0]
    found = cross_entropy(logits, targets, 2, jax.numpy.asarray(weights))
    assert float(found) == pytest.approx(float(-(weights[targets] * np.log(own)).mean()), rel=1e-5)


def test_weights_move_the_answers_to_the_rare_class():
    noisy = (LABELS + 1.5 * RNG.normal(size=LABELS.shape)).astype(np.float32)
    shares = [
        committee_probabilities(
            train_networks(PLAN, noisy, LABELS, seeds=[0], learning_rates=0.01, steps=200, class_weights=weights), noisy
        )[..., 1].mean()
        for weights in (None, [0.7, 1.7])
    ]
    assert shares[0] == pytest.approx(LABELS.mean(), abs=0.05)  # without weights the mean is calibrated
    assert shares[1] > shares[0] + 0.1


def test_turns_are_the_eight_symmetries_and_labels_turn_with_images():
    image = np.arange(9, dtype=np.int32).reshape(1, 3, 3)
    turns = AUGMENTATIONS["turns"]
    copies = np.asarray(turns.apply(np.repeat(image, 8, axis=0), np.arange(8)))
    expected = [np.rot90(flip, k) for flip in (image[0], image[0].T) for k in range(4)]
    assert sorted(copy.ravel().tolist() for copy in copies) == sorted(copy.ravel().tolist() for copy in expected)
    np.testing.assert_array_equal(copies[0], image[0])
    mirrored = np.asarray(AUGMENTATIONS["mirrors"].apply(np.repeat(image, 4, axis=0), np.arange(4)))
    np.testing.assert_array_equal(mirrored, copies[:4])


def test_shifts_are_nine_neighbours():
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    shifts = AUGMENTATIONS["shifts"]
    copies = np.asarray(shifts.apply(np.repeat(image, 9, axis=0), np.arange(9)))
    np.testing.assert_array_equal(copies[0], image[0])
    padded = np.pad(image[0], 1, mode="edge")
    expected = [padded[1 + r : 5 + r, 1 + c : 5 + c].tolist() for r in (-1, 0, 1) for c in (-1, 0, 1)]
    assert sorted(copy.tolist() for copy in copies) == sorted(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": IMAGES[:, :8]}, r"images must have the network's shape \(12, 12\), got \(1, 6, 8, 12\)"),
        ({"targets": LABELS[:4]}, r"targets must be 144 for each of 6 images, got \(4, 144\)"),
        ({"views": [1]}, r"views must name one of 1 for each of 1 seeds, got \[1\]"),
        ({"seeds": []}, "views must name one of 1 for each of 0 seeds"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        train_networks(PLAN, **{"images": IMAGES, "targets": LABELS, "seeds": [0], **changes})


def test_augmentations_that_spoil_the_answers_are_refused():
    with pytest.raises(ValueError, match="augmentation must be one of none, mirrors, turns, shifts, got 'blur'"):
        replace(PLAN, augmentation="blur")
    with pytest.raises(ValueError, match="augmentation shifts does not keep the answers of label maps"):
        replace(PLAN, augmentation="shifts")
    with pytest.raises(ValueError, match=r"turns needs square images, got \(3, 4\)"):
        AUGMENTATIONS["turns"].apply(np.zeros((1, 3, 4)), np.zeros(1, int))
