"""Figure `edge_map`: the cost of a wrong start at a fixed edge map, and of a wrong edge map from the true start."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import Columns
from experiments.studies.edge_map import APART, FAILS, GLOBAL, HOLDS, LOCAL, losses, swap_effect
from paper_figures.selection import LEVEL
from paper_figures.source import MissingRows, Source
from paper_figures.style import DOUBLE, Drawing, Look, add_legend, draw_points, make_canvas, paper_style, save
from sim.analysis.compare import paired_t

NAME = "edge_map"
SUMMARY = "loss of Dice against the error of the start, by method, and the effect of swapping edge maps"
LOOKS = {
    "polar": Look("dynamic programming", "#0072B2", "o"),
    "convex": Look("convex max-flow", "#56B4E9", "s", "--"),
    "geodesic": Look("geodesic active contour", "#D55E00", "v", "-."),
    "snake": Look("snake", "#CC79A7", "<", ":"),
    "local_fit": Look("local binary fitting", "#A66F00", "X", "--"),
    "chan_vese": Look("Chan-Vese", "#777777", "D", "--", False),
    "shape_start": Look("[18]: shape as start", "#009E73", "^", "-", False),
    "shape_prior": Look("[18]: shape as prior", "#7B4FA3", "P", ":", False),
    "shape_both": Look("[18]: shape as both", "#8A7A3B", "*", "-.", False),
}
PANELS = {"global and local methods": (*GLOBAL, *LOCAL), "apart: Chan-Vese and the arms of [18]": tuple(APART)}
APART_BY = 0.004  # methods stand side by side, so that their intervals can be seen


def _interval(values: Any) -> tuple[float, float]:
    if len(values) < 2:
        return np.nan, np.nan
    found = paired_t(values, level=LEVEL)
    return found.low, found.high


def _draw_losses(axes: Axes, columns: Columns, names: tuple[str, ...]) -> list[dict[str, Any]]:
    numbers = []
    for place, name in enumerate(names):
        errors, means, intervals = [], [], []
        for error in sorted(set(columns["start_error"].astype(float)) - {0.0}):
            found = losses(columns, name, error)
            if len(found):
                errors.append(error)
                means.append(float(found.mean()))
                intervals.append(_interval(found))
        if errors:
            beside = np.array(errors) + APART_BY * (place - len(names) / 2)
            draw_points(axes, beside, means, np.array(intervals), LOOKS[name])
        numbers += [
            {"panel": "loss", "method": name, "start_error": e, "mean": m, "low": i[0], "high": i[1]}
            for e, m, i in zip(errors, means, intervals, strict=True)
        ]
    for bound in (HOLDS, FAILS):
        axes.axhline(bound, color="#999999", linewidth=0.6, linestyle=":", zorder=1)
    axes.set_xlabel("error of the start / radius")
    return numbers


def _draw_swaps(axes: Axes, columns: Columns) -> list[dict[str, Any]]:
    names = [name for name in (*GLOBAL, *LOCAL) if swap_effect(columns, name) is not None]
    numbers: list[dict[str, Any]] = []
    for place, name in enumerate(names):
        found = swap_effect(columns, name)
        assert found is not None
        effect, other = found
        draw_points(axes, [place], [effect.effect], np.array([[effect.low, effect.high]]), LOOKS[name], joined=False)
        numbers.append({"panel": "swap", "method": name, "mean": effect.effect, "low": effect.low, "high": effect.high,
                        "dice_other": other})  # fmt: skip
    axes.axhline(0, color="#999999", linewidth=0.6, zorder=1)
    axes.set_xticks([])
    axes.set_xlim(-0.6, max(len(names), 1) - 0.4)
    axes.set_title("edge map swapped")
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study edge_map, take its losses at edge strength 4, draw, save."""
    columns = source.columns("edge_map")
    numbers = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 2.9)
        panels = canvas.subplots(1, 3, sharey=True, width_ratios=(3, 3, 1.3))
        for axes, (title, names) in zip(panels, PANELS.items(), strict=False):
            numbers += _draw_losses(axes, columns, names)
            axes.set_title(title)
        if not numbers:
            raise MissingRows(f"figure {NAME} must have pairs of a true and a wrong start in edge_map, got none")
        numbers += _draw_swaps(panels[2], columns)
        panels[0].set_ylabel("loss of Dice")
        drawn = {str(number["method"]) for number in numbers}
        add_legend(canvas, [look for name, look in LOOKS.items() if name in drawn], 4)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Does a contour depend on its edge map or on its start? Left and middle: Dice from the true contour as start "
    "minus Dice from a start that is wrong by a share of the radius (displaced, too small and too large, a third "
    "each), on the same images and the same edge maps, with and without a touching neighbour. Dotted: .02, below "
    "which a method holds, and .05, above which it is refuted. Right: what the edge map of another image costs from "
    "the true start, on the same scale. Points of one error stand side by side. Bars: 95% intervals over seeds. "
    "Chan-Vese and the arms of [18] use no edge map."
)
ALTERNATIVE = (
    "Three panels on one scale, loss of Dice. Left and middle: against the error of the start, one curve with its own "
    "marker for each method. Right: one point a method for a swapped edge map. The numbers are in the CSV file."
)
