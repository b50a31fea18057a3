"""Commands that speak of cells that were not run: `capsim predict` and `capsim plan`."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from tyro.conf import arg

from experiments.commands.options import (
    DataColumns,
    DataFile,
    DataGroup,
    FitStudy,
    Json,
    ReadPreset,
    ReadStore,
    load_own,
    load_rows,
    need_rows,
)
from experiments.console import print_facts, print_json
from experiments.factors import UsageError

if TYPE_CHECKING:
    from experiments.predicting import Predictor

ArmName: TypeAlias = Annotated[
    str | None,
    arg(metavar="ARM", help_behavior_hint="", help="arm of the study, or group of --data; may be left out if alone"),
]
Metric: TypeAlias = Annotated[
    str | None, arg(metavar="METRIC", help_behavior_hint="", help="score; by default the study's first")
]
Outputs: TypeAlias = Annotated[float, arg(metavar="J", help="number of outputs")]


def _answer(
    study: str | None,
    data: str | None,
    columns: str | None,
    group: str | None,
    preset: str | None,
    store: str | None,
    choice: tuple[str | None, str | None],
    ask: "Callable[[Predictor], dict[str, Any]]",
    json: bool,
) -> int:
    """Find the arm, fit its laws, ask and print."""
    groups = load_own(data, columns, group, study, preset=preset, store=store)
    if groups is None:
        selection = need_rows(load_rows(str(study), store, preset), str(study))
    from experiments.fitting import own_arms, study_arms
    from experiments.predicting import choose_arm, learn

    arms = study_arms(str(study), selection.table) if groups is None else own_arms(groups)
    try:
        predictor = learn(choose_arm(arms, *choice))
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{data or study} cannot be fitted to these rows: {error}") from None
    row = ask(predictor)
    (print_json if json else print_facts)(row)
    if row.get("inputs") is not None and row["reason"]:
        print(f"capsim: {row['reason']}", file=sys.stderr)
    return 0


def predict(
    *,
    inputs: Annotated[float, arg(metavar="I", help="number of training inputs")],
    outputs: Outputs,
    study: FitStudy = None,
    arm: ArmName = None,
    metric: Metric = None,
    data: DataFile = None,
    columns: DataColumns = None,
    group: DataGroup = None,
    preset: ReadPreset = None,
    store: ReadStore = None,
    json: Json = False,
) -> int:
    """Predict the accuracy at a number of inputs and outputs, with a 95% interval, from the fitted laws.

    Example: capsim predict --study codebook --arm mlp --inputs 2048 --outputs 128
    """
    from experiments.predicting import predict_accuracy

    choice = (arm, metric)
    return _answer(
        study, data, columns, group, preset, store, choice, lambda laws: predict_accuracy(laws, inputs, outputs), json
    )


def plan(
    *,
    outputs: Outputs,
    accuracy: Annotated[float, arg(metavar="X", help="accuracy to reach, in (0, 1]")],
    study: FitStudy = None,
    arm: ArmName = None,
    metric: Metric = None,
    data: DataFile = None,
    columns: DataColumns = None,
    group: DataGroup = None,
    preset: ReadPreset = None,
    store: ReadStore = None,
    json: Json = False,
) -> int:
    """Say how many training inputs an accuracy needs, with an interval, or why no number is enough.

    Example: capsim plan --study codebook --arm mlp --outputs 128 --accuracy 0.5
    """
    from experiments.predicting import plan_inputs

    choice = (arm, metric)
    return _answer(
        study, data, columns, group, preset, store, choice, lambda laws: plan_inputs(laws, outputs, accuracy), json
    )
