"""Every operation on files that the store makes, in one object, so that a test can let any single one of them fail."""

import contextlib
import errno
import os
import secrets
import stat
import time
from pathlib import Path

__all__ = ["Files", "append_line", "write_whole"]


class Files:
    """The operating system's files and its clock; each method is one operation that may raise OSError.

    Example:
        >>> Files().list("/dev/null")
        Traceback (most recent call last):
        NotADirectoryError: [Errno 20] Not a directory: '/dev/null'
    """

    def now(self) -> float:
        """Seconds since 1970 by a clock that may jump."""
        return time.time()

    def kind(self, path: Path) -> tuple[str, float]:
        """("file", "folder", "link" or "other", time of the last change); a link is not followed."""
        found = os.lstat(path)
        kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
        return kinds.get(stat.S_IFMT(found.st_mode), "other"), found.st_mtime

    def list(self, folder: str | os.PathLike[str]) -> list[str]:
        """The names in a folder, sorted."""
        return sorted(os.listdir(folder))

    def read(self, path: Path) -> bytes:
        """All bytes of a file."""
        return path.read_bytes()

    def make_folder(self, folder: Path) -> None:
        """Make one folder in a folder that is there."""
        os.mkdir(folder)

    def create(self, path: Path) -> int:
        """Open a file that must not be there yet, for writing."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)

    def append(self, path: Path) -> int:
        """Open a file for writing at its end; made if need be, never through a link."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)

    def write(self, descriptor: int, content: bytes) -> int:
        """Write once; returns how many bytes were taken, which may be fewer than given."""
        return os.write(descriptor, content)

    def sync(self, descriptor: int) -> None:
        """Return when what was written is on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close an open file."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, at once and in place of what had it."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Take a name away."""
        os.unlink(path)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in a folder are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(files: Files, path: Path, content: bytes) -> None:
    """Write a file that is whole as soon as it has its name, and on the disk once this returns.

    It is read back before it gets its name, so a write that took less than it said is an error here. An error after
    the rename leaves the whole file behind: writing it again is harmless.

    Raises:
        OSError: it could not be written; its temporary file is removed, if that can still be done.
    """
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        descriptor = files.create(temporary)
        try:
            rest = memoryview(content)
            while rest:
                taken = files.write(descriptor, bytes(rest))
                if taken == 0:
                    raise OSError(errno.EIO, "Nothing more could be written", str(path))
                rest = rest[taken:]
            files.sync(descriptor)
        finally:
            files.close(descriptor)
        if files.read(temporary) != content:
            raise OSError(errno.EIO, "Read back other bytes than were written", str(path))
        files.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(temporary)
        raise
    files.sync_folder(path.parent)


def append_line(files: Files, path: Path, line: bytes) -> None:
    """Append a line to a file that others append to as well; it is on the disk once this returns.

    Raises:
        OSError: it could not be; a part of the line may be left, which the next one does not continue.
    """
    try:
        before = files.read(path)
    except FileNotFoundError:
        before = b""
    if before and not before.endswith(b"\n"):  # a crash cut the last line short: leave it to itself
        line = b"\n" + line
    descriptor = files.append(path)
    try:
        files.write(descriptor, line)  # once: an appended line is not mixed with another writer's
        files.sync(descriptor)
    finally:
        files.close(descriptor)
    if line not in files.read(path):
        raise OSError(errno.EIO, "Read back other bytes than were written", str(path))
    files.sync_folder(path.parent)
