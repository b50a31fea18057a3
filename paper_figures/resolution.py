"""Figure `resolution`: pixel accuracy against the number of pixels, one column a law, each scene family in a row."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import Columns
from experiments.studies.resolution import ARCHITECTURES, law_rows
from experiments.studies.scene_laws import LAWS
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
)

Law: TypeAlias = tuple[str, str]
NAME = "resolution"
SUMMARY = "pixel accuracy against the number of pixels, by scene law and evidence law, beside the exact posterior"
FAMILIES = {"chain": "chains", "ising": "Ising strips", "discs": "discs"}
TITLES = {
    ("refine", "pixel"): "one scene, finer",
    ("refine", "total"): "one scene, finer;\nsame evidence in all",
    ("extend", "pixel"): "more scene",
    ("extend", "total"): "more scene;\nsame evidence in all",
}


def _draw_panel(axes: Axes, found: dict[str, Columns], where: dict[str, str]) -> list[dict[str, Any]]:
    """The arms of one family under one law, and the exact posterior of the tasks they share."""
    numbers: list[dict[str, Any]] = []
    rows = next(iter(found.values()))
    pixels = np.unique(rows["pixels"])
    exact = np.array([np.nanmean(rows["exact"][rows["pixels"] == n]) for n in pixels])
    if np.isfinite(exact).any():
        draw_line(axes, pixels, exact, LIMITS["posterior"])
        numbers += [{**where, "series": "exact", "pixels": n, "mean": e} for n, e in zip(pixels, exact, strict=True)]
    for arm, part in found.items():
        points = summarise(part, ("pixels",), "pixel_accuracy")
        draw_points(axes, points.columns["pixels"], points.mean, points.interval, ARMS[arm])
        numbers += points.rows(["pixels"], **where, series=arm)
    count_axis(axes.xaxis, pixels, "")
    return numbers


def _lines(places: Iterable[tuple[str, Law]]) -> list[dict[Law, str]]:
    """Which family a line of panels shows under each law; families without a common law share a line.

    Args:
        places: (family, law) of every panel.
    """
    lines: list[dict[Law, str]] = []
    for family in FAMILIES:
        own = {law: family for name, law in places if name == family}
        free = next((line for line in lines if not line.keys() & own.keys()), None)
        if free is not None:
            free.update(own)
        elif own:
            lines.append(own)
    return lines


def draw(source: Source, out: Path) -> Drawing:
    """Load study resolution, take the rows of two labels at its largest I, draw, save."""
    columns = source.columns("resolution")
    found: dict[tuple[str, Law], dict[str, Columns]] = {}
    for law in LAWS:
        for arm in ARCHITECTURES:
            rows = law_rows(columns, arm, *law)
            for family in sorted(set(rows["family"].tolist())):
                here = rows["family"] == family
                here &= rows["inputs"] == rows["inputs"][here].max()
                if len(np.unique(rows["pixels"][here])) < 2:  # the base size alone, which belongs to every law
                    continue
                part = {name: column[here] for name, column in rows.items()}
                found.setdefault((family, law), {})[arm] = part
    if not found:
        raise MissingRows(f"figure {NAME} must have finished rows of two sizes with L = 2 in resolution, got none")
    lines = _lines(found.keys())
    numbers: list[dict[str, Any]] = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 1.0 + 1.5 * len(lines))
        panels = canvas.subplots(len(lines), len(LAWS), squeeze=False)
        for row, line in zip(panels, lines, strict=True):
            first: dict[str, Axes] = {}
            for axes, law in zip(row, LAWS, strict=True):
                if law not in line:
                    axes.set_axis_off()
                    continue
                family = line[law]
                if family in first:
                    axes.sharey(first[family])
                    axes.tick_params(labelleft=False)
                else:
                    first[family] = axes
                    axes.set_ylabel(f"pixel accuracy,\n{FAMILIES[family]}")
                where = {"family": family, "scene": law[0], "evidence": law[1]}
                numbers += _draw_panel(axes, found[family, law], where)
        for axes, law in zip(panels[0], LAWS, strict=True):
            axes.set_title(TITLES[law])
            axes.title.set_visible(True)
        for column in panels.T:
            shown_axes = [axes for axes in column if axes.axison]
            for axes in shown_axes[-1:]:
                axes.set_xlabel("pixels n")
        shown = [arm for arm in ARCHITECTURES if any(arm in part for part in found.values())]
        add_legend(canvas, [LIMITS["posterior"]] + [ARMS[arm] for arm in shown], 3)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Pixel accuracy against the number of pixels, two labels, the most training images of the study. Columns: the same "
    "scene on a finer grid, or a larger scene with pixels of the same size; noise fixed per pixel, or its variance "
    "grown with the number of pixels, so that an image holds the same evidence in total. Scenes: four chains, Ising "
    "strips of four rows, discs. Black: the exact posterior, told the law of the scenes. If the number of pixels set "
    "the accuracy, all panels would fall alike. Bars: 95% intervals over seeds."
)
ALTERNATIVE = (
    "A grid of panels, one column for each scene and evidence law, scene families one below another, of pixel accuracy "
    "against the number of pixels on a logarithmic axis: a black line for the exact posterior and points for networks "
    "with shared weights and receptive fields of 1 and 7 pixels, a U-Net, and a network without shared weights. The "
    "numbers are in the CSV file."
)
