"""Commands that train: `capsim run`, `tune`, `bench`; and `status`, which says what a run would still train."""

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from experiments.commands.options import (
    EngineName,
    Json,
    ReadPreset,
    ReadStore,
    Scheduler,
    Seeds,
    Sets,
    StudyName,
    Workers,
    WriteStore,
    find_study,
    load_rows,
    open_store,
    parse_sets,
    start_jax,
    writable_folder,
)
from experiments.console import ProgressLine, duration, plain, print_facts, print_json, print_table, warn
from experiments.engines import check_engine, open_engine
from experiments.factors import UsageError

if TYPE_CHECKING:
    from experiments.tables import Selection


def run(
    study: Positional[StudyName],
    *,
    preset: Annotated[str, arg(metavar="PRESET", help="smoke, laptop or paper")] = "smoke",
    store: WriteStore = None,
    sets: Sets = (),
    seeds: Seeds = None,
    engine: EngineName = "local",
    scheduler: Scheduler = None,
    workers: Workers = None,
    dry_run: Annotated[bool, arg(help="say what would be done, and do nothing")] = False,
    json: Json = False,
) -> int:
    """Run what is missing of a study. May be killed at any time and started again.

    Example: capsim run codebook --preset smoke --set outputs=4,16 --set noise=1,2 --seeds 4
    """
    from experiments.store import writing_store

    found, overrides = find_study(study), parse_sets(sets)
    check_engine(engine, scheduler, workers)
    found.trials(preset, overrides, seeds)  # refuses what is wrong before anything is loaded or written
    target = open_store(store) or writing_store()
    if dry_run:
        start_jax()
        from experiments.cost import plan
        from experiments.runner import make_batches

        planned = plan(found, preset, target, overrides, seeds, make_batches)
        (print_json if json else print_facts)(planned)
        return 0
    target.check_writable()
    if engine == "local":
        start_jax()  # elsewhere the workers start it, and this process leaves the devices to them
    from experiments.runner import run_study

    with open_engine(engine, scheduler, workers) as opened, ProgressLine() as progress:
        summary = run_study(found, preset, target, overrides, seeds, progress=progress, engine=opened)
    (print_json if json else print_facts)(summary)
    if not summary["failed"]:
        return 0
    _name_failures(load_rows(study, str(target), preset, sets, seeds))
    return 1


def _name_failures(selection: "Selection") -> None:
    failed = [row for row in selection.table.to_pylist() if row["status"] == "failed"]
    for row in failed[:10]:
        warn(f"trial {row['identity'][:12]} ({row['arm']}, seed {row['seed']}) failed: {row['reason']}")
    if len(failed) > 10:
        warn(f"and {len(failed) - 10} more trials failed: `capsim export` has them all")


def status(
    study: Positional[StudyName],
    *,
    preset: ReadPreset = None,
    store: ReadStore = None,
    sets: Sets = (),
    seeds: Seeds = None,
    json: Json = False,
) -> int:
    """Count what is done, pending and failed, and estimate the time that is left.

    Example: capsim status codebook --preset smoke --store store
    """
    selection = load_rows(study, store, preset, sets, seeds, ("identity", "arm", "status", "seconds"))
    if selection.trials is None:
        find_study(study).sweeps(selection.preset)  # "all" is no plan, so nothing can be pending: says so
    states = selection.table["status"].to_pylist()
    done, failed = len(states) - states.count("failed"), states.count("failed")
    summary = {
        "study": study,
        "preset": selection.preset,
        "done": done,
        "pending": len(selection.trials or ()) - len(states),
        "failed": failed,
        "diverged": states.count("diverged"),
        "seconds_left": _seconds_left(selection),
        **_last_run(selection, study),
        "store": selection.name,
    }
    if json:
        print_json(summary)
    else:
        left = summary["seconds_left"]
        print_facts({**summary, "seconds_left": "unknown" if left is None else f"about {duration(left)}"})
    return 0


def _last_run(selection: "Selection", study: str) -> dict[str, float | None]:
    """Seconds of the preset's last full run, as they were predicted and as they were; None where none is known."""
    runs = [entry for entry in selection.store.ledger(study) if entry.get("preset") == selection.preset]
    last = runs[-1] if runs else {}
    return {"last_run_predicted_seconds": last.get("predicted_seconds"), "last_run_seconds": last.get("seconds")}


def _seconds_left(selection: "Selection") -> float | None:
    """Trained trials: mean seconds of the finished ones of their arm, or of all arms; measured ones, which take a core
    each: what their family foretells, at the pace of the finished ones."""
    from experiments.cache import num_cores
    from experiments.families.registry import predicted_measuring

    rows = selection.table.select(["identity", "arm", "status", "seconds"]).to_pylist()
    taken = {row["identity"]: row["seconds"] for row in rows if row["status"] != "failed"}
    trials = selection.trials or ()
    finished = [trial for trial in trials if taken.get(trial.identity) is not None]
    left = [trial for trial in trials if trial.identity not in taken]
    if not left:
        return 0.0
    measured = [trial for trial in finished if trial.is_measured]
    pace = sum(taken[trial.identity] for trial in measured) / predicted_measuring(measured) if measured else 1.0
    seconds = pace * predicted_measuring(left) / num_cores()
    spent: dict[str, list[float]] = {}
    for trial in finished:
        if not trial.is_measured:
            spent.setdefault(trial.arm, []).append(taken[trial.identity])
    every = [one for arm in spent.values() for one in arm]
    arms = [trial.arm for trial in left if not trial.is_measured]
    if arms and not every:
        return None
    return seconds + sum(sum(spent.get(arm, every)) / len(spent.get(arm, every)) for arm in arms)


def tune(study: Positional[StudyName], *, store: WriteStore = None, json: Json = False) -> int:
    """Choose a study's training recipes by validation, on seeds that no result uses.

    Example: capsim tune codebook
    """
    from experiments.store import writing_store

    found, target = find_study(study), open_store(store) or writing_store()
    target.check_writable()
    start_jax()
    if study == "systems":
        from experiments.searching import search

        with open_engine("local", None, None) as opened, ProgressLine() as progress:
            path = search(target, progress, opened)
    else:
        from experiments.recipes import tune as tune_study

        path = tune_study(found, target)
    (print_json if json else print_facts)({"study": study, "recipes": str(path)})
    return 0


def calibrate(
    *,
    out: Annotated[str, arg(metavar="FILE", help="file to write, .json")] = "calibration.json",
    repetitions: Annotated[int, arg(metavar="N", help="simulated studies for each law and number of seeds")] = 400,
    json: Json = False,
) -> int:
    """Measure whether intervals cover what they claim: planted laws, and predictions on the committed results.

    About seven minutes on two cores.

    Example: capsim calibrate --out calibration.json
    """
    if repetitions < 2:
        raise UsageError(f"repetitions must be >= 2, got {repetitions}")
    path = Path(out)
    if path.suffix != ".json":
        raise UsageError(f"out must end in .json, got {out}")
    writable_folder(str(path.parent))
    from experiments.backtest import STUDIES, backtest_study, summarise_backtest
    from experiments.calibration import calibrate as measure
    from experiments.calibration import outside

    rows = {name: backtest_study(name, load_rows(name, None, None).table) for name in STUDIES}
    predictions = {
        name: {"held": sum(row["held"] for row in found), "cells": len(found), "arms": summarise_backtest(found)}
        for name, found in rows.items()
    }
    result = {"predictions": predictions} | measure(
        repetitions, progress=lambda line: print(line, file=sys.stderr, flush=True)
    )
    path.write_text(dumps(result, indent=1) + "\n")
    if json:
        print_json(result)
    else:
        print_table(result["rows"], title=f"coverage of {result['level']:.0%} intervals")
        for name, found in predictions.items():
            print_table(found["arms"], title=f"{name}: predictions beyond J = 64 and I = 1024, {found['held']} of "
                        f"{found['cells']} intervals held")  # fmt: skip
        print_facts({"rejected true collapses": result["collapse_test"], "outside 92-98%": len(outside(result))})
    return 0


def bench(
    *,
    quick: Annotated[bool, arg(help="about a minute, one round, no cost curves; too noisy to quote")] = False,
    out: Annotated[
        str | None, arg(metavar="DIR", help_behavior_hint="", help="folder for bench.json and the figure")
    ] = None,
    json: Json = False,
) -> int:
    """Measure speed beside what a user would write otherwise, in one run of at most eight minutes.

    Example: capsim bench --out bench
    """
    folder = None if out is None else writable_folder(out)
    from benchmarks.table import run_benchmarks

    result = run_benchmarks(lambda line: print(line, file=sys.stderr, flush=True), quick)
    if folder is not None:
        (folder / "bench.json").write_text(dumps(plain(result), indent=1) + "\n")
        from paper_figures.bench import draw

        draw(result, folder)
    if json:
        print_json(result)
    else:
        from benchmarks.summary import facts, rows_of

        for title, rows in rows_of(result).items():
            print_table(rows, title=title)
        print_facts(facts(result))
    return 0
