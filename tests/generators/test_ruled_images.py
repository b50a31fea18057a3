"""Ruled images: labels follow the stated rule, in NumPy, and streams do not depend on how they are cut."""

import jax
import numpy as np
import pytest

from sim.generators.patch_rules import SIZE, WINDOW, PatchRuleSpec, draw_ruled_images
from sim.theory.patch_rules import bayes_accuracy


def score_of(images, nonlinearity, order):
    inner = slice(WINDOW // 2, WINDOW // 2 + SIZE)
    image = np.asarray(images, dtype=np.float64)

    def near(down, right):
        return np.roll(image, (-down, -right), axis=(1, 2))[:, inner, inner]

    linear = (near(0, 0) + near(1, 1) + near(1, -1) + near(-1, 1) + near(-1, -1)) / 5**0.5
    product = near(0, 1) * near(0, -1) * (near(-1, 0) if order == 3 else 1)
    return (1 - nonlinearity) ** 0.5 * linear + nonlinearity**0.5 * product


@pytest.mark.parametrize(("nonlinearity", "order"), [(0.0, 2), (0.5, 2), (1.0, 2), (1.0, 3)])
def test_labels_follow_the_rule_and_its_noise(nonlinearity, order):
    spec = PatchRuleSpec(nonlinearity=nonlinearity, noise=1e-4, order=order)
    drawn = draw_ruled_images(jax.random.key(1), spec, 20)
    score = score_of(drawn.images, nonlinearity, order)
    clear = np.abs(score) > 6e-4  # six standard deviations of the noise: a miss in 3,000 pixels has chance 6e-6
    assert np.array_equal((score > 0)[clear], np.asarray(drawn.labels)[clear] == 1)
    noisy = draw_ruled_images(jax.random.key(1), PatchRuleSpec(nonlinearity=nonlinearity, order=order), 200)
    right = np.mean((score_of(noisy.images, nonlinearity, order) > 0) == (np.asarray(noisy.labels) == 1))
    # 28,800 pixels whose neighbours share factors; 5 standard errors of independent ones at p = .75, twice widened
    assert right == pytest.approx(bayes_accuracy(nonlinearity, order, 0.3), abs=0.025)


def test_a_stream_is_the_same_in_pieces_and_pixels_do_not_know_the_rule():
    spec = PatchRuleSpec(nonlinearity=0.5)
    whole = draw_ruled_images(jax.random.key(2), spec, 5)
    rest = draw_ruled_images(jax.random.key(2), spec, 2, first=3)
    assert np.array_equal(whole.images[3:], rest.images)
    assert np.array_equal(whole.labels[3:], rest.labels)
    other = draw_ruled_images(jax.random.key(2), PatchRuleSpec(nonlinearity=1.0), 5)
    assert np.array_equal(whole.images, other.images)


@pytest.mark.parametrize(("fields", "message"), [
    ({"nonlinearity": 1.2}, "nonlinearity"), ({"noise": 0.0}, "noise"), ({"order": 4}, "order"),
])  # fmt: skip
def test_fields_are_checked(fields, message):
    with pytest.raises(ValueError, match=message):
        draw_ruled_images(jax.random.key(0), PatchRuleSpec(**fields), 1)
