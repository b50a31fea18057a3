"""Table `table2`: the survey's Table 2 with its published numbers, beside the same systems on the same phantoms."""

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.studies.common import Columns, chosen
from experiments.studies.systems import PIXELS, ROWS, Row, judge_row, sizes_of
from paper_figures.source import MissingRows, Source
from paper_figures.style import Drawing
from paper_figures.tables import WRAP, save_table
from sim.analysis.compare import paired_t

NAME = "table2"
SUMMARY = "the survey's Table 2 beside the same systems on the same phantoms"


class Published(NamedTuple):
    """What the survey prints for a row, and what its sources say of it."""

    title: str
    deep: str
    other: str
    note: str


PUBLISHED = {
    "ventricle": Published(
        "Ventricle\nDice %", "79 [19]", "91 [20]",
        "Two targets: [19] the myocardium, [20] filled contours, of which only good ones count. An error of 2 mm gives "
        ".91 to .94 on filled contours and .77 on the myocardium. [18], deep with a contour, reports .94.",
    ),
    "liver, VOE": Published(
        "Liver (3Dircadb)\nVOE %", "9.36 ± 3.34\n[22]", "9.15 ± 1.44\n[23]",
        "20 cases: the difference's 95% interval is [-1.5, 1.9]. On SLIVER07 the same pair stands the other way, 5.9 "
        "against 6.24.",
    ),
    "liver, score": Published(
        "Liver (SLIVER07)\nscore", "79.3 [21]\n77.8 [22]", "79.6 [24]",
        "The abstract of [21] says 80.3, which turns the row around. Ten cases: 3.2 either side of a mean.",
    ),
    "tumour": Published(
        "Liver tumour\nDice %", "69 [25]", "88.9 [26]",
        "Two data sets. 69 is the mean over detected tumours; a human reader has 72 on the same images.",
    ),
    "cells": Published(
        "Cells\nOR", ".83 [28]", ".69 [28]",
        "OR counts false positives alone, so an empty mask scores 0: UR is shown beside it. The deep method is not "
        "named. Phantoms are grey; stained cells are not simulated.",
    ),
}  # fmt: skip
# How a row is shown: (name, column, unit, 1 - value).
SHOWN: dict[str, tuple[tuple[str, str, float, bool], ...]] = {
    "ventricle": (("filled", "filled_dice", 100, False), ("myocardium", "myocardium_dice", 100, False)),
    "liver, VOE": (("", "iou", 100, True),),
    "liver, score": (("", "sliver07", 1, False),),
    "tumour": (("", "dice", 100, False), ("detected", "selected", 100, False)),
    "cells": (("OR", "over_segmentation", 1, False), ("UR", "under_segmentation", 1, False),
              ("Dice", "dice", 1, False)),
}  # fmt: skip
PLACES = (0.0, 0.135, 0.245, 0.35, 0.64, 0.885)
HEADER = ("row", "survey:\ndeep", "survey:\nnon-deep", "here: deep", "here: non-deep", "verdict")
NAMES = {
    "encoder_decoder": "[19]", "fitting_and_contour": "[20]", "network_graph_cut": "[22]", "shape_graph_cut": "[23]",
    "surface_evolution": "[21]", "sparse_level_set": "[24]", "component_rejection": "[25]", "lesion_pipeline": "[26]",
    "self_supervised_svm": "[28]", "self_taught_unet": "U-Net (clusters)", "unet": "U-Net",
}  # fmt: skip


def measured(columns: Columns, row: Row, system: str, inputs: int) -> list[dict[str, Any]]:
    """Mean and 95% interval over seeds of each shown metric of a system; the smallest effort is the usual one."""
    usual = chosen(
        columns, system=system, phantom=row.phantom, pixels=PIXELS, inputs=inputs, noise_scale=1.0, stage="whole"
    )
    if usual.any():
        usual &= columns["effort"] == columns["effort"][usual].astype(float).min()
    found = []
    for name, column, unit, reversed_ in SHOWN[row.name]:
        values = columns[column][usual].astype(float) if column in columns else np.zeros(0)
        values = unit * (1 - values if reversed_ else values)
        if np.isfinite(values).sum() > 1:
            estimate = paired_t(values)
            found.append({"row": row.name, "system": system, "inputs": inputs, "metric": name or column,
                          "mean": estimate.effect, "low": estimate.low, "high": estimate.high,
                          "trials": estimate.trials})  # fmt: skip
    return found


def _text(numbers: list[dict[str, Any]], row: Row, systems: tuple[str, ...], sizes: list[int]) -> str:
    lines = []
    for system in systems:
        for name, column, unit, _ in SHOWN[row.name]:
            means = [n["mean"] for size in sizes for n in numbers
                     if (n["system"], n["metric"], n["inputs"]) == (system, name or column, size)]  # fmt: skip
            digits = 1 if unit == 100 or column == "sliver07" else 3
            label = f"{NAMES[system]} {name}".strip()
            lines.append(f"{label}: " + " / ".join(f"{mean:.{digits}f}" for mean in means) if means else f"{label}: -")
    return "\n".join(lines)


def draw(source: Source, out: Path) -> Drawing:
    """Load study systems, take the rows of Table 2 at reference noise, draw; also as LaTeX."""
    columns = source.columns("systems")
    sizes = sizes_of(columns)
    cells, numbers, notes = [], [], []
    for row in ROWS:
        own = [n for system in (*row.deep, row.other) for size in sizes for n in measured(columns, row, system, size)]
        if not own:
            continue
        numbers += own
        said, found = PUBLISHED[row.name], judge_row(columns, row)
        cells.append([said.title, said.deep, said.other, _text(own, row, row.deep, sizes),
                      _text(own, row, (row.other,), sizes), found["verdict"] if found else "-"])  # fmt: skip
        notes += textwrap.wrap(f"{said.title.splitlines()[0]}: {said.note}", WRAP)
    if not cells:
        raise MissingRows(f"table {NAME} must have finished rows of a system of Table 2 in systems, got none")
    return save_table(HEADER, PLACES, cells, notes, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Table 2 of the survey beside the same systems, rebuilt, on the same phantoms with an equal tuning budget. Numbers "
    "of this project are means over seeds and 100 test phantoms each, with few and with many training images on either "
    "side of the stroke; their intervals are in the CSV file. The last column is the verdict on the row. Notes: what "
    "the sources of the survey's numbers say."
)
ALTERNATIVE = (
    "A table with five rows: ventricle, liver by volumetric overlap error, liver by score, liver tumour, cells. "
    "Columns: the survey's number for a deep and for a non-deep method, this project's numbers for both, and the "
    "verdict. Notes stand below. All numbers are in the CSV file."
)
