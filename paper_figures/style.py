"""The one look of all figures: a colour, a marker and a line for each concept, sizes of a two-column paper, and saving.

Colours are those of Okabe and Ito, told apart with any colour vision; markers and lines differ too, so that a figure
can be read in grey. A second run writes the same bytes: no dates, fixed identifiers, the font that comes with the
drawing library.
"""

import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import ArrayLike

from sim.types import FloatArray

SINGLE, DOUBLE = 3.4, 7.0  # width of a column and of a page, inches
DOTS = 300  # a printer's resolution, dots an inch
GREY_SCALE = "cividis"  # a scale of lightness that stays one in grey and for any colour vision
MOST_TICKS = 7
MARGIN = 1.4  # a logarithmic axis goes on by this factor beyond its points

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 7.5, "axes.titlesize": 7.5, "axes.labelsize": 7.5,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7, "mathtext.fontset": "dejavusans",
    "axes.linewidth": 0.6, "lines.linewidth": 1.1, "lines.markersize": 3.8, "errorbar.capsize": 1.5,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "legend.handlelength": 2.6,
    "pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "capsim", "savefig.dpi": DOTS, "figure.dpi": DOTS,
    "image.interpolation": "nearest",
}  # fmt: skip


LineStyle: TypeAlias = Any  # a name such as "--", or (offset, (dash, gap, ...)) in line widths


class Look(NamedTuple):
    """How a concept is drawn: label of the legend, colour, marker, line, and whether the marker is filled."""

    label: str
    colour: str
    marker: str = ""
    line: LineStyle = "-"
    filled: bool = True


_SHORT, _LONG = (0, (3.0, 1.2)), (0, (6.0, 1.5))
LIMITS = {
    "learned": Look("exact ceiling from I images", "#000000"),
    "known": Look("ceiling, codewords known", "#555555", line="--"),
    "composed": Look("ceiling, composition known", "#000000"),
    "class_mean": Look("class-mean rule, expected", "#8A7A3B", line="--"),
    "posterior": Look("exact posterior", "#000000"),
    "cover": Look("hyperplane, exact (Cover)", "#000000", line="--"),
    "fano": Look("Fano bound", "#882255", line="-."),
    "chance": Look("chance", "#777777", line=":"),
}
ARMS = {
    "bayes": Look("Bayes learner, same images", "#000000", "D", "", False),
    "plugin": Look("plug-in learner", "#777777", "x", _SHORT),
    "mlp+reg": Look("network, regularised", "#0072B2", "o"),
    "mlp": Look("network, plain", "#56B4E9", "o", _SHORT, False),
    "linear+reg": Look("softmax regression, regularised", "#E69F00", "s", "--"),
    "linear": Look("softmax regression, plain", "#A66F00", "s", ":", False),
    "mlp/jway+reg": Look("one output a label map", "#0072B2", "o"),
    "mlp/jway": Look("one output a label map", "#0072B2", "o"),
    "mlp/dense+reg": Look("one output a tile or pixel", "#009E73", "^", "--"),
    "mlp/shared+reg": Look("outputs that share weights", "#D55E00", "v", "-."),
    "mlp/dense+reg+relabelled": Look("one output a tile, maps renamed", "#7B4FA3", "X", ":"),
    "class_mean": Look("class-mean rule, same images", "#8A7A3B", "P", "", False),
    "conv7": Look("shared weights, receptive field 7", "#D55E00", "v", "-."),
    "unet": Look("U-Net, shared weights", "#E69F00", "s", "--"),
    "conv1": Look("shared weights, receptive field 1", "#CC79A7", "<", _LONG),
}
KINDS_OF_TASK = {  # what networks are asked, over all studies
    "codebook": Look("unrelated classes", "#0072B2", "o"),
    "digits": Look("digits", "#E69F00", "s"),
    "jway": Look("label maps, one output each or renamed", "#7B4FA3", "X"),
    "factorised": Look("label maps, by tile or pixel", "#D55E00", "v", filled=False),
}
REFINED = {  # what is done to a map of probabilities
    "argmax": Look("argmax", "#0072B2", "o", ""),
    "generic": Look("best generic refiner", "#E69F00", "s", ""),
    "threshold": Look("another threshold", "#777777", "x", ""),
    "dictionary": Look("list of possible maps", "#009E73", "^", ""),
    "ceiling": Look("exact ceiling", "#000000", "_", ""),
}
SHRUNK = {  # networks and oracles on shrunken images
    "fixed": Look("network, 7 pixels seen", "#0072B2", "o"),
    "scaled": Look("network, equal part of the scene seen", "#D55E00", "v", "-."),
    "oracle_block": Look("best map of blocks", "#000000", line=":"),
    "oracle_bilinear": Look("true shares, enlarged", "#000000", line="--"),
}
NOMINALS = {  # dictionaries of disc maps under several nominal numbers of label maps
    "two labels": Look("two labels", "#0072B2", "o"),
    "30 idle labels": Look("and 30 labels that never occur", "#D55E00", "v", "--"),
    "idle frame": Look("and a frame of idle outputs", "#009E73", "^", "-."),
    "far apart": Look("two labels, maps far apart", "#7B4FA3", "X", ":"),
}
FITTED = {  # forms of an answer to random labels
    "bits": Look("one output a bit of the label", "#009E73", "^"),
    "jway": Look("one output a label", "#0072B2", "o", "--"),
    "plane": Look("hyperplane, trained", "#E69F00", "s", "-.", False),
    "programme": Look("hyperplane, linear programme", "#000000", "D", "", False),
}
ESTIMATORS = {  # of a continuous target
    "regression": Look("network, one output", "#0072B2", "o"),
    "few": Look("network, {bins} bins", "#009E73", "^", "--"),
    "many": Look("network, {bins} bins", "#D55E00", "v", "-."),
    "ridge": Look("ridge regression", "#777777", "x", ":"),
}
VARIANTS = {  # what `capsim bench` times
    "capsim": Look("capsim population", "#0072B2", "o", ""),
    "flax_step": Look("Flax, one jitted step a call", "#E69F00", "s", ""),
    "jit_vmap": Look("jit(vmap), one device", "#A66F00", "s", "", False),
    "torch_eager": Look("PyTorch eager", "#D55E00", "v", ""),
    "torch_channels_last": Look("PyTorch, channels last", "#CC79A7", "<", ""),
    "torch_func": Look("torch.func ensemble", "#009E73", "^", ""),
}
_MARKERS = ("o", "s", "^", "D", "v", "P", "<", "X", ">", "*")
_LINES: tuple[LineStyle, ...] = ("-", "--", "-.", _SHORT, ":", _LONG)


class Drawing(NamedTuple):
    """A figure that has been written.

    Attributes:
        name: the key of the registry.
        paths: the files: PDF, SVG, PNG, CSV.
        caption: what is shown, for people who see it.
        alternative: what is shown, for people who do not.
        wide: whether it takes both columns.
    """

    name: str
    paths: tuple[Path, ...]
    caption: str
    alternative: str
    wide: bool


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw and save inside this block; settings of the surrounding program come back after it."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def make_canvas(width: float, height: float) -> Canvas:
    """An empty figure of so many inches whose parts are laid out without overlap."""
    return Canvas(figsize=(width, height), layout="constrained")


def ladder(values: Sequence[float], symbol: str) -> dict[float, Look]:
    """Looks for the values of one number, dark for small and light for large, each with its own marker and line.

    Example:
        >>> [look.label for look in ladder([4, 16], "J").values()]
        ['J = 4', 'J = 16']
    """
    scale = mpl.colormaps["viridis"]
    ordered = sorted(set(values))
    shades = np.linspace(0.0, 0.78, max(len(ordered), 2))
    found = {}
    for shade, value, marker, line in zip(
        shades[: len(ordered)], ordered, itertools.cycle(_MARKERS), itertools.cycle(_LINES), strict=False
    ):
        found[value] = Look(f"{symbol} = {value:g}", mpl.colors.to_hex(scale(float(shade))), marker, line)
    return found


FORMULAS = {  # closed forms of the theorem's threshold
    "asymptotic": Look("leading terms", "#888888", "x", ""),
    "refined": Look("refined formula", "#D55E00", "o", "", False),
}


def draw_line(axes: Axes, x: Any, y: Any, look: Look) -> None:
    """A curve that theory gives, under the measured points; a single value becomes a short bar."""
    marker = "_" if len(np.atleast_1d(x)) == 1 else ""
    axes.plot(x, y, color=look.colour, linestyle=look.line, marker=marker, markersize=14, zorder=2)


def draw_points(axes: Axes, x: Any, mean: Any, interval: FloatArray, look: Look, *, joined: bool = True) -> None:
    """Measured means with their intervals, shape (points, 2); a missing interval draws no bar."""
    order = np.argsort(np.asarray(x, dtype=float), kind="stable")
    x, mean, interval = np.asarray(x, dtype=float)[order], np.asarray(mean, dtype=float)[order], interval[order]
    reach = np.abs(np.stack([mean - interval[:, 0], interval[:, 1] - mean]))
    axes.errorbar(
        x, mean, np.nan_to_num(reach), color=look.colour, marker=look.marker, elinewidth=0.7, zorder=3,
        linestyle=look.line if joined and look.line else "none", markeredgewidth=0.8,
        markerfacecolor=look.colour if look.filled else "white",
    )  # fmt: skip


def add_legend(canvas: Canvas, looks: Sequence[Look], columns: int) -> None:
    """One legend below all panels."""
    handles = [
        Line2D(
            [], [], color=look.colour, marker=look.marker, linestyle=look.line or "none", markeredgewidth=0.8,
            markerfacecolor=look.colour if look.filled else "white", label=look.label,
        )
        for look in looks
    ]  # fmt: skip
    canvas.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.4)


def count_axis(axis: Axis, counts: ArrayLike, label: str, reach: ArrayLike | None = None) -> None:
    """A logarithmic axis for counts, with ticks at values that occur.

    Args:
        axis: the x or y axis of a panel.
        counts: where ticks may stand.
        label: of the axis.
        reach: values whose range the axis just covers; by default it covers the counts with a margin.
    """
    ordered = np.unique(np.asarray(counts, dtype=float))
    if reach is None:
        limits = (ordered[0] / MARGIN, ordered[-1] * MARGIN)
    else:
        limits = (float(np.min(reach)), float(np.max(reach)))
    ordered = ordered[(ordered >= limits[0]) & (ordered <= limits[1])]
    _scale(axis, limits)
    axis.set_major_locator(FixedLocator(ordered[:: -(-len(ordered) // MOST_TICKS)].tolist()))
    axis.set_label_text(label)


def ratio_axis(axis: Axis, ratios: ArrayLike, label: str) -> None:
    """A logarithmic axis for ratios, with ticks at whole powers of four."""
    values = np.asarray(ratios, dtype=float)
    _scale(axis, (values.min() / MARGIN, values.max() * MARGIN))
    powers = np.arange(np.ceil(np.log(values.min()) / np.log(4) - 0.25), np.log(values.max()) / np.log(4) + 0.25)
    axis.set_major_locator(FixedLocator((4.0 ** powers[:: -(-len(powers) // MOST_TICKS)]).tolist()))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}"))
    axis.set_label_text(label)


def _scale(axis: Axis, limits: tuple[float, float]) -> None:
    if isinstance(axis, XAxis):
        axis.axes.set(xscale="log", xlim=limits)
    else:
        axis.axes.set(yscale="log", ylim=limits)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}" if value < 1000 else f"{value:.0f}"))


def score_axis(axes: Axes, label: str = "") -> None:
    """A y axis for a score between 0 and 1."""
    axes.set_ylim(-0.02, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_yticklabels(["0", "", ".5", "", "1"])
    if label:
        axes.set_ylabel(label)


def save(
    canvas: Canvas, numbers: Sequence[Mapping[str, Any]], out: Path, name: str, caption: str, alternative: str
) -> Drawing:
    """Write `name` as PDF, SVG and PNG into the folder `out`, and the plotted numbers as CSV.

    Args:
        canvas: the figure.
        numbers: rows; their keys, in order of appearance, are the columns.
        caption, alternative: see `Drawing`.
    """
    paths = tuple(out / f"{name}.{kind}" for kind in ("pdf", "svg", "png", "csv"))
    undated: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    for path in paths[:3]:
        kind = path.suffix[1:]
        canvas.savefig(path, format=kind, metadata=undated[kind])
    columns = list(dict.fromkeys(key for row in numbers for key in row))
    with open(paths[3], "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in numbers)
    return Drawing(name, paths, caption, alternative, canvas.get_figwidth() > (SINGLE + DOUBLE) / 2)


def _cell(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return f"{value:.10g}" if np.isfinite(value) else ""
    return "" if value is None else value
