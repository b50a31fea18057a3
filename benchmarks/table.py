"""`capsim bench`: what the population engine gains over what one would write otherwise, as ratios taken in one run."""

import os
import platform
import statistics
import sys
from typing import Any

import jax

from benchmarks.workloads import WORKLOADS, flax_step_rate, gemm_peak, population_rate, step_operations

ROUNDS = 5  # each round times every variant once, in turn, so that drift of the machine hits all alike
CHUNKS = {"mlp_medium": 1, "mlp_small": 8}  # members vmapped together; small networks are ruled by overhead


def run_benchmarks(json: bool = False) -> dict[str, Any]:
    """Time all workloads and return the object that `capsim bench --json` prints.

    Args:
        json: leave standard error quiet.

    Returns:
        machine, and a row a workload: median network-steps a second of capsim and of each baseline, their ratios, and
        the share of the measured matrix-product peak.
    """
    peak = gemm_peak()
    rows = []
    for work in WORKLOADS:
        variants = {"capsim": population_rate(work, CHUNKS[work.name]), "flax_step": flax_step_rate(work)}
        rates: dict[str, list[float]] = {name: [] for name in variants}
        for number in range(ROUNDS):
            for name, measure in variants.items():
                rates[name].append(measure())
            if not json:
                print(f"{work.name}: round {number + 1} of {ROUNDS}", file=sys.stderr)
        medians = {name: statistics.median(values) for name, values in rates.items()}
        ours = medians.pop("capsim")
        rows.append(
            {
                "name": work.name,
                "capsim": ours,
                "baselines": medians,
                "ratios": {name: ours / rate for name, rate in medians.items()},
                "peak_share": ours * step_operations(work) / peak,
            }
        )
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "devices": [str(device) for device in jax.devices()],
        "gemm_peak_gflops": peak / 1e9,
    }
    return {"machine": machine, "workloads": rows}
