"""Several runners at once on one store: no lock, and in the end the table of a single run."""

import random
import shutil
import time
from pathlib import Path

from experiments.records import root_hash
from experiments.selftest.child import Body, Event, start_child
from experiments.selftest.kills import PATIENCE, attempt, receive
from experiments.selftest.parts import Account, Part, Say
from experiments.selftest.plans import STUDY
from experiments.store import Store


def run_together(body: Body, folder: Path, runners: int, account: Account, kill_after: float | None) -> list[Event]:
    """Start so many runners on one store and read it all the while; kill the first after so many seconds, if told.

    Returns:
        what those that were not killed have told.
    """
    started = [start_child(body, folder) for _ in range(runners)]
    begun, told, open_pipes = time.monotonic(), [], {receiver: process for process, receiver in started}
    victim = started[0][0] if kill_after is not None else None
    try:
        while open_pipes:
            for receiver in list(open_pipes):
                try:
                    while receiver.poll(0.001):
                        event = receive(receiver.recv_bytes())
                        if event.word == "stored":
                            account.promised.update(event.text.split())
                        told.append(event)
                except EOFError:
                    del open_pipes[receiver]
            elapsed = time.monotonic() - begun
            if victim is not None and kill_after is not None and elapsed > kill_after:
                victim.kill()
                account.kills += 1
                victim = None
            if elapsed > PATIENCE:
                account.wrong(f"{len(open_pipes)} runners are not done after {PATIENCE:g} seconds")
                break
            account.inspect(Store(folder))
    finally:
        for process, receiver in started:
            process.kill()
            process.join()
            receiver.close()
    return told


def run_crowd(part: str, body: Body, runners: int, times: int, folder: Path, seed: int, say: Say) -> Part:
    """Let several runners work on one plan at once, in every second time with one of them killed.

    Trials may be trained by several of them: that is the price of having no lock, and is counted as reruns. The table
    must be a single run's, without a contradiction, and one more compaction must leave no published file over.
    """
    account, chance = Account(part, say), random.Random(seed)
    begun = time.monotonic()
    alone = attempt(body, folder / "reference")
    seconds = time.monotonic() - begun
    account.hear(alone.events)
    reference = root_hash(Store(folder / "reference").read(STUDY).table)
    for number in range(times):
        account.new_store()
        path = folder / f"crowd-{number}"
        kill_after = chance.uniform(0.2, 0.8) * seconds if number % 2 else None
        told = run_together(body, path, runners, account, kill_after)
        trained = [identity for word, text in told if word == "train" for identity in text.split()]
        account.reruns += len(trained) - len(set(trained))
        for word, text in told:
            if word == "raised":
                account.wrong(f"a runner ended with {text}")
        ended = sum(word == "done" for word, _ in told)
        if ended < runners - (kill_after is not None):
            account.wrong(f"{ended} of {runners} runners came to their end")
        account.inspect(Store(path))
        account.compare(Store(path), reference)
        Store(path).compact(STUDY)
        account.compare(Store(path), reference)
        left = list(Store(path).folder(STUDY).glob("pending/*.json"))
        if left:
            account.wrong(f"{len(left)} published files are left after the last compaction")
        shutil.rmtree(path)
    return account.close(f"{times} tables equal to a single run's")
