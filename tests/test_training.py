"""Training of one network: it learns, stops when flat, says when it failed, and uses nothing but its own images.

All networks here are one compiled program: a small perceptron on 96 images of 4 pixels with room for 8 classes.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.networks.heads import mask_classes
from sim.training import BLOCK, Recipe, TrainSettings, cross_entropy, make_train

PIXELS, HIDDEN, CLASSES, IMAGES = 4, 16, 8, 96
KEY = jax.random.key(0)


def perceptron(parameters, images):
    hidden = jax.nn.relu(images.reshape(-1, PIXELS) @ parameters["first"] + parameters["bias"][None, :])
    return (hidden @ parameters["last"])[:, None, :]


TRAIN = jax.jit(make_train(perceptron, TrainSettings(batch_size=16)))


def start(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "first": rng.normal(0, 0.7, (PIXELS, HIDDEN)).astype(np.float32),
        "bias": np.zeros(HIDDEN, np.float32),
        "last": rng.normal(0, 0.25, (HIDDEN, CLASSES)).astype(np.float32),
    }


def toy(classes=4, spread=0.3, images=IMAGES):
    """Classes at well separated points; the label of image i is i mod classes."""
    rng = np.random.default_rng(1)
    labels = np.arange(images) % classes
    centres = 3.0 * np.eye(PIXELS)[np.arange(classes) % PIXELS] * np.where(np.arange(classes) < PIXELS, 1, -1)[:, None]
    pixels = centres[labels] + spread * rng.normal(size=(images, PIXELS))
    return pixels.reshape(-1, 2, 2).astype(np.float32), labels[:, None].astype(np.int32)


def train(recipe, data=None, num_inputs=IMAGES, classes=4, parameters=None, key=KEY):
    images, targets = data or toy(classes)
    return TRAIN(key, recipe, parameters or start(), images, targets, num_inputs, classes)


def recipe(learning_rate=3e-3, weight_decay=0.0, input_noise=0.0, max_steps=6000):
    """Arrays, so that every recipe runs through one compiled program."""
    numbers = (np.float32(number) for number in (learning_rate, weight_decay, input_noise))
    return Recipe(*numbers, np.int32(max_steps))


def accuracy(parameters, data, classes=4):
    logits = mask_classes(perceptron(parameters, data[0]), classes)
    return float(np.mean(np.asarray(logits).argmax(-1) == data[1]))


def assert_bit_equal(first, second):
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_separable_task_is_learned_to_a_flat_loss():
    parameters, info = train(recipe())
    assert accuracy(start(), toy()) < 0.7
    assert accuracy(parameters, toy()) == 1.0
    assert info.converged.item()
    assert info.finite.item()
    assert info.loss.item() < 0.02
    assert 1000 <= info.steps.item() < 6000  # flat well before the budget
    assert info.steps.item() % BLOCK == 0


def test_a_budget_too_small_is_spent_and_not_called_flat():
    _, info = train(recipe(learning_rate=1e-4, max_steps=400))
    assert (info.steps.item(), info.converged.item(), info.finite.item()) == (400, False, True)


def test_a_loss_still_falling_at_the_end_of_the_budget_is_not_flat():
    """A hard task at a low rate: the last quarter of 2,000 steps still gains more than 2%."""
    _, info = train(recipe(learning_rate=1e-4, max_steps=2000), data=toy(8), classes=8)
    assert (info.steps.item(), info.converged.item()) == (2000, False)


@pytest.mark.parametrize("max_steps", [0, BLOCK - 1])
def test_no_whole_block_of_steps_returns_the_initial_weights(max_steps):
    parameters, info = train(recipe(max_steps=max_steps))
    assert_bit_equal(parameters, start())
    assert (info.steps.item(), info.finite.item(), info.converged.item()) == (0, True, False)


def test_divergence_is_caught_and_ends_the_training():
    """At a rate of 1e6 the weights reach 1e6 and their decay of 1e6 a step multiplies them without bound."""
    _, info = train(recipe(learning_rate=1e6, weight_decay=1.0))
    assert not info.finite.item()
    assert info.steps.item() < 6000


def test_images_beyond_num_inputs_are_never_used():
    """Everything from the 33rd image on is made unusable; not a bit changes. The 32nd image does matter."""
    images, targets = toy()
    spoiled = images.copy(), targets.copy()
    spoiled[0][32:], spoiled[1][32:] = np.nan, CLASSES - 1
    expected = train(recipe(max_steps=500), num_inputs=32)
    assert_bit_equal(train(recipe(max_steps=500), data=spoiled, num_inputs=32), expected)
    changed = images.copy(), targets
    changed[0][31] += 1.0
    weights, _ = train(recipe(max_steps=500), data=changed, num_inputs=32)
    assert not np.array_equal(weights["first"], expected[0]["first"])


def test_the_key_sets_the_order_of_the_images():
    first, _ = train(recipe(max_steps=100))
    assert_bit_equal(first, train(recipe(max_steps=100))[0])
    other, _ = train(recipe(max_steps=100), key=jax.random.key(1))
    assert not np.array_equal(first["first"], other["first"])


def test_input_noise_blurs_what_is_learned():
    """Noise of 30 on centres 3 apart leaves next to nothing to learn: the loss stays near ln 4 = 1.386."""
    _, info = train(recipe(input_noise=30.0, max_steps=500))
    assert info.loss.item() > 1.0
    _, clear = train(recipe(input_noise=0.0, max_steps=500))
    assert clear.loss.item() < 0.3


def test_cross_entropy_is_that_worked_out_by_hand():
    logits = np.log(np.array([[[0.2, 0.3, 0.5]], [[0.6, 0.2, 0.2]]], np.float32))
    targets = np.array([[1], [0]], np.int32)
    run = jax.jit(cross_entropy)
    assert run(logits, targets, 3).item() == pytest.approx(-(np.log(0.3) + np.log(0.6)) / 2, abs=1e-6)
    # without the third class: .3 / .5 and .6 / .8
    assert run(logits, targets, 2).item() == pytest.approx(-(np.log(0.6) + np.log(0.75)) / 2, abs=1e-6)


def test_a_j_way_output_does_not_see_a_renaming_of_its_classes():
    """Labels sent through a permutation, output columns permuted alike: the same network with its columns permuted.

    Exact in real numbers. In float32 two sums run over the classes in another order (the softmax's, and the gradient
    that flows back into the hidden layer): 6e-8 a step, and Adam divides by gradients, so the difference grows with
    the steps. After 300 steps it stays below 1e-3 of the largest weight, while the wrong permutation differs by
    more than a tenth.
    """
    rng = np.random.default_rng(2)
    renaming = rng.permutation(CLASSES)
    images, targets = toy(8, spread=1.0)
    begin, steps = start(), recipe(max_steps=300, weight_decay=0.03, input_noise=0.3)
    columns = np.empty_like(begin["last"])
    columns[:, renaming] = begin["last"]
    plain, info = train(steps, data=(images, targets), classes=8)
    renamed, other = train(
        steps, data=(images, renaming[targets].astype(np.int32)), classes=8, parameters={**begin, "last": columns}
    )
    scale = float(np.abs(np.asarray(plain["last"])).max())
    np.testing.assert_allclose(np.asarray(renamed["last"])[:, renaming], plain["last"], rtol=0, atol=1e-3 * scale)
    np.testing.assert_allclose(renamed["first"], plain["first"], rtol=0, atol=1e-3 * scale)
    assert other.loss.item() == pytest.approx(info.loss.item(), rel=1e-3)
    assert np.abs(np.asarray(renamed["last"]) - np.asarray(plain["last"])).max() > 0.1 * scale


@pytest.fixture(scope="module")
def steady():
    """Training whose gradient hardly changes: each Adam step is then one learning rate long, whatever the data.

    The logits are 1e-4 * weight <= 1.2e-3, so the gradient stays 5e-5 within 6e-4 of itself; Adam's epsilon adds 2e-4.
    """
    program = jax.jit(
        make_train(
            lambda p, x: jnp.stack([1e-4 * p["weight"] + 0.0 * x[:, 0, :], 0.0 * x[:, 0, :]], -1),
            TrainSettings(batch_size=1),
        )
    )
    begin = {"weight": np.zeros((), np.float32), "unused": np.ones((), np.float32)}
    images, targets = np.zeros((4, 1, 1), np.float32), np.zeros((4, 1), np.int32)

    def run(max_steps, weight_decay=0.0):
        found, info = program(KEY, recipe(0.01, weight_decay, 0.0, max_steps), begin, images, targets, 4, 2)
        return {name: float(value) for name, value in found.items()}, info

    return run


def test_the_rate_is_constant_then_falls_linearly_over_the_last_quarter(steady):
    """800 steps are 16 blocks: 12 at the full rate, then 4/4, 3/4, 2/4, 1/4 of it."""
    found, info = steady(800)
    assert (info.steps.item(), info.converged.item()) == (800, False)
    assert found["weight"] == pytest.approx(0.01 * BLOCK * (12 + 1 + 0.75 + 0.5 + 0.25), rel=1e-3)


def test_a_flat_loss_starts_the_decay_which_lasts_a_third_of_the_time_before(steady):
    """Flat as soon as that may be said, after 1,000 steps = 20 blocks; then 7 blocks at 7/7, 6/7, ... 1/7."""
    found, info = steady(50_000)
    assert (info.steps.item(), info.converged.item()) == (27 * BLOCK, True)
    assert found["weight"] == pytest.approx(0.01 * BLOCK * (20 + 4), rel=1e-3)


def test_weight_decay_is_decoupled_from_the_gradient(steady):
    """A weight without a gradient shrinks by 1 - rate * decay a step, and by nothing else."""
    found, _ = steady(800, weight_decay=0.3)
    shares = [1.0] * 13 + [0.75, 0.5, 0.25]
    expected = np.prod([(1 - 0.01 * share * 0.3) ** BLOCK for share in shares])
    assert found["unused"] == pytest.approx(expected, rel=1e-4)  # 800 roundings of 6e-8
    assert steady(800)[0]["unused"] == 1.0


def test_a_batch_without_images_is_refused():
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        TrainSettings(batch_size=0)
