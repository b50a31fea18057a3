"""Kills: run a plan in a process that is killed (SIGKILL) at drawn moments and started again until all is done."""

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.records import root_hash
from experiments.selftest.child import Body, Event, start_child
from experiments.selftest.parts import Account, Part, Say
from experiments.selftest.plans import STUDY
from experiments.store import Store

PATIENCE = 120.0  # seconds without a message after which a child counts as hanging
PLACES = ("run", "train", "publish", "compact")


class Aim(NamedTuple):
    """When to kill: so many seconds after the so-manieth file operation after the so-manieth message of a kind."""

    word: str
    number: int
    files: int
    seconds: float


class Attempt(NamedTuple):
    """One process: all that it told, whether it was killed, and in the middle of what."""

    events: list[Event]
    killed: bool
    place: str


def attempt(body: Body, folder: Path, aim: Aim | None = None) -> Attempt:
    """Run a child to its end, or to the moment that `aim` names if it gets there."""
    process, receiver = start_child(body, folder)
    events: list[Event] = []
    killed = False
    words, files = 0, 0
    try:
        while receiver.poll(PATIENCE):
            events.append(receive(receiver.recv_bytes()))
            if aim is None or killed:
                continue
            words += events[-1].word == aim.word
            files += events[-1].word == "file" and words >= aim.number
            if words >= aim.number and files >= aim.files:
                time.sleep(aim.seconds)
                process.kill()
                killed = True
        events.append(Event("raised", f"no message for {PATIENCE:g} seconds"))
    except EOFError:
        pass
    finally:
        process.kill()
        process.join()
        receiver.close()
    # A child may have ended by itself while we waited to kill it.
    killed = killed and process.exitcode is not None and process.exitcode < 0
    if not killed and events[-1:] != [Event("done", "")] and not any(event.word == "raised" for event in events):
        events.append(Event("raised", f"exit code {process.exitcode} without a word"))
    return Attempt(events, killed, next((e.word for e in reversed(events) if e.word in PLACES), "start"))


def receive(message: bytes) -> Event:
    """A child's message, as it came through the pipe."""
    word, _, text = message.decode().partition(" ")
    return Event(word, text)


def draw_aims(reference: Sequence[Event], seconds: float, seed: int) -> Iterator[Aim]:
    """Moments without end: around publishing, around compaction, while a batch trains, and at any time at all.

    Args:
        reference: what an uninterrupted run told: how many file operations a compaction has.
        seconds: how long a batch trains.
    """
    chance = random.Random(seed)
    words = [event.word for event in reference]
    inside = words[words.index("compact") : words.index("compacted")].count("file")
    while True:
        match chance.choices(("publish", "compact", "train", "any"), (45, 30, 15, 10))[0]:
            case "publish":  # temporary file, rename, folder, and the next batch's training
                yield Aim("publish", chance.randint(1, 2), chance.randint(0, 4), chance.uniform(0, 0.003))
            case "compact":
                yield Aim("compact", 1, chance.randint(0, inside), chance.uniform(0, 0.003))
            case "train":
                yield Aim("train", chance.randint(1, 2), 0, chance.uniform(0, seconds))
            case "any":
                yield Aim("file", chance.randint(1, words.count("file")), 0, chance.uniform(0, 0.003))


def run_kills(part: str, body: Body, kills: int, folder: Path, seed: int, seconds: float, say: Say) -> Part:
    """Kill a runner so many times, look at the store after every kill, and compare each finished table.

    Args:
        body: what the child runs: the same plan each time.
        seconds: how long a batch trains at most, for kills in the middle of it.
    """
    account, places = Account(part, say), Counter[str]()
    whole = attempt(body, folder / "reference")
    account.hear(whole.events)
    if account.anomalies:
        return account.close()
    reference = root_hash(Store(folder / "reference").read(STUDY).table)
    batch = max(len(event.text.split()) for event in whole.events if event.word == "train")
    aims = draw_aims(whole.events, seconds, seed)
    rounds = 0
    while account.kills < kills and not account.anomalies:
        rounds += 1
        path = folder / f"round-{rounds}"
        account.new_store()
        finished = False
        while not finished and not account.anomalies:
            # The last round is let run to its end once there are kills enough.
            tried = attempt(body, path, next(aims) if account.kills < kills else None)
            account.kills += tried.killed
            places[tried.place] += tried.killed
            account.hear(tried.events)
            account.inspect(Store(path))
            finished = not tried.killed
        if finished:
            account.compare(Store(path), reference)
        shutil.rmtree(path, ignore_errors=True)
    if account.reruns > account.kills * batch:
        account.wrong(f"{account.reruns} reruns are more than a batch of {batch} for each of {account.kills} kills")
    where = ", ".join(f"{count} in {place}" for place, count in sorted(places.items()) if count)
    return account.close(f"{where}; {rounds} tables equal to the uninterrupted run's to the bit")
