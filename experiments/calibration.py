"""Do the intervals mean what they say? Every law is planted, simulated, fitted and covered, many times over.

    capsim calibrate                  writes calibration.json; about seven minutes on two cores
    capsim calibrate --repetitions 2000

The data look like those of study `codebook`: its grid of J and n, its numbers of seeds, and a seed variance
.003^2 + .03^2 p (1 - p), the size that its networks show. A nominal 95% interval is right if it covers 92 to 98%.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sim.analysis.collapse import collapse, output_scaling
from sim.analysis.fits import fit_law
from sim.theory.laws import LAWS
from sim.types import FloatArray

SEEDS = (4, 10)  # what the presets use
LEVEL = 0.95
FLOOR, SPREAD = 0.003, 0.03  # standard deviation between seeds: sqrt(FLOOR^2 + SPREAD^2 p (1 - p))
COLLAPSE_LEVEL = 0.05  # at which the test of a collapse should reject true collapses, at most
GAMMA, HALF, STEEPNESS = 1.4, 2.0, 1.2  # the planted collapse: A* = 1/(1 + (HALF J^GAMMA / I)^STEEPNESS)


class Planted(NamedTuple):
    """A law with the parameters that are planted."""

    law: str
    parameters: tuple[float, ...]


# Chosen so that accuracy runs from near chance to near one over the grid: only then is every parameter determined.
PLANTED = (
    Planted("coverage", (-1.5,)),
    Planted("hill", (1.0, 0.9)),
    Planted("clipped_power", (-2.2, 0.4)),
    Planted("logistic", (0.5, 0.75, 1.1)),
    Planted("probit", (-0.5, 0.55, 1.1)),
    Planted("power", (-0.9, 0.35, 0.3)),
    Planted("power_floor", (1.5, 0.7, 0.7, 0.1)),
    Planted("broken_power", (0.5, 0.9, 0.6, 2.0)),
    Planted("exponential", (0.3, 0.7)),
    Planted("shifted_power", (-0.5, 0.6, 0.7, 0.1)),
    Planted("factorised", (2.5,)),
    Planted("theorem", (-0.4,)),
)


def codebook_cells() -> dict[str, FloatArray]:
    """The cells of study `codebook`: J 4 to 256 with n 1 to 64 images a class, J 1024 with n 1 to 16; D 64, g 1/4."""
    outputs, ratio = (grid.ravel() for grid in np.meshgrid([4.0, 16, 64, 256, 1024], [1.0, 4, 16, 64]))
    outputs, ratio = (column[outputs * ratio <= 16_384] for column in (outputs, ratio))
    constant = {"dimension": 64.0, "signal_power": 0.25, "noise": 1.0}
    cells = {"inputs": outputs * ratio, "outputs": outputs, "chance": 1 / outputs}
    return cells | {name: np.full(len(outputs), value) for name, value in constant.items()}


def simulate(mean: FloatArray, seeds: int, generator: np.random.Generator) -> FloatArray:
    """Accuracies of `seeds` trials in each cell, shape (cells * seeds,), cell by cell."""
    deviation = np.sqrt(FLOOR**2 + SPREAD**2 * mean * (1 - mean))
    return np.asarray((mean[:, None] + deviation[:, None] * generator.standard_normal((len(mean), seeds))).ravel())


def law_repetition(planted: Planted, seeds: int, number: int) -> list[tuple[float, bool]]:
    """Error of each parameter, and whether its interval covered, in one simulated study."""
    law, cells = LAWS[planted.law], codebook_cells()
    mean = law.predict(np.array(planted.parameters), cells)
    accuracy = simulate(mean, seeds, np.random.default_rng([number, seeds]))
    columns = {name: np.repeat(column, seeds) for name, column in cells.items()}
    fit = fit_law(law, columns, accuracy, level=LEVEL, seed=number)
    return [
        (fit.parameters[name] - truth, fit.intervals[name][0] <= truth <= fit.intervals[name][1])
        for name, truth in zip(law.parameters, planted.parameters, strict=True)
    ]


def collapse_repetition(seeds: int, number: int) -> tuple[float, bool, bool]:
    """Error of gamma, whether its interval covered, and whether the test rejects a collapse that is true."""
    cells = codebook_cells()
    ratio = cells["inputs"] / (HALF * cells["outputs"] ** GAMMA)
    mean = cells["chance"] + (1 - cells["chance"]) * ratio**STEEPNESS / (1 + ratio**STEEPNESS)
    accuracy = simulate(mean, seeds, np.random.default_rng([number, seeds]))
    columns = {name: np.repeat(cells[name], seeds) for name in ("inputs", "outputs", "chance")}
    found = collapse(columns, accuracy, output_scaling, {"gamma": (-1.0, 5.0)}, level=LEVEL, seed=number)
    low, high = found.intervals["gamma"]
    return found.parameters["gamma"] - GAMMA, low <= GAMMA <= high, found.p_value < COLLAPSE_LEVEL


def _row(name: str, parameter: str, seeds: int, errors: Any, hits: Any) -> dict[str, Any]:
    return {
        "law": name,
        "parameter": parameter,
        "seeds": seeds,
        "repetitions": len(hits),
        "coverage": float(np.mean(hits)),
        "bias": float(np.mean(errors)),
        "spread": float(np.std(errors, ddof=1)),
    }


def calibrate(
    repetitions: int = 400, *, workers: int | None = None, progress: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure coverage, bias and spread of every law's parameters and of gamma, and the test of a collapse.

    Args:
        repetitions: simulated studies for each law and number of seeds, at least 2.
        workers: processes; by default one a core.
        progress: takes a line as each law is done.

    Returns:
        `rows`, one a law, parameter and number of seeds, with coverage, bias and spread of the estimates; and
        `collapse_test`, the share of true collapses that the test rejects, for each number of seeds.
    """
    if repetitions < 2:
        raise ValueError(f"repetitions must be >= 2, got {repetitions}")
    rows: list[dict[str, Any]] = []
    rejected: dict[str, float] = {}
    context = multiprocessing.get_context("spawn")  # a fork of a process in which JAX runs may never return
    with ProcessPoolExecutor(workers or os.cpu_count(), context) as pool:
        run: Callable[..., list[Any]] = lambda work: list(pool.map(work, range(repetitions), chunksize=4))  # noqa: E731
        for seeds in SEEDS:
            for planted in PLANTED:
                results = np.array(run(partial(law_repetition, planted, seeds)))
                for place, parameter in enumerate(LAWS[planted.law].parameters):
                    errors, hits = results[:, place, 0], results[:, place, 1] > 0
                    rows.append(_row(planted.law, parameter, seeds, errors, hits))
                progress(f"{planted.law}, {seeds} seeds: done")
            found = run(partial(collapse_repetition, seeds))
            rows.append(_row("collapse", "gamma", seeds, [r[0] for r in found], [r[1] for r in found]))
            rejected[str(seeds)] = float(np.mean([r[2] for r in found]))
            progress(f"collapse, {seeds} seeds: done")
    return {"level": LEVEL, "repetitions": repetitions, "rows": rows, "collapse_test": rejected}


def outside(result: Mapping[str, Any], low: float = 0.92, high: float = 0.98) -> list[dict[str, Any]]:
    """The rows of a calibration whose coverage lies outside the range that counts as right."""
    return [row for row in result["rows"] if not low <= row["coverage"] <= high]
