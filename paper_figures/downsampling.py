"""Figure `downsampling`: Dice against the grid that images were shrunk to, on the fine grid and natively."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import Columns
from experiments.studies.downsampling import FIXED, FULL, main_rows
from paper_figures.selection import Points, summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    DOUBLE,
    SHRUNK,
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

NAME = "downsampling"
SUMMARY = "Dice of networks trained on shrunken images, on the fine grid and natively, with oracles"
METRICS = {"dice": f"Dice at {FULL} x {FULL}", "native_dice": "Dice on the trained grid"}
ORACLES = ("oracle_block", "oracle_bilinear")
APART = 1.05  # curves stand side by side, so that their intervals can be seen


def _draw_panel(axes: Axes, rows: Columns, metric: str) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    fixed = rows["receptive_field"] == FIXED
    # where both receptive fields are one the network stands on both curves
    both = np.array([fixed[rows["trained_grid"] == grid].all() for grid in rows["trained_grid"]])
    curves = {"fixed": (fixed, 1.0)} if fixed.all() else {"fixed": (fixed, 1 / APART), "scaled": (~fixed | both, APART)}
    for name, (mask, beside) in curves.items():
        part = {column: values[mask] for column, values in rows.items()}
        if metric in part and np.isfinite(part[metric].astype(float)).any():
            points: Points = summarise(part, ("trained_grid", "receptive_field"), metric)
            draw_points(axes, points.columns["trained_grid"] * beside, points.mean, points.interval, SHRUNK[name])
            numbers += points.rows(["trained_grid", "receptive_field"], metric=metric, series=name)
    if metric == "dice":
        for oracle in ORACLES:
            best = summarise(rows, ("trained_grid",), oracle)
            order = np.argsort(best.columns["trained_grid"])
            draw_line(axes, best.columns["trained_grid"][order], best.mean[order], SHRUNK[oracle])
            numbers += best.rows(["trained_grid"], metric=metric, series=oracle)
    count_axis(axes.xaxis, rows["trained_grid"], "")
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study downsampling, take its main rows, draw, save."""
    rows = main_rows(source.columns("downsampling"))
    if not len(rows["seed"]):
        raise MissingRows(f"figure {NAME} must have finished rows in downsampling, got none")
    cells = sorted({(str(o), float(n)) for o, n in zip(rows["outline"], rows["noise"], strict=True)})
    numbers = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 4.0)
        panels = canvas.subplots(len(METRICS), len(cells), sharex=True, sharey="row", squeeze=False)
        for line, metric in zip(panels, METRICS, strict=True):
            for axes, (outline, noise) in zip(line, cells, strict=True):
                mask = (rows["outline"] == outline) & (rows["noise"] == noise)
                found = _draw_panel(axes, {name: column[mask] for name, column in rows.items()}, metric)
                numbers += [{"outline": outline, "noise": noise} | row for row in found]
            score_axis(line[0], METRICS[metric])
        for axes, (outline, noise) in zip(panels[0], cells, strict=True):
            axes.set_title(f"{outline}, noise {noise:g}")
        for axes in panels[-1]:
            axes.set_xlabel("trained grid")
        add_legend(canvas, list(SHRUNK.values()), 4)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Dice of networks against the side of the grid to which 64 x 64 images and maps were shrunk for training. Above: "
    "probabilities enlarged bilinearly to 64 x 64 and held against the true map; lines without markers are the best "
    "map that is constant on the blocks of the grid, and the true shares of the blocks enlarged as the network's are. "
    "Below: the same networks held against the shrunken map, over the images in which something is left of it; rings "
    "two pixels thick vanish on small grids. One receptive field is 7 pixels on every grid, the other, at noise 4, an "
    "equal part of the scene. Bars: 95% intervals over seeds."
)
ALTERNATIVE = (
    "Panels for scene and noise (columns), scored on the fine grid above and on the trained grid below, against the "
    "side of the trained grid on a logarithmic axis: two curves of networks, and two oracles above. The numbers are in "
    "the CSV file."
)
