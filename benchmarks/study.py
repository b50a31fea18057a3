"""Workload `study`: a whole small study through `experiments.runner`: drawing data, training, evaluation, storing.

Its network is that of `mlp_medium`. Compilation comes before the clock starts; `start_seconds` is about that.
"""

import tempfile
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.workloads import Workload
from experiments.runner import Batch, run_trials, train_batch
from experiments.spec import Sweep, Trial
from experiments.store import Store
from sim.member import Results
from sim.training import BLOCK

TEST_ITEMS = 1000


def make_trials(work: Workload, first_seed: int, steps: int) -> list[Trial]:
    """The trials of one run: one cell with as many seeds as the workload has members."""
    seeds = range(first_seed, first_seed + work.members)
    sweep = Sweep(
        seeds=seeds, generator="codebook", network="mlp", outputs=work.classes, dimension=work.image_shape[0] ** 2,
        inputs=work.inputs, width=work.width, depth=work.depth, batch_size=work.batch_size, max_steps=steps,
        test_items=TEST_ITEMS, learning_rate=0.001, weight_decay=0.0, input_noise=0.0,
    )  # fmt: skip
    return sweep.trials()


def _without_training(batch: Batch) -> Batch:
    tasks = tuple(
        task._replace(member=task.member._replace(recipe=task.member.recipe._replace(max_steps=np.int32(0))))
        for task in batch.tasks
    )
    return batch._replace(tasks=tasks)


def run_once(work: Workload, first_seed: int, steps: int) -> dict[str, float]:
    """Run all trials into a new store.

    Returns:
        rate: training steps of all networks a second of wall time.
        store_share: of the wall time, what is spent outside the population engine (plan, rows, store, progress).
        evaluation_share: what the same population takes when it trains for no step: data, first weights, scores.
    """
    engine_seconds, batches = [], []

    def train(batch: Batch) -> Results:
        started = perf_counter()
        results = train_batch(batch)
        engine_seconds.append(perf_counter() - started)
        batches.append(batch)
        return results

    with tempfile.TemporaryDirectory() as folder:
        started = perf_counter()
        table, _ = run_trials("bench", make_trials(work, first_seed, steps), Store(folder), lambda _: None, train)
        wall = perf_counter() - started
    started = perf_counter()
    for batch in batches:
        train_batch(_without_training(batch))
    idle = perf_counter() - started
    return {
        "rate": sum(table["steps"].to_pylist()) / wall,
        "store_share": 1.0 - sum(engine_seconds) / wall,
        "evaluation_share": idle / wall,
    }


def prepare(work: Workload) -> tuple[Callable[[int, float], Any], str]:
    """Compile; returns measure(steps, limit) -> what `run_once` returns, and a note on how it runs."""
    seed = 0

    def measure(steps: int, limit: float) -> dict[str, float]:
        nonlocal seed
        seed += work.members
        return run_once(work, seed, steps)

    measure(BLOCK, 0.0)
    return measure, f"{work.members} trials of at most {work.steps} steps, {TEST_ITEMS} test images, one store"
