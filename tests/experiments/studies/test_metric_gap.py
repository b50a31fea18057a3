"""Study metric_gap: presets hold the trials meant, the rule finds planted shares, and measuring ignores the batch."""

import numpy as np
import pytest

from experiments import run
from experiments.families.metric_gap import PLACEMENTS
from experiments.measures.metric_gap import label_weights, measure
from experiments.spec import Sweep
from experiments.studies import metric_gap as study
from experiments.verdicts import judge_study
from sim.generators import mistakes
from sim.theory import overlap


def plant(share, preset="laptop"):
    """Columns of a preset whose scores fall in a straight line to .80 at the error that gives this share of 20 points.

    Args:
        share: factors -> share that the metric explains.
    """
    rng = np.random.default_rng(3)
    trials = study.STUDY.trials(preset)
    rows = [dict(trial.factors) | {"seed": trial.seed} for trial in trials]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    shift = {seed: 0.002 * rng.standard_normal() for seed in set(columns["seed"].tolist())}
    drop = np.array([(1 + shift[row["seed"]]) / (1 - share(row)) for row in rows])
    falling = 1 - drop * columns["pixel_error"]
    columns |= {"pixel_accuracy": 1 - columns["pixel_error"], "mean_iou": falling, "exact_match": falling}
    columns |= {"dice": np.where(columns["labels"] == 2, falling, np.nan), "realised_foreground": columns["foreground"]}
    return columns | {"status": np.array(["ok"] * len(rows), dtype=object)}


def verdicts(share):
    return {row["arm"]: row for row in study.judge(plant(share))}


@pytest.mark.parametrize(
    ("share", "expected", "words"),
    [
        (lambda f: 0.22, "supported", "supported"),
        (lambda f: 0.9, "refuted", "refuted"),
        (lambda f: 0.5, "undecided", "undecided"),
        (lambda f: 0.8 if f["foreground"] < 0.25 else 0.6, "conditional", "refuted for a foreground share of 0.2."),
        (lambda f: 0.9 if f["placement"] == "renamed" else 0.5, "conditional", "refuted for renamed errors."),
        (lambda f: 0.22 if f["placement"] == "missed" else 0.9, "conditional",
         "supported for missed errors; refuted for independent errors, boundary errors, renamed errors."),
    ],
)  # fmt: skip
def test_planted_shares_are_found(share, expected, words):
    # seeds scatter by .002 of an error of .16 or less, .0016 of the share; ten of them have a standard error of .0005,
    # and every threshold lies .03 away: false-fail rate far below 1e-6
    found = verdicts(share)
    assert set(found) == set(study.SCOPES)
    assert found["overall"]["verdict"] == expected
    assert words in found["overall"]["sentence"]


def test_the_range_and_the_effect_are_the_planted_ones():
    found = verdicts(lambda f: 0.9 - f["foreground"])["overall"]
    assert found["interval"] == pytest.approx([0.55, 0.7], abs=0.002)
    assert found["effect"] == pytest.approx(0.63, abs=0.002)
    assert found["trials"] == 3 * 4 * 7 * 10


def test_counting_from_the_empty_answer_divides_by_the_foreground():
    found = verdicts(lambda f: 1 - 0.5 * f["foreground"])["empty answer at 0"]  # e = f/10
    assert found["interval"] == pytest.approx([0.5, 0.5], abs=0.002)


def test_lines_that_do_not_reach_80_per_cent_are_bounded():
    scope, columns = study.SCOPES["overall"], plant(lambda f: 0.99)
    line = study.line_share(columns, scope, 0.2, "missed")
    assert (line.low, line.high) == pytest.approx((1 - 0.01 / 0.2, 1.0))
    line = study.line_share(plant(lambda f: 0.0), scope, 0.2, "missed")
    assert (line.low, line.high) == (-np.inf, pytest.approx(1 - 0.16 / 0.2))


def test_a_line_of_one_seed_is_no_line():
    columns = plant(lambda f: 0.5)
    columns["status"] = np.where(columns["seed"] == 0, "ok", "failed").astype(object)
    assert study.judge(columns) == []


@pytest.mark.parametrize("placement", study.MANY)
def test_interpolation_between_declared_errors_meets_the_closed_form(placement):
    for foreground in study.PASCAL:
        shares = overlap.class_shares(foreground, 21)
        errors = np.array(study.ERRORS[21, False])
        scores = np.array([overlap.overlap_scores(overlap.confusions(placement, shares, e)).mean_iou for e in errors])
        found = 1 - study.wrong_at(scores, errors) / 0.2
        # the half width of a line's interval in a pilot of two seeds was .001 to .02
        assert found == pytest.approx(overlap.metric_share(0.8, placement, shares), abs=0.001)


def test_placements_have_one_list():
    assert PLACEMENTS == study.MANY == mistakes.PLACEMENTS == overlap.PLACEMENTS


def test_the_grid_is_the_declared_one():
    trials = [dict(trial.factors) | {"seed": trial.seed} for trial in study.STUDY.trials("laptop")]
    decisive = [
        f for f in trials if f["labels"] == 21 and f["foreground"] in study.PASCAL and f["class_law"] == "equal"
    ]
    assert {f["seed"] for f in decisive} == set(range(10))
    assert {f["placement"] for f in decisive} == set(study.MANY)
    assert not [f for f in trials if f["placement"] in ("missed", "renamed") and f["pixel_error"] >= f["foreground"]]
    wrong = [1 - pixels for _, pixels, _ in study.PUBLISHED]
    assert min(f["pixel_error"] for f in decisive) < min(wrong) < max(wrong) <= 0.11
    assert pytest.approx(study.OWN, abs=0.005) == 1 - 21 * 0.0349  # the source's mean IoU of the empty answer


def test_published_pairs_on_both_scales():
    assert study.own_shortfall(0.95, 0.8) == pytest.approx(0.75)
    assert study.own_shortfall(1 - 0.27 * 0.2, 0.8, from_empty=True) == pytest.approx(0)


def test_measuring_is_the_same_in_any_batch_and_placements_share_their_maps():
    sweep = {"generator": "metric_gap", "labels": 3, "placement": ["missed", "boundary"], "pixel_error": [0.02, 0.08]}
    trials = Sweep(**sweep, test_items=20, seeds=[900_000]).trials()
    assert len({trial.data_identity for trial in trials}) == 1
    whole, alone = measure(trials), [measure([trial])[0] for trial in reversed(trials)][::-1]
    assert str(whole) == str(alone)  # the same operations in the same order; text, as NaN differs from itself
    for trial, row in zip(trials, whole, strict=True):
        assert row["pixel_accuracy"] == pytest.approx(1 - dict(trial.factors)["pixel_error"], abs=0.01)
        assert row["mean_iou"] < row["pixel_accuracy"]
        assert np.isnan(row["dice"])


def test_two_labels_have_a_dice_and_unequal_labels_are_unequal():
    sweep = {"generator": "metric_gap", "labels": 2, "pixel_error": 0.05, "foreground": 0.1, "test_items": 60}
    (row,) = measure(Sweep(**sweep, seeds=[900_000]).trials())
    shares = overlap.class_shares(row["realised_foreground"], 2)
    expected = overlap.overlap_scores(overlap.confusions("independent", shares, 1 - row["pixel_accuracy"]))
    # 245,760 pixels, 24,000 of them foreground: Dice scatters by .002; five standard errors
    assert row["dice"] == pytest.approx(expected.dice, abs=0.01)
    assert row["mean_iou"] == pytest.approx(expected.mean_iou, abs=0.01)
    assert label_weights("unequal", 21)[-1] == pytest.approx(1 / 20)


def test_the_smoke_preset_runs_to_a_verdict(tmp_path):
    rows = [run(sweep, tmp_path) for sweep in study.STUDY.sweeps("smoke")]
    found = [judge_study(study.STUDY, part) for part in rows]
    assert {row["arm"] for part in found for row in part} >= {"overall", "two labels", "Dice", "exact match"}
    overall = next(row for row in found[0] if row["arm"] == "overall")
    assert 0.5 < overall["effect"] < 0.9  # four lines about .75 in the closed form
