"""Files named by the SHA-256 of their content, below one folder: written whole, recognised when torn, never followed
out of the folder.
"""

import contextlib
import errno
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from experiments.files import Files, write_whole

ABANDONED_SECONDS = 3600.0  # a temporary file this old has no living writer
UNREADABLE = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, OSError, pa.ArrowException,
)  # fmt: skip


class GoneError(Exception):
    """A file that was listed is there no more: it was compacted by another process."""


class HashedFiles:
    """The files below a folder.

    Args:
        root: the folder; it may be a link, what is below may not.
        files: how it reaches the disk.
    """

    def __init__(self, root: Path, files: Files) -> None:
        self.root, self.files = root, files
        self._lasting: set[Path] = set()  # folders whose own names are known to be on the disk

    def make_folder(self, folder: Path) -> None:
        """Make a folder, and let its name last: once by each process, as whoever made it may have died too early."""
        if folder in self._lasting:
            return
        ours = self.root in folder.parents
        try:
            kind = self.files.kind(folder)[0]
        except FileNotFoundError:
            self.make_folder(folder.parent)
            with contextlib.suppress(FileExistsError):
                self.files.make_folder(folder)
        else:
            if kind != "folder" and (ours or kind != "link"):  # below the store, a link would lead out of it
                raise NotADirectoryError(errno.ENOTDIR, "Not a folder", str(folder))
            if ours:
                self.make_folder(folder.parent)
        with contextlib.suppress(*([] if ours else [PermissionError])):  # a parent may be closed to us
            self.files.sync_folder(folder.parent)
        self._lasting.add(folder)

    def write(self, folder: Path, name: str, content: bytes) -> Path:
        """Write a file, `{}` in its name standing for the hash of its content; returns the file."""
        path = folder / name.format(digest(content))
        for last in (False, True):
            self.make_folder(folder)
            try:
                write_whole(self.files, path, content)
            except FileNotFoundError:  # somebody has removed the folder since we made it
                self._lasting.clear()
                if last:
                    raise
            else:
                break
        return path

    def list(self, folder: Path, problems: list[str]) -> list[str]:
        """The names in a folder; a folder that is not there is empty."""
        try:
            if folder != self.root and self.files.kind(folder)[0] != "folder":
                problems.append(f"{folder}: is not a folder of this store, skipped")
                return []
            return self.files.list(folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            problems.append(one_line(folder, error))
            return []

    def load(self, path: Path, pattern: str, decode: Callable[[str, bytes], Any]) -> Any:
        """What a file holds; or a line that says why it cannot be read; or None for the work of a living writer.

        Raises:
            GoneError: there is no such file.
        """
        try:
            kind, changed = self.files.kind(path)
            if path.name.startswith(".") and path.suffix == ".tmp":
                abandoned = self.files.now() - changed > ABANDONED_SECONDS
                return f"{path}: is left from an interrupted write, skipped" if abandoned else None
            match = re.fullmatch(pattern, path.name)
            if match is None or kind != "file":
                raise ValueError("is not a file of this store")
            content = self.files.read(path)
            if digest(content) != match[1]:
                raise ValueError("is torn or was altered: its content does not match its name")
            return decode(path.name, content)
        except FileNotFoundError:
            raise GoneError from None
        except UNREADABLE as error:
            return one_line(path, error)


def digest(content: bytes) -> str:
    """The name of a content: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def one_line(path: Path, error: Exception) -> str:
    """What to tell of a file that is skipped."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"{path}: {' '.join(str(said).split())}, skipped"
