"""Laws fitted to the arms of all studies, and the curves over J that the best of them gives for each I.

Arms share nothing, so that they are fitted side by side, in one process a core.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from experiments.engines import open_processes
from experiments.factors import UsageError
from experiments.fitting import LARGEST_LOG2, Arm, law_rows, rank_arm, study_arms
from experiments.predicting import Predictor, learn, predict_curve
from sim.theory.laws import LAWS
from sim.types import FloatArray

POINTS = 25  # of a curve, beside the J that were run
BEYOND = 2.0  # log2 J by which a curve goes on beyond the largest J that was run
WHOLE_LOG2 = 40.0  # below it J is taken as a whole number


class Curves(NamedTuple):
    """What a law says along J.

    Attributes:
        law: its name.
        statement: which laws cannot be told from it.
        bits: log2 J, shape (points,).
        measured: smallest and largest log2 J that it was fitted to.
        at: inputs -> low, accuracy and high of the 95% interval, shape (3, points).
    """

    law: str
    statement: str
    bits: FloatArray
    measured: tuple[float, float]
    at: dict[float, FloatArray]


class FittedArm(NamedTuple):
    """The laws of one arm by one metric.

    Attributes:
        study, arm, metric: what was fitted.
        rows: as from `fit_study`; none if no law could be fitted.
        curves: of the best law; None where it cannot be drawn.
        reason: why rows or curves are missing, else empty.
    """

    study: str
    arm: str
    metric: str
    rows: list[dict[str, Any]]
    curves: Curves | None
    reason: str = ""


class _Job(NamedTuple):
    """An arm on its way to another process: laws are functions, which travel by name."""

    study: str
    arm: Arm
    laws: tuple[str, ...]


def follow(predictor: Predictor, statement: str) -> Curves:
    """The curve of the law that speaks for an arm, at each I of its rows, from its smallest J to beyond its largest.

    Where chance is known at the J of the rows alone, the curve has those.

    Raises:
        UsageError: as for `predict_curve`.
    """
    run = np.unique(predictor.arm.columns["outputs"])
    first, last = float(np.log2(run[0])), float(np.log2(run[-1]))
    grid = np.exp2(np.linspace(first, min(last + BEYOND, LARGEST_LOG2 - 1), POINTS))
    outputs = np.union1d(np.where(grid < 2.0**WHOLE_LOG2, np.rint(grid), grid), run)
    inputs = np.unique(predictor.arm.columns["inputs"]).tolist()
    try:
        found = {value: predict_curve(predictor, value, outputs) for value in inputs}
    except UsageError:
        outputs = run
        found = {value: predict_curve(predictor, value, outputs) for value in inputs}
    return Curves(predictor.best.law.name, statement, np.log2(outputs), (first, last), found)


def fit_arm(job: _Job) -> FittedArm:
    """Rank the laws of one arm and follow the best; what these rows are too few for becomes a reason."""
    arm = job.arm._replace(laws=tuple(LAWS[name] for name in job.laws))
    name = (job.study, arm.name, arm.metric)
    try:
        ranking = rank_arm(arm)
    except ValueError as error:
        return FittedArm(*name, [], None, str(error))
    rows = law_rows(arm, ranking)
    try:
        return FittedArm(*name, rows, follow(learn(arm, ranking), ranking.statement))
    except ValueError as error:
        return FittedArm(*name, rows, None, str(error))


def fit_studies(tables: Mapping[str, pa.Table]) -> tuple[list[FittedArm], dict[str, str]]:
    """Fit all laws to all arms of some studies.

    Args:
        tables: study -> rows.

    Returns:
        the arms, in the order of the studies, and study -> reason for those whose rows cannot be read as arms.
    """
    jobs, reasons = [], {}
    for study, table in tables.items():
        try:
            jobs += [
                _Job(study, arm._replace(laws=()), tuple(law.name for law in arm.laws))
                for arm in study_arms(study, table)
            ]
        except ValueError as error:
            reasons[study] = str(error)
    if len(jobs) < 2:
        return [fit_arm(job) for job in jobs], reasons
    found: dict[int, FittedArm] = {}
    with open_processes() as engine:
        for job, result in engine.complete(_numbered, deque(enumerate(jobs))):
            if isinstance(result, FittedArm):
                found[job[0]] = result
    return [found[place] for place in range(len(jobs))], reasons


def _numbered(job: tuple[int, _Job]) -> FittedArm:
    return fit_arm(job[1])
