"""The process that is killed: it runs a plan into a store and tells its parent what it does before it does it.

A message is a word and what belongs to it: `train`, `publish`, `stored` with identities; `file` before each file
operation in the store; `compact`; and at the end `done`, or `raised` with the error in one line.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.cache import CPU_FLAGS, enable_compilation_cache
from experiments.runner import Batch, Train, run_trials
from experiments.selftest.plans import STUDY, Plan
from experiments.store import Store
from sim.member import Results

FILE_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.scandir", "os.listdir")
FILE_SECONDS = 0.001  # waited after a file operation is told of, so that a kill can come before it

Tell = Callable[[str, str], None]
Body = Callable[[Path, Tell], None]


class Event(NamedTuple):
    """One message of a child: what it is about to do or has done, and the identities or words that belong to it."""

    word: str
    text: str


def start_child(body: Body, folder: Path) -> tuple[ForkServerProcess, Connection]:
    """Start a process that runs `body`, forked from one that has imported all of this and started no JAX."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_live, args=(body, folder, sender))
    process.start()
    sender.close()  # the child's is then the only one, and its death is the end of the messages
    return process, receiver


def _live(body: Body, folder: Path, sender: Connection) -> None:
    def tell(word: str, text: str = "") -> None:
        sender.send_bytes(f"{word} {text}".encode())  # shorter than a pipe's atomic write: whole or not at all

    try:
        body(folder, tell)
    except BaseException as error:
        tell("raised", f"{type(error).__name__}: {error}"[:500])
    else:
        tell("done", "")


def start_cpu(devices: int, cache: Path | None = None) -> None:
    """Give this process its devices, the same in every child on every machine, and a cache of programs."""
    os.environ.update(XLA_FLAGS=" ".join(CPU_FLAGS), JAX_PLATFORMS="cpu")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    if cache is not None:
        os.environ["CAPSIM_CACHE"] = str(cache)
        enable_compilation_cache()


def watch_files(folder: Path, tell: Tell) -> None:
    """Tell of each file operation below a folder before it happens: the interpreter's own audit, whoever calls."""
    prefix = str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS and str(arguments[0]).startswith(prefix):
            tell("file", event)
            time.sleep(FILE_SECONDS)

    sys.addaudithook(hook)


def watch_writes(tell: Tell) -> None:
    """Tell of what any store of this process writes, and of the rows for which `publish` has returned."""
    publish, compact = Store.publish, Store.compact

    def telling_publish(store: Store, study: str, rows: Iterable[Mapping[str, Any]]) -> None:
        listed = list(rows)
        tell("publish", "")
        publish(store, study, listed)
        tell("stored", " ".join(row["identity"] for row in listed))

    def telling_compact(store: Store, study: str) -> None:
        tell("compact", "")
        compact(store, study)
        tell("compacted", "")

    for name, method in (("publish", telling_publish), ("compact", telling_compact)):
        setattr(Store, name, method)  # of the class: the runner opens stores of its own


def told(train: Train, tell: Tell) -> Train:
    """The same trainer, told of before each batch."""

    def training(batch: Batch) -> Results:
        tell("train", " ".join(trial.identity for trial in batch.trials))
        return train(batch)

    return training


def run_plan(
    folder: Path, tell: Tell, *, plan: Plan, train: Train, devices: int = 1, cache: Path | None = None
) -> None:
    """Run what is missing of a plan, then gather the records once more: a run that finds all done compacts nothing."""
    start_cpu(devices, cache)
    watch_files(folder, tell)
    watch_writes(tell)
    tell("run", "")
    run_trials(STUDY, plan(), Store(folder), train=told(train, tell))
    Store(folder).compact(STUDY)
