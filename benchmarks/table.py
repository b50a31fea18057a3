"""`capsim bench`: what the population engine gains over what one would write otherwise, as ratios taken in one run."""

import statistics
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.costs import measure_costs
from benchmarks.machine import describe, gemm_peaks
from benchmarks.processes import VariantError, Worker
from benchmarks.scaling import measure_scaling
from benchmarks.starts import start_seconds
from benchmarks.workloads import STUDY, WORKLOADS, Workload, step_operations

BASELINES = ("flax_step", "torch_eager", "torch_channels_last", "torch_func", "jit_vmap")
# An order of images in memory: it changes nothing without convolutions.
ABSENT = {("mlp_medium", "torch_channels_last"), ("mlp_small", "torch_channels_last")}
COST_ROUNDS = SCALING_ROUNDS = 2
Say = Callable[[str], None]


class Extent(NamedTuple):
    """How much is measured.

    Attributes:
        rounds, study_rounds: each times every variant once, in turn, so that drift of the machine hits all alike.
        shorter: the steps of a workload are divided by this. limit: seconds after which a baseline's loop is cut short.
        devices: numbers of host devices. costs: whether to measure the cost curves and weak scaling.
    """

    rounds: int
    study_rounds: int
    shorter: int
    limit: float
    devices: tuple[int, ...]
    costs: bool


FULL = Extent(5, 3, 1, 2.5, (1, 2, 4, 8), True)
QUICK = Extent(1, 1, 4, 0.7, (1, 2), False)


def time_workload(work: Workload, workers: Mapping[str, Worker], rounds: int, limit: float, say: Say) -> dict[str, Any]:
    """Time the engine and all baselines on one workload, in turn.

    Args:
        workers: "capsim" and "plain". rounds, limit: see `Extent`. say: takes a line of progress.

    Returns:
        a row of the table without its share of the peak; a variant that gave no number is None, and `reasons` has why.
    """
    variants = ["capsim", *(name for name in BASELINES if (work.name, name) not in ABSENT)]
    rates: dict[str, list[float]] = {name: [] for name in variants}
    reasons: dict[str, str] = {}
    notes: dict[str, str] = {}
    for number in range(rounds):
        say(f"{work.name}: round {number + 1} of {rounds}")
        for name in variants:
            if name in reasons:
                continue
            try:
                rate, notes[name] = workers["capsim" if name == "capsim" else "plain"].ask(name, work, limit)
                rates[name].append(rate)
            except VariantError as reason:
                reasons[name] = str(reason)
                say(f"{work.name}: no {name}: {reason}")
    medians = {name: statistics.median(found) if found else None for name, found in rates.items()}
    ours = medians.pop("capsim")
    row = {"name": work.name, "capsim": ours, "baselines": medians, "ratios": ratios_of(ours, medians)}
    return {**row, "reasons": reasons, "notes": notes, "rounds": rates}


def ratios_of(ours: float | None, baselines: Mapping[str, float | None]) -> dict[str, float | None]:
    """Our rate over each baseline's; None where either is missing.

    Example:
        >>> ratios_of(6.0, {"flax_step": 2.0, "torch_eager": None})
        {'flax_step': 3.0, 'torch_eager': None}
    """
    return {name: ours / rate if ours and rate else None for name, rate in baselines.items()}


def time_study(
    medium: Mapping[str, Any], workers: Mapping[str, Worker], extent: Extent, say: Say
) -> tuple[dict[str, Any], dict[str, float] | None]:
    """Time whole studies.

    Args:
        medium: the row of `mlp_medium`, whose baselines train the same network; they draw no data, score and store
            nothing, so the ratios are too low rather than too high.

    Returns:
        the row, and the shares of the wall time that are not training: "store_share", "evaluation_share".
    """
    work = STUDY._replace(steps=STUDY.steps // extent.shorter)
    found: list[dict[str, float]] = []
    reasons: dict[str, str] = {}
    notes = {"baselines": "those of mlp_medium, which draw no data, score and store nothing"}
    for number in range(extent.study_rounds):
        say(f"study: round {number + 1} of {extent.study_rounds}")
        try:
            value, notes["capsim"] = workers["capsim"].ask("study", work, 0.0)
            found.append(value)
        except VariantError as reason:
            reasons["capsim"] = str(reason)
            say(f"study: no number: {reason}")
            break
    median = {name: statistics.median(each[name] for each in found) for name in found[0]} if found else None
    ours = median.pop("rate") if median else None
    row = {"name": "study", "capsim": ours, "baselines": medium["baselines"]}
    rates = {"capsim": [each["rate"] for each in found]}
    row |= {"ratios": ratios_of(ours, medium["baselines"]), "reasons": reasons, "notes": notes, "rounds": rates}
    return row, median


def run_benchmarks(say: Say = lambda _: None, quick: bool = False) -> dict[str, Any]:
    """Time all workloads and return the object that `capsim bench --json` prints.

    Args:
        say: takes a line of progress. quick: about a minute, one round, no cost curves; too noisy to quote.

    Returns:
        machine; workloads, a row each: median network-steps a second of capsim and of each baseline, their ratios,
        the share of the measured matrix-product peak, reasons for what is None, notes, and the rate of each round;
        overhead (share of a study that is not training) and its parts; start_seconds; scaling, {devices: rate
        against one device} for real devices, and its details; costs.
    """
    extent = QUICK if quick else FULL
    machine = describe()  # its load before our own
    say("matrix-product peak")
    peaks = gemm_peaks()
    rows = []
    with Worker("capsim") as capsim, Worker("plain") as plain:
        workers = {"capsim": capsim, "plain": plain}
        for work in WORKLOADS.values():
            shorter = work._replace(steps=work.steps // extent.shorter)
            rows.append(time_workload(shorter, workers, extent.rounds, extent.limit, say))
        row, overhead = time_study(rows[0], workers, extent, say)
        rows.append(row)
        costs = measure_costs(capsim, COST_ROUNDS, say) if extent.costs else []
    if not quick:
        say("matrix-product peak, again")
        peaks = sorted([*peaks, *gemm_peaks()], key=lambda peak: -peak["flops"])
    for work, row in zip([*WORKLOADS.values(), STUDY], rows, strict=True):
        row["peak_share"] = (
            row["capsim"] * step_operations(work) / peaks[0]["flops"] if row["capsim"] and peaks else None
        )
    say("start of a command")
    try:
        starts: dict[str, Any] = start_seconds()
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no message"])[-1]
        starts = {"cold": None, "warm": None, "reason": reason[:200]}
    scaling = measure_scaling(extent.devices, 1 if quick else SCALING_ROUNDS, extent.costs, say)
    return {
        "machine": {**machine, "gemm_peak_gflops": peaks[0]["flops"] / 1e9 if peaks else None, "gemm": peaks},
        "quick": quick,
        "workloads": rows,
        "overhead": sum(overhead.values()) if overhead else None,
        "overhead_parts": overhead,
        "start_seconds": starts,
        "scaling": {count: r for count, r in scaling["strong"].items() if int(count) not in scaling["simulated"]},
        "scaling_details": scaling,
        "costs": costs,
    }
