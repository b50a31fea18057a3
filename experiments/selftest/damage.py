"""Ways in which a store's files come to harm: torn, altered, foreign, or left half written."""

import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

Chance = random.Random


class Damage(NamedTuple):
    """One kind of harm.

    Attributes:
        name: what is said of it. inflict: does it to a study's folder and returns the file that must be named.
    """

    name: str
    inflict: Callable[[Path, Chance], Path]


def _pending(folder: Path, chance: Chance) -> Path:
    return chance.choice(sorted(folder.glob("pending/*.json")))


def _compacted(folder: Path, chance: Chance) -> Path:
    return chance.choice(sorted(folder.glob("rows-*.parquet")))


def _cut(path: Path, chance: Chance) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])
    return path


def _flip(path: Path, chance: Chance) -> Path:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return path


def _named(folder: Path, content: bytes, name: str) -> Path:
    path = folder / name.format(hashlib.sha256(content).hexdigest())
    path.write_bytes(content)
    return path


def _record(folder: Path, rows: Any) -> Path:
    """A file that looks like a record and names its content truly, with rows that no run has written."""
    content = json.dumps({"format": "capsim rows 1", "rows": rows}).encode()
    return _named(folder, content, "pending/{}.json")


def _foreign_table(folder: Path) -> Path:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"identity": ["a1"], "colour": ["red"]}), sink)
    return _named(folder, sink.getvalue().to_pybytes(), "rows-{}.parquet")


def _torn_ledger(folder: Path) -> Path:
    path = folder / "ledger.jsonl"
    path.write_text('{"preset":"lap')
    return path


def _half_written(folder: Path) -> Path:
    path = folder / "pending" / ".1-2.tmp"
    path.write_text("half")
    os.utime(path, (time.time() - 7200,) * 2)  # an hour is left to a living writer
    return path


def _link_to_nothing(folder: Path) -> Path:
    path = folder / "pending" / f"{hashlib.sha256().hexdigest()}.json"
    path.symlink_to(folder / "gone")
    return path


def _pipe(folder: Path) -> Path:
    path = folder / "pending" / f"{hashlib.sha256().hexdigest()}.json"
    os.mkfifo(path)
    return path


def _made_folder(folder: Path) -> Path:
    path = folder / "pending" / "old"
    path.mkdir()
    return path


_DEEP = '{"format":"capsim rows 1","rows":' + "[" * 100_000

DAMAGES = (
    Damage("a published file cut short", lambda folder, chance: _cut(_pending(folder, chance), chance)),
    Damage("a compacted file cut short", lambda folder, chance: _cut(_compacted(folder, chance), chance)),
    Damage("a bit flipped in a published file", lambda folder, chance: _flip(_pending(folder, chance), chance)),
    Damage("a bit flipped in a compacted file", lambda folder, chance: _flip(_compacted(folder, chance), chance)),
    Damage("a foreign text", lambda folder, _: _named(folder, b"mine", "pending/notes.txt")),
    Damage("a foreign file beside the records", lambda folder, _: _named(folder, b"mine", "notes.txt")),
    Damage("a foreign folder", lambda folder, _: _made_folder(folder)),
    Damage("a link to nothing", lambda folder, _: _link_to_nothing(folder)),
    Damage("a pipe that nobody writes to", lambda folder, _: _pipe(folder)),
    Damage("a foreign table", lambda folder, _: _foreign_table(folder)),
    Damage("bytes that are no JSON", lambda folder, chance: _named(folder, chance.randbytes(99), "pending/{}.json")),
    Damage("JSON too deep to read", lambda folder, _: _named(folder, _DEEP.encode(), "pending/{}.json")),
    Damage("rows that are no rows", lambda folder, _: _record(folder, [1, None])),
    Damage("a number that no column holds", lambda folder, _: _record(folder, [_row(nll=10**400)])),
    Damage("a column of another version", lambda folder, _: _record(folder, [_row(colour="red")])),
    Damage("a torn line in the ledger", lambda folder, _: _torn_ledger(folder)),
    Damage("a file left half written", lambda folder, _: _half_written(folder)),
)


def _row(**others: Any) -> dict[str, Any]:
    return {"identity": "a1", "status": "ok", **others}
