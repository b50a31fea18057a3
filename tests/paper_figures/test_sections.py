"""The report's sections: no verdict is lost, the first on each claim leads, studies without any are kept."""

from experiments.studies.objections import OBJECTIONS
from experiments.studies.registry import STUDIES
from paper_figures.registry import FIGURES
from paper_figures.sections import make_sections


def verdict(study, claim, arm):
    return {"study": study, "claim": claim, "arm": arm, "effect": 0.5, "interval": [0.4, 0.6]}


ROWS = [verdict("heads", "one", "a"), verdict("heads", "one", "b"), verdict("heads", "two", "c"),
        verdict("heads", "one", "d"), verdict("over all studies", "one", "a")]  # fmt: skip


def test_the_first_verdict_on_each_claim_leads_and_none_is_lost():
    sections = {section.name: section for section in make_sections(["grid", "heads"], ROWS, list(FIGURES))}
    assert list(sections) == ["grid", "heads", "over all studies"]
    heads = sections["heads"]
    assert [row["arm"] for row in heads.first] == ["a", "c"]
    assert [row["arm"] for row in heads.others] == ["b", "d"]
    assert all(row["bar"] is not None for row in heads.first + heads.others)
    assert heads.study is STUDIES["heads"]
    assert heads.objection is OBJECTIONS["heads"]
    assert heads.figures == ["heads"]


def test_a_study_without_a_verdict_keeps_its_question_and_one_of_all_studies_has_none():
    grid, _, last = make_sections(["grid", "heads"], ROWS, [])
    assert (grid.first, grid.others, grid.figures) == ([], [], [])
    assert grid.study is STUDIES["grid"]
    assert (last.study, last.objection) == (None, None)
