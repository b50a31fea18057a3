"""The fast convolution against XLA's own, outside and inside loops, and on the platforms nobody here has.

Tolerance: sums of at most 8,192 float32 products (the pixels of a batch) in another order. Each partial sum rounds by
6e-8 of its size, and rounding adds like a random walk: 6e-8 * sqrt(8,192) = 5e-6 of the largest entry, so 1e-5; a
dropped or doubled kernel tap changes entries by 1e-1 and more.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sim.networks.convolution import convolve, flax_convolution

RELATIVE = 1e-5
ROWS, COLUMNS, CHANNELS, FEATURES = 7, 5, 3, 4


def reference(images, kernel, dilation=(1, 1)):
    return lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", rhs_dilation=dilation, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def drawn(height, width, members=(), images=(8, ROWS, COLUMNS)):
    rng = np.random.default_rng(0)
    shapes = ((*images, CHANNELS), (height, width, CHANNELS, FEATURES), (*images, FEATURES))
    return tuple(rng.normal(size=(*members, *shape)).astype(np.float32) for shape in shapes)


def value_and_gradients(function):
    def run(images, kernel, cotangent):
        value, pull = jax.vjp(function, images, kernel)
        return value, *pull(cotangent)

    return run


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        scale = np.abs(np.asarray(other)).max()
        np.testing.assert_allclose(one, other, rtol=0, atol=RELATIVE * scale)


@pytest.mark.parametrize(("height", "width"), [(3, 3), (1, 1), (5, 7)])
def test_values_and_both_gradients_equal_lax(height, width):
    arguments = drawn(height, width)
    expected = jax.jit(value_and_gradients(reference))(*arguments)
    assert_same(jax.jit(value_and_gradients(convolve))(*arguments), expected)


@pytest.mark.parametrize("dilation", [(2, 2), (3, 1)])
def test_dilated_values_and_gradients_equal_lax(dilation):
    arguments = drawn(3, 5)
    expected = jax.jit(value_and_gradients(partial(reference, dilation=dilation)))(*arguments)
    assert_same(jax.jit(value_and_gradients(partial(convolve, dilation=dilation)))(*arguments), expected)


@pytest.mark.parametrize("images", [(2, 64, 64), (6, 30, 44), (1, 70, 80)])
def test_gradients_summed_over_groups_of_images_equal_lax(images):
    """More pixels than a group holds: groups of one image, of three, and one image that is too large for a group."""
    arguments = drawn(3, 3, images=images)
    expected = jax.jit(value_and_gradients(reference))(*arguments)
    assert_same(jax.jit(value_and_gradients(convolve))(*arguments), expected)


@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
@pytest.mark.parametrize(("channels", "features"), [(5, 3), (3, 5), (20, 3), (20, 18), (1, 4)])
def test_gradients_of_large_images_equal_lax(channels, features, dilation):
    """More than 1,024 pixels: by products with the columns of the side that has fewer channels, where they are few."""
    rng = np.random.default_rng(0)
    shapes = (2, 34, 31, channels), (3, 5, channels, features), (2, 34, 31, features)
    arguments = tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)
    expected = jax.jit(value_and_gradients(partial(reference, dilation=dilation)))(*arguments)
    assert_same(jax.jit(value_and_gradients(partial(convolve, dilation=dilation)))(*arguments), expected)


@pytest.mark.parametrize("side", [1, 3])
def test_gradients_inside_loops_equal_lax_outside(side):
    """A kernel of its own for each member of a population, which is where the shortcut is taken."""
    run = value_and_gradients(convolve)
    arguments = drawn(side, side, members=(3,))

    @jax.jit
    def population(arguments):
        mapped = lax.map(lambda one: run(*one), arguments)
        chunked = lax.map(lambda one: run(*one), arguments, batch_size=3)
        return mapped, chunked

    reference_run = jax.jit(value_and_gradients(reference))
    for found in population(arguments):
        for index in range(3):
            expected = reference_run(*(argument[index] for argument in arguments))
            assert_same([part[index] for part in found], expected)


def test_images_are_padded_with_zeros():
    total = convolve(jnp.ones((1, 3, 4, 1)), jnp.ones((3, 3, 1, 1)))[0, :, :, 0]
    assert total.tolist() == [[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (4, 4)])
def test_even_kernels_are_refused(shape):
    with pytest.raises(ValueError, match=r"kernel sides must be odd, got \(\d, \d\)"):
        convolve(jnp.ones((1, 4, 4, 1)), jnp.ones((*shape, 1, 1)))


def test_strides_and_other_paddings_are_refused():
    images, kernel = jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1))
    with pytest.raises(ValueError, match="strides 1 and padding SAME"):
        flax_convolution(images, kernel, (2, 2), "SAME")
    with pytest.raises(ValueError, match="strides 1 and padding SAME"):
        flax_convolution(images, kernel, (1, 1), "VALID")


def test_input_dilation_and_feature_groups_are_refused():
    images, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 1, 2))
    with pytest.raises(ValueError, match=r"1 feature group, got \(1, 1\) and 2"):
        flax_convolution(images, kernel, (1, 1), "SAME", feature_group_count=2)
    with pytest.raises(ValueError, match=r"input dilation 1 .* got \(2, 2\) and 1"):
        flax_convolution(images, kernel, (1, 1), "SAME", lhs_dilation=(2, 2))


def test_flax_passes_its_kernel_dilation():
    images = drawn(3, 3)[0]
    plain, fast = (
        nn.Conv(FEATURES, (3, 3), kernel_dilation=(2, 2), conv_general_dilated=function)
        for function in (None, flax_convolution)
    )
    parameters = plain.init(jax.random.key(0), images)
    assert_same([fast.apply(parameters, images)], [plain.apply(parameters, images)])


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_keep_their_own_convolution(platform):
    """Lowered for a platform that is not here: three plain convolutions (value, two gradients), no matrix products."""
    lowered = jax.jit(value_and_gradients(convolve)).trace(*drawn(3, 3)).lower(lowering_platforms=(platform,))
    text = lowered.as_text()
    assert text.count("stablehlo.convolution") == 3
    assert "stablehlo.dot_general" not in text


def test_kernel_gradient_keeps_the_axes_of_the_fast_path_on_cpu():
    text = jax.jit(value_and_gradients(convolve)).trace(*drawn(3, 3)).lower(lowering_platforms=("cpu",)).as_text()
    assert text.count("stablehlo.convolution") == 3
    assert text.count("dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]") == 3


def test_a_kernel_of_one_pixel_is_a_matrix_product_on_cpu():
    text = jax.jit(value_and_gradients(convolve)).trace(*drawn(1, 1)).lower(lowering_platforms=("cpu",)).as_text()
    assert "stablehlo.convolution" not in text
    assert text.count("stablehlo.dot_general") == 3
