"""Networks by name: shapes, counted parameters, exactly what each output sees, and settings that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.networks.registry import CLASSIFIERS, HEADS, NETWORKS, Network, NetworkSettings, num_parameters, split_units

SIDE = 9


def shapes_of(settings):
    """Shapes of logits and parameters, without computing any."""
    network, images = Network(settings), jnp.zeros((2, *settings.image_shape))
    parameters = jax.eval_shape(network.init, jax.random.key(0), images)
    return jax.eval_shape(network.apply, parameters, images), parameters


def numbers(settings, rng):
    """Parameters filled with normal numbers: no time is lost on compiling the network's own initialisation."""
    return jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), shapes_of(settings)[1])


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
    logits, _ = shapes_of(NetworkSettings(network, head, (2, 12), units, 5, width=4, receptive_field=3))
    assert (logits.shape, logits.dtype) == (expected, jnp.float32)


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
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes_of(settings)[1])) == expected


@pytest.mark.parametrize("receptive_field", [1, 3, 7])
def test_a_convolutional_output_sees_its_receptive_field_and_nothing_else(receptive_field):
    """A changed pixel outside leaves the logits bit-identical; inside, every offset of the field changes them.

    All weights are positive, so that no rectifier can hide a path by chance.
    """
    settings = NetworkSettings("conv", "shared", (SIDE, SIDE), SIDE**2, 2, width=4, receptive_field=receptive_field)
    rng = np.random.default_rng(0)
    parameters = jax.tree.map(np.abs, numbers(settings, rng))
    blank = np.ones((1, SIDE, SIDE), np.float32)
    poked = blank + np.eye(SIDE**2, dtype=np.float32).reshape(SIDE**2, SIDE, SIDE)
    logits = np.asarray(jax.jit(Network(settings).apply)(parameters, np.concatenate([blank, poked])))
    changed = (logits[1:] != logits[:1]).any(axis=2)
    row, column = np.divmod(np.arange(SIDE**2), SIDE)
    offset = np.maximum(abs(row[:, None] - row[None, :]), abs(column[:, None] - column[None, :]))
    np.testing.assert_array_equal(changed, offset <= (receptive_field - 1) // 2)


def test_a_shared_head_sees_its_own_tile_and_a_dense_one_the_whole_image():
    rng = np.random.default_rng(1)
    images = rng.normal(size=(2, 2, 12)).astype(np.float32)
    poked = images.copy()
    poked[:, :, 4:8] += 1.0

    changed = []
    for network, head in (("mlp", "shared"), ("linear", "shared"), ("mlp", "placed"), ("mlp", "dense")):
        model = Network(NetworkSettings(network, head, (2, 12), 3, 4, width=32))
        parameters = numbers(model.settings, rng)
        apply = jax.jit(model.apply)
        difference = np.asarray(apply(parameters, poked)) != np.asarray(apply(parameters, images))
        changed.append(difference.any(axis=(0, 2)).tolist())
    assert changed == [[False, True, False], [False, True, False], [False, True, False], [True, True, True]]


def test_only_a_placed_head_tells_equal_tiles_apart():
    rng = np.random.default_rng(3)
    image = np.tile(rng.standard_normal((1, 2, 4)).astype(np.float32), (1, 1, 3))
    differ = []
    for head in ("shared", "placed"):
        model = Network(NetworkSettings("mlp", head, (2, 12), 3, 4, width=32))
        logits = np.asarray(jax.jit(model.apply)(numbers(model.settings, rng), image))[0]
        differ.append(bool(np.any(logits != logits[:1])))
    assert differ == [False, True]


def test_images_are_cut_into_tiles_and_pixels():
    image = jnp.arange(12).reshape(1, 2, 6)
    assert np.asarray(split_units(image, 3))[0].tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert np.asarray(split_units(image, 12))[0, :, 0].tolist() == list(range(12))


def test_every_name_is_usable():
    for network in NETWORKS:
        for head in HEADS:
            if head == "shared" and network in CLASSIFIERS:
                continue
            if head == "placed" and network not in ("mlp", "linear"):
                continue
            units = 1 if head == "jway" else 16
            settings = NetworkSettings(network, head, (4, 4), units, 3, width=2, receptive_field=5, levels=1, skips=1)
            assert shapes_of(settings)[0].shape == (2, units, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "forest"}, r"network must be one of \[.*'conv', .*'linear', .*'mlp', .*\], got 'forest'"),
        ({"head": "one"}, r"head must be one of \['dense', 'jway', 'placed', 'shared'\], got 'one'"),
        ({"units": 2}, "a jway head has 1 unit, got units 2"),
        ({"receptive_field": 4}, "receptive_field must be odd, got 4"),
        ({"head": "shared", "units": 5}, "needs the units to divide the 12 columns, got 5"),
        ({"network": "conv", "head": "shared", "units": 3}, "needs one unit a pixel, got 3 units"),
        ({"network": "conv", "head": "placed", "units": 24}, "head placed needs network mlp or linear, got 'conv'"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    possible = {"network": "mlp", "head": "jway", "image_shape": (2, 12), "units": 1, "classes": 4}
    NetworkSettings(**possible)
    with pytest.raises(ValueError, match=message):
        NetworkSettings(**{**possible, **changes})
