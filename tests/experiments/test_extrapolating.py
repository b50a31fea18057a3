"""Extrapolation scored on stored ranks: a planted law is told rightly, and intervals hold it as often as they say."""

import json

import numpy as np
import pytest
from scipy import special, stats

from experiments import extrapolating
from experiments.cli import main
from experiments.extrapolating import RANK_ESTIMATORS, ranked_rows, score_extrapolation, score_trial, subset_sizes
from experiments.factors import UsageError
from experiments.records import clean_row, to_table
from experiments.store import Store
from sim.analysis.class_ranks import count_classes_beaten, make_ranks
from sim.analysis.extrapolation import ESTIMATORS, Extrapolation


def gaussian_row(seed, outputs=64, per_class=60, middle=2.0):
    """A trial with Gaussian scores: the own class at z ~ N(middle, 1), its J - 1 rivals standard normal."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(outputs), per_class)
    own = middle + rng.standard_normal(len(label))
    rivals = rng.standard_normal((len(label), outputs - 1))
    return {
        "identity": f"{seed:032x}", "seed": seed, "status": "ok", "arm": "mlp+reg", "factors_json": "{}",
        "outputs": outputs, "inputs": 256, "keep_ranks": True, "rank_class": label,
        "rank_beaten": (rivals < own[:, None]).sum(axis=1),
        "rank_margin": (own - rivals.max(axis=1)).astype(np.float32),
    }  # fmt: skip


def scored_row(seed, outputs=64, per_class=25, middle=2.0):
    """The same law with all scores, each item's on a scale of its own."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(outputs), per_class)
    scores = rng.standard_normal((len(label), outputs))
    scores[np.arange(len(label)), label] = middle + rng.standard_normal(len(label))
    scores = rng.normal(size=(len(label), 1)) + np.exp(0.3 * rng.normal(size=(len(label), 1))) * scores
    beaten = count_classes_beaten(scores, label)
    return gaussian_row(seed, outputs, 1) | {"rank_class": label, "rank_beaten": beaten, "scores": scores}


def exact_accuracy(outputs, middle=2.0):
    """E[Phi(z)^(J-1)], z ~ N(middle, 1), by a rule of its own."""
    z = np.linspace(-7, 7, 4001)
    mass = stats.norm.pdf(z)
    return float(np.sum(mass * special.ndtr(middle + z) ** (outputs - 1)) / mass.sum())


@pytest.fixture(scope="module")
def planted():
    """10 trials, four sets each of 4 and 16 of 64 classes, by the default estimator."""
    rows = [clean_row(gaussian_row(seed)) for seed in range(10)]
    return score_extrapolation(to_table(rows), ["skew_probit"], subsets=4)


def test_a_planted_gaussian_law_is_told_from_few_classes(planted):
    """What is known comes from 38,400 items: standard error .0025; what is seen from 9,600 and 2,400: .005 and .008.

    Four other sets of ten seeds gave, from 16 classes, rms .023 to .027 and a bias up to .007; from 4 classes, 240
    items, rms .069 to .084 and a bias up to .030. The limits are some four thirds of the rms and twice the bias.
    """
    by_classes = {row["classes"]: row for row in planted}
    assert set(by_classes) == {4, 16}
    for classes, rms, bias in ((16, 0.035, 0.014), (4, 0.11, 0.06)):
        row = by_classes[classes]
        assert row["known"] == pytest.approx(exact_accuracy(64), abs=0.01)
        assert row["seen"] == pytest.approx(exact_accuracy(classes), abs=0.03)
        assert row["rms"] < rms < (row["seen"] - row["known"]) / 4  # what leaving the accuracy as it is would cost
        assert abs(row["bias"]) < bias
        assert abs(row["predicted"] - row["known"] - row["bias"]) < 1e-12
        assert (row["trials"], row["intervals"]) == (10, 40)


def test_intervals_hold_what_they_should(planted):
    """Of 40 sets. If 95% held, fewer than 33 would with probability 1e-3 for independent sets; half as wide, intervals
    would hold in two thirds, and 33 or more of 40 with probability .03."""
    for row in planted:
        assert row["coverage"] >= 33 / 40
        assert 33 / 40 <= row["coverage_finite"] <= row["coverage"]


@pytest.mark.parametrize("name", RANK_ESTIMATORS)
def test_every_rank_estimator_tells_it(name):
    """One set of 16 of 64 classes with 400 items each: .006 from the items, .02 with the form's error; see above."""
    row = gaussian_row(100, per_class=400)
    (found,) = (f for f in score_trial(row, [name], subsets=1) if f["classes"] == 16)
    assert abs(found["predicted"] - exact_accuracy(64)) < 0.05
    assert found["known"] == np.mean(np.array(row["rank_beaten"]) == 63)


SCORE_ESTIMATORS = tuple(name for name in ESTIMATORS if name not in RANK_ESTIMATORS)


def test_score_estimators_tell_a_planted_law(monkeypatch):
    """Four trials with three sets each of 16 of 64 classes, 400 items a set.

    In four other such groups of trials the root mean squares were at most .044, .041 and .137 and the mean errors .036,
    .038 and -.137: the limits are 4/3 and 5/3 of them, the last one's both 4/3. Leaving the accuracy as it is would err
    by .21.
    """
    monkeypatch.setattr(extrapolating, "subset_sizes", lambda outputs: (16,))
    rows = [scored_row(seed) for seed in range(4)]
    found = score_extrapolation(to_table([]), SCORE_ESTIMATORS, subsets=3, rescored=rows)
    assert [row["estimator"] for row in found] == list(SCORE_ESTIMATORS)
    limits = {"reversed_roc": (0.059, 0.060), "kde": (0.055, 0.064), "kde_cross_validated": (0.183, 0.183)}
    for row in found:
        assert (row["source"], row["trials"], row["intervals"]) == ("scores", 4, 12)
        assert row["known"] == pytest.approx(exact_accuracy(64), abs=0.025)  # 6,400 items: .006; their classes: less
        assert row["seen"] == pytest.approx(exact_accuracy(16), abs=0.05)  # 4,800 items of 4 x 64 classes: .01
        rms, bias = limits[row["estimator"]]
        assert row["rms"] < rms < row["seen"] - row["known"]
        assert abs(row["bias"]) < bias


def test_scores_are_restricted_exactly():
    """Seen on k classes is the share of their items that beat the k - 1 others, counted here by itself."""
    row = scored_row(9, per_class=3)
    (found,) = (f for f in score_trial(row, ["kde"], subsets=1) if f["classes"] == 16)
    generator = np.random.default_rng([*row["identity"].encode(), 16])
    classes = np.sort(generator.choice(64, 16, replace=False))
    items = np.isin(row["rank_class"], classes)
    chosen = classes[row["scores"][np.ix_(items, classes)].argmax(axis=1)]
    assert found["seen"] == pytest.approx(np.mean(chosen == row["rank_class"][items]))


def test_sets_are_the_same_for_every_estimator_and_every_run():
    row = gaussian_row(5, per_class=10)
    found = score_trial(row, ["skew_probit", "mixture"], subsets=2)
    again = score_trial(row, ["mixture"], subsets=2)
    assert [f for f in found if f["estimator"] == "mixture"] == again
    seen = {(f["classes"], f["seen"]) for f in found}
    assert len(seen) == 4  # two sets for each of 4 and 16 classes


def test_three_classes_have_no_interval():
    found = score_trial(gaussian_row(6, outputs=10, per_class=100), ["skew_probit"], subsets=1)
    assert [f["classes"] for f in found] == [3, 4, 5]
    assert [f["held"] is None for f in found] == [True, False, False]


def test_sizes_are_a_sixteenth_and_a_quarter():
    assert [subset_sizes(j) for j in (4, 6, 10, 16, 64, 100)] == [(), (3,), (3, 4, 5), (4,), (4, 16), (6, 25)]


def test_the_narrower_interval_takes_out_what_is_known():
    """Accuracy .5 of 64 classes that are wholly right or wrong: variance .25 / 63 in accuracy, times 16 in logits.

    Of a variance of .25 that leaves .1865: half width 2.131 (t with 15 degrees) * .432 = .920 about logit .5 = 0. Of
    one of .0729 a mere .0094, so that the least, 3/4 of it, counts: .498.
    """
    label = np.arange(64)
    whole = make_ranks(np.where(label < 32, 63, 0), 64, label)
    assert extrapolating._class_variance(whole, 0.5) == pytest.approx(16 * 0.25 / 63)

    def held(error, logit):
        wide = special.expit(2.13145 * np.array([[-error], [error]]))
        found = Extrapolation(np.array([64.0]), special.expit([-logit]), wide, np.array([error]), "mixture", 0.95)
        moved = found._replace(interval=special.expit(special.logit(wide) - logit))
        return tuple(extrapolating._held(moved, whole, 0.5, 16).values())

    assert [held(0.5, x) for x in (0.91, -0.91, 0.93, -0.93, 1.07)] == [
        (True, True), (True, True), (True, False), (True, False), (False, False),
    ]  # fmt: skip
    assert [held(0.27, x) for x in (0.49, 0.51, 0.58)] == [(True, True), (True, False), (False, False)]
    assert set(held(np.nan, 0.0)) == {None}


def test_cells_are_kept_apart_and_rows_without_ranks_left_out():
    rows = [gaussian_row(seed, outputs=16, per_class=20) for seed in range(3)]
    rows[2]["factors_json"] = '{"noise":2.0}'
    plain = {"identity": "ff", "status": "ok", "arm": "mlp+reg", "outputs": 16, "inputs": 256}
    table = to_table([clean_row(row) for row in (*rows, plain)])
    assert len(ranked_rows(table)) == 3
    told = []
    found = score_extrapolation(table, ["mixture"], subsets=1, progress=lambda done, total: told.append((done, total)))
    assert [row["trials"] for row in found] == [1, 2]  # in the order of the factors' text
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimators": ["kde"]}, "estimator must be one of skew_probit, mixture, regression, got 'kde'"),
        ({"subsets": 0}, "subsets must be >= 1, got 0"),
        ({"resamples": 5}, "resamples must be >= 20, got 5"),
    ],
)
def test_mistakes_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        score_extrapolation(to_table([]), **arguments)


def test_the_command_prints_a_table_or_one_object(tmp_path, capsys):
    store = Store(tmp_path)
    words = ["extrapolate", "digits", "--store", str(tmp_path), "--preset", "all"]
    store.publish("digits", [{"identity": "ff", "status": "ok"}])
    assert main(words) == 2
    assert "study must have trials that kept their ranks: " in capsys.readouterr().err
    store.publish("digits", [gaussian_row(7, outputs=10, per_class=50)])
    assert main([*words, "--estimator", "guess"]) == 2
    assert capsys.readouterr().err.startswith("capsim: estimator must be one of skew_probit, ")
    assert main([*words, "--estimator", "kde", "--scores", "0"]) == 2
    assert "estimator 'kde' must have a trial trained once more" in capsys.readouterr().err
    assert main([*words, "--scores", "-1"]) == 2
    assert "scores must be >= 0, got -1" in capsys.readouterr().err
    assert main([*words, "--estimator", "mixture", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"study", "preset", "scores", "retrained", "store"}
    assert found["retrained"] == []
    assert [row["classes"] for row in found["scores"]] == [3, 4, 5]
    assert found["scores"][0]["coverage"] is None
    assert main([*words, "--estimator", "mixture"]) == 0
    assert "coverage" in capsys.readouterr().out
