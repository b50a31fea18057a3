"""Heads: padding the classes changes nothing, and each head reads what it says."""

import jax
import numpy as np
from scipy import stats

from sim.networks.heads import MASKED, Head, column_initializer, mask_classes
from sim.networks.registry import Network, NetworkSettings
from sim.training import cross_entropy

UNITS, REAL, PADDED = 3, 5, 16
RNG = np.random.default_rng(0)


def numbers(network, image_shape):
    """Parameters of a network filled with normal numbers: no time is lost on compiling its own initialisation."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, *image_shape), np.float32))
    return jax.tree.map(lambda leaf: 0.5 * RNG.normal(size=leaf.shape).astype(np.float32), shapes)


@jax.jit
def initial_kernels(key):
    """Kernels of a padded and of an unpadded head of 100 units and 40 features, from one key."""
    return [column_initializer(100, classes)(key, (40, 100 * classes)) for classes in (PADDED, REAL)]


def test_padded_classes_leave_the_real_columns_as_they_are():
    padded, plain = map(np.asarray, initial_kernels(jax.random.key(0)))
    np.testing.assert_array_equal(padded.reshape(40, 100, PADDED)[:, :, :REAL], plain.reshape(40, 100, REAL))
    assert np.abs(plain - np.asarray(initial_kernels(jax.random.key(2))[1])).max() > 0.1


def test_initial_columns_are_independent_normal_of_variance_one_over_features():
    """Kolmogorov-Smirnov on 64,000 weights, rejected at 1e-6: the rate at which a right head would fail."""
    weights = np.asarray(initial_kernels(jax.random.key(7))[0])
    assert stats.kstest(weights.ravel() * np.sqrt(40), "norm").pvalue > 1e-6
    assert np.unique(weights, axis=1).shape[1] == 100 * PADDED  # no column is another one's copy


def test_masked_classes_have_no_probability_and_no_gradient():
    logits = (5.0 * RNG.normal(size=(4, UNITS, PADDED))).astype(np.float32)
    targets = np.ones((4, UNITS), np.int32)

    @jax.jit
    def run(logits):
        return jax.nn.softmax(mask_classes(logits, REAL)), jax.grad(cross_entropy)(logits, targets, REAL)

    probabilities, gradient = jax.tree.map(np.asarray, run(logits))
    assert (probabilities[..., REAL:] == 0.0).all()
    expected = np.exp(logits[..., :REAL].astype(np.float64))
    # float32 exponentials of a few units each, summed over five classes
    np.testing.assert_allclose(probabilities[..., :REAL], expected / expected.sum(-1, keepdims=True), rtol=2e-6)
    assert (gradient[..., REAL:] == 0.0).all()
    assert (gradient[..., :REAL] != 0.0).all()


def test_a_masked_logit_beats_nothing_even_where_it_is_huge():
    logits = np.array([[[-50.0, -60.0, 1e8]]], np.float32)
    gradient = np.asarray(jax.jit(jax.grad(cross_entropy))(logits, np.zeros((1, 1), np.int32), 2))
    assert np.isfinite(gradient).all()
    assert gradient[0, 0, 2] == 0.0
    assert np.asarray(mask_classes(logits, 2))[0, 0].tolist() == [-50.0, -60.0, MASKED]


def test_a_padded_network_has_the_logits_and_the_gradient_of_the_unpadded_one():
    """Through a trunk: a softmax of 5 against one of 16 whose rest is zero; sums run in another order where a matrix is
    wider: 1e-6 of the largest entry is some ten roundings."""
    images = RNG.normal(size=(8, 2, 6)).astype(np.float32)
    targets = RNG.integers(0, REAL, (8, 1)).astype(np.int32)
    network = Network(NetworkSettings("mlp", "jway", (2, 6), 1, PADDED, width=7))
    wide = numbers(network, (2, 6))
    head = {"kernel": wide["params"]["Head_0"]["kernel"][:, :REAL], "bias": wide["params"]["Head_0"]["bias"][:REAL]}
    narrow = {"params": {**wide["params"], "Head_0": head}}

    def evaluate(classes, parameters):
        network = Network(NetworkSettings("mlp", "jway", (2, 6), 1, classes, width=7))

        def loss(parameters):
            logits = network.apply(parameters, images)
            return cross_entropy(logits, targets, REAL), logits

        gradient, logits = jax.jit(jax.grad(loss, has_aux=True))(parameters)
        return jax.tree.map(np.asarray, (logits, gradient["params"]))

    (logits, plain), (padded_logits, padded) = evaluate(REAL, narrow), evaluate(PADDED, wide)
    head = padded.pop("Head_0")
    assert (head["kernel"][:, REAL:] == 0.0).all()
    assert (head["bias"][REAL:] == 0.0).all()
    padded["Head_0"] = {"kernel": head["kernel"][:, :REAL], "bias": head["bias"][:REAL]}
    found, expected = jax.tree.leaves([padded, padded_logits[..., :REAL]]), jax.tree.leaves([plain, logits])
    for one, other in zip(found, expected, strict=True):
        assert np.abs(other).max() > 1e-3
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * np.abs(other).max())


def test_units_come_first_then_classes():
    """Unit u, class l stands in column u * classes + l of the kernel."""
    kernel = np.zeros((1, 6), np.float32)
    kernel[0, 4] = 1.0
    parameters = {"params": {"kernel": kernel, "bias": np.zeros(6, np.float32)}}
    logits = np.asarray(Head(2, 3).apply(parameters, np.ones((1, 1), np.float32)))
    assert logits[0].tolist() == [[0, 0, 0], [0, 1, 0]]


def test_a_shared_head_has_one_set_of_weights_for_all_units():
    """The same tile in every place gives the same logits in every place; a dense head does not. On the same trunk and
    the same numbers the sums run in the same order for every tile, so equal means bit for bit."""
    images = np.tile(RNG.normal(size=(3, 2, 4)).astype(np.float32), (1, 1, 3))

    found = {}
    for name, head in (("mlp", "shared"), ("linear", "shared"), ("mlp", "dense")):
        model = Network(NetworkSettings(name, head, (2, 12), 3, 4, width=6))
        found[name, head] = np.asarray(jax.jit(model.apply)(numbers(model, (2, 12)), images))
    for name in ("mlp", "linear"):
        shared = found[name, "shared"]
        assert (shared == shared[:, :1]).all()
    assert np.abs(found["mlp", "dense"] - found["mlp", "dense"][:, :1]).max() > 0.1
