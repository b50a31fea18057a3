"""Probing: the fastest chunk is found with few candidates, kept, and never asked of a group too small to repay it."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import probing
from experiments.cache import cache_dir, read_json, write_json
from experiments.probing import choose_chunk, probe_chunk, probe_key, train_planned, with_steps
from experiments.spec import Sweep
from experiments.tasks import make_task, stack_members

LONG = 50_000  # steps: worth a probe


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSIM_CACHE", str(tmp_path))


def population(max_steps=LONG, size=8, **changes):
    factors = {"generator": "codebook", "dimension": 8, "outputs": 4, "inputs": 16, "network": "linear"} | changes
    trials = Sweep(**factors, learning_rate=0.01, max_steps=max_steps, batch_size=16, seeds=size).trials()
    tasks = [make_task(trial) for trial in trials]
    return tasks[0].settings, stack_members(tasks)


def timings(seconds, ready=1.0):
    """A stand-in for the clock: seconds of a step by chunk, and the chunks that were asked for."""
    asked = []

    def measure(train, members):
        train(members)
        return seconds[asked[-1]], ready

    def train(settings, members, *, slots, chunk=1):
        asked.append(chunk)
        return "trained"

    return train, measure, asked


@pytest.mark.parametrize(
    ("seconds", "best", "asked"),
    [
        ({1: 8e-4, 2: 4e-4, 4: 2e-4, 8: 1e-4}, 8, [1, 2, 4, 8]),  # 16 members on two devices: at most 8
        ({1: 8e-4, 2: 4e-4, 4: 5e-4}, 2, [1, 2, 4]),
        ({1: 8e-4, 2: 7e-4, 4: 8e-4}, 1, [1, 2, 4]),  # 12% faster: lost again to waiting for the slowest member
        ({1: 8e-4, 2: 9e-4}, 1, [1, 2]),
        ({1: 2e-5}, None, [1]),  # a second of training is seen: no time to compile another candidate
    ],
)
def test_the_probe_climbs_while_a_wider_chunk_pays(seconds, best, asked):
    settings, members = population(size=4)
    train, measure, seen = timings(seconds)
    chunk, spent = probe_chunk(train, settings, members, 16, 0.5, measure)
    assert (chunk, seen) == (best, asked)
    assert spent == pytest.approx(0.5 + seconds[1] * LONG)


def test_many_small_batches_of_one_shape_earn_a_probe():
    """Five seconds of training each, and six to compile a candidate: the third batch pays for the probe."""
    settings, members = population(size=4)
    spent, chunks = 0.0, []
    for _ in range(3):
        train, measure, _ = timings({1: 5.0 / LONG, 2: 1.0 / LONG, 4: 1.0 / LONG}, ready=0.1)
        chunk, spent = probe_chunk(train, settings, members, 16, spent, measure)
        chunks.append(chunk)
    assert chunks == [None, None, 2]


def test_a_choice_is_kept_and_a_spoiled_one_is_made_anew(monkeypatch):
    settings, members = population()
    asked = []
    monkeypatch.setattr(probing, "probe_chunk", lambda *arguments: asked.append(arguments) or (4, 1.0))
    assert [choose_chunk(None, settings, members, 8) for _ in range(2)] == [4, 4]
    assert len(asked) == 1
    (file,) = (cache_dir() / "chunks").iterdir()
    for spoiled in ("{", "[]", '{"chunk": 0}', '{"chunk": "8"}', '{"chunk": 9}', ""):
        file.write_text(spoiled)
        assert choose_chunk(None, settings, members, 8) == 4
        assert read_json(f"chunks/{file.name}") == {"chunk": 4, "spent": 1.0}
    assert len(asked) == 7
    assert [path.name for path in (cache_dir() / "chunks").iterdir()] == [file.name]  # nothing half-written is left


def test_a_cache_that_cannot_be_written_costs_only_time(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAPSIM_CACHE", str(tmp_path / "file"))
    write_json("chunks/a.json", 1)
    assert read_json("chunks/a.json") is None


def test_the_key_tells_shapes_apart_and_nothing_else():
    settings, members = population()
    key = probe_key(settings, members, 8)
    assert probe_key(settings, with_steps(members, 7), 8) == key
    assert probe_key(settings, members, 16) != key
    assert probe_key(*population(outputs=17), 8) != key
    assert probe_key(*population(dimension=16), 8) != key


@pytest.mark.parametrize("group", [{"max_steps": 200}, {"learner": "bayes"}])
def test_groups_not_worth_it_are_not_probed(monkeypatch, group):
    monkeypatch.setattr(probing, "probe_chunk", lambda *arguments: pytest.fail("probed"))
    settings, members = population(group.get("max_steps", LONG))
    settings = dataclasses.replace(settings, learner=group.get("learner", settings.learner))
    calls = []
    train_planned(lambda *arguments, **how: calls.append(how), settings, members, slots=8)
    assert calls == [{"slots": 8}]
    assert not cache_dir().joinpath("chunks").exists()


def test_an_accelerator_takes_all_its_members_at_once(monkeypatch):
    devices = [SimpleNamespace(platform="gpu", device_kind="a card")] * 2
    monkeypatch.setattr(probing.jax, "local_devices", lambda: devices)
    settings, members = population(max_steps=100)
    assert choose_chunk(None, settings, members, 15) == 8


def test_a_probe_trains_the_same_members_for_fewer_steps():
    _, members = population()
    short = with_steps(members, 50)
    np.testing.assert_array_equal(short.recipe.max_steps, [50] * 8)
    assert short.spec is members.spec
    assert short.data_key is members.data_key
