"""The report's sections, one a study: its question, the first verdict on each of its claims, and all the others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from experiments.spec import Study
from experiments.studies.objections import OBJECTIONS, Objection
from experiments.studies.registry import STUDIES
from paper_figures.cards import make_bar
from paper_figures.registry import FIGURES


class Section(NamedTuple):
    """What the report says of one study.

    Attributes:
        name: of the study.
        study: its claim, predictions and rule; None of a verdict over all studies, which has no trials of its own.
        first: the first verdict on each claim, each with its `bar`; a study's judge puts first what decides.
        others: the verdicts on further arms and settings.
        objection: the strongest one, and the control that answers it.
        figures: names of the drawn figures that show this study's rows alone.
    """

    name: str
    study: Study | None
    first: list[dict[str, Any]]
    others: list[dict[str, Any]]
    objection: Objection | None
    figures: list[str]


def make_sections(names: Iterable[str], verdicts: Sequence[Mapping[str, Any]], figures: Sequence[str]) -> list[Section]:
    """Sort verdicts into sections.

    Args:
        names: of the studies that have rows; those without a verdict keep their question.
        verdicts: of these studies, and of what is judged over all of them, which comes last.
        figures: names of the figures that were drawn.
    """
    sections = []
    for name in dict.fromkeys([*names, *(row["study"] for row in verdicts)]):
        rows = [{**row, "bar": make_bar(row)} for row in verdicts if row["study"] == name]
        claims = [row["claim"] for row in rows]
        is_first = [claim not in claims[:index] for index, claim in enumerate(claims)]
        sections.append(Section(
            name=name,
            study=STUDIES.get(name),
            first=[row for row, first in zip(rows, is_first, strict=True) if first],
            others=[row for row, first in zip(rows, is_first, strict=True) if not first],
            objection=OBJECTIONS.get(name),
            figures=[figure for figure in figures if FIGURES[figure].studies == (name,)],
        ))  # fmt: skip
    return sections
