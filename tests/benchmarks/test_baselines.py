"""All baselines do the arithmetic of the population engine: same network, same loss, same Adam step."""

import functools
import math

import jax
import numpy as np
import optax
import pytest

from benchmarks import engine, flax_step, jit_vmap
from benchmarks.workloads import LEARNING_RATE, STUDY, WORKLOADS, initial_weights, make_data, step_operations
from sim.networks.registry import Network, num_parameters
from sim.training import cross_entropy

WORKS = [WORKLOADS[name]._replace(batch_size=8, inputs=16) for name in ("mlp_small", "conv")]
# A step of Adam moves a weight by lr * g / (|g| + 1e-8): where |g| is near the float32 noise of the sums, about 1e-7 of
# the largest gradient, libraries differ by a part of a step; elsewhere by rounding.
STEP_TOLERANCE = 0.05 * LEARNING_RATE
LOSS_TOLERANCE = 1e-5  # relative: float32 sums over at most 8 * 256 terms in different orders


@pytest.fixture(params=WORKS, ids=lambda work: work.name)
def work(request):
    return request.param


def batches_of(work, count=2):
    images, targets = make_data(work)
    cuts = [slice(step * work.batch_size, (step + 1) * work.batch_size) for step in range(count)]
    return [(images[cut], targets[cut]) for cut in cuts]


@functools.lru_cache
def flax_result(work, seed, count=2):
    return flax_step.train(work, initial_weights(work, seed), batches_of(work, count))


def assert_same(found, expected, initial):
    for (kernel, bias), (kernel_0, bias_0), (start, _) in zip(found, expected, initial, strict=True):
        assert kernel.shape == kernel_0.shape == start.shape
        assert np.abs(kernel_0 - start).max() > 0.5 * LEARNING_RATE  # the steps were taken
        for value, value_0 in ((kernel, kernel_0), (bias, bias_0)):
            differ = np.abs(value - value_0)
            assert np.mean(differ > STEP_TOLERANCE) < 1e-3
            assert differ.max() <= 4.2 * LEARNING_RATE  # two steps at most, each of about the learning rate


def population_parameters(work, weights):
    """The weights as the parameters of the engine's own network."""
    layers = [{"kernel": kernel, "bias": bias} for kernel, bias in weights]
    trunk = "Dense_0" if work.network == "mlp" else "Convolutional_0"
    return {"params": {trunk: {f"layer{n}": layer for n, layer in enumerate(layers[:-1])}, "Head_0": layers[-1]}}


def engine_step(work, weights, images, targets):
    """One step of `sim.training`'s arithmetic: its loss, its network with its own convolution, Adam."""
    network, optimizer = Network(engine.network_of(work)), optax.scale_by_adam()
    parameters = population_parameters(work, weights)

    @jax.jit
    def step(parameters, state):
        loss, gradient = jax.value_and_grad(
            lambda p: cross_entropy(network.apply(p, images), targets, np.int32(work.classes))
        )(parameters)
        with jax.numpy_dtype_promotion("standard"):
            update, _ = optimizer.update(gradient, state)
        return jax.tree.map(lambda p, u: p - LEARNING_RATE * u, parameters, update), loss

    found, loss = step(parameters, optimizer.init(parameters))
    trunk, head = (found["params"][name] for name in sorted(found["params"], key=lambda name: name == "Head_0"))
    layers = [trunk[name] for name in sorted(trunk)] + [head]
    return [(np.asarray(layer["kernel"]), np.asarray(layer["bias"])) for layer in layers], float(loss)


def test_numbers_of_parameters_agree(work):
    weights = initial_weights(work)
    count = sum(kernel.size + bias.size for kernel, bias in weights)
    assert count == num_parameters(engine.network_of(work))


def test_the_operations_of_a_step_are_those_that_xla_counts(work):
    """XLA counts every operation of forward and backward pass. It leaves out the gradient of the images, and adds
    activations and the loss, which are below a tenth here; its padded convolutions skip the border's zeros."""
    images, targets = batches_of(work, 1)[0]
    _, step = flax_step.make_step(work)
    parameters = flax_step.flax_parameters(initial_weights(work))
    state = optax.adam(LEARNING_RATE).init(parameters)
    counted = jax.jit(step).lower(parameters, state, images, targets).compile().cost_analysis()["flops"]
    assert 0.8 * step_operations(work) < counted < 1.3 * step_operations(work)


def test_the_medium_network_takes_22_million_operations_a_step():
    assert step_operations(STUDY) == step_operations(WORKLOADS["mlp_medium"]) == 6 * 64 * (64 + 128 + 256) * 128


def test_flax_takes_the_engines_step(work):
    weights, batch = initial_weights(work), batches_of(work, 1)
    expected, loss_0 = engine_step(work, weights, *batch[0])
    found, losses = flax_result(work, 0, 1)
    assert math.isclose(losses[0], loss_0, rel_tol=LOSS_TOLERANCE)
    assert_same(found, expected, weights)


def test_a_vmapped_population_takes_the_steps_of_single_networks(work):
    populations = [initial_weights(work, seed) for seed in (0, 7)]
    found, losses = jit_vmap.train(work, populations, batches_of(work))
    for member, weights in enumerate(populations):
        expected, losses_0 = flax_result(work, (0, 7)[member])
        np.testing.assert_allclose(losses[:, member], losses_0, rtol=LOSS_TOLERANCE)
        assert_same(found[member], expected, weights)


@pytest.mark.parametrize("variant", ["eager", "channels_last", "ensemble"])
def test_torch_takes_the_steps_of_flax(work, variant):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its baselines are NOT compared with Flax")
    from benchmarks import torch_loops

    weights, other = initial_weights(work), initial_weights(work, 7)
    expected, losses_0 = flax_result(work, 0)
    if variant == "ensemble":
        loop = torch_loops.Ensemble(work, [other, weights])
    else:
        loop = torch_loops.Eager(work, weights, channels_last=variant == "channels_last")
    losses = []
    for images, targets in batches_of(work):
        pair = [torch.tensor(images), torch.tensor(targets).long()]
        pair = [torch.stack([value, value]) for value in pair] if variant == "ensemble" else pair
        losses.append(loop.step(*pair).detach().numpy())
    found = loop.weights(1) if variant == "ensemble" else loop.weights()
    np.testing.assert_allclose(np.stack(losses).reshape(2, -1)[:, -1], losses_0, rtol=LOSS_TOLERANCE)
    assert_same(found, expected, weights)
