"""Commands on one trial: `capsim why`, which field made it new, and `capsim replay`, which runs it once more."""

from collections.abc import Sequence
from typing import Annotated, Any

from tyro.conf import Positional, arg

from experiments.commands.options import (
    Json,
    ReadPreset,
    ReadStore,
    Seeds,
    Sets,
    find_study,
    load_rows,
    parse_sets,
    start_jax,
)
from experiments.console import print_facts, print_json, print_table
from experiments.explaining import Found, explain, find_trial

TrialName = Annotated[str, arg(metavar="TRIAL", help="an identity, or the start of one")]
OfStudy = Annotated[str, arg(metavar="STUDY", help="the study it belongs to, from `capsim list studies`")]


def _find(
    trial: str, study: str, preset: str | None, store: str | None, sets: Sequence[str], seeds: int | None
) -> tuple[Found, list[Any], list[Any], str]:
    """The trial, the plan, the stored rows, and the name of their store."""
    from experiments.tables import ALL

    every = load_rows(study, store, ALL)
    planned = load_rows(study, store, preset, sets, seeds) if preset != ALL else every
    trials, rows = planned.trials or [], every.table.to_pylist()
    return find_trial(trial, trials, rows), trials, rows, every.name


def why(
    trial: Positional[TrialName],
    *,
    study: OfStudy,
    preset: ReadPreset = None,
    store: ReadStore = None,
    sets: Sets = (),
    seeds: Seeds = None,
    json: Json = False,
) -> int:
    """Say which field made a trial new: what tells it from the nearest stored one (or, of a stored one that is in no
    plan, from the nearest planned one); of a trial that is both, say its fields.

    Example: capsim why 3f2a9c --study codebook --preset laptop
    """
    find_study(study), parse_sets(sets)
    found, trials, rows, name = _find(trial, study, preset, store, sets, seeds)
    result = explain(found, trials, rows)
    if json:
        differs = {field: {"here": here, "there": there} for field, (here, there) in result["differs"].items()}
        print_json({**result, "differs": differs, "store": name})
        return 0
    where = "stored and planned" if result["stored"] and result["planned"] else "stored" if result["stored"] else "new"
    print_facts({"trial": found.identity, "arm": found.trial.arm, "state": where, "status": result["status"],
                 "reason": result["reason"], "store": name})  # fmt: skip
    if result["nearest"] is not None:
        side = "planned" if result["stored"] else "stored"
        lines = [{"field": field, "here": here, "there": there} for field, (here, there) in result["differs"].items()]
        print_table(
            lines, ("field", "here", "there"), title=f"against the nearest {side} trial {result['nearest'][:12]}"
        )
    else:
        print_facts(result["fields"])
    return 0


def replay(
    trial: Positional[TrialName],
    *,
    study: OfStudy,
    preset: ReadPreset = None,
    store: ReadStore = None,
    sets: Sets = (),
    seeds: Seeds = None,
    json: Json = False,
) -> int:
    """Run one trial again by itself and show it beside its stored row; of a diverged one, the path of its loss.

    Nothing is stored. Exit code 1: it fails, or contradicts the stored row beyond the tolerance.

    Example: capsim replay 3f2a9c --study codebook
    """
    find_study(study), parse_sets(sets)
    found, _, _, name = _find(trial, study, preset, store, sets, seeds)
    start_jax()
    from experiments.replaying import compare, contradiction
    from experiments.replaying import replay as run_again

    again, stored = run_again(study, found.trial), found.row
    wrong = contradiction(stored, again.row) if stored is not None else None
    if json:
        print_json({"identity": found.identity, "stored": stored, "replayed": again.row, "contradiction": wrong,
                    "losses": again.losses, "store": name})  # fmt: skip
    else:
        print_facts({"trial": found.identity, "arm": found.trial.arm, "store": name})
        print_table(compare(stored or {}, again.row))
        if again.losses:
            print_table([{"step": step, "loss": loss} for step, loss in again.losses], title="loss until it diverged")
        if stored is not None:
            print(f"contradicts the stored row: {wrong}" if wrong else "agrees with the stored row within tolerance")
    return int(wrong is not None or again.row["status"] == "failed")
