"""Networks by name: shapes, counted parameters, exactly what each output sees, and settings that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.networks.registry import HEADS, NETWORKS, Network, NetworkSettings, num_parameters, split_units

SIDE = 9


def initialised(settings):
    network = Network(settings)
    images = jax.random.normal(jax.random.key(0), (2, *settings.image_shape))
    return network.apply, network.init(jax.random.key(1), images), images


@pytest.mark.parametrize(
    ("network", "head", "units", "expected"),
    [
        ("mlp", "jway", 1, (2, 1, 5)),
        ("mlp", "dense", 3, (2, 3, 5)),
        ("mlp", "shared", 3, (2, 3, 5)),
        ("mlp", "shared", 24, (2, 24, 5)),
        ("linear", "jway", 1, (2, 1, 5)),
        ("linear", "shared", 3, (2, 3, 5)),
        ("conv", "jway", 1, (2, 1, 5)),
        ("conv", "dense", 24, (2, 24, 5)),
        ("conv", "shared", 24, (2, 24, 5)),
    ],
)
def test_logits_are_images_by_units_by_classes(network, head, units, expected):
    settings = NetworkSettings(network, head, (2, 12), units, 5, width=4, receptive_field=3)
    apply, parameters, images = initialised(settings)
    logits = apply(parameters, images)
    assert logits.shape == expected
    assert logits.dtype == jnp.float32
    assert num_parameters(settings) == sum(leaf.size for leaf in jax.tree.leaves(parameters))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (NetworkSettings("linear", "jway", (8, 8), 1, 16), 64 * 16 + 16),
        (NetworkSettings("mlp", "jway", (8, 8), 1, 16, width=10), (64 * 10 + 10) + (10 * 10 + 10) + (10 * 16 + 16)),
        (NetworkSettings("mlp", "dense", (2, 12), 3, 4, width=10), (24 * 10 + 10) + (10 * 10 + 10) + (10 * 12 + 12)),
        (NetworkSettings("mlp", "shared", (2, 12), 3, 4, width=10), (8 * 10 + 10) + (10 * 10 + 10) + (10 * 4 + 4)),
        # receptive field 5: two layers of 3x3; field 1: two layers of 1x1, so that the depth is the same
        (NetworkSettings("conv", "shared", (4, 4), 16, 2, width=6, receptive_field=5),
         (9 * 6 + 6) + (9 * 36 + 6) + (6 * 2 + 2)),
        (NetworkSettings("conv", "shared", (4, 4), 16, 2, width=6, receptive_field=1),
         (6 + 6) + (36 + 6) + (6 * 2 + 2)),
    ],
)  # fmt: skip
def test_parameters_are_counted_as_by_hand(settings, expected):
    assert num_parameters(settings) == expected


@pytest.mark.parametrize("receptive_field", [1, 3, 7])
def test_a_convolutional_output_sees_its_receptive_field_and_nothing_else(receptive_field):
    """A changed pixel outside leaves the logits bit-identical; inside, every offset of the field changes them.

    Weights are made positive, so that no rectifier can hide a path by chance.
    """
    settings = NetworkSettings("conv", "shared", (SIDE, SIDE), SIDE**2, 2, width=4, receptive_field=receptive_field)
    apply, parameters, _ = initialised(settings)
    parameters = jax.tree.map(jnp.abs, parameters)
    blank = jnp.ones((SIDE**2, SIDE, SIDE))
    poked = blank + jnp.eye(SIDE**2).reshape(SIDE**2, SIDE, SIDE)
    changed = np.asarray(apply(parameters, poked) != apply(parameters, blank)).any(axis=2)
    row, column = np.divmod(np.arange(SIDE**2), SIDE)
    offset = np.maximum(abs(row[:, None] - row[None, :]), abs(column[:, None] - column[None, :]))
    np.testing.assert_array_equal(changed, offset <= (receptive_field - 1) // 2)


@pytest.mark.parametrize("network", ["mlp", "linear"])
def test_a_shared_head_sees_its_own_tile_and_nothing_else(network):
    apply, parameters, images = initialised(NetworkSettings(network, "shared", (2, 12), 3, 4, width=8))
    poked = images.at[:, :, 4:8].add(1.0)
    changed = np.asarray(apply(parameters, poked) != apply(parameters, images)).any(axis=(0, 2))
    assert changed.tolist() == [False, True, False]


def test_a_dense_head_sees_the_whole_image():
    apply, parameters, images = initialised(NetworkSettings("mlp", "dense", (2, 12), 3, 4, width=32))
    changed = np.asarray(apply(parameters, images.at[:, :, 4:8].add(1.0)) != apply(parameters, images)).any(axis=(0, 2))
    assert changed.all()


def test_images_are_cut_into_tiles_and_pixels():
    image = jnp.arange(12).reshape(1, 2, 6)
    assert split_units(image, 3)[0].tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert split_units(image, 12)[0, :, 0].tolist() == list(range(12))


def test_every_name_is_usable():
    for network in NETWORKS:
        for head in HEADS:
            units = 1 if head == "jway" else 4
            settings = NetworkSettings(network, head, (2, 2), units, 3, width=2, receptive_field=3)
            assert num_parameters(settings) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "forest"}, r"network must be one of \['conv', 'linear', 'mlp'\], got 'forest'"),
        ({"head": "one"}, r"head must be one of \['dense', 'jway', 'shared'\], got 'one'"),
        ({"units": 2}, "a jway head has 1 unit, got units 2"),
        ({"receptive_field": 4}, "receptive_field must be odd, got 4"),
        ({"head": "shared", "units": 5}, "needs the units to divide the 12 columns, got 5"),
        ({"network": "conv", "head": "shared", "units": 3}, "needs one unit a pixel, got 3 units"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    possible = {"network": "mlp", "head": "jway", "image_shape": (2, 12), "units": 1, "classes": 4}
    NetworkSettings(**possible)
    with pytest.raises(ValueError, match=message):
        NetworkSettings(**{**possible, **changes})
