"""Networks of rows see what they should, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.networks.chains import ChainNetwork, ChainSettings, radial_basis


@pytest.mark.parametrize(("padded", "kernel", "layers"), [(True, 3, 3), (False, 3, 3), (False, 7, 2), (True, 3, 0)])
def test_an_output_sees_its_own_surroundings_alone(padded, kernel, layers):
    """All weights are positive, so that no rectifier hides a path by chance."""
    reach, length = layers * (kernel // 2), 24
    network = ChainNetwork(ChainSettings(2, kernel, layers, 4, padded))
    blank = np.ones((1, length), np.float32)
    parameters = jax.tree.map(jnp.abs, network.init(jax.random.key(0), blank))
    rows = np.concatenate([blank, blank + np.eye(length, dtype=np.float32)])
    logits = np.asarray(jax.jit(network.apply)(parameters, rows))
    changed = (logits[1:] != logits[:1]).any(axis=2)
    centre = np.arange(logits.shape[1]) + (0 if padded else reach)
    np.testing.assert_array_equal(changed, abs(np.arange(length)[:, None] - centre[None, :]) <= reach)


def test_outputs_share_their_weights():
    network = ChainNetwork(ChainSettings(3, 3, 2, 8, padded=False))
    row = np.random.default_rng(0).standard_normal((1, 12)).astype(np.float32)
    parameters = network.init(jax.random.key(1), row)
    whole, later = network.apply(parameters, row), network.apply(parameters, row[:, 3:])
    # the same sums in matrix products of another shape: float32 rounding of numbers of order one
    np.testing.assert_allclose(np.asarray(whole)[:, 3:], np.asarray(later), atol=1e-5)


def test_basis_functions_peak_at_their_centres():
    shown = np.asarray(radial_basis(jnp.linspace(-1.0, 1.0, 5), -1.0, 1.0, 5, 0.25))
    np.testing.assert_array_equal(shown.argmax(axis=1), np.arange(5))
    assert shown.diagonal() == pytest.approx(1.0)
    assert shown[0, 1] == pytest.approx(np.exp(-2.0), abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"), [({"kernel": 2}, "kernel must be odd and >= 1, got 2"), ({"width": 0}, "width must be >= 1")]
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ChainSettings(**{"classes": 2, **change})
