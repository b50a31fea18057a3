"""Trainers that workers import by name: they take no time, note each trial they were given, and die on command."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from sim.member import Results
from sim.metrics import Scores
from sim.training import TrainInfo


def made_up(batch):
    """Results that depend on the trials' identities alone."""
    values = np.array([int(trial.identity[:6], 16) / 16**6 for trial in batch.trials], np.float32)
    size = len(values)
    info = TrainInfo(np.full(size, 200, np.int32), np.full(size, True), np.full(size, True), values)
    return Results(Scores(*([values] * 6), np.full(size, 100.0, np.float32)), values, info)


def executions(folder, trial):
    """How often a trial was given to a trainer that notes."""
    path = Path(folder) / trial.identity
    return len(path.read_text().splitlines()) if path.exists() else 0


def noting(batch, folder, seconds=0.0):
    """Note each trial, take a while, then succeed."""
    for trial in batch.trials:
        with open(Path(folder) / trial.identity, "a") as file:
            file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return made_up(batch)


def dying(batch, folder, victim, times):
    """As `noting`, but this process is killed while it trains the victim, the first so many times."""
    found = noting(batch, folder)
    for trial in batch.trials:
        if trial.identity == victim and executions(folder, trial) <= times:
            os.kill(os.getpid(), signal.SIGKILL)
    return found


def greedy(batch, folder, largest):
    """As `noting`, but out of memory with more slots than the largest."""
    found = noting(batch, folder)
    if batch.slots > largest:
        raise MemoryError(f"{batch.slots} slots")
    return found


def pool_threads():
    """Threads of each pool that NumPy, SciPy and scikit-learn load, in the worker that is asked."""
    import scipy.linalg  # noqa: F401 - has a BLAS of its own
    import sklearn.cluster  # noqa: F401 - loads OpenMP
    from threadpoolctl import threadpool_info

    return [pool["num_threads"] for pool in threadpool_info()]
