"""What is kept between runs outside the store (compiled programs, probes), and how cores are given to JAX."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

CPU_FLAGS = (
    "--xla_cpu_multi_thread_eigen=false",  # each core has networks of its own to multiply
    "--xla_cpu_prefer_vector_width=512",  # where the processor has them; 4% on networks of medium size
)
BLAS_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def worker_threads(devices: int) -> dict[str, str]:
    """Variables that keep a worker to its cores: one device a core, one thread a product, read as libraries load.

    XLA takes the size of its pool of threads from NPROC; with threads for all cores in each of two processes a U-Net is
    a fifth slower.

    Example:
        >>> worker_threads(1)["JAX_NUM_CPU_DEVICES"], worker_threads(2)["NPROC"]
        ('1', '2')
    """
    return {"JAX_NUM_CPU_DEVICES": str(devices), "NPROC": str(devices), **dict.fromkeys(BLAS_THREADS, "1")}


def cache_dir() -> Path:
    """The cache folder: `$CAPSIM_CACHE`, else `~/.cache/capsim`. It may be deleted at any time, at the cost of time."""
    return Path(os.environ.get("CAPSIM_CACHE") or Path.home() / ".cache" / "capsim")


def read_json(name: str) -> Any:
    """A kept value by its file name in the cache folder; None if there is none that can be read."""
    try:
        return json.loads((cache_dir() / name).read_text())
    except (OSError, ValueError):
        return None


def write_json(name: str, value: Any) -> None:
    """Keep a value: written aside and renamed, so that no reader sees half of it. A folder that cannot be written
    keeps nothing."""
    target = cache_dir() / name
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, suffix=".tmp", delete=False) as file:
            json.dump(value, file)
        os.replace(file.name, target)


def num_cores() -> int:
    """Cores this process may use, which on a shared machine are fewer than it has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def enable_compilation_cache() -> None:
    """Keep every compiled program in the cache folder: a second process starts without compiling.

    The folder is trusted: it holds programs. Where it cannot be written, JAX warns once and compiles as usual.
    """
    import jax

    jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def configure_devices() -> None:
    """Make each core a device of its own. Call it before JAX is first used; later it has no effect.

    Without a GPU or TPU these are the devices that a population is spread over. A number of devices that the user has
    set is left alone.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    missing = [flag for flag in CPU_FLAGS if flag.split("=")[0] not in flags]
    os.environ["XLA_FLAGS"] = " ".join([*flags.split(), *missing])
    import jax

    # Accelerators multiply float32 in fewer bits unless told not to; on CPU this changes nothing.
    jax.config.update("jax_default_matmul_precision", "highest")
    if "xla_force_host_platform_device_count" not in flags and "JAX_NUM_CPU_DEVICES" not in os.environ:
        with contextlib.suppress(RuntimeError):  # JAX has started: its devices are what they are
            jax.config.update("jax_num_cpu_devices", num_cores())
