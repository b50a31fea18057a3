"""How wide the vmapped chunk of a population is: measured once for a shape on a machine, then read from the cache.

On CPU a wider chunk spares tiny networks the fixed cost of each operation, while larger ones fall out of a core's
cache. Candidates 1, 2, 4, ... train the real program for a few steps until one is no faster than the one before. Each
of them costs a compilation, so none wider than one is tried before the training of that shape, this batch and earlier
ones together, has come to twice that time. On an accelerator nothing is measured: the chunk is all members of a
device, halved while memory is too small.

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
from sim.member import Member, Results, Settings
from sim.memory import train_halving
from sim.training import BLOCK

STEPS = 4 * BLOCK  # of a candidate's training
WORTH_PROBING = 20 * STEPS  # a smaller budget is not probed: a candidate takes at most a twentieth of one batch
COMPILING = 6.0  # seconds that a candidate takes to compile, at least: the first one may come from a cache
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
    """Seconds of one step of the whole population, data and scoring apart, and of making the program ready."""
    seconds = []
    for steps in (0, 0, STEPS):
        started = time.perf_counter()
        train(with_steps(members, steps))
        seconds.append(time.perf_counter() - started)
    ready, still, moving = seconds
    return max(moving - still, 1e-9) / STEPS, ready


def probe_chunk(
    train: Train,
    settings: Settings,
    members: Member,
    slots: int,
    spent: float = 0.0,
    measure: Callable[[Callable[[Member], Any], Member], tuple[float, float]] = step_seconds,
) -> tuple[int | None, float]:
    """Measure which chunk is fastest; a wider one must be so by `GAIN`, as its members wait for the slowest.

    Args:
        train, settings, members, slots: as for `choose_chunk`.
        spent: seconds that earlier batches of this shape have trained for without a probe.
        measure: how a candidate is timed.

    Returns:
        The chunk, or None where so little training of this shape has been seen that a probe would not pay; and the
        seconds of training seen, this batch included.
    """
    widest = -(-slots // len(jax.local_devices()))
    longest = int(np.max(members.recipe.max_steps))
    fastest, ready = measure(lambda some: train(settings, some, slots=slots), members)
    seen = spent + fastest * longest
    if seen < 2 * max(ready, COMPILING):
        return None, seen
    best, last, width = 1, fastest, 2
    while width <= widest:
        seconds, _ = measure(lambda some, width=width: train(settings, some, slots=slots, chunk=width), members)  # type: ignore[misc]
        if seconds < fastest / GAIN:
            best, fastest = width, seconds
        if seconds >= last:
            break
        last, width = seconds, 2 * width
    return best, seen


def choose_chunk(train: Train, settings: Settings, members: Member, slots: int) -> int:
    """The chunk of a population: from the cache, else probed and kept there, else one.

    Args:
        train: `sim.population.train_population`.
        settings, members, slots: as there.
    """
    devices = jax.local_devices()
    if devices[0].platform != "cpu":
        return -(-slots // len(devices))
    too_short = int(np.max(members.recipe.max_steps)) < WORTH_PROBING
    if isinstance(settings.learner, str) or slots <= len(devices) or too_short:
        return 1
    name = f"chunks/{probe_key(settings, members, slots)}.json"
    kept = read_json(name)
    known = kept if isinstance(kept, dict) else {}
    chunk, spent = known.get("chunk"), known.get("spent")
    if type(chunk) is int and 1 <= chunk <= slots:
        return chunk
    chunk, spent = probe_chunk(train, settings, members, slots, spent if type(spent) is float else 0.0)
    write_json(name, {"chunk": chunk, "spent": spent})
    return chunk or 1


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
