"""The fast convolution against XLA's own, outside and inside loops, and on the platforms nobody here has.

Tolerance: sums of at most batch * rows * columns * 9 = 2,520 float32 products in another order. Each partial sum
rounds by 6e-8 of its size, and rounding adds like a random walk: 6e-8 * sqrt(2,520) = 3e-6 of the largest entry, so
1e-5; a dropped or doubled kernel tap changes entries by 1e-1 and more.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sim.networks.convolution import convolve, flax_convolution

RELATIVE = 1e-5
ROWS, COLUMNS, CHANNELS, FEATURES = 7, 5, 3, 4


def reference(images, kernel):
    return lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def drawn(height, width, members=()):
    rng = np.random.default_rng(0)
    shapes = ((8, ROWS, COLUMNS, CHANNELS), (height, width, CHANNELS, FEATURES), (8, ROWS, COLUMNS, FEATURES))
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


def test_gradients_inside_loops_equal_lax_outside():
    """A kernel of its own for each member of a population, which is where the shortcut is taken."""
    run = value_and_gradients(convolve)
    arguments = drawn(3, 3, members=(3,))

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


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_keep_their_own_convolution(platform):
    """Lowered for a platform that is not here: three plain convolutions (value, two gradients), no matrix products."""
    lowered = jax.jit(value_and_gradients(convolve)).trace(*drawn(3, 3)).lower(lowering_platforms=(platform,))
    text = lowered.as_text()
    assert text.count("stablehlo.convolution") == 3
    assert "stablehlo.dot_general" not in text
    own = jax.jit(value_and_gradients(convolve)).trace(*drawn(3, 3)).lower(lowering_platforms=("cpu",)).as_text()
    assert own.count("stablehlo.convolution") == 2  # on CPU the kernel's gradient is nine matrix products
    assert own.count("stablehlo.dot_general") == 9
