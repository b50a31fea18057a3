"""The command line: exit codes, one-line errors, JSON contracts; with a study and a runner of the test's own."""

import csv
import io
import json
import re
import subprocess
import sys
import types
from typing import NamedTuple

import pytest

from experiments.cli import COMMANDS, main
from experiments.console import LINE_SECONDS, ProgressLine, plain
from experiments.spec import Study, Sweep
from experiments.store import Store

SWEEP = Sweep(generator="codebook", network=["bayes", "plugin"], outputs=[4, 16], inputs=64, seeds=2)
LARGE = Sweep(generator="codebook", network=["bayes", "plugin"], outputs=[4, 16, 64], inputs=64, seeds=2)


class Report(NamedTuple):
    done: int
    total: int
    rate: float = 2.0
    seconds_left: float = 30.0


def make_row(trial, status="ok"):
    return {
        **dict(trial.factors), "identity": trial.identity, "arm": trial.arm, "seed": trial.seed, "status": status,
        "test_accuracy": 0.5, "seconds": 2.0, "reason": "" if status == "ok" else "RuntimeError: no memory",
    }  # fmt: skip


def run_study(study, preset, store, overrides=None, seeds=None, progress=None, engine=None, status="ok"):
    trials = study.trials(preset, overrides, seeds)
    done = store.read(study.name).table["identity"].to_pylist()
    rows = [make_row(trial, status) for trial in trials if trial.identity not in done]
    if rows:
        store.publish(study.name, rows)
    progress(Report(len(trials), len(trials)))
    failed = len(trials) if status == "failed" else 0
    return {"study": study.name, "preset": preset, "trials": len(trials), "trained": len(rows), "failed": failed}


@pytest.fixture(autouse=True)
def world(monkeypatch, tmp_path):
    """A registry of two studies, and stand-ins for what trains, fits, judges and draws."""
    demo = Study("demo", "a demo", "c", "q", "sp", "rp", "r", True, {"smoke": (SWEEP,), "laptop": (LARGE,)}, list)
    other = demo._replace(name="other", summary="another")

    def module(name, **content):
        made = types.ModuleType(name)
        made.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, made)

    def write_figures(names, store, out, preset=None):
        paths = [out / f"{name}.pdf" for name in names]
        for path in paths:
            path.write_text(f"{store} {preset}")
        return paths

    def judge_study(study, table, ledger):
        return [{"study": study.name, "claim": "c", "verdict": "refuted", "estimand": "e", "effect": float("nan"),
                 "interval": (0.1, 0.2), "trials": table.num_rows, "rule_hash": "h", "sentence": "No."}]  # fmt: skip

    fits = [{"law": "hill", "arm": "bayes", "metric": "exact_match", "parameters": {"a": {"value": 1.0}}}]
    figures = {"collapse": types.SimpleNamespace(summary="one curve"), "heads": types.SimpleNamespace(summary="four")}
    module("experiments.studies.registry", STUDIES={"demo": demo, "other": other})
    module("experiments.runner", run_study=run_study, make_batches=None)
    module("experiments.cost", plan=lambda *arguments: {"trials": 8, "pending": 8})
    module("experiments.fitting", fit_study=lambda name, table: fits)
    module("experiments.verdicts", judge_study=judge_study)
    module("experiments.synthesis.judge", judge=lambda found: [], synthesise=lambda tables, judged_only: None)
    module("paper_figures.registry", FIGURES=figures, write_figures=write_figures)
    module("paper_figures.report", write_report=lambda store, out, preset=None: out / "index.html")
    monkeypatch.setattr("experiments.cache.configure_devices", lambda: None)
    monkeypatch.setattr("experiments.cache.enable_compilation_cache", lambda: None)
    monkeypatch.setattr("experiments.tables.default_store", lambda study: (Store(tmp_path / "results"), "results"))
    monkeypatch.setenv("CAPSIM_STORE", str(tmp_path / "written"))
    monkeypatch.setenv("COLUMNS", "80")
    return demo


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


@pytest.fixture
def capsim(capsys):
    """Run a command: (exit code, standard output, standard error)."""

    def call(*arguments):
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run demo --set outputs=-3", "outputs must be >= 2, got -3"),
        ("run demo --set outputs=4,x", "outputs must be a whole number, got 'x'"),
        ("run demo --set nosuchfactor=3", "no factor named 'nosuchfactor': `capsim list factors STUDY` shows them all"),
        ("run demo --set outptus=3", "no factor named 'outptus': did you mean outputs?"),
        ("run demo --set width=3", "width applies to nothing in demo: see `capsim list factors demo`"),
        ("run demo --set outputs", "--set must be factor=value or factor=value,value, got 'outputs'"),
        ("run demo --set outputs=", "--set must be factor=value or factor=value,value, got 'outputs='"),
        ("run demo --set noise=1 --set noise=2", "--set must name a factor once, with all its values, "
         "got 'noise' twice"),
        ("run demo --set", "Missing value for argument '--set'. Expected 1 values."),
        ("run demo --seeds 0", "seeds must be >= 1, got 0"),
        ("run demo --engine ray", "engine must be one of local, dask, got 'ray'"),
        ("run demo --workers 2", "--workers must go with --engine dask, got 2 with local"),
        ("run demo --scheduler tcp://h:1", "--scheduler must go with --engine dask, got 'tcp://h:1' with local"),
        ("run demo --engine dask --workers 0", "workers must be >= 1, got 0"),
        ("run demo --engine dask --workers 2 --scheduler tcp://h:1", "--workers must not be given with --scheduler, "
         "which has its own, got 2"),
        ("run demo --seeds x", "Error parsing --seeds: no type matching {None}|INT could be instantiated from ['x']."),
        ("run nosuchstudy", "study must be one of demo, other, got 'nosuchstudy'"),
        ("status nosuchstudy", "study must be one of demo, other, got 'nosuchstudy'"),
        ("run demo --preset nosuchpreset", "preset must be one of smoke, laptop for demo, got 'nosuchpreset'"),
        ("status demo --preset all", "preset must be one of smoke, laptop for demo, got 'all'"),
        ("run demo --store /proc/none", "store must be a folder that can be written, got /proc/none (No such file or "
         "directory)"),
        ("run demo --nosuch", "Unrecognized options: --nosuch"),
        ("run", "Missing from capsim run: STUDY a name from `capsim list studies` (required)"),
        ("nosuchcommand", f"Unrecognized options: nosuchcommand. Available subcommands: {', '.join(COMMANDS)}"),
        ("", f"Expected one of {{{', '.join(COMMANDS)}}}."),
        ("list studies demo", "list studies must stand alone, got 'demo'"),
        ("list factors nosuchstudy", "study must be one of demo, other, got 'nosuchstudy'"),
        ("export demo --out table.xls", "out must end in .csv or .parquet, got table.xls"),
        ("export demo --out table.csv", "study must have rows: results has none of demo, preset all; `capsim run demo` "
         "makes them"),
        ("fit demo", "study must have rows: results has none of demo, preset smoke; `capsim run demo` makes them"),
        ("verdict all", "a study must have rows: results has none; `capsim run STUDY` makes them"),
        ("figures nosuchfigure", "figure must be all or one of collapse, heads, got 'nosuchfigure'"),
        ("figures all --out /proc/none", "out must be a folder that can be written, got /proc/none (No such file or "
         "directory)"),
    ],
)  # fmt: skip
def test_mistakes_cost_one_line_and_code_two(capsim, arguments, message):
    code, out, error = capsim(*arguments.split())
    assert (code, out, error) == (2, "", f"capsim: {message}\n")


def test_nothing_is_made_by_a_mistake(capsim, tmp_path):
    capsim("run", "demo", "--set", "outputs=-3", "--store", str(tmp_path / "s"))
    capsim("status", "demo", "--store", str(tmp_path / "s"))
    capsim("run", "demo", "--dry-run", "--store", str(tmp_path / "s"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help_with_an_example(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), "--help"])
    out = capsys.readouterr().out
    assert not stop.value.code
    assert f"Example: capsim {command}" in out
    assert not command or "--json" in out


def test_run_then_rerun_then_status(capsim, store):
    code, out, error = capsim("run", "demo", "--store", store, "--json")
    assert (code, error) == (0, "8/8 trials, 2.00 trials/s, 30 s left\n")
    assert json.loads(out) == {"study": "demo", "preset": "smoke", "trials": 8, "trained": 8, "failed": 0}
    assert json.loads(capsim("run", "demo", "--store", store, "--json")[1])["trained"] == 0
    found = json.loads(capsim("status", "demo", "--store", store, "--preset", "laptop", "--json")[1])
    assert found == {
        "study": "demo", "preset": "laptop", "done": 8, "pending": 4, "failed": 0, "diverged": 0,
        "seconds_left": 8.0, "last_run_predicted_seconds": None, "last_run_seconds": None, "store": store,
    }  # fmt: skip
    assert re.search(r"seconds left +about 8 s", capsim("status", "demo", "--store", store, "--preset", "laptop")[1])


def test_set_and_seeds_reach_the_runner_and_status(capsim, store):
    changes = ["--set", "outputs=8", "--set", "noise=1,2", "--seeds", "3"]
    assert json.loads(capsim("run", "demo", "--store", store, "--json", *changes)[1])["trained"] == 12
    assert json.loads(capsim("status", "demo", "--store", store, "--json", *changes)[1])["done"] == 12
    assert json.loads(capsim("status", "demo", "--store", store, "--json")[1])["done"] == 0


def test_run_writes_where_the_environment_says(capsim, tmp_path):
    capsim("run", "demo")
    assert Store(tmp_path / "written").read("demo").table.num_rows == 8


def test_failures_are_listed_and_cost_code_one(capsim, store, monkeypatch):
    def failing(*arguments, **options):
        return run_study(*arguments, **options, status="failed")

    monkeypatch.setattr(sys.modules["experiments.runner"], "run_study", failing)
    code, _, error = capsim("run", "demo", "--store", store)
    assert code == 1
    assert error.count("failed: RuntimeError: no memory") == 8
    status = json.loads(capsim("status", "demo", "--store", store, "--json")[1])
    assert (status["done"], status["pending"], status["failed"]) == (0, 0, 8)


def test_export_both_formats(capsim, store, tmp_path):
    import pyarrow.parquet as pq

    capsim("run", "demo", "--store", store)
    capsim("run", "demo", "--store", store, "--set", "outputs=8")
    target = tmp_path / "table.csv"
    code, out, _ = capsim("export", "demo", "--store", store, "--out", str(target), "--json")
    assert (code, json.loads(out)["rows"]) == (0, 12)
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert len({row["identity"] for row in rows}) == 12
    assert {row["test_accuracy"] for row in rows} == {"0.5"}
    other = tmp_path / "table.parquet"
    capsim("export", "demo", "--store", store, "--out", str(other), "--preset", "smoke")
    assert pq.read_table(other).num_rows == 8
    code, _, error = capsim("export", "demo", "--store", store, "--out", "/proc/none/table.csv")
    assert code == 2
    assert "out must be a file that can be written, got /proc/none/table.csv" in error
    assert error.count("\n") == 1


def test_fit_and_verdict(capsim, store):
    capsim("run", "demo", "--store", store)
    found = json.loads(capsim("fit", "demo", "--store", store, "--json")[1])
    assert found["store"] == store
    assert found["fits"][0]["law"] == "hill"
    assert "hill" in capsim("fit", "demo", "--store", store)[1]
    code, out, error = capsim("verdict", "all", "--store", store, "--json")
    (verdict,) = json.loads(out)["verdicts"]
    assert (code, verdict["study"], verdict["interval"], verdict["trials"]) == (0, "demo", [0.1, 0.2], 8)
    assert verdict["effect"] is None, "JSON knows no NaN"
    assert error == f"capsim: other has no rows in {store}, no verdict\n"
    code, out, _ = capsim("verdict", "all", "--store", store, "--preset", "paper")
    assert code == 2, "no study has that preset"
    assert "demo: No." in capsim("verdict", "demo", "--store", store)[1]


def test_the_last_full_run_names_the_preset(capsim, store, world):
    capsim("run", "demo", "--store", store, "--preset", "laptop")
    assert json.loads(capsim("status", "demo", "--store", store, "--json")[1])["done"] == 8
    Store(store).append_ledger("demo", {"preset": "laptop"})
    found = json.loads(capsim("status", "demo", "--store", store, "--json")[1])
    assert (found["preset"], found["done"]) == ("laptop", 12)


def test_bad_files_are_told_on_standard_error(capsim, store):
    capsim("run", "demo", "--store", store)
    bad = Store(store).folder("demo") / "pending" / "bad.json"
    bad.write_text("{")
    code, out, error = capsim("status", "demo", "--store", store, "--json")
    assert (code, json.loads(out)["done"]) == (0, 8)
    assert error == f"capsim: {bad}: is not a file of this store, skipped\n"


def test_figures_and_report(capsim, store, tmp_path):
    out = tmp_path / "drawn"
    found = json.loads(capsim("figures", "all", "--out", str(out), "--store", store, "--json")[1])
    assert found == {"figures": [str(out / "collapse.pdf"), str(out / "heads.pdf")]}
    assert capsim("figures", "heads", "--out", str(out), "--preset", "smoke")[1] == f"{out}/heads.pdf\n"
    assert (out / "heads.pdf").read_text() == "None smoke"
    assert capsim("report", "--out", str(out))[1] == f"{out}/index.html\n"


def test_list(capsim):
    assert json.loads(capsim("list", "studies", "--json")[1]) == {
        "studies": [{"name": "demo", "summary": "a demo"}, {"name": "other", "summary": "another"}]
    }
    assert "collapse" in capsim("list", "figures")[1]
    segmenters = json.loads(capsim("list", "segmenters", "--json")[1])["segmenters"]
    assert {"name": "otsu", "task": "segment"}.items() <= next(e for e in segmenters if e["name"] == "otsu").items()
    assert all(entry["summary"] and entry["phantom"] for entry in segmenters)
    factors = json.loads(capsim("list", "factors", "demo", "--json")[1])["factors"]
    outputs = next(factor for factor in factors if factor["name"] == "outputs")
    assert outputs == {"name": "outputs", "type": "int", "default": 16, "rule": "must be >= 2", "summary": "classes J"}
    assert "width" not in {factor["name"] for factor in factors}
    assert "width" in capsim("list", "factors")[1]


def test_interrupt_is_one_line(capsim, store, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["experiments.runner"], "run_study", interrupted)
    code, _, error = capsim("run", "demo", "--store", store)
    assert (code, error.count("\n")) == (130, 1)
    assert "the same command goes on from there" in error


def test_a_machine_error_is_one_line_and_no_mistake_of_the_user(capsim, store, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device", "/store/x")

    monkeypatch.setattr(sys.modules["experiments.runner"], "run_study", full)
    code, _, error = capsim("run", "demo", "--store", store)
    assert (code, error) == (1, "capsim: No space left on device: /store/x\n")


def test_a_defect_of_ours_is_not_hidden(capsim, store, monkeypatch):
    def wrong(*arguments, **options):
        raise ValueError("a defect")

    monkeypatch.setattr(sys.modules["experiments.runner"], "run_study", wrong)
    with pytest.raises(ValueError, match="a defect"):
        capsim("run", "demo", "--store", store)


def test_progress_lines_are_sparse_without_a_terminal(monkeypatch):
    stream, clock = (
        io.StringIO(),
        iter([100.0, 100.0, 101.0, 100.0 + LINE_SECONDS + 1, 100.0 + LINE_SECONDS + 1, 111.5, 111.5]),
    )
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("experiments.console.time.monotonic", lambda: next(clock))
    with ProgressLine() as progress:
        for done in (1, 2, 3, 4):
            progress(Report(done, 4))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["1/4", "3/4", "4/4"]


def test_plain_values():
    import numpy as np

    mixed = {"a": np.float32(0.5), "b": (np.int64(2), float("nan")), "c": np.array([1.0, np.inf]), 3: None, "d": True}
    assert plain(mixed) == {"a": 0.5, "b": [2, None], "c": [1.0, None], "3": None, "d": True}


def test_mistakes_and_help_need_no_jax():
    """The words are checked in a fraction of the time that JAX takes to load."""
    code = (
        "import sys; from experiments.cli import main; main(['export', 'x', '--out', 'x.xls']); "
        "from experiments.spec import Sweep; from experiments import tables; Sweep(network='mlp').trials(); "
        "heavy = {'jax', 'flax', 'scipy', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_rows_too_few_for_a_rule_or_a_fit_give_a_line(capsim, store, monkeypatch):
    def too_few(*arguments):
        raise ValueError("a collapse of 1 parameters needs 6 cells, got 4")

    capsim("run", "demo", "--store", store)
    monkeypatch.setattr(sys.modules["experiments.verdicts"], "judge_study", too_few)
    monkeypatch.setattr(sys.modules["experiments.fitting"], "fit_study", too_few)
    code, out, err = capsim("verdict", "demo", "--store", store, "--json")
    assert (code, json.loads(out)["verdicts"]) == (0, [])
    assert err == "capsim: demo cannot be judged from these rows: a collapse of 1 parameters needs 6 cells, got 4\n"
    code, out, err = capsim("fit", "demo", "--store", store)
    assert (code, out) == (2, "")
    assert err == "capsim: demo cannot be fitted to these rows: a collapse of 1 parameters needs 6 cells, got 4\n"
    monkeypatch.setattr(sys.modules["experiments.verdicts"], "judge_study", lambda *arguments: [])
    assert "demo has too few rows for its rule, no verdict" in capsim("verdict", "demo", "--store", store)[2]
