"""A store driven at random (two writers, kills, power cuts, torn and foreign files, a clock that jumps), and a model.

The model knows of every batch whether its rows must be there or only may be: after a kill in the middle of publishing
or after its file was torn. It knows which results of a trial contradict each other.
"""

import contextlib
import random
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from experiments.faults import FailingFiles, Killed, SimulatedDisk
from experiments.records import TOLERANCE, to_rows
from experiments.store import Store

FOLDER = Path("/store/demo")
AGREEING = (0.5, 0.5 + TOLERANCE / 2)
VALUES = (*AGREEING, 0.9, None)  # None: a failure
ROWS = st.dictionaries(st.integers(1, 6), st.sampled_from(VALUES), min_size=1, max_size=3)
STEP = st.integers(1, 40)  # a publish takes about 15 operations, a compaction 30


def make_row(name, value):
    return {"identity": f"{name:0>8}", "status": "ok" if value else "failed", "test_accuracy": value}


class InterruptedFiles(FailingFiles):
    """Files between whose operations another process does something, once."""

    def __init__(self, inner, at, act):
        super().__init__(inner, 10**9, "EIO")
        self.when, self.act = at, act

    def operate(self, name, *arguments):
        if len(self.done) == self.when:
            self.when = -1
            self.act()
        return super().operate(name, *arguments)


class StoreMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.disk = SimulatedDisk()
        self.writers = [Store("/store", self.disk), Store("/store", self.disk)]
        self.batches = {}  # (name, value) pairs -> whether they must be there
        self.foreign = set()

    def know(self, rows, sure):
        key = tuple(sorted(rows.items()))
        self.batches[key] = sure or self.batches.get(key, False)

    def publish_with(self, store, rows):
        self.know(rows, False)
        store.publish("demo", [make_row(*item) for item in sorted(rows.items())])
        self.know(rows, True)

    @rule(writer=st.integers(0, 1), rows=ROWS)
    def publish(self, writer, rows):
        self.publish_with(self.writers[writer], rows)

    @rule(writer=st.integers(0, 1))
    def compact(self, writer):
        self.writers[writer].compact("demo")

    @rule(step=STEP, rows=st.none() | ROWS, other=st.none() | ROWS)
    def work_at_the_same_time(self, step, rows, other):
        """One process is interrupted after some operations by the whole of another's; both publish or compact."""

        def act(store, rows):
            if rows is None:
                store.compact("demo")
            else:
                self.publish_with(store, rows)

        files = InterruptedFiles(self.disk, step, lambda: act(self.writers[1], other))
        act(Store("/store", files), rows)

    @rule(step=STEP, rows=st.none() | ROWS, cut=st.booleans(), seed=st.none() | st.integers(0, 99))
    def be_killed(self, step, rows, cut, seed):
        store = Store("/store", FailingFiles(self.disk, step, "kill"))
        with contextlib.suppress(Killed):
            if rows is None:
                store.compact("demo")
            else:
                self.publish_with(store, rows)
        if cut:
            self.disk.power_cut(None if seed is None else random.Random(seed))
            self.writers = [Store("/store", self.disk) for _ in self.writers]  # they died as well
            self.foreign = {path for path in self.foreign if self.there(path)}

    @rule(step=STEP, fault=st.sampled_from(["EIO", "EIO after", "ENOSPC", "short", "torn"]), forever=st.booleans())
    def fail(self, step, fault, forever):
        store = Store("/store", FailingFiles(self.disk, step, fault, forever))
        with contextlib.suppress(OSError):
            store.compact("demo")
        store.read("demo")

    @rule(choice=st.integers(0, 9))
    def tear(self, choice):
        """Half of a published file is lost, with nothing to tell of it but its name."""
        if not self.there(FOLDER / "pending"):
            return
        paths = [FOLDER / "pending" / name for name in self.disk.list(FOLDER / "pending") if name.endswith(".json")]
        if paths:
            path = paths[choice % len(paths)]
            node = self.disk._find(path)
            node.content = node.synced = node.content[: len(node.content) // 2]
            self.foreign.add(path)
            for key in self.batches:
                self.batches[key] = self.batches[key] and self.name_of(key) != path

    def name_of(self, key):
        probe = SimulatedDisk()
        Store("/store", probe).publish("demo", [make_row(*item) for item in key])
        return FOLDER / "pending" / probe.list(FOLDER / "pending")[0]

    @rule(name=st.sampled_from(["pending/notes.txt", "mine.parquet", "rows-1.parquet"]))
    def leave_something(self, name):
        path = FOLDER / name
        if self.there(path.parent) and not self.there(path):
            descriptor = self.disk.create(path)
            self.disk.write(descriptor, b"mine")
            self.disk.close(descriptor)
            self.foreign.add(path)

    @rule(seconds=st.sampled_from([-1e5, 1.0, 1e5]))
    def jump(self, seconds):
        self.disk.time += seconds

    def there(self, path):
        try:
            self.disk.kind(path)
        except OSError:
            return False
        return True

    @invariant()
    def reading_agrees_with_the_model(self):
        contents = Store("/store", self.disk).read("demo")
        rows = {row["identity"]: row for row in to_rows(contents.table)}
        assert len(rows) == contents.table.num_rows
        known = [(f"{name:0>8}", value, sure) for key, sure in self.batches.items() for name, value in key]
        assert {name for name, _, sure in known if sure} <= set(rows)
        for name, row in rows.items():
            held = [(value, sure) for other, value, sure in known if other == name]
            assert row.get("test_accuracy") in {value for value, _ in held}
            certain = {"far" if value == 0.9 else "near" for value, sure in held if sure and value}
            possible = {"far" if value == 0.9 else "near" for value, _ in held if value}
            assert row["status"] == "ok" or not certain, "a result replaces a failure"
            told = any(f"trial {name} differs" in problem for problem in contents.problems)
            assert told or len(certain) < 2, "a contradiction is told of"
            assert not told or len(possible) == 2, "nothing else is"
        gone = {path for path in self.foreign if not any(str(path) in problem for problem in contents.problems)}
        assert not {path for path in gone if path.suffix != ".json"}, "what is foreign is named, and stays"
        for problem in contents.problems:
            assert problem.startswith("/store") or "a second result for trial" in problem
            assert "\n" not in problem


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=25, stateful_step_count=15)
