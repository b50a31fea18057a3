"""Heads: padding the classes changes nothing, J classes or L^m label maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sim.networks.heads import MASKED, Head, column_initializer, mask_classes
from sim.networks.registry import Network, NetworkSettings
from sim.training import cross_entropy

FEATURES = 12
UNITS, REAL, PADDED = 3, 5, 16


def features(batch=6):
    return jax.random.normal(jax.random.key(1), (batch, FEATURES))


def head_logits(classes, key=0):
    head = Head(UNITS, classes)
    return head.apply(head.init(jax.random.key(key), features()), features())


def test_padded_classes_leave_the_real_logits_as_they_are():
    """Sums of 12 products may be taken in another order when the matrix is wider: 12 * 6e-8 of numbers of order 1."""
    padded, plain = head_logits(PADDED), head_logits(REAL)
    assert padded.shape == (6, UNITS, PADDED)
    np.testing.assert_allclose(padded[..., :REAL], plain, rtol=0, atol=1e-6)
    assert float(jnp.abs(plain - head_logits(REAL, key=2)).max()) > 0.1  # another key gives other weights


def test_masked_classes_have_no_probability_and_no_gradient():
    logits = 5.0 * jax.random.normal(jax.random.key(3), (4, UNITS, PADDED))
    probabilities = jax.nn.softmax(mask_classes(logits, REAL))
    assert (np.asarray(probabilities[..., REAL:]) == 0.0).all()
    np.testing.assert_allclose(probabilities[..., :REAL], jax.nn.softmax(logits[..., :REAL]), rtol=2e-6)
    targets = jnp.ones((4, UNITS), jnp.int32)
    gradient = np.asarray(jax.grad(cross_entropy)(logits, targets, REAL))
    assert (gradient[..., REAL:] == 0.0).all()
    assert (gradient[..., :REAL] != 0.0).all()


def test_a_masked_logit_beats_nothing_even_where_it_is_huge():
    logits = jnp.array([[[-50.0, -60.0, 1e8]]])
    gradient = jax.grad(cross_entropy)(logits, jnp.zeros((1, 1), jnp.int32), 2)
    assert np.isfinite(np.asarray(gradient)).all()
    assert gradient[0, 0, 2].item() == 0.0
    assert mask_classes(logits, 2)[0, 0].tolist() == [-50.0, -60.0, MASKED]


def test_a_padded_network_has_the_gradient_of_the_unpadded_one():
    """Through a trunk: one softmax of 5 against one of 16 whose rest is zero; 1e-6 of the largest gradient allows for
    sums in another order."""
    images = jax.random.normal(jax.random.key(4), (8, 2, 6))
    targets = jax.random.randint(jax.random.key(5), (8, 1), 0, REAL)

    def gradient(classes):
        network = Network(NetworkSettings("mlp", "jway", (2, 6), 1, classes, width=7))
        parameters = network.init(jax.random.key(6), images)
        return jax.grad(lambda p: cross_entropy(network.apply(p, images), targets, REAL))(parameters)["params"]

    plain, padded = gradient(REAL), gradient(PADDED)
    head = padded.pop("Head_0")
    assert (np.asarray(head["kernel"])[:, REAL:] == 0.0).all()
    assert (np.asarray(head["bias"])[REAL:] == 0.0).all()
    plain_head = plain.pop("Head_0")
    for one, other in zip(
        jax.tree.leaves([padded, head["kernel"][:, :REAL], head["bias"][:REAL]]),
        jax.tree.leaves([plain, plain_head["kernel"], plain_head["bias"]]),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * float(jnp.abs(other).max()))


def test_initial_columns_are_independent_normal_of_variance_one_over_features():
    """Kolmogorov-Smirnov on 40,000 weights, rejected at 1e-6: the rate at which a right head would fail."""
    weights = np.asarray(column_initializer(100, 10)(jax.random.key(7), (40, 1000)))
    assert stats.kstest(weights.ravel() * np.sqrt(40), "norm").pvalue > 1e-6
    assert len(np.unique(weights)) > 0.999 * weights.size  # no column is another one's copy


def test_units_come_first_then_classes():
    """Unit u, class l stands in column u * classes + l of the kernel."""
    head = Head(2, 3)
    kernel = jnp.zeros((1, 6)).at[0, 4].set(1.0)
    logits = head.apply({"params": {"kernel": kernel, "bias": jnp.zeros(6)}}, jnp.ones((1, 1)))
    assert logits[0].tolist() == [[0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("network", ["mlp", "linear"])
def test_a_shared_head_has_one_set_of_weights_for_all_units(network):
    """The same tile in every place gives the same logits in every place, bit for bit; a dense head does not."""
    tile = jax.random.normal(jax.random.key(8), (3, 2, 4))
    images = jnp.concatenate([tile] * 3, axis=2)

    def logits(head):
        model = Network(NetworkSettings(network, head, (2, 12), 3, 4, width=6))
        return np.asarray(model.apply(model.init(jax.random.key(9), images), images))

    shared, dense = logits("shared"), logits("dense")
    assert (shared == shared[:, :1]).all()
    assert np.abs(dense - dense[:, :1]).max() > 0.1
