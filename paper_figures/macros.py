"""File `macros.tex`: a LaTeX macro for every number of the text, from the records, so that none is typed.

    \\input{figures/macros}      then      \\CodebookMlpRegEffect{} [\\CodebookMlpRegInterval]

A name is study, arm and, from the second verdict of an arm on, its number; digits are spelled. `macros.csv` lists names
and values.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.studies.registry import STUDIES
from experiments.synthesis.judge import Synthesis, judge
from experiments.verdicts import judge_study
from paper_figures.source import Source
from paper_figures.style import Drawing

NAME = "macros"
SUMMARY = "LaTeX macros for the numbers of the text: verdicts, misfits, effective outputs, laws"
DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def macro_name(*parts: str) -> str:
    """A name that TeX takes, letters alone: words joined with capitals, digits spelled.

    Example:
        >>> macro_name("grid", "mlp/dense+reg", "log J", "2")
        'GridMlpDenseRegLogJTwo'
    """
    spelled = re.sub(r"[0-9]", lambda m: f" {DIGITS[int(m.group())]} ", " ".join(parts))
    return "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z]+", spelled))


def number(value: float | None, digits: int = 3) -> str:
    """A number in three significant digits, in mathematics; a dash where there is none.

    Example:
        >>> number(-7.79e-05), number(0.2222), number(None)
        ('\\\\ensuremath{-7.79\\\\times 10^{-5}}', '\\\\ensuremath{0.222}', '--')
    """
    if value is None or not np.isfinite(value):
        return "--"
    text = f"{float(value):#.{digits}g}".rstrip(".")
    mantissa, _, exponent = text.partition("e")
    power = rf"\times 10^{{{int(exponent)}}}" if exponent else ""
    return rf"\ensuremath{{{mantissa}{power}}}"


def _verdict_macros(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    seen = Counter[str]()
    for row in rows:
        stem = macro_name(str(row["study"]), str(row.get("arm", "")))
        seen[stem] += 1
        stem += macro_name(str(seen[stem])) if seen[stem] > 1 else ""
        low, high = row["interval"]
        found |= {
            f"{stem}Verdict": str(row["verdict"]),
            f"{stem}Effect": number(row["effect"]),
            f"{stem}Low": number(low),
            f"{stem}High": number(high),
            f"{stem}Interval": f"[{number(low)}, {number(high)}]",
            f"{stem}Trials": str(row["trials"]),
        }
    return found


def _fit_macros(result: Synthesis) -> dict[str, str]:
    """Misfits of each variable, efficiency, counts of effective outputs, and the best law of each arm."""
    found: dict[str, str] = {}
    for row in result.collapses:
        unit = (row.unit.study, row.unit.arm, row.unit.setting, row.metric)
        found[macro_name("Misfit", *unit, row.variable.replace("/", " over "))] = number(row.misfit.rms)
        if row.best:
            found[macro_name("Misfit", *unit, "Best")] = row.variable
        if row.variable == "z":
            found[macro_name("Kappa", *unit)] = number(row.kappa)
    for key in dict.fromkeys((row.unit.study, row.unit.arm) for row in result.effective):
        own = [row for row in result.effective if (row.unit.study, row.unit.arm) == key]
        found[macro_name("Effective", *key, "Tasks")] = str(len(own))
        found[macro_name("Effective", *key, "Having")] = str(sum(row.exists for row in own))
    for law in result.laws:
        name = ("Law", law.study, law.arm, law.metric)
        found[macro_name(*name, "Best")] = law.best.replace("_", " ")
        found[macro_name(*name, "Error")] = number(law.errors[law.best])
    return found


def make_macros(source: Source) -> dict[str, str]:
    """Name -> text of all macros.

    Raises:
        MissingRows: a study has no rows; it is named.
        ValueError: two numbers would have one name, or rows are too few for a study's rule.
    """
    verdicts: list[dict[str, Any]] = []
    for name, study in STUDIES.items():
        source.columns(name)  # names the study if it has no rows
        selection = source.selection(name)
        verdicts += judge_study(study, selection.table, selection.store.ledger(name))
    result = source.synthesis()
    first, second = _verdict_macros([*verdicts, *judge(result)]), _fit_macros(result)
    if both := sorted(set(first) & set(second)):
        raise ValueError(f"macros must have one meaning each, got {both[0]} twice")
    return first | second


def draw(source: Source, out: Path) -> Drawing:
    """Write `macros.tex` and `macros.csv` into the folder `out`."""
    found = make_macros(source)
    lines = [
        "% Written by `capsim figures macros`: do not edit.",
        *(rf"\newcommand{{\{n}}}{{{t}}}" for n, t in found.items()),
    ]
    paths = tuple(out / f"{NAME}.{kind}" for kind in ("tex", "csv"))
    paths[0].write_text("\n".join(lines) + "\n", encoding="utf-8")
    with open(paths[1], "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["macro", "text"])
        writer.writerows(found.items())
    return Drawing(NAME, paths, "The numbers of the text as LaTeX macros.", "A list of names and numbers.", False)
