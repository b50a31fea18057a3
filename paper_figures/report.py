"""The report: question, verdicts, figures, fitted laws and provenance as one HTML page that needs nothing else.

Everything that comes from records is text to be escaped; the page runs no script, loads nothing, and its content
security policy forbids both.
"""

import base64
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from experiments.console import show
from experiments.fitting import fit_study
from experiments.records import root_hash
from experiments.store import Store
from experiments.studies.registry import STUDIES
from experiments.synthesis.judge import judge
from experiments.tables import Selection
from experiments.verdicts import judge_study
from paper_figures.registry import FIGURES, draw_figures
from paper_figures.source import MissingRows, Source
from paper_figures.style import Drawing

MOST_UNFINISHED = 50  # diverged and failed trials that are listed one by one
SIGNS = {"supported": "✓", "refuted": "✗", "undecided": "?", "conditional": "±", "tampered": "!"}


def write_report(store: Store | None, out: Path, *, preset: str | None = None) -> Path:
    """Write `index.html` into the folder `out`, and the figures' files into `out/figures`.

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
    verdicts = _collect(
        held, notes, "judged", lambda name, rows: judge_study(STUDIES[name], rows.table, rows.store.ledger(name))
    )
    verdicts += judge(source.synthesis())
    fits = _collect(
        held, notes, "fitted", lambda name, rows: [{"study": name, **fit} for fit in fit_study(name, rows.table)]
    )
    page = _render(
        studies=[STUDIES[name] for name in held],
        notes=notes,
        verdicts=verdicts,
        tally=Counter(str(row["verdict"]) for row in verdicts),
        figures=[_embed(drawing) for drawing in drawn],
        fits=fits,
        provenance=[_provenance(name, selection) for name, selection in held.items()],
        downloads=[("verdicts.csv", _data_link(_to_csv(verdicts), "text/csv")),
                   ("fits.csv", _data_link(_to_csv(fits), "text/csv"))],
    )  # fmt: skip
    path = out / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def _collect(
    held: Mapping[str, Selection],
    notes: list[str],
    verb: str,
    work: Callable[[str, Selection], list[dict[str, Any]]],
) -> list[dict[str, Any]]:
    """Rows of all studies; rows too few for a rule or a fit give a note instead."""
    rows: list[dict[str, Any]] = []
    for study, selection in held.items():
        try:
            found = work(study, selection)
        except ValueError as error:
            notes.append(f"Study {study} could not be {verb} from these rows: {error}")
        else:
            rows += found
            if not found:
                notes.append(f"Study {study} could not be {verb}: the rows are too few.")
    return rows


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
    """Fill the template; the policy allows the page's own style by its hash, pictures inside the page, and no more."""
    environment = Environment(
        loader=PackageLoader("paper_figures"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["show"] = show
    style = environment.get_template("report.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    return environment.get_template("report.html").render(
        style=Markup(style),  # our own file, not data
        policy=policy,
        signs=SIGNS,
        **parts,
    )
