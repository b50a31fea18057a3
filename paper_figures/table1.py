"""Table `table1`: the survey's Table 1 as printed, what its sources say of it, and the correlations of its own numbers.

Accuracies, inputs and outputs are the survey's. Notes say what each number is; a note that rests on memory alone is
marked [unchecked].
"""

import itertools
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from paper_figures.source import Source
from paper_figures.style import Drawing
from paper_figures.tables import WRAP, save_table

NAME = "table1"
SUMMARY = "the survey's Table 1 as printed, notes on its numbers, and their correlations"


class Row(NamedTuple):
    """A row of the survey's Table 1, and what its sources say of it; `outputs` is infinite for "≈infinity"."""

    competition: str
    inputs: int
    outputs: float
    accuracies: tuple[tuple[float, int], ...]  # per cent, reference
    note: str


INFINITE = float("inf")
ROWS = (
    Row("Voice recognition", 6300, 8, ((83.5, 2),),
        "6,300 sentences of a corpus of read speech; its 8 are dialect regions of the speakers, not what is recognised "
        "[unchecked]."),
    Row("Digits recognition", 60000, 10, ((99.77, 4),), "A committee of 35 networks [unchecked]."),
    Row("Traffic sign recognition", 39209, 43, ((99.46, 5),), "A committee of 25 networks [unchecked]."),
    Row("Chinese handwriting\nrecognition", 3900000, 7356, ((97.39, 6),),
        "The best committee of [6] errs on 4.215%, that is 95.785%, of 3,755 classes (its abstract). 97.39% is an "
        "online result, 7,356 classes and 3.9 million samples are those of a whole database [unchecked]."),
    Row("ImageNet image\nclassification", 1281167, 1000, ((93.34, 7),),
        "A top-5 accuracy, where five answers may be given [unchecked]."),
    Row("ImageNet image\nsegmentation", 1281167, INFINITE, ((73.14, 8),),
        "No segmentation accuracy: the mean average precision, .731392, of the object detection of 2017 with most "
        "categories won (image-net.org/challenges/LSVRC/2017/results)."),
    Row("PASCAL VOC image\nsegmentation", 8498, INFINITE, ((67.5, 9), (79.5, 10)),
        "Mean IoU over 21 labels, no accuracy; the images are those with added labels. FCN-8s "
        "has 67.2 on the 2012 test images; 67.5 is of 2011 [unchecked]. "
        "DeepLab v2 has 79.7 [unchecked]."),
)  # fmt: skip
HEADER = ("competition", "inputs I", "outputs J", "best accuracy", "log2(I/J)")
PLACES = (0.0, 0.3, 0.44, 0.58, 0.86)


class Correlation(NamedTuple):
    """Spearman's rank correlation of accuracy with another number, and its exact two-sided p value."""

    name: str
    rows: str
    value: float
    p_value: float
    trials: int


def spearman(first: list[float], second: list[float]) -> tuple[float, float]:
    """Spearman's correlation and the share of all orders of `second` whose correlation is as large or larger.

    Ties share their mean rank; at most eight numbers, that is 40,320 orders.

    Example:
        >>> value, p_value = spearman([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 3.0])
        >>> round(value, 6), round(p_value, 4)
        (0.8, 0.3333)
    """
    value = float(spearmanr(first, second).statistic)
    ranks = [np.argsort(np.argsort(numbers, kind="stable"), kind="stable").astype(float) for numbers in (first, second)]
    for numbers, own in zip((first, second), ranks, strict=True):
        for tied in set(numbers):
            own[np.array(numbers) == tied] = own[np.array(numbers) == tied].mean()
    one, two = ((own - own.mean()) / own.std() for own in ranks)
    orders = np.array(list(itertools.permutations(two)))
    found = orders @ one / len(one)
    return value, float(np.mean(np.abs(found) >= abs(value) - 1e-12))


def correlations() -> list[Correlation]:
    """Accuracy against J and against I/J, for the rows with a number of outputs and for all eight accuracies."""
    found = []
    for rows, name in (([r for r in ROWS if np.isfinite(r.outputs)], "classification"), (list(ROWS), "all")):
        listed = [(accuracy, row.outputs, row.inputs / row.outputs) for row in rows for accuracy, _ in row.accuracies]
        accuracy, outputs, ratio = (list(column) for column in zip(*listed, strict=True))
        found += [
            Correlation("A, J", name, *spearman(accuracy, outputs), len(listed)),
            Correlation("A, I/J", name, *spearman(accuracy, ratio), len(listed)),
        ]
    return found


def _cells(row: Row) -> list[str]:
    outputs = f"{row.outputs:g}" if np.isfinite(row.outputs) else "≈infinity"
    accuracy = "; ".join(f"{value:g}% [{reference}]" for value, reference in row.accuracies)
    ratio = f"{np.log2(row.inputs / row.outputs):.1f}" if np.isfinite(row.outputs) else "-"
    return [row.competition, str(row.inputs), outputs, accuracy, ratio]


def draw(source: Source, out: Path) -> Drawing:
    """Draw the survey's rows with notes and correlations; also as CSV and LaTeX. No rows of a study are read."""
    cells, found = [_cells(row) for row in ROWS], correlations()
    notes = [line for row in ROWS
             for line in textwrap.wrap(f"{row.competition.replace(chr(10), ' ')}: {row.note}", WRAP)]  # fmt: skip
    notes += [f"Spearman({c.name}), {c.rows} rows: {c.value:+.2f}, exact p = {c.p_value:.2f}, n = {c.trials}"
              for c in found]  # fmt: skip
    numbers: list[dict[str, Any]] = [
        {"row": row.competition.replace("\n", " "), "inputs": row.inputs,
         "outputs": row.outputs if np.isfinite(row.outputs) else "infinity", "accuracy": accuracy,
         "reference": f"[{reference}]", "note": row.note}
        for row in ROWS for accuracy, reference in row.accuracies
    ]  # fmt: skip
    numbers += [{"row": f"Spearman({c.name}), {c.rows} rows", "value": c.value, "p_value": c.p_value,
                 "trials": c.trials} for c in found]  # fmt: skip
    return save_table(HEADER, PLACES, cells, notes, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Table 1 of the survey, as printed, with what its sources say of the numbers. Below: rank correlations of the "
    "accuracies A with the number of outputs J and with I/J, with exact p values over all orders. The rows of "
    "classification alone bear out neither; over all rows the order of J is that of two metrics, since the rows with "
    "J near infinity report a mean IoU and an average precision. [unchecked]: from memory, source not seen."
)
ALTERNATIVE = (
    "A table with seven rows, five of classification and two of segmentation: competition, inputs I, outputs J, best "
    "accuracy, and log2 of I/J. Notes on every row and four rank correlations stand below. All are in the CSV file."
)
