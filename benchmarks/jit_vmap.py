"""Baseline `jit_vmap`: `jax.jit(jax.vmap(...))` over the whole population on one device, many steps a call."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.flax_step import flax_parameters, make_step, plain_weights
from benchmarks.workloads import Weights, Workload, initial_weights, make_data, steps_a_second

SCANNED = 50  # steps a call


def stack(populations: Sequence[Weights]) -> Any:
    """The weights of several networks as one tree of Flax parameters with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(flax_parameters, populations))


def train(
    work: Workload, populations: Sequence[Weights], batches: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[Weights], Any]:
    """Train all networks on the same batches; their weights afterwards and losses (steps, members), for comparison."""
    optimizer, step = make_step(work)
    parameters, losses = stack(populations), []
    state, compiled = jax.vmap(optimizer.init)(parameters), jax.jit(jax.vmap(step, in_axes=(0, 0, None, None)))
    for images, targets in batches:
        parameters, state, loss = compiled(parameters, state, images, targets)
        losses.append(np.asarray(loss))
    stacked, members = plain_weights(parameters), range(len(populations))
    return [[(kernel[member], bias[member]) for kernel, bias in stacked] for member in members], np.stack(losses)


def prepare(work: Workload) -> tuple[Callable[[int, float], float], str]:
    """Compile; returns measure(steps, limit) -> network-steps a second, and a note on how it runs."""
    images, targets = map(jnp.asarray, make_data(work))
    optimizer, step = make_step(work)
    scanned = 1 if work.network == "conv" else SCANNED  # XLA's convolutions are slower still inside a loop on CPU

    def run(parameters: Any, state: Any, key: Any) -> tuple[Any, Any]:
        def body(carry: Any, step_key: Any) -> tuple[Any, None]:
            chosen = jax.random.randint(step_key, (work.batch_size,), 0, work.inputs)
            return step(*carry, images[chosen], targets[chosen])[:2], None

        return lax.scan(body, (parameters, state), jax.random.split(key, scanned))[0]

    compiled = jax.jit(jax.vmap(run), donate_argnums=(0, 1))
    parameters = stack([initial_weights(work, seed) for seed in range(work.members)])
    carry: list[Any] = [parameters, jax.vmap(optimizer.init)(parameters)]
    keys = jax.random.split(jax.random.key(3), work.members)

    def one() -> None:
        nonlocal keys
        keys = jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)
        carry[:] = compiled(*carry, keys)
        jax.block_until_ready(carry)

    def measure(steps: int, limit: float) -> float:
        calls = max(steps // scanned, 1)
        return steps_a_second(one, calls, limit, lambda _: None) * scanned * work.members

    one()
    return measure, f"one device, all {work.members} networks vmapped, {scanned} steps a call"
