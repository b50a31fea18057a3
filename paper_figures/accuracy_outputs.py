"""Figure `accuracy_outputs`: accuracy against the number of outputs, one panel an n = I/J, with every exact limit."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.codebook import NETWORK_ARMS, main_rows
from paper_figures.selection import summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    ARMS,
    DOUBLE,
    LIMITS,
    Drawing,
    add_legend,
    count_axis,
    draw_line,
    draw_points,
    make_canvas,
    paper_style,
    save,
    score_axis,
)
from sim.theory.bounds import fano_accuracy
from sim.theory.capacity import codebook_information
from sim.theory.ceilings import gaussian_codebook_accuracy

NAME = "accuracy_outputs"
SUMMARY = "accuracy against J on random codewords, with exact ceilings, the Fano bound and chance"
MOST_PANELS = 4
CELL = ("inputs_per_output", "outputs", "dimension", "signal_power", "noise")


def _limits(outputs: Any, ratio: float, task: tuple[int, float, float]) -> dict[str, list[float]]:
    """Every limit of accuracy at n images a class, for each J."""
    dimension, power, noise_power = task
    whole = {"samples_per_class": ratio} if ratio >= 1 and float(ratio).is_integer() else None
    information = codebook_information(dimension, power, noise_power, ratio)
    found = {
        "fano": [fano_accuracy(j, information) for j in outputs],
        "known": [gaussian_codebook_accuracy(j, dimension, power, noise_power) for j in outputs],
        "chance": [1 / j for j in outputs],
    }
    if whole is not None:
        found["learned"] = [gaussian_codebook_accuracy(j, dimension, power, noise_power, **whole) for j in outputs]
    return found


def _draw_panel(axes: Axes, ratio: float, points: dict[str, Any], task: tuple[int, float, float]) -> list[Any]:
    here = {arm: p.where(p.columns["inputs_per_output"] == ratio) for arm, p in points.items()}
    measured = sorted({int(j) for p in here.values() for j in p.columns["outputs"]})
    outputs = np.unique(np.geomspace(measured[0], measured[-1], 25).round().astype(int)).tolist()
    numbers = []
    for limit, values in _limits(outputs, ratio, task).items():
        draw_line(axes, outputs, values, LIMITS[limit])
        numbers += [
            {"inputs_per_output": ratio, "series": limit, "outputs": j, "mean": value}
            for j, value in zip(outputs, values, strict=True)
        ]
    for arm, cells in here.items():
        draw_points(axes, cells.columns["outputs"], cells.mean, cells.interval, ARMS[arm])
        numbers += cells.rows(["outputs"], inputs_per_output=ratio, series=arm)
    axes.set_title(f"I/J = {ratio:g}")
    count_axis(axes.xaxis, measured, "outputs J")
    score_axis(axes)
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study codebook, take the balanced rows of every arm, draw, save."""
    columns = source.columns("codebook")
    rows = {arm: main_rows(columns, arm) for arm in ("bayes", *NETWORK_ARMS)}
    points = {arm: summarise(part, CELL) for arm, part in rows.items() if len(part["arm"])}
    if not points:
        raise MissingRows(f"figure {NAME} must have finished rows with D = 64, gD = 16 in codebook, got none")
    ratios = sorted({float(n) for p in points.values() for n in p.columns["inputs_per_output"]})
    ratios = [ratios[i] for i in np.unique(np.linspace(0, len(ratios) - 1, MOST_PANELS).round().astype(int))]
    first = next(iter(points.values())).columns
    task = (int(first["dimension"][0]), float(first["signal_power"][0]), float(first["noise"][0]) ** 2)
    with paper_style():
        canvas = make_canvas(DOUBLE, 2.8)
        panels = canvas.subplots(1, len(ratios), sharey=True, squeeze=False)[0]
        numbers = [row for axes, n in zip(panels, ratios, strict=True) for row in _draw_panel(axes, n, points, task)]
        panels[0].set_ylabel("accuracy")
        add_legend(canvas, [LIMITS[k] for k in ("learned", "known", "fano", "chance")] + [ARMS[a] for a in points], 3)
        caption = (
            "Accuracy against the number of outputs J on random codewords "
            f"(D = {task[0]}, gD = {task[1] * task[0]:g}), equal counts, one panel for each number of images a class. "
            "Lines: the exact accuracy of the best learner, the same with codewords known, Fano's bound with the "
            "information that n images a class leave, and chance. Diamonds: the best learner run on the networks' own "
            "images. Bars: 95% intervals over seeds, where they are wider than the marker."
        )
        alternative = (
            f"{len(ratios)} panels for I/J = {', '.join(f'{n:g}' for n in ratios)} of accuracy against the number of "
            "outputs on a logarithmic axis: lines for the Fano bound, the known-codeword ceiling, the exact learned "
            "ceiling and chance, all falling with J; points for the Bayes learner, which lie on its ceiling, and for "
            "the networks. The numbers are in the CSV file."
        )
        return save(canvas, numbers, out, NAME, caption, alternative)
