"""`capsim synthesis`: what the records of all studies say together of the survey's capacity theorem."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from experiments.commands.options import Json, ReadPreset, ReadStore, load_rows, registry
from experiments.console import print_json, print_table, warn
from experiments.factors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa


def held_tables(store: str | None, preset: str | None) -> "tuple[dict[str, pa.Table], str]":
    """The rows of all studies that have some, and where they come from.

    Raises:
        UsageError: no study has rows, or none has such a preset.
    """
    from experiments.tables import ALL

    studies = registry("studies")
    names = [name for name in studies if preset in (None, ALL) or preset in studies[name].presets] or list(studies)
    selections = {name: load_rows(name, store, preset) for name in names}
    held = {name: selection for name, selection in selections.items() if selection.table.num_rows}
    if not held:
        raise UsageError(f"a study must have rows: {selections[names[0]].name} has none; `capsim run STUDY` makes them")
    origin = ", ".join(dict.fromkeys(selection.name for selection in held.values()))
    return {name: selection.table for name, selection in held.items()}, origin


def synthesis(
    *,
    page: Annotated[
        str | None,
        arg(metavar="FILE", help_behavior_hint="", help="write the numbers between the markers of this page"),
    ] = None,
    preset: ReadPreset = None,
    store: ReadStore = None,
    json: Json = False,
) -> int:
    """Judge the capacity conjecture over the records of all studies: variables, effective outputs, laws.

    Reads what is there and trains nothing; less than a minute. docs/capacity.md is written by --page.

    Example: capsim synthesis --page docs/capacity.md
    """
    path = None if page is None else Path(page)
    if path is not None and not path.is_file():
        raise UsageError(f"page must be a file with markers, got {page}")
    tables, origin = held_tables(store, preset)
    from experiments.synthesis.collapses import collapse_rows
    from experiments.synthesis.effective import effective_rows
    from experiments.synthesis.judge import judge, synthesise
    from experiments.synthesis.laws import law_rows
    from experiments.synthesis.page import blocks, fill

    result = synthesise(tables)
    for note in result.notes:
        warn(note)
    verdicts = judge(result)
    if path is not None:
        try:
            path.write_text(fill(path.read_text(encoding="utf-8"), blocks(result)), encoding="utf-8")
        except ValueError as error:
            raise UsageError(f"{page}: {error}") from None
    found: dict[str, Any] = {
        "verdicts": verdicts,
        "variables": collapse_rows(result.collapses),
        "effective_outputs": effective_rows(result.effective),
        "laws": law_rows(result.laws),
        "notes": result.notes,
        "store": origin,
    }
    if json:
        print_json(found)
        return 0
    shown = ("study", "arm", "setting", "metric", "variable", "misfit", "interval", "inside", "cells")
    print_table([row for row in found["variables"] if row["tied"]], shown, title="variables that no other beats")
    names = ("study", "arm", "distribution", "pixels", "labels", "log2_outputs", "label_entropy_bits",
             "log2_effective", "measured", "predicted", "exists")  # fmt: skip
    print_table(found["effective_outputs"], names, title="effective numbers of outputs")
    print_table(found["laws"], title="laws on the largest J and I, held out")
    for row in verdicts:
        print(f"{row['study']} {row['arm']}, {row['verdict']}: {row['sentence']}")
    return 0
