"""Contrast, noise, blur and bias are what the spec says; thresholds do not solve a phantom; a second rater is human."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from phantom_programs import draw_pair
from scipy import ndimage, optimize
from skimage.filters import threshold_otsu

from sim.generators.phantoms.raters import HUMAN_ERROR, second_rater
from sim.generators.phantoms.registry import PHANTOMS, reference
from sim.metrics.masks import segmentation_scores

NAMES = sorted(PHANTOMS)
UNIT = {"liver": 50.0, "tumour": 50.0}  # HU of grey value 1
# What varies from object to object would need thousands of objects to average out; it has a mean of 1 by construction.
EVEN = {
    "tumour": {"fewest": 5, "most": 5},
    "cells": {"brightness_variation": 0.0},
    "mitosis": {"stain_variation": 0.0, "fewest": 5, "most": 5},
}


@pytest.mark.parametrize("name", NAMES)
def test_contrast_and_noise_are_nominal(name):
    """Within 5%: contrast over pixels of pure tissue; noise, over thousands of pixels (standard error at most 2%)."""
    sharp = {"bias": 0.0, "blur": 0.0, "texture": 0.0} | EVEN.get(name, {})
    spec = reference(name)
    tasks = draw_pair(name, 11, sharp, sharp | {"pose": 1}, seeds=(11, 12))
    truth = jax.tree.map(lambda *leaves: np.concatenate(leaves), *tasks)
    tissues = [truth.probe[..., tissue] > 0.999 for tissue in (0, 1)]
    assert min(tissue.sum() for tissue in tissues) > 200
    assert sum(tissue.sum() for tissue in tissues) > 2500
    first, second = (truth.clean[tissue].mean() for tissue in tissues)
    unit = UNIT.get(name, 1.0)
    assert (first - second) * unit == pytest.approx(spec.contrast, rel=0.05)
    noise = truth.image - truth.clean
    share = getattr(spec, "photon_share", 0.0)
    law = np.sqrt(share * np.maximum(truth.clean, 0) + 1 - share)
    pure = tissues[0] | tissues[1]
    assert np.std((noise / law)[pure]) * unit == pytest.approx(spec.noise, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_blur_is_nominal(name):
    """The blur that SciPy must add to a picture of two thirds of the blur is that of the spec, within 5%."""
    pixel = reference(name).extent / 64
    less, more = draw_pair(name, 12, {"blur": 1.2 * pixel, "bias": 0.0}, {"blur": 1.8 * pixel, "bias": 0.0})

    def misfit(total):
        added = np.sqrt(total**2 - 1.2**2)
        return sum(
            np.sum((ndimage.gaussian_filter(a, added, mode="reflect", truncate=6) - b) ** 2)
            for a, b in zip(less.clean, more.clean, strict=True)
        )

    found = optimize.minimize_scalar(misfit, bounds=(1.25, 3.0), method="bounded").x
    assert found == pytest.approx(1.8, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_bias_is_nominal(name):
    """Largest deviation of the quotient of biased and unbiased pictures from 1, within 5% (a pixel averages)."""
    nominal, dark = reference(name).bias, PHANTOMS[name].darkness
    biased, plain = draw_pair(name, 13, {"blur": 0.0}, {"blur": 0.0, "bias": 0.0})
    quotient = (biased.clean + dark) / (plain.clean + dark)
    assert np.abs(quotient - 1).max(axis=(1, 2)) == pytest.approx(nominal, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_a_threshold_is_better_than_chance_and_no_solution(name):
    """Mean Dice over four images of Otsu's threshold, the better side of it; chance is to call every pixel object."""
    truth, _ = draw_pair(name, 14)
    scores, chance = [], []
    for image, labels in zip(truth.image, truth.labels, strict=True):
        bright, reference_mask = image > threshold_otsu(image), labels == 1
        scores.append([segmentation_scores(mask, reference_mask)["dice"] for mask in (bright, ~bright)])
        chance.append(segmentation_scores(np.ones_like(bright), reference_mask)["dice"])
    assert np.mean(chance) < np.mean(scores, axis=0).max() < 0.85


@functools.cache
def rated(name, number):
    """Dice, SLIVER07 score and mean distance of a second rater, shape (images, labels, 3), at 256 pixels."""
    phantom, spec = PHANTOMS[name], reference(name, grid_size=256)
    pixel = spec.extent / 256
    error, length = (millimetres / pixel for millimetres in HUMAN_ERROR[name])

    @jax.jit
    def both(key):
        scene_key, rater_key = jax.random.split(key)
        shares = phantom.paint(phantom.draw_scene(scene_key, spec), spec, 256).fractions
        labels = jnp.argmax(shares, axis=0).astype(jnp.int32)
        return labels, second_rater(labels, rater_key, error, phantom.num_labels, length)

    rows = []
    for key in jax.random.split(jax.random.key(15), number):
        truth, seen = map(np.asarray, both(key))
        masks = [(seen == label, truth == label) for label in range(1, phantom.num_labels)]
        masks.append((seen > 0, truth > 0))
        scores = [segmentation_scores(*pair, (pixel, pixel)) for pair in masks]
        rows.append([[score[key] for key in ("dice", "sliver07", "asd")] for score in scores])
    return np.array(rows)


@pytest.mark.parametrize(
    ("name", "object_index", "score", "human", "half_width"),
    [
        # Errors of 24 images' means, three standard errors of the spread seen over images: .035, .065, .018.
        ("ventricle", 0, 0, 0.909, 0.022),  # cavity
        ("ventricle", 1, 0, 0.772, 0.04),  # myocardium: to first order 1 - error / wall
        ("ventricle", 2, 0, 0.936, 0.012),  # both
        ("liver", 0, 1, 75.0, 4.3),  # SLIVER07 points, spread 7
        ("tumour", 0, 0, 0.72, 0.058),  # spread .095
    ],
)
def test_a_second_rater_reaches_the_human_level(name, object_index, score, human, half_width):
    """Dice of a 2 mm contour error on the ventricle, a SLIVER07 score of 75 on the liver, Dice .72 on lesions."""
    scores = rated(name, 24)
    assert scores[:, object_index, score].mean() == pytest.approx(human, abs=half_width)


def test_a_second_rater_errs_by_the_stated_distance():
    """A straight edge moves by its normal displacement: mean |displacement| = error, three standard errors of 40."""
    labels = jnp.zeros((96, 96), jnp.int32).at[48:].set(1)
    rate = jax.jit(second_rater, static_argnums=3)
    moved = [np.asarray(rate(labels, key, 3.0, 2, 8.0)) for key in jax.random.split(jax.random.key(16), 40)]
    heights = 96 - np.stack(moved)[:, :, 8:-8].sum(axis=1)  # of the edge above each column
    assert np.abs(heights - 48).mean(axis=1).mean() == pytest.approx(3.0, abs=3 * 1.2 / np.sqrt(40))
    assert second_rater(labels, jax.random.key(0), 0.0, 2) == pytest.approx(np.asarray(labels))


@pytest.mark.parametrize(
    ("error", "length", "message"), [(-1.0, 6.0, "error_px must be >= 0"), (1.0, 0.0, "length_px must be > 0")]
)
def test_impossible_raters_are_refused(error, length, message):
    with pytest.raises(ValueError, match=message):
        second_rater(jnp.zeros((8, 8), jnp.int32), jax.random.key(0), error, 2, length)
