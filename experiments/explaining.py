"""Why a trial is what it is: its fields, and which of them tell it from the nearest trial on the other side."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.spec import ALGORITHM_VERSION, Trial, UsageError, identity_under, trial_of

LATER_VERSIONS = 20  # a store may hold rows of a later program than this one
Row = Mapping[str, Any]


class Found(NamedTuple):
    """A trial by its identity: its factors and seed, its stored row if there is one, and whether it is planned."""

    identity: str
    trial: Trial
    row: Row | None
    planned: bool


def find_trial(prefix: str, trials: Sequence[Trial], rows: Sequence[Row]) -> Found:
    """The trial whose identity starts with `prefix`, in the plan or in the store.

    Raises:
        UsageError: no such trial, or several.
    """
    if not re.fullmatch(r"[0-9a-f]{1,64}", prefix):
        raise UsageError(f"trial must be the start of an identity, digits and letters a to f, got {prefix!r}")
    planned = {trial.identity: trial for trial in trials if trial.identity.startswith(prefix)}
    stored = {row["identity"]: row for row in rows if row["identity"].startswith(prefix)}
    names = sorted({*planned, *stored})
    if len(names) != 1:
        several = f"that of {len(names)} trials, {', '.join(name[:12] for name in names[:3])}" if names else "of none"
        raise UsageError(f"trial must be the start of one identity of plan or store, got {prefix!r}, {several}")
    (identity,) = names
    row = stored.get(identity)
    return Found(identity, planned[identity] if identity in planned else trial_of(row or {}), row, identity in planned)


def algorithm_version(identity: str, trial: Trial) -> int | None:
    """The version under which these factors have this identity; None where none of the known ones is it.

    Example:
        >>> trial = Trial((("noise", 1.0),), 0)
        >>> algorithm_version(identity_under(3, {"noise": 1.0}, 0), trial)
        3
    """
    versions = range(ALGORITHM_VERSION + LATER_VERSIONS)
    return next((v for v in versions if identity_under(v, dict(trial.factors), trial.seed) == identity), None)


def fields_of(identity: str, trial: Trial) -> dict[str, Any]:
    """Everything that enters an identity: algorithm version, seed and factors."""
    return {
        "algorithm_version": algorithm_version(identity, trial), "seed": trial.seed, **dict(trial.factors),
    }  # fmt: skip


def differing(mine: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Field -> (value here, value there) where two trials differ; None for a field that one of them lacks.

    Example:
        >>> differing({"seed": 0, "noise": 1.0}, {"seed": 0, "noise": 2.0, "width": 8})
        {'noise': (1.0, 2.0), 'width': (None, 8)}
    """
    names = dict.fromkeys([*mine, *other])
    return {name: (mine.get(name), other.get(name)) for name in names if mine.get(name) != other.get(name)}


def explain(found: Found, trials: Sequence[Trial], rows: Sequence[Row]) -> dict[str, Any]:
    """What `capsim why` prints: where the trial is, its fields, and the nearest trial on the side where it is not.

    Returns:
        identity, stored, planned, status, reason, fields, nearest (an identity, or None), and differs: field ->
        (value here, value there). Of equally near trials the one whose identity sorts first is named.
    """
    mine = fields_of(found.identity, found.trial)
    others: dict[str, Trial] = {}
    if found.row is None:
        others = {row["identity"]: trial_of(row) for row in rows if row.get("factors_json")}
    elif not found.planned:
        others = {trial.identity: trial for trial in trials}
    # The version takes a hash for each candidate, so only the nearest by factors and seed are asked for theirs.
    plain = {name: value for name, value in mine.items() if name != "algorithm_version"}
    ranked = sorted(
        (len(differing(plain, {"seed": other.seed, **dict(other.factors)})), identity)
        for identity, other in others.items()
    )
    nearest = ranked[0][1] if ranked else None
    row = found.row or {}
    return {
        "identity": found.identity,
        "stored": found.row is not None,
        "planned": found.planned,
        "status": row.get("status"),
        "reason": row.get("reason") or None,
        "fields": mine,
        "nearest": nearest,
        "differs": differing(mine, fields_of(nearest, others[nearest])) if nearest is not None else {},
    }
