"""`capsim bench`: the object it prints, and what fails leaves a reason instead of a crash. No test times anything."""

import doctest
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from benchmarks import costs, engine, locks, scaling, study, table, worker, workloads
from benchmarks.machine import gemm_peaks
from benchmarks.processes import VariantError, Worker
from benchmarks.summary import facts, rows_of
from benchmarks.workloads import STUDY, WORKLOADS, Workload, kernel_shapes, steps_a_second
from experiments import cli
from experiments.runner import train_batch
from sim.member import make_member
from sim.networks.registry import Network

TINY = Workload("tiny", "mlp", (2, 2), 4, 1, 4, 4, 16, 2, 50)
PEAK = {"flops": 1e11, "kernel": "made up", "without": []}
BROKEN = "torch_func"


class MadeUp:
    """Stands in for a process: a rate that depends on the variant alone, and no number for one of them."""

    def __init__(self, kind, environment=None):
        self.kind = kind

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, variant, work, limit):
        assert (self.kind == "capsim") == (variant in ("capsim", "study"))
        if variant == BROKEN:
            raise VariantError("RuntimeError: no such operator")
        if variant == "study":
            return {"rate": 500.0, "store_share": 0.01, "evaluation_share": 0.04}, "a note"
        return {"capsim": 1000.0, "flax_step": 250.0}.get(variant, 100.0), "a note"


@pytest.fixture
def made_up(monkeypatch):
    for module in (table, scaling):
        monkeypatch.setattr(module, "Worker", MadeUp)
    monkeypatch.setattr(table, "gemm_peaks", lambda: [PEAK])
    monkeypatch.setattr(table, "start_seconds", lambda: {"cold": 5.0, "warm": 2.0})


@pytest.fixture
def result(made_up):
    return table.run_benchmarks()


# --- the object
def test_the_object_has_the_promised_names(result):
    assert {"machine", "workloads", "overhead", "start_seconds", "scaling", "costs"} <= set(result)
    assert [row["name"] for row in result["workloads"]] == ["mlp_medium", "mlp_small", "conv", "study"]
    for row in result["workloads"]:
        assert {"name", "capsim", "baselines", "ratios", "peak_share"} <= set(row)
        assert set(row["ratios"]) == set(row["baselines"]) >= {"flax_step", "torch_eager", "torch_func", "jit_vmap"}
        assert row["ratios"]["flax_step"] == row["capsim"] / row["baselines"]["flax_step"]
    assert "torch_channels_last" in result["workloads"][2]["ratios"]
    assert set(result["start_seconds"]) == {"cold", "warm"}
    assert result["scaling"]["1"] == 1.0
    assert result["overhead"] == pytest.approx(0.05)
    assert [row["name"] for row in result["costs"]] == ["K", "J", "I", "pixels"]
    json.dumps(result, allow_nan=False)


def test_the_share_of_the_peak_is_operations_over_peak(result):
    medium = 6 * 64 * (64 + 128 + 256) * 128
    conv = 6 * 16 * 256 * (9 * 32 + 2 * 9 * 32 * 32 + 32 * 2)
    shares = [row["peak_share"] for row in result["workloads"]]
    assert shares[0] == pytest.approx(1000 * medium / 1e11)
    assert shares[2] == pytest.approx(1000 * conv / 1e11)
    assert shares[3] == pytest.approx(500 * medium / 1e11)


def test_a_baseline_that_fails_is_null_and_has_its_reason(result):
    for row in result["workloads"]:
        assert row["baselines"][BROKEN] is None
        assert row["ratios"][BROKEN] is None
    assert result["workloads"][0]["reasons"] == {BROKEN: "RuntimeError: no such operator"}
    assert facts(result)["no number for conv, torch_func"] == "RuntimeError: no such operator"
    assert rows_of(result)["times as fast as each baseline"][0][BROKEN] == "none"


def test_an_engine_that_fails_leaves_the_baselines(made_up, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "BROKEN", "capsim")
    result = table.run_benchmarks(quick=True)
    row = result["workloads"][0]
    assert (row["capsim"], row["peak_share"], row["ratios"]["flax_step"]) == (None, None, None)
    assert row["baselines"]["flax_step"] == 250.0
    assert result["scaling"]["1"] is None
    assert rows_of(result)
    assert facts(result)["no number for scaling, strong 1"]


def test_a_command_that_cannot_start_leaves_a_reason(made_up, monkeypatch):
    def fail():
        raise subprocess.CalledProcessError(2, "capsim", stderr="one\ncapsim: no such study\n")

    monkeypatch.setattr(table, "start_seconds", fail)
    result = table.run_benchmarks(quick=True)
    assert result["start_seconds"] == {"cold": None, "warm": None, "reason": "capsim: no such study"}
    assert facts(result)["no number for start"] == "capsim: no such study"


def test_the_command_writes_its_files_and_one_object(made_up, tmp_path, capsys):
    assert cli.main(["bench", "--json", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads((tmp_path / "bench.json").read_text())
    assert "mlp_small: round 5 of 5" in printed.err
    assert {path.name for path in tmp_path.iterdir()} == {
        f"bench.{kind}" for kind in ("json", "pdf", "svg", "png", "csv")
    }
    rows = (tmp_path / "bench.csv").read_text().splitlines()
    assert rows[0] == "panel,series,x,y"
    assert "rates,flax_step,mlp_medium,250" in rows
    assert cli.main(["bench", "--quick", "--out", str(tmp_path)]) == 0  # no cost curves: a figure of one panel
    assert "network-steps a second" in capsys.readouterr().out


# --- the parts
@pytest.mark.parametrize("module", [costs, locks, table, workloads], ids=lambda module: module.__name__)
def test_examples_run(module):  # `benchmarks` is not searched for examples: one of its files needs PyTorch
    failed, attempted = doctest.testmod(module)
    assert attempted > 0
    assert failed == 0


def test_the_worker_answers_with_a_reason_for_whatever_goes_wrong():
    request = {"variant": "flax_step", "work": TINY._asdict(), "limit": 0.0}
    assert worker.answer({**request, "variant": "numpy"}, {}) == {"error": "KeyError: 'numpy'"}
    bad = {**request, "work": TINY._replace(width=0)._asdict()}
    assert "error" in worker.answer(bad, {})
    prepared = {}
    worker.answer({**request, "work": json.loads(json.dumps(TINY._asdict())), "limit": 1.0}, prepared)
    measured = worker.answer({**request, "work": TINY._replace(steps=7)._asdict(), "limit": 1.0}, prepared)
    assert measured["value"] > 0
    assert len(prepared) == 1  # another number of steps is not prepared again


def test_a_process_that_dies_or_hangs_is_a_reason():
    with Worker("plain", {"PYTHONHOME": "/nowhere"}) as dead:
        for _ in range(2):  # it is started again
            with pytest.raises(VariantError, match="its process ended with code 1"):
                dead.ask("flax_step", TINY, 0.0)
    with Worker("plain", patience=0.01) as slow, pytest.raises(VariantError, match="no answer within"):
        slow.ask("flax_step", TINY, 0.0)


def test_a_process_without_torch_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "benchmarks.torch_loops", raising=False)
    said = worker.answer({"variant": "torch_eager", "work": TINY._asdict(), "limit": 0.0}, {})
    assert "ModuleNotFoundError" in said["error"]
    assert "torch" in said["error"]


def test_steps_are_counted_until_the_limit():
    calls = []
    assert steps_a_second(lambda: calls.append(1), 5, 10.0, lambda _: calls.append(2)) > 0
    assert calls == [1] * 5 + [2]
    steps_a_second(lambda: calls.append(3), 5, 0.0, lambda _: None)
    assert 3 not in calls


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_engines_network_has_the_workloads_kernels(name):
    work = WORKLOADS[name]
    network, image = Network(engine.network_of(work)), jnp.ones((1, *work.image_shape))
    parameters = jax.eval_shape(network.init, jax.random.key(0), image)
    found = [leaf.shape for path, leaf in jax.tree.leaves_with_path(parameters) if "kernel" in str(path[-1])]
    assert sorted(found) == sorted(kernel_shapes(work))


@pytest.mark.parametrize("work", [TINY, TINY._replace(network="conv", depth=2, classes=2)], ids=["mlp", "conv"])
def test_the_population_has_the_workloads_members(work):
    settings, members = engine.make_population(work)
    assert settings.max_inputs == work.inputs
    assert members.recipe.max_steps.tolist() == [work.steps] * work.members
    shapes = jax.eval_shape(jax.vmap(make_member(settings)), members)
    assert shapes.info.steps.shape == (work.members,)


def test_a_study_trains_all_its_trials_and_then_none_for_the_share_of_evaluation(monkeypatch):
    work = TINY._replace(name="study")
    asked = []

    def train(batch):
        results = train_batch(batch)
        asked.append(results.info.steps.tolist())
        return results

    monkeypatch.setattr(study, "train_batch", train)
    found = study.run_once(work, 0, 50)
    assert asked == [[50, 50], [0, 0]]
    assert found["rate"] > 0
    assert 0 < found["store_share"] < 1
    assert found["evaluation_share"] > 0
    assert len(study.make_trials(STUDY, 0, 50)) == STUDY.members


def test_the_peak_is_measured_in_processes_of_their_own(monkeypatch):
    asked = []

    def run(command, env, **_):
        asked.append(env.get("OPENBLAS_CORETYPE"))
        flops = 1.0 if "OPENBLAS_CORETYPE" in env else 2.0
        return subprocess.CompletedProcess(command, 0, json.dumps({"flops": flops, "kernel": "made up"}))

    monkeypatch.setattr(subprocess, "run", run)
    for name in ("OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    peaks = gemm_peaks()
    assert asked == ["Haswell", None]
    assert [(peak["flops"], peak["without"]) for peak in peaks] == [(2.0, ["OPENBLAS_CORETYPE"]), (1.0, [])]


def test_planted_exponents_are_recovered_and_their_intervals_cover():
    """400 noisy lines: the number of covered exponents is Binomial(400, .95); false-fail rate 1e-4 either side."""
    generator = np.random.default_rng(5)
    values = np.repeat([16.0, 32.0, 64.0, 128.0], 2)
    covered, slopes = 0, []
    for _ in range(400):
        seconds = 0.3 * values**0.8 * np.exp(0.1 * generator.standard_normal(len(values)))
        fit = costs.fit_exponent(values, seconds)
        covered += fit["interval"][0] <= 0.8 <= fit["interval"][1]
        slopes.append(fit["exponent"])
    low, high = stats.binom(400, 0.95).ppf([1e-4, 1 - 1e-4])
    assert low <= covered <= high
    error = 0.1 / np.sqrt(400 * np.sum((np.log(values) - np.log(values).mean()) ** 2))
    assert abs(np.mean(slopes) - 0.8) < 4 * error  # false-fail rate 6e-5
    assert costs.fit_exponent([1, 2], [1.0, 2.0]) == {"exponent": None, "interval": None}
