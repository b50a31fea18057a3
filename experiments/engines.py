"""Where groups of trials run: this process, or any `concurrent.futures.Executor` (PEP 3148).

Work is handed out a little at a time and taken back as it ends. An executor that has lost its workers ends the run;
what they had finished is stored, and a rerun goes on from there. Dask alone replaces a lost worker, see
`experiments.clusters`.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any, ParamSpec, TypeVar

from experiments.factors import UsageError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Job = TypeVar("_Job")

ENGINES = ("local", "dask")
LOOK_SECONDS = 5.0  # between two looks at how many workers there are
DESERTED_SECONDS = 300.0  # without any worker, after which a run ends; a batch system may take a while to send new ones


class EngineLostError(OSError):
    """The engine stopped in the middle of a run."""


class WorkerKilledError(RuntimeError):
    """A call whose worker died each time it was tried."""


class LocalExecutor(Executor):
    """Runs each call at once, in this thread: JAX already spreads one group over all local devices.

    An error is kept in the future; an interrupt from the keyboard is not, it ends the run.
    """

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run `fn` now and return its finished future."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Engine:
    """An executor with what a run must know of it.

    Attributes:
        name: as it stands in the receipt.
        executor: runs the calls.
        width: how many calls are worth having under way now; 0 where all workers are gone.
        everywhere: runs a function once on every worker of this moment, and returns what each returned; by default one
            call stands for all.
        killed: exceptions that say that a call killed its worker time after time, while the executor itself goes on.
        in_process: whether calls run in this process, one at a time.
        beside: opens the engine for trials of measured families, where those should not run here: they use one core
            each.
    """

    name: str
    executor: Executor
    width: Callable[[], int]
    everywhere: Callable[..., list[Any]] | None = None
    killed: tuple[type[Exception], ...] = ()
    in_process: bool = False
    beside: Callable[[], AbstractContextManager["Engine"]] | None = None

    def ask(self, function: Callable[..., _T], *arguments: Any) -> list[_T]:
        """Run a function on every worker that there is; waits for a first one.

        Raises:
            EngineLostError: the executor is broken or gone, or has had no worker for five minutes.
        """
        try:
            if self.everywhere is not None:
                asked = time.monotonic()
                while not (answers := self.everywhere(function, *arguments)):  # all were killed, new ones are starting
                    if time.monotonic() - asked > DESERTED_SECONDS:
                        raise TimeoutError(f"no worker for {DESERTED_SECONDS:g} s")
                    time.sleep(0.1)
                return answers
            return [self.executor.submit(function, *arguments).result()]
        except (BrokenExecutor, CancelledError, OSError) as error:
            raise self._lost(error) from error

    def complete(
        self, call: Callable[[_Job], _T], jobs: deque[_Job]
    ) -> Iterator[tuple[_Job, "_T | WorkerKilledError"]]:
        """Run jobs, a bounded number at a time, and give each back with its result as it ends.

        Args:
            call: what a worker does with a job; sent by name, so it must be importable there.
            jobs: emptied from the left; the caller may add to it while it takes results.

        Returns:
            pairs (job, result), or (job, WorkerKilledError) where the job killed its workers.

        Raises:
            EngineLostError: the executor is broken or gone, or has had no worker for five minutes. Any other error of a
                call is raised as it is.

        Example:
            >>> [result for _, result in local_engine().complete(abs, deque([-1, 2, -3]))]
            [1, 2, 3]
        """
        running: dict[Future[_T], _Job] = {}
        seen = time.monotonic()  # when there last was a worker
        try:
            while jobs or running:
                try:
                    seen = time.monotonic() if self.width() else seen
                    if time.monotonic() - seen > DESERTED_SECONDS:
                        raise TimeoutError(f"no worker for {DESERTED_SECONDS:g} s")
                    while jobs and len(running) < max(1, self.width()):
                        job = jobs.popleft()
                        running[self.executor.submit(call, job)] = job
                except (BrokenExecutor, RuntimeError, OSError) as error:
                    raise self._lost(error) from error
                for future in wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    try:
                        result: _T | WorkerKilledError = future.result()
                    except (BrokenExecutor, CancelledError) as error:
                        raise self._lost(error) from error
                    except self.killed as error:
                        tries = getattr(error, "allowed_failures", 0) + 1
                        result = WorkerKilledError(f"its worker was killed each of {tries} times it ran")
                    yield job, result
        finally:
            for future in running:
                future.cancel()

    def _lost(self, error: BaseException) -> EngineLostError:
        reason = ": ".join([type(error).__name__, *filter(None, [" ".join(str(error).split())[:200]])])
        goes_on = "what had finished is stored, and the same command goes on from there"
        return EngineLostError(f"engine {self.name} was lost ({reason}); {goes_on}")


def local_engine() -> Engine:
    """The engine of a single machine: this process, one group at a time.

    Example:
        >>> local_engine().ask(pow, 2, 3)
        [8]
    """
    return Engine("local", LocalExecutor(), lambda: 1, in_process=True)


def _start_process() -> None:
    """What a process of the pool does before its first call: one device, one thread a product, the cache."""
    from threadpoolctl import threadpool_limits

    from experiments.cache import configure_devices, enable_compilation_cache, worker_threads

    os.environ.update(worker_threads(1))  # for libraries still to be loaded, SciPy's own BLAS among them
    threadpool_limits(1)  # for those that the main script has loaded
    configure_devices()
    enable_compilation_cache()


@contextmanager
def open_processes(workers: int | None = None) -> Iterator[Engine]:
    """An engine of processes on this machine, one a core, each with one device of its own.

    Python starts them by loading the main script anew, so a script of yours that opens them needs
    `if __name__ == "__main__":`.
    """
    from experiments.cache import num_cores

    count = workers or num_cores()
    with ProcessPoolExecutor(count, get_context("spawn"), _start_process) as pool:
        yield Engine("local", pool, lambda: count)


def as_engine(given: "Engine | Executor | None") -> Engine:
    """An engine as it is, any executor as an engine of that class's name, and this process for None.

    Example:
        >>> as_engine(None).name, as_engine(LocalExecutor()).name
        ('local', 'LocalExecutor')
    """
    if isinstance(given, Engine):
        return given
    if given is None:
        return local_engine()
    if not isinstance(given, Executor):
        raise UsageError(f"engine must be a concurrent.futures.Executor, got {type(given).__name__}")
    width = getattr(given, "_max_workers", None) or os.cpu_count() or 1  # both pools of the standard library have it
    return Engine(type(given).__name__, given, lambda: width)


def check_engine(name: str, scheduler: str | None = None, workers: int | None = None) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: an unknown engine, an option of another one, or no workers.
    """
    if name not in ENGINES:
        raise UsageError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")
    for option, value in (("scheduler", scheduler), ("workers", workers)):
        if name == "local" and value is not None:
            raise UsageError(f"--{option} must go with --engine dask, got {value!r} with local")
    if scheduler is not None and workers is not None:
        raise UsageError(f"--workers must not be given with --scheduler, which has its own, got {workers}")
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be >= 1, got {workers}")


@contextmanager
def open_engine(name: str = "local", scheduler: str | None = None, workers: int | None = None) -> Iterator[Engine]:
    """The engine of that name, closed at the end of the `with` block.

    Args:
        name: "local" or "dask".
        scheduler: address of a running Dask scheduler, "tcp://host:8786"; by default workers are started here.
        workers: processes to start here; by default one a GPU, or one a core.

    Raises:
        UsageError: options that make no sense, Dask is not installed, or the scheduler does not answer.

    Example:
        >>> with open_engine("local") as engine:
        ...     engine.name
        'local'
    """
    check_engine(name, scheduler, workers)
    if name == "local":
        yield replace(local_engine(), beside=open_processes)
        return
    try:
        from experiments.clusters import dask_engine, local_cluster
    except ImportError as error:
        raise UsageError(
            f"engine dask must have its packages, `pip install 'capsim[dask]'` adds them, got {error}"
        ) from None
    if scheduler is not None:
        with dask_engine(scheduler) as engine:
            yield engine
    else:
        with local_cluster(workers) as cluster, dask_engine(cluster) as engine:
            yield engine
