"""The sheet of phantoms and systems as one small picture; `capsim sheet` fits the systems and hands over answers."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from experiments.sheets import Shown
from paper_figures.style import make_canvas, paper_style
from sim.segmentation.scoring import as_points

COLUMNS = 8
DOTS = 110  # a small file
SIDE = 0.95  # inches
SHADES = ((0, 0, 0, 0), "#E69F00", "#56B4E9")  # background is left clear
PER_LINE = 19  # letters of a title


def _show(axes: Axes, shown: Shown) -> None:
    low, high = np.quantile(shown.image, [0.01, 0.99])
    axes.imshow(shown.image, cmap="gray", vmin=low, vmax=high)
    answer: Any = shown.answer
    if answer is not None and np.asarray(answer).dtype == np.int32:
        axes.imshow(answer, cmap=mpl.colors.ListedColormap(SHADES), vmin=0, vmax=2, alpha=0.6)
    elif answer is not None:
        places = as_points(answer)
        axes.plot(places[:, 1], places[:, 0], "o", color=SHADES[1], markersize=6, fillstyle="none")
    axes.set_title("\n".join(textwrap.wrap(shown.title, PER_LINE)), fontsize=5.5, pad=2)
    axes.set_axis_off()


def draw_sheet(pictures: Sequence[Shown], out: Path) -> Path:
    """Write `contact_sheet.png` into the folder `out`; every phantom begins a line."""
    lines: list[list[Shown]] = []
    for picture in pictures:
        if not lines or len(lines[-1]) == COLUMNS or lines[-1][0].phantom != picture.phantom:
            lines.append([])
        lines[-1].append(picture)
    with paper_style():
        canvas = make_canvas(SIDE * COLUMNS, 1.25 * SIDE * len(lines))
        for axes in (panels := canvas.subplots(len(lines), COLUMNS, squeeze=False)).ravel():
            axes.set_axis_off()
        for line, row in zip(lines, panels, strict=True):
            for axes, picture in zip(row, line, strict=False):
                _show(axes, picture)
        path = out / "contact_sheet.png"
        canvas.savefig(path, dpi=DOTS)
    return path
