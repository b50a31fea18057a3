"""Every deep system: one conformance test, better than a constant on easy images, the same again from the same seed.

The refiners here leave the network's answer as it is, so that a hybrid must agree with its own network, whatever the
refinement that is passed in will do. All systems train tiny networks of few shapes, for compiling is what takes time.
"""

import numpy as np
import pytest
from scipy import ndimage

from sim.metrics.detections import detection_scores
from sim.segmentation.deep.contours import contour_force, middle_disc
from sim.segmentation.deep.refiners import Refiners
from sim.segmentation.deep.registry import DEEP, hybrids
from sim.segmentation.protocol import TASKS, Examples, default_parameters, run

SIDE, TRAIN, TEST = 16, 16, 12
SMALL = {
    "steps": 300, "width": 4, "depth": 1, "levels": 2, "augment": False, "members": 1, "receptive_field": 13,
    "rates": (1, 2), "each": 1, "views": ("plain", "stretched"), "radius": 2.0, "apart": 4.0, "smallest": 0,
    "appearance": 0.0, "median_radius": 1.0, "learning_rate": 0.01,
}  # fmt: skip
CALLS = []


def _crf(unary, image, bilateral, reach, contrast, spatial):
    CALLS.append((unary, image))
    return unary.argmin(axis=0)


IDENTITY = Refiners(
    dense_crf=_crf,
    graph_cut=lambda unary, image, strength: unary.argmin(axis=0),
    max_flow=lambda force, smoothness: force < 0,
    level_set=lambda start, force, length, steps: start,
    part_touching=lambda foreground, markers, height: ndimage.label(foreground)[0].astype(np.int32),
    fit_rejector=lambda masks, probabilities, images, truths, seed: lambda mask, probability, image: mask,
    fit_start=lambda examples, seed: lambda images: np.stack([images < 1.5, images >= 1.5], axis=-1).astype(np.float32),
)
HYBRIDS = hybrids(IDENTITY)
SYSTEMS = DEEP | HYBRIDS
# Tiny networks on 16 images: what each must reach is a share of the way from the best constant to perfect.
SHARE = 0.5


@pytest.fixture(scope="module")
def scenes():
    """Discs of contrast 3 in noise of .7, one label: easy enough for a threshold."""
    rng, (down, right) = np.random.default_rng(0), np.indices((SIDE, SIDE))
    labels = np.zeros((TRAIN + TEST, SIDE, SIDE), np.int32)
    for image in labels:
        for row, column, radius in zip(*rng.uniform(3, 13, (2, 2)), rng.uniform(2, 4, 2), strict=True):
            image[np.hypot(down - row, right - column) <= radius] = 1
    return (3.0 * labels + 0.7 * rng.normal(size=labels.shape)).astype(np.float32), labels


def spots():
    """Bright spots of three pixels' radius at up to two places, with the places as answers."""
    rng, images, answers = np.random.default_rng(0), [], []
    for index in range(TRAIN + TEST):
        places = np.array([[rng.uniform(3, 12), rng.uniform(2, 5)], [rng.uniform(3, 12), rng.uniform(10, 13)]])
        down, right = np.indices((SIDE, SIDE))
        places = places[: index % 3]
        clean = sum((np.hypot(down - r, right - c) < 2.5) * 1.0 for r, c in places)
        images.append(clean + 0.2 * rng.normal(size=(SIDE, SIDE)))
        answers.append(places)
    return np.array(images, np.float32), answers


def quadrants():
    """A bright block in one of four quadrants: its number is the class."""
    rng = np.random.default_rng(0)
    answers = np.arange(TRAIN + TEST) % 4
    images = 0.5 * rng.normal(size=(TRAIN + TEST, SIDE, SIDE))
    for image, answer in zip(images, answers, strict=True):
        image[8 * (answer // 2) + 2 :, 8 * (answer % 2) + 2 :][:4, :4] += 1.5
    return images.astype(np.float32), answers


def small(system, **others):
    others = {"levels": 1} | others if system.task == "classify" else others
    return {name: value for name, value in (SMALL | others).items() if name in system.parameters}


def task_data(system, scenes):
    images, answers = {"segment": lambda: scenes, "detect": spots, "classify": quadrants}[system.task]()
    labels = 4 if system.task == "classify" else 2
    return Examples(images[:TRAIN], answers[:TRAIN], labels), images[TRAIN:], answers[TRAIN:]


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_answers_and_beats_a_constant(name, scenes):
    system = SYSTEMS[name]
    examples, images, truth = task_data(system, scenes)
    found = run(system, examples, images, seed=1, **small(system))
    if system.task == "detect":
        assert all(places.shape[1:] == (2,) for places in found)
        scores = [detection_scores(places, true, 4.0)["f1"] for places, true in zip(found, truth, strict=True)]
        # Nothing found scores 0 wherever there is something; a full grid of guesses 4 apart has 16 of them for 2.
        assert np.nanmean(scores) > SHARE
        return
    assert found.shape == np.shape(truth)
    assert found.dtype == np.int32
    assert set(np.unique(found)) <= set(range(examples.num_labels))
    constant = np.bincount(np.ravel(truth)).max() / np.size(truth)
    assert np.mean(found == truth) > constant + SHARE * (1 - constant)


@pytest.mark.parametrize("name", sorted(set(HYBRIDS) - {"component_rejection", "network_watershed"}))
def test_arm_forest_refines_a_map_without_a_network(name, scenes):
    system = HYBRIDS[name]
    examples, images, _ = task_data(system, scenes)
    found = run(system, examples, images, **small(system, arm="forest"))
    np.testing.assert_array_equal(found, images >= 1.5)


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_hybrid_that_refines_nothing_is_its_network(name, scenes):
    system = HYBRIDS[name]
    examples, images, _ = task_data(system, scenes)
    CALLS.clear()
    found = run(system, examples, images, **small(system))
    np.testing.assert_array_equal(found, run(system, examples, images, **small(system, arm="network")))
    if name == "dilated_crf":
        assert len(CALLS) == TEST
        unary = np.array([call[0] for call in CALLS])
        np.testing.assert_allclose(np.exp(-unary).sum(axis=1), 1.0, atol=1e-5)  # SMALLEST is added at most
        seen = np.array([call[1] for call in CALLS])
        expected = (images - examples.images.mean()) / examples.images.std()
        np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_the_arms_of_the_contour_system_start_and_pull_as_they_say(scenes):
    """A level set that notes where it starts and what pulls it at a level of phi = 0 just there."""
    examples, images, _ = task_data(HYBRIDS["shape_contour"], scenes)
    notes = {}

    def note(arm):
        def level_set(start, force, length, steps):
            notes.setdefault(arm, []).append((start, force(np.where(start, 1.0, -1.0))))
            return start

        system = hybrids(IDENTITY._replace(level_set=level_set))["shape_contour"]
        run(system, examples, images[:2], **small(system, arm=arm, prior=1000.0))

    for arm in ("both", "start", "prior"):
        note(arm)
    disc = middle_disc(examples.answers == 1)
    for both, start, prior in zip(notes["both"], notes["start"], notes["prior"], strict=True):
        np.testing.assert_array_equal(both[0], start[0])
        np.testing.assert_array_equal(prior[0], disc)
        assert not np.array_equal(both[0], disc)
        assert np.abs(both[1]).max() > 100 > np.abs(start[1]).max()  # only the prior has a weight of 1000


def test_a_seed_fixes_the_answer_and_another_one_changes_it(scenes):
    system = DEEP["fcn"]
    examples, images, _ = task_data(system, scenes)
    noisy = images + 2 * np.random.default_rng(0).normal(size=images.shape).astype(np.float32)
    first, again, other = (run(system, examples, noisy, seed=seed, **small(system)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_sides_that_do_not_halve_and_sizes_never_seen_are_answered(scenes):
    system = DEEP["fcn"]
    images, answers = scenes
    examples = Examples(images[:TRAIN, :13], answers[:TRAIN, :13], 2)
    found = run(system, examples, images[TRAIN:, :11, :15], **small(system))
    assert found.shape == (TEST, 11, 15)
    assert np.mean(found == answers[TRAIN:, :11, :15]) > 0.8


@pytest.mark.parametrize("name", SYSTEMS)
def test_facts_are_complete(name):
    system = SYSTEMS[name]
    assert system.deep
    assert system.name == name
    assert system.task in TASKS
    assert system.summary
    assert "[unchecked]" in system.source
    assert all(len(candidates) >= 1 for candidates in system.parameters.values())
    assert default_parameters(system)["learning_rate"] == 3e-3


def test_every_deep_reference_of_the_survey_has_a_system():
    named = " ".join(system.survey for system in SYSTEMS.values())
    wanted = (2, 4, 5, 6, 7, 8, 9, 10, 13, 16, 18, 19, 21, 22, 25, 27)
    assert sorted(named.split()) == sorted(f"[{number}]" for number in wanted)


def test_the_contour_force_is_the_formula():
    """Two grey values, a contour that has one column too few: the region term there is (c_out - I)^2 - (c_in - I)^2."""
    image = np.array([[0.0, 0.0, 1.0, 1.0]])
    shape = np.array([[False, False, True, True]])
    phi = np.array([[-1.0, -1.0, -1.0, 1.0]])
    pull = contour_force(image, shape, region=2.0, prior=0.0)(phi)
    out, inside, variance = 1 / 3, 1.0, 0.25
    expected = 2 * ((image - out) ** 2 - (image - inside) ** 2) / variance
    np.testing.assert_allclose(pull, expected, rtol=1e-12)
    distance = np.array([[-2.0, -1.0, 1.0, 2.0]])
    prior = contour_force(image, shape, region=0.0, prior=3.0)(phi)
    np.testing.assert_allclose(prior, 3 * (distance - phi), rtol=1e-12)
