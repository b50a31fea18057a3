"""The baseline: a typical Flax loop, batches drawn by NumPy, one jitted Adam step a call; prints steps a second.

python -m benchmarks.flax_step mlp_medium
"""

import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.workloads import WORKLOADS, Workload, network_of
from sim.networks.registry import Network
from sim.training import cross_entropy


def rate(work: Workload) -> float:
    """Train one network for the workload's steps after a warm-up and return steps a second."""
    network, generator = Network(network_of(work)), np.random.default_rng(0)
    images = generator.standard_normal((4096, *work.image_shape)).astype(np.float32)
    labels = generator.integers(0, work.classes, (4096, 1)).astype(np.int32)
    optimizer = optax.adam(1e-3)
    parameters = network.init(jax.random.key(0), jnp.asarray(images[:1]))
    state = optimizer.init(parameters)

    @jax.jit
    def step(parameters: Any, state: Any, batch: Any, targets: Any) -> tuple[Any, Any, Any]:
        def loss(candidate: Any) -> Any:
            return cross_entropy(network.apply(candidate, batch), targets, work.classes)

        value, gradient = jax.value_and_grad(loss)(parameters)
        updates, new_state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, updates), new_state, value

    started = 0.0
    for number in range(-20, work.steps):
        if number == 0:
            started = time.perf_counter()
        chosen = generator.integers(0, len(images), work.batch_size)
        parameters, state, value = step(parameters, state, images[chosen], labels[chosen])
    jax.block_until_ready(value)
    return work.steps / (time.perf_counter() - started)


if __name__ == "__main__":
    print(rate({work.name: work for work in WORKLOADS}[sys.argv[1]]))
