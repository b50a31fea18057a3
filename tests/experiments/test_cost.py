"""Costs: seconds follow what was measured, memory follows the arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import cost
from experiments.cost import (
    COMPILE_SECONDS,
    DEFAULT_RATE,
    OVERHEAD,
    measure_pace,
    member_bytes,
    plan,
    predicted_cost,
    predicted_seconds,
)
from experiments.runner import make_batches
from experiments.spec import Study, Sweep
from experiments.store import Store
from experiments.tasks import make_task, stack_members
from sim.member import make_member
from sim.networks.registry import Network

SWEEP = Sweep(generator="codebook", network=["bayes", "linear"], outputs=[4, 8], inputs=16, max_steps=[200, 400],
              seeds=2, learning_rate=0.01, weight_decay=0.0, input_noise=0.0, test_items=100)  # fmt: skip
STUDY = Study("tiny", "", "", "", "", "", "a rule", False, {"smoke": (SWEEP,)}, lambda columns: [], rule_source="words")


def batches_of(trials):
    return make_batches(trials, [trial.identity for trial in trials], 2)


def store_with(path, trials, rate):
    """Rows that took their operations at `rate` operations a second, by network, and their share of compiling."""
    names = [dict(t.factors)["network"] for t in trials]
    settings = {(n, make_task(t).settings) for t, n in zip(trials, names, strict=True)}
    programs = {name: sum(n == name for n, _ in settings) for name in names}
    rows = [
        {"identity": t.identity, "status": "ok", "seed": t.seed, "factors_json": t.factors_json,
         "seconds": predicted_cost(t, make_task(t)) / rate[n] + COMPILE_SECONDS * programs[n] / names.count(n)}
        for t, n in zip(trials, names, strict=True)
    ]  # fmt: skip
    Store(path).publish("elsewhere", rows)
    return Store(path)


@pytest.fixture
def no_results(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "COMMITTED", tmp_path / "none")


def test_seconds_are_those_of_stored_trials_of_the_same_kind(tmp_path, no_results):
    """Each network has a pace of its own, planted; one without a record goes at the pace of the others asked for."""
    trials = SWEEP.trials()
    rate = {"bayes": 1e8, "linear": 4e8}  # so slow that compiling is no more than `MOST_COMPILING` of the time
    store = store_with(tmp_path / "store", trials, rate)
    expected = sum(predicted_cost(t, make_task(t)) / rate[dict(t.factors)["network"]] for t in trials)
    assert predicted_seconds(batches_of(trials), store) == pytest.approx(expected + 2 * COMPILE_SECONDS)
    plugin = Sweep(generator="codebook", network="plugin", outputs=4, inputs=16, seeds=3).trials()
    kinds = [("codebook", "bayes", ""), ("codebook", "linear", "jway")]
    seconds, operations = np.sum(list(measure_pace(store, kinds).values()), axis=0)
    assert predicted_seconds(batches_of([*trials, *plugin]), store) == pytest.approx(
        expected + 3 * OVERHEAD * seconds / operations + 3 * COMPILE_SECONDS
    )


@pytest.mark.parametrize(("network", "sizes"), [("conv", {}), ("unet", {"levels": 2}), ("unet", {"levels": 1})])
def test_operations_of_an_image_are_those_that_the_compiler_counts(network, sizes):
    """Two a product. The compiler leaves out products with the zeros around an image, a tenth on 32 pixels a side, more
    on coarser scales, and adds biases and rectifiers: within a quarter."""
    depth = {"depth": 1} if network == "unet" else {}
    (trial,) = Sweep(
        generator="dictionary", network=network, grid_size=32, width=8, seeds=1, max_steps=100, batch_size=1,
        test_items=1, learning_rate=0.01, weight_decay=0.0, input_noise=0.0, **depth, **sizes,
    ).trials()  # fmt: skip
    task = make_task(trial)
    network = Network(task.settings.learner)
    image = jnp.zeros((1, 32, 32))
    parameters = network.init(jax.random.key(0), image)
    counted = jax.jit(network.apply).lower(parameters, image).cost_analysis()["flops"]
    assert (predicted_cost(trial, task) - OVERHEAD) / (6 * 100 + 2) == pytest.approx(counted / 2, rel=0.25)


def test_without_a_record_the_rate_is_the_stated_one(tmp_path, no_results):
    trials = Sweep(generator="codebook", network="bayes", outputs=4, inputs=16, seeds=3).trials()
    assert predicted_seconds(batches_of(trials), Store(tmp_path / "new")) == pytest.approx(
        3 * OVERHEAD / DEFAULT_RATE + COMPILE_SECONDS
    )
    assert predicted_seconds([], Store(tmp_path / "new")) == 0


def test_failed_trials_are_no_measure(tmp_path):
    (trial,) = Sweep(generator="codebook", network="bayes", outputs=4, inputs=16, seeds=1).trials()
    row = {"identity": trial.identity, "seed": 0, "factors_json": trial.factors_json, "seconds": 9.0}
    Store(tmp_path).publish("sweep", [{**row, "status": "failed"}])
    assert measure_pace(Store(tmp_path), [("codebook", "bayes", "")]) == {}


def test_the_folder_of_a_killed_run_is_no_study(tmp_path):
    (tmp_path / ".run-0123").mkdir()
    assert measure_pace(Store(tmp_path), [("codebook", "bayes", "")]) == {}


def test_a_plan_counts_without_training(tmp_path, no_results):
    found = plan(STUDY, "smoke", Store(tmp_path), {}, None, make_batches)
    assert {name: found[name] for name in ("trials", "pending", "batches", "programs")} == {
        "trials": 12, "pending": 12, "batches": 2, "programs": 2,
    }  # fmt: skip
    assert found["predicted_from"] == "an assumed 2e+11 operations a second"
    assert found["predicted_seconds"] == pytest.approx(
        sum(predicted_cost(t, make_task(t)) for t in SWEEP.trials()) / DEFAULT_RATE + 2 * COMPILE_SECONDS, abs=0.1
    )
    assert found["peak_megabytes"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [{"outputs": 256, "inputs": 4096, "width": 512}, {"outputs": 16, "inputs": 16384}])
def test_memory_is_that_of_the_compiled_program_to_a_factor_of_two(shape):
    """The compiler shares and adds buffers, which nobody can know beforehand: a factor of two either way is what an
    estimate that chooses a machine needs."""
    (trial,) = Sweep(generator="codebook", network="mlp", dimension=64, test_items=1000, seeds=1, **shape).trials()
    task = make_task(trial)
    member = jax.tree.map(lambda leaf: leaf[0], stack_members([task]))
    used = jax.jit(make_member(task.settings)).lower(member).compile().memory_analysis().temp_size_in_bytes
    assert 0.5 < member_bytes(task.settings, task) / used < 2
