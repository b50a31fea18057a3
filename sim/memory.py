"""How much memory there is, and what to do when it runs out: halve the width, then the population, and try again."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

MEMINFO = Path("/proc/meminfo")


def available_bytes(devices: Sequence[Any]) -> int | None:
    """Bytes that a program on `devices` may still take: of the machine for CPU devices, of each accelerator otherwise.

    Returns:
        The smallest over the accelerators; None where the system does not say.
    """
    if devices[0].platform != "cpu":
        stats = [device.memory_stats() or {} for device in devices]
        known = [each["bytes_limit"] - each.get("bytes_in_use", 0) for each in stats if "bytes_limit" in each]
        return min(known, default=None)
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return sizes[0] if sizes else None


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out: of the machine (`MemoryError`) or, by XLA, of a device."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error))


def train_halving(train: Callable[..., Any], settings: Any, members: Any, *, slots: int, chunk: int = 1) -> Any:
    """Train a population; where memory runs out, halve the chunk down to one, then the population, and try again.

    Args:
        train: `sim.population.train_population`, or a function with its arguments; `chunk` is passed if above 1.
        settings, members, slots, chunk: as there.

    Returns:
        The results in the order of the members, whichever parts they were trained in.

    Raises:
        RuntimeError, MemoryError: memory that is too small for one member alone; any other error of `train`.
    """
    try:
        return train(settings, members, slots=slots, **({"chunk": chunk} if chunk > 1 else {}))
    except (RuntimeError, MemoryError) as error:
        size = jax.tree.leaves(members)[0].shape[0]
        if not out_of_memory(error) or (chunk == 1 and size == 1):
            raise
    if chunk > 1:
        return train_halving(train, settings, members, slots=slots, chunk=chunk // 2)
    half = -(-size // 2)
    first, second = (
        train_halving(train, settings, part, slots=half)
        for part in (jax.tree.map(lambda leaf: leaf[:half], members), jax.tree.map(lambda leaf: leaf[half:], members))
    )
    return jax.tree.map(lambda one, other: np.concatenate([one, other]), first, second)
