"""The report: question, verdicts, figures, explorer, fitted laws and provenance as one page that needs nothing else.

Everything that comes from records is text to be escaped. The page runs one script, its own, and loads nothing; its
content security policy allows no more.
"""

import base64
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from experiments.console import plain, show
from experiments.records import root_hash
from experiments.store import Store
from experiments.studies.registry import STUDIES
from experiments.synthesis.judge import judge
from experiments.tables import Selection, write_csv
from experiments.verdicts import judge_study
from paper_figures.explorer import KEYS, make_curves, to_json, to_rows
from paper_figures.laws import FittedArm, fit_studies
from paper_figures.registry import FIGURES, draw_figures
from paper_figures.sections import make_sections
from paper_figures.source import MissingRows, Source
from paper_figures.style import Drawing

MOST_UNFINISHED = 50  # diverged and failed trials that are listed one by one
CHOICES = ("Study", "Learner", "Head", "Task", "Noise", "Score", "Images I")  # labels of the explorer's `KEYS`
SIGNS = {"supported": "✓", "refuted": "✗", "undecided": "?", "conditional": "±", "tampered": "!"}


def write_report(store: Store | None, out: Path, *, preset: str | None = None) -> Path:
    """Write `index.html` into the folder `out`, the figures' files into `out/figures`, whole tables into `out/tables`.

    Laws are fitted in processes of their own, so a script of yours that calls this needs `if __name__ == "__main__":`.

    Args:
        store: where the rows are; by default `$CAPSIM_STORE` if it holds the study, else the committed results.
        out: the folder.
        preset: as for `experiments.tables.load`.

    Returns:
        the path of the page.

    Raises:
        UsageError: no such preset, or not one study has rows.
    """
    source = Source(store, preset)
    selections = {name: source.selection(name) for name in STUDIES}
    held = {name: selection for name, selection in selections.items() if selection.table.num_rows}
    if not held:
        raise MissingRows(f"report must have the rows of a study: {selections['codebook'].name} holds none; "
                          "`capsim run STUDY` makes them")  # fmt: skip
    notes = [f"Study {name} has no rows in {selections[name].name}, preset {selections[name].preset}: no verdict, no "
             "fit, no figure." for name in STUDIES if name not in held]  # fmt: skip
    drawn, missing = draw_figures([name for name in FIGURES if FIGURES[name].picture], source, out / "figures")
    notes += [f"Figure {name} is left out: {reason}" for name, reason in missing.items()]
    verdicts = _judge(held, notes) + judge(source.synthesis())
    fitted = _fit(held, notes)
    sections = make_sections(held, verdicts, [drawing.name for drawing in drawn])
    first = [row for section in sections for row in section.first]
    fits = [{"study": arm.study, **row} for arm in fitted for row in arm.rows]
    curves = make_curves({name: source.columns(name) for name in held}, fitted)
    page = _render(
        notes=notes,
        sections=sections,
        tallies=[Counter(str(row["verdict"]) for row in rows) for rows in (first, verdicts)],
        figures=[_embed(drawing) for drawing in drawn],
        explorer=htmlsafe_json_dumps(plain(to_json(curves)), allow_nan=False, separators=(",", ":")),
        explorer_choices=list(zip(KEYS, CHOICES, strict=True)) if curves else [],
        fits={study: list(rows) for study, rows in groupby(fits, key=lambda row: row["study"])},
        provenance=[_provenance(name, selection) for name, selection in held.items()],
        tables=[_write_table(name, selection, out / "tables") for name, selection in held.items()],
        downloads=[("verdicts.csv", _data_link(_to_csv(verdicts), "text/csv"), "every verdict"),
                   ("fits.csv", _data_link(_to_csv(fits), "text/csv"), "every fitted law"),
                   ("explorer.csv", _data_link(_to_csv(to_rows(curves)), "text/csv"), "every curve of the explorer")],
    )  # fmt: skip
    path = out / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def _judge(held: Mapping[str, Selection], notes: list[str]) -> list[dict[str, Any]]:
    """Verdicts of all studies; rows too few for a rule give a note instead."""
    verdicts: list[dict[str, Any]] = []
    for study, selection in held.items():
        try:
            found = judge_study(STUDIES[study], selection.table, selection.store.ledger(study))
        except ValueError as error:
            notes.append(f"Study {study} could not be judged from these rows: {error}")
        else:
            verdicts += found
            if not found:
                notes.append(f"Study {study} could not be judged: the rows are too few.")
    return verdicts


def _fit(held: Mapping[str, Selection], notes: list[str]) -> list[FittedArm]:
    """Laws of all studies; rows too few for a fit or its curve give a note instead."""
    fitted, reasons = fit_studies({study: selection.table for study, selection in held.items()})
    notes += [f"Study {study} could not be fitted from these rows: {reason}" for study, reason in reasons.items()]
    others = [study for study in held if study not in reasons and not any(arm.study == study for arm in fitted)]
    if others:
        notes.append("No law of accuracy against J is fitted where J and I are varied in fewer than six cells: "
                     f"{', '.join(others)}.")  # fmt: skip
    for arm in fitted:
        if arm.reason:
            what = "followed over J" if arm.rows else "fitted"
            notes.append(f"Arm {arm.arm} of study {arm.study}, {arm.metric}, could not be {what}: {arm.reason}")
    return fitted


def _write_table(study: str, selection: Selection, folder: Path) -> dict[str, Any]:
    """Write a study's whole table beside the page."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{study}.csv"
    write_csv(selection.table, path)
    size = f"{max(path.stat().st_size // 1000, 1)} kB"
    return {"study": study, "path": f"tables/{study}.csv", "rows": selection.table.num_rows, "size": size}


def _provenance(study: str, selection: Selection) -> dict[str, Any]:
    """Where a study's rows come from, what is missing among them, and what did not finish."""
    table = selection.table
    status = Counter(table["status"].to_pylist())
    rows = table.select(["identity", "arm", "seed", "status", "reason"]).to_pylist()
    unfinished = [row for row in rows if row["status"] != "ok"]
    return {
        "study": study,
        "store": selection.name,
        "preset": selection.preset,
        "planned": len(selection.trials) if selection.trials is not None else table.num_rows,
        "stored": table.num_rows,
        "diverged": status["diverged"],
        "failed": status["failed"],
        "root_hash": root_hash(table),
        **{name: _distinct(table[name].to_pylist()) for name in ("versions", "device", "commit")},
        "ledger": selection.store.ledger(study),
        "problems": selection.problems,
        "unfinished": unfinished[:MOST_UNFINISHED],
        "more_unfinished": max(len(unfinished) - MOST_UNFINISHED, 0),
    }


def _distinct(values: Sequence[str | None]) -> list[str]:
    return sorted({value or "unknown" for value in values})


def _embed(drawing: Drawing) -> dict[str, Any]:
    """A figure with its picture and its numbers inside the page."""
    files = {path.suffix[1:]: path for path in drawing.paths}
    return {
        "name": drawing.name,
        "summary": FIGURES[drawing.name].summary,
        "caption": drawing.caption,
        "alternative": drawing.alternative,
        "wide": drawing.wide,
        "picture": _data_link(files["svg"].read_bytes(), "image/svg+xml"),
        "numbers": _data_link(files["csv"].read_bytes(), "text/csv"),
    }


def _data_link(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _to_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as CSV; text that a spreadsheet would run as a formula is marked as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer.writerow(names)
    for row in rows:
        cells = [row.get(name) for name in names]
        shown = [cell if isinstance(cell, (int, float)) else show(cell) for cell in cells]
        writer.writerow(["'" + c if isinstance(c, str) and c.startswith(("=", "+", "-", "@")) else c for c in shown])
    return text.getvalue().encode()


def _render(**parts: Any) -> str:
    """Fill the template; the policy allows the page's own style and script by their hashes, pictures inside the page,
    and no more."""
    environment = Environment(
        loader=PackageLoader("paper_figures"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["show"] = show
    style, script = _own("report.css") + _own("explorer.css"), _own("explorer.js")
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    return environment.get_template("report.html").render(
        style=Markup(style),  # our own files, not data
        script=Markup(script),
        policy=policy,
        signs=SIGNS,
        **parts,
    )


def _own(name: str) -> str:
    """A file of the templates that is no template."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
