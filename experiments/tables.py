"""What a reading command or a figure reads: a study's rows, from the right store, cut to a preset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from experiments.records import RANK_COLUMNS, spread
from experiments.spec import Study, Trial
from experiments.store import COMMITTED, Store, default_store, select

ALL = "all"  # instead of a preset: every row of the study, whatever run it came from


class Selection(NamedTuple):
    """Rows of a study.

    Attributes:
        table: one row a trial, sorted by identity.
        trials: the plan that was asked for; None for all rows.
        preset: the preset, or "all".
        store: where the rows come from. name: the same for the output.
        problems: files that could not be read, one line each.
    """

    table: pa.Table
    trials: list[Trial] | None
    preset: str
    store: Store
    name: str
    problems: list[str]


def default_preset(study: Study, store: Store) -> str:
    """The preset that is read when none is named: the store's last full run's, laptop in `results/`, or smoke."""
    ran = [str(entry.get("preset")) for entry in store.ledger(study.name)]
    reference = "laptop" if store.path == COMMITTED else "smoke"
    known = [preset for preset in (*reversed(ran), reference, *study.presets) if preset in study.presets]
    return known[0]


def load(
    study: Study,
    store: Store | None = None,
    preset: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    columns: Sequence[str] | None = None,
) -> Selection:
    """Read a study's rows.

    Args:
        study: the study.
        store: where from; by default `$CAPSIM_STORE` if it holds the study, else the committed results.
        preset: a preset's name, "all", or None for the one that the store's last full run had.
        overrides, seeds: as in `Study.trials`.
        columns: which to read, identity among them; by default all.

    Raises:
        UsageError: unknown preset or factor.
    """
    chosen, name = (store, str(store)) if store is not None else default_store(study.name)
    preset = preset or default_preset(study, chosen)
    trials = None if preset == ALL else study.trials(preset, overrides, seeds)
    contents = chosen.read(study.name, columns)
    table = contents.table if trials is None else select(contents.table, trials)
    return Selection(table, trials, preset, chosen, name, contents.problems)


def write_csv(table: pa.Table, path: str | Path) -> None:
    """Write a tidy table, one row a trial; the ranks of single test items are lists, which CSV cannot hold.

    Raises:
        OSError: a file that cannot be written.
    """
    from pyarrow import csv

    csv.write_csv(spread(table.drop_columns([name for name in RANK_COLUMNS if name in table.column_names])), path)
