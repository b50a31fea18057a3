"""From factors to tasks: shapes in few sizes, streams from identities alone, limits of theory, digits without leaks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.data import CLASSES, DIGITS, NUM_IMAGES, DigitsSpec, _digits, fewest_images
from experiments.factors import GENERATOR_FACTORS
from experiments.limits import EXACT_LIMITS, limits_of
from experiments.spec import Sweep, UsageError
from experiments.tasks import (
    ALL_GENERATORS,
    SPEC_MAKERS,
    bucket,
    key_words,
    log2_outputs,
    make_task,
    most_square,
    stack_members,
)
from sim.generators.fields import FieldsSpec
from sim.networks.registry import NetworkSettings
from sim.theory import ceilings


def trial_of(seeds=1, **factors):
    return Sweep(**factors, seeds=seeds).trials()[0]


def limits(**factors):
    return limits_of(dict(trial_of(**factors).factors))


# --- shapes
def test_buckets_are_few_and_hold_what_they_must():
    assert {bucket(count) for count in range(1, 16385)} == {16, 64, 256, 1024, 4096, 16384}
    for count in (1, 15, 16, 17, 64, 65, 256, 1023, 1024, 1025, 4096, 65536):
        assert count <= bucket(count) <= max(16, 4 * count - 1)


@pytest.mark.parametrize(("pixels", "shape"), [(64, (8, 8)), (96, (8, 12)), (7, (1, 7)), (1, (1, 1)), (12, (3, 4))])
def test_images_are_as_square_as_their_pixels_allow(pixels, shape):
    assert most_square(pixels) == shape


@pytest.mark.parametrize(
    ("factors", "units", "classes", "shape", "bits"),
    [
        ({"generator": "codebook", "outputs": 20, "dimension": 96}, 1, 64, (8, 12), math.log2(20)),
        ({"generator": "blocks", "tiles": 3, "labels": 4, "head": "jway"}, 1, 64, (2, 12), 6),
        ({"generator": "blocks", "tiles": 3, "labels": 3, "head": "dense"}, 3, 3, (2, 12), 3 * math.log2(3)),
        ({"generator": "fields", "rows": 2, "columns": 3, "labels": 3}, 6, 4, (2, 3), 6 * math.log2(3)),
        ({"generator": "fields", "rows": 3, "columns": 3, "labels": 2, "head": "jway"}, 1, 1024, (3, 3), 9),
        ({"generator": "digits", "outputs": 4, "inputs": 64}, 1, 16, (8, 8), 2),
    ],
)
def test_a_network_has_room_for_what_its_task_asks(factors, units, classes, shape, bits):
    trial = trial_of(**factors)
    task = make_task(trial)
    learner = task.settings.learner
    assert isinstance(learner, NetworkSettings)
    assert (learner.units, learner.classes, learner.image_shape) == (units, classes, shape)
    assert log2_outputs(dict(trial.factors)) == pytest.approx(bits)
    assert task.settings.generator is ALL_GENERATORS[factors["generator"]]
    assert task.settings.max_inputs >= task.member.num_inputs


def test_factors_reach_the_task_unchanged():
    numbers = {"learning_rate": 0.002, "weight_decay": 0.1, "input_noise": 0.25, "max_steps": 700}
    task = make_task(
        trial_of(generator="blocks", head="shared", tiles=2, labels=3, tile_dimension=6, similarity=0.5, noise=2.0,
                 signal_power=1.5, relabelled=True, balanced=False, width=24, batch_size=32, test_items=123, inputs=45,
                 **numbers)
    )  # fmt: skip
    spec, recipe = task.member.spec, task.member.recipe
    assert (spec.tiles, spec.labels, spec.tile_shape) == (2, 3, (2, 3))
    assert (spec.similarity, spec.noise, spec.signal_power) == (0.5, 2.0, 1.5)
    assert (bool(spec.relabelled), bool(spec.balanced)) == (True, False)
    assert recipe == tuple(np.float32(value) for value in numbers.values())
    assert (task.settings.learner.width, task.settings.training.batch_size) == (24, 32)
    assert (task.settings.test_items, task.member.num_inputs) == (123, 45)


def test_numbers_are_traced_and_shapes_are_not():
    """Trials that differ in numbers alone share a program: the same static settings, the same tree."""
    first = make_task(trial_of(generator="codebook", outputs=4, noise=1.0, inputs=20, learning_rate=1e-3))
    second = make_task(trial_of(generator="codebook", outputs=16, noise=2.0, inputs=60, learning_rate=1e-2))
    assert first.settings == second.settings
    assert jax.tree.structure(first.member) == jax.tree.structure(second.member)
    other = make_task(trial_of(generator="codebook", outputs=17))
    assert jax.tree.structure(other.member) != jax.tree.structure(first.member)
    stacked = stack_members([first, second])
    assert stacked.num_inputs.tolist() == [20, 60]
    assert stacked.spec.outputs.tolist() == [4, 16]
    assert jnp.issubdtype(stacked.data_key.dtype, jax.dtypes.prng_key)
    words = [task.member.data_key.tolist() for task in (first, second)]
    assert jax.random.key_data(stacked.data_key).tolist() == words


# --- random streams
def test_the_streams_of_a_role_are_those_of_the_records_already_made():
    """Pinned: another value here means that every stored result was drawn from other numbers."""
    assert key_words("a" * 64, "data").tolist() == [3586769814, 2276648887]
    assert key_words("a" * 64, "model").tolist() == [4143452737, 2080719442]


def keys_of(**factors):
    task = make_task(trial_of(**factors))
    return tuple(task.member.data_key.tolist()), tuple(task.member.model_key.tolist())


def test_networks_share_images_but_not_initial_weights():
    common = {"generator": "blocks", "tiles": 3, "labels": 4, "inputs": 64}
    arms = [
        keys_of(**common, head="jway"),
        keys_of(**common, head="dense"),
        keys_of(**common, head="dense", relabelled=True),
        keys_of(**common, head="dense", learning_rate=0.5),
        keys_of(**common, head="dense", init_seed=1),
        keys_of(**common, network="bayes"),
    ]
    assert len({data for data, _ in arms}) == 1
    assert len({model for _, model in arms}) == len(arms)
    others = [
        keys_of(**common, network="bayes", noise=2.0),
        keys_of(**common, network="bayes", test_items=100),
        keys_of(**common, network="bayes", seeds=[1]),
        keys_of(**{**common, "inputs": 65}, network="bayes"),
    ]
    assert len({data for data, _ in [*arms, *others]}) == 1 + len(others)


def test_impossible_tasks_say_what_is_possible():
    with pytest.raises(UsageError, match=r"a jway head must have <= 65536 outputs, got 2\*\*32"):
        make_task(trial_of(generator="fields", labels=2, rows=4, columns=8, head="jway"))
    with pytest.raises(UsageError, match="network 'plugin' has no exact form on blocks"):
        make_task(trial_of(generator="blocks", network="plugin"))
    with pytest.raises(UsageError, match="inputs must be < 351 for 2 classes of digits, got 351"):
        make_task(trial_of(generator="digits", outputs=2, inputs=351))
    make_task(trial_of(generator="digits", outputs=2, inputs=350))


# --- limits
def test_limits_of_a_codebook_are_those_of_theory():
    found = limits(generator="codebook", outputs=64, inputs_per_output=4, dimension=64, signal_power=0.25, noise=1.0)
    assert found["chance"] == found["pixel_chance"] == 1 / 64
    assert found["bayes_learned"] == pytest.approx(0.5945, abs=5e-5)  # published in the theory
    assert found["bayes_known"] == ceilings.gaussian_codebook_accuracy(64, 64, 0.25, 1.0)
    assert math.isnan(found["bayes_composed"])
    noisy = limits(generator="codebook", outputs=64, inputs_per_output=4, dimension=64, signal_power=1.0, noise=2.0)
    assert noisy["bayes_learned"] == pytest.approx(found["bayes_learned"], abs=1e-9)  # only the ratio counts
    uneven = limits(generator="codebook", outputs=64, inputs=100)
    assert math.isnan(uneven["bayes_learned"])  # balanced counts differ by one: no closed form
    drawn = limits(generator="codebook", outputs=64, inputs=256, balanced=False)
    assert drawn["bayes_learned"] != found["bayes_learned"]


def test_limits_do_not_depend_on_who_learns():
    common = {"generator": "codebook", "outputs": 16, "inputs": 32}
    expected = limits(**common, network="bayes")
    assert limits(**common, network="mlp", width=64, recipe="regularised") == pytest.approx(expected, nan_ok=True)


def test_limits_of_composed_images():
    task = {"generator": "blocks", "tiles": 2, "labels": 4, "inputs": 32, "signal_power": 1.5, "network": "bayes"}
    own = limits(**task, similarity=0.0)
    assert own["log2_outputs"] == own["label_entropy_bits"] == 4
    assert (own["chance"], own["pixel_chance"]) == (1 / 16, 1 / 4)
    assert own["pixel_bayes_known"] == ceilings.gaussian_codebook_accuracy(4, 8, 1.5, 1.0)
    assert own["bayes_known"] == pytest.approx(own["pixel_bayes_known"] ** 2)
    assert own["bayes_composed"] == pytest.approx(ceilings.gaussian_codebook_accuracy(4, 8, 1.5, 1.0, 8) ** 2)
    assert own["chance"] < own["bayes_learned"] < own["bayes_composed"] < own["bayes_known"]
    shared = limits(**task, similarity=1.0)
    assert shared["bayes_composed"] > own["bayes_composed"]  # twice the tiles for each codeword
    between = limits(**task, similarity=0.5)
    assert math.isnan(between["bayes_known"])
    assert between["pixel_bayes_known"] == own["pixel_bayes_known"]
    assert math.isnan(limits(**{**task, "inputs": 24})["bayes_learned"])


def test_limits_of_label_fields():
    common = {"generator": "fields", "network": "bayes", "labels": 2, "rows": 2, "columns": 4}
    plain = limits(**common, field="independent", spacing=4.0, noise=2.0)
    pixel = ceilings.pixel_accuracy(2, 2.0)
    assert (plain["pixel_bayes_known"], plain["pixel_chance"]) == (pixel, 0.5)
    assert plain["bayes_known"] == pytest.approx(pixel**8)
    assert plain["chance"] == 2.0**-8
    chain = limits(**common, field="chain")
    line = ceilings.chain_ceilings(4, 0.9, 1.0)
    assert chain["bayes_known"] == pytest.approx(line.joint_exact_match**2)
    assert chain["label_entropy_bits"] == pytest.approx(2 * line.label_entropy_bits)
    assert 0 < chain["information_bits"] < chain["label_entropy_bits"] < chain["log2_outputs"] == 8
    ising = limits(**common, field="ising", spacing=3.0, noise=1.5)
    grid = ceilings.ising_ceilings((2, 4), 0.4407, 1.0)
    assert ising["pixel_bayes_known"] == grid.pixel_accuracy
    assert ising["information_bits"] == pytest.approx(grid.label_entropy_bits - grid.conditional_entropy_bits)
    large = limits(**{**common, "rows": 8, "columns": 8}, field="ising")
    assert math.isnan(large["bayes_known"])
    assert math.isnan(large["label_entropy_bits"])


# --- digits
def test_the_images_are_the_whole_data_set_standardised_once():
    images, labels = _digits()
    assert images.shape == (NUM_IMAGES, 8, 8)
    assert abs(float(images.mean())) < 1e-4
    assert float(images.std()) == pytest.approx(1.0, abs=1e-4)
    assert len(np.unique(images.reshape(NUM_IMAGES, -1), axis=0)) == NUM_IMAGES  # so an image is known by its pixels
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert fewest_images(2) == 174 + 177
    assert fewest_images(CLASSES) == NUM_IMAGES


@jax.jit
def digits_task(key, outputs):
    spec = DigitsSpec(outputs=outputs)
    world_key, image_key = jax.random.split(key)
    world = DIGITS.make_world(world_key, spec)
    return DIGITS.available(spec, world), DIGITS.draw(image_key, spec, world, jnp.arange(NUM_IMAGES))


@pytest.mark.parametrize("outputs", [2, 5, 10])
def test_training_and_test_digits_never_overlap(outputs):
    """The stream shows every usable image once, so training images (its start) and test images (what follows) differ
    whatever I is; all are of the J chosen classes."""
    images, labels = _digits()
    place = {image.tobytes(): number for number, image in enumerate(images)}
    subsets = []
    for seed in range(4):
        usable, batch = digits_task(jax.random.key(seed), np.int32(outputs))
        drawn = np.asarray(batch.images)[: int(usable)]
        shown = [place[image.tobytes()] for image in drawn]
        assert len(set(shown)) == int(usable)
        named = np.asarray(batch.labels)[: int(usable), 0]
        assert set(named.tolist()) == set(range(outputs))
        classes = [set(labels[shown][named == label].tolist()) for label in range(outputs)]
        assert all(len(original) == 1 for original in classes)  # one digit under one name
        subset = set().union(*classes)
        assert int(usable) == np.isin(labels, list(subset)).sum() >= fewest_images(outputs)
        subsets.append((frozenset(subset), shown[0]))
    assert len(set(subsets)) > 1  # seeds draw other subsets and orders


def test_test_digits_are_exactly_those_left_over_after_training():
    """What a member scores: index I + i is counted where it is below the number of usable images."""
    usable, batch = digits_task(jax.random.key(3), np.int32(5))
    inputs = 128
    indices = inputs + np.arange(1797)
    counted = indices < int(usable)
    assert counted.sum() == int(usable) - inputs
    tested = {image.tobytes() for image in np.asarray(batch.images)[indices[counted]]}
    trained = {image.tobytes() for image in np.asarray(batch.images)[:inputs]}
    assert not tested & trained
    assert len(tested | trained) == int(usable)


def test_a_generator_from_outside_has_the_limits_that_it_names(monkeypatch):
    monkeypatch.setitem(ALL_GENERATORS, "outside", ALL_GENERATORS["fields"])
    monkeypatch.setitem(SPEC_MAKERS, "outside", lambda factors: FieldsSpec(grid_shape=(2, 3), max_labels=4, labels=4))
    monkeypatch.setitem(EXACT_LIMITS, "outside", lambda factors: {"bayes_known": 0.5})
    monkeypatch.setitem(GENERATOR_FACTORS, "outside", ())
    found = limits_of({"generator": "outside", "inputs": 8})
    assert found["log2_outputs"] == 2 * 3 * 2  # pixels times log2 of the labels
    assert found["bayes_known"] == 0.5
    assert all(np.isnan(found[name]) for name in ("label_entropy_bits", "information_bits", "bayes_learned"))
