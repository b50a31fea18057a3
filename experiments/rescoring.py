"""Whole score rows, which no store keeps: trials that kept their ranks are trained once more and held against them.

A trial is deterministic by its identity, up to rounding where the compiled program differs, and this one does: it also
returns the scores. What the new ranks may differ by is the store's own tolerance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.batches import Batch, make_batches
from experiments.probing import train_planned
from experiments.records import TOLERANCE
from experiments.rows import reason_of
from experiments.spec import trial_of
from experiments.tasks import stack_members
from sim.member import Results
from sim.population import train_population

Row = Mapping[str, Any]


class Rescored(NamedTuple):
    """One trial trained once more.

    Attributes:
        row: the stored row with the new `rank_class` and `rank_beaten`, and `scores`, log probabilities of shape
            (items, J); None where there are none.
        same_ranks: share of items whose rank is the stored one.
        shift: mean change of an item's rank as a share of its J - 1 rivals. accuracy_change: of the share of items
            that beat all rivals, new less stored.
        problem: in what the new ranks contradict the stored ones beyond tolerance, or why there are none; None if not.
    """

    row: dict[str, Any] | None
    same_ranks: float
    shift: float
    accuracy_change: float
    problem: str | None


def choose_rows(rows: Iterable[Row], number: int) -> list[Row]:
    """The first `number` seeds of each cell; a cell is what has equal factors.

    Example:
        >>> rows = [{"factors_json": "{}", "seed": seed} for seed in (3, 1, 2)]
        >>> [row["seed"] for row in choose_rows(rows, 2)]
        [1, 2]
    """
    cells: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (str(row["factors_json"]), row["seed"])):
        cells.setdefault(row["factors_json"], []).append(row)
    return [row for cell in cells.values() for row in cell[:number]]


def rescore(rows: Sequence[Row]) -> list[Rescored]:
    """Train the trials of these rows once more and keep the scores of their test items; nothing is stored.

    Args:
        rows: with identity, factors_json, seed, outputs, rank_class and rank_beaten.

    Returns:
        one a row, in their order.

    Raises:
        UsageError: factors that describe no possible task.
    """
    known = {trial.identity: trial for trial in map(trial_of, rows)}
    stored = {row["identity"]: row for row in rows if row["identity"] in known}
    trials = [known[identity] for identity in stored]
    found: dict[str, Rescored] = {}
    for batch in make_batches(trials, list(stored), len(jax.local_devices())):
        found |= _train(batch, stored)
    other = _failed("its factors have another identity in this version")
    return [found.get(row["identity"], other) for row in rows]


def _train(batch: Batch, stored: Mapping[str, Row]) -> dict[str, Rescored]:
    settings = replace(batch.settings, keep_scores=True)
    try:
        results = train_planned(train_population, settings, stack_members(list(batch.tasks)), slots=batch.slots)
    except (RuntimeError, MemoryError) as error:
        return {trial.identity: _failed(reason_of(error)) for trial in batch.trials}
    identities = [trial.identity for trial in batch.trials]
    return {name: _held_against(stored[name], results, index) for index, name in enumerate(identities)}


def _failed(reason: str) -> Rescored:
    return Rescored(None, float("nan"), float("nan"), float("nan"), reason)


def _held_against(stored: Row, results: Results, index: int) -> Rescored:
    """One member's scores as a row, and what its ranks are beside the stored ones."""
    assert results.ranks is not None
    assert results.scores is not None
    label = np.asarray(results.ranks.label[index])
    there = label >= 0
    beaten = np.asarray(results.ranks.beaten[index])[there]
    scores = np.asarray(results.scores[index])[there, : stored["outputs"]]
    label = label[there]
    if not np.isfinite(scores).all():
        return _failed("its scores are not finite")
    if label.tolist() != list(stored["rank_class"]):
        return _failed("its test items are of other classes than the stored ones")
    row = {**stored, "rank_class": label, "rank_beaten": beaten, "scores": scores}
    return Rescored(row, *compare_ranks(np.asarray(stored["rank_beaten"]), beaten, int(stored["outputs"])))


def compare_ranks(stored: Any, new: Any, outputs: int) -> tuple[float, float, float, str | None]:
    """Share of equal ranks, mean shift, change of accuracy, and what exceeds the tolerance of stored accuracies.

    Args:
        stored, new: classes beaten, shape (items,).
        outputs: J.

    Example:
        >>> compare_ranks(np.array([9, 9, 4, 0]), np.array([9, 9, 5, 0]), 10)[3]
        'rank shift 0.028 is beyond the tolerance of 0.02'
        >>> compare_ranks(np.array([9] * 99 + [7]), np.array([9] * 99 + [8]), 10)[0]
        0.99
    """
    shift = float(np.mean(np.abs(new - stored))) / (outputs - 1)
    change = float(np.mean(new == outputs - 1) - np.mean(stored == outputs - 1))
    wrong = [
        f"{name} {value:.3f} is beyond the tolerance of {TOLERANCE}"
        for name, value in (("rank shift", shift), ("accuracy change", change))
        if abs(value) > TOLERANCE
    ]
    return float(np.mean(new == stored)), shift, change, "; ".join(wrong) or None
