"""Figure `continuous`: error of a continuous target through Q bins, and of others beside the best possible."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import Columns, take
from experiments.studies.continuous import TARGETS, main_rows
from paper_figures.selection import summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    DOUBLE,
    ESTIMATORS,
    LIMITS,
    Drawing,
    Look,
    add_legend,
    count_axis,
    draw_line,
    draw_points,
    ladder,
    make_canvas,
    paper_style,
    save,
)

NAME = "continuous"
SUMMARY = "error of a continuous target against the number of bins, and against images beside the best predictor"
TITLES = {"linear": "linear target", "disc": "place of a disc"}


def _draw_bins(axes: Axes, rows: Columns, looks: dict[float, Look]) -> list[dict[str, Any]]:
    """Error over Q, one curve for each I; the exact Q-bin decoder as a line under it."""
    numbers: list[dict[str, Any]] = []
    for inputs, look in looks.items():
        here = take(rows, (rows["estimator"] == "bins") & (rows["inputs"] == inputs))
        if len(here["seed"]):
            points, exact = summarise(here, ["bins"], "error"), summarise(here, ["bins"], "decoder_error")
            draw_points(axes, points.columns["bins"], points.mean, points.interval, look)
            draw_line(axes, exact.columns["bins"], exact.mean, Look("", look.colour, line=LIMITS["posterior"].line))
            numbers += points.rows(["bins"], inputs=inputs, series="bins")
            numbers += exact.rows(["bins"], inputs=inputs, series="exact decoder")
    count_axis(axes.xaxis, rows["bins"][rows["estimator"] == "bins"], "bins Q")
    return numbers


def _draw_inputs(axes: Axes, rows: Columns, arms: dict[tuple[str, float], Look]) -> list[dict[str, Any]]:
    """Error over I for each estimator, and the best predictor's."""
    numbers: list[dict[str, Any]] = []
    best = summarise(take(rows, rows["estimator"] == "regression"), ["inputs"], "bayes_error")
    draw_line(axes, best.columns["inputs"], best.mean, LIMITS["posterior"])
    numbers += best.rows(["inputs"], series="best predictor")
    for (estimator, bins), look in arms.items():
        here = take(rows, (rows["estimator"] == estimator) & (rows["bins"] == bins))
        points = summarise(here, ["inputs"], "error")
        draw_points(axes, points.columns["inputs"], points.mean, points.interval, look)
        numbers += points.rows(["inputs"], series=estimator, bins=bins)
    count_axis(axes.xaxis, rows["inputs"], "images I")
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study continuous, take its main rows, draw, save."""
    rows = main_rows(source.columns("continuous"))
    binned = rows["estimator"] == "bins"
    targets = [target for target in TARGETS if target in rows["target"][binned]]
    if not targets or not np.isin(rows["estimator"], ["regression"]).any():
        raise MissingRows(f"figure {NAME} must have finished rows of both heads in continuous, got none")
    looks = ladder(rows["inputs"][binned].tolist(), "I")
    few, many = float(rows["bins"][binned].min()), float(rows["bins"][binned].max())
    arms = {("regression", 0.0): ESTIMATORS["regression"], ("bins", few): ESTIMATORS["few"],
            ("bins", many): ESTIMATORS["many"], ("ridge", 0.0): ESTIMATORS["ridge"]}  # fmt: skip
    have = set(zip(rows["estimator"], rows["bins"], strict=True))
    arms = {
        arm: look._replace(label=look.label.format(bins=f"{arm[1]:g}")) for arm, look in arms.items() if arm in have
    }
    numbers = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 4.4)
        panels = canvas.subplots(2, len(targets), squeeze=False)
        for column, target in zip(panels.T, targets, strict=True):
            here = take(rows, rows["target"] == target)
            found = _draw_bins(column[0], here, looks) + _draw_inputs(column[1], here, arms)
            numbers += [{"target": target} | row for row in found]
            column[0].set_title(TITLES[target])
            for axes in column:
                axes.set_ylim(bottom=0)
        for axes in panels[:, 0]:
            axes.set_ylabel("error / sd of target")
        add_legend(canvas, [*looks.values(), LIMITS["posterior"], *arms.values()], 4)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "A continuous target, answered by one number or through Q bins of equal probability that are read by their mean. "
    "Root mean squared error on test images, in standard deviations of the target. Above: against the number of bins, "
    "for each number of training images I; the line without markers of the same colour is the exact Q-bin decoder on "
    "the same images. Below: against I, one output, few and many bins and ridge regression, with the best predictor as "
    "a black line. Bars: 95% intervals over seeds."
)
ALTERNATIVE = (
    "Two columns for the two targets. Above: error against the number of bins, one curve with its own marker for each "
    "number of images, over lines of the exact decoder. Below: error against the number of images, one curve for each "
    "estimator, over the line of the best predictor. The numbers are in the CSV file."
)
