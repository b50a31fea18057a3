"""Blobs and rings: what a scene is, and what is left of it on a coarser grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.generators.outlines import FINE, RINGS, THICKNESS, draw_outlines, ring_labels, shrink
from sim.generators.scenes import draw_objects

draw = jax.jit(draw_outlines, static_argnums=1)


@pytest.fixture(scope="module")
def drawn():
    return {
        outline: tuple(map(np.asarray, draw(jax.random.key(0), outline, 2.0, jnp.arange(40))))
        for outline in ("blobs", "rings")
    }


@pytest.mark.parametrize("outline", ["blobs", "rings"])
def test_every_scene_has_object_and_background(drawn, outline):
    images, labels = drawn[outline]
    assert images.shape == labels.shape == (40, FINE, FINE)
    share = labels.mean(axis=(1, 2))
    assert (share > 0.02).all()
    assert (share < 0.5).all()


def test_rings_have_their_area():
    """A ring of radius r and thickness t covers pi t (2 r - t); 40 scenes, so to some 1% (pixels at both edges)."""
    covered, expected = 0, 0.0
    cover = jax.jit(lambda objects: ring_labels(objects, FINE, THICKNESS / FINE).sum())
    place = jax.jit(lambda key: draw_objects(key, RINGS))
    for number in range(40):
        objects = place(jax.random.key(number))
        covered += int(cover(objects))
        radius = np.asarray(objects.radius[:, 0])[np.asarray(objects.label) > 0] * FINE
        expected += float((np.pi * THICKNESS * (2 * radius - THICKNESS)).sum())
    assert covered == pytest.approx(expected, rel=0.02)


def test_images_are_maps_in_noise(drawn):
    """False-fail rate 6e-5 a bound: four standard errors of 163,840 independent pixels."""
    images, labels = drawn["blobs"]
    noise = images - (2.0 * labels - 1.0)
    assert abs(noise.mean()) < 4 * 2.0 / np.sqrt(noise.size)
    assert abs(noise.std() / 2.0 - 1) < 4 / np.sqrt(2 * noise.size)


def test_an_image_depends_on_its_number_alone():
    long = draw(jax.random.key(0), "rings", 2.0, jnp.arange(40))
    other = draw(jax.random.key(0), "rings", 2.0, jnp.arange(39, -1, -1))
    assert np.array_equal(long[0], other[0][::-1])
    assert np.array_equal(long[1], other[1][::-1])


def test_shrinking_keeps_area_and_averages(drawn):
    images, labels = drawn["rings"]
    for grid in (8, 16, 32, 64):
        small, shares = map(np.asarray, shrink(jnp.asarray(images), jnp.asarray(labels), grid))
        assert small.shape == shares.shape == (40, grid, grid)
        np.testing.assert_allclose(shares.mean(axis=(1, 2)), labels.mean(axis=(1, 2)), atol=1e-5)  # float32 sums
        block = images[:, : FINE // grid, : FINE // grid].mean(axis=(1, 2))
        np.testing.assert_allclose(small[:, 0, 0], block, atol=1e-5)


def test_rules_are_named():
    with pytest.raises(ValueError, match="outline must be one of"):
        draw_outlines(jax.random.key(0), "stars", 1.0, jnp.arange(1))
    with pytest.raises(ValueError, match="grid_size must divide 64, got 7"):
        shrink(jnp.zeros((1, 64, 64)), jnp.zeros((1, 64, 64), jnp.int32), 7)
