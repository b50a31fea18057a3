"""Figure `survey_curve`: accuracy against log2 J = M N log2 L, pixel accuracy above and exact match below."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import Columns, take
from experiments.studies.grid import ARCHITECTURES, main_rows
from paper_figures.selection import summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    ARMS,
    DOUBLE,
    LIMITS,
    MARGIN,
    SINGLE,
    Drawing,
    Look,
    add_legend,
    count_axis,
    draw_line,
    draw_points,
    make_canvas,
    paper_style,
    save,
    score_axis,
)

NAME = "survey_curve"
SUMMARY = "the survey's own curve: pixel accuracy and exact match against log2 J = M N log2 L"
METRICS = {  # metric -> name on the axis, column of the ceiling, column of chance
    "pixel_accuracy": ("pixel accuracy", "pixel_bayes_known", "pixel_chance"),
    "exact_match": ("exact match", "bayes_known", "chance"),
}
FIELDS = {"independent": "independent pixels", "chain": "chains along rows", "ising": "Ising field"}
LABELS = 2


def _limit(rows: Columns, column: str) -> tuple[Any, Any]:
    """A limit over log2 J; grids where it is not known exactly are left out."""
    known = np.isfinite(rows[column].astype(float))
    bits, first = np.unique(rows["log2_outputs"][known], return_index=True)
    return bits, rows[column][known][first]


def _shades(inputs: list[float]) -> dict[float, dict[str, Any]]:
    """Few images: hollow markers and thin lines; many images: full ones."""
    return {inputs[0]: {"filled": len(inputs) == 1}, inputs[-1]: {"filled": True}}


def _draw_panel(axes: Axes, rows: Columns, field: str, metric: str, inputs: list[float]) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    for limit, column in zip(("posterior", "chance"), METRICS[metric][1:], strict=True):
        bits, values = _limit(rows, column)
        if len(bits):
            draw_line(axes, bits, values, LIMITS[limit])
        numbers += [{"field": field, "metric": metric, "series": limit, "log2_outputs": x, "mean": value}
                    for x, value in zip(bits, values, strict=True)]  # fmt: skip
    for arm in ARCHITECTURES:
        for images, change in _shades(inputs).items():
            mask = (rows["arm"] == arm) & (rows["inputs"] == images)
            if mask.any():
                points = summarise(take(rows, mask), ["log2_outputs"], metric)
                look = ARMS[arm]._replace(**change)
                draw_points(axes, points.columns["log2_outputs"], points.mean, points.interval, look)
                numbers += points.rows(["log2_outputs"], field=field, metric=metric, series=arm, inputs=images)
    bits = rows["log2_outputs"].astype(float)
    count_axis(axes.xaxis, 4.0 ** np.arange(8), "", (bits.min() / MARGIN, bits.max() * MARGIN))
    score_axis(axes)
    if metric == "pixel_accuracy":
        axes.set_ylim(0.45, 1.02)  # chance is one half with two labels
        axes.set_yticks([0.5, 0.75, 1], [".5", ".75", "1"])
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study grid, take two labels and the smallest and largest I that every network has, draw, save."""
    columns = source.columns("grid")
    rows = main_rows(columns, labels=LABELS)
    trained = [arm for arm in ARCHITECTURES if arm in rows["arm"]]
    if not trained:
        raise MissingRows(f"figure {NAME} must have finished rows of a trained arm with L = 2 in grid, got none")
    common = set.intersection(*(set(rows["inputs"][rows["arm"] == arm].tolist()) for arm in trained))
    every = sorted(common or set(rows["inputs"][np.isin(rows["arm"], trained)].tolist()))
    inputs = list(dict.fromkeys([every[0], every[-1]]))
    fields = [field for field in FIELDS if field in rows["field"]]
    numbers = []
    with paper_style():
        canvas = make_canvas(DOUBLE if len(fields) > 1 else SINGLE, 4.2)
        panels = canvas.subplots(2, len(fields), sharex="col", sharey="row", squeeze=False)
        for row, metric in zip(panels, METRICS, strict=True):
            for axes, field in zip(row, fields, strict=True):
                here = take(rows, rows["field"] == field)
                numbers += _draw_panel(axes, here, field, metric, inputs)
            row[0].set_ylabel(METRICS[metric][0])
        for axes, field in zip(panels[0], fields, strict=True):
            axes.set_title(FIELDS[field])
        for axes in panels[-1]:
            axes.set_xlabel("log$_2$ J = M N log$_2$ L")
        looks = [LIMITS["posterior"], LIMITS["chance"], *(ARMS[arm] for arm in trained)]
        if len(inputs) == 2:
            looks += [Look(f"hollow: I = {inputs[0]:g}", "#444444", "o", "", False),
                      Look(f"full: I = {inputs[1]:g}", "#444444", "o", "")]  # fmt: skip
        add_legend(canvas, looks, 3 if len(fields) > 1 else 1)
        sizes = " and ".join(f"{i:g}" for i in inputs)
        caption = (
            "The survey's own curve: accuracy against log2 J = M N log2 L, the size of the image in pixels for two "
            f"labels, at fixed evidence a pixel and I = {sizes} images. Above: share of pixels right. Below: share of "
            "images with every pixel right. Columns: laws of the label field. Black: the exact posterior, with the law "
            "known; for exact match its most probable whole map (not known exactly for Ising grids wider than 6). "
            "Bars: 95% intervals over seeds."
        )
        alternative = (
            "Pixel accuracy above and exact match below, against log2 J on a logarithmic axis, for "
            f"{', '.join(FIELDS[field] for field in fields)}. One curve with its own marker for each architecture, the "
            "exact posterior as a full black line and chance dotted. Exact match of the exact posterior falls towards "
            "zero as the image grows, because every pixel must be right; its pixel accuracy does not. The numbers are "
            "in the CSV file."
        )
        return save(canvas, numbers, out, NAME, caption, alternative)
