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


def drawn(height, width, batch=8):
    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.normal(keys[0], (batch, ROWS, COLUMNS, CHANNELS))
    kernel = jax.random.normal(keys[1], (height, width, CHANNELS, FEATURES))
    cotangent = jax.random.normal(keys[2], (batch, ROWS, COLUMNS, FEATURES))
    return images, kernel, cotangent


def value_and_gradients(function):
    def run(images, kernel, cotangent):
        value, pull = jax.vjp(function, images, kernel)
        return value, *pull(cotangent)

    return run


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(one, other, rtol=0, atol=RELATIVE * scale)


@pytest.mark.parametrize(("height", "width"), [(3, 3), (1, 1), (5, 3), (1, 7)])
def test_values_and_both_gradients_equal_lax(height, width):
    arguments = drawn(height, width)
    expected = jax.jit(value_and_gradients(reference))(*arguments)
    assert_same(jax.jit(value_and_gradients(convolve))(*arguments), expected)


@pytest.mark.parametrize("loop", ["map", "scan of vmap"])
def test_gradients_inside_loops_equal_lax_outside(loop):
    """A kernel of its own for each member of a population, which is where the shortcut is taken."""
    members = [drawn(3, 3), tuple(2.0 * a for a in drawn(3, 3)), drawn(3, 3)]
    stacked = tuple(jnp.stack(leaves) for leaves in zip(*members, strict=True))
    run = value_and_gradients(convolve)

    @jax.jit
    def population(arguments):
        if loop == "map":
            return lax.map(lambda one: run(*one), arguments)
        return lax.scan(lambda _, pair: (None, jax.vmap(run)(*pair)), None, jax.tree.map(lambda a: a[None], arguments))[1]

    found = population(stacked)
    for index, arguments in enumerate(members):
        member = tuple(part[index] if loop == "map" else part[0, index] for part in found)
        assert_same(member, value_and_gradients(reference)(*arguments))


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
    np.testing.assert_array_equal(flax_convolution(images, kernel, (1, 1), "SAME"), convolve(images, kernel))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_keep_their_own_convolution(platform):
    """Lowered for a platform that is not here: three plain convolutions (value and two gradients), no matrix products."""
    lowered = jax.jit(value_and_gradients(convolve)).trace(*drawn(3, 3)).lower(lowering_platforms=(platform,))
    text = lowered.as_text()
    assert text.count("stablehlo.convolution") == 3
    assert "stablehlo.dot_general" not in text
    own = jax.jit(value_and_gradients(convolve)).trace(*drawn(3, 3)).lower(lowering_platforms=("cpu",)).as_text()
    assert own.count("stablehlo.convolution") == 2  # on CPU the kernel's gradient is nine matrix products
    assert own.count("stablehlo.dot_general") == 9
