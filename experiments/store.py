"""A store of records on disk: many writers, no lock, and no moment at which a kill loses or doubles a row.

    <store>/<study>/pending/<hash>.json     rows of one finished batch, as published
    <store>/<study>/rows-<hash>.parquet     compacted rows
    <store>/<study>/ledger.jsonl            one line a completed full run, only ever appended to
    <store>/<study>/receipts/<hash>.json    what a run did

Every file is named by the SHA-256 of its content, so a torn or altered one is recognised; it is named and skipped,
never deleted. A file appears whole or not at all: temporary file, fsync, rename, fsync of the folder.
"""

import contextlib
import datetime
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from experiments.factors import UsageError
from experiments.records import (
    COLUMNS,
    Row,
    clean_row,
    difference,
    merge,
    rank,
    root_hash,
    select,
    settled,
    to_rows,
    to_table,
)
from experiments.spec import canonical_json

__all__ = ["COLUMNS", "Contents", "Store", "default_store", "root_hash", "select", "settled", "writing_store"]

COMMITTED = Path(__file__).resolve().parents[1] / "results"  # the reference run, beside the packages
FORMAT = "capsim rows 1"
ABANDONED_SECONDS = 3600.0  # a temporary file this old has no living writer
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OSError, OverflowError, RecursionError)
ATTEMPTS = 20  # reads of a folder that compaction changes under the reader


class Contents(NamedTuple):
    """What a study's folder holds: one row a trial, sorted by identity, and a line for each file left out."""

    table: pa.Table
    problems: list[str]


class _Source(NamedTuple):
    path: Path
    order: int  # 0 compacted, 1 pending
    rows: list[Row]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is whole as soon as it has its name."""
    _make_folder(path.parent)
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _named_by_content(path: Path, pattern: str) -> bytes:
    """The bytes of a file whose name holds their hash; ValueError says what else it is."""
    match = re.fullmatch(pattern, path.name)
    foreign = path.is_dir() or path.is_fifo() or (path.is_symlink() and not path.exists())
    if match is None or foreign:  # a file that is gone must raise FileNotFoundError: it was compacted
        raise ValueError("is not a file of this store")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != match[1]:
        raise ValueError("is torn or was altered: its content does not match its name")
    return content


def _read_pending(path: Path) -> list[Row]:
    record = json.loads(_named_by_content(path, r"([0-9a-f]{64})\.json"))
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"is not in the format {FORMAT!r}")
    return [clean_row(row) for row in record["rows"]]


def _read_compacted(path: Path) -> list[Row]:
    table = pq.read_table(pa.BufferReader(_named_by_content(path, r"rows-([0-9a-f]{64})\.parquet")))
    unknown = [name for name in table.column_names if table.schema.field(name).type != COLUMNS.get(name)]
    if unknown:
        raise ValueError(f"has columns of another version: {', '.join(unknown)}")
    return [clean_row(row) for row in to_rows(table)]


class Store:
    """A folder of studies' records.

    Args:
        path: the folder; made when first written to.

    Example:
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> store.publish("sweep", [{"identity": "a1", "status": "ok", "test_accuracy": 0.5}])
        >>> store.read("sweep").table.num_rows, store.read("sweep").problems
        (1, [])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def folder(self, study: str) -> Path:
        """The folder of a study.

        Raises:
            UsageError: a name that is not a plain label.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", study):
            raise UsageError(f"study must be letters, digits, '-' and '_' only, got {study!r}")
        return self.path / study

    def check_writable(self) -> None:
        """Make the folder and write to it once.

        Raises:
            UsageError: it cannot be.
        """
        probe = self.path / f".{os.getpid()}-{secrets.token_hex(8)}.tmp"
        try:
            _make_folder(self.path)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise UsageError(
                f"store must be a folder that can be written, got {self.path} ({error.strerror})"
            ) from None

    def holds(self, study: str) -> bool:
        """Whether there is a file of records of this study."""
        folder = self.folder(study)
        return any(folder.glob("rows-*.parquet")) or any(folder.glob("pending/*.json"))

    def publish(self, study: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows, all or none of them; once this returns they survive a crash.

        Raises:
            ValueError: a row with an unknown column or a value of the wrong type.
        """
        record = {"format": FORMAT, "rows": [clean_row({**row, "study": study}) for row in rows]}
        content = canonical_json(record).encode()
        _write_whole(self.folder(study) / "pending" / f"{hashlib.sha256(content).hexdigest()}.json", content)

    def _files(self, study: str) -> tuple[list[Path], list[Path]]:
        """(pending, compacted). Pending first: compaction writes before it deletes, so no row is between the lists."""
        folder = self.folder(study)
        pending = sorted(folder.glob("pending/*")) if folder.is_dir() else []
        names = ("pending", "receipts", "ledger.jsonl")
        compacted = sorted(p for p in folder.iterdir() if p.name not in names) if folder.is_dir() else []
        return pending, compacted

    def _sources(self, study: str) -> tuple[list[_Source], list[str]]:
        for _ in range(ATTEMPTS):
            pending, compacted = self._files(study)
            try:
                found = self._read_files(pending, compacted)
            except FileNotFoundError:  # compacted by another process since it was listed
                continue
            if self._files(study)[1] == compacted:
                return found
        raise OSError(f"store {self.path} changed {ATTEMPTS} times while {study} was read")

    def _read_files(self, pending: list[Path], compacted: list[Path]) -> tuple[list[_Source], list[str]]:
        sources, problems = [], []
        for order, path in [*((0, path) for path in compacted), *((1, path) for path in pending)]:
            if path.suffix == ".tmp" and path.name.startswith("."):
                with contextlib.suppress(FileNotFoundError):  # its writer has just renamed it
                    if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                        problems.append(f"{path}: is left from an interrupted write, skipped")
                continue
            try:
                rows = _read_pending(path) if order else _read_compacted(path)
            except FileNotFoundError:
                raise
            except (*UNREADABLE, pa.ArrowException) as error:
                problems.append(f"{path}: {' '.join(str(error).split())}, skipped")
            else:
                sources.append(_Source(path, order, rows))
        return sources, problems

    def read(self, study: str) -> Contents:
        """All records of a study, one row a trial; files that cannot be read are told of, never fatal."""
        sources, problems = self._sources(study)
        winners, conflicts = merge((s.path.name, s.order, row) for s in sources for row in s.rows)
        _, torn = self._ledger_lines(study)
        return Contents(to_table(winners.values()), problems + conflicts + torn)

    def compact(self, study: str) -> None:
        """Gather all records into one Parquet file, then delete the files whose every row is proven to be in it.

        A file with a row that contradicts the kept one stays where it is, so that the contradiction stays visible.
        """
        sources, _ = self._sources(study)
        if not any(source.rows for source in sources):
            return
        winners, _ = merge((s.path.name, s.order, row) for s in sources for row in s.rows)
        sink = pa.BufferOutputStream()
        pq.write_table(to_table(winners.values()), sink, compression="zstd")
        content = sink.getvalue().to_pybytes()
        target = self.folder(study) / f"rows-{hashlib.sha256(content).hexdigest()}.parquet"
        if target not in [source.path for source in sources]:
            _write_whole(target, content)
        try:
            stored = {row["identity"]: row for row in _read_compacted(target)}
        except FileNotFoundError:  # another process has already compacted this file into a newer one
            return
        for source in sources:
            if source.path != target and all(_is_inside(row, stored) for row in source.rows):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(source.path)
        _sync_folder(self.folder(study))

    def write_receipt(self, study: str, receipt: Mapping[str, Any]) -> Path:
        """Keep what a run did, for example planned = stored + failed + diverged; returns the file."""
        content = canonical_json(dict(receipt)).encode()
        path = self.folder(study) / "receipts" / f"{hashlib.sha256(content).hexdigest()}.json"
        _write_whole(path, content)
        return path

    def append_ledger(self, study: str, entry: Mapping[str, Any]) -> None:
        """Append one completed full run to the study's ledger, with the time."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        path = self.folder(study) / "ledger.jsonl"
        _make_folder(path.parent)
        before = path.read_bytes() if path.exists() else b""
        torn = before and not before.endswith(b"\n")  # a crash cut the last line short: leave it to itself
        line = ("\n" if torn else "") + canonical_json({"time": now, **entry}) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())  # one write of an appended line is not mixed with another writer's
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _sync_folder(path.parent)

    def ledger(self, study: str) -> list[dict[str, Any]]:
        """The completed full runs of a study, oldest first."""
        return self._ledger_lines(study)[0]

    def _ledger_lines(self, study: str) -> tuple[list[dict[str, Any]], list[str]]:
        path = self.folder(study) / "ledger.jsonl"
        entries, problems = [], []
        for number, line in _lines(path):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if isinstance(entry, dict):
                entries.append(entry)
            else:
                problems.append(f"{path}: line {number} is torn, skipped")
        return entries, problems


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if path.is_file():
        yield from ((n, line) for n, line in enumerate(path.read_bytes().splitlines(), start=1) if line.strip())


def _is_inside(row: Row, stored: Mapping[str, Row]) -> bool:
    kept = stored.get(row["identity"])
    return kept is not None and rank(kept) <= rank(row) and difference(kept, row) is None


def default_store(study: str) -> tuple[Store, str]:
    """Where a reading command looks when it is not told: `$CAPSIM_STORE` if it holds the study, else `results/`.

    Returns:
        the store, and its name for the output.
    """
    named = os.environ.get("CAPSIM_STORE")
    if named and Store(named).holds(study):
        return Store(named), f"{named} (CAPSIM_STORE)"
    return Store(COMMITTED), f"{COMMITTED} (committed results)"


def writing_store() -> Store:
    """Where `capsim run` writes when it is not told: `$CAPSIM_STORE`, else `./store`."""
    return Store(os.environ.get("CAPSIM_STORE") or "store")
