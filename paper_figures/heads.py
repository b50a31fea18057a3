"""Figure `heads`: identical images and J, answered through different heads, with the limits of what a head can know."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import Columns
from experiments.studies.heads import HEADS, RATIOS, RELABELLED, main_rows
from paper_figures.selection import Points, summarise
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
)

NAME = "heads"
SUMMARY = "exact match and rho of different heads on identical images, at I/J = 1 and 4"
TRAINED = (*HEADS, RELABELLED)
SHOWN = (*TRAINED, "bayes", "class_mean")
APART = 1.035  # arms stand side by side, so that their intervals can be seen
METRICS = {"exact_match": "exact match", "rho": "rho"}
CEILINGS = {"known": "bayes_known", "composed": "bayes_composed", "class_mean": "bayes_learned"}
CELL = ("outputs", "inputs", "chance", *CEILINGS.values())


def _ceilings(rows: Columns, metric: str) -> dict[str, tuple[Any, Any]]:
    """Each limit over J, on the scale of the metric; a limit that is not known stays out."""
    outputs, first = np.unique(rows["outputs"], return_index=True)
    chance, known = rows["chance"][first], rows["bayes_known"][first]
    found = {}
    for name, column in [*CEILINGS.items(), ("chance", "chance")]:
        values = rows[column][first]
        if metric == "rho":
            values = (values - chance) / (known - chance)
        if np.isfinite(values).any():
            found[name] = (outputs[np.isfinite(values)], values[np.isfinite(values)])
    return found


def _draw_panel(axes: Axes, rows: Columns, ratio: float, metric: str) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    for name, (outputs, values) in _ceilings(rows, metric).items():
        draw_line(axes, outputs, values, LIMITS[name])
        numbers += [{"inputs_per_output": ratio, "metric": metric, "series": name, "outputs": j, "mean": value}
                    for j, value in zip(outputs, values, strict=True)]  # fmt: skip
    for place, arm in enumerate(SHOWN):
        part = {name: column[rows["arm"] == arm] for name, column in rows.items()}
        if np.isfinite(part[metric].astype(float)).any():
            points: Points = summarise(part, CELL, metric)
            beside = points.columns["outputs"] * APART ** (place - len(SHOWN) / 2)
            draw_points(axes, beside, points.mean, points.interval, ARMS[arm])
            numbers += points.rows(["outputs", "inputs"], inputs_per_output=ratio, metric=metric, series=arm)
    count_axis(axes.xaxis, rows["outputs"], "")
    return numbers


def _ratios(ratio: Any, outputs: Any) -> list[float]:
    """The decisive I/J that the records hold, or else the two with the most values of J."""
    decisive = [r for r in RATIOS if np.isclose(ratio, r).any()]
    if decisive:
        return decisive
    found = sorted(set(ratio.tolist()), key=lambda r: (-len(set(outputs[np.isclose(ratio, r)].tolist())), r))
    return sorted(found[:2])


def draw(source: Source, out: Path) -> Drawing:
    """Load study heads, take its main rows at the decisive I/J, draw, save."""
    rows = main_rows(source.columns("heads"))
    if not np.isin(rows["arm"], TRAINED).any():
        raise MissingRows(f"figure {NAME} must have finished rows of a trained arm with L = 4 in heads, got none")
    ratio = rows["inputs"].astype(float) / rows["outputs"]
    ratios = _ratios(ratio, rows["outputs"])
    numbers = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 4.1)
        panels = canvas.subplots(2, len(ratios), sharex="col", sharey="row", squeeze=False)
        for row, metric in zip(panels, METRICS, strict=True):
            for axes, r in zip(row, ratios, strict=True):
                here = {name: column[np.isclose(ratio, r)] for name, column in rows.items()}
                numbers += _draw_panel(axes, here, r, metric)
            row[0].set_ylabel(METRICS[metric])
            highs = [number["high"] for number in numbers if number["metric"] == metric and "high" in number]
            row[0].set_ylim(-0.04, max(1.06, float(np.nanmax([*highs, 0.0])) + 0.03))  # rho may pass 1
        for axes, r in zip(panels[0], ratios, strict=True):
            axes.set_title(f"I/J = {r:g}")
        for axes in panels[-1]:
            axes.set_xlabel("label maps J = 4$^m$")
        shown = [arm for arm in SHOWN if arm in rows["arm"]]
        looks = [LIMITS[name] for name in (*CEILINGS, "chance")] + [ARMS[arm] for arm in shown]
        looks = [look._replace(label="composition known, same images") if look is ARMS["bayes"] else look
                 for look in looks]  # fmt: skip
        add_legend(canvas, looks, 3)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Identical images of m tiles with four labels each, J = 4^m label maps, answered through different heads. Above: "
    "exact match of the whole map; below: the same on the scale rho, where chance is 0 and known codewords are 1, with "
    "one denominator for all heads. Lines without markers: what the best learner reaches with codewords known and "
    "with the composition known, and the class means of whole images, which bind no network. If J alone set the "
    "accuracy, all heads would lie on one curve. Bars: 95% intervals over seeds, each arm for itself; rho passes 1 "
    "where the codewords drawn were easier than the average that the ceilings are."
)
ALTERNATIVE = (
    "Panels for different I/J, exact match above and rho below, against the number of label maps J on a logarithmic "
    "axis. One curve with its own marker for each head: one output a map, one output a tile, shared weights, and one "
    "output a tile after a random renaming of the maps; lines without markers are the exact ceilings and chance. The "
    "numbers are in the CSV file."
)
