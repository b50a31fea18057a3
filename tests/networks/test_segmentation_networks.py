"""Networks for segmentation: exact windows by the input's gradient, equality with the plain forms, refused settings."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sim.generators.scenes import SCENES, ScenesSpec
from sim.member import Member, Settings, make_member
from sim.networks.classifiers import maxout
from sim.networks.convolution import convolve
from sim.networks.pooling import dense_maximum, interleaved, pool_max, unfold, upsample
from sim.networks.registry import CLASSIFIERS, PIXELWISE, POOLED, Network, NetworkSettings, num_parameters
from sim.networks.windows import window_kernels
from sim.training import Recipe, TrainSettings

RNG = np.random.default_rng(0)
DIMENSIONS = ("NHWC", "HWIO", "NHWC")
# float32 sums of at most a few hundred products in another order; see test_convolution for the reason
RELATIVE = 1e-5


def pixelwise(network, side=12, **others):
    return NetworkSettings(network, "shared", (side, side), side * side, 2, width=3, **others)


def numbers(settings, seed=0):
    """Parameters filled with normal numbers, without compiling an initialisation."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(Network(settings).init, jax.random.key(0), jnp.zeros((1, *settings.image_shape)))
    return jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), shapes)


def seen_by(settings, row, column, images=100):
    """Pixels whose change changes a pixel's logits at one random image or another, by the gradient.

    With positive weights and images no path vanishes in a rectifier; a pixel may lose a comparison in one image.
    """
    parameters = jax.tree.map(np.abs, numbers(settings))
    stack = RNG.uniform(0.5, 1.5, (images, *settings.image_shape)).astype(np.float32)
    unit = row * settings.image_shape[1] + column
    gradient = jax.jit(jax.grad(lambda stack: Network(settings).apply(parameters, stack)[:, unit].sum()))(stack)
    return (np.asarray(gradient) != 0).any(axis=0)


@pytest.mark.parametrize("network", PIXELWISE)
def test_pixelwise_networks_give_one_answer_a_pixel(network):
    settings = pixelwise(network, receptive_field=13)
    logits = jax.eval_shape(Network(settings).apply, numbers(settings), jnp.zeros((2, 12, 12)))
    assert (logits.shape, logits.dtype) == ((2, 144, 2), jnp.float32)


@pytest.mark.parametrize("network", CLASSIFIERS)
def test_classifiers_give_one_answer_an_image(network):
    settings = NetworkSettings(network, "dense", (8, 12), 1, 5, width=3)
    logits = jax.eval_shape(Network(settings).apply, numbers(settings), jnp.zeros((2, 8, 12)))
    assert (logits.shape, logits.dtype) == ((2, 1, 5), jnp.float32)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # two scales of 3 and 6 channels; a score layer each of 3; a head of 2
        (pixelwise("fcn", levels=1, skips=1, depth=1), (27 + 3) + (27 * 6 + 6) + (6 * 3 + 3) + (3 * 3 + 3) + 8),
        (pixelwise("encoder_decoder", levels=1, depth=1), 30 + 168 + (6 * 12 + 12) + (27 * 3 + 3) + 8),
        (pixelwise("unet", levels=1, depth=1), 30 + 168 + (6 * 12 + 12) + (54 * 3 + 3) + 8),
        (pixelwise("dilated", rates=(1, 3), depth=1), 30 + 2 * (27 * 3 + 3) + 8),
        # window 5: a kernel of 3, then all that is left, one pixel, to six units
        (pixelwise("patch", levels=1, receptive_field=5), 30 + (3 * 6 + 6) + 14),
        (NetworkSettings("maxout", "dense", (4, 4), 1, 5, width=3, depth=1, levels=1),
         (9 * 6 + 6) + (12 * 12 + 12) + 35),
        (NetworkSettings("classifier", "dense", (4, 4), 1, 5, width=3, depth=1, levels=1),
         30 + (12 * 6 + 6) + 35),
    ],
)  # fmt: skip
def test_parameters_are_counted_as_by_hand(settings, expected):
    assert num_parameters(settings) == expected


@pytest.mark.parametrize(("receptive_field", "levels"), [(3, 0), (5, 1), (7, 1), (13, 2)])
def test_a_patch_network_sees_its_window_and_nothing_else(receptive_field, levels):
    settings = pixelwise("patch", side=19, receptive_field=receptive_field, levels=levels)
    seen, reach = seen_by(settings, 9, 8), receptive_field // 2
    row, column = np.indices((19, 19))
    np.testing.assert_array_equal(seen, np.maximum(abs(row - 9), abs(column - 8)) <= reach)


def test_a_dilated_network_sees_as_far_as_its_rates_say():
    settings = pixelwise("dilated", side=15, depth=1, rates=(1, 4))
    row, column = np.indices((15, 15))
    reach = np.maximum(abs(row - 7), abs(column - 7))
    seen = seen_by(settings, 7, 7)
    # offsets {-4, 0, 4} of rate 4 and {-1, 0, 1} of rate 1, each widened by one pixel by the layer before
    offsets = np.abs(np.stack([row - 7, column - 7]))
    np.testing.assert_array_equal(seen, (reach <= 2) | (np.isin(offsets, (0, 1, 3, 4, 5)).all(axis=0)))


@pytest.mark.parametrize("network", ["fcn", "encoder_decoder", "unet"])
def test_pooling_widens_what_a_pixel_sees(network):
    """One convolution a scale on the way down, and one on the way up where there is a decoder, at 32 x 32.

    The window is bounded by hand: at the coarsest of two levels a pixel sees 3 x 3 blocks of 4 pixels, each block 3
    blocks of 2 pixels, and so on down and up.
    """
    near = seen_by(pixelwise(network, side=32, depth=1, levels=0, skips=0), 16, 16)
    far = seen_by(pixelwise(network, side=32, depth=1, levels=2), 16, 16)
    row, column = np.indices((32, 32))
    distance = np.maximum(abs(row - 16), abs(column - 16))
    assert distance[near].max() == 1
    # down: 1 + 2 + 4 pixels of reach; up: growing or convolving on scales 2 and 1; a block's own extent: 3
    assert 4 <= distance[far].max() <= (1 + 2 + 4) + (4 + 2 + 1) + 3


def window_network(parameters, windows, kernels):
    """The patch classifier of single windows, with XLA's own unpadded convolutions and strided pooling."""
    hidden = windows[..., None]
    layers = parameters["params"]["Patch_0"]
    # Flax numbers convolutions in the order in which they are made: one a level from the outside in, then the last.
    for index in range(len(kernels) + 1):
        layer = layers[f"Conv_{index}"]
        hidden = lax.conv_general_dilated(hidden, layer["kernel"], (1, 1), "VALID", dimension_numbers=DIMENSIONS)
        hidden = jnp.maximum(hidden + layer["bias"].reshape(1, 1, 1, -1), 0.0)
        if index < len(kernels):
            hidden = lax.reduce_window(hidden, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")
    head = parameters["params"]["Head_0"]
    assert hidden.shape[1:3] == (1, 1)
    return hidden[:, 0, 0] @ head["kernel"] + head["bias"].reshape(1, -1)


@pytest.mark.parametrize(("receptive_field", "levels"), [(9, 1), (15, 2)])
def test_the_dense_patch_network_equals_the_network_of_each_window(receptive_field, levels):
    settings = NetworkSettings(
        "patch", "shared", (10, 7), 70, 2, width=3, receptive_field=receptive_field, levels=levels
    )
    parameters, reach = numbers(settings), receptive_field // 2
    images = RNG.normal(size=(2, 10, 7)).astype(np.float32)
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (receptive_field, receptive_field), axis=(1, 2))
    kernels, _ = window_kernels(receptive_field, levels)
    expected = jax.jit(lambda w: window_network(parameters, w, kernels))(
        windows.reshape(-1, receptive_field, receptive_field)
    )
    found = np.asarray(jax.jit(Network(settings).apply)(parameters, images)).reshape(-1, 2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=RELATIVE * np.abs(found).max())


@pytest.mark.parametrize("receptive_field", range(1, 62, 2))
def test_window_kernels_leave_an_odd_side(receptive_field):
    for levels in range(4):
        try:
            kernels, last = window_kernels(receptive_field, levels)
        except ValueError:
            assert receptive_field < 3 * 2 ** (levels + 1) + 4 * levels  # the smallest windows only
            continue
        side = last
        for kernel in reversed(kernels):
            side = 2 * side + kernel
        assert (side, last % 2) == (receptive_field, 1)


@pytest.mark.parametrize("rate", [1, 2, 3, 5])
def test_an_interleaved_convolution_is_the_dilated_one(rate):
    maps = RNG.normal(size=(2, 7, 9, 3)).astype(np.float32)
    kernel = RNG.normal(size=(3, 3, 3, 4)).astype(np.float32)
    expected = lax.conv_general_dilated(
        maps, kernel, (1, 1), "SAME", rhs_dilation=(rate, rate), dimension_numbers=DIMENSIONS
    )
    found = jax.jit(lambda m: interleaved(lambda part: convolve(part, kernel), m, rate))(maps)
    np.testing.assert_allclose(found, expected, rtol=0, atol=RELATIVE * np.abs(np.asarray(expected)).max())


def test_unfolding_is_a_transposed_convolution():
    maps = RNG.normal(size=(2, 3, 5, 4)).astype(np.float32)
    kernel = RNG.normal(size=(2, 2, 4, 3)).astype(np.float32)
    expected = lax.conv_transpose(maps, kernel, (2, 2), "VALID", dimension_numbers=DIMENSIONS)
    flipped = kernel[::-1, ::-1]  # lax's transposed convolution slides the kernel unflipped over the spread-out input
    found = unfold(jnp.asarray(maps) @ flipped.transpose(2, 0, 1, 3).reshape(4, 12), 3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_maxima_and_growing():
    maps = RNG.uniform(size=(1, 4, 6, 2)).astype(np.float32)
    window = lax.reduce_window(maps, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    np.testing.assert_array_equal(dense_maximum(jnp.asarray(maps)), window)
    blocks = lax.reduce_window(maps, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    np.testing.assert_array_equal(pool_max(jnp.asarray(maps)), blocks)
    grown = upsample(jnp.arange(3.0).reshape(1, 1, 3, 1), 2)[0, 0, :, 0]
    np.testing.assert_allclose(grown, [0, 0.25, 0.75, 1.25, 1.75, 2], atol=1e-6)


def test_maxout_takes_the_largest_piece():
    values = RNG.normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_array_equal(maxout(jnp.asarray(values), 3), values.reshape(5, 2, 3).max(axis=2))


@pytest.mark.parametrize("network", [*PIXELWISE, *CLASSIFIERS])
def test_the_population_engine_takes_them(network):
    """Traced, not compiled: drawing, training and scoring fit together, with a head padded from two labels to four."""
    spec = ScenesSpec(grid_size=8, objects=2, size=0.25, max_labels=4)
    head = "dense" if network in CLASSIFIERS else "shared"
    settings = NetworkSettings(network, head, (8, 8), 64, 4, width=2, depth=1, levels=1, skips=1)
    run = make_member(Settings(SCENES, settings, max_inputs=16, test_items=20, training=TrainSettings(batch_size=8)))
    key = jax.random.key(0)
    results = jax.eval_shape(run, Member(spec, 16, Recipe(1e-3, 0.0, 0.0, 300), key, key))
    assert {leaf.shape for leaf in jax.tree.leaves(results)} == {()}


@pytest.mark.parametrize("network", POOLED)
def test_sides_must_divide(network):
    head, units = ("dense", 1) if network in CLASSIFIERS else ("shared", 8 * 12)
    NetworkSettings(network, head, (8, 12), units, 2)
    with pytest.raises(ValueError, match=r"multiples of 2\^levels = 8 for .*got \(8, 12\)"):
        NetworkSettings(network, head, (8, 12), units, 2, levels=3)


@pytest.mark.parametrize(
    ("network", "changes", "message"),
    [
        ("fcn", {"skips": 3}, r"skips must be in 0\.\.levels = 2, got 3"),
        ("unet", {"levels": -1}, "levels must be >= 0, got -1"),
        ("unet", {"units": 3}, "a shared head on a unet trunk needs one unit a pixel, got 3 units"),
        ("dilated", {"rates": ()}, r"rates must be one or more numbers >= 1, got \(\)"),
        ("patch", {"receptive_field": 11}, "receptive_field must leave a pixel after 2 levels, got 11"),
        ("maxout", {"head": "shared"}, "head must be dense or jway on a maxout trunk, got 'shared'"),
        ("maxout", {"head": "dense", "units": 1, "pieces": 1}, "pieces must be >= 2, got 1"),
    ],
)
def test_impossible_settings_are_refused(network, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(NetworkSettings("mlp", "shared", (12, 12), 144, 2), network=network, **changes)
