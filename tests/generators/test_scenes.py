"""Scenes: labels exact, poses exact, the same scene on every grid, areas as geometry has them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sim.generators.scenes import SCENES, SQUEEZE, ScenesSpec, draw_objects, sample_labels
from sim.testing import assert_mean_within, generator_specs, keys

draw_scene = jax.jit(draw_objects)
sample = jax.jit(sample_labels, static_argnums=(1, 2))
draw_labels = jax.jit(jax.vmap(lambda key, spec: sample_labels(draw_objects(key, spec), spec.kind, spec.grid_size),
                               in_axes=(0, None)))  # fmt: skip


def label_maps(spec, key, number=8):
    return np.asarray(draw_labels(jax.random.split(key, number), spec))


@settings(max_examples=40, deadline=None)
@given(spec=generator_specs(SCENES), key=keys())
def test_every_image_shows_exactly_its_labels(spec, key):
    for labels in label_maps(spec, key):
        assert set(np.unique(labels)) == set(range(spec.labels))


@settings(max_examples=20, deadline=None)
@given(spec=generator_specs(SCENES, pose=st.just(0)), key=keys(), pose=st.integers(1, 7))
def test_a_pose_turns_and_mirrors_the_label_map(spec, key, pose):
    """Away from edges that pass within rounding of a pixel's centre: at most two pixels of a scene (never seen)."""
    objects = draw_scene(key, spec)
    plain = np.asarray(sample(objects, spec.kind, spec.grid_size))
    posed = np.asarray(sample(objects, spec.kind, spec.grid_size, pose))
    expected = np.rot90(plain[:, ::-1] if pose >= 4 else plain, k=pose % 4)
    assert np.sum(posed != expected) <= 2


@pytest.mark.parametrize("kind", ["discs", "ellipses", "polygons", "voronoi"])
def test_finer_grids_show_the_same_scene(kind):
    """Pixels that a boundary crosses may differ: at most perimeter / pixel, four sides of every cell and half again."""
    spec = ScenesSpec(kind=kind, lattice=2, max_labels=4, labels=3, objects=4, size=0.24, grid_size=16)
    for seed in range(5):
        objects = draw_scene(jax.random.key(seed), spec)
        coarse = np.asarray(sample(objects, kind, 16))
        fine = np.asarray(sample(objects, kind, 48))
        assert np.array_equal(fine[1::3, 1::3], coarse)  # the middle of three pixels is the coarse one's centre
        changed = np.mean(np.repeat(np.repeat(coarse, 3, 0), 3, 1) != fine)
        assert changed < 6 * 4 * 0.5 / 16 * 0.25


@pytest.mark.parametrize(("kind", "share"), [("discs", 1.0), ("ellipses", SQUEEZE)])
def test_areas_are_those_of_the_geometry(kind, share):
    """Mean area of one object without variation: pi r^2 (times the axes' ratio), to 1e-8 of false failures."""
    spec = ScenesSpec(kind=kind, lattice=1, objects=1, size=0.3, size_variation=0.0, grid_size=64)
    areas = label_maps(spec, jax.random.key(0), 200).mean(axis=(1, 2))
    assert assert_mean_within(areas, np.pi * 0.09 * share) < 0.005


@settings(max_examples=10, deadline=None)
@given(key=keys())
def test_objects_do_not_touch_and_hang_together(key):
    spec = ScenesSpec(kind="polygons", lattice=3, max_labels=10, labels=10, objects=9, size=0.15, grid_size=60)
    labels = label_maps(spec, key, 2)
    for image in labels:
        parts, number = ndimage.label(image > 0, np.ones((3, 3)))
        assert number == 9
        assert all(len(np.unique(image[parts == part])) == 1 for part in range(1, 10))


def test_supersampling_averages_the_grey_values():
    spec = ScenesSpec(supersample=4, noise=1e-6, spacing=1.0, size=0.2)
    key = jax.random.key(0)
    batch = SCENES.draw(key, spec, None, jnp.arange(4))
    scenes = [draw_scene(jax.random.split(jax.random.fold_in(key, image))[0], spec) for image in range(4)]
    fine = [sample(objects, "discs", 128) for objects in scenes]
    shares = np.asarray(jnp.stack(fine)).reshape(4, 32, 4, 32, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(batch.images, shares - 0.5, atol=1e-5)
    assert np.any((shares > 0) & (shares < 1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "cubes"}, "kind must be one of"),
        ({"labels": 6}, r"labels must be a whole number in \[2, 2\], got 6"),
        ({"max_labels": 6, "labels": 6, "objects": 4}, r"labels must be a whole number in \[2, 5\], got 6"),
        ({"max_labels": 4, "labels": 4, "objects": 2}, "objects must be labels - 1 at least, got 2"),
        ({"grid_size": 6}, "grid_size must be >= 3.5 lattice = 7, got 6"),
        ({"size": 0.3}, r"size must be at most extent / \(2 lattice\) = extent / 4, got 0.3"),
        ({"size": 0.02}, "so that every object has a pixel, got 0.02"),
        ({"pose": 8}, r"pose must be a whole number in \[0, 7\], got 8"),
    ],
)
def test_impossible_scenes_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        ScenesSpec(**fields).validated()
