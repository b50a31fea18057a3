"""Packing: what a trial is given and what it achieves do not depend on what it is packed with, on the chunk, on the
number of devices, or on the process.

The work is done by this file run as a script, once for each number of simulated devices: three processes.
"""

import hashlib
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from experiments.spec import Sweep
from experiments.tasks import make_task, stack_members
from sim.member import draw_member, make_member

ROOT = Path(__file__).resolve().parents[1]
TEST_ITEMS, STEPS = 400, 300
SWEEP = {
    "generator": "codebook", "network": "mlp", "outputs": [4, 8], "dimension": 8, "inputs": [12, 16], "width": 8,
    "noise": 0.7, "test_items": TEST_ITEMS, "learning_rate": 0.01, "weight_decay": 0.0, "input_noise": 0.5,
    "max_steps": STEPS, "batch_size": 16,
}  # fmt: skip
SIZE = 4
CHUNK = {1: 8, 2: 2, 8: 1}  # devices of a process -> members that it vmaps together
ORDERS = {1: [3, 1, 0, 2, 2], 2: [0, 1, 2, 3], 8: [2, 2, 3, 0, 1, 1, 0, 3]}  # a trial may stand beside itself


@lru_cache(maxsize=1)
def tasks():
    found = [make_task(trial) for trial in Sweep(**SWEEP, seeds=1).trials()]
    assert len(found) == SIZE
    return found


@lru_cache(maxsize=4)
def program(chunk):
    """One program that gives what `draw_member` draws and what `make_member` makes of it, in each member's life."""
    static = tasks()[0].settings
    live = make_member(static)

    def both(member):
        drawn = draw_member(static, member)
        return (drawn.train, drawn.test, drawn.parameters), live(member)

    def shard(members):
        return lax.map(both, members, batch_size=chunk if chunk > 1 else None)

    over, mesh = PartitionSpec("population"), Mesh(np.array(jax.local_devices()), ("population",))
    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=over, out_specs=over, check_vma=False))


def live_through(chunk, order):
    """What the trials in `order` are given and achieve; an order that does not fill all places is filled up."""
    filled = [*order, *[order[0]] * (-len(order) % (chunk * len(jax.local_devices())))]
    found = program(chunk)(stack_members([tasks()[which] for which in filled]))
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(order)], found)


def digest(*arrays):
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def report(chunk, order):
    """One entry a trial in `order`: hashes and scores."""
    (train, test, weights), results = live_through(chunk, order)
    return [
        {
            "which": which,
            "labels": digest(train.labels[place], test.labels[place]),
            "weights": digest(*(leaf[place] for leaf in jax.tree.leaves(weights))),
            "images": digest(train.images[place], test.images[place]),
            "steps": results.info.steps[place].item(),
            "test": results.test.exact_match[place].item(),
            "train": results.train_accuracy[place].item(),
            "nll": results.test.nll[place].item(),
        }
        for place, which in enumerate(order)
    ]


@pytest.fixture(scope="module")
def reports():
    """Devices -> what a process of its own with so many of them has found."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1"}
    found = {}
    for devices in CHUNK:
        command = [sys.executable, "-W", "ignore", __file__, str(devices)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300)
        assert done.returncode == 0, done.stderr
        found[devices] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def here():
    """What each trial is given and achieves in this process: two devices, one network after the other."""
    return report(1, range(SIZE))


def test_the_trials_differ(here):
    assert len({entry["weights"] for entry in here}) == SIZE
    assert len({entry["images"] for entry in here}) == SIZE


@pytest.mark.parametrize("name", ["labels", "images", "weights"])
def test_data_and_initial_weights_are_the_same_bits_everywhere(reports, here, name):
    for devices, entries in reports.items():
        for entry in entries:
            assert entry[name] == here[entry["which"]][name], f"{devices} devices"


@given(order=st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=SIZE))
@settings(max_examples=6)
def test_any_neighbours_in_any_place_change_not_a_bit(here, order):
    """Alone, beside itself, in any order: one program, so all scores too are the same to the bit."""
    for entry in report(1, order):
        assert entry == here[entry["which"]]


# Programs of other widths add the same float32 numbers in another order: a relative difference of 2^-24 = 6e-8 a sum,
# and Adam divides by the root of a mean square, which keeps it relative. Were all differences of 300 steps to fall the
# same way, a weight that has moved by 300 * .01 = 3 would be off by 300 * 6e-8 * 3 = 5e-5, and a logit, a sum over
# 8 hidden units with images of size 3, by some 1e-3 (measured on nll: 5e-7). An answer flips where the two best logits
# are nearer than that; margins spread over about 1 nat, so .1% of 400 answers, 0.4, flip: at most 3 but for one case in
# a thousand (Poisson). A test accuracy then moves by at most 3 / 400, all flips one way. A training accuracy, of at
# most 16 images, by one image (.016 expected flips; two in one case of 8,000).
FLIPS, TRAIN_FLIPS, NLL = 3, 1, 1e-3


def test_scores_agree_to_the_answers_that_rounding_can_flip(reports, here):
    inputs = [int(task.member.num_inputs) for task in tasks()]
    for entry in [entry for entries in reports.values() for entry in entries]:
        mine = here[entry["which"]]
        assert entry["steps"] == mine["steps"] == STEPS
        assert abs(entry["test"] - mine["test"]) * TEST_ITEMS < FLIPS + 0.5
        assert abs(entry["train"] - mine["train"]) * inputs[entry["which"]] < TRAIN_FLIPS + 0.5
        assert entry["nll"] == pytest.approx(mine["nll"], rel=0, abs=NLL)
    assert min(entry["test"] for entry in here) > 1 / 8 + 0.1  # they have learned, so that there was much to upset


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
    assert len(jax.local_devices()) == int(sys.argv[1])
    print(json.dumps(report(CHUNK[int(sys.argv[1])], ORDERS[int(sys.argv[1])])))
