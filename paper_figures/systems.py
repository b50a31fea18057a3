"""Figure `systems`: who wins each row of Table 2 over training images and noise, alike and on shifted phantoms."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import Columns
from experiments.studies.systems import MARGIN, ROWS, Row, difference, sizes_of
from paper_figures.source import MissingRows, Source
from paper_figures.style import DOUBLE, Drawing, Look, add_legend, draw_points, make_canvas, paper_style, save
from paper_figures.table2 import NAMES

NAME = "systems"
SUMMARY = "Table 2 on phantoms: non-deep less deep over training images and noise"
LOOKS = {
    (1.0, False): Look("reference noise", "#0072B2", "o", ""),
    (2.0, False): Look("twice the noise", "#D55E00", "v", ""),
    (1.0, True): Look("shifted phantoms", "#009E73", "s", "", False),
    (4.0, False): Look("four times the training steps", "#7B4FA3", "X", ""),
}
ACROSS = 4  # panels in a line
LONG = 4.0  # the key of the arm with more steps, which is no noise


def _estimate(columns: Columns, row: Row, deep: str, inputs: int, key: tuple[float, bool]) -> Any:
    seen = row._replace(metric=f"shifted_{row.metric}") if key[1] else row
    if key[0] == LONG:
        return difference(columns, seen, deep, inputs, effort=LONG)
    return difference(columns, seen, deep, inputs, noise=key[0])


def _draw_panel(axes: Axes, columns: Columns, row: Row, deep: str, sizes: list[int]) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    for place, (key, look) in enumerate(LOOKS.items()):
        for step, inputs in enumerate(sizes):
            found = _estimate(columns, row, deep, inputs, key)
            if found is None:
                continue
            beside = step + 0.16 * (place - 1.5)
            draw_points(axes, [beside], [found.effect], np.array([[found.low, found.high]]), look, joined=False)
            numbers.append({"row": row.name, "non_deep": row.other, "deep": deep, "inputs": inputs,
                            "series": look.label, "mean": found.effect, "low": found.low, "high": found.high,
                            "trials": found.trials})  # fmt: skip
    axes.axhspan(-MARGIN, MARGIN, color="#DDDDDD", linewidth=0)
    axes.axhline(0, color="#777777", linewidth=0.6)
    axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_xlabel("training images")
    axes.set_title(f"{row.name}: {NAMES[row.other]} − {NAMES[deep]}")
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study systems, take each comparison of Table 2, draw, save."""
    columns = source.columns("systems")
    sizes = sizes_of(columns)
    pairs = [(row, deep) for row in ROWS for deep in row.deep
             if any(difference(columns, row, deep, size) is not None for size in sizes)]  # fmt: skip
    if not pairs:
        raise MissingRows(f"figure {NAME} must have finished rows of both sides of a row of Table 2, got none")
    numbers: list[dict[str, Any]] = []
    with paper_style():
        lines = -(-len(pairs) // ACROSS)
        canvas = make_canvas(DOUBLE, 0.5 + 1.9 * lines)
        panels = canvas.subplots(lines, min(len(pairs), ACROSS), squeeze=False)
        for axes in panels.ravel()[len(pairs) :]:
            axes.set_axis_off()
        for axes, (row, deep) in zip(panels.ravel(), pairs, strict=False):
            numbers += _draw_panel(axes, columns, row, deep, sizes)
        for line in panels:
            line[0].set_ylabel("non-deep less deep")
        shown = {number["series"] for number in numbers}
        add_legend(canvas, [look for look in LOOKS.values() if look.label in shown], 4)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Each comparison of Table 2 on the same phantoms: metric of the non-deep system less that of the deep one (Dice, "
    "1 - VOE/100, or score/100), with 95% intervals over seeds. Above 0 the non-deep system is better; the grey band "
    "is what the rule calls equal. Shifted phantoms differ from the training images in contrast, blur and family of "
    "shapes. The scale is each panel's own."
)
ALTERNATIVE = (
    "A row of panels, one for each comparison of a non-deep with a deep system, against the number of training images. "
    "Points with intervals for reference noise, twice the noise, shifted phantoms and four times the training steps; a "
    "grey band around zero marks equality. The numbers are in the CSV file."
)
