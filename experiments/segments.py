"""The bytes of the store's two formats: a pending batch is JSON, a segment is Parquet. No files are opened here.

A segment is sorted by identity. Two of its rows with one identity contradict each other: the first is the one that
counts.
"""

import json
import secrets
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from experiments.records import COLUMNS, SCHEMA, STATUSES, Row, clean_row, to_table
from experiments.spec import canonical_json

FORMAT = "capsim rows 1"
SMALL_BYTES = 2**20  # a segment below is decoded whole at once, as its whole rows are often needed next
GROUP_ROWS = 50_000  # rows that are read together where a few whole rows of a large segment are needed


def encode_pending(rows: Iterable[Row]) -> bytes:
    """A finished batch as it is published."""
    return canonical_json({"format": FORMAT, "rows": list(rows)}).encode()


def decode_pending(content: bytes) -> pa.Table:
    """The rows of a batch; ValueError, KeyError or TypeError where it is none."""
    record = json.loads(content)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"is not in the format {FORMAT!r}")
    return to_table([clean_row(row) for row in record["rows"]])


def encode_segment(table: pa.Table) -> bytes:
    """A segment; no two have the same bytes, so that no name ever comes back after its deletion."""
    sink = pa.BufferOutputStream()
    marked = table.replace_schema_metadata({"segment": secrets.token_hex(8)})
    pq.write_table(marked, sink, compression="zstd", row_group_size=GROUP_ROWS)
    return sink.getvalue().to_pybytes()


def decode_segment(
    content: bytes, columns: Sequence[str] = tuple(COLUMNS), places: np.ndarray | None = None
) -> pa.Table:
    """The named columns of a segment, null where an older one lacks them.

    Args:
        content: the file.
        columns: identity and status among them.
        places: which rows, increasing; by default all.

    Raises:
        ValueError: unknown columns, or a row without identity or with a status that does not exist.
    """
    file = pq.ParquetFile(pa.BufferReader(content))
    schema = file.schema_arrow
    unknown = [name for name in schema.names if schema.field(name).type != COLUMNS.get(name)]
    if unknown:
        raise ValueError(f"has columns of another version: {', '.join(unknown)}")
    names = [name for name in columns if name in schema.names]
    threads = file.metadata.num_rows > GROUP_ROWS  # waking them takes longer than to read little
    if places is None:
        found = file.read(columns=names, use_threads=threads)
    else:
        sizes = np.array([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)], np.int64)
        starts = np.cumsum(sizes) - sizes
        group = np.searchsorted(starts + sizes, places, side="right")
        needed = np.unique(group)
        moved = np.cumsum(sizes[needed]) - sizes[needed]  # where the groups that are read begin
        found = file.read_row_groups(needed.tolist(), columns=names, use_threads=threads)
        found = found.take(pa.array(places - starts[group] + moved[np.searchsorted(needed, group)]))
    return _checked(found, columns)


def _checked(found: pa.Table, columns: Sequence[str]) -> pa.Table:
    there = set(found.column_names)
    table = pa.table(
        [found[name] if name in there else pa.nulls(found.num_rows, COLUMNS[name]) for name in columns],
        schema=pa.schema([SCHEMA.field(name) for name in columns]),
    )
    valid = pc.and_(pc.not_equal(table["identity"], ""), pc.is_in(table["status"], value_set=pa.array(STATUSES)))
    if not pc.all(pc.fill_null(valid, False), min_count=0).as_py():
        raise ValueError(f"has rows without identity or with a status other than {', '.join(STATUSES)}")
    for place, name in enumerate(columns):
        if pa.types.is_floating(COLUMNS[name]) and table[name].null_count < table.num_rows:
            finite = pc.is_finite(table[name])
            if not pc.all(finite, min_count=0).as_py():
                table = table.set_column(place, SCHEMA.field(name), pc.if_else(finite, table[name], None))
    return table


class Part:
    """The rows of one file.

    Attributes:
        name: of the file.
        pending: whether it is a batch as published.
        table: some columns, identity and status among them.
    """

    def __init__(self, name: str, pending: bool, table: pa.Table, content: bytes | None = None) -> None:
        self.name, self.pending, self.table, self._content = name, pending, table, content

    def rows(self, places: np.ndarray | None = None) -> pa.Table:
        """All columns of the rows at some places, increasing; by default of all."""
        if self._content is not None and self.table.num_columns < len(COLUMNS):
            return decode_segment(self._content, places=places)
        whole = self.table.select(list(COLUMNS))
        return whole if places is None else whole.take(pa.array(places))


def read_part(name: str, content: bytes, columns: Sequence[str]) -> Part:
    """The named columns of a file, or all of a small one; ValueError, KeyError or TypeError where it is none."""
    if name.endswith(".json"):
        return Part(name, True, decode_pending(content))
    small = len(content) < SMALL_BYTES
    return Part(name, False, decode_segment(content, tuple(COLUMNS) if small else columns), content)
