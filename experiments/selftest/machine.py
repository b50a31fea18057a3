"""Make this process's disk full or its folder read-only, for real where the system allows it, and for it alone.

A mount is made in a name space of mounts that belongs to this process: it is gone when the process is, even if that is
killed, and no other process sees it.
"""

import ctypes
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS of <sched.h>; `os.unshare` is there from Python 3.12 only


def private_mounts() -> bool:
    """Give this process mounts of its own; False where that is not permitted."""
    if not sys.platform.startswith("linux") or ctypes.CDLL(None).unshare(_NEW_MOUNTS) != 0:
        return False
    return mount("--make-rprivate", "/")


def mount(*arguments: str) -> bool:
    """Run `mount`; whether it worked."""
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def unmount(folder: Path) -> None:
    """Take away what `mount` put on a folder."""
    subprocess.run(["umount", str(folder)], capture_output=True, check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let every write beyond `size` bytes of a file fail, as a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(folder: Path, mounts: bool) -> Iterator[str]:
    """Make a folder read-only: by a mount, else by permission bits, which do not bind the superuser.

    Args:
        mounts: whether `private_mounts` succeeded.

    Yields:
        how it was done; "" where nothing could be done.
    """
    if mounts and mount("--bind", str(folder), str(folder)):
        try:
            yield "a read-only mount" if mount("-o", "remount,ro,bind", str(folder)) else ""
        finally:
            unmount(folder)
    elif os.geteuid() != 0:
        below = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for path in below:
            path.chmod(0o555)
        try:
            yield "permission bits"
        finally:
            for path in below:
                path.chmod(0o755)
    else:
        yield ""
