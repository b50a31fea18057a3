"""Contours have their stated variation and area; turning is NumPy's; the deepest two are those of a sort."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.generators.phantoms import shapes

SIZE = 96


@jax.jit
def draw_contour(key, variation, decay):
    waves = shapes.Pool(key, 5).take_waves(variation=variation, decay=decay)
    polar = shapes.seen_from(*shapes.centred_grid(SIZE, 4.0), jnp.array([0.1, -0.2]))
    return waves, shapes.depth(polar, 1.0, waves)


def radius_at(waves, angle):
    orders = np.asarray(shapes.HARMONICS)[:, None]
    return 1 + waves[:, 0] @ np.cos(orders * angle) + waves[:, 1] @ np.sin(orders * angle)


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.floats(0.0078125, 0.09375, width=32), st.floats(-1, 4, width=32))
def test_contours_have_their_variation_and_area_and_depths_their_distance(seed, variation, decay):
    waves, depths = map(np.asarray, draw_contour(jax.random.key(seed), variation, decay))
    angle = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
    radius = radius_at(waves.astype(float), angle)
    assert np.sqrt(np.mean((radius - 1) ** 2)) == pytest.approx(variation, rel=1e-4)
    assert np.abs(radius - 1).max() <= float(shapes.largest_wave(variation, decay)) + 1e-6
    # pi (1 + variation^2) for unit radius; soft edges on a grid of 4/96 err by less than a thousandth here.
    area = np.asarray(shapes.coverage(jnp.asarray(depths), 4.0 / SIZE)).sum() * (4.0 / SIZE) ** 2
    assert area == pytest.approx(np.pi * (1 + variation**2), rel=2e-3)
    edge = np.stack([0.1 + radius * np.sin(angle), -0.2 + radius * np.cos(angle)], axis=-1)
    near = np.argwhere(np.abs(depths) < 0.03)[::17]
    places = (near + 0.5) / SIZE * 4 - 2
    true = np.sqrt(((places[:, None] - edge[None]) ** 2).sum(axis=-1)).min(axis=1)
    # First order: the error is half the curvature, up to 36 * 3 * 0.1 of lobes, times the distance squared.
    assert np.abs(np.abs(depths[tuple(near.T)]) - true).max() < 0.006


@pytest.mark.parametrize("pose", range(8))
def test_poses_turn_as_numpy_and_back(pose):
    image = np.arange(36.0, dtype=np.float32).reshape(6, 6)
    expected = np.rot90(image[:, ::-1] if pose >= 4 else image, k=pose % 4)
    turned = shapes.turned(jnp.asarray(image), pose)
    assert np.array_equal(turned, expected)
    assert np.array_equal(shapes.turned_back(turned, pose), image)
    row, column = 1, 4
    point = shapes.turned_points(jnp.array([[row - 2.5, column - 2.5]]), pose)[0] + 2.5
    assert expected[tuple(np.round(point).astype(int))] == image[row, column]


def test_the_deepest_two_are_those_of_a_sort():
    depths = np.random.default_rng(0).normal(size=(11, 5, 7)).astype(np.float32)
    found = jax.tree.map(np.asarray, shapes.deepest_two(lambda depth: depth, jnp.asarray(depths), (5, 7)))
    order = np.argsort(-depths, axis=0)
    assert np.array_equal(found.owner, order[0])
    assert np.array_equal(found.runner_up, order[1])
    assert np.array_equal([found.first, found.second], -np.sort(-depths, axis=0)[:2])
    assert np.array_equal(shapes.union(lambda depth: depth, jnp.asarray(depths), (5, 7)), np.maximum(depths.max(0), 0))


def test_ranks_are_a_permutation_and_normals_normal():
    pool = shapes.Pool(jax.random.key(0), 4016)
    assert sorted(np.asarray(pool.take_ranks(16))) == list(range(16))
    normals = np.asarray(pool.take_normal(4000))
    # Five standard errors of 4,000 normal numbers.
    assert abs(normals.mean()) < 5 / np.sqrt(4000)
    assert normals.std() == pytest.approx(1, abs=5 / np.sqrt(8000))
