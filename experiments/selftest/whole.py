"""The self-test as a whole: which parts, and how large they are."""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from experiments.runner import train_batch
from experiments.selftest import faults
from experiments.selftest.child import run_plan
from experiments.selftest.crowd import run_crowd
from experiments.selftest.kills import run_kills
from experiments.selftest.parts import Part, Say
from experiments.selftest.plans import TRAIN_SECONDS, network_plan, small_plan, train_stand_in
from experiments.selftest.workers import run_worker_kills

MakePart = Callable[[str, Path, Say], Part]


class Size(NamedTuple):
    """How much is tried.

    Attributes:
        kills: of runners with a stand-in trainer. network_kills: of runners that train networks. worker_kills: of
            Dask's workers. crowds: tables made by several runners at once. damages: files of each kind of damage.
    """

    kills: int
    network_kills: int
    worker_kills: int
    crowds: int
    damages: int


FULL = Size(kills=200, network_kills=24, worker_kills=24, crowds=6, damages=3)
QUICK = Size(kills=16, network_kills=2, worker_kills=2, crowds=2, damages=1)

STAND_IN = partial(run_plan, plan=small_plan, train=train_stand_in)


def _network_kills(part: str, folder: Path, say: Say, kills: int) -> Part:
    body = partial(run_plan, plan=network_plan, train=train_batch, devices=2, cache=folder / "cache")
    return run_kills(part, body, kills, folder, 1, 1.0, say)


def list_parts(size: Size) -> dict[str, MakePart]:
    """The parts by name, each ready to run in a folder of its own."""

    def fault(body: Any) -> MakePart:
        return lambda part, folder, say: faults.run_fault(part, body, folder, say)

    def crowd(runners: int) -> MakePart:
        return lambda part, folder, say: run_crowd(part, STAND_IN, runners, size.crowds, folder, runners, say)

    return {
        "killed runs": lambda part, folder, say: run_kills(part, STAND_IN, size.kills, folder, 0, TRAIN_SECONDS, say),
        "killed runs of networks": lambda part, folder, say: _network_kills(part, folder, say, size.network_kills),
        "killed Dask workers": lambda part, folder, say: run_worker_kills(part, size.worker_kills, folder, 2, say),
        "two runs at once": crowd(2),
        "four runs at once": crowd(4),
        "full disk": fault(faults.full_disk),
        "read-only store": fault(faults.no_writing),
        "torn and foreign files": fault(partial(faults.bad_files, times=size.damages)),
        "NaN and infinite losses": fault(faults.bad_numbers),
        "little memory": fault(faults.little_memory),
    }


def run_parts(size: Size, say: Say) -> Iterator[Part]:
    """Run the parts one after the other, in a temporary folder that is removed.

    Args:
        size: how much is tried.
        say: takes each anomaly.
    """
    with tempfile.TemporaryDirectory(prefix="capsim-selftest-") as name:
        for number, (part, make) in enumerate(list_parts(size).items()):
            folder = Path(name) / str(number)
            folder.mkdir()
            yield make(part, folder, say)


def summarise(parts: list[Part], started: float) -> dict[str, Any]:
    """The parts with their sums: passed if every part has."""
    sums = {name: sum(getattr(part, name) for part in parts) for name in ("kills", "faults", "reruns", "lost", "twice")}
    return {
        "passed": all(part.passed for part in parts),
        **sums,
        "seconds": round(time.perf_counter() - started, 1),
        "parts": [part._asdict() for part in parts],
    }
