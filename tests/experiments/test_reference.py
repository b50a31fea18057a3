"""Three named laptop trials, trained and measured once more in full, agree with the committed records."""

import pytest

from experiments.replaying import contradiction, replay
from experiments.store import COMMITTED, Store
from experiments.studies.registry import STUDIES

NAMED = {  # study -> factors of a trial that takes seconds; its seed is 0
    "codebook": {"network": "linear", "outputs": 64, "inputs": 256, "recipe": "regularised"},
    "edge_map": {"contour": "geodesic", "start_error": 0.4},
    "metric_gap": {"placement": "boundary", "foreground": 0.27, "pixel_error": 0.055, "labels": 21},
}


def named_trial(study):
    """The first trial of the laptop preset, in its order, with these factors and seed 0."""
    return next(
        trial
        for trial in STUDIES[study].trials("laptop")
        if trial.seed == 0 and NAMED[study].items() <= dict(trial.factors).items()
    )


@pytest.mark.parametrize("study", NAMED)
def test_a_committed_trial_comes_out_again(study):
    trial = named_trial(study)
    rows = {row["identity"]: row for row in Store(COMMITTED).read(study).table.to_pylist()}
    stored = rows[trial.identity]
    again = replay(study, trial).row
    assert stored["status"] == again["status"] == "ok"
    # the stated tolerance: .02 in every score, see `experiments.records.TOLERANCE`
    assert contradiction(stored, again) is None
    if trial.is_measured:  # as a run's worker measured it: on one device, though this process has more
        assert stored["device"].startswith("1 ")
        assert again["device"].startswith("1 ")


@pytest.mark.parametrize("study", NAMED)
def test_another_trial_contradicts_the_record(study):
    trial = named_trial(study)
    table = Store(COMMITTED).read(study).table.to_pylist()
    stored = next(row for row in table if row["identity"] == trial.identity)
    others = [row for row in table if row["status"] == "ok" and contradiction(stored, row) is not None]
    assert len(others) > len(table) / 2  # the tolerance tells trials apart
