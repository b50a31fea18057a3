"""Figure `digits`: accuracy against the number of classes on real images, one curve an I."""

from pathlib import Path

from experiments.studies.common import chosen, take
from experiments.studies.digits import ARMS as STUDY_ARMS
from paper_figures.selection import summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    ARMS,
    DOUBLE,
    LIMITS,
    SINGLE,
    Drawing,
    add_legend,
    count_axis,
    draw_line,
    draw_points,
    ladder,
    make_canvas,
    paper_style,
    save,
    score_axis,
)

NAME = "digits"
SUMMARY = "accuracy against J on real handwritten digits, averages over random class subsets"


def draw(source: Source, out: Path) -> Drawing:
    """Load study digits, draw one panel an arm, save."""
    columns = source.columns("digits")
    points = {
        arm: summarise(rows, ["inputs", "outputs"])
        for arm in STUDY_ARMS
        if len((rows := take(columns, chosen(columns, arm=arm)))["arm"])
    }
    if not points:
        raise MissingRows(f"figure {NAME} must have finished rows of {' or '.join(STUDY_ARMS)} in digits, got none")
    outputs = sorted({float(j) for p in points.values() for j in p.columns["outputs"]})
    looks = ladder([float(i) for p in points.values() for i in p.columns["inputs"]], "I")
    numbers = [{"arm": "chance", "outputs": j, "mean": 1 / j} for j in outputs]
    with paper_style():
        canvas = make_canvas(DOUBLE * 0.75 if len(points) > 1 else SINGLE, 2.6)
        panels = canvas.subplots(1, len(points), sharey=True, squeeze=False)[0]
        for axes, (arm, part) in zip(panels, points.items(), strict=True):
            draw_line(axes, outputs, [1 / j for j in outputs], LIMITS["chance"])
            for inputs, look in looks.items():
                cells = part.where(part.columns["inputs"] == inputs)
                draw_points(axes, cells.columns["outputs"], cells.mean, cells.interval, look)
            numbers += part.rows(["inputs", "outputs"], arm=arm)
            axes.set_title(ARMS[arm].label)
            count_axis(axes.xaxis, outputs, "classes J")
            score_axis(axes)
        panels[0].set_ylabel("accuracy")
        add_legend(canvas, [*looks.values(), LIMITS["chance"]], min(len(looks) + 1, 4))
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Accuracy on scikit-learn's handwritten digits (8 x 8 pixels) against the number of classes J, for several numbers "
    "of training images I. Each point is a mean over random subsets of J of the ten classes; bars are 95% intervals "
    "over subsets and initial weights together."
)
ALTERNATIVE = (
    "One panel an arm: accuracy against the number of classes J, from 2 to 10 at most, with one curve and marker for "
    "each number of training images I, and chance as a dotted line falling as 1/J. The numbers are in the CSV file."
)
