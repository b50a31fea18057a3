"""Bodies of children, and trainers, with a planted fault each, for the self-test to find; children import them here."""

import os
import time

import pyarrow as pa

from experiments.selftest.child import run_plan
from experiments.selftest.plans import small_plan, train_stand_in
from experiments.store import Contents, Store


def run(folder, tell, train=train_stand_in):
    run_plan(folder, tell, plan=small_plan, train=train)


def forgets(folder, tell):
    """Every second batch is never written, though publishing returns."""
    publish, count = Store.publish, iter(range(100))

    def skipping(store, study, rows):
        if next(count) % 2 == 0:
            publish(store, study, rows)

    Store.publish = skipping
    run(folder, tell)


def retrains(folder, tell):
    """A run that does not look at what is stored."""
    read = Store.read

    def blind(store, study, *others):
        found = read(store, study, *others)
        return Contents(found.table.slice(0, 0), []) if found.table.num_rows < 64 else found

    Store.read = blind
    run(folder, tell)


def tears(folder, tell):
    """A file gets its name before its content."""

    def replace(source, target):
        with open(source, "rb") as file:
            content = file.read()
        with open(target, "wb", buffering=0) as file:
            file.write(content[:100])
            tell("torn", "")
            time.sleep(0.5)  # for the kill
            file.write(content[100:])
        os.unlink(source)

    os.replace = replace
    run(folder, tell)


def train_by_the_clock(batch):
    """Results that differ from run to run, by less than two results of one trial may."""
    made = train_stand_in(batch)
    return made._replace(train_accuracy=made.train_accuracy * (1 - time.time() % 1e-2))


def train_by_the_process(batch):
    """Results that contradict those of another process."""
    made = train_stand_in(batch)
    return made._replace(train_accuracy=made.train_accuracy * 0 + os.getpid() % 997 / 997)


def raises(folder, tell):
    raise pa.ArrowInvalid("two\nlines")


def ends_without_a_word(folder, tell):
    os._exit(3)


def hangs(folder, tell):
    tell("run", "")
    time.sleep(600)


def complains(folder, tell):
    for word, text in (("fault", "a"), ("fault", "b"), ("wrong", "something is\nwrong"), ("note", "here")):
        tell(word, text)
