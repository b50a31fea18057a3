"""Every entry of the registry keeps the contract of a segmenter, and beats constant answers where that is easy."""

import functools

import jax
import numpy as np
import pytest
from scipy import ndimage

from sim.generators.scenes import SCENES, ScenesSpec
from sim.metrics import detection_scores, segmentation_scores
from sim.segmentation.classical.registry import CLASSICAL as SEGMENTERS
from sim.segmentation.protocol import TASKS, Examples, check_examples, default_parameters, run

NUM_TRAIN, NUM_TEST = 6, 4
PHANTOMS = {"ventricle", "liver", "tumour", "cells", "membranes", "mitosis"}


@functools.cache
def draw_scenes(labels: int) -> Examples:
    """Clear scenes of 30 x 26 pixels: two ellipses, of label 1 or of labels 1 and 2."""
    spec = ScenesSpec(
        kind="ellipses", grid_size=32, max_labels=3, labels=labels, objects=2, size=0.24, size_variation=0.3, noise=0.5
    )
    batch = SCENES.generate(jax.random.key(labels), spec, NUM_TRAIN + NUM_TEST)
    images, answers = (np.array(part).reshape(-1, 32, 32)[:, 1:31, 3:29] for part in batch)
    return Examples(images, answers, labels)


def as_task(examples: Examples, task: str) -> Examples:
    if task == "segment":
        return examples
    centres = [
        np.array(ndimage.center_of_mass(answer > 0, *_parts(answer > 0))).reshape(-1, 2) for answer in examples.answers
    ]
    return Examples(examples.images, centres, 2)


def _parts(mask):
    parts, count = ndimage.label(mask)
    return parts, range(1, count + 1)


def divide(examples: Examples) -> tuple[Examples, np.ndarray, object]:
    images, answers, labels = examples
    return Examples(images[:NUM_TRAIN], answers[:NUM_TRAIN], labels), images[NUM_TRAIN:], answers[NUM_TRAIN:]


def mean_dice(answers, truths, labels):
    return np.mean([
        segmentation_scores(answer == label, truth == label)["dice"]
        for answer, truth in zip(answers, truths, strict=True)
        for label in range(1, labels)
    ])  # fmt: skip


def assert_answers(segmenter, answers, images, labels):
    assert len(answers) == len(images)
    if segmenter.task == "segment":
        assert answers.shape == images.shape
        assert answers.dtype == np.int32
        assert answers.min() >= 0
        assert answers.max() < labels
    else:
        for points in answers:
            assert points.dtype == np.float64
            assert points.ndim == 2
            assert points.shape[1] == 2
            assert (points >= 0).all()
            assert (points < np.array(images.shape[1:])).all()


@pytest.fixture(params=SEGMENTERS.values(), ids=SEGMENTERS.keys())
def segmenter(request):
    return request.param


def test_every_entry_says_what_it_is(segmenter):
    assert SEGMENTERS[segmenter.name] is segmenter
    assert segmenter.task in TASKS
    assert segmenter.phantom in PHANTOMS
    assert segmenter.summary
    assert "\n" not in segmenter.summary
    assert segmenter.source
    assert not segmenter.deep
    assert all(1 < len(set(values)) == len(values) <= 5 for values in segmenter.parameters.values())


def test_the_non_deep_systems_of_the_survey_are_here():
    assert {s.survey for s in SEGMENTERS.values()} == {"", "[14]", "[20]", "[23]", "[24]", "[26]", "[28]"}


@pytest.mark.parametrize("labels", [2, 3])
def test_every_entry_keeps_the_contract_and_beats_constant_answers(segmenter, labels):
    if segmenter.task == "detect" and labels > 2:
        pytest.skip("points have one kind")
    train, images, truths = divide(as_task(draw_scenes(labels), segmenter.task))
    copies = train.images.copy(), [np.array(answer) for answer in train.answers], images.copy()
    answers = run(segmenter, train, images, seed=3)
    again = run(segmenter, train, images, seed=3)
    assert all(np.array_equal(one, other) for one, other in zip(answers, again, strict=True))
    assert np.array_equal(train.images, copies[0])
    assert all(np.array_equal(one, other) for one, other in zip(train.answers, copies[1], strict=True))
    assert np.array_equal(images, copies[2])
    assert_answers(segmenter, answers, images, labels)
    if segmenter.task == "detect":
        scores = [detection_scores(a, t, tolerance=4.0)["f1"] for a, t in zip(answers, truths, strict=True)]
        assert np.mean(scores) > 0.6
        return
    constant = max(mean_dice(np.full(images.shape, label), truths, labels) for label in range(labels))
    # Least squares cannot single out a middle grey value: its three-label answers are held to less.
    gain = 0.05 if labels == 3 and segmenter.name == "linear_regression" else 0.25
    assert mean_dice(answers, truths, labels) > constant + gain


def test_every_candidate_of_every_parameter_works(segmenter):
    train, images, _ = divide(as_task(draw_scenes(2), segmenter.task))
    few = Examples(train.images[:2], train.answers[:2], 2)
    for name, values in segmenter.parameters.items():
        for value in values[1:]:
            assert_answers(segmenter, run(segmenter, few, images[:1], **{name: value}), images[:1], 2)


def test_an_answer_does_not_depend_on_the_other_images(segmenter):
    train, images, _ = divide(as_task(draw_scenes(2), segmenter.task))
    examples = check_examples(train, segmenter.task)
    predict = segmenter.fit(examples, default_parameters(segmenter), 0)
    together, alone = predict(images[:2]), predict(images[1:2])
    assert np.array_equal(together[1], alone[0])


def test_odd_images_get_an_answer(segmenter):
    train, images, _ = divide(as_task(draw_scenes(2), segmenter.task))
    odd = np.stack([np.zeros((33, 28)), np.full((33, 28), 50.0)])  # another size, flat, and far outside
    assert_answers(segmenter, run(segmenter, train, odd), odd, 2)
    nothing = [np.zeros((0, 2))] * 2 if segmenter.task == "detect" else np.zeros_like(train.answers[:2])
    empty = Examples(train.images[:2], nothing, 2)
    answers = run(segmenter, empty, images[:1])
    assert_answers(segmenter, answers, images[:1], 2)


def test_bad_input_is_one_clear_line(segmenter):
    train, images, _ = divide(as_task(draw_scenes(2), segmenter.task))
    with pytest.raises(ValueError, match=f"parameters of {segmenter.name} must be among"):
        run(segmenter, train, images, nonsense=1)
    with pytest.raises(ValueError, match="images must have shape"):
        run(segmenter, train, images[0])
    with pytest.raises(ValueError, match="images must be finite, got nan"):
        run(segmenter, train, np.full_like(images, np.nan))
    with pytest.raises(ValueError, match="answers must be one an image"):
        run(segmenter, Examples(train.images, train.answers[:-1], 2), images)
