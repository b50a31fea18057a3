"""Figure `refinement`: maps of networks and of the exact posterior, before and after another method refined them."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.studies.common import Columns
from experiments.studies.refinement import DECISIVE, METRICS, OTHERS, main_rows
from paper_figures.selection import Points, summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import DOUBLE, REFINED, Drawing, add_legend, draw_points, make_canvas, paper_style, save

NAME = "refinement"
SUMMARY = "argmax of prediction maps against generic and shape-informed refiners, with exact ceilings"
NETWORKS = {"conv1": "1", "conv3": "3", "conv7": "7", "unet": "U-\nNet", "exact": "exact"}
LAWS = {"ising": "Ising field", "discs": "discs"}
SHOWN = [("ising", "pixel_accuracy"), ("discs", "pixel_accuracy"), ("discs", "exact_match"), ("discs", "dice")]
APART = 0.14  # kinds of refiner stand side by side


def _draw_panel(axes: Axes, rows: Columns, metric: str, networks: list[str]) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = []
    for place, kind in enumerate(REFINED):
        name = metric if kind == "argmax" else f"{kind}_{metric}"
        if name not in rows or not np.isfinite(rows[name].astype(float)).any():
            continue
        points: Points = summarise(rows, ("map_network",), name)
        where = [networks.index(str(network)) + APART * (place - 2) for network in points.columns["map_network"]]
        draw_points(axes, where, points.mean, points.interval, REFINED[kind], joined=False)
        numbers += points.rows(["map_network"], metric=metric, series=kind)
    axes.set_xticks(range(len(networks)), [NETWORKS[network] for network in networks])
    axes.set_xlim(-0.5, len(networks) - 0.5)
    return numbers


def draw(source: Source, out: Path) -> Drawing:
    """Load study refinement, take the main rows of all networks, draw, save."""
    columns = source.columns("refinement")
    parts = [main_rows(columns, network) for network in (DECISIVE, *OTHERS)]
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if not len(rows["seed"]):
        raise MissingRows(f"figure {NAME} must have finished rows of a network in refinement, got none")
    networks = [network for network in NETWORKS if network in rows["map_network"]]
    shown = [(law, metric) for law, metric in SHOWN if (rows["map_law"] == law).any()]
    noises = sorted(set(rows["noise"].tolist()))
    numbers = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 1.9 * len(noises) + 0.7)
        panels = canvas.subplots(len(noises), len(shown), sharex=True, squeeze=False)
        for line, noise in zip(panels, noises, strict=True):
            for axes, (law, metric) in zip(line, shown, strict=True):
                mask = (rows["map_law"] == law) & (rows["noise"] == noise)
                if mask.any():
                    here = {name: column[mask] for name, column in rows.items()}
                    found = _draw_panel(axes, here, metric, networks)
                    numbers += [{"map_law": law, "noise": noise} | row for row in found]
                axes.set_title(f"{LAWS[law]}, noise {noise:g}")
                axes.set_ylabel(METRICS[metric])
        for axes in panels[-1]:
            axes.set_xlabel("receptive field")
        add_legend(canvas, list(REFINED.values()), 5)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Scores of label maps on the same test images: the argmax of a map of probabilities, the best generic refiner "
    "(ICM, graph cut, dense CRF or watershed, chosen with its settings on held-out images, for each score by itself), "
    "another threshold, and the projection on the list of maps that exist. Maps come from networks that see 1, 3 or 7 "
    "pixels around each pixel, from a U-Net, and from the exact posterior; black bars are the best answers that the "
    "exact posterior allows for that score. Bars: 95% intervals over seeds."
)
ALTERNATIVE = (
    "Panels for noise (rows) and for law and score (columns); along each axis the networks by receptive field, then "
    "the exact posterior, with one marker for each kind of refinement and a bar for the exact ceiling. The numbers are "
    "in the CSV file."
)
