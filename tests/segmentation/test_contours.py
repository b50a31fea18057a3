"""Contours, components, shapes and features, each on a picture whose answer is known."""

import numpy as np
import pytest
from scipy import stats
from skimage import measure

from sim.segmentation.classical.appearance import fit_scores, log_ratio
from sim.segmentation.classical.features import PixelSample, filter_features, line_responses, sample_pixels
from sim.segmentation.classical.forest_cut import continuation_weights
from sim.segmentation.classical.naming import fit_regularity, name_clusters, tidy
from sim.segmentation.classical.shape_cut import fit_shape, fit_shapes
from sim.segmentation.classical.sparse_level_set import WEIGHTS, coding_cost, fit_weight, patches_around
from sim.segmentation.protocol import Examples
from sim.segmentation.refinement.active_contours import chan_vese, geodesic_active_contour, snake
from sim.segmentation.refinement.components import fit_rejector, largest_components
from sim.segmentation.refinement.lattice import make_lattice
from sim.segmentation.refinement.level_set import (
    curvature,
    forced_level_set,
    region_scalable_fitting,
    signed_distance,
)
from sim.segmentation.refinement.shapes import map_scores, project
from sim.segmentation.refinement.watersheds import part_touching


def disc(size, centre, radius):
    return np.hypot(*(np.mgrid[:size, :size] - np.reshape(centre, (2, 1, 1)))) <= radius


def ellipse(size, centre, radius, ratio):
    down, right = np.mgrid[:size, :size] - np.reshape(centre, (2, 1, 1))
    return np.hypot(down / ratio, right * ratio) <= radius


def dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


TRUTH = disc(40, (20, 19), 9)
IMAGE = 2.0 * TRUTH + 0.05 * np.random.default_rng(0).normal(size=TRUTH.shape)
MOVES = {
    "snake": snake,
    "chan_vese": chan_vese,
    "geodesic": lambda image, start: geodesic_active_contour(image, start, balloon=-1.0, blur=1.5),
    "fitting": region_scalable_fitting,
    "forced": lambda image, start: forced_level_set(image - 1.0, start),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_contour_that_starts_near_a_clear_disc_ends_on_it(name):
    start, image = disc(40, (21, 18), 11), IMAGE.copy()
    before = dice(start, TRUTH)
    found = MOVES[name](image, start)
    assert before < 0.85
    assert dice(found, TRUTH) > 0.95  # a third of a pixel all round
    assert np.array_equal(image, IMAGE)
    assert np.array_equal(start, disc(40, (21, 18), 11))


@pytest.mark.parametrize("name", ["snake", "chan_vese", "geodesic"])
def test_an_empty_start_stays_empty_and_shapes_must_agree(name):
    assert not MOVES[name](IMAGE, np.zeros_like(TRUTH)).any()
    assert np.array_equal(MOVES[name](np.ones((40, 40)), TRUTH) & TRUTH, MOVES[name](np.ones((40, 40)), TRUTH))
    with pytest.raises(ValueError, match=r"got \(40, 40\) and \(3, 3\)"):
        MOVES[name](IMAGE, np.zeros((3, 3), bool))


def test_region_scalable_fitting_bears_a_bias_field_that_misleads_chan_vese():
    truth = disc(48, (24, 24), 12)
    ramp = np.linspace(-3, 3, 48)[None, :]
    image = truth + ramp + 0.05 * np.random.default_rng(1).normal(size=truth.shape)
    start = disc(48, (24, 24), 10)
    assert dice(region_scalable_fitting(image, start, length=0.1), truth) > 0.93
    assert dice(chan_vese(image, start), truth) < 0.75


def test_region_scalable_fitting_depends_on_its_start():
    far = region_scalable_fitting(IMAGE, disc(40, (5, 34), 4))
    assert dice(far, TRUTH) < 0.5


def test_signed_distance_and_curvature_of_a_disc():
    radius = 12.0
    down, right = np.mgrid[:41, :41] - 20.0
    exact = radius - np.hypot(down, right)
    near = np.abs(exact) < 1
    assert np.abs(signed_distance(exact > 0) - exact)[near].max() < 0.75  # a border between pixel centres
    assert np.allclose(curvature(exact)[near], -1 / np.hypot(down, right)[near], rtol=0.05)  # second-order differences
    assert (signed_distance(np.ones((3, 4))) > 0).all()
    assert (signed_distance(np.zeros((3, 4))) < 0).all()


def test_a_watershed_parts_two_discs_and_keeps_what_has_no_marker():
    first, second, third = disc(40, (12, 11), 8), disc(40, (12, 25), 8), disc(40, (32, 20), 4)
    assert (measure.label(first | second).max()) == 1
    parts = part_touching(first | second | third)
    assert parts.max() == 3
    assert len({int(parts[place]) for place in ((12, 11), (12, 25), (32, 20))}) == 3
    markers = np.zeros((40, 40), int)
    markers[12, 11] = 5
    assert sorted(np.unique(part_touching(first | second | third, markers))) == [0, 1, 2]


def test_a_rejector_learns_which_components_are_objects():
    rng = np.random.default_rng(0)
    masks, images, truths = [], [], []
    for _ in range(12):
        true, false = disc(32, rng.integers(6, 14, 2), 4), disc(32, rng.integers(20, 26, 2), 2)
        masks.append(true | false)
        truths.append(true)
        images.append(true * 2.0 + false * 1.0 + 0.3 * rng.normal(size=true.shape))
    reject = fit_rejector(masks[:8], masks[:8], images[:8], truths[:8])
    for mask, image, truth in zip(masks[8:], images[8:], truths[8:], strict=True):
        assert np.array_equal(reject(mask, mask.astype(float), image), truth)
    assert not reject(np.zeros((32, 32), bool), np.zeros((32, 32)), images[0]).any()
    nothing = fit_rejector(truths, truths, images, truths)
    assert np.array_equal(nothing(masks[0], masks[0].astype(float), images[0]), masks[0])


def test_map_scores_are_the_posterior_of_a_dictionary():
    rng = np.random.default_rng(3)
    maps = rng.integers(0, 2, size=(5, 3, 4))
    weights = np.log([0.3, 0.1, 0.2, 0.25, 0.15])
    rate = 0.3  # of label 1 in the pixelwise posterior
    truth = np.array([0, 3, 3, 1])
    images = maps[truth] + rng.normal(size=(4, 3, 4))
    log_one = stats.norm.logpdf(images, 1) + np.log(rate)
    log_zero = stats.norm.logpdf(images, 0) + np.log(1 - rate)
    chances = np.stack([log_zero, log_one], axis=1) - np.logaddexp(log_zero, log_one)[:, None]
    joint = np.array([[stats.norm.logpdf(image, each).sum() for each in maps] for image in images]) + weights
    exact = joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)
    assert np.allclose(map_scores(chances, maps, [1 - rate, rate], weights), exact)
    assert not np.allclose(map_scores(chances, maps, None, weights), exact, atol=0.1)
    assert np.array_equal(project(chances, maps, [1 - rate, rate], weights), maps[exact.argmax(axis=1)])
    with pytest.raises(ValueError, match=r"labels of the dictionary must be in 0\.\.1, got 0\.\.2"):
        project(chances, maps * 2)


def test_shapes_of_a_family_are_fitted_better_with_its_mode():
    family = [ellipse(40, (20 + k % 3, 19), 9, ratio) for k, ratio in enumerate(np.linspace(0.75, 1.35, 12))]
    with_modes, mean_alone = fit_shapes(family, modes=2), fit_shapes(family[5:6], modes=2)
    new = ellipse(40, (17, 22), 8, 1.28)
    assert dice(fit_shape(with_modes, new) > 0, new) > 0.96
    assert dice(fit_shape(mean_alone, new) > 0, new) < 0.9
    assert fit_shapes([], modes=3) is None


def test_pairs_along_a_line_are_rewarded_and_pairs_across_are_not():
    lattice = make_lattice((15, 15))
    for turn in (0, 1):
        line = np.zeros((15, 15))
        line[7] = 1.0
        weights = continuation_weights(np.rot90(line, turn), lattice, 1.0)
        along = np.abs(lattice.step[:, 1 - turn]) > 0.99
        across = np.abs(lattice.step[:, turn]) > 0.99
        on_line = (lattice.first // 15 if turn == 0 else lattice.first % 15) == 7
        assert weights[along & on_line].min() > 0.8
        assert weights[across].max() < 1e-9
    assert not continuation_weights(np.ones((5, 5)), make_lattice((5, 5)), 1.0).any()


def test_lines_answer_more_than_speckle():
    line, dots = np.zeros((21, 21)), np.zeros((21, 21))
    line[10] = 1.0
    dots[10, ::4] = 1.0
    assert line_responses(line)[10, 10, 0] == pytest.approx(1.0)
    assert line_responses(dots)[10, 10, 0] < 0.5
    assert filter_features(np.zeros((2, 9, 7), np.float32), 4.0, place=True, lines=True).shape[:3] == (2, 9, 7)


def test_a_sample_stands_for_the_shares_it_was_told():
    answers = (np.random.default_rng(0).uniform(size=(4, 20, 20)) < 0.1).astype(np.int32)
    examples = Examples(np.zeros((4, 20, 20), np.float32), answers, 3)
    features = np.zeros((4, 20, 20, 1), np.float32)
    for balance, expected in ((0.0, answers.mean()), (1.0, 0.5)):
        sample = sample_pixels(features, examples, 100, balance, seed=1)
        assert isinstance(sample, PixelSample)
        assert np.bincount(sample.labels).tolist() == [50, 50]
        assert np.average(sample.labels, weights=sample.weights) == pytest.approx(expected)
        assert sample.weights.mean() == pytest.approx(1.0)
        assert sample.priors[2] == 0


def test_coding_costs_are_least_for_patches_of_their_own_label():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(1, 5, 6))
    patches = patches_around(images, 3)
    assert np.array_equal(patches[0, 2, 3].reshape(3, 3), images[0, 1:4, 2:5])
    atoms = np.linalg.qr(rng.normal(size=(9, 9)))[0][:2]
    codes, penalty = np.array([[2.0, 0.0], [0.05, -3.0]]), 0.1
    soft = np.sign(codes) * np.maximum(np.abs(codes) - penalty, 0)  # the lasso's solution for orthonormal atoms
    exact = ((codes - soft) ** 2).sum(axis=1) / 2 + penalty * np.abs(soft).sum(axis=1)
    mean = rng.normal(size=9)
    assert np.allclose(coding_cost(mean + codes @ atoms, mean, atoms, penalty), exact, atol=1e-3)


def test_codes_are_weighed_as_their_likelihood_says():
    rng = np.random.default_rng(0)
    codes, place = rng.normal(size=(4, 2, 30, 30)), rng.normal(size=(2, 30, 30))
    for weight in (WEIGHTS[3], WEIGHTS[6]):  # neighbours in the grid are twice as large: 3,600 pixels tell them apart
        ratio = (weight * codes + place)[:, 1] - (weight * codes + place)[:, 0]
        answers = (rng.uniform(size=ratio.shape) < 1 / (1 + np.exp(-ratio))).astype(np.int32)
        assert fit_weight(codes, place, answers) == weight


def test_scores_are_log_likelihoods_with_or_without_a_place():
    rng = np.random.default_rng(0)
    answers = np.repeat(disc(24, (8, 8), 5)[None], 40, axis=0).astype(np.int32)
    images = (answers + 0.5 * rng.normal(size=answers.shape)).astype(np.float32)
    examples = Examples(images, answers, 2)
    plain, placed = fit_scores(examples, 0.0, False)(images[:5]), fit_scores(examples, 0.0, True)(images[:5])
    ratio = np.stack([log_ratio(each, 1) for each in plain])
    exact = (images[:5] - 0.5) / 0.25 + np.log(answers.mean() / (1 - answers.mean()))
    middle = np.abs(images[:5] - 0.5) < 0.8
    assert np.abs(ratio - exact)[middle].mean() < 0.3  # histograms of 3,160 pixels of label 1 in 48 bins
    assert (placed.argmax(axis=1) == answers[:5]).mean() > (plain.argmax(axis=1) == answers[:5]).mean() + 0.01


def test_regularity_is_read_from_answers_and_imposed():
    answers = np.stack([disc(20, (6, 6), 3) | disc(20, (14, 14), 2), disc(20, (10, 10), 4)]).astype(np.int32)
    seen = fit_regularity(Examples(np.zeros((2, 20, 20), np.float32), answers, 2))
    assert seen.most.tolist()[1] == 2
    assert seen.always.tolist() == [True, True]
    crowd = np.zeros((20, 20), np.int32)
    for place in ((3, 3), (3, 15), (15, 3)):
        crowd[disc(20, place, 3 if place[1] == 3 else 2)] = 1
    crowd[18, 18] = 1
    assert measure.label(tidy(crowd, seen), connectivity=1).max() == 2
    assert largest_components(crowd, most=1).sum() == disc(20, (3, 3), 3).sum()


def test_clusters_are_named_for_the_best_mean_overlap():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 50, size=(3, 3))
    names = name_clusters(counts)

    def score(chosen):
        labels = [np.flatnonzero(np.asarray(chosen) == label) for label in (1, 2)]
        return sum(
            2 * counts[own, label].sum() / (counts[own].sum() + counts[:, label].sum())
            for label, own in zip((1, 2), labels, strict=True)
        )

    best = max(score(each) for each in np.ndindex(3, 3, 3))
    assert score(names) == pytest.approx(best)
