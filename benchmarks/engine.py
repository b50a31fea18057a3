"""The population engine under the clock: a `Workload` as a population of `sim.population`, whole and as it is used.

The rate counts training steps alone; drawing the data, and scoring 64 test and up to 2,000 training images, are timed.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.workloads import LEARNING_RATE, Workload
from sim.generators.codebook import CodebookSpec
from sim.generators.fields import FieldsSpec
from sim.generators.registry import GENERATORS
from sim.member import Member, Settings
from sim.networks.registry import NetworkSettings
from sim.population import train_population
from sim.training import BLOCK, Recipe, TrainSettings

TEST_ITEMS = 64
NEVER = 10**9  # steps before the loss may be called flat: all networks take the steps they are given


def network_of(work: Workload) -> NetworkSettings:
    """The workload's network: dense layers under a J-way head, or convolutions under a head shared by all pixels."""
    if work.network == "mlp":
        return NetworkSettings("mlp", "jway", work.image_shape, 1, work.classes, work.width, work.depth)
    return NetworkSettings(
        "conv", "shared", work.image_shape, work.units, work.classes, work.width, work.depth,
        receptive_field=2 * work.depth + 1,
    )  # fmt: skip


def chunk_of(work: Workload) -> int:
    """Members vmapped together on a device; the one place where the benchmarks choose it."""
    return 4 if work.network == "mlp" and work.width <= 32 else 1


def make_population(work: Workload) -> tuple[Settings, Member]:
    """The static settings, and all members with their own tasks, keys and the workload's number of steps."""
    count = work.members
    if work.network == "mlp":
        spec: Any = CodebookSpec(
            max_outputs=work.classes, image_shape=work.image_shape, outputs=jnp.full(count, work.classes),
            signal_power=jnp.full(count, 0.25), noise=jnp.ones(count), balanced=jnp.ones(count, bool),
        )  # fmt: skip
    else:
        spec = FieldsSpec(
            grid_shape=work.image_shape, field="independent", max_labels=work.classes,
            labels=jnp.full(count, work.classes), spacing=jnp.full(count, 2.0), noise=jnp.ones(count),
            stay=jnp.full(count, 0.9), coupling=jnp.zeros(count),
        )  # fmt: skip
    settings = Settings(
        GENERATORS["codebook" if work.network == "mlp" else "fields"], network_of(work), work.inputs, TEST_ITEMS,
        TrainSettings(batch_size=work.batch_size, min_steps=NEVER),
    )  # fmt: skip
    nothing = jnp.zeros(count)
    members = Member(
        spec=spec,
        num_inputs=jnp.full(count, work.inputs),
        recipe=Recipe(jnp.full(count, LEARNING_RATE), nothing, nothing, jnp.full(count, work.steps)),
        data_key=jax.random.split(jax.random.key(0), count),
        model_key=jax.random.split(jax.random.key(1), count),
    )
    return settings, members


def prepare(work: Workload) -> tuple[Callable[[int, float], float], str]:
    """Compile; returns measure(steps, limit) -> network-steps a second, and a note on how it runs."""
    settings, members = make_population(work)
    chunk = chunk_of(work)

    def train(steps: int) -> int:
        asked = jnp.full(work.members, steps)
        results = train_population(
            settings, members._replace(recipe=members.recipe._replace(max_steps=asked)), chunk=chunk
        )
        return int(results.info.steps.sum())

    def measure(steps: int, limit: float) -> float:
        started = perf_counter()
        return train(steps) / (perf_counter() - started)

    train(BLOCK)
    return measure, f"{len(jax.local_devices())} devices, chunks of {chunk}"
