"""What the self-test runs: two small plans, and NumPy trainers whose results depend on a trial's identity alone."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.runner import Batch
from experiments.spec import Sweep, Trial
from sim.member import Results
from sim.metrics import Scores
from sim.training import TrainInfo

STUDY = "selftest"
MEMORY = 3  # trials that the trainer with little memory can hold at once
TRAIN_SECONDS = 0.002  # of a stand-in's batch, so that a kill can meet it

Plan = Callable[[], list[Trial]]


def small_plan() -> list[Trial]:
    """64 trials of the exact learners, eight batches on one device; nothing here needs JAX to be started.

    Example:
        >>> len(small_plan())
        64
    """
    return Sweep(
        generator="codebook", network=["bayes", "plugin"], outputs=[4, 8], inputs=32, dimension=8, test_items=100,
        seeds=16,
    ).trials()  # fmt: skip


def network_plan() -> list[Trial]:
    """40 linear networks of 200 steps: one program, three batches on two devices."""
    return Sweep(
        generator="codebook", network="linear", outputs=[4, 8], inputs=[32, 64], dimension=8, test_items=100, seeds=10,
        learning_rate=0.01, weight_decay=0.0, input_noise=0.0, max_steps=200, batch_size=16,
    ).trials()  # fmt: skip


def fraction(identity: str, name: str) -> float:
    """A number in [0, 1) from a hash: the made-up result of one trial in one column.

    Example:
        >>> fraction("a1", "dice") == fraction("a1", "dice") != fraction("a2", "dice")
        True
    """
    digest = hashlib.sha256(f"{identity}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def train_stand_in(batch: Batch) -> Results:
    """Make up the results of a batch, the same for a trial whatever else is in the batch and whoever runs it."""
    time.sleep(TRAIN_SECONDS)
    names = [trial.identity for trial in batch.trials]

    def column(name: str) -> Any:
        return np.array([fraction(identity, name) for identity in names], np.float32)

    scores = Scores(**{name: column(name) for name in Scores._fields})._replace(test_items=column("") * 0 + 100)
    whole: Any = np.ones(len(names), np.bool_)
    info = TrainInfo((1000 * column("steps")).astype(np.int32), whole, whole, column("loss"))
    return Results(scores, column("train"), info)


def loss_of(identity: str) -> float:
    """The last training loss of the unstable trainer: NaN for a quarter of all trials, infinite for another."""
    return {0: np.nan, 1: np.inf}.get(int(identity[0], 16) % 4, 1.0)


def train_unstable(batch: Batch) -> Results:
    """As `train_stand_in`, with losses and scores that are NaN or infinite in half of the trials."""
    made = train_stand_in(batch)
    loss: Any = np.array([loss_of(trial.identity) for trial in batch.trials], np.float32)
    finite: Any = np.isfinite(loss)
    test = made.test._replace(**{name: getattr(made.test, name) * loss for name in ("nll", "exact_match")})
    return made._replace(test=test, info=made.info._replace(loss=loss, finite=finite))


def worst_trial(trials: list[Trial]) -> str:
    """The identity that no memory is enough for."""
    return min(trial.identity for trial in trials)


def train_in_little_memory(batch: Batch) -> Results:
    """As `train_stand_in`, but with memory for a few trials at once, and for one of the plan's never.

    Raises:
        MemoryError: more than MEMORY trials, or the worst one among them.
    """
    bad = worst_trial(small_plan())
    if len(batch.trials) > MEMORY or any(trial.identity == bad for trial in batch.trials):
        raise MemoryError(f"no memory for {len(batch.trials)} trials")
    return train_stand_in(batch)
