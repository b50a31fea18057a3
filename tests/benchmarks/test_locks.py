"""The lock files of the `bench` extra."""

import tomllib
from pathlib import Path

import pytest

from benchmarks.locks import CPU_BUILD, CPU_LOCK, LOCK, cpu_lock

ROOT = Path(__file__).resolve().parents[2]


def pins(name):
    return [line.split()[0] for line in (ROOT / name).read_text().splitlines() if "==" in line.split(" ")[0]]


def test_both_locks_have_the_extras_torch():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    assert extra == list(CPU_BUILD)
    assert extra[0] in pins(LOCK)
    assert f"{extra[0]}+cpu" in pins(CPU_LOCK)


def test_the_cpu_lock_is_the_other_one_without_accelerators():
    assert (ROOT / CPU_LOCK).read_text() == cpu_lock((ROOT / LOCK).read_text())
    left_out = set(pins(LOCK)) - set(pins(CPU_LOCK)) - set(CPU_BUILD)
    assert left_out
    assert all(pin.startswith(("nvidia-", "cuda-", "triton==")) for pin in left_out)


def test_the_extra_moves_no_version_of_the_commands_lock():
    ours = dict(pin.split("==") for pin in pins("requirements.lock"))
    shared = dict(pin.split("==") for pin in pins(CPU_LOCK) if pin.split("==")[0] in ours)
    assert shared
    assert shared == {name: ours[name] for name in shared}
    assert "torch" not in ours


def test_locks_have_hashes_and_no_addresses():
    for name in (LOCK, CPU_LOCK):
        text = (ROOT / name).read_text()
        assert len(pins(name)) <= text.count("--hash=sha256:")
        assert "http" not in text


def test_an_unknown_version_of_torch_is_refused():
    with pytest.raises(ValueError, match=r"torch must be one of torch==2\.13\.0, got torch==9\.9"):
        cpu_lock("torch==9.9 \\\n    --hash=sha256:00\n")
