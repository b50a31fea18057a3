"""A store of records on disk: many writers, no lock, and no moment at which a kill loses or doubles a row.

    <store>/<study>/pending/<hash>.json     rows of one finished batch, as published
    <store>/<study>/rows-<hash>.parquet     compacted rows, in files that are never changed
    <store>/<study>/ledger.jsonl            one line a completed full run, only ever appended to
    <store>/<study>/receipts/<hash>.json    what a run did

Every file is named by the SHA-256 of its content, so a torn or altered one is recognised; it is named and skipped,
never deleted. A file appears whole or not at all: temporary file, fsync, rename, fsync of the folder.

No row is lost to two compactions at once: a file is deleted only after its rows were read back from a newer file, or,
if it is pending, from any segment; no segment has the name of an earlier one. So the newest that holds a row stays.
"""

import contextlib
import datetime
import errno
import functools
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from experiments.factors import UsageError
from experiments.files import Files, append_line
from experiments.hashed_files import GoneError, HashedFiles, one_line
from experiments.merging import choose_segments, gather, inside, merge_parts, whole_rows
from experiments.records import COLUMNS, clean_row, root_hash, select, settled
from experiments.segments import Part, encode_pending, encode_segment, read_part
from experiments.spec import canonical_json

__all__ = ["COLUMNS", "Contents", "Store", "default_store", "root_hash", "select", "settled", "writing_store"]

COMMITTED = Path(__file__).resolve().parents[1] / "results"  # the reference run, beside the packages
ATTEMPTS = 20  # reads of a folder that compaction changes under the reader
PENDING, SEGMENT = r"([0-9a-f]{64})\.json", r"rows-([0-9a-f]{64})\.parquet"
OWN = ("pending", "receipts", "ledger.jsonl")  # beside the segments
KEYS = ("identity", "status")


class Contents(NamedTuple):
    """What a study's folder holds: one row a trial, sorted by identity, and a line for each file left out."""

    table: pa.Table
    problems: list[str]


class Store:
    """A folder of studies' records.

    Args:
        path: the folder; made when first written to.
        files: how it reaches the disk; by default the operating system.

    Example:
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> store.publish("sweep", [{"identity": "a1", "status": "ok", "test_accuracy": 0.5}])
        >>> store.read("sweep").table.num_rows, store.read("sweep").problems
        (1, [])
    """

    def __init__(self, path: str | os.PathLike[str], files: Files | None = None) -> None:
        self.path = Path(path)
        self._files = files or Files()
        self._hashed = HashedFiles(self.path, self._files)

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
        try:
            self._hashed.make_folder(self.path)
            probe = self.path / f".{os.getpid()}-{secrets.token_hex(8)}.tmp"
            self._files.close(self._files.create(probe))
            self._files.remove(probe)
        except OSError as error:
            raise UsageError(
                f"store must be a folder that can be written, got {self.path} ({error.strerror})"
            ) from None

    def holds(self, study: str) -> bool:
        """Whether there is a file of records of this study."""
        folder = self.folder(study)
        return any(
            re.fullmatch(pattern, name)
            for place, pattern in ((folder, SEGMENT), (folder / "pending", PENDING))
            for name in self._hashed.list(place, [])
        )

    def publish(self, study: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows, all or none of them; once this returns they survive a crash.

        Raises:
            ValueError: a row with an unknown column or a value of the wrong type.
            OSError: they could not be written; to publish the same rows again is harmless, whatever has happened.
        """
        content = encode_pending(clean_row({**row, "study": study}) for row in rows)
        self._hashed.write(self.folder(study) / "pending", "{}.json", content)

    def read(self, study: str, columns: Sequence[str] | None = None) -> Contents:
        """Records of a study, one row a trial; files that cannot be read are told of, never fatal.

        Args:
            study: the study.
            columns: which columns to read, in this order; by default all. Of a large store, few are read much faster.
        """
        names = list(COLUMNS) if columns is None else list(columns)
        parts, problems = self._parts(study, [*dict.fromkeys((*KEYS, *names))])
        merged = merge_parts(list(parts.values()), names if "identity" in names else ["identity", *names])
        told = problems + merged.problems + self._ledger_lines(study)[1] + self._receipts(study)[1]
        return Contents(merged.table.select(names), told)

    def compact(self, study: str) -> None:
        """Gather published batches into a segment, small segments with them, and delete what is proven to be in it.

        The proof is what is read back from the disk. A batch with a row that contradicts the kept one stays where it
        is, so that the contradiction stays visible; where two segments contradict each other, both rows are kept.

        Raises:
            OSError: the new segment could not be written; nothing is deleted then.
        """
        found = self._parts(study, KEYS)[0]
        paths, parts, folder = list(found), list(found.values()), self.folder(study)
        if not any(part.table.num_rows for part in parts):
            return
        merged = merge_parts(parts, KEYS)
        pending = np.array([part.pending for part in parts])
        new, counting = pending[merged.origin], np.bincount(merged.origin, minlength=len(parts))
        segments = np.flatnonzero(~pending)
        picked = choose_segments([parts[i].table.num_rows for i in segments], counting[segments].tolist(), new.sum())
        gathered = [int(segments[i]) for i in picked]
        proof = [parts[i] for i in segments]
        if new.any() or len(gathered) > 1:
            extra = whole_rows(parts, merged.origin[new], merged.place[new])
            try:
                whole = {i: Part(parts[i].name, False, parts[i].rows()) for i in gathered}
                written = self._write_segment(folder, gather(list(whole.values()), extra))
            except GoneError:  # another process has already gathered it into a newer one
                return
            proof = [written, *(parts[i] for i in segments if i not in gathered)]
            old = [paths[i] for i, part in whole.items() if inside(part.table, [written]).all()]
        else:
            old = []
            self._files.sync_folder(folder)  # a segment whose writer could not do so may be the proof
        batches = np.flatnonzero(pending)
        if batches.size:
            held = inside(pa.concat_tables([parts[i].table for i in batches]), proof)
            ends = np.cumsum([parts[i].table.num_rows for i in batches])[:-1]
            old += [paths[i] for i, rows in zip(batches, np.split(held, ends), strict=True) if rows.all()]
        for path in old:
            with contextlib.suppress(FileNotFoundError):
                self._files.remove(path)
        for touched in {path.parent for path in old}:
            self._files.sync_folder(touched)

    def _write_segment(self, folder: Path, table: pa.Table) -> Part:
        """Write a segment and read it back from the disk."""
        path = self._hashed.write(folder, "rows-{}.parquet", encode_segment(table))
        written = self._hashed.load(path, SEGMENT, functools.partial(read_part, columns=tuple(COLUMNS)))
        if not isinstance(written, Part):
            raise OSError(errno.EIO, str(written), str(path))
        return written

    def write_receipt(self, study: str, receipt: Mapping[str, Any]) -> Path:
        """Keep what a run did, for example planned = stored + failed + diverged; returns the file."""
        content = canonical_json(dict(receipt)).encode()
        return self._hashed.write(self.folder(study) / "receipts", "{}.json", content)

    def receipts(self, study: str) -> list[dict[str, Any]]:
        """What the runs of a study did, in the order of their files' times."""
        return self._receipts(study)[0]

    def append_ledger(self, study: str, entry: Mapping[str, Any]) -> None:
        """Append one completed full run to the study's ledger, with the time."""
        now = datetime.datetime.fromtimestamp(self._files.now(), datetime.UTC).isoformat(timespec="seconds")
        self._hashed.make_folder(self.folder(study))
        line = canonical_json({"time": now, **entry}) + "\n"
        append_line(self._files, self.folder(study) / "ledger.jsonl", line.encode())

    def ledger(self, study: str) -> list[dict[str, Any]]:
        """The completed full runs of a study, oldest first."""
        return self._ledger_lines(study)[0]

    def _parts(self, study: str, columns: Sequence[str]) -> tuple[dict[Path, Part], list[str]]:
        """The rows of each file, segments first, and a line for each file left out.

        Batches are listed before segments: compaction writes before it deletes, so no row is between the lists. What
        was read stays true when its file is gone.
        """
        folder, known = self.folder(study), {}
        decode = functools.partial(read_part, columns=columns)
        for _ in range(ATTEMPTS):
            problems: list[str] = []
            batches = [folder / "pending" / name for name in self._hashed.list(folder / "pending", problems)]
            names = [name for name in self._hashed.list(folder, problems) if name not in OWN]
            listed = [*((folder / name, SEGMENT) for name in names), *((path, PENDING) for path in batches)]
            with contextlib.suppress(GoneError):
                for path, pattern in listed:
                    if path not in known:
                        known[path] = self._hashed.load(path, pattern, decode)
                if _segments(self._hashed.list(folder, [])) == _segments(names):
                    found = [(path, known[path]) for path, _ in listed]
                    break
        else:
            found = list(known.items())
            problems.append(f"{folder}: changed {ATTEMPTS} times while it was read, the newest rows may be missing")
        problems += [entry for _, entry in found if isinstance(entry, str)]
        return {path: entry for path, entry in found if isinstance(entry, Part)}, problems

    def _receipts(self, study: str) -> tuple[list[dict[str, Any]], list[str]]:
        folder, found = self.folder(study) / "receipts", []
        problems: list[str] = []
        for name in self._hashed.list(folder, problems):
            try:
                entry = self._hashed.load(folder / name, PENDING, lambda _, content: dict(json.loads(content)))
                if isinstance(entry, dict):
                    found.append((self._files.kind(folder / name)[1], name, entry))
                elif entry is not None:
                    problems.append(entry)
            except (GoneError, OSError) as error:
                problems.append(one_line(folder / name, error))
        return [entry for *_, entry in sorted(found, key=lambda item: item[:2])], problems

    def _ledger_lines(self, study: str) -> tuple[list[dict[str, Any]], list[str]]:
        path = self.folder(study) / "ledger.jsonl"
        try:
            if self._files.kind(path)[0] != "file":
                return [], [f"{path}: is not a file of this store, skipped"]
            lines = self._files.read(path).splitlines()
        except FileNotFoundError:
            return [], []
        except OSError as error:
            return [], [one_line(path, error)]
        entries, problems = [], []
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line) if line.strip() else {}
            except (ValueError, RecursionError):
                entry = None
            if not isinstance(entry, dict):
                problems.append(f"{path}: line {number} is torn, skipped")
            elif entry:
                entries.append(entry)
        return entries, problems


def _segments(names: Iterable[str]) -> list[str]:
    return [name for name in names if re.fullmatch(SEGMENT, name)]


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
