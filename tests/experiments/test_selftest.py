"""The self-test: every part passes in small, and every planted fault makes its part fail."""

import itertools
import json
from collections import Counter
from functools import partial

import broken
import pytest

from experiments.cli import main
from experiments.records import root_hash
from experiments.selftest import kills, whole
from experiments.selftest.child import Event
from experiments.selftest.crowd import run_crowd
from experiments.selftest.damage import DAMAGES
from experiments.selftest.faults import run_fault
from experiments.selftest.kills import Aim, attempt, draw_aims, run_kills
from experiments.selftest.parts import Account, Part
from experiments.selftest.plans import STUDY, small_plan
from experiments.selftest.workers import has_dask
from experiments.store import Store

TINY = whole.Size(kills=4, network_kills=1, worker_kills=1, crowds=2, damages=1)
COUNTS = {  # kills and faults of each part
    "killed runs": (4, 0), "killed runs of networks": (1, 0), "killed Dask workers": (int(has_dask()), 0),
    "two runs at once": (1, 0), "four runs at once": (1, 0), "torn and foreign files": (0, len(DAMAGES)),
    "little memory": (0, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", whole.list_parts(TINY))
def test_every_part_passes(tmp_path, name):
    said = []
    part = whole.list_parts(TINY)[name](name, tmp_path, said.append)
    assert said == []
    assert part.passed, part.note
    assert (part.lost, part.twice) == (0, 0)
    assert (part.kills, part.faults) == COUNTS.get(name, (0, part.faults))
    assert part.kills + part.faults or name in ("read-only store", "killed Dask workers")  # may not be possible
    assert part.note


def killed(body, folder, count, said=None):
    return run_kills("killed runs", body, count, folder, 0, 0.002, (said if said is not None else []).append)


def account_of(body, folder, *aims):
    """Kill the body at each moment in turn, looking at the store after each; the part and what was said."""
    said = []
    account = Account("killed runs", said.append)
    for aim in aims:
        tried = attempt(body, folder, aim)
        assert tried.killed is (aim is not None)
        account.hear(tried.events)
        account.inspect(Store(folder))
    return account.close("fine"), said


# --- planted faults
def test_rows_that_were_promised_and_are_gone_are_lost(tmp_path):
    part, said = account_of(broken.forgets, tmp_path, Aim("stored", 2, 0, 0.0))
    assert part.lost == 8  # the second batch
    assert not part.passed
    assert len(said) == 5
    assert all(line.startswith("killed runs: trial ") and line.endswith(" was stored and is lost") for line in said)


def test_training_what_is_stored_counts_as_twice(tmp_path):
    part, _ = account_of(broken.retrains, tmp_path, Aim("publish", 3, 0, 0.0), None)
    assert part.twice >= 16  # two batches at least
    assert not part.passed


def test_a_torn_file_is_an_anomaly_in_one_line(tmp_path):
    part, said = account_of(broken.tears, tmp_path, Aim("torn", 1, 0, 0.0))
    (line,) = said
    assert line.startswith(f"killed runs: {tmp_path}")
    assert line.endswith("is torn or was altered: its content does not match its name, skipped")
    assert part.note.startswith("1 anomalies, first: ")
    assert not part.passed


def test_another_table_than_the_uninterrupted_runs_is_seen(tmp_path):
    part = killed(partial(broken.run, train=broken.train_by_the_clock), tmp_path, 1)
    assert part.note.endswith("the finished table differs from that of an uninterrupted run")
    assert not part.passed


def test_runners_that_contradict_each_other_are_seen(tmp_path):
    said = []
    body = partial(broken.run, train=broken.train_by_the_process)
    part = run_crowd("two runs at once", body, 2, 1, tmp_path, 0, said.append)
    assert not part.passed
    assert any("a second result for trial" in line or "differs from that" in line for line in said)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (broken.raises, "a run ended with ArrowInvalid: two lines"),
        (broken.ends_without_a_word, "a run ended with exit code 3 without a word"),
        (broken.hangs, "a run ended with no message for 0.5 seconds"),
    ],
)
def test_a_run_that_fails_is_an_anomaly(tmp_path, monkeypatch, body, message):
    monkeypatch.setattr(kills, "PATIENCE", 0.5 if body is broken.hangs else 60.0)
    said = []
    part = killed(body, tmp_path, 1, said)
    assert said == [f"killed runs: {message}"]
    assert part._replace(seconds=0.0) == Part(
        "killed runs", 0, 0, 0, 0, 0, 0.0, False, f"1 anomalies, first: {message}"
    )


def test_what_a_fault_does_wrong_is_told_in_one_line(tmp_path):
    said = []
    part = run_fault("full disk", broken.complains, tmp_path, said.append)
    assert said == ["full disk: something is wrong"]
    assert (part.faults, part.passed) == (2, False)


def test_an_account_counts(tmp_path):
    account, store = Account("p", lambda line: None), Store(tmp_path)
    account.hear([Event("train", "a b"), Event("stored", "a")])
    store.publish(STUDY, [{"identity": "a", "status": "ok"}, {"identity": "c", "status": "ok"}])
    account.inspect(store)
    assert account.lost == set()
    account.hear([Event("train", "a b c d"), Event("stored", "b"), Event("train", "b")])
    account.inspect(store)
    part = account.close()
    assert (part.reruns, part.twice, part.lost, part.passed) == (2, 2, 1, False)  # b and b; a and c; b


# --- kills
def test_a_kill_comes_at_its_moment(tmp_path):
    tried = attempt(broken.run, tmp_path / "store", Aim("publish", 3, 2, 0.0))
    words = [event.word for event in tried.events]
    assert tried.killed
    assert tried.place == "publish"
    assert words.count("publish") == 3
    assert "compact" not in words
    assert Store(tmp_path / "store").read(STUDY).table.num_rows == 16
    rest = attempt(broken.run, tmp_path / "store")
    assert (rest.killed, rest.events[-1].word) == (False, "done")
    assert [event.word for event in rest.events].count("train") == 6
    again = attempt(broken.run, tmp_path / "store", Aim("train", 1, 0, 0.0))
    assert not again.killed, "there is nothing to train, so the moment does not come"
    table = Store(tmp_path / "store").read(STUDY).table
    attempt(broken.run, tmp_path / "other")
    assert root_hash(table) == root_hash(Store(tmp_path / "other").read(STUDY).table)
    assert table["identity"].to_pylist() == sorted(trial.identity for trial in small_plan())


def test_moments_are_drawn_over_the_whole_run():
    reference = [Event(word, "") for word in ("run", "file", "file", "compact", "file", "file", "compacted", "done")]
    aims = list(itertools.islice(draw_aims(reference, 0.5, 0), 400))
    assert aims == list(itertools.islice(draw_aims(reference, 0.5, 0), 400))
    assert aims != list(itertools.islice(draw_aims(reference, 0.5, 1), 400))
    words = Counter(aim.word for aim in aims)
    assert set(words) == {"publish", "compact", "train", "file"}
    assert {aim.files for aim in aims if aim.word == "compact"} == {0, 1, 2}
    assert {aim.number for aim in aims if aim.word == "file"} == {1, 2, 3, 4}
    assert max(aim.seconds for aim in aims if aim.word == "train") > 0.4


# --- the command
def parts_of(passed):
    def make(part, folder, say):
        (folder / "file").write_text("left")
        parts_of.folder = folder.parent
        if not passed:
            say(f"{part}: something\nis wrong")
        return Part(part, 3, 1, 2, 0 if passed else 1, 0, 0.1, passed, "a note")

    return lambda size: {"first": make, "second": make}


@pytest.mark.parametrize("passed", [True, False])
def test_the_command_prints_the_summary(capsys, monkeypatch, passed):
    monkeypatch.setattr(whole, "list_parts", parts_of(passed))
    code = main(["selftest", "--quick", "--json"])
    out, error = capsys.readouterr()
    summary = json.loads(out)
    assert code == int(not passed)
    assert summary["passed"] is passed
    assert (summary["kills"], summary["faults"], summary["reruns"], summary["lost"]) == (6, 2, 4, 0 if passed else 2)
    assert [part["part"] for part in summary["parts"]] == ["first", "second"]
    assert set(summary["parts"][0]) == set(Part._fields)
    assert ("capsim: first: something is wrong" in error.splitlines()) is not passed
    assert not parts_of.folder.exists(), "the temporary folder is removed"
    assert main(["selftest"]) == code
    assert "a note" in capsys.readouterr().out


def test_the_sizes_keep_their_promise():
    assert whole.FULL.kills >= 180
    assert min(whole.FULL.network_kills, whole.FULL.worker_kills) >= 20
