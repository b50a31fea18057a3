"""Figure `labels`: accuracy above chance and rho against the number of labels, on two routes with the same J."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.studies.labels import CLAIM_ARM, NETWORKS, exact_match_counts, main_rows
from paper_figures.selection import summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    DOUBLE,
    Drawing,
    Look,
    add_legend,
    count_axis,
    draw_points,
    make_canvas,
    paper_style,
    save,
)

NAME = "labels"
SUMMARY = "chance-normalised accuracy and rho against the number of labels, separation or range of greys fixed"
METRICS = {"chance_normalised": "(A - 1/L)/(1 - 1/L)", "own_rho": "rho", "exact_match": "exact match"}
EXACT = {"chance_normalised": "normalised_ceiling", "exact_match": "known_exact_match"}  # metric -> its exact value
LOOKS = {
    ("conv/64", "fixed"): Look("seven pixels, separation fixed", "#D55E00", "v", "-."),
    ("conv/64", "range"): Look("seven pixels, range fixed", "#0072B2", "o"),
    ("linear/64", "fixed"): Look("one pixel, separation fixed", "#E69F00", "s", "--"),
    ("linear/64", "range"): Look("one pixel, range fixed", "#56B4E9", "^", ":", False),
    ("exact", "fixed"): Look("exact posterior, separation fixed", "#000000", "D", "-", False),
    ("exact", "range"): Look("exact posterior, range fixed", "#777777", "P", "--", False),
}


def draw(source: Source, out: Path) -> Drawing:
    """Load study labels, take its main rows, draw, save."""
    rows = main_rows(source.columns("labels"))
    if not np.isin(rows["arm"], list(NETWORKS)).any():
        raise MissingRows(f"figure {NAME} must have finished rows of a network in labels, got none")
    comparable = exact_match_counts(rows)
    images = np.unique(rows["inputs"].astype(int)).tolist()
    numbers: list[dict[str, Any]] = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 6.0)
        panels = canvas.subplots(len(METRICS), len(images), sharex=True, sharey="row", squeeze=False)
        shown = []
        for line, metric in zip(panels, METRICS, strict=True):
            for axes, inputs in zip(line, images, strict=True):
                for (arm, route), look in LOOKS.items():
                    if arm == "exact" and metric not in EXACT:
                        continue
                    source_arm, column = (CLAIM_ARM, EXACT[metric]) if arm == "exact" else (arm, metric)
                    mask = (rows["arm"] == source_arm) & np.isin(rows["route"], [route, "both"])
                    mask &= rows["inputs"].astype(int) == inputs
                    if metric == "exact_match":
                        mask &= comparable
                    if not mask.any():
                        continue
                    points = summarise({name: values[mask] for name, values in rows.items()}, ("labels",), column)
                    draw_points(axes, points.columns["labels"], points.mean, points.interval, look)
                    numbers += points.rows(["labels"], inputs=inputs, metric=metric, series=arm, route=route)
                    shown.append((arm, route))
                count_axis(axes.xaxis, rows["labels"], "")
            line[0].set_ylabel(METRICS[metric])
        for axes, inputs in zip(panels[0], images, strict=True):
            axes.set_title(f"I = {inputs}")
        for axes in panels[-1]:
            axes.set_xlabel("labels L")
        add_legend(canvas, [look for key, look in LOOKS.items() if key in shown], 3)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Rows of 16 pixels with L labels. At equal L both routes have the same number of label maps "
    "J = L^T: on one the spacing of neighbouring labels is two deviations of the noise, on the other the whole range "
    "is six; they meet at L = 4. Above: accuracy above chance, with the exact posterior's; middle: the same as a share "
    "of what the exact posterior reaches (for softmax regression, of one pixel's); below: rows without a wrong pixel, "
    "with those of the most probable row, where the latter are more than 5%. If J set the accuracy, the routes "
    "would agree. Bars: 95% intervals over seeds."
)
ALTERNATIVE = (
    "Panels for each number of training images, chance-normalised accuracy above, rho below it and exact match at the "
    "bottom, against the number of labels on a logarithmic axis; one curve for each network and route. The numbers are "
    "in the CSV file."
)
