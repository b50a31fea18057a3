"""Populations: what a member achieves depends on itself alone, not on its neighbours, its place or the devices."""

import dataclasses
import os
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sim.member
from sim import population
from sim.generators.blocks import BLOCKS, BlocksSpec
from sim.generators.codebook import CODEBOOK, CodebookSpec
from sim.generators.label_maps import map_index
from sim.member import Member, Settings, in_chunks
from sim.networks.registry import Network, NetworkSettings
from sim.population import train_population
from sim.training import Recipe, TrainSettings

SIDES = (2, 4)
NETWORK = NetworkSettings("mlp", "jway", SIDES, units=1, classes=16, width=8)
AVAILABLE = 240  # images that the stream has: fewer than 64 training and 200 test images need
LIMITED = CODEBOOK._replace(available=lambda spec, world: AVAILABLE)
SETTINGS = Settings(LIMITED, NETWORK, max_inputs=64, test_items=200, training=TrainSettings(batch_size=16))
SLOTS, SIZE = 4, 4
# Accuracies of 200 test images, trained for 300 steps: another order of float32 sums moves weights by 1e-6 at first,
# some 1e-4 after 300 steps, which may flip an image that lies so near a border: at most two of 200.
FLIPS = 2.5 / 200


def members(max_steps=300):
    """Four unlike trials: classes, images, noise, rate and keys all differ."""
    keys = jax.random.key_data(jax.random.split(jax.random.key(3), (2, SIZE)))
    spec = CodebookSpec(
        max_outputs=16,
        image_shape=SIDES,
        outputs=np.array([4, 8, 16, 5], np.int32),
        signal_power=np.array([1.0, 2.0, 4.0, 1.0], np.float32),
        noise=np.array([1.0, 1.0, 0.5, 0.8], np.float32),
        balanced=np.array([True, False, True, True]),
    )
    recipe = Recipe(
        np.array([3e-3, 1e-2, 3e-3, 6e-3], np.float32),
        np.array([0.0, 0.03, 0.0, 0.3], np.float32),
        np.array([0.0, 0.5, 0.0, 0.0], np.float32),
        np.full(SIZE, max_steps, np.int32),
    )
    inputs = np.array([16, 64, 48, 33], np.int32)
    return Member(spec, inputs, recipe, *(jax.random.wrap_key_data(words) for words in keys))


def pick(tree, which):
    return jax.tree.map(lambda leaf: leaf[np.array(which)], tree)


def assert_bit_equal(first, second):
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def together():
    return train_population(SETTINGS, members(), slots=SLOTS)


def test_two_devices_are_there_so_that_sharding_is_real():
    assert len(jax.local_devices()) == 2


def test_members_learn_and_differ(together):
    chance = 1 / np.array([4, 8, 16, 5])
    assert (together.test.exact_match > chance + 0.1).all()
    assert len(set(together.test.nll.tolist())) == SIZE
    assert together.test.test_items.tolist() == [200, AVAILABLE - 64, AVAILABLE - 48, 200]  # none that was trained on
    assert (together.info.steps == 300).all()
    assert together.info.finite.all()


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [1, 0], [2], [0, 3, 1]])
def test_neighbours_place_and_idle_slots_change_not_a_bit(together, order):
    """The same program serves any packing of up to four: the same operations in the same order for each member."""
    assert_bit_equal(train_population(SETTINGS, pick(members(), order), slots=SLOTS), pick(together, order))


def alone_on_one_device(which, max_steps=300):
    """A program of its own for one member; one host device on several cores is worth a warning."""
    arguments = (SETTINGS, pick(members(max_steps), [which]))
    if (os.cpu_count() or 1) == 1:
        return train_population(*arguments, devices=jax.local_devices()[:1])
    with pytest.warns(UserWarning, match="one host device on"):
        return train_population(*arguments, devices=jax.local_devices()[:1])


def other_programs(max_steps=300):
    """The population in chunks of two, and each member alone on one device."""
    chunked = train_population(SETTINGS, members(max_steps), slots=SLOTS, chunk=2)
    singles = [alone_on_one_device(which, max_steps) for which in range(SIZE)]
    return chunked, jax.tree.map(lambda *leaves: np.concatenate(leaves), *singles)


def test_data_and_initial_weights_are_the_same_in_every_program():
    """Without training, answers depend on images and initial weights alone: not one of 200 answers differs. The
    log-likelihoods are means of 200 numbers of order one, summed in another order."""
    here = train_population(SETTINGS, members(0), slots=SLOTS)
    for there in other_programs(0):
        for name in ("exact_match", "pixel_accuracy", "test_items"):
            np.testing.assert_array_equal(getattr(there.test, name), getattr(here.test, name))
        np.testing.assert_array_equal(there.train_accuracy, here.train_accuracy)
        np.testing.assert_allclose(there.test.nll, here.test.nll, rtol=1e-5)


def test_chunks_and_devices_change_nothing_beyond_rounding(together):
    for there in other_programs():
        np.testing.assert_array_equal(there.info.steps, together.info.steps)
        np.testing.assert_allclose(there.test.exact_match, together.test.exact_match, rtol=0, atol=FLIPS)
        np.testing.assert_allclose(there.train_accuracy, together.train_accuracy, rtol=0, atol=1.5 / 16)
        np.testing.assert_allclose(there.test.nll, together.test.nll, rtol=5e-3)
        np.testing.assert_allclose(there.info.loss, together.info.loss, rtol=5e-3)


def test_idle_slots_take_no_training_steps(monkeypatch):
    """Three members in four slots: the program is given a budget of zero for the fourth."""
    seen = []

    def program(settings, chunk, devices, members):
        def run(padded):
            seen.append(np.asarray(padded.recipe.max_steps))
            return padded.num_inputs

        return run

    monkeypatch.setattr(population, "_program", program)
    monkeypatch.setattr(population, "_program_bytes", lambda program, devices: 0)
    found = train_population(SETTINGS, pick(members(), [2, 0, 1]), slots=SLOTS)
    assert sorted(seen[0].tolist()) == [0, 300, 300, 300]
    assert found.tolist() == [48, 16, 64]  # results come back in the order of the members


def test_the_population_lowers_for_accelerators():
    """No GPU or TPU is here; that the program can be lowered for one is all that can be tested."""
    stacked = pick(members(), [0, 1])
    run = jax.jit(lambda members: jax.lax.map(sim.member.make_member(SETTINGS), members, batch_size=2))
    traced = run.trace(stacked)
    for platform in ("cuda", "tpu"):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert "stablehlo.while" in text  # the loop over training steps
        assert "stablehlo.dot_general" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"chunk": 0}, "chunk must be >= 1, got 0"), ({"slots": 2}, "slots must be >= the population of 4, got 2")],
)
def test_a_population_without_room_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        train_population(SETTINGS, members(), **arguments)


@pytest.mark.parametrize("rows", [1, 6, 7, 20])
def test_answers_in_chunks_are_those_of_the_whole(monkeypatch, rows):
    monkeypatch.setattr(sim.member, "EVALUATION_CHUNK", 7)
    values = np.arange(2.0 * rows, dtype=np.float32).reshape(rows, 2)
    doubled, summed = in_chunks(lambda chunk: (2 * chunk[0], chunk[1].sum(axis=1)), (values, values))
    np.testing.assert_array_equal(doubled, 2 * values)
    np.testing.assert_array_equal(summed, values.sum(axis=1))


@pytest.mark.parametrize("head", ["jway", "dense"])
def test_a_network_answers_with_label_maps_and_never_with_a_padded_class(head):
    """A network that knows the answer, and whose largest logits are those of classes that do not exist."""
    spec = BlocksSpec(tiles=2, labels=3, tile_shape=(1, 2))
    labels = np.array([[0, 2], [2, 1], [1, 1]], np.int32)
    images = np.zeros((3, 1, 4), np.float32)
    jway = head == "jway"
    settings = NetworkSettings("linear", head, (1, 4), units=1 if jway else 2, classes=16 if jway else 4)
    right = np.asarray(map_index(labels, 3))[:, None] if jway else labels
    logits = 5.0 * np.asarray(jax.nn.one_hot(right, settings.classes))
    logits[..., 9 if jway else 3 :] = 100.0
    answer = sim.member._predict(settings, lambda images: jnp.asarray(logits), images, labels, spec, BLOCKS)
    np.testing.assert_array_equal(answer.joint, labels)
    np.testing.assert_array_equal(answer.marginal, labels)
    np.testing.assert_array_equal(answer.targets, right)
    assert np.exp(answer.log_probabilities)[..., 9 if jway else 3 :].max() == 0.0


# --- ranks
@pytest.fixture(scope="module")
def ranked():
    return train_population(replace(SETTINGS, keep_ranks=True), members(), slots=SLOTS)


def test_keeping_ranks_changes_no_score(together, ranked):
    """The scores come from the same operations; the two programs are compiled apart, so sums may round otherwise."""
    assert together.ranks is None
    np.testing.assert_array_equal(ranked.info.steps, together.info.steps)
    np.testing.assert_allclose(ranked.test.exact_match, together.test.exact_match, rtol=0, atol=FLIPS)
    np.testing.assert_allclose(ranked.test.nll, together.test.nll, rtol=5e-3)


def test_ranks_count_what_the_accuracy_counts(ranked):
    """All others beaten = right, but for ties for the first place, which are lost here; none in these 800 answers."""
    for index, outputs in enumerate([4, 8, 16, 5]):
        label, beaten, margin = (values[index] for values in ranked.ranks)
        there = label >= 0
        assert there.sum() == ranked.test.test_items[index]
        assert (label[there] < outputs).all()
        assert ((beaten >= 0) & (beaten < outputs)).all()
        np.testing.assert_array_equal(beaten[there] == outputs - 1, margin[there] > 0)
        right = np.mean(beaten[there] == outputs - 1)
        assert right == pytest.approx(ranked.test.exact_match[index], abs=1e-6)  # a float32 mean


def test_ranks_are_those_of_the_logits():
    """A small trained network, its weights taken out and its logits ranked in NumPy, float64.

    Rivals within 1e-4 of the true class may fall either way: the logits are rounded in another order there.
    """
    settings = Settings(CODEBOOK, NETWORK, max_inputs=64, test_items=120, training=TrainSettings(16), keep_ranks=True)
    member = jax.tree.map(lambda leaf: leaf[1], members())
    seen = {}
    make_train_on = sim.member.make_train_on

    def remember(apply, static):
        def train(*arguments):
            seen["parameters"], info = make_train_on(apply, static)(*arguments)
            return seen["parameters"], info

        return train

    def whole(one):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sim.member, "make_train_on", remember)
            results = sim.member.make_member(settings)(one)
        world_key, image_key = jax.random.split(one.data_key)
        world = CODEBOOK.make_world(world_key, one.spec)
        indices = jnp.asarray(one.num_inputs, jnp.int32) + jnp.arange(120)
        test = CODEBOOK.draw(image_key, one.spec, world, indices)
        return results, Network(NETWORK).apply(seen["parameters"], test.images), test.labels

    results, logits, labels = jax.jit(whole)(member)
    scores, true = np.asarray(logits, np.float64)[:, 0, :8], np.asarray(labels)[:, 0]
    own = scores[np.arange(120), true]
    gaps = own[:, None] - np.delete(scores.ravel(), np.arange(120) * 8 + true).reshape(120, 7)
    np.testing.assert_array_equal(results.ranks.label, true)
    np.testing.assert_allclose(results.ranks.margin, gaps.min(axis=1), rtol=0, atol=1e-4)
    clear = (np.abs(gaps) > 1e-4).all(axis=1)
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(results.ranks.beaten[clear], (gaps[clear] > 0).sum(axis=1))
    assert 0.2 < results.test.exact_match < 0.99


def test_ranks_pass_over_padding_and_lose_ties():
    """Three classes of four: the padded one is neither beaten nor a rival, and an equal one is not beaten."""
    table = np.log(np.array([[[0.2, 0.2, 0.6, 1e-9]], [[0.4, 0.4, 0.2, 1e-9]], [[0.1, 0.2, 0.7, 1e-9]]], np.float32))
    targets = jnp.array([[2], [0], [0]])
    prediction = sim.member.Prediction(jnp.asarray(table), targets, targets, targets)
    found = sim.member.rank_classes(prediction, jnp.int32(3), jnp.array([1.0, 1.0, 0.0]))
    assert found.beaten.tolist() == [2, 1, 0]
    assert found.margin.tolist()[1] == 0.0
    assert found.label.tolist() == [2, 0, -1]


@pytest.mark.parametrize("learner", ["bayes", replace(NETWORK, head="dense")])
def test_only_a_jway_head_has_ranks(learner):
    with pytest.raises(ValueError, match=r"keep_ranks must go with a network with a jway head, got '(bayes|dense)'"):
        Settings(CODEBOOK, learner, max_inputs=64, keep_ranks=True)


def test_training_on_images_drawn_anew_is_training_on_held_images(monkeypatch):
    """The same images by their numbers, so the same answers without training. Compiled beside other operations a
    pixel may differ in its last bit, which 100 steps of Adam raise as another order of sums does: see `FLIPS`."""

    def run(held_bytes, max_steps):
        monkeypatch.setattr(sim.member, "HELD_BYTES", held_bytes)
        assert sim.member.holds_images(SETTINGS, members().spec) == bool(held_bytes)
        stacked = pick(members(max_steps), [1, 2])  # one with input noise, one without
        return jax.jit(lambda some: jax.lax.map(sim.member.make_member(SETTINGS), some))(stacked)

    held, anew = (run(size, 100) for size in (2**26, 0))
    np.testing.assert_array_equal(held.info.steps, anew.info.steps)
    np.testing.assert_allclose(held.info.loss, anew.info.loss, rtol=1e-3)
    np.testing.assert_allclose(held.test.nll, anew.test.nll, rtol=1e-3)
    np.testing.assert_allclose(held.test.exact_match, anew.test.exact_match, rtol=0, atol=FLIPS)
    assert (held.test.nll != run(0, 50).test.nll).all()


def test_images_drawn_anew_take_no_memory_that_grows_with_their_number(monkeypatch):
    """By the compiled programs' own plans: 4^8 images of 8 pixels are 2 MB a member."""
    one = pick(members(), [0])
    planned = {}
    for held in (2**26, 0):
        monkeypatch.setattr(sim.member, "HELD_BYTES", held)
        population._jitted.cache_clear()
        population._compiled.cache_clear()
        planned[held] = population.planned_bytes(dataclasses.replace(SETTINGS, max_inputs=4**8), one, slots=2)
    population._jitted.cache_clear()
    population._compiled.cache_clear()
    assert planned[2**26] > 2 * 2 * 2**20  # on each of two devices
    assert planned[0] < 2**20


def test_exact_learners_hold_their_images():
    assert sim.member.holds_images(Settings(CODEBOOK, "bayes", max_inputs=2**30), members().spec)
    assert not sim.member.holds_images(Settings(CODEBOOK, NETWORK, max_inputs=2**30), members().spec)


def test_a_program_that_needs_more_memory_than_there_is_does_not_start(monkeypatch):
    monkeypatch.setattr(population, "available_bytes", lambda devices: 1000)
    monkeypatch.setattr(population, "_program_bytes", lambda program, devices: 2**31)
    monkeypatch.setattr(population, "_program", lambda *arguments: None)
    with pytest.raises(MemoryError, match=r"chunk 1 needs 2.0 GiB of memory, 0.0 are available"):
        train_population(SETTINGS, members(), slots=SLOTS)
