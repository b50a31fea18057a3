"""Files that fail where they are told to, and a disk that forgets what was not synced: how the store is tested.

The only losses a file system may add to a kill are those of a power cut: of every file what was written since its last
sync, of every folder the names that changed since its last sync, each on its own.
"""

import errno
import itertools
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.files import Files

FAULTS = {
    "EIO": "an error, and nothing is done",
    "EIO after": "it is done, and an error is told all the same",
    "ENOSPC": "the disk is full: what needs room is not done",
    "short": "a write takes half and says so",
    "torn": "a write takes half and says it took all",
    "kill": "the process ends before it, a write in its middle",
}
NEEDS_ROOM = ("create", "append", "write", "make_folder", "rename")
CHANGES = (*NEEDS_ROOM, "remove", "sync", "sync_folder")


def concerns(fault: str, operation: str) -> bool:
    """Whether a fault can hit an operation so that it makes a difference: to be killed before a read is to be killed
    before what comes next, and the clock never fails.
    """
    if fault in ("short", "torn"):
        return operation == "write"
    if fault == "ENOSPC":
        return operation in NEEDS_ROOM
    return operation in CHANGES if fault in ("kill", "EIO after") else operation != "now"


class Killed(BaseException):
    """The process is gone: no error that anybody could handle; every later operation raises it too."""


def _guarded(name: str) -> Callable[..., Any]:
    def operation(self: "FailingFiles", *arguments: Any) -> Any:
        return self.operate(name, *arguments)

    return operation


class FailingFiles(Files):
    """Files whose k-th operation fails.

    Args:
        inner: what does the operations.
        at: k, counted from 1.
        fault: one of `FAULTS`.
        forever: whether all later operations fail too; a kill is always for ever.

    Attributes:
        done: the operations so far, by name. struck: those that failed.

    Example:
        >>> files = FailingFiles(Files(), at=2, fault="EIO")
        >>> names = files.list("/")
        >>> files.list("/")
        Traceback (most recent call last):
        OSError: [Errno 5] Input/output error: '/'
    """

    def __init__(self, inner: Files, at: int, fault: str, forever: bool = False) -> None:
        self.inner, self.at, self.fault, self.forever = inner, at, fault, forever
        self.dead = False
        self.done: list[str] = []
        self.struck: list[str] = []
        self._open: set[int] = set()

    def operate(self, name: str, *arguments: Any) -> Any:
        """Do an operation, or let it fail."""
        if self.dead:
            raise Killed
        self.done.append(name)
        due = len(self.done) == self.at or (self.forever and len(self.done) > self.at)
        if not due or not concerns(self.fault, name):
            return self._do(name, *arguments)
        self.struck.append(name)
        half = arguments[1][: len(arguments[1]) // 2] if name == "write" else b""
        if self.fault == "kill":
            if half:
                self._do(name, arguments[0], half)
            self._die()
        if self.fault in ("short", "torn"):
            taken = self._do(name, arguments[0], half)
            return taken if self.fault == "short" else len(arguments[1])
        if self.fault == "EIO after":
            self._do(name, *arguments)
        number = errno.ENOSPC if self.fault == "ENOSPC" else errno.EIO
        raise OSError(number, os.strerror(number), str(arguments[0]) if arguments else None)

    def _do(self, name: str, *arguments: Any) -> Any:
        result = getattr(self.inner, name)(*arguments)
        if name in ("create", "append"):
            self._open.add(result)
        elif name == "close":
            self._open.discard(arguments[0])
        return result

    def _die(self) -> None:
        self.dead = True
        for descriptor in self._open:  # the system closes a dead process's files
            self.inner.close(descriptor)
        raise Killed

    now, kind, list, read = _guarded("now"), _guarded("kind"), _guarded("list"), _guarded("read")
    make_folder, create, append = _guarded("make_folder"), _guarded("create"), _guarded("append")
    write, sync, close = _guarded("write"), _guarded("sync"), _guarded("close")
    rename, remove, sync_folder = _guarded("rename"), _guarded("remove"), _guarded("sync_folder")


@dataclass
class _File:
    content: bytes = b""
    synced: bytes = b""
    changed: float = 0.0


@dataclass
class _Folder:
    names: dict[str, Any] = field(default_factory=dict)
    synced: dict[str, Any] = field(default_factory=dict)


class SimulatedDisk(Files):
    """A disk in memory that knows what a power cut would take.

    Attributes:
        time: what its clock says.

    Example:
        >>> disk = SimulatedDisk()
        >>> disk.make_folder(Path("/a"))
        >>> disk.power_cut()
        >>> disk.list("/")
        []
    """

    def __init__(self) -> None:
        self.time = 0.0
        self._root = _Folder()
        self._open: dict[int, tuple[_File, str]] = {}
        self._numbers = itertools.count(3)

    def power_cut(self, luck: random.Random | None = None) -> None:
        """Forget what was not synced: all of it, or what luck has it, name by name and file by file."""
        self._forget(self._root, luck)

    def _forget(self, folder: _Folder, luck: random.Random | None) -> None:
        kept = dict(folder.synced)
        for name in sorted(set(folder.names) | set(kept)) if luck else ():
            if folder.names.get(name) is not kept.get(name) and luck and luck.random() < 0.5:
                kept[name] = folder.names.get(name)
        folder.names = {name: node for name, node in kept.items() if node is not None}
        folder.synced = dict(folder.names)
        for node in folder.names.values():
            if isinstance(node, _Folder):
                self._forget(node, luck)
            elif luck is None or luck.random() < 0.5:
                node.content = node.synced

    def _find(self, path: str | os.PathLike[str]) -> Any:
        node: Any = self._root
        for name in Path(path).parts[1:]:
            if not isinstance(node, _Folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            if name not in node.names:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            node = node.names[name]
        return node

    def _new(self, path: Path, node: Any) -> None:
        if path.name in self._find(path.parent).names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._find(path.parent).names[path.name] = node

    def _opened(self, node: Any, path: Path) -> int:
        number = next(self._numbers)
        self._open[number] = node, str(path)
        return number

    def now(self) -> float:
        return self.time

    def kind(self, path: Path) -> tuple[str, float]:
        node = self._find(path)
        return ("file", node.changed) if isinstance(node, _File) else ("folder", 0.0)

    def list(self, folder: str | os.PathLike[str]) -> list[str]:
        return sorted(self._find(folder).names)

    def read(self, path: Path) -> bytes:
        return bytes(self._find(path).content)

    def make_folder(self, folder: Path) -> None:
        self._new(folder, _Folder())

    def create(self, path: Path) -> int:
        node = _File(changed=self.time)
        self._new(path, node)
        return self._opened(node, path)

    def append(self, path: Path) -> int:
        try:
            return self._opened(self._find(path), path)
        except FileNotFoundError:
            return self.create(path)

    def write(self, descriptor: int, content: bytes) -> int:
        node, _ = self._open[descriptor]
        node.content, node.changed = node.content + content, self.time
        return len(content)

    def sync(self, descriptor: int) -> None:
        node, _ = self._open[descriptor]
        node.synced = node.content

    def close(self, descriptor: int) -> None:
        del self._open[descriptor]

    def rename(self, source: Path, target: Path) -> None:
        node = self._find(source)
        del self._find(source.parent).names[source.name]
        self._find(target.parent).names[target.name] = node

    def remove(self, path: Path) -> None:
        self._find(path)
        del self._find(path.parent).names[path.name]

    def sync_folder(self, folder: Path) -> None:
        found = self._find(folder)
        found.synced = dict(found.names)
