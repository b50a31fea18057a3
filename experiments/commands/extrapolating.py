"""`capsim extrapolate`: more classes than were seen, told from one trained network and held against what is known."""

from typing import Annotated

from tyro.conf import Positional, arg

from experiments.commands.options import Json, ReadPreset, ReadStore, StudyName, load_rows, need_rows
from experiments.console import duration, print_json, print_table, warn
from experiments.factors import UsageError


def extrapolate(
    study: Positional[StudyName],
    *,
    estimator: Annotated[
        str | None, arg(metavar="NAME", help_behavior_hint="", help="one way to extrapolate; by default all of them")
    ] = None,
    subsets: Annotated[int, arg(metavar="N", help="random sets of classes, for each trial and size")] = 2,
    resamples: Annotated[int, arg(metavar="N", help="replicates behind each interval, at least 20")] = 20,
    preset: ReadPreset = None,
    store: ReadStore = None,
    json: Json = False,
) -> int:
    """Tell the accuracy on all J classes from k of them, and score it; reads the trials that kept their ranks.

    A trained network is restricted to k of its classes: it is not trained anew. A few minutes with all estimators,
    seconds with skew_probit or mixture.

    Example: capsim extrapolate codebook --estimator skew_probit
    """
    import time

    selection = need_rows(load_rows(study, store, preset), study)
    from experiments.extrapolating import RANK_ESTIMATORS, score_extrapolation

    estimators = RANK_ESTIMATORS if estimator is None else (estimator,)
    started = time.monotonic()

    def progress(done: int, total: int) -> None:
        left = (time.monotonic() - started) * (total - done) / done
        if done % 10 == 0 and left > 2:
            warn(f"{done}/{total} trials, {duration(left)} left")

    scores = score_extrapolation(selection.table, estimators, subsets, resamples, progress)
    if not scores:
        raise UsageError(
            f"study must have trials that kept their ranks: {selection.name} has none of {study}, preset "
            f"{selection.preset}; `capsim run {study} --preset laptop` makes them where the study has some"
        )
    if json:
        print_json({"study": study, "preset": selection.preset, "scores": scores, "store": selection.name})
    else:
        print_table(scores, title=f"{study}, {selection.preset}, from {selection.name}")
    return 0
