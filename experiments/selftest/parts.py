"""What a part of the self-test counts, and how it judges a store after each kill."""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from experiments.records import root_hash
from experiments.selftest.child import Event
from experiments.selftest.plans import STUDY
from experiments.store import Store

Say = Callable[[str], None]  # takes each anomaly, one line


class Part(NamedTuple):
    """One line of the summary.

    Attributes:
        part: what was tried. kills: processes killed. faults: faults injected.
        reruns: trials trained again because a kill came before their rows were published.
        lost: trials that were promised or seen and then missing. twice: trials trained again although stored, and
            identities that stand twice in a table.
        seconds: time taken. passed: nothing lost, nothing twice, no anomaly. note: what else there is to say.
    """

    part: str
    kills: int
    faults: int
    reruns: int
    lost: int
    twice: int
    seconds: float
    passed: bool
    note: str


class Account:
    """Keeps the count of one part, and says each anomaly once, in one line."""

    def __init__(self, part: str, say: Say) -> None:
        self.part, self.say = part, say
        self.kills = self.faults = self.reruns = self.twice = 0
        self.lost: set[str] = set()
        self.anomalies: list[str] = []
        self.promised: set[str] = set()
        self.trained: set[str] = set()
        self._started = time.perf_counter()

    def new_store(self) -> None:
        """Forget what the last store held."""
        self.promised, self.trained = set(), set()

    def wrong(self, text: str) -> None:
        """Report an anomaly."""
        line = " ".join(text.split())
        if line not in self.anomalies:
            self.anomalies.append(line)
            self.say(f"{self.part}: {line}")

    def hear(self, events: Iterable[Event]) -> None:
        """Count what a child has told, which ran alone from a store that held what was promised before."""
        before = set(self.promised)
        for word, text in events:
            if word == "train":
                for identity in text.split():
                    self.twice += identity in before
                    self.reruns += identity not in before and identity in self.trained
                    self.trained.add(identity)
            elif word == "stored":
                self.promised.update(text.split())
            elif word == "raised":
                self.wrong(f"a run ended with {text}")

    def inspect(self, store: Store) -> None:
        """Read the store: all that was promised or ever seen is there, nothing twice, and nothing to complain of."""
        try:
            contents = store.read(STUDY)
        except Exception as error:  # whatever it is, a reader must never meet it
            self.wrong(f"reading raised {type(error).__name__}: {error}")
            return
        found = contents.table["identity"].to_pylist()
        self.twice += len(found) - len(set(found))
        self.lost |= self.promised - set(found)
        self.promised |= set(found)
        for problem in contents.problems:
            self.wrong(problem if "\n" not in problem else f"is told in several lines: {problem}")

    def compare(self, store: Store, reference: str) -> None:
        """The finished table must be the uninterrupted run's, to the bit in every scientific column."""
        if root_hash(store.read(STUDY).table) != reference:
            self.wrong("the finished table differs from that of an uninterrupted run")

    def close(self, note: str = "") -> Part:
        """The part's line; an anomaly takes the place of the note."""
        passed = not (self.lost or self.twice or self.anomalies)
        for identity in sorted(self.lost)[:5]:
            self.say(f"{self.part}: trial {identity[:12]} was stored and is lost")
        told = f"{len(self.anomalies)} anomalies, first: {self.anomalies[0]}" if self.anomalies else note
        seconds = round(time.perf_counter() - self._started, 1)
        counts = (self.kills, self.faults, self.reruns, len(self.lost), self.twice)
        return Part(self.part, *counts, seconds, passed, told)
