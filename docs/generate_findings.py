"""Writes the page of findings from the committed records: `python docs/generate_findings.py FOLDER`.

Every number and picture on the page is made here from `results/`, by the calls behind `capsim verdict` and
`capsim figures`; only claims, rules and objections are text, each kept in the study's own files. Sphinx runs it.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.console import show
from experiments.spec import Study
from experiments.store import COMMITTED, Store
from experiments.studies.objections import OBJECTIONS, Objection
from experiments.studies.registry import STUDIES
from experiments.studies.systems_margins import margins
from experiments.tables import load
from experiments.verdicts import judge_study, to_columns
from paper_figures.registry import FIGURES, draw_figures
from paper_figures.source import Source
from paper_figures.style import Drawing

HEAD = """# Findings

Made from the committed records by `docs/generate_findings.py` when this page was built: no number here was typed. The
rules were fixed before the reference run, after small pilots had shown which first drafts could not be decided.
`capsim verdict all` prints the same rows.
"""


def words(text: str) -> str:
    """Text that Markdown shows as it stands.

    Example:
        >>> words("J = L^(M*N), a|b, <i>")
        'J = L^(M\\\\*N), a\\\\|b, \\\\<i\\\\>'
    """
    return "".join("\\" + letter if letter in "\\`*_[]<>|#$" else letter for letter in text)


def verdict_table(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """One line a verdict: arm, verdict, what was estimated, effect, interval, trials."""
    lines = ["| arm | verdict | estimand | effect | interval | trials |", "|---|---|---|--:|---|--:|"]
    for row in verdicts:
        effect = "" if row["effect"] is None else f"{row['effect']:.3g}"
        low, high = row["interval"]
        interval = "" if low is None or high is None else f"[{low:.3g},\u00a0{high:.3g}]"  # on one line
        cells = [f"`{row['arm']}`", f"**{row['verdict']}**", words(row["estimand"]), effect, words(interval)]
        lines.append("| " + " | ".join([*cells, show(row["trials"])]) + " |")
    return "\n".join(lines)


WHY_NOT = """Why some do not beat the constant: the phantom's liver lies in one place up to a shift and a turn, so that
the mean shape is a strong answer there, and what looks at grey values alone (regression, discriminants, Chan-Vese,
max-flow) takes neighbours of equal grey for liver. Membranes stand about a lattice of cells; V_Rand merges two cells at
a single leak, which a constant lattice never has, and thresholded membranes have many."""


def margin_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every system against random labels and the best constant answer, in its phantom's primary metric."""
    lines = [
        "Each system on its own phantom with 64 training images, in the primary metric, and by how much it beats",
        "random answers and the best answer that is the same for every image (95% over seeds; bold: not shown to",
        "beat it).",
        "",
        "| system | phantom | score | less chance | less constant |",
        "|---|---|--:|---|---|",
    ]
    for row in rows:
        cells = [f"`{row['system']}`", row["phantom"], f"{row['score']:.3f}"]
        for name in ("chance", "constant"):
            text = f"{row[f'{name}_margin']:.3f} [{row[f'{name}_low']:.3f},\u00a0{row[f'{name}_high']:.3f}]"
            cells.append(words(text) if row[f"beats_{name}"] else f"**{words(text)}**")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", WHY_NOT]) + "\n"


def section(
    study: Study, verdicts: Sequence[Mapping[str, Any]], objection: Objection | None, figures: Sequence[Drawing]
) -> str:
    """The Markdown of one study."""
    parts = [f"## {study.name}", words(study.question), f"**Claim.** {words(study.claim)}"]
    parts.append(f"**The survey predicts** {words(study.survey_predicts)}. **The rival theory predicts** "
                 f"{words(study.rival_predicts)}.")  # fmt: skip
    if not verdicts:
        return "\n\n".join([*parts, "No verdict: the committed records have too few rows of this study."]) + "\n"
    parts.append(verdict_table(verdicts))
    parts.append("\n".join(f"- {words(row['sentence'])} *({words(row['power'])})*" for row in verdicts))
    for drawing in figures:
        picture = next(path for path in drawing.paths if path.suffix == ".png")
        width = "100%" if drawing.wide else "26rem"
        options = [f":alt: {drawing.alternative}", f":width: {width}", ":align: left"]
        lines = [f":::{{figure}} figures/{picture.name}", *options, "", words(drawing.caption), ":::"]
        parts.append("\n".join(lines))
    if objection is None:
        parts.append("**Strongest objection.** None has been written down yet.")
    else:
        answer = objection.control or "No control in this study answers it."
        parts.append(f"**Strongest objection.** {words(objection.objection)}")
        parts.append(f"**Control.** {words(answer)}")
    kind = "Primary study, 99% intervals." if study.primary else "Exploratory study, 95% intervals."
    parts.append(f":::{{admonition}} The rule\n{kind}\n\n{words(study.rule)}\n\n"
                 f"Hash of rule, judge and grids: `{verdicts[0]['rule_hash']}`\n:::")  # fmt: skip
    return "\n\n".join(parts) + "\n"


def write_findings(folder: Path) -> Path:
    """Write `findings.md` and its figures into a folder."""
    store, source = Store(COMMITTED), Source(Store(COMMITTED))
    sections = [HEAD]
    for name, study in STUDIES.items():
        rows = load(study, store).table
        names = [figure.name for figure in FIGURES.values() if figure.studies == (name,)]
        drawn = draw_figures(names, source, folder / "figures")[0] if rows.num_rows else []
        verdicts = judge_study(study, rows, store.ledger(name))
        sections.append(section(study, verdicts, OBJECTIONS.get(name), drawn))
        if name == "systems" and rows.num_rows:
            sections.append(margin_table(margins(to_columns(rows))))
    page = folder / "findings.md"
    page.write_text("\n".join(sections), encoding="utf-8")
    return page


if __name__ == "__main__":
    print(write_findings(Path(sys.argv[1])))
