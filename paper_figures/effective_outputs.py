"""Figure `effective_outputs`: pixel accuracy against the entropy of the label maps, at three nominal numbers."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import Columns, chosen, take, usual_variant
from experiments.studies.effective_outputs import ARCHITECTURES, NOISE, NOMINAL
from paper_figures.selection import summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    DOUBLE,
    LIMITS,
    NOMINALS,
    SINGLE,
    Drawing,
    add_legend,
    draw_line,
    draw_points,
    make_canvas,
    paper_style,
    save,
)

NAME = "effective_outputs"
SUMMARY = "pixel accuracy against H(Y) at three nominal numbers of label maps, beside the exact posterior"
APART = 0.12  # bits between the settings, so that their intervals can be seen


def _rows(columns: Columns, arm: str, nominal: dict[str, int], spread: bool = False) -> dict[str, Any]:
    mask = chosen(columns, arm=arm, noise=NOISE, inputs=512, spread=spread, **nominal)
    return take(columns, mask & usual_variant(columns))


def _draw_panel(axes: Axes, columns: Columns, arm: str) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    exact = _rows(columns, "bayes", NOMINAL["two labels"])
    if len(exact["arm"]):
        points = summarise(exact, ("bits",), "pixel_accuracy")
        draw_line(axes, points.columns["bits"], points.mean, LIMITS["posterior"])
        numbers += points.rows(["bits"], arm=arm, series="exact posterior")
    for place, (name, look) in enumerate(NOMINALS.items()):
        spread = name == "far apart"
        rows = _rows(columns, arm, NOMINAL["two labels" if spread else name], spread)
        if len(rows["arm"]):
            points = summarise(rows, ("bits",), "pixel_accuracy")
            draw_points(axes, points.columns["bits"] + APART * (place - 1.5), points.mean, points.interval, look)
            numbers += points.rows(["bits"], arm=arm, series=name)
    axes.set_xticks(np.unique(columns["bits"][np.isfinite(columns["bits"])]))
    axes.set_xlabel("H(Y), bits")
    axes.set_title(ARCHITECTURES[arm])
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study effective_outputs, take its main rows at the main noise, draw, save."""
    columns = source.columns("effective_outputs")
    arms = [arm for arm in ARCHITECTURES if len(_rows(columns, arm, NOMINAL["two labels"])["arm"])]
    if not arms:
        raise MissingRows(f"figure {NAME} must have finished rows of a network in effective_outputs, got none")
    with paper_style():
        canvas = make_canvas(DOUBLE if len(arms) > 1 else SINGLE, 2.6)
        panels = canvas.subplots(1, len(arms), sharey=True, squeeze=False)[0]
        numbers = [row for axes, arm in zip(panels, arms, strict=True) for row in _draw_panel(axes, columns, arm)]
        panels[0].set_ylabel("pixel accuracy, interior")
        drawn = {row["series"] for row in numbers}
        looks = {"exact posterior": LIMITS["posterior"], **NOMINALS}
        add_legend(canvas, [look for name, look in looks.items() if name in drawn], 3 if len(arms) > 1 else 1)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Pixel accuracy of the interior against the entropy of the label maps that occur, 2 to the 2, 6 or 10 maps of one "
    "disc, at three nominal numbers of label maps: two labels on 256 pixels, log2 J = 256; 30 labels more that never "
    "occur, 1,280; a frame of 320 outputs that are always background, 576. Crosses: two labels, with maps that lie as "
    "far apart as can be. If J set the accuracy, the markers would lie apart and the curves be level. Black: the exact "
    "posterior, told the dictionary. I = 512; bars: 95% intervals over seeds."
)
ALTERNATIVE = (
    "Panels for three networks of pixel accuracy against the entropy of the label maps in bits: one curve with its own "
    "marker for each nominal number of label maps, one for maps far apart, and a black line for the exact posterior, "
    "which falls slowly. The numbers are in the CSV file."
)
