"""Figures by name. To add one, write a file beside this one and a line here."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.console import warn
from experiments.factors import UsageError
from experiments.store import Store
from experiments.studies.registry import STUDIES
from paper_figures import (
    accuracy_outputs,
    blocks,
    collapse,
    continuous,
    digits,
    downsampling,
    edge_map,
    effective_outputs,
    examples,
    heads,
    labels,
    linear_vs_deep,
    macros,
    metric_gap,
    phase_map,
    refinement,
    resolution,
    survey_curve,
    synthesis,
    systems,
    table1,
    table2,
    theory,
    training_fit,
)
from paper_figures.source import MissingRows, Source
from paper_figures.style import Drawing


class Figure(NamedTuple):
    """A figure that can be drawn.

    Attributes:
        name: the key of `FIGURES` and the stem of its files.
        summary: one line for `capsim list figures`.
        studies: whose rows it reads.
        draw: (rows, folder) -> what was written.
        picture: False for a file of numbers alone, which the report does not show.
    """

    name: str
    summary: str
    studies: tuple[str, ...]
    draw: Callable[[Source, Path], Drawing]
    picture: bool = True


FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure(examples.NAME, examples.SUMMARY, (), examples.draw),
        Figure(accuracy_outputs.NAME, accuracy_outputs.SUMMARY, ("codebook",), accuracy_outputs.draw),
        Figure(phase_map.NAME, phase_map.SUMMARY, ("codebook",), phase_map.draw),
        Figure(heads.NAME, heads.SUMMARY, ("heads",), heads.draw),
        Figure(survey_curve.NAME, survey_curve.SUMMARY, ("grid",), survey_curve.draw),
        Figure(labels.NAME, labels.SUMMARY, ("labels",), labels.draw),
        Figure(blocks.NAME, blocks.SUMMARY, ("blocks",), blocks.draw),
        Figure(collapse.NAME, collapse.SUMMARY, ("codebook",), collapse.draw),
        Figure(theory.NAME, theory.SUMMARY, ("codebook",), theory.draw),
        Figure(digits.NAME, digits.SUMMARY, ("digits",), digits.draw),
        Figure(resolution.NAME, resolution.SUMMARY, ("resolution",), resolution.draw),
        Figure(training_fit.NAME, training_fit.SUMMARY, ("training_fit",), training_fit.draw),
        Figure(effective_outputs.NAME, effective_outputs.SUMMARY, ("effective_outputs",), effective_outputs.draw),
        Figure(downsampling.NAME, downsampling.SUMMARY, ("downsampling",), downsampling.draw),
        Figure(refinement.NAME, refinement.SUMMARY, ("refinement",), refinement.draw),
        Figure(linear_vs_deep.NAME, linear_vs_deep.SUMMARY, ("linear_vs_deep",), linear_vs_deep.draw),
        Figure(edge_map.NAME, edge_map.SUMMARY, ("edge_map",), edge_map.draw),
        Figure(continuous.NAME, continuous.SUMMARY, ("continuous",), continuous.draw),
        Figure(metric_gap.NAME, metric_gap.SUMMARY, ("metric_gap",), metric_gap.draw),
        Figure(systems.NAME, systems.SUMMARY, ("systems",), systems.draw),
        Figure(table1.NAME, table1.SUMMARY, (), table1.draw),
        Figure(table2.NAME, table2.SUMMARY, ("systems",), table2.draw),
        Figure(synthesis.NAME, synthesis.SUMMARY, tuple(STUDIES), synthesis.draw),
        Figure(macros.NAME, macros.SUMMARY, tuple(STUDIES), macros.draw, picture=False),
    )
}


def draw_figures(names: Sequence[str], source: Source, out: Path) -> tuple[list[Drawing], dict[str, str]]:
    """Draw figures into the folder `out`.

    Returns:
        what was written, and for each figure whose rows are missing, the reason.

    Raises:
        UsageError: no such figure or preset.
    """
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise UsageError(f"figure must be one of {', '.join(FIGURES)}, got {unknown[0]!r}")
    out.mkdir(parents=True, exist_ok=True)
    drawn, missing = [], {}
    for name in names:
        try:
            drawn.append(FIGURES[name].draw(source, out))
        except MissingRows as reason:
            missing[name] = str(reason)
        except UsageError:
            raise
        except ValueError as reason:  # a fit or an interval that these rows are too few for
            missing[name] = f"figure {name} cannot be drawn from these rows: {reason}"
    return drawn, missing


def write_figures(names: Sequence[str], store: Store | None, out: Path, *, preset: str | None = None) -> list[Path]:
    """Write figures as PDF, SVG, PNG and CSV, and the numbers of the text as LaTeX macros.

    Args:
        names: keys of `FIGURES`. Where several are asked for, one without rows is left out with a line on standard
            error.
        store: where the rows are; by default `$CAPSIM_STORE` if it holds the study, else the committed results.
        out: the folder.
        preset: as for `experiments.tables.load`.

    Raises:
        UsageError: no such figure or preset; or a single figure whose rows are missing, which it names.
    """
    drawn, missing = draw_figures(names, Source(store, preset), out)
    if missing and len(names) == 1:
        raise MissingRows(missing[names[0]])
    for name, reason in missing.items():
        warn(f"figure {name} is left out: {reason}")
    return [path for drawing in drawn for path in drawing.paths]
