"""The rows of many files as one table, by column: a million rows take seconds, not minutes. No files here."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.records import COLUMNS, SCHEMA, Row, contradictions, difference, rank, ranking, to_rows
from experiments.segments import Part

SMALL_ROWS = 10_000  # segments below are always gathered: rewriting them takes less than opening many


class Merged(NamedTuple):
    """Rows of many parts.

    Attributes:
        table: one row a trial, sorted by identity.
        origin, place: of each row its part's index, and its index in that.
        others: (part, index in it) of each row of a segment that contradicts the one that counts.
        problems: one line for each contradiction.
    """

    table: pa.Table
    origin: np.ndarray
    place: np.ndarray
    others: list[tuple[int, int]]
    problems: list[str]


def merge_parts(parts: Sequence[Part], columns: Sequence[str]) -> Merged:
    """One row a trial, whatever order the parts come in; which one counts is said at `records.ranking`.

    All is done by column; only identities with several rows that are not equal are compared one by one.
    """
    # of equal rows that of the larger file counts: what a compaction has left behind is then seen to hold none
    order = sorted(range(len(parts)), key=lambda i: (parts[i].pending, -parts[i].table.num_rows, parts[i].name))
    tables = [parts[i].table.select(columns) for i in order]
    joined = pa.concat_tables([*tables, SCHEMA.empty_table().select(columns)])
    origin = np.repeat(np.array(order, np.int64), [table.num_rows for table in tables])
    place = np.concatenate([np.arange(table.num_rows) for table in tables] or [np.arange(0)])
    identities = joined["identity"]
    if _increasing(identities):
        return Merged(joined, origin, place, [], [])
    indices = pc.sort_indices(identities)  # stable: of one identity, segments first
    chosen, others, problems = _choose(parts, identities.take(indices), origin, place, np.asarray(indices))
    return Merged(joined.take(pa.array(chosen)), origin[chosen], place[chosen], others, problems)


def _increasing(identities: pa.ChunkedArray) -> bool:
    if len(identities) < 2:
        return True
    return bool(pc.all(pc.less(identities.slice(0, len(identities) - 1), identities.slice(1))).as_py())


def _choose(
    parts: Sequence[Part], identities: pa.ChunkedArray, origin: np.ndarray, place: np.ndarray, indices: np.ndarray
) -> tuple[np.ndarray, list[tuple[int, int]], list[str]]:
    """Of sorted identities: the places of the rows that count, then what contradicts them, as in `Merged`."""
    count = len(identities)
    same = np.asarray(pc.equal(identities.slice(0, count - 1), identities.slice(1)), bool)
    if not same.any():
        return indices, [], []
    several = np.append(same, False) | np.insert(same, 0, False)
    where = np.flatnonzero(several)
    rows = whole_rows(parts, origin[indices[where]], place[indices[where]])
    again = equal_to_previous(rows)
    drop, others, problems = np.zeros(count, bool), [], []
    drop[where[again]] = True
    where, rows = where[~again], rows.filter(pa.array(~again))
    first = np.asarray(pc.not_equal(rows["identity"].slice(0, len(rows) - 1), rows["identity"].slice(1)), bool)
    bounds = [0, *(np.flatnonzero(first) + 1), len(rows)]
    for start, end in itertools.pairwise(bounds):
        if end - start == 1:
            continue
        spots, entries, seen = indices[where[start:end]], [], set()
        for spot, row in zip(spots, to_rows(rows.slice(start, end - start)), strict=True):
            part = parts[origin[spot]]
            entries.append((part.name, 2 if part.pending else int(part.name in seen), row))
            seen.add(part.name)
        best, *rest = ranking(entries)
        problems += contradictions(entries, [best, *rest])
        for index in rest:
            drop[where[start + index]] = True
            if entries[index][1] < 2 and difference(entries[best][2], entries[index][2]) is not None:
                others.append((int(origin[spots[index]]), int(place[spots[index]])))
    return indices[~drop], others, problems


def whole_rows(parts: Sequence[Part], origin: np.ndarray, place: np.ndarray) -> pa.Table:
    """All columns of rows of several parts, in the order given."""
    order = np.lexsort((place, origin))
    bounds = np.flatnonzero(np.diff(origin[order])) + 1
    pieces = [parts[origin[chosen[0]]].rows(place[chosen]) for chosen in np.split(order, bounds) if chosen.size]
    return pa.concat_tables([*pieces, SCHEMA.empty_table()]).take(pa.array(np.argsort(order)))


def equal_to_previous(table: pa.Table) -> np.ndarray:
    """For each row, whether it equals the row before it in all columns; nulls are equal."""
    equal = np.ones(max(table.num_rows - 1, 0), bool)
    for column in table.columns:
        equal &= _equal(column.slice(0, len(equal)), column.slice(1))
    return np.insert(equal, 0, False)[: table.num_rows]


def _equal(first: pa.ChunkedArray, second: pa.ChunkedArray) -> np.ndarray:
    if first.null_count == second.null_count == len(first):
        return np.ones(len(first), bool)
    if pa.types.is_nested(first.type):
        return np.array([a == b for a, b in zip(first.to_pylist(), second.to_pylist(), strict=True)], bool)
    both = pc.and_(pc.is_null(first), pc.is_null(second))
    return np.asarray(pc.or_(pc.fill_null(pc.equal(first, second), False), both), bool)


def choose_segments(rows: Sequence[int], counting: Sequence[int], new: int) -> list[int]:
    """Which segments to write anew together with new rows, so that each row is written O(log n) times.

    From the smallest up: those below `SMALL_ROWS`, and those at most twice what is gathered so far. What is left alone
    is therefore more than twice everything smaller, and a row that is written again lies in a file at least half as
    large again as before. All of them, if most rows of one do not count: a compaction was cut short after writing.

    Args:
        rows: number of rows of each segment.
        counting: how many of them are the row of their trial.
        new: number of rows that no segment has.

    Example:
        >>> choose_segments([1_000_000, 30_000, 500], [1_000_000, 30_000, 500], 16)
        [2]
        >>> choose_segments([1_000_000, 30_000, 500], [1_000_000, 30_000, 500], 16_000)
        [2, 1]
        >>> choose_segments([1_000_000, 1_000_500], [1_000_000, 500], 0)
        [0, 1]
    """
    order = sorted(range(len(rows)), key=lambda i: rows[i])
    if any(2 * live < held for live, held in zip(counting, rows, strict=True)):
        return order
    gathered, chosen = new, []
    for index in order:
        if rows[index] < SMALL_ROWS or rows[index] <= 2 * gathered:
            gathered += rows[index]
            chosen.append(index)
    return chosen


def gather(parts: Sequence[Part], extra: pa.Table) -> pa.Table:
    """What a new segment holds: the rows of the parts and extra ones, sorted; equal and agreeing rows once."""
    everything = [*parts, Part("", True, extra)]
    merged = merge_parts(everything, list(COLUMNS))
    if not merged.others:
        return merged.table
    both = pa.concat_tables([merged.table, whole_rows(everything, *np.array(merged.others).T)])
    return both.take(pc.sort_indices(both["identity"]))  # stable: the row that counts stays first


def inside(table: pa.Table, parts: Sequence[Part]) -> np.ndarray:
    """For each row, whether a part holds an equal or an agreeing one; a failure does not stand for a result."""
    held = np.zeros(table.num_rows, bool)
    for part in parts:
        left = np.flatnonzero(~held)
        rows = table.take(pa.array(left))
        there = pc.is_in(part.table["identity"], value_set=rows["identity"].combine_chunks())
        places = np.flatnonzero(np.asarray(there, bool))
        if places.size:
            stored = part.rows(places)
            index = pc.index_in(rows["identity"], value_set=stored["identity"].combine_chunks())
            same = np.asarray(pc.is_valid(index), bool)
            first = stored.take(pc.fill_null(index, 0))
            for name in COLUMNS:
                same &= _equal(first[name], rows[name])
            same[~same] = _agreeing(rows.filter(pa.array(~same)), stored)
            held[left] = same
    return held


def _agreeing(rows: pa.Table, stored: pa.Table) -> list[bool]:
    known: dict[str, list[Row]] = {}
    for row in to_rows(stored.filter(pc.is_in(stored["identity"], value_set=rows["identity"].combine_chunks()))):
        known.setdefault(row["identity"], []).append(row)
    return [
        any(rank(kept) <= rank(row) and difference(kept, row) is None for kept in known.get(row["identity"], ()))
        for row in to_rows(rows)
    ]
