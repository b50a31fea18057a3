"""Figure `theory`: the exact learner of every cell against the integral, and the threshold's expansions against it."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from experiments.studies.common import PRIMARY_LEVEL, cell_groups, chosen
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    ARMS,
    DOUBLE,
    FORMULAS,
    Drawing,
    add_legend,
    count_axis,
    draw_points,
    make_canvas,
    paper_style,
    save,
)
from sim.theory.capacity import log_half_accuracy_classes

NAME = "theory"
SUMMARY = "the theorem against simulation: the exact learner minus the integral, and the error of the threshold formula"
FEWEST_CODEBOOKS = 20
DIMENSIONS, POWERS, SAMPLES = (16, 64, 256, 1024, 4096), (4, 8, 16, 32, 64, 128, 256), (1, 4, 16, 64, None)
SMALLEST, LARGEST = np.log(10), 300.0  # ln J50: fewer classes are no threshold, more overflow a table of J
LOOKS = {"learner": ARMS["bayes"]._replace(label="exact learner minus integral, 99% intervals"), **FORMULAS}


def _differences(source: Source) -> list[dict[str, Any]]:
    """Mean of (exact learner - integral) over codebooks in each setting, with its t interval."""
    columns = source.columns("codebook")
    mask = chosen(columns, arm="bayes") & np.isfinite(columns["bayes_learned"].astype(float))
    found = []
    for rows in cell_groups(columns, mask):
        accuracy, integral = columns["test_accuracy"][rows], float(columns["bayes_learned"][rows[0]])
        if len(rows) < FEWEST_CODEBOOKS:
            continue
        half = stats.t.ppf((1 + PRIMARY_LEVEL) / 2, len(rows) - 1) * accuracy.std(ddof=1) / np.sqrt(len(rows))
        mean = float(accuracy.mean()) - integral
        found.append({"series": "learner", "x": integral, "mean": mean, "low": mean - half, "high": mean + half,
                      "trials": len(rows)})  # fmt: skip
    if not found:
        raise MissingRows(f"figure {NAME} must have 20 codebooks of arm bayes a setting in codebook, got fewer")
    return found


def _errors() -> list[dict[str, Any]]:
    """Error of each expansion of ln J50 over a grid of dimensions, powers and images a class."""
    found = []
    for dimension, power, samples in itertools.product(DIMENSIONS, POWERS, SAMPLES):
        task = (dimension, power / dimension, 1.0, samples)
        if log_half_accuracy_classes(*task, method="refined") > LARGEST:
            continue
        exact = log_half_accuracy_classes(*task)
        if exact > SMALLEST:
            found += [{"series": method, "x": exact, "mean": log_half_accuracy_classes(*task, method=method) - exact}
                      for method in ("asymptotic", "refined")]  # fmt: skip
    return found


def _draw(axes: Axes, rows: list[dict[str, Any]], series: str) -> None:
    part = [row for row in rows if row["series"] == series]
    interval = np.array([[row.get("low", np.nan), row.get("high", np.nan)] for row in part])
    draw_points(axes, [row["x"] for row in part], [row["mean"] for row in part], interval, LOOKS[series])


def draw(source: Source, out: Path) -> Drawing:
    """Load the exact learner's rows of study codebook, evaluate the threshold's expansions, draw, save."""
    differences, errors = _differences(source), _errors()
    with paper_style():
        canvas = make_canvas(DOUBLE, 2.6)
        left, right = canvas.subplots(1, 2)
        for axes in (left, right):
            axes.axhline(0, color="black", linewidth=0.6)
        _draw(left, differences, "learner")
        left.set(xlabel="integral A(n, J)", ylabel="accuracy - integral", xlim=(-0.03, 1.03))
        for method in ("asymptotic", "refined"):
            _draw(right, errors, method)
        right.set_ylabel("error of the formula")
        count_axis(right.xaxis, [3, 6, 12, 25, 50, 100], "ln J at which accuracy is one half")
        add_legend(canvas, list(LOOKS.values()), 3)
        outside = sum(not row["low"] <= 0 <= row["high"] for row in differences)
        largest = {m: max(abs(row["mean"]) for row in errors if row["series"] == m) for m in ("asymptotic", "refined")}
        caption = (
            "The theorem against simulation. Left: accuracy of the exact learner, which runs in every cell on the same "
            f"images as the networks, minus the integral; {outside} of {len(differences)} settings lie outside their "
            "99% interval. Right: error in ln J50 of two closed forms of the threshold over D 16 to 4096, gD 4 to 256 "
            f"and n 1 to infinity, where J50 > 10: at most {largest['asymptotic']:.2f} for the leading terms and "
            f"{largest['refined']:.3f} for the refined formula."
        )
        alternative = (
            f"Left: {len(differences)} points with bars scattered about zero over the whole range of accuracy. Right: "
            "errors of the leading terms, all negative and shrinking towards large ln J50, and those of the refined "
            "formula, close to zero throughout. The numbers are in the CSV file."
        )
        return save(canvas, differences + errors, out, NAME, caption, alternative)
