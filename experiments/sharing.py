"""Do workers share the store's file system? A run writes a word into the store, and every worker must read it there.

The word's folder also notes which jobs were begun, so that a job begun a second time, because its first worker died,
looks for what was already stored.
"""

import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from experiments.factors import UsageError

if TYPE_CHECKING:
    from experiments.engines import Engine


class Sight(NamedTuple):
    """The word of a run and the folder of the store that holds it."""

    folder: str
    word: str


class Claim(NamedTuple):
    """A job's place in its run.

    Attributes:
        sight: the run's word, or None for a run inside one process, which cannot lose a worker and go on.
        number: of the job.
    """

    sight: Sight | None
    number: int

    def was_taken(self, store: Path) -> bool:
        """Note that the job begins now; whether one with its number had begun before.

        Raises:
            UsageError: the run's word is not in the store as this process sees it.
        """
        if self.sight is None:
            return False
        where = blind(str(store), self.sight)
        if where is not None:
            raise UsageError(_rule(store, where))
        try:
            (store / self.sight.folder / f"job-{self.number}").touch(exist_ok=False)
        except FileExistsError:
            return True
        return False


def blind(store: str, sight: Sight) -> str | None:
    """The name of this machine if it does not see the word in the store, else None."""
    try:
        seen = (Path(store) / sight.folder / "word").read_text() == sight.word
    except OSError:
        seen = False
    return None if seen else socket.gethostname()


def check_sight(engine: "Engine", store: Path, sight: Sight | None) -> None:
    """Ask every worker for the word.

    Raises:
        UsageError: one does not see it.
    """
    if sight is None:
        return
    for where in engine.ask(blind, str(store.resolve()), sight):
        if where is not None:
            raise UsageError(_rule(store.resolve(), where))


def _rule(store: Path, where: str) -> str:
    return f"store must be on a file system that all workers share, got {store}, which a worker on {where} does not see"


@contextmanager
def offer(store: Path, in_process: bool = False) -> Iterator[Sight | None]:
    """Put a word into the store for as long as the run lasts; None where no other process takes part.

    Example:
        >>> import tempfile
        >>> store = Path(tempfile.mkdtemp())
        >>> with offer(store) as sight:
        ...     blind(str(store), sight), Claim(sight, 0).was_taken(store), Claim(sight, 0).was_taken(store)
        (None, False, True)
        >>> list(store.iterdir())
        []
    """
    if in_process:
        yield None
        return
    sight = Sight(f".run-{secrets.token_hex(8)}", secrets.token_hex(16))
    folder = store / sight.folder
    folder.mkdir()
    try:
        (folder / "word").write_text(sight.word)
        yield sight
    finally:
        shutil.rmtree(folder, ignore_errors=True)
