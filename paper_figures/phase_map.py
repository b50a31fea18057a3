"""Figure `phase_map`: accuracy over inputs and outputs, with the theorem's threshold drawn over it."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D

from experiments.studies.codebook import MAIN_ARM, efficiency, kappa_fit, main_rows
from paper_figures.selection import Points, need_arm, summarise
from paper_figures.source import Source
from paper_figures.style import GREY_SCALE, SINGLE, Drawing, LineStyle, count_axis, make_canvas, paper_style, save
from sim.theory.capacity import log_half_accuracy_classes
from sim.types import FloatArray

NAME = "phase_map"
SUMMARY = "accuracy of the regularised network over I and J, with the theorem's line of accuracy one half"
CELL = ("inputs", "outputs", "dimension", "signal_power", "noise")


def _edges(values: FloatArray) -> dict[float, tuple[float, float]]:
    """The interval that each value stands for on a logarithmic axis: half-way to its neighbours."""
    ordered = np.unique(values)
    logs = np.log(ordered)
    gaps = np.diff(logs) if len(logs) > 1 else np.array([np.log(4.0)])
    inner = logs[:-1] + np.diff(logs) / 2
    edges = np.exp(np.concatenate([[logs[0] - gaps[0] / 2], inner, [logs[-1] + gaps[-1] / 2]]))
    return {float(v): (float(a), float(b)) for v, a, b in zip(ordered, edges[:-1], edges[1:], strict=True)}


def _cells(points: Points) -> list[list[tuple[float, float]]]:
    """A parallelogram a cell: J between its edges, I between the edges of n times that J."""
    outputs = points.columns["outputs"].astype(float)
    ratio = points.columns["inputs"].astype(float) / outputs
    j_edges, n_edges = _edges(outputs), _edges(ratio)
    corners = []
    for j, n in zip(outputs, ratio, strict=True):
        (j0, j1), (n0, n1) = j_edges[float(j)], n_edges[float(n)]
        corners.append([(n0 * j0, j0), (n1 * j0, j0), (n1 * j1, j1), (n0 * j1, j1)])
    return corners


def _threshold(points: Points) -> tuple[FloatArray, FloatArray]:
    """(I, J) at which the theorem's accuracy is one half."""
    task = [float(points.columns[name][0]) for name in ("dimension", "signal_power", "noise")]
    ratio = points.columns["inputs"].astype(float) / points.columns["outputs"].astype(float)
    grid = np.geomspace(ratio.min() / 8, ratio.max() * 8, 25)
    logs = [log_half_accuracy_classes(int(task[0]), task[1], task[2] ** 2, float(n)) for n in grid]
    outputs = np.exp(np.array(logs))
    return grid * outputs, outputs


def draw(source: Source, out: Path) -> Drawing:
    """Load study codebook, take the regularised network's balanced rows, draw, save."""
    rows = main_rows(source.columns("codebook"), MAIN_ARM)
    need_arm(rows, NAME, "codebook", MAIN_ARM)
    points = summarise(rows, CELL)
    kappa, low, high = efficiency(kappa_fit(rows))
    inputs, outputs = _threshold(points)
    lines: dict[str, tuple[FloatArray, LineStyle]] = {
        "theorem, A = 1/2": (inputs, "-"),
        f"at efficiency κ = {kappa:.2f}": (inputs / kappa, "--"),  # I images then do the work of kappa I
    }
    numbers: list[dict[str, Any]] = points.rows(["inputs", "outputs"], series=MAIN_ARM)
    for label, (shifted, _) in lines.items():
        numbers += [
            {"series": label, "inputs": i, "outputs": j, "mean": 0.5} for i, j in zip(shifted, outputs, strict=True)
        ]
    with paper_style():
        canvas = make_canvas(SINGLE, 3.1)
        axes = canvas.subplots()
        corners = _cells(points)
        cells = PolyCollection(corners, array=points.mean, cmap=GREY_SCALE, edgecolors="white", linewidths=0.6)
        cells.set_clim(0, 1)
        axes.add_collection(cells)
        everything = np.concatenate([np.array(c) for c in corners])
        count_axis(axes.xaxis, 4.0 ** np.arange(12), "inputs I", everything[:, 0])
        count_axis(axes.yaxis, points.columns["outputs"], "outputs J", everything[:, 1])
        for i, j, value in zip(points.columns["inputs"], points.columns["outputs"], points.mean, strict=True):
            behind = patheffects.withStroke(linewidth=4.5, foreground=cells.to_rgba(value))
            axes.text(i, j, f"{value:.2f}".lstrip("0"), color="white" if value < 0.5 else "black", ha="center",
                      va="center", fontsize=6.5, zorder=4, path_effects=[behind])  # fmt: skip
        around = [patheffects.withStroke(linewidth=3.2, foreground="white")]
        for shifted, line in lines.values():
            axes.plot(shifted, outputs, color="black", linestyle=line, linewidth=1.5, path_effects=around)
        handles = [Line2D([], [], color="black", linestyle=line, linewidth=1.5, label=label)
                   for label, (_, line) in lines.items()]  # fmt: skip
        canvas.legend(handles=handles, loc="outside upper center", ncols=2)
        bar = canvas.colorbar(cells, ax=axes, label="accuracy, regularised network", ticks=[0, 0.25, 0.5, 0.75, 1])
        bar.outline.set_linewidth(mpl.rcParams["axes.linewidth"])
        caption = (
            "Accuracy of the regularised network over inputs I and outputs J on random codewords; a cell stands for "
            "one (I/J, J), with its mean over seeds printed in it. Lines: where the exact theorem puts accuracy "
            f"one half (full), and the same for a learner that makes use of a share κ = {kappa:.2f} "
            f"[{low:.2f}, {high:.2f}] of its images (dashed; fitted to these cells)."
        )
        alternative = (
            "A map with inputs I across and outputs J upwards, both logarithmic. Cells are slanted boxes shaded by "
            f"accuracy, from {points.mean.min():.2f} at the upper left to {points.mean.max():.2f} at the lower right. "
            "Two rising lines mark where the theorem's accuracy is one half, at full efficiency and at the fitted one; "
            "the second lies further to the right if the efficiency is below one."
        )
        return save(canvas, numbers, out, NAME, caption, alternative)
