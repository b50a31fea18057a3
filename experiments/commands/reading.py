"""Commands that only read results: `capsim export`, `fit`, `verdict`, `figures`, `report`."""

from typing import Annotated, Any

from tyro.conf import Positional, arg

from experiments.commands.options import (
    DataColumns,
    DataFile,
    DataGroup,
    FitStudy,
    Json,
    ReadPreset,
    ReadStore,
    Seeds,
    Sets,
    StudyName,
    find_study,
    load_own,
    load_rows,
    need_rows,
    open_store,
    registry,
    writable_folder,
)
from experiments.console import print_facts, print_json, print_table, warn
from experiments.factors import UsageError


def export(
    study: Positional[StudyName],
    *,
    out: Annotated[str, arg(metavar="FILE", help="file to write, .csv or .parquet")],
    preset: Annotated[str, arg(metavar="PRESET", help="rows of one preset; by default all rows")] = "all",
    store: ReadStore = None,
    sets: Sets = (),
    seeds: Seeds = None,
    json: Json = False,
) -> int:
    """Write the tidy table, one row a trial. The ranks of single test items are lists, which only .parquet holds.

    Example: capsim export codebook --out codebook.csv
    """
    if not out.endswith((".csv", ".parquet")):
        raise UsageError(f"out must end in .csv or .parquet, got {out}")
    selection = need_rows(load_rows(study, store, preset, sets, seeds), study)
    try:
        if out.endswith(".csv"):
            from pyarrow import csv

            from experiments.records import RANK_COLUMNS, spread

            csv.write_csv(spread(selection.table.drop_columns(list(RANK_COLUMNS))), out)
        else:
            from pyarrow import parquet

            from experiments.records import spread

            parquet.write_table(spread(selection.table), out)
    except OSError as error:
        raise UsageError(f"out must be a file that can be written, got {out} ({error.strerror or error})") from None
    summary = {"study": study, "rows": selection.table.num_rows, "out": out, "store": selection.name}
    (print_json if json else print_facts)(summary)
    return 0


def fit(
    study: Positional[FitStudy] = None,
    *,
    data: DataFile = None,
    columns: DataColumns = None,
    group: DataGroup = None,
    preset: ReadPreset = None,
    store: ReadStore = None,
    sets: Sets = (),
    seeds: Seeds = None,
    json: Json = False,
) -> int:
    """Fit the accuracy-versus-output laws to a study's results, or to a table of your own.

    Example: capsim fit codebook

    With a table: capsim fit --data mine.csv --columns inputs=n,outputs=classes,accuracy=top1,seed=run --group model
    """
    groups = load_own(data, columns, group, study, preset=preset, store=store, set=sets, seeds=seeds)
    try:
        if groups is not None:
            from experiments.fitting import fit_own

            name, title, fits = str(data), f"from {data}", fit_own(groups)
            origin: dict[str, Any] = {"study": None, "data": data, "fits": fits, "store": None}
        else:
            name = str(study)
            selection = need_rows(load_rows(name, store, preset, sets, seeds), name)
            from experiments.fitting import fit_study

            fits = fit_study(name, selection.table)
            title = f"{name}, {selection.preset}, from {selection.name}"
            origin = {"study": study, "fits": fits, "store": selection.name}
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{data or study} cannot be fitted to these rows: {error}") from None
    if not fits:
        warn(f"{name}: no arm has cells enough to tell laws apart")
    if json:
        print_json(origin)
    else:
        shown = [
            {**entry, "parameters": {name: p["value"] for name, p in entry["parameters"].items()}} for entry in fits
        ]
        print_table(shown, title=title)
    return 0


def verdict(
    study: Annotated[Positional[str], arg(metavar="STUDY|all", help="a name from `capsim list studies`, or all")],
    *,
    preset: ReadPreset = None,
    store: ReadStore = None,
    json: Json = False,
) -> int:
    """Judge the survey's claims by each study's own rule, fixed before the run.

    With all, the capacity conjecture is judged too, over the records of all studies (`capsim synthesis`).

    Example: capsim verdict all
    """
    from experiments.tables import ALL

    names = [study]
    if study == "all":
        studies = registry("studies")
        names = [name for name in studies if preset in (None, ALL) or preset in studies[name].presets] or list(studies)
    selections = {name: load_rows(name, store, preset) for name in names}
    held = {name: selection for name, selection in selections.items() if selection.table.num_rows}
    if not held and study != "all":
        need_rows(selections[study], study)
    if not held:
        raise UsageError(f"a study must have rows: {selections[names[0]].name} has none; `capsim run STUDY` makes them")
    for name in names:
        if name not in held:
            warn(f"{name} has no rows in {selections[name].name}, no verdict")
    from experiments.verdicts import judge_study

    verdicts: list[dict[str, Any]] = []
    for name, selection in held.items():
        try:
            found = judge_study(find_study(name), selection.table, selection.store.ledger(name))
        except ValueError as error:
            warn(f"{name} cannot be judged from these rows: {error}")
        else:
            verdicts += found
            if not found:
                warn(f"{name} has too few rows for its rule, no verdict")
    if study == "all":
        from experiments.synthesis.judge import judge, synthesise

        verdicts += judge(synthesise({name: selection.table for name, selection in held.items()}, judged_only=True))
    origin = ", ".join(dict.fromkeys(selection.name for selection in held.values()))
    if json:
        print_json({"verdicts": verdicts, "store": origin})
    else:
        shown = ("study", "arm", "verdict", "estimand", "effect", "interval", "trials")
        print_table(verdicts, shown, title=f"from {origin}")
        for row in verdicts:
            print(f"{row['study']}: {row['sentence']}")
    return 0


def figures(
    name: Annotated[Positional[str], arg(metavar="NAME|all", help="a name from `capsim list figures`, or all")],
    *,
    out: Annotated[str, arg(metavar="DIR", help="folder to write to")] = "figures",
    preset: ReadPreset = None,
    store: ReadStore = None,
    json: Json = False,
) -> int:
    """Draw figures from stored results; nothing is trained.

    Example: capsim figures all --out figures
    """
    known = registry("figures")
    if name != "all" and name not in known:
        raise UsageError(f"figure must be all or one of {', '.join(known)}, got {name!r}")
    folder = writable_folder(out)
    from paper_figures.registry import write_figures

    paths = write_figures(list(known) if name == "all" else [name], open_store(store), folder, preset=preset)
    if json:
        print_json({"figures": [str(path) for path in paths]})
    else:
        print("\n".join(str(path) for path in paths))
    return 0


def report(
    *,
    out: Annotated[str, arg(metavar="DIR", help="folder to write to")] = "report",
    preset: ReadPreset = None,
    store: ReadStore = None,
    json: Json = False,
) -> int:
    """Write the report: verdicts, fits and figures as one HTML page.

    Example: capsim report --out report
    """
    folder = writable_folder(out)
    from paper_figures.report import write_report

    path = write_report(open_store(store), folder, preset=preset)
    if json:
        print_json({"report": str(path)})
    else:
        print(path)
    return 0
