"""Tables of text: drawn over the width of a page, with notes below, and as LaTeX.

The LaTeX needs the package makecell.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from paper_figures.style import DOUBLE, Drawing, make_canvas, paper_style, save

WRAP = 132  # characters of a note that fit into the page's width
LINE = 0.118  # inches
GAP = 0.8  # lines between two rows
SYMBOLS = (("%", r"\%"), ("±", r"$\pm$"), ("≈infinity", r"$\approx\infty$"), ("log2(I/J)", r"$\log_2(I/J)$"),
           ("\n", r" \\ "))  # fmt: skip

Cells = Sequence[Sequence[str]]


def latex_table(header: Sequence[str], cells: Cells) -> str:
    r"""A tabular of left-aligned cells, each of which may have several lines.

    Example:
        >>> print(latex_table(["a"], [["1%"]]))
        \begin{tabular}{l}
        \hline
        \makecell[l]{a} \\
        \hline
        \makecell[l]{1\%} \\
        \hline
        \end{tabular}
        <BLANKLINE>
    """

    def line(row: Sequence[str]) -> str:
        return " & ".join(r"\makecell[l]{" + _clean(cell) + "}" for cell in row) + r" \\"

    head = [r"\begin{tabular}{" + "l" * len(header) + "}", r"\hline", line(header), r"\hline"]
    return "\n".join([*head, *map(line, cells), r"\hline", r"\end{tabular}", ""])


def _clean(text: str) -> str:
    for plain, written in SYMBOLS:
        text = text.replace(plain, written)
    return text


def _height(row: Sequence[str]) -> int:
    return max(cell.count("\n") + 1 for cell in row)


def _draw(axes: Axes, header: Sequence[str], places: Sequence[float], cells: Cells, notes: Sequence[str]) -> None:
    """Draw everything in units of lines, from 0 downwards."""
    axes.set_axis_off()
    for place, name in zip(places, header, strict=True):
        axes.text(place, 0.0, name, va="top", weight="bold")
    top = 1.25 * _height(header)  # the header's letters are larger
    for row in cells:
        axes.axhline(top, color="#999999", linewidth=0.5)
        for place, cell in zip(places, row, strict=True):
            axes.text(place, top + 0.3, cell, va="top", fontsize=6.5, linespacing=1.25)
        top += _height(row) + GAP
    axes.axhline(top, color="#999999", linewidth=0.5)
    axes.text(0, top + 0.4, "\n".join(notes), va="top", fontsize=6.5, linespacing=1.25)


def save_table(
    header: Sequence[str],
    places: Sequence[float],
    cells: Cells,
    notes: Sequence[str],
    numbers: Sequence[Mapping[str, Any]],
    out: Path,
    name: str,
    caption: str,
    alternative: str,
) -> Drawing:
    """Draw a table and write its files: those of a figure, and NAME.tex without the notes.

    Args:
        header: of the columns. places: where they begin, as shares of the width. cells: rows of text, with line breaks.
        notes: lines below, at most `WRAP` characters each. numbers: rows of the CSV file.
        out, name, caption, alternative: as for `paper_figures.style.save`.
    """
    lines = 1.25 * _height(header) + sum(_height(row) + GAP for row in cells) + len(notes) + 1
    with paper_style():
        canvas = make_canvas(DOUBLE, LINE * lines)
        axes = canvas.subplots()
        axes.set(xlim=(0, 1), ylim=(lines, 0))
        _draw(axes, header, places, cells, notes)
        drawing = save(canvas, list(numbers), out, name, caption, alternative)
    written = out / f"{name}.tex"
    written.write_text(latex_table(header, cells), encoding="utf-8")
    return drawing._replace(paths=(*drawing.paths, written))
