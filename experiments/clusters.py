"""Dask: workers of this machine, a running scheduler, or SLURM.

A worker is one process with one thread. Its environment is set before JAX starts in it: as many host devices as its
share of the cores, products on one thread, one GPU where there are GPUs. Nobody watches its memory, since a group that
does not fit is cut in two by the runner. Dask sends code between processes: a scheduler is trusted, so one started here
listens on loopback unless it has TLS.
"""

import ipaddress
import logging
import os
import shlex
import shutil
import socket
import subprocess
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, KilledWorker, Nanny, Scheduler, SpecCluster
from distributed.utils import silence_logging_cmgr

from experiments.cache import CPU_FLAGS, configure_devices, enable_compilation_cache, num_cores, worker_threads
from experiments.engines import Engine
from experiments.factors import UsageError

LOOPBACK = "127.0.0.1"
ALLOWED_FAILURES = 3  # a group that kills its worker a fourth time is given up
UNSEEN = f"{LOOPBACK}:0"  # Dask serves its state over HTTP even without a dashboard: to this machine alone, then
SCHEDULER = {"port": 0, "dashboard": False, "dashboard_address": UNSEEN, "allowed_failures": ALLOWED_FAILURES}
CONNECT_SECONDS = 10.0
LOST_SECONDS = 3600  # for a killed worker to be there again
JOIN_SECONDS = 60.0  # for a first worker
PRELOAD = "experiments.clusters"


def dask_setup(worker: Any) -> None:
    """What Dask calls in a worker that preloads this module: compiled programs are kept in the cache folder."""
    warnings.filterwarnings("ignore", message="one host device on")  # its neighbours have the other cores
    configure_devices()  # keeps a number of devices that the environment has
    enable_compilation_cache()


def worker_environment(
    index: int = 0, workers: int = 1, cores: int = 1, gpus: Sequence[str] = (), flags: str = ""
) -> dict[str, str]:
    """Environment of one worker.

    Args:
        index: number of the worker on its machine, from 0.
        workers: workers on the machine.
        cores: cores of the machine; each worker gets cores // workers host devices, one at least.
        gpus: names of the GPUs as `CUDA_VISIBLE_DEVICES` has them; each worker sees one.
        flags: the XLA flags to keep.

    Raises:
        UsageError: more workers than GPUs.

    Example:
        >>> found = worker_environment(1, workers=2, cores=8, gpus=["0", "3"])
        >>> found["JAX_NUM_CPU_DEVICES"], found["CUDA_VISIBLE_DEVICES"], found["XLA_FLAGS"]
        ('4', '3', '--xla_cpu_multi_thread_eigen=false --xla_cpu_prefer_vector_width=512')
    """
    if gpus and workers > len(gpus):
        raise UsageError(f"workers must be <= {len(gpus)}, one for each GPU, got {workers}")
    dropped = ("--xla_force_host_platform_device_count", *(flag.split("=")[0] for flag in CPU_FLAGS))
    kept = [flag for flag in flags.split() if not flag.startswith(dropped)]
    return {
        "XLA_FLAGS": " ".join([*kept, *CPU_FLAGS]),
        **worker_threads(max(1, cores // workers)),
        **({"CUDA_VISIBLE_DEVICES": gpus[index]} if gpus else {}),
    }


def find_gpus(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that this process may use: those of `CUDA_VISIBLE_DEVICES` if it is set, else all that the driver lists;
    none where JAX is told to stay on the CPU.

    Example:
        >>> find_gpus({"CUDA_VISIBLE_DEVICES": "2,3"}), find_gpus({"JAX_PLATFORMS": "cpu"})
        (['2', '3'], [])
    """
    platforms = environment.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return []
    if "CUDA_VISIBLE_DEVICES" in environment:
        return [name.strip() for name in environment["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    listed = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=30, check=False).stdout
    return [str(index) for index, _ in enumerate(line for line in listed.splitlines() if line.startswith("GPU "))]


def local_cluster(workers: int | None = None) -> SpecCluster:
    """Worker processes on this machine and their scheduler, on loopback; a context manager.

    Args:
        workers: number of processes; by default one a GPU, or one a core where there is none.

    Raises:
        UsageError: more workers than GPUs.

    Example: `with local_cluster(2) as cluster, dask_engine(cluster) as engine: run(sweep, engine=engine)`
    """
    gpus, cores = find_gpus(os.environ), num_cores()
    count = workers or len(gpus) or cores
    flags = os.environ.get("XLA_FLAGS", "")
    quiet = logging.CRITICAL  # what befalls a worker is told by rows and by the run's own line
    spec = {
        index: {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "memory_limit": None,
                "host": LOOPBACK,
                "dashboard": False,
                "dashboard_address": UNSEEN,
                "silence_logs": quiet,
                "preload": [PRELOAD],
                "env": worker_environment(index, count, cores, gpus, flags),
            },
        }
        for index in range(count)
    }
    scheduler = {
        "cls": Scheduler,
        "options": {"host": LOOPBACK, **SCHEDULER},
    }
    # Dask closes a worker that takes longer to start again, by default 15 s: on a busy machine all, one by one.
    dask.config.set({"distributed.deploy.lost-worker-timeout": LOST_SECONDS})  # read at each loss: not for now alone
    # A worker holds one group at a time, so that a death is laid to the group that was running, never to one waiting.
    with dask.config.set({"distributed.scheduler.worker-saturation": 1.0}):
        return SpecCluster(workers=spec, scheduler=scheduler, silence_logs=quiet, name="capsim")


@contextmanager
def dask_engine(target: Any) -> Iterator[Engine]:
    """The engine of a Dask cluster.

    Args:
        target: address of a running scheduler, "tcp://host:8786", or a Dask cluster object. Its workers should be
            started with one thread, no memory limit and `--preload experiments.clusters`.

    Raises:
        UsageError: the scheduler does not answer within ten seconds, or has no worker after a minute.
    """
    name = target if isinstance(target, str) else target.scheduler_address
    with silence_logging_cmgr(logging.CRITICAL):
        try:
            client = Client(target, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:  # a time-out is an OSError too
            raise UsageError(
                f"scheduler must be the address of a running Dask scheduler, got {name} ({type(error).__name__})"
            ) from None
        try:
            try:
                client.wait_for_workers(1, timeout=JOIN_SECONDS)
            except TimeoutError:
                raise UsageError(f"scheduler must have workers, got none at {name} in {JOIN_SECONDS:g} s") from None
            yield Engine(
                name="dask",
                executor=client.get_executor(pure=False),
                width=lambda: sum(client.nthreads().values()),
                everywhere=lambda function, *arguments: list(client.run(function, *arguments).values()),
                killed=(KilledWorker,),
            )
        finally:
            client.close(timeout=CONNECT_SECONDS)


def slurm_cluster(
    *,
    queue: str,
    cores: int,
    memory: str,
    walltime: str = "04:00:00",
    gpus: int = 0,
    account: str | None = None,
    lines: Sequence[str] = (),
    host: str | None = None,
    security: Any = True,
) -> Any:
    """A `dask_jobqueue.SLURMCluster` whose jobs are one worker each; `cluster.scale(jobs=8)` asks for eight.

    Args:
        queue: SLURM partition.
        cores: cores of a job, one host device each.
        memory: memory of a job that SLURM enforces, "16GB"; Dask does not watch it.
        walltime: longest time of a job. A job that ends in the middle of a group costs that group alone.
        gpus: 0, or 1 for one GPU a job.
        account: to be charged.
        lines: shell lines before the worker starts, such as `module load cuda` or `source .venv/bin/activate`.
        host: address of this machine that the jobs can reach; by default that of its name.
        security: a `distributed.Security`, or True for certificates made for this cluster (needs `cryptography`).
            Without TLS the scheduler may listen on loopback only, which serves to look at `cluster.job_script()`.

    Raises:
        UsageError: a number of GPUs other than 0 or 1, no cores, no TLS on an open address, or a missing package.

    Example: `with slurm_cluster(queue="gpu", cores=8, memory="16GB", gpus=1) as cluster: print(cluster.job_script())`
    """
    if gpus not in (0, 1):
        raise UsageError(f"gpus must be 0 or 1 for each job, got {gpus}")
    if cores < 1:
        raise UsageError(f"cores must be >= 1, got {cores}")
    if not security and (host is None or not _is_loopback(host)):
        raise UsageError(f"security must be given unless host is {LOOPBACK}, got host {host}")
    exports = [f"export {name}={shlex.quote(value)}" for name, value in worker_environment(cores=cores).items()]
    try:
        from dask_jobqueue import SLURMCluster

        return SLURMCluster(
            queue=queue,
            account=account,
            cores=cores,
            processes=1,
            memory=memory,
            walltime=walltime,
            security=security or None,
            scheduler_options={"host": host or socket.gethostname(), **SCHEDULER},
            job_extra_directives=["--gres=gpu:1"] if gpus else [],
            job_script_prologue=[*lines, *exports],
            # of an option given twice the last counts
            worker_extra_args=["--nthreads", "1", "--memory-limit", "0", "--preload", PRELOAD, "--no-dashboard"],
        )
    except ImportError as error:
        raise UsageError(f"a SLURM cluster must have its packages, got {error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
