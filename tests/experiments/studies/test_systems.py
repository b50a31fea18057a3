"""Study `systems`: every verdict is reachable, presets hold the trials meant, a measure depends on its trial alone."""

import json

import numpy as np
import pytest

from experiments.families.systems import BASELINES, FAMILY, SYSTEMS
from experiments.measures.systems import fit_system, measure, model_seed
from experiments.searching import CANDIDATES, SEARCH_FILE, candidates, key_of, pairs
from experiments.spec import Sweep
from experiments.studies.systems import HYBRIDS, ROWS, STUDY, compare, decide, difference, judge, judge_row
from experiments.studies.systems_margins import margins
from paper_figures import systems as figure
from paper_figures import table2
from sim.analysis.compare import paired_t
from sim.metrics import partition_scores
from sim.segmentation.baselines import fit_chance, fit_constant
from sim.segmentation.protocol import Examples
from sim.segmentation.registry import SEGMENTERS
from sim.segmentation.scoring import Truth, between_lines, score_answers

DEEP = {system for row in ROWS for system in row.deep}


def plant(lead, preset="laptop", spread=0.01, long_lead=None, noisy_lead=None):
    """Columns of a preset in which non-deep systems lead by lead(row's phantom, inputs), up to noise of the seeds."""
    rng, rows = np.random.default_rng(3), []
    for trial in STUDY.trials(preset):
        f = dict(trial.factors)
        if f["system"] not in {*SYSTEMS, *BASELINES}:
            continue
        gain = lead(f["phantom"], f["inputs"]) if f["system"] not in DEEP else 0.0
        if f["noise_scale"] == 2.0 and noisy_lead is not None and f["system"] not in DEEP:
            gain = noisy_lead
        if f["effort"] > 1 and long_lead is not None:  # the deep side catches up
            gain = lead(f["phantom"], f["inputs"]) - long_lead
        value = 0.6 + gain + spread * rng.normal() - 0.4 * (f["system"] in BASELINES)
        own = {"primary": value, "filled_dice": value, "myocardium_dice": value, "iou": value, "dice": value,
               "sliver07": 100 * value, "selected": value, "over_segmentation": 0.1, "under_segmentation": 0.2,
               }  # fmt: skip
        rows.append({**f, "seed": trial.seed, "status": "ok", **own, **{f"shifted_{k}": v for k, v in own.items()}})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(("lead", "verdict"), [(0.1, "supported"), (-0.1, "refuted"), (0.0, "undecided")])
def test_study_is_decided_by_the_planted_lead(lead, verdict):
    rows = judge(plant(lambda phantom, inputs: lead))
    assert rows[0]["verdict"] == verdict
    assert [row["arm"] for row in rows] == ["Table 2", *(row.name for row in ROWS), "ventricle, myocardium",
                                        "liver, VOE, 256 pixels", "liver, score, 256 pixels"]  # fmt: skip


def test_a_lead_that_turns_with_the_training_images_is_conditional():
    rows = judge(plant(lambda phantom, inputs: 0.1 if inputs == 16 else -0.1))
    assert {row["verdict"] for row in rows if "256" not in row["arm"]} == {"conditional"}  # there one number is run


def test_three_rows_do_not_decide_the_study():
    columns = plant(lambda phantom, inputs: 0.1 if phantom in ("ventricle", "tumour", "cells") else 0.0)
    assert judge(columns)[0]["verdict"] == "undecided"


def test_more_training_or_more_noise_makes_a_supported_row_conditional():
    caught_up = judge_row(plant(lambda phantom, inputs: 0.1, long_lead=0.0), ROWS[3])
    assert caught_up["verdict"] == "conditional"
    assert "four times" in caught_up["sentence"]
    reversed_ = judge_row(plant(lambda phantom, inputs: 0.1, noisy_lead=-0.1), ROWS[3])
    assert reversed_["verdict"] == "conditional"
    assert "twice the noise" in reversed_["sentence"]


def test_sides_are_told_apart_at_the_margin():
    assert compare(paired_t([0.02, 0.021, 0.022])) == "non-deep"
    assert compare(paired_t([-0.02, -0.021, -0.022])) == "deep"
    assert compare(paired_t([0.001, -0.001, 0.0])) == "equal"
    assert compare(paired_t([0.1, -0.1, 0.0])) == "open"
    assert compare(None) == "open"
    assert decide(["equal", "equal"]) == "undecided"
    assert decide(["equal", "deep"]) == "conditional"
    assert decide(["open", "deep"]) == "undecided"


def test_the_interval_over_seeds_covers_images_nested_in_seeds():
    """400 studies of ten seeds: 95% intervals must cover the truth 365 times or more (false fails: 1 in 1,000)."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        seeds = rng.normal(0.03, 0.02, 10)
        estimate = paired_t([rng.normal(seed, 0.1, 100).mean() for seed in seeds])
        covered += estimate.low < 0.03 < estimate.high
    assert covered >= 365


def test_presets_hold_every_system_and_both_sides_of_every_row():
    trials = [dict(trial.factors) for trial in STUDY.trials("laptop")]
    own = {f["system"] for f in trials if f["system"] in SYSTEMS and f["phantom"] == SYSTEMS[f["system"]][0]}
    assert own == set(SYSTEMS) == set(SEGMENTERS)
    for name, (phantom, deep, _, _) in SYSTEMS.items():
        assert (SEGMENTERS[name].phantom, SEGMENTERS[name].deep) == (phantom, deep)
    columns = plant(lambda phantom, inputs: 0.0)
    for row in ROWS:
        for deep in row.deep:
            for inputs in (16, 64):
                assert difference(columns, row, deep, inputs).trials == 10
                assert difference(columns, row, deep, inputs, noise=2.0).trials == 4
            assert difference(columns, row, deep, 64, effort=4.0).trials == 3
    assert {name for name, system in SEGMENTERS.items() if "arm" in system.parameters} == set(HYBRIDS)
    for name, stages in HYBRIDS.items():
        assert set(stages) <= set(SEGMENTERS[name].parameters["arm"])


def test_every_side_has_the_same_number_of_candidates():
    for system, *_ in pairs():
        found = candidates(SEGMENTERS[system].parameters)
        assert len(found) == CANDIDATES
        assert all(set(settings) <= set(SEGMENTERS[system].parameters) for settings in found)


@pytest.mark.skipif(not SEARCH_FILE.exists(), reason="`capsim tune systems` has not been run yet")
def test_the_committed_search_holds_every_pair_and_its_best():
    searched = json.loads(SEARCH_FILE.read_text())
    assert set(searched) == {key_of(*pair) for pair in pairs()}
    for entry in searched.values():
        assert len(entry["tried"]) == CANDIDATES
        assert entry["validation"] == max(score for _, score in entry["tried"])
        assert [entry["chosen"], entry["validation"]] in entry["tried"]


def test_margins_say_which_systems_beat_a_constant():
    table = {row["system"]: row for row in margins(plant(lambda phantom, inputs: 0.0))}
    assert set(table) == set(SYSTEMS)
    assert all(row["beats_chance"] and row["beats_constant"] for row in table.values())
    worse = plant(lambda phantom, inputs: -0.6 if phantom == "tumour" else 0.0)
    worse["primary"][worse["system"] == "constant"] = 0.3
    assert not {row["system"]: row for row in margins(worse)}["lesion_pipeline"]["beats_constant"]


def _trial(**factors):
    usual = {"phantom": "cells", "inputs": 4, "test_items": 4, "shifted_items": 2, "seeds": [900_002]}
    return Sweep(generator="systems", **(usual | factors)).trials()[0]


def test_a_trial_measures_the_same_alone_and_among_others():
    trials = [_trial(system="otsu"), _trial(system="constant"), _trial(system="self_supervised_svm")]
    together = measure(trials)
    assert together[1:] == measure(trials[1:])
    assert together[0] == measure(trials[:1])[0]
    assert all(np.isfinite(list(scores.values())).all() for scores in together)
    assert together[0]["primary"] > together[1]["primary"]  # Otsu's threshold finds cells


def test_stages_of_a_hybrid_share_images_and_seed():
    one, two = _trial(system="network_watershed"), _trial(system="network_watershed", stage="network")
    assert one.identity != two.identity
    assert model_seed(one.data_identity, "network_watershed") == model_seed(two.data_identity, "network_watershed")


def test_constant_is_the_best_level_set_and_chance_has_the_labels_rates():
    answers = np.zeros((6, 12, 12), np.int32)
    answers[:, 3:9, 3:9] = 1
    examples = Examples(np.zeros((6, 12, 12), np.float32), answers, 2)
    truth = Truth(answers, answers, [], 1.0)

    def score(found, seen):
        return score_answers("tumour", found, truth)["primary"]

    constant = fit_constant(examples, "segment", score)(examples.images)
    assert score(constant, examples) > 0.85
    drawn = fit_chance(examples, "segment", 0)(np.zeros((50, 12, 12), np.float32))
    assert drawn.mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / drawn.size))  # 1 in 16,000 by chance
    assert fit_system("chance", examples, {}, 0, "tumour")(examples.images).shape == answers.shape


def test_scores_by_hand():
    labels = np.zeros((2, 8, 8), np.int32)
    labels[:, 2:6, 2:6] = 1
    truth = Truth(labels, labels, [np.array([[3.0, 3.0]])] * 2, 2.0)
    moved = np.roll(labels, 1, axis=2)
    found = score_answers("cells", np.stack([moved[0], np.zeros((8, 8), np.int32)]), truth)
    assert found["primary"] == pytest.approx(0.375)  # .75 and a failure
    assert (found["selected"], found["failures"]) == (0.75, 0.5)
    assert found["over_segmentation"] == pytest.approx(2 / 16)
    hits = score_answers("mitosis", [np.array([[3.0, 5.0], [7.0, 7.0]]), labels[0]], truth)
    assert hits["f1"] == pytest.approx(2 * 2 / (3 + 2))  # a hit at 4 of 5 micrometres; the mask's centre is a hit
    lines = np.zeros((6, 7), bool)
    lines[:, 3] = True
    regions = between_lines(lines)
    cells = np.where(np.arange(7) < 3, 1, 2) * np.ones((6, 1), int)
    assert partition_scores(regions, cells)["v_rand"] == pytest.approx(19 / 25)  # columns of 3 and 4 against 4 and 3
    assert set(np.unique(between_lines(np.ones((3, 3), bool)))) == {1}


def test_table_and_figure_are_drawn_from_any_preset(tmp_path):
    class Planted:
        def columns(self, study):
            return plant(lambda phantom, inputs: 0.05, self.preset)

    source = Planted()
    for source.preset in ("smoke", "laptop"):
        for module in (table2, figure):
            drawing = module.draw(source, tmp_path)
            assert all(path.stat().st_size > 0 for path in drawing.paths)
    assert (tmp_path / "table2.tex").read_text().count(r"\\") > 5


def test_predicted_seconds_count_what_is_fitted_and_asked():
    def cost(**factors):
        return FAMILY.seconds(dict(_trial(**factors).factors))

    assert cost(system="unet", effort=4.0) > 2 * cost(system="unet")
    assert cost(system="dilated_crf", test_items=100) > 2 * cost(system="dilated_crf", test_items=4)
    assert cost(system="chance") < cost(system="unet")
