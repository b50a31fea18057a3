"""Figure `linear_vs_deep`: accuracy over nonlinearity beside exact limits, the crossover I*(t), and phantoms."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.families.linear_vs_deep import PHANTOMS
from experiments.families.linear_vs_deep import RULE as NOISE
from experiments.studies.common import Columns, chosen
from experiments.studies.linear_vs_deep import (
    MATTERS,
    TIERS,
    Cell,
    crossover,
    differences,
    largest_inputs,
    tier_scores,
)
from paper_figures.selection import LEVEL
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    DOUBLE,
    LIMITS,
    Drawing,
    Look,
    add_legend,
    draw_line,
    draw_points,
    make_canvas,
    paper_style,
    save,
)
from sim.analysis.compare import paired_t

NAME = "linear_vs_deep"
SUMMARY = "linear, quadratic, non-deep and deep learners over nonlinearity, the crossover I*(t), and phantoms"
LOOKS = {
    "raw": Look("linear in pixels", "#E69F00", "s", "--"),
    "quadratic": Look("linear in products of two", "#009E73", "^", "-."),
    "nondeep": Look("any non-deep method", "#7B4FA3", "X", ":"),
    "deep": Look("deep", "#0072B2", "o"),
}
CEILINGS = {
    "bayes_known": LIMITS["posterior"]._replace(label="rule known"),
    "linear_ceiling": Look("best line with an offset", "#555555", line="--"),
    "regression_limit": Look("regression, many images", "#A66F00", line=":"),
}


def _summary(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return float(np.mean(values)), np.nan, np.nan
    found = paired_t(values, level=LEVEL)
    return found.effect, found.low, found.high


def _levels(columns: Columns) -> list[float]:
    return sorted(set(columns["nonlinearity"][chosen(columns, scene=NOISE, product_order=2)].astype(float).tolist()))


def _draw_points(axes: Axes, name: str, x: Any, found: Any, shift: float = 0.0) -> list[dict[str, Any]]:
    table = np.array([_summary(values) for values in found])
    draw_points(axes, np.asarray(x, dtype=float) + shift, table[:, 0], table[:, 1:], LOOKS[name])
    return [{"series": name, "x": a, "mean": m, "low": low, "high": high}
            for a, (m, low, high) in zip(x, table, strict=True)]  # fmt: skip


def _draw_rule(axes: Axes, columns: Columns, inputs: int) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    levels = _levels(columns)
    here = chosen(columns, scene=NOISE, product_order=2)
    for name, look in CEILINGS.items():
        values = [float(columns[name][here & (columns["nonlinearity"] == t)].astype(float)[0]) for t in levels]
        draw_line(axes, levels, values, look)
        numbers += [{"panel": "rule", "series": name, "x": t, "mean": v} for t, v in zip(levels, values, strict=True)]
    for name in LOOKS:
        found = {t: list(tier_scores(columns, Cell(NOISE, inputs, t), name).values()) for t in levels}
        kept = [t for t in levels if found[t]]
        if kept:
            numbers += [{"panel": "rule", **row} for row in _draw_points(axes, name, kept, [found[t] for t in kept])]
    axes.set(xlabel="nonlinearity t", ylabel="pixel accuracy", title=f"I = {inputs} images")
    return numbers


def _draw_crossover(axes: Axes, columns: Columns) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    levels = _levels(columns)
    counts = columns["inputs"][chosen(columns, scene=NOISE)].astype(float)
    low, high = float(counts.min()) / 2, float(counts.max()) * 2
    for tier in TIERS:
        found = np.array([crossover(columns, t, tier) for t in levels])
        shown = np.clip(found, low, high)
        draw_points(axes, levels, shown, np.full((len(levels), 2), np.nan), LOOKS[tier])
        numbers += [{"panel": "crossover", "series": tier, "x": t, "mean": "beyond" if np.isinf(v) else v}
                    for t, v in zip(levels, found, strict=True)]  # fmt: skip
    for edge in (low, high):
        axes.axhline(edge, color="#999999", linewidth=0.6, linestyle=":", zorder=1)
    axes.set(yscale="log", xlabel="nonlinearity t", ylabel="I* from which deep leads", title="crossover")
    ticks = sorted(set(counts.tolist()))
    axes.set_yticks([low, *ticks, high], ["always", *(f"{tick:g}" for tick in ticks), "never"])
    axes.minorticks_off()
    return numbers


def _draw_phantoms(axes: Axes, columns: Columns) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    scenes = [scene for scene in PHANTOMS if largest_inputs(columns, scene) is not None]
    for place, tier in enumerate(TIERS):
        for row, scene in enumerate(scenes):
            values = list(differences(columns, Cell(scene, largest_inputs(columns, scene) or 0), tier).values())
            if values:
                mean, low, high = _summary(values)
                x, interval = [row + 0.2 * (place - 1)], np.array([[low, high]])
                draw_points(axes, x, [mean], interval, LOOKS[tier], joined=False)
                numbers.append(
                    {"panel": "phantoms", "series": tier, "x": scene, "mean": mean, "low": low, "high": high}
                )
    for bound in (-MATTERS, MATTERS):
        axes.axhline(bound, color="#999999", linewidth=0.6, linestyle=":", zorder=1)
    axes.set_xticks(range(len(scenes)), scenes, rotation=30, ha="right")
    axes.set(ylabel="Dice, deep minus tier", title="phantoms")
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study linear_vs_deep, take tiers by validation, draw, save."""
    columns = source.columns("linear_vs_deep")
    inputs = largest_inputs(columns, NOISE)
    if inputs is None or not _levels(columns):
        raise MissingRows(f"figure {NAME} must have finished rows of scene {NOISE} in linear_vs_deep, got none")
    with paper_style():
        canvas = make_canvas(DOUBLE, 2.9)
        left, middle, right = canvas.subplots(1, 3)
        numbers = _draw_rule(left, columns, inputs) + _draw_crossover(middle, columns) + _draw_phantoms(right, columns)
        add_legend(canvas, [*LOOKS.values(), *CEILINGS.values()], 4)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Left: labels follow a rule of each pixel's neighbours that is linear at t = 0 and a product of two pixels at t = "
    "1. Each tier holds the one before; its method is chosen on validation images. Lines without markers: the rule "
    "known, the best line with an offset, and what regression on raw pixels converges to. Middle: the number of "
    "images from which on deep learners are no worse than the tier. Right: the same comparison on phantoms, with the "
    "bounds of .02. Bars: 95% intervals over seeds."
)
ALTERNATIVE = (
    "Three panels. Left: pixel accuracy against nonlinearity, one curve a tier and three exact limits. Middle: the "
    "number of images at which deep learners catch up, one curve a tier, on a logarithmic axis whose ends read always "
    "and never. Right: difference of Dice on each phantom, one point a tier. The numbers are in the CSV file."
)
