"""Figure `training_fit`: which share of seeds gives back all random labels of its training images, by load."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import PRIMARY_LEVEL
from experiments.studies.training_fit import COVER, STORED, curves, shape_name
from paper_figures.source import MissingRows, Source
from paper_figures.style import DOUBLE, FITTED, LIMITS, Drawing, add_legend, draw_line, make_canvas, paper_style, save
from sim.analysis.shares import half_point
from sim.theory.capacity import cover_fraction

NAME = "training_fit"
SUMMARY = "share of seeds that give back all random labels of their training images, and the load where it is one half"
BESIDE = 0.012  # curves stand a little above each other, so that they can be seen
FINE = np.linspace(0.5, 4.0, 141)


def _draw_shares(axes: Axes, found: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """Share of seeds that fit over the load; Cover's count for the hyperplane beside."""
    numbers: list[dict[str, Any]] = []
    for place, (shape, counts) in enumerate(found):
        look, share = FITTED[shape["answer"]], counts["fits"] / counts["seeds"]
        axes.plot(
            counts["loads"], share + BESIDE * (place - len(found) / 2), color=look.colour, marker=look.marker,
            linestyle=look.line, markerfacecolor=look.colour if look.filled else "white", markersize=3, linewidth=0.8,
        )  # fmt: skip
        numbers += [{"series": shape_name(shape), "load": load, "fits": fits, "seeds": seeds} for load, fits, seeds in
                    zip(counts["loads"], counts["fits"], counts["seeds"], strict=True)]  # fmt: skip
        if shape["answer"] == "programme":
            size = int(shape["parameters"])
            exact = [cover_fraction(round(load * size), size) for load in FINE]
            draw_line(axes, FINE, exact, LIMITS["cover"])
            numbers += [{"series": "Cover", "load": x, "share": y} for x, y in zip(FINE, exact, strict=True)]
    axes.axvline(1.0, color=LIMITS["chance"].colour, linewidth=0.6, linestyle=":")
    axes.set(xlabel="load, bits of labels a parameter", ylabel="share of seeds that fit", ylim=(-0.09, 1.09))
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    return numbers


def _draw_halves(axes: Axes, found: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """load50 of each curve with its exact bounds; an arrow where the grid shows none."""
    numbers: list[dict[str, Any]] = []
    reach = max(float(counts["loads"].max()) for _, counts in found) + 0.7
    for row, (shape, counts) in enumerate(found):
        look = FITTED[shape["answer"]]
        half = half_point(counts["loads"], counts["fits"], counts["seeds"], level=PRIMARY_LEVEL)
        low, high = half.low, min(half.high, reach)
        axes.plot([low, high], [row, row], color=look.colour, linewidth=1.0)
        for end, known, arrow in ((low, half.low > 0, "<"), (high, np.isfinite(half.high), ">")):
            axes.plot(end, row, marker="|" if known else arrow, color=look.colour, markersize=5 if known else 3,
                      clip_on=False)  # fmt: skip
        if np.isfinite(half.place):
            axes.plot(half.place, row, marker=look.marker, color=look.colour,
                      markerfacecolor=look.colour if look.filled else "white")  # fmt: skip
        numbers.append({"series": shape_name(shape), "load50": half.place, "low": half.low,
                        "high": min(half.high, STORED)})  # fmt: skip
    axes.axvspan(COVER / 2, 2 * COVER, color="#dddddd", zorder=0)
    axes.axvline(COVER, color=LIMITS["cover"].colour, linestyle=LIMITS["cover"].line, linewidth=0.8)
    axes.set_yticks(range(len(found)), [shape_name(shape) for shape, _ in found])
    axes.set(xlabel="load50, bits a parameter", ylim=(len(found) - 0.4, -0.6), xlim=(0, reach))
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study training_fit, take the curves with three loads or more, draw, save."""
    found = [curve for curve in curves(source.columns("training_fit")) if len(curve[1]["loads"]) >= 3]
    if not found:
        raise MissingRows(f"figure {NAME} must have finished rows at three loads or more in training_fit, got fewer")
    found.sort(key=lambda curve: [list(FITTED).index(curve[0]["answer"]), *list(curve[0].values())[1:]])
    with paper_style():
        canvas = make_canvas(DOUBLE, 2.9)
        left, right = canvas.subplots(1, 2)
        numbers = _draw_shares(left, found) + _draw_halves(right, found)
        answers = dict.fromkeys(shape["answer"] for shape, _ in found)
        add_legend(canvas, [*(FITTED[answer] for answer in answers), LIMITS["cover"]], 3)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Random labels of independent normal images, given back by the network that was trained on them. Left: share of "
    "seeds in which every label comes back, against the load I log2(J) / P in bits a parameter; the dotted line is "
    "load 1, where the claim is decided; curves are shifted a little. Right: the load at which half of the seeds fit, "
    "with exact 99% bounds on the grid of loads, each curve with its answer, number of labels J, dimension D and "
    "parameters P; the band is a factor of two about the two bits that a hyperplane stores (Cover 1965), and the "
    "linear programme is the exact learner of one."
)
ALTERNATIVE = (
    "Left: falling curves of the share of seeds that fit all training labels against the load, one marker for each "
    "form of the answer, with Cover's exact curve. Right: one row for each curve with the load at which the share "
    "is one half and its bounds, over a band from 1 to 4 bits a parameter. The numbers are in the CSV file."
)
