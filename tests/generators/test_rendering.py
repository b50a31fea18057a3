"""Resampling keeps area; blur keeps mass and has the stated width; noise has the stated law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage, stats

from sim.generators import rendering, resampling
from sim.testing import assert_mean_within

labels = hnp.arrays(np.int32, (6, 12), elements=st.integers(0, 3))


@settings(deadline=None)
@given(labels)
def test_resampling_conserves_area(maps):
    for factor in (2, 3):
        shares = np.asarray(resampling.label_fractions(jnp.asarray(maps), factor, 4))
        assert shares.sum(axis=-1) == pytest.approx(1.0, abs=1e-6)
        counts = np.bincount(maps.ravel(), minlength=4) / maps.size
        assert shares.mean(axis=(0, 1)) == pytest.approx(counts, abs=1e-6)
        mean = np.asarray(resampling.area_average(jnp.asarray(maps, jnp.float32), factor))
        assert mean == pytest.approx(shares @ np.arange(4), abs=1e-5)
        most = np.asarray(resampling.majority(jnp.asarray(maps), factor, 4))
        assert np.array_equal(most, shares.argmax(axis=-1))
        assert np.array_equal(resampling.majority(resampling.repeat_pixels(jnp.asarray(maps), factor), factor, 4), maps)


def test_resampling_refuses_factors_that_do_not_divide():
    with pytest.raises(ValueError, match=r"factor must divide both sides \(6, 12\), got 4"):
        resampling.area_average(jnp.zeros((6, 12)), 4)
    with pytest.raises(ValueError, match="factor must be a whole number >= 1, got 0"):
        resampling.majority(jnp.zeros((6, 12), jnp.int32), 0, 2)


@pytest.mark.parametrize("deviation", [0.0, 0.7, 2.0])
def test_blur_is_scipys(deviation):
    image = np.random.default_rng(0).normal(size=(24, 20)).astype(np.float32)
    ours = rendering.blur(jnp.asarray(image), deviation, 2.0)
    expected = ndimage.gaussian_filter(image, deviation, mode="reflect", truncate=8 / max(deviation, 1e-3))
    # Float32 sums of 17 terms, and what lies beyond four standard deviations.
    np.testing.assert_allclose(ours, expected, atol=3e-4 if deviation else 1e-6)


def test_blur_refuses_a_kernel_beyond_the_image():
    with pytest.raises(ValueError, match="largest must be at most 2 for this image, got 3"):
        rendering.blur(jnp.zeros((8, 8)), 1.0, 3.0)


def test_bias_has_mean_one_and_its_amplitude():
    fields = jax.vmap(lambda key: rendering.bias_field(key, (20, 30), 0.2))(jax.random.split(jax.random.key(0), 50))
    assert np.asarray(fields).mean(axis=(1, 2)) == pytest.approx(1.0, abs=1e-5)
    assert np.abs(np.asarray(fields) - 1).max(axis=(1, 2)) == pytest.approx(0.2, abs=1e-5)


def test_correlated_noise_has_its_variance_and_correlation():
    """Away from the mirrored edges; false-fail rate 1e-8 each."""
    draws = jax.vmap(lambda key: rendering.correlated_noise(key, (32, 32), 2.0, 1.0, 1.5))
    noise = np.asarray(draws(jax.random.split(jax.random.key(1), 2000)))[:, 10:-10, 10:-10]
    assert assert_mean_within(noise[:, 5, 5] ** 2, 4.0) < 2.0
    assert assert_mean_within((noise[:, 5, 5] * noise[:, 5, 7]) / 4, np.exp(-1)) < 0.5
    assert assert_mean_within((noise**2).mean(axis=(1, 2)), 4.0) < 0.4


def test_rician_and_photon_noise_have_their_laws():
    key = jax.random.key(2)
    seen = np.asarray(rendering.rician(key, jnp.full((200, 200), 3.0), 1.5)).ravel()
    assert stats.kstest(seen, stats.rice(b=2.0, scale=1.5).cdf).pvalue > 1e-8  # the false-fail rate
    counts = np.asarray(rendering.photon_noise(key, jnp.full((20000,), 0.5), 40.0)) * 40
    assert assert_mean_within(counts, 20.0) < 0.5
    assert assert_mean_within((counts - 20.0) ** 2, 20.0) < 3


@pytest.mark.parametrize("deviation", [0.0, 0.7, 3.0])
def test_the_blur_matrix_is_scipys_blur_and_a_mean_over_blocks(deviation):
    image = np.random.default_rng(3).normal(size=(24, 24)).astype(np.float32)
    matrix = rendering.blur_matrix(24, deviation, 3)
    expected = ndimage.gaussian_filter(image, deviation, mode="reflect", truncate=6 if deviation else 1)
    expected = expected.reshape(8, 3, 8, 3).mean(axis=(1, 3))
    # Float32 sums of 24 terms; beyond the first mirror image of a blur of 3 lie 1e-6 of it.
    np.testing.assert_allclose(matrix @ image @ matrix.T, expected, atol=1e-5)
    with pytest.raises(ValueError, match="factor must divide the side 24, got 5"):
        rendering.blur_matrix(24, 1.0, 5)


def test_smooth_fields_have_their_variance_and_correlation_and_know_no_grid():
    """False-fail rate 1e-8 each; the variance is 1 at the edges too."""
    draws = jax.jit(jax.vmap(lambda key: rendering.smooth_field(key, 32, 32, 2 / 32)))
    fields = np.asarray(draws(jax.random.split(jax.random.key(4), 2000)))
    assert assert_mean_within(fields[:, [0, 0, 16], [0, 16, 16]] ** 2, np.ones(3)) < 0.5
    assert assert_mean_within(fields[:, 16, 14] * fields[:, 16, 18], np.exp(-1)) < 0.5
    coarse, fine = (rendering.smooth_field(jax.random.key(5), size, 16, 0.1) for size in (10, 30))
    np.testing.assert_allclose(fine[1::3, 1::3], coarse, atol=1e-5)


def test_camera_noise_has_the_moments_of_its_law():
    """Mean, variance and skewness at five photons and some read noise; false-fail rate 1e-8 each."""
    clean, deviation, share = 0.5, 0.25, 0.8
    counts_a_unit = 1 / (share * deviation**2)
    noise = np.asarray(rendering.poisson_gaussian(jax.random.key(6), jnp.full((500, 400), clean), deviation, share))
    noise = noise.ravel().astype(float) - clean
    variance = deviation**2 * (share * clean + 1 - share) + (1 / 18) / counts_a_unit**2
    assert assert_mean_within(noise, 0.0) < 0.01
    assert assert_mean_within(noise**2, variance) < 0.05 * variance
    # The third moment of a Poisson count of mean m is m; its second-term expansion gives m + 1/27.
    third = (clean * counts_a_unit + 1 / 27) / counts_a_unit**3
    assert assert_mean_within(noise**3, third) < third
