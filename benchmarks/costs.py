"""How the time of a population grows with its size K, with J, I and the grid: seconds and fitted exponents."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.processes import VariantError, Worker
from benchmarks.workloads import WORKLOADS, Workload

CONFIDENCE = 0.95


class Axis(NamedTuple):
    """One thing that is varied.

    Attributes:
        name: of the table. values: what it takes. of: what is timed, in words.
        work: value -> the workload.
    """

    name: str
    values: tuple[int, ...]
    of: str
    work: Callable[[int], Workload]


MEDIUM, SMALL, CONV = WORKLOADS["mlp_medium"], WORKLOADS["mlp_small"], WORKLOADS["conv"]
WHOLE = "a population of small networks, 500 steps each"
AXES = (
    Axis("K", (16, 32, 64, 128), WHOLE, lambda k: SMALL._replace(members=k, steps=500)),
    Axis("J", (64, 256, 1024, 4096), "a network of width 128, 200 steps",
         lambda j: MEDIUM._replace(classes=j, members=2, steps=200)),
    Axis("I", (1024, 4096, 16384), "a network of width 128, 500 steps, its I images drawn and held",
         lambda i: MEDIUM._replace(inputs=i, members=4, steps=500)),
    Axis("pixels", (64, 256, 1024), "a convolutional network, 50 steps",
         lambda n: CONV._replace(image_shape=(round(n**0.5), round(n**0.5)), inputs=64, members=2, steps=50)),
)  # fmt: skip


def fit_exponent(values: Sequence[float], seconds: Sequence[float]) -> dict[str, Any]:
    """Least squares of log seconds = log c + exponent * log value, with a 95% interval from Student's t.

    Returns:
        exponent, interval; None for both with fewer than three points.

    Example:
        >>> fit = fit_exponent([1, 2, 4, 8], [3.0, 6.0, 12.0, 24.0])
        >>> round(fit["exponent"], 6), [round(end, 6) for end in fit["interval"]]
        (1.0, [1.0, 1.0])
    """
    if len(seconds) < 3 or len(set(values)) < 2:
        return {"exponent": None, "interval": None}
    x, y = np.log(values) - np.log(values).mean(), np.log(seconds) - np.log(seconds).mean()
    slope = float(x @ y / (x @ x))
    error = np.sqrt(np.sum((y - slope * x) ** 2) / (len(x) - 2) / (x @ x))
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(x) - 2) * error)
    return {"exponent": slope, "interval": [slope - reach, slope + reach]}


def measure_costs(
    worker: Worker, rounds: int, say: Callable[[str], None], axes: Sequence[Axis] = AXES
) -> list[dict[str, Any]]:
    """Time every axis, compiled beforehand.

    Args:
        worker: a "capsim" process. rounds: timings a value; all enter the fit. say: takes a line of progress.

    Returns:
        a row an axis: name, of, values and seconds (medians), exponent and its interval; and reasons for values that
        have none.
    """
    rows = []
    for axis in axes:
        points: list[tuple[int, float]] = []
        reasons = {}
        for value in axis.values:
            say(f"cost against {axis.name} = {value}")
            work = axis.work(value)
            try:
                for _ in range(rounds):
                    points.append((value, work.members * work.steps / worker.ask("capsim", work, 0.0)[0]))
            except VariantError as reason:
                reasons[str(value)] = str(reason)
        timed = sorted({value for value, _ in points})
        seconds = [float(np.median([s for v, s in points if v == value])) for value in timed]
        fit = fit_exponent([v for v, _ in points], [s for _, s in points])
        rows.append({"name": axis.name, "of": axis.of, "values": timed, "seconds": seconds, **fit, "reasons": reasons})
    return rows
