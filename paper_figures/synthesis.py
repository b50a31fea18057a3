"""Figure `synthesis`: on which variable accuracy collapses, and whether an effective number of outputs foretells it."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from experiments.synthesis.collapses import VARIABLES, Collapsed
from experiments.synthesis.effective import Effective
from experiments.synthesis.judge import GOOD, POOR
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    DOUBLE,
    KINDS_OF_TASK,
    Drawing,
    Look,
    add_legend,
    make_canvas,
    paper_style,
    save,
    score_axis,
)
from sim.analysis.effective import MARGIN

NAME = "synthesis"
SUMMARY = (
    "all studies together: which variable collapses exact match, and what an effective number of outputs foretells"
)


def _kind(study: str, arm: str) -> str:
    if study in ("codebook", "digits"):
        return study
    return "jway" if "jway" in arm or "relabelled" in arm else "factorised"


def _draw_misfits(axes: Axes, found: list[Collapsed]) -> list[dict[str, Any]]:
    names = [name for name in VARIABLES if any(row.variable == name for row in found)][::-1]
    kinds = list(KINDS_OF_TASK)
    for row in found:
        kind = _kind(row.unit.study, row.unit.arm)
        look = KINDS_OF_TASK[kind]
        height = names.index(row.variable) + 0.17 * (kinds.index(kind) - (len(kinds) - 1) / 2)
        axes.plot([row.misfit.low, row.misfit.high], [height, height], color=look.colour, linewidth=0.7)
        axes.plot(row.misfit.rms, height, color=look.colour, marker=look.marker, markeredgewidth=0.8,
                  markerfacecolor=look.colour if look.filled else "white")  # fmt: skip
    axes.axvspan(GOOD, POOR, color="#DDDDDD", zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(left=-0.01)
    axes.set_xlabel("misfit of exact match, tasks foretold from others")
    return [
        {"panel": "misfit", "study": row.unit.study, "arm": row.unit.arm, "evidence": row.unit.setting,
         "variable": row.variable, "value": row.misfit.rms, "low": row.misfit.low, "high": row.misfit.high}
        for row in found
    ]  # fmt: skip


def _draw_foretold(axes: Axes, found: list[Effective]) -> list[dict[str, Any]]:
    axes.fill_between([0, 1], [-MARGIN, 1 - MARGIN], [MARGIN, 1 + MARGIN], color="#DDDDDD", linewidth=0, zorder=0)
    for row in found:
        look = KINDS_OF_TASK[_kind(row.unit.study, row.unit.arm)]
        axes.plot(row.test.predicted, row.test.many, color=look.colour, marker=look.marker, markeredgewidth=0.8,
                  markerfacecolor=look.colour if look.filled else "white", linestyle="none")  # fmt: skip
    score_axis(axes, "exact match measured at 4 I or more")
    axes.set_xlim(-0.02, 1.04)
    axes.set_xlabel("foretold by J$_{eff}$ from I images")
    return [
        {"panel": "foretold", "study": row.unit.study, "arm": row.unit.arm, "evidence": row.unit.setting,
         "pixels": row.pixels, "labels": row.labels, "distribution": row.distribution, "inputs": row.inputs[1],
         "foretold": row.test.predicted, "value": row.test.many, "error_low": row.test.error.low,
         "error_high": row.test.error.high, "exists": row.exists}
        for row in found
    ]  # fmt: skip


def draw(source: Source, out: Path) -> Drawing:
    """Load all studies, take the networks' exact match, draw misfits and what J_eff foretells, save."""
    result = source.synthesis()
    collapses = [
        row for row in result.collapses if row.unit.network and row.metric == "exact_match" and row.misfit.tested
    ]
    effective = [row for row in result.effective if row.unit.network]
    if not collapses:
        raise MissingRows(f"figure {NAME} must have a network with 8 cells of 3 tasks in some study, got none")
    with paper_style():
        canvas = make_canvas(DOUBLE, 3.4)
        left, right = canvas.subplots(1, 2, width_ratios=(1.25, 1))
        numbers = _draw_misfits(left, collapses) + _draw_foretold(right, effective)
        units = [row.unit for row in collapses] + [row.unit for row in effective]
        shown = {_kind(unit.study, unit.arm) for unit in units}
        looks: list[Look] = [look for kind, look in KINDS_OF_TASK.items() if kind in shown]
        add_legend(canvas, [look._replace(line="") for look in looks], len(looks))
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "All records together, networks only. Left: how far exact match lies from one curve of a variable (root mean "
    "square, each task foretold from the others, noise of the seeds taken out; bars: 95% over seeds); left of the grey "
    "band a variable collapses, right of it it does not. Right: exact match at four times the images or more against "
    "what an effective number of outputs foretells, taken from the fewest images that determine it; the band is .05 "
    "wide on either side."
)
ALTERNATIVE = (
    "Two panels. Left: one row a variable (I, log J, I/J, I/log J, entropy of the label, z), one point a network and "
    "evidence, its misfit along the horizontal axis. Right: measured against foretold exact match with a diagonal "
    "band; classifications of unrelated classes lie in or near it, label maps mostly below. All numbers are in the CSV "
    "file."
)
