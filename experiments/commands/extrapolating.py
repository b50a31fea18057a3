"""`capsim extrapolate`: more classes than were seen, told from one trained network and held against what is known."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from experiments.commands.options import Json, ReadPreset, ReadStore, StudyName, load_rows, need_rows, start_jax
from experiments.console import duration, print_json, print_table, warn
from experiments.factors import UsageError

if TYPE_CHECKING:
    from experiments.rescoring import Rescored

RETRAINED = 2  # trials of each cell that are trained once more: see docs/decisions.md for their time


def _retrain(rows: "Sequence[dict[str, Any]]", number: int) -> "list[tuple[dict[str, Any], Rescored]]":
    """The first trials of each cell, trained once more, each after its stored row.

    Says on standard error whether their ranks are the stored ones, and names each trial whose ranks are not.
    """
    if number == 0:
        return []
    start_jax()
    from experiments.rescoring import choose_rows, rescore

    chosen = choose_rows(rows, number)
    warn(f"training {len(chosen)} trials once more, for the scores of all classes")
    pairs = list(zip(map(dict, chosen), rescore(chosen), strict=True))
    for row, found in pairs:
        if found.problem:
            left_out = "" if found.row else "; left out"
            warn(f"trial {row['identity'][:12]} differs from what is stored: {found.problem}{left_out}")
    if not any(found.problem for _, found in pairs):
        least = min(found.same_ranks for _, found in pairs)
        warn(f"their ranks are the stored ones within tolerance, equal for {least:.2%} of each trial's items or more")
    return pairs


def _described(pairs: "Sequence[tuple[dict[str, Any], Rescored]]") -> list[dict[str, Any]]:
    """What a retrained trial is beside its stored ranks, for the output."""
    names = ("same_ranks", "shift", "accuracy_change", "problem")
    return [
        {**{name: row[name] for name in ("identity", "arm", "inputs", "outputs", "seed")},
         **{name: getattr(found, name) for name in names}}
        for row, found in pairs
    ]  # fmt: skip


def extrapolate(
    study: Positional[StudyName],
    *,
    estimator: Annotated[
        str | None, arg(metavar="NAME", help_behavior_hint="", help="one way to extrapolate; by default all of them")
    ] = None,
    scores: Annotated[
        int | None,
        arg(
            metavar="N",
            help_behavior_hint=f"(default: {RETRAINED} where an estimator needs them)",
            help="trials of each cell trained once more for the scores of all classes; 0: stored ranks only",
        ),
    ] = None,
    subsets: Annotated[int, arg(metavar="N", help="random sets of classes, for each trial and size")] = 2,
    resamples: Annotated[int, arg(metavar="N", help="replicates behind each interval, at least 20")] = 20,
    preset: ReadPreset = None,
    store: ReadStore = None,
    json: Json = False,
) -> int:
    """Tell the accuracy on all J classes from k of them, and score it; reads the trials that kept their ranks.

    A trained network is restricted to k of its classes, not trained anew on them. Ranks of all trials are read;
    estimators that need scores (kde, reversed_roc) see a few trials that are trained once more and held against their
    stored ranks. A minute or two with all estimators, seconds with skew_probit or mixture.

    Example: capsim extrapolate codebook --estimator skew_probit
    """
    import time

    if scores is not None and scores < 0:
        raise UsageError(f"scores must be >= 0, got {scores}")
    selection = need_rows(load_rows(study, store, preset), study)
    from experiments.extrapolating import RANK_ESTIMATORS, ranked_rows, score_extrapolation
    from sim.analysis.extrapolation import ESTIMATORS

    if estimator is not None and estimator not in ESTIMATORS:
        raise UsageError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")
    rows = ranked_rows(selection.table)
    if not rows:
        raise UsageError(
            f"study must have trials that kept their ranks: {selection.name} has none of {study}, preset "
            f"{selection.preset}; `capsim run {study} --preset laptop` makes them where the study has some"
        )
    pairs = _retrain(rows, scores if scores is not None else 0 if estimator in RANK_ESTIMATORS else RETRAINED)
    rescored = [found.row for _, found in pairs if found.row is not None]
    if estimator is not None and ESTIMATORS[estimator].needs_scores and not rescored:
        raise UsageError(f"estimator {estimator!r} must have a trial trained once more for its scores, got none")
    every = tuple(ESTIMATORS) if rescored else RANK_ESTIMATORS
    started = time.monotonic()

    def progress(done: int, total: int) -> None:
        left = (time.monotonic() - started) * (total - done) / done
        if done % 10 == 0 and left > 2:
            warn(f"{done}/{total} trials, {duration(left)} left")

    estimators = every if estimator is None else (estimator,)
    found = score_extrapolation(selection.table, estimators, subsets, resamples, progress, rescored)
    if json:
        print_json({"study": study, "preset": selection.preset, "scores": found, "retrained": _described(pairs),
                    "store": selection.name})  # fmt: skip
    else:
        print_table(found, title=f"{study}, {selection.preset}, from {selection.name}")
        if pairs:
            lines = [{**line, "identity": line["identity"][:12]} for line in _described(pairs)]
            print_table(lines, title="trained once more, beside their stored ranks")
    return 0
