"""How wide the vmapped chunk of a population is: measured once for a shape on a machine, then read from the cache.

On CPU a wider chunk spares tiny networks the fixed cost of each operation, while larger ones fall out of a core's
cache. Candidates 1, 2, 4, ... train the real program for a few steps until one is no faster than the one before. A
group that is done before another candidate would be compiled is not probed: it runs one network at a time. On an
accelerator nothing is measured: the chunk is all members of a device, halved while memory is too small.

The choice changes results by rounding alone; images and initial weights stay the same to the bit.
"""

import hashlib
import importlib.metadata
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.cache import read_json, write_json
from sim.memory import train_halving
from sim.population import Member, Results, Settings
from sim.training import BLOCK

SHORT, LONG = BLOCK, 5 * BLOCK  # steps of the two trainings whose difference is the time of a step
WORTH_PROBING = 200 * LONG  # steps a member: below that many the group is over too soon
# Members of a chunk wait for the slowest of them, and lengths in a sorted batch differ by some 10%; timings do too.
GAIN = 1.25

Train = Callable[..., Results]


def probe_key(settings: Settings, members: Member, slots: int) -> str:
    """Hash of all that the best chunk depends on: static settings and shapes, kind and number of devices, versions."""
    devices = jax.local_devices()
    versions = [importlib.metadata.version(name) for name in ("capsim", "jax", "jaxlib")]
    static = (settings.generator.name, settings.learner, settings.max_inputs, settings.test_items, settings.training)
    shape = str(jax.tree.structure(members)), slots
    kind = (devices[0].platform, devices[0].device_kind, len(devices))
    return hashlib.sha256(repr((static, shape, kind, versions)).encode()).hexdigest()


def with_steps(members: Member, steps: int) -> Member:
    """The same members with a budget of so many steps each."""
    budget = np.full(jax.tree.leaves(members)[0].shape[0], steps, np.int32)
    return members._replace(recipe=members.recipe._replace(max_steps=budget))


def step_seconds(train: Callable[[Member], Any], members: Member) -> tuple[float, float]:
    """Seconds of one step of the whole population, and of making the program ready; data and scoring cancel."""
    started = time.perf_counter()
    train(with_steps(members, SHORT))
    ready = time.perf_counter() - started
    seconds = {}
    for steps in (SHORT, LONG):
        started = time.perf_counter()
        train(with_steps(members, steps))
        seconds[steps] = time.perf_counter() - started
    return max(seconds[LONG] - seconds[SHORT], 1e-9) / (LONG - SHORT), ready


def probe_chunk(
    train: Train,
    settings: Settings,
    members: Member,
    slots: int,
    measure: Callable[[Callable[[Member], Any], Member], tuple[float, float]] = step_seconds,
) -> int:
    """Measure which chunk is fastest; a wider one must be so by `GAIN`, as its members wait for the slowest.

    The probe ends where the most that is left to win, the whole remaining training, is below what the next candidate
    costs to compile.
    """
    widest = -(-slots // len(jax.local_devices()))
    longest = int(np.max(members.recipe.max_steps))
    best, fastest, last, width = 1, float("inf"), float("inf"), 1
    while width <= widest:
        seconds, ready = measure(lambda some, width=width: train(settings, some, slots=slots, chunk=width), members)
        needed = fastest if width == 1 else fastest / GAIN
        if seconds < needed:
            best, fastest = width, seconds
        if seconds >= last or fastest * longest < 2 * ready:
            break
        last, width = seconds, 2 * width
    return best


def choose_chunk(train: Train, settings: Settings, members: Member, slots: int) -> int:
    """The chunk of a population: from the cache, else probed and kept there, else one.

    Args:
        train: `sim.population.train_population`.
        settings, members, slots: as there.
    """
    devices = jax.local_devices()
    if devices[0].platform != "cpu":
        return -(-slots // len(devices))
    if isinstance(settings.learner, str) or slots <= len(devices):
        return 1
    if int(np.max(members.recipe.max_steps)) * slots // len(devices) < WORTH_PROBING:
        return 1
    name = f"chunks/{probe_key(settings, members, slots)}.json"
    kept = read_json(name)
    if isinstance(kept, dict) and isinstance(kept.get("chunk"), int) and 1 <= kept["chunk"] <= slots:
        return int(kept["chunk"])
    chunk = probe_chunk(train, settings, members, slots)
    write_json(name, {"chunk": chunk})
    return chunk


def train_planned(train: Train, settings: Settings, members: Member, *, slots: int) -> Results:
    """Train a population with the chunk that suits it and its machine, less where memory runs out.

    Args:
        train: `sim.population.train_population`.
        settings, members, slots: as there.

    Raises:
        RuntimeError, MemoryError: memory that is too small for one member alone; any other error of `train`.
    """
    try:
        chunk = choose_chunk(train, settings, members, slots)
    except MemoryError:
        chunk = 1
    return train_halving(train, settings, members, slots=slots, chunk=chunk)
