"""Many learners at once: one compiled program for a whole group of trials of equal shape.

Each member draws its own task, learns, and is scored, all inside one `lax.map` whose chunks of `chunk` members are
vmapped, and the population axis is sharded over every local device. On CPU the fast form is one host device a core
and a chunk of one (a network and its optimiser state then stay in the core's cache); on an accelerator the chunk is
as wide as memory allows. A member's results do not depend on which others it is packed with. The members of a chunk
train until the slowest of them ends, so they should be of like length: pass them sorted.

Before JAX starts, ask for one host device a core: `jax.config.update("jax_num_cpu_devices", os.cpu_count())`.
"""

import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from sim.member import Member, Results, Settings, make_member
from sim.memory import available_bytes


@lru_cache(maxsize=64)
def _jitted(settings: Settings, chunk: int, devices: tuple[Any, ...]) -> Any:
    run = make_member(settings)
    mesh = Mesh(np.array(devices), ("population",))
    over = PartitionSpec("population")

    def shard(members: Member) -> Results:
        return lax.map(run, members, batch_size=chunk if chunk > 1 else None)

    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=over, out_specs=over, check_vma=False))


@lru_cache(maxsize=64)
def _compiled(settings: Settings, chunk: int, devices: tuple[Any, ...], structure: Any, shapes: tuple[Any, ...]) -> Any:
    members = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes])
    return _jitted(settings, chunk, devices).lower(members).compile()


def _program(settings: Settings, chunk: int, devices: tuple[Any, ...], members: Member) -> Any:
    """The compiled program for members of these shapes."""
    leaves, structure = jax.tree.flatten(members)
    return _compiled(settings, chunk, devices, structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves))


def _program_bytes(program: Any, devices: Sequence[Any]) -> int:
    """Bytes that a compiled program takes, by XLA's own analysis: of the machine on CPU, else of each accelerator."""
    analysis = program.memory_analysis()
    if analysis is None:
        return 0
    each = analysis.temp_size_in_bytes + analysis.argument_size_in_bytes + analysis.output_size_in_bytes
    return int(each) * (len(devices) if devices[0].platform == "cpu" else 1)


def _room(wanted: int, devices: int, chunk: int) -> int:
    """Slots rounded up to whole chunks on every device."""
    return -(-wanted // (devices * chunk)) * devices * chunk


def planned_bytes(
    settings: Settings, members: Member, slots: int, chunk: int = 1, devices: Sequence[Any] | None = None
) -> int:
    """Peak bytes of a population's program, read from the compiled program before it runs; it is not compiled twice.

    Args:
        settings, slots, chunk, devices: as for `train_population`.
        members: at least one member, for the shapes.

    Returns:
        Bytes of the whole machine on CPU, of one device on accelerators.
    """
    local = tuple(devices) if devices is not None else tuple(jax.local_devices())
    total = _room(slots, len(local), chunk)
    padded = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((total, *leaf.shape[1:]), leaf.dtype), members)
    return _program_bytes(_program(settings, chunk, local, padded), local)


def train_population(
    settings: Settings,
    members: Member,
    *,
    chunk: int = 1,
    slots: int | None = None,
    devices: Sequence[Any] | None = None,
) -> Results:
    """Train and score a population, sharded over devices.

    Args:
        settings: static settings shared by all members.
        members: every leaf with a leading axis of one length, the population.
        chunk: members vmapped together on a device.
        slots: compile for this many members and pad with idle ones, so that groups of different size share a program;
            the population's own size by default.
        devices: all local devices by default.

    Returns:
        `Results` whose leaves are NumPy arrays with the population as the first axis.

    Raises:
        ValueError: a chunk or number of slots that cannot hold the population.
        MemoryError: a program that by its own plan needs more memory than is available; see `sim.memory`.

    Example: `benchmarks.workloads.population_rate` builds a population by hand.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be >= 1, got {chunk}")
    local = tuple(devices) if devices is not None else tuple(jax.local_devices())
    if len(local) == 1 and local[0].platform == "cpu" and (os.cpu_count() or 1) > 1:
        warnings.warn(
            f"one host device on {os.cpu_count()} cores: call jax.config.update('jax_num_cpu_devices', "
            f"{os.cpu_count()}) before JAX starts to use them all",
            stacklevel=2,
        )
    size = jax.tree.leaves(members)[0].shape[0]
    wanted = size if slots is None else slots
    total = _room(wanted, len(local), chunk)
    if size > total:
        raise ValueError(f"slots must be >= the population of {size}, got {slots}")
    # Members are dealt to the devices in turn, so that each device has its share of them, of the idle slots and, where
    # the caller has sorted them by length, of the long ones.
    number = np.arange(size)
    slot = (number % len(local)) * (total // len(local)) + number // len(local)
    order, idle = np.zeros(total, int), np.ones(total, bool)
    order[slot], idle[slot] = number, False
    padded = jax.tree.map(lambda leaf: jnp.asarray(leaf)[order], members)
    steps = jnp.where(jnp.asarray(idle), 0, jnp.asarray(padded.recipe.max_steps))
    padded = padded._replace(recipe=padded.recipe._replace(max_steps=steps))
    program = _program(settings, chunk, local, padded)
    needed, available = _program_bytes(program, local), available_bytes(local)
    if available is not None and needed > available:
        raise MemoryError(
            f"chunk {chunk} needs {needed / 2**30:.1f} GiB of memory, {available / 2**30:.1f} are available"
        )
    results = program(padded)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[slot], results)
