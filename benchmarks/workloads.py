"""The work that is timed: the same network, batch and number of steps, once as a population and once as a Flax user
would write it: one jitted step a call, one network after the other."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sim.generators.codebook import CodebookSpec
from sim.generators.registry import GENERATORS
from sim.networks.registry import NetworkSettings, num_parameters
from sim.population import Member, Settings, train_population
from sim.training import Recipe, TrainSettings


class Workload(NamedTuple):
    """A network shape and how many of them are trained.

    Attributes:
        name: row of the table. image_shape, width, classes: the network. batch_size: images a step.
        members: networks in the population. steps: steps of each.
    """

    name: str
    image_shape: tuple[int, int]
    width: int
    classes: int
    batch_size: int
    members: int
    steps: int


WORKLOADS = (
    Workload("mlp_medium", (8, 8), 128, 256, 64, 16, 1000),
    Workload("mlp_small", (8, 8), 32, 16, 16, 64, 2000),
)


def network_of(work: Workload) -> NetworkSettings:
    """The network's settings: two hidden layers under a J-way head."""
    return NetworkSettings("mlp", "jway", work.image_shape, 1, work.classes, width=work.width)


def step_operations(work: Workload) -> float:
    """Floating-point operations of a training step: 6 * batch * weights (forward 2, backward 4)."""
    return 6.0 * work.batch_size * num_parameters(network_of(work))


def population_rate(work: Workload, chunk: int) -> Callable[[], float]:
    """Network-steps a second of the population engine, data and evaluation included; compiled beforehand."""
    settings = Settings(
        GENERATORS["codebook"], network_of(work), max_inputs=4096, test_items=64,
        training=TrainSettings(batch_size=work.batch_size, min_steps=10**9),
    )  # fmt: skip
    count = work.members
    members = Member(
        spec=CodebookSpec(
            max_outputs=work.classes, image_shape=work.image_shape, outputs=jnp.full(count, work.classes),
            signal_power=jnp.full(count, 0.25), noise=jnp.ones(count), balanced=jnp.ones(count, bool),
        ),
        num_inputs=jnp.full(count, 4096),
        recipe=Recipe(jnp.full(count, 1e-3), jnp.zeros(count), jnp.zeros(count), jnp.full(count, work.steps)),
        data_key=jax.random.split(jax.random.key(0), count),
        model_key=jax.random.split(jax.random.key(1), count),
    )  # fmt: skip
    train_population(settings, members, chunk=chunk)

    def measure() -> float:
        started = time.perf_counter()
        results = train_population(settings, members, chunk=chunk)
        return float(results.info.steps.sum()) / (time.perf_counter() - started)

    return measure


def flax_step_rate(work: Workload) -> Callable[[], float]:
    """Network-steps a second of `benchmarks.flax_step`, in a process of its own so that JAX keeps its usual flags."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}

    def measure() -> float:
        command = [sys.executable, "-m", "benchmarks.flax_step", work.name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return float(done.stdout)

    return measure


def gemm_peak(size: int = 2048, repeats: int = 3) -> float:
    """Floating-point operations a second of a large NumPy product on all cores."""
    left = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        left @ left
        best = min(best, time.perf_counter() - started)
    return 2.0 * size**3 / best
