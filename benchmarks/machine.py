"""The machine: its largest matrix-product rate, and what there is to say about it.

    python -m benchmarks.machine

prints the rate that this process sees, as JSON.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.cache import num_cores

# Variables that hold NumPy's library to an older kernel or to fewer threads, and so would lower the peak.
HOLDING_BACK = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def gemm_rate(size: int = 2048, repeats: int = 8) -> float:
    """Floating-point operations a second of a large NumPy product, float32, best of several."""
    left = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        left @ left
        best = min(best, time.perf_counter() - started)
    return 2.0 * size**3 / best


def _kernel() -> str:
    """The kernels that NumPy's library has chosen, as `threadpoolctl` (part of scikit-learn's needs) tells."""
    from threadpoolctl import threadpool_info

    found = (pool for pool in threadpool_info() if pool["user_api"] == "blas")
    return ", ".join(f"{p['internal_api']} {p.get('architecture', '')} {p['num_threads']} threads" for p in found)


def gemm_peaks() -> list[dict[str, Any]]:
    """The rate in a process of its own, with the environment as it is and without what holds the library back.

    Returns:
        {"flops", "kernel", "without"} a process, the fastest first; {} where a process failed.
    """
    held = [name for name in HOLDING_BACK if name in os.environ]
    found = []
    for without in [[], held] if held else [[]]:
        environment = {name: value for name, value in os.environ.items() if name not in without}
        command = [sys.executable, "-m", "benchmarks.machine"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            found.append({**json.loads(done.stdout), "without": without})
    return sorted(found, key=lambda peak: -peak["flops"])


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    """Processor, cores this process may use, how busy they are, system and versions."""
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str | None] = {}
    for name in ("jax", "flax", "numpy", "torch"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "processor": _processor(),
        "cores": num_cores(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": versions,
    }


if __name__ == "__main__":
    print(json.dumps({"flops": gemm_rate(), "kernel": _kernel()}))
