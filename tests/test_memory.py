"""Memory: what is there, what a program plans to take, and what happens when it runs out."""

from types import SimpleNamespace

import numpy as np
import pytest

from sim import memory, population
from sim.memory import available_bytes, out_of_memory, train_halving


def device(platform, **stats):
    return SimpleNamespace(platform=platform, memory_stats=lambda: stats or None)


def test_the_machines_memory_is_what_the_kernel_says(tmp_path, monkeypatch):
    report = tmp_path / "meminfo"
    report.write_text("MemTotal:       2000 kB\nMemAvailable:   1500 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", report)
    assert available_bytes([device("cpu")]) == 1500 * 1024
    report.write_text("MemTotal:       2000 kB\n")
    assert available_bytes([device("cpu")]) is None
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert available_bytes([device("cpu")]) is None


def test_the_fullest_accelerator_decides():
    devices = [device("gpu", bytes_limit=100, bytes_in_use=30), device("gpu", bytes_limit=100, bytes_in_use=60)]
    assert available_bytes(devices) == 40
    assert available_bytes([device("gpu")]) is None


def test_only_errors_of_memory_are_taken_for_such():
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes"))
    assert not out_of_memory(RuntimeError("INTERNAL: something else"))
    assert not out_of_memory(ValueError("RESOURCE_EXHAUSTED"))


class Machine:
    """Stands in for `train_population`; memory holds `room` members a time, `chunk` or all of them if chunk is 1."""

    def __init__(self, room, error):
        self.room, self.error, self.calls = room, error, []

    def train(self, settings, members, *, slots, chunk=1):
        size = len(members["value"])
        self.calls.append((size, slots, chunk))
        if (chunk if chunk > 1 else size) > self.room:
            raise self.error
        return {"doubled": 2 * members["value"]}


@pytest.mark.parametrize("error", [MemoryError("full"), RuntimeError("RESOURCE_EXHAUSTED: out of memory")])
def test_the_chunk_is_halved_and_then_the_population_until_it_fits(error):
    """A chunk of 8 in room for 3: 8, 4 and 2 are tried. With room for a single member each one runs by itself."""
    members = {"value": np.arange(5)}
    wide = Machine(3, error)
    np.testing.assert_array_equal(
        train_halving(wide.train, None, members, slots=8, chunk=8)["doubled"], 2 * np.arange(5)
    )
    assert wide.calls == [(5, 8, 8), (5, 8, 4), (5, 8, 2)]
    narrow = Machine(1, error)
    np.testing.assert_array_equal(
        train_halving(narrow.train, None, members, slots=8, chunk=2)["doubled"], 2 * np.arange(5)
    )
    assert narrow.calls[:4] == [(5, 8, 2), (5, 8, 1), (3, 3, 1), (2, 2, 1)]
    assert [size for size, _, _ in narrow.calls].count(1) == 5


def test_too_small_for_one_member_and_other_errors_are_raised():
    with pytest.raises(MemoryError, match="full"):
        train_halving(Machine(0, MemoryError("full")).train, None, {"value": np.arange(4)}, slots=4, chunk=4)
    wrong = Machine(0, RuntimeError("INTERNAL"))
    with pytest.raises(RuntimeError, match="INTERNAL"):
        train_halving(wrong.train, None, {"value": np.arange(4)}, slots=4, chunk=4)
    assert len(wrong.calls) == 1


def test_planned_bytes_count_every_cpu_device_but_one_accelerator():
    sizes = SimpleNamespace(temp_size_in_bytes=5, argument_size_in_bytes=3, output_size_in_bytes=2)
    program = SimpleNamespace(memory_analysis=lambda: sizes)
    assert population._program_bytes(program, [device("cpu")] * 2) == 20
    assert population._program_bytes(program, [device("gpu")] * 2) == 10
