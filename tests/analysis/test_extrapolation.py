"""Extrapolation in the number of classes: exact where it can be, planted laws come back, codebooks are predicted."""

from itertools import combinations

import numpy as np
import pytest
from scipy import special

from sim.analysis.class_ranks import ClassRanks, keep_classes, make_ranks, thin_rivals
from sim.analysis.extrapolation import ESTIMATORS, average_test_accuracy, count_classes_beaten, extrapolate
from sim.analysis.rank_extrapolators import _regress
from sim.analysis.score_extrapolators import kde, normal_margins, own_and_rivals
from sim.testing import assert_mean_within
from sim.theory.ceilings import gaussian_codebook_accuracy


def draw_codebook(rng, num_classes, items, dimension, signal_power, noise_power):
    """Log likelihoods of known codewords for `items` images of each class."""
    codewords = np.sqrt(signal_power) * rng.standard_normal((num_classes, dimension))
    labels = np.repeat(np.arange(num_classes), items)
    images = codewords[labels] + np.sqrt(noise_power) * rng.standard_normal((len(labels), dimension))
    return images @ codewords.T - 0.5 * np.sum(codewords**2, axis=1), labels


def planted_ranks(z, num_classes, rng):
    """Items whose U is Phi(z), each of a class of its own."""
    return make_ranks(rng.binomial(num_classes - 1, special.ndtr(z)), num_classes)


def power_mean(z, k):
    return np.array([np.mean(np.exp((number - 1) * special.log_ndtr(z))) for number in k])


def test_average_accuracy_is_the_mean_over_all_class_sets():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 40)
    scores = np.round(rng.standard_normal((40, 7)) + 1.2 * np.eye(7)[labels], 1)  # rounded: ties are there, as errors
    found = average_test_accuracy(count_classes_beaten(scores, labels), 7, np.arange(1, 8))
    for k in range(1, 8):
        hits = []
        for item, own in enumerate(labels):
            for chosen in combinations(range(7), k):
                if own in chosen:
                    hits.append(all(scores[item, j] < scores[item, own] for j in chosen if j != own))
        assert found[k - 1] == pytest.approx(np.mean(hits), rel=1e-12)  # log-gamma rounds by 1e-14 or so


def test_average_accuracy_is_unbiased_for_random_classes():
    """400 codebooks of 16 classes against the exact integral; false failures below 1e-8."""
    rng = np.random.default_rng(1)
    k = np.array([2, 4, 16])
    samples = []
    for _ in range(400):
        scores, labels = draw_codebook(rng, 16, 5, 10, 1.0, 0.5)
        samples.append(average_test_accuracy(count_classes_beaten(scores, labels), 16, k))
    exact = [gaussian_codebook_accuracy(int(number), 10, 1.0, 0.5) for number in k]
    assert assert_mean_within(samples, exact) < 0.04


@pytest.mark.parametrize("name", ["skew_probit", "mixture", "regression"])
@pytest.mark.parametrize("middle", [1.0, 2.5])
def test_a_planted_normal_law_comes_back(name, middle):
    """20,000 items: the mean of U^(k-1) itself has standard error .0035, and its extrapolation a few times that.

    Six such errors, .021, at the observed K; twice as many at 4 K, and the mixtures' lumps on top (.02).
    """
    rng = np.random.default_rng(2)
    z = middle + rng.standard_normal(20_000)
    k = np.array([64.0, 256.0])
    found = ESTIMATORS[name].estimate(planted_ranks(z, 64, rng), k)
    exact_z = middle + np.linspace(-6, 6, 2001)
    mass = np.exp(-0.5 * (exact_z - middle) ** 2)
    exact = np.array([np.sum(mass * special.ndtr(exact_z) ** (number - 1)) / mass.sum() for number in k])
    assert np.all(np.abs(found - exact) < [0.021, 0.062])


@pytest.mark.parametrize(("skewness", "relative_error"), [(-0.6, 0.4), (0.6, 0.05)])
def test_a_planted_skewed_law_comes_back(skewness, relative_error):
    """40,000 items: at 4 K = 256 the accuracy is .0045 or .245; three other seeds erred by .05 or .01 of it.

    A law without skewness errs by more than twice the limit, and would fail.
    """
    rng = np.random.default_rng(3)
    z = 1.5 + 0.8 * np.sinh(np.arcsinh(rng.standard_normal(40_000)) + skewness)
    ranks, k = planted_ranks(z, 64, rng), np.array([256.0])
    exact = power_mean(z, k)
    found = ESTIMATORS["skew_probit"].estimate(ranks, k)
    assert abs(np.log(found / exact)[0]) < relative_error
    unskewed = z.mean() + z.std() * rng.standard_normal(400_000)
    assert abs(np.log(power_mean(unskewed, k) / exact)[0]) > 2 * relative_error


def test_a_fit_that_needs_many_steps_is_finished():
    """Half of a trained network's classes, 768 items by rivals beaten: on it SciPy's own limit of steps was too low."""
    items = [0, 1, 0, 0, 0, 0, 0, 2, 0, 1, 2, 3, 2, 1, 6, 0, 9, 8, 9, 16, 23, 40, 100, 545]
    ranks = make_ranks(np.repeat(np.arange(24), items), 24)
    seen = average_test_accuracy(ranks.classes_beaten, 24, 24)
    assert _regress(ranks, 0.3, (24.0,))[0] == pytest.approx(seen, abs=1e-4)  # 21 components of 24 accuracies fit all


def score_sample(rng, items, num_classes):
    """Scores whose rivals are normal with a level and a scale of each item's own, and the items' true z."""
    z = 2.0 + rng.standard_normal(items)
    labels = rng.integers(0, num_classes, items)
    scores = rng.standard_normal((items, num_classes))
    scores[np.arange(items), labels] = z
    level, scale = rng.standard_normal((items, 1)), np.exp(rng.standard_normal((items, 1)))
    return level + scale * scores, labels, z


def test_kernel_density_of_normal_rivals_widens_z_by_its_bandwidth():
    """With many normal rivals U_x = Phi(z / sqrt(1 + h^2)), h = .9 or, cross-validated, near 1.06 times 400^(-1/5).

    400 rivals for each of 1,000 items move the mean of U^9 by (9 8 / 2) E[U^8 (1 - U)] / 400 = .003 and add an error
    of .001: .01 is three of that bias.
    """
    scores, labels, z = score_sample(np.random.default_rng(4), 1000, 401)
    ranks = make_ranks(count_classes_beaten(scores, labels), 401, labels, scores)
    k = np.array([2.0, 10.0])
    low, reference, high = (power_mean(z / np.sqrt(1 + (f * 400**-0.2) ** 2), k) for f in (1.5, 0.9, 0.75))
    assert np.all(np.abs(kde(ranks, k) - reference) < 0.01)
    validated = kde(ranks, k, "cross_validated")
    assert np.all((low < validated) & (validated < high))
    with pytest.raises(ValueError, match="bandwidth must be one of normal_reference, cross_validated, got 'wide'"):
        kde(ranks, k, "wide")


def test_normal_margins_survive_a_common_monotone_map():
    rng = np.random.default_rng(5)
    z, rivals = 1.0 + 0.7 * rng.standard_normal(500), rng.standard_normal((500, 60))
    plain, bent = normal_margins(z, rivals), normal_margins(np.exp(z), np.exp(rivals))
    # an item's level and spread are taken on the bent scale first: 60 rivals give them within some tenths
    assert np.corrcoef(z, plain)[0, 1] > 0.95
    assert np.corrcoef(z, bent)[0, 1] > 0.95
    assert abs(np.median(bent) - np.median(plain)) < 0.15


def test_reversed_roc_takes_out_what_few_rivals_add():
    """4,000 items, 11 rivals each: at K within .015, at 4 K less than .6 of the error without calibration.

    The mean of U^11 has a standard error of .005 from its ranks. Three other seeds left .41-.48 of an error of .08-.09.
    """
    scores, labels, z = score_sample(np.random.default_rng(6), 4000, 12)
    ranks = make_ranks(count_classes_beaten(scores, labels), 12, labels, scores)
    k = np.array([12.0, 48.0])
    error = ESTIMATORS["reversed_roc"].estimate(ranks, k) - power_mean(z, k)
    raw = power_mean(normal_margins(*own_and_rivals(ranks)), k) - power_mean(z, k)
    assert abs(error[0]) < 0.015
    assert abs(error[1]) < 0.6 * raw[1]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_conform(name):
    """Accuracies that fall with k, do not depend on the items' order, and agree with the unbiased ones at k <= K."""
    scores, labels = draw_codebook(np.random.default_rng(7), 24, 8, 64, 0.25, 1.0)
    k = np.array([2.0, 8.0, 24.0, 96.0, 1e4])
    order = np.random.default_rng(8).permutation(len(labels))
    ranks = make_ranks(count_classes_beaten(scores, labels), 24, labels, scores)
    mixed = make_ranks(count_classes_beaten(scores[order], labels[order]), 24, labels[order], scores[order])
    found = ESTIMATORS[name].estimate(ranks, k)
    assert found.shape == k.shape
    assert np.all((found >= 0) & (found <= 1))
    assert np.all(np.diff(found) < 0)
    if name != "kde_cross_validated":  # it looks at every n-th item
        np.testing.assert_allclose(ESTIMATORS[name].estimate(mixed, k), found, atol=1e-5)  # optimisers' tolerance
    if not name.startswith("kde"):  # kernel densities are biased
        unbiased = average_test_accuracy(ranks.classes_beaten, 24, k[:3])
        # fits of two or more constants to 192 items: within one standard error, .03
        np.testing.assert_allclose(found[:3], unbiased, atol=0.03)
    if ESTIMATORS[name].needs_scores:
        with pytest.raises(ValueError, match=f"scores must be given for '{name}', got None"):
            extrapolate(ranks.classes_beaten, 24, k, labels=labels, estimator=name)


def test_kept_classes_are_ranked_among_themselves():
    scores, labels = draw_codebook(np.random.default_rng(9), 12, 3, 4, 1.0, 0.5)
    ranks = make_ranks(count_classes_beaten(scores, labels), 12, labels, scores)
    kept = keep_classes(ranks, 8, np.random.default_rng(0))
    assert kept.num_classes == 8
    assert kept.scores.shape == (24, 8)
    np.testing.assert_array_equal(kept.classes_beaten, count_classes_beaten(kept.scores, kept.labels))
    thinned = thin_rivals(ranks, 8, np.random.default_rng(0))
    np.testing.assert_array_equal(thinned.classes_beaten, count_classes_beaten(thinned.scores, thinned.labels))
    np.testing.assert_array_equal(thinned.scores[:, 0], scores[np.arange(36), labels])


@pytest.mark.parametrize("with_scores", [True, False])
@pytest.mark.parametrize("replicate", [keep_classes, thin_rivals])
def test_replicates_keep_the_accuracy_of_small_sets(replicate, with_scores):
    """Ranks among fewer classes have the same average accuracy at 4 classes; false failures below 1e-8."""
    scores, labels = draw_codebook(np.random.default_rng(10), 12, 3, 4, 1.0, 0.5)
    beaten = count_classes_beaten(scores, labels)
    ranks = make_ranks(beaten, 12, labels, scores if with_scores else None)
    rng = np.random.default_rng(11)
    replicates = [replicate(ranks, 8, rng) for _ in range(600)]
    values = [average_test_accuracy(each.classes_beaten, 8, 4) for each in replicates]
    assert assert_mean_within(values, average_test_accuracy(beaten, 12, 4)) < 0.06


# Mean absolute errors at 4 K and 16 K over 60 codebooks were .024-.045 and .047-.080; limits are 1.5 times the larger.
# A mean of 24 absolute errors has a standard error of .76 / sqrt(24) = .155 of itself: 1.5 is three of them above the
# worst of the measured cases and more above the others, so that fresh seeds would fail with probability below .01.
@pytest.mark.parametrize(
    ("name", "dimension", "signal_power", "noise_power"),
    [("skew_probit", 10, 1.0, 0.5), ("skew_probit", 64, 0.25, 1.0), ("reversed_roc", 64, 0.25, 1.0)],
)
def test_codebooks_are_extrapolated(name, dimension, signal_power, noise_power):
    """K = 16, 20 images a class, known codewords, against the exact integral at 64 and 256 classes.

    Nominal .95; measured coverage of these .95-.98 (100 codebooks). Nine or more misses of 24 have probability 1e-6 at
    a coverage of .95, 3e-4 at .90; a coverage of .4 is caught with probability .99.
    """
    k = np.array([64.0, 256.0])
    exact = np.array([gaussian_codebook_accuracy(int(n), dimension, signal_power, noise_power) for n in k])
    errors, inside = [], []
    for repeat in range(24):
        rng = np.random.default_rng(100 + repeat)
        scores, labels = draw_codebook(rng, 16, 20, dimension, signal_power, noise_power)
        beaten = count_classes_beaten(scores, labels)
        found = extrapolate(beaten, 16, k, labels=labels, scores=scores, estimator=name, resamples=20)
        errors.append(np.abs(found.accuracy - exact))
        inside.append((found.interval[0] <= exact) & (exact <= found.interval[1]))
    assert np.all(np.mean(errors, axis=0) < [0.068, 0.12])
    assert np.all(np.sum(inside, axis=0) >= 24 - 8)


def test_the_answer_is_reproducible_and_needs_no_scores():
    scores, labels = draw_codebook(np.random.default_rng(12), 16, 5, 10, 1.0, 0.5)
    beaten = count_classes_beaten(scores, labels)
    first = extrapolate(beaten, 16, 64, labels=labels, resamples=20)
    again = extrapolate(beaten, 16, 64, labels=labels, resamples=20)
    np.testing.assert_array_equal(first.interval, again.interval)
    assert first.interval[0, 0] < first.accuracy[0] < first.interval[1, 0]
    wider = extrapolate(beaten, 16, 64, labels=labels, resamples=20, level=0.99)
    assert wider.interval[0, 0] < first.interval[0, 0]


def test_a_model_without_errors_has_no_interval():
    labels = np.repeat(np.arange(6), 4)
    found = extrapolate(np.full(24, 5), 6, [6, 24], labels=labels, resamples=20)
    assert np.all(found.accuracy > 0.5)
    assert np.isnan(found.interval).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes_beaten": [0, 4]}, r"classes_beaten must be in 0 \.\. 3, got \[4\]"),
        ({"classes_beaten": [0.5, 1.0]}, "classes_beaten must be a vector of whole numbers"),
        ({"num_classes": 3.5}, "num_classes must be a whole number >= 4, got 3.5"),
        ({"k": 0}, "k must be a vector of numbers >= 1, got 0"),
        ({"labels": [0]}, r"labels must be \(2,\) in shape, got \(1,\)"),
        ({"labels": [0, 4], "scores": np.eye(4)[:2]}, r"labels must be classes 0 \.\. 3, got \[0, 4\]"),
        ({"scores": np.eye(4)[:2]}, r"classes_beaten must be what scores and labels say, got \[2\]"),
        (
            {"estimator": "guess"},
            "estimator must be one of skew_probit, mixture, regression, reversed_roc, .*, got 'guess'",
        ),
        ({"level": 1.0}, "level must be between 0 and 1, got 1.0"),
        ({"resamples": 5}, "resamples must be a whole number >= 20, got 5"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"classes_beaten": [3, 2], "num_classes": 4, "k": 8, "labels": [0, 1]} | change
    with pytest.raises(ValueError, match=message):
        extrapolate(**arguments)


def test_wrong_set_sizes_and_scores_are_named():
    with pytest.raises(ValueError, match=r"k must be whole numbers 1 \.\. 4, got \[5.0\]"):
        average_test_accuracy([3, 2], 4, 5)
    with pytest.raises(ValueError, match="scores must be unequal among an item's rivals"):
        kde(ClassRanks(np.array([2]), 3, np.array([0]), np.array([[1.0, 0.0, 0.0]])), np.array([4.0]))
