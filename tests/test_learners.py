"""Exact learners (JAX, on drawn images) against exact ceilings (NumPy, integrals): two codes that meet only here.

Means over independent codebooks are compared by t intervals that fail a right program with probability 1e-8 each,
below 1e-6 together (keys are fixed, so a test that passes keeps passing). Where the ceiling is itself a Monte Carlo
value, its own error is allowed for, and said.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.generators.blocks import BLOCKS, BlocksSpec
from sim.generators.codebook import CODEBOOK, CodebookSpec
from sim.generators.fields import FIELDS, FieldsSpec
from sim.learners import LEARNERS, class_statistics, supports
from sim.metrics import score
from sim.testing import assert_mean_within
from sim.theory import ceilings
from sim.types import Batch

CODEBOOKS, TESTS = 400, 200


def stack(specs):
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *specs)


def population(generator, names, max_inputs, tests):
    """A compiled function (keys, spec, num_inputs) -> scores of all learners on the same images."""

    def run(arguments):
        key, spec, num_inputs = arguments
        world_key, image_key = jax.random.split(key)
        world = generator.make_world(world_key, spec)
        train = generator.draw(image_key, spec, world, jnp.arange(max_inputs))
        test = generator.draw(image_key, spec, world, num_inputs + jnp.arange(tests))
        found = {}
        for name in names:
            answer = LEARNERS[generator.name, name].learn(spec, world, train, num_inputs)
            prediction = answer(test.images, test.labels)
            found[name] = score(prediction, test.labels, jnp.ones(tests), generator.num_labels(spec))
        return found

    program = jax.jit(lambda arguments: jax.lax.map(run, arguments))

    def scores(specs, inputs, repeats, seed=0):
        """Scores of each learner, each leaf of shape (specs, repeats); the keys of all specs are the same."""
        keys = jax.random.split(jax.random.key(seed), repeats)
        number = len(specs)
        repeated = stack([spec for spec in specs for _ in range(repeats)])
        counts = np.repeat(np.asarray(inputs, np.int32), repeats)
        found = program((jnp.concatenate([keys] * number), repeated, counts))
        return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(number, repeats), found)

    return scores


# --- codebooks: (J, inputs, balanced) at 16 pixels, g = 1, s2 = 1
CODEBOOK_SETTINGS = [(16, 16, True), (64, 256, True), (16, 32, False)]


def codebook_spec(outputs, balanced):
    return CodebookSpec(
        64, (4, 4), np.int32(outputs), np.float32(1.0), noise=np.float32(1.0), balanced=np.bool_(balanced)
    )


@pytest.fixture(scope="module")
def codebooks():
    run = population(CODEBOOK, ["bayes", "plugin", "known"], 256, TESTS)
    specs = [codebook_spec(outputs, balanced) for outputs, _, balanced in CODEBOOK_SETTINGS]
    return run(specs, [inputs for _, inputs, _ in CODEBOOK_SETTINGS], CODEBOOKS)


@pytest.mark.parametrize("learner", ["bayes", "plugin", "known"])
@pytest.mark.parametrize("setting", range(len(CODEBOOK_SETTINGS)))
def test_codebook_learners_reach_the_integral(codebooks, learner, setting):
    outputs, inputs, balanced = CODEBOOK_SETTINGS[setting]
    known = {"samples_per_class": None} if learner == "known" else {
        "samples_per_class": inputs / outputs, "class_counts": "equal" if balanced else "iid", "learner": learner,
    }  # fmt: skip
    expected = ceilings.gaussian_codebook_accuracy(outputs, 16, 1.0, 1.0, **known)
    seen = assert_mean_within(codebooks[learner].exact_match[setting], expected)
    assert seen < 0.07


def test_codebook_learners_are_in_the_order_of_what_they_know(codebooks):
    """On the same images: knowing the codewords beats the shrunken means, which beat the means taken at their word."""
    few = {name: codebooks[name].exact_match[0] for name in ("known", "bayes", "plugin")}
    for better, worse in (("known", "bayes"), ("bayes", "plugin")):
        gain = few[better] - few[worse]
        assert gain.mean() > 5 * gain.std(ddof=1) / np.sqrt(CODEBOOKS)


def test_a_codebook_answer_is_calibrated(codebooks):
    """The Bayes learner's probabilities are the true posterior, averaged over codebooks: mean confidence in the truth
    is what -log p says; here its negative log-likelihood beats the plug-in learner's on every codebook but a few."""
    assert (codebooks["bayes"].nll[0] < codebooks["plugin"].nll[0]).mean() > 0.95


# --- composed images: two tiles of 2 x 4 pixels with four labels, J = 16
TILES, LABELS, TILE, POWER, NOISE = 2, 4, 8, 1.5, 1.0
BLOCK_SETTINGS = {
    "own": (0.0, 32, True, False),
    "shared": (1.0, 32, True, False),
    "between": (0.5, 32, True, False),
    "drawn": (0.0, 24, False, False),
    "relabelled": (1.0, 32, True, True),
}


@pytest.fixture(scope="module")
def blocks():
    run = population(BLOCKS, ["bayes", "class_mean", "known"], 32, TESTS)
    specs = [
        BlocksSpec(TILES, LABELS, (2, 4), np.float32(similarity), np.float32(POWER), np.float32(NOISE),
                   np.bool_(relabelled), np.bool_(balanced))
        for similarity, _, balanced, relabelled in BLOCK_SETTINGS.values()
    ]  # fmt: skip
    found = run(specs, [setting[1] for setting in BLOCK_SETTINGS.values()], CODEBOOKS)
    return {
        name: jax.tree.map(lambda leaf, index=index: leaf[index], found) for index, name in enumerate(BLOCK_SETTINGS)
    }


def assert_near(samples, expected, error):
    """`assert_mean_within`, moved towards a Monte Carlo ceiling by at most its own error."""
    nearest = np.clip(np.mean(samples), expected - error, expected + error)
    return assert_mean_within(samples, nearest) + 2 * error


@pytest.mark.parametrize(
    ("setting", "per_codeword", "counts"),
    [("own", 32 / LABELS, "equal"), ("drawn", 24 / LABELS, "iid"), ("shared", 32 * TILES / LABELS, "equal")],
)
def test_the_composed_learner_reaches_its_ceiling(blocks, setting, per_codeword, counts):
    """The ceiling is exact with own codebooks; a shared codebook's is Monte Carlo with a standard error below .001, so
    .006 holds it with probability 1 - 2e-9."""
    shared = BLOCK_SETTINGS[setting][0]
    expected = ceilings.composed_accuracy(TILES, LABELS, TILE, POWER, NOISE, per_codeword, shared, counts)
    assert assert_near(blocks[setting]["bayes"].exact_match, expected, 0.006 * shared) < 0.12
    tile = ceilings.gaussian_codebook_accuracy(LABELS, TILE, POWER, NOISE, per_codeword, class_counts=counts)
    assert assert_mean_within(blocks[setting]["bayes"].pixel_accuracy, tile) < 0.1


@pytest.mark.parametrize("setting", ["own", "shared"])
def test_known_codewords_reach_their_ceiling(blocks, setting):
    shared = BLOCK_SETTINGS[setting][0]
    expected = ceilings.composed_accuracy(TILES, LABELS, TILE, POWER, NOISE, None, shared)
    assert assert_near(blocks[setting]["known"].exact_match, expected, 0.006 * shared) < 0.12


@pytest.mark.parametrize("setting", ["own", "shared", "between"])
def test_the_learner_of_unrelated_maps_reaches_its_ceiling(blocks, setting):
    """The ceiling is Monte Carlo with a stated standard error below .01 (here, 16 maps, well below .003): .02 is six
    of those. The composed learner is .1 and more above it, so a swap would be seen."""
    expected = ceilings.class_mean_accuracy(TILES, LABELS, TILE, POWER, NOISE, 2, BLOCK_SETTINGS[setting][0])
    assert assert_near(blocks[setting]["class_mean"].exact_match, expected, 0.02) < 0.2
    gain = blocks[setting]["bayes"].exact_match - blocks[setting]["class_mean"].exact_match
    assert gain.mean() > 0.02


@pytest.mark.parametrize("learner", ["bayes", "class_mean", "known"])
def test_relabelling_changes_no_exact_match(blocks, learner):
    """The same images under other names of the maps: an exact learner is right on the very same ones.

    The class-mean learner adds its centres in the same order under other numbers, so a tie of scores within rounding
    may fall the other way: at most one image of 200 in a codebook."""
    plain, renamed = blocks["shared"][learner].exact_match, blocks["relabelled"][learner].exact_match
    allowed = 1.5 / TESTS if learner == "class_mean" else 0.0
    np.testing.assert_allclose(renamed, plain, rtol=0, atol=allowed)


@cache
def block_answers():
    """Answers of the composed learner to one fixed set of images, for any similarity."""
    rng = np.random.default_rng(5)
    train = Batch(
        rng.normal(size=(20, 2, 8)).astype(np.float32), np.stack([np.arange(20) % 4, rng.integers(0, 3, 20)], 1)
    )  # label 3 is never seen on the second tile
    train = train._replace(labels=train.labels.astype(np.int32))
    test = rng.normal(size=(50, 2, 8)).astype(np.float32)
    identity = jnp.arange(16)
    world = BLOCKS.make_world(jax.random.key(0), BlocksSpec(2, 4, (2, 4)))._replace(relabelling=identity)

    @jax.jit
    def answer(similarity, num_inputs):
        spec = BlocksSpec(2, 4, (2, 4), similarity, np.float32(POWER), np.float32(NOISE))
        made = LEARNERS["blocks", "bayes"].learn(spec, world, train, num_inputs)
        return made(test, np.zeros((50, 2), np.int32)).log_probabilities

    return answer, train, test


def posterior_by_regression(similarity, num_inputs):
    """The same answer from first principles in float64: condition the joint normal law of one symbol's codewords on the
    two tiles on every single image that shows it, pixel by pixel, and integrate the codeword out."""
    _, train, test = block_answers()
    tiles = train.images[:num_inputs].reshape(-1, 2, 2, 4).transpose(0, 2, 1, 3).reshape(-1, 2, 8).astype(np.float64)
    shown = test.reshape(-1, 2, 2, 4).transpose(0, 2, 1, 3).reshape(-1, 2, 8).astype(np.float64)
    prior = POWER * (similarity * np.ones((2, 2)) + (1 - similarity) * np.eye(2))
    scores = np.empty((len(test), 2, 4))
    for label in range(4):
        image, tile = np.nonzero(train.labels[:num_inputs] == label)
        design = np.eye(2)[tile]
        covariance = design @ prior @ design.T + NOISE**2 * np.eye(len(tile))
        gain = np.linalg.solve(covariance, design @ prior).T
        centre, variance = gain @ tiles[image, tile], np.diag(prior - gain @ design @ prior) + NOISE**2
        distance = ((shown - centre[None]) ** 2).sum(-1)
        scores[:, :, label] = -4 * np.log(variance)[None] - distance / (2 * variance)[None]
    scores -= scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


@pytest.mark.parametrize("similarity", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("num_inputs", [3, 20])
def test_the_composed_learner_is_the_exact_posterior_at_any_similarity(similarity, num_inputs):
    """Unseen symbols enter as symbols with a million times the noise of one image, worth 1e-6 of a prior variance of
    order one, and float32 solves 2 x 2 systems of that range: 1e-3 in a log probability of order ten."""
    answer, _, _ = block_answers()
    found = np.asarray(answer(np.float32(similarity), np.int32(num_inputs)))
    np.testing.assert_allclose(found, posterior_by_regression(similarity, num_inputs), rtol=0, atol=1e-3)


def test_similarity_runs_continuously_into_its_endpoints():
    answer, _, _ = block_answers()
    for end, near in ((0.0, 1e-4), (1.0, 1 - 1e-4)):
        exact, close = (np.asarray(answer(np.float32(s), np.int32(20))) for s in (end, near))
        np.testing.assert_allclose(close, exact, rtol=0, atol=0.02)  # d log p / ds is below 200 here
    own, shared = (np.asarray(answer(np.float32(s), np.int32(20))) for s in (0.0, 1.0))
    assert np.abs(own - shared).max() > 1.0


# --- label fields: the exact posterior needs no training image
FIELD_DRAWS, FIELD_TESTS = 80, 1000


def field_scores(field, shape, labels=2, **numbers):
    spec = FieldsSpec(
        shape, field, max_labels=max(labels, 2), labels=np.int32(labels),
        **{name: np.float32(value) for name, value in numbers.items()},
    )  # fmt: skip
    found = population(FIELDS, ["bayes"], 1, FIELD_TESTS)([spec], [1], FIELD_DRAWS)["bayes"]
    return jax.tree.map(lambda leaf: leaf[0], found)


def test_independent_pixels_reach_their_ceiling():
    found = field_scores("independent", (2, 3), labels=3, spacing=3.0, noise=1.5, stay=0.9, coupling=0.0)
    pixel = ceilings.pixel_accuracy(3, 2.0)
    assert assert_mean_within(found.pixel_accuracy, pixel) < 0.02
    assert assert_mean_within(found.exact_match, pixel**6) < 0.04
    np.testing.assert_array_equal(found.exact_match, found.marginal_exact_match)


def assert_field_ceilings(found, limits, copies=1):
    """Ceilings average over noise by Monte Carlo: six of their own standard errors are allowed (2e-9)."""
    error = 6 * limits.standard_error
    assert assert_near(found.pixel_accuracy, limits.pixel_accuracy, error) < 0.02
    for name in ("joint_exact_match", "marginal_exact_match"):
        match = found.exact_match if name.startswith("joint") else found.marginal_exact_match
        assert assert_near(match, getattr(limits, name) ** copies, copies * error) < 0.05
    gain = found.exact_match - found.marginal_exact_match  # joint MAP against marginal MAP on the same images
    assert gain.mean() > 5 * gain.std(ddof=1) / np.sqrt(FIELD_DRAWS)


def test_chains_reach_their_ceilings():
    """Two rows of eight pixels are two chains; three labels, spacing 2.5, noise 1."""
    found = field_scores("chain", (2, 8), labels=3, spacing=2.5, noise=1.0, stay=0.8, coupling=0.0)
    assert_field_ceilings(found, ceilings.chain_ceilings(8, 0.8, 1.0, 3, 2.5), copies=2)


def test_ising_grids_reach_their_ceilings():
    """Spacing 3 and noise 1.5 are labels -1 and +1 under noise 1, the case whose values are published in the theory."""
    found = field_scores("ising", (3, 3), spacing=3.0, noise=1.5, stay=0.9, coupling=0.4407)
    assert_field_ceilings(found, ceilings.ising_ceilings((3, 3), 0.4407, 1.0))
    assert assert_near(found.pixel_accuracy, 0.88403, 6 * 0.00005) < 0.02


# --- parts
def test_class_statistics_use_the_first_images_only():
    images = np.array([[1, 1], [3, 5], [5, 7], [9, 9]], np.float32)
    labels = np.array([2, 0, 2, 1], np.int32)
    counts, means = class_statistics(images, labels, 3, 4)
    assert np.asarray(counts).tolist() == [1, 0, 2, 0]
    assert np.asarray(means).tolist() == [[3, 5], [0, 0], [3, 4], [0, 0]]


def test_every_learner_is_told_apart_by_what_it_knows():
    assert {key for key, learner in LEARNERS.items() if not learner.learned} == {
        ("codebook", "known"), ("blocks", "known"), ("fields", "bayes"), ("dictionary", "bayes"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("generator", "learner", "spec", "expected"),
    [
        ("codebook", "bayes", CodebookSpec(), True),
        ("codebook", "class_mean", CodebookSpec(), False),
        ("blocks", "class_mean", BlocksSpec(), True),
        ("fields", "bayes", FieldsSpec((4, 4), "ising"), True),
        ("fields", "bayes", FieldsSpec((4, 5), "ising"), False),
        ("fields", "bayes", FieldsSpec((16, 16), "chain"), True),
        ("digits", "bayes", None, False),
    ],
)
def test_learners_are_offered_only_where_they_exist(generator, learner, spec, expected):
    assert supports(generator, learner, spec) is expected
