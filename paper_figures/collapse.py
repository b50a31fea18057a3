"""Figure `collapse`: the same accuracies against I/J, against the best I/J^gamma, and against the theorem's z."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.codebook import MAIN_ARM, efficiency, kappa_fit, main_rows, z_values
from experiments.studies.common import Columns
from paper_figures.selection import need_arm, summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    ARMS,
    DOUBLE,
    Drawing,
    Look,
    add_legend,
    draw_points,
    ladder,
    make_canvas,
    paper_style,
    ratio_axis,
    save,
    score_axis,
)
from sim.analysis.collapse import collapse, output_scaling
from sim.analysis.curves import rescale
from sim.analysis.master_curve import MasterResiduals, master_curve_residuals
from sim.types import FloatArray

NAME = "collapse"
SUMMARY = "do the curves of all J fall on one another? against I/J, I/J^gamma and the theorem's z"
LEAST_CELLS = 6  # fewer cannot tell a collapse from a fit through every point
CELL = ("inputs", "outputs", "chance", "z")


class _Panel(NamedTuple):
    arm: str
    title: str  # of the axis
    variable: str  # in the file of numbers
    x: FloatArray  # as fitted
    logarithmic: bool


class _Arm(NamedTuple):
    points: Any
    response: FloatArray
    interval: FloatArray
    panels: tuple[_Panel, ...]


def _scale_arm(rows: Columns, arm: str) -> _Arm:
    """The three variables of one arm's cells; the Bayes learner's efficiency is 1 by definition."""
    kappa = 1.0 if arm == "bayes" else efficiency(kappa_fit(rows))[0]
    points = summarise({**rows, "z": z_values(rows, kappa)}, CELL)
    columns = {name: np.asarray(values, dtype=float) for name, values in points.columns.items()}
    names = ("inputs", "outputs", "log2_outputs", "chance")
    found = collapse({n: rows[n] for n in names}, rows["test_accuracy"], output_scaling, {"gamma": (-1.0, 5.0)})
    gamma = found.parameters["gamma"]
    low, high = found.intervals["gamma"]
    inputs, outputs = np.log(columns["inputs"]), np.log(columns["outputs"])
    interval = np.stack([rescale(points.interval[:, i], columns["chance"]) for i in (0, 1)], axis=1)
    panels = (
        _Panel(arm, "I / J", "I/J", inputs - outputs, True),
        _Panel(
            arm, f"I / J$^γ$,  γ = {gamma:.2f} [{low:.2f}, {high:.2f}]", "I/J^gamma", inputs - gamma * outputs, True
        ),
        _Panel(arm, "z" if arm == "bayes" else f"z at κ = {kappa:.2f}", "z", columns["z"], False),
    )
    return _Arm(points, rescale(points.mean, columns["chance"]), interval, panels)


def _draw_panel(axes: Axes, panel: _Panel, arm: _Arm, looks: dict[float, Look]) -> list[dict[str, Any]]:
    fit: MasterResiduals = master_curve_residuals(panel.x, arm.response)
    grid = np.linspace(panel.x.min(), panel.x.max(), 200)
    shown = np.exp if panel.logarithmic else np.asarray
    axes.plot(shown(grid), fit.curve(grid), color="#BBBBBB", linewidth=2.5, zorder=1)
    for outputs, look in looks.items():
        mask = arm.points.columns["outputs"] == outputs
        draw_points(axes, shown(panel.x)[mask], arm.response[mask], arm.interval[mask], look)
    if panel.logarithmic:
        ratio_axis(axes.xaxis, np.exp(panel.x), panel.title)
    else:
        axes.set_xlabel(panel.title)
    score_axis(axes)
    text = f"residual: rms {fit.rms:.3f}\nlargest {fit.largest:.3f}"
    axes.text(0.03, 0.98, text, transform=axes.transAxes, ha="left", va="top", fontsize=6.5)
    return [
        {"arm": panel.arm, "variable": panel.variable, "outputs": arm.points.columns["outputs"][i],
         "inputs": arm.points.columns["inputs"][i], "x": float(shown(panel.x)[i]), "mean": arm.response[i],
         "low": arm.interval[i, 0], "high": arm.interval[i, 1], "residual": fit.residuals[i]}
        for i in range(len(arm.response))
    ]  # fmt: skip


def draw(source: Source, out: Path) -> Drawing:
    """Load study codebook, take the Bayes learner's and the regularised network's balanced rows, scale, draw, save."""
    columns = source.columns("codebook")
    rows = {arm: main_rows(columns, arm) for arm in ("bayes", MAIN_ARM)}
    need_arm(rows[MAIN_ARM], NAME, "codebook", MAIN_ARM)
    counts = {arm: len(set(zip(part["inputs"], part["outputs"], strict=True))) for arm, part in rows.items()}
    if counts[MAIN_ARM] < LEAST_CELLS or len(np.unique(rows[MAIN_ARM]["outputs"])) < 2:
        raise MissingRows(f"figure {NAME} must have {LEAST_CELLS} cells of {MAIN_ARM} with 2 values of outputs or more "
                          f"in codebook, got {counts[MAIN_ARM]} cells")  # fmt: skip
    arms = {arm: _scale_arm(part, arm) for arm, part in rows.items() if counts[arm] >= LEAST_CELLS}
    looks = ladder([float(j) for arm in arms.values() for j in arm.points.columns["outputs"]], "J")
    numbers = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 0.5 + 1.85 * len(arms))
        panels = canvas.subplots(len(arms), 3, sharey=True, squeeze=False)
        for row, (name, arm) in zip(panels, arms.items(), strict=True):
            for axes, panel in zip(row, arm.panels, strict=True):
                numbers += _draw_panel(axes, panel, arm, looks)
            row[0].set_title(ARMS[name].label, loc="left")
            row[0].set_ylabel("(A − 1/J) / (1 − 1/J)")
        add_legend(canvas, list(looks.values()), len(looks))
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Chance-corrected accuracy on random codewords against three candidate variables: the ratio I/J, the best power "
    "I/J^γ (γ with its 95% interval), and the theorem's z, which for the network is taken at its fitted efficiency κ. "
    "If accuracy depends on a variable alone, the curves of all J fall on one: the grey line is the best single rising "
    "curve, and its residuals stand in the panel. Bars: 95% intervals over seeds."
)
ALTERNATIVE = (
    "Rows: the exact Bayes learner, if the records hold it, and the regularised network. Columns: chance-corrected "
    "accuracy against I/J, against I/J to a fitted power of J, and against the theorem's z. One coloured curve with "
    "its own marker for each number of outputs J, over one grey master curve; the root mean square and the largest "
    "residual about it are printed in each panel and listed in the CSV file."
)
