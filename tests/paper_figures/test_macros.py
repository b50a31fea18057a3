"""Macros: names that TeX takes, one meaning each, the numbers of the verdicts, and a missing record is named."""

import csv
import re
import runpy
import sys

import pytest

from experiments.factors import UsageError
from experiments.store import Store
from experiments.studies.registry import STUDIES
from experiments.synthesis.judge import judge
from experiments.verdicts import judge_study
from paper_figures import macros
from paper_figures.macros import macro_name, make_macros, number
from paper_figures.registry import write_figures
from paper_figures.source import Source


@pytest.fixture(scope="module")
def source(store):
    return Source(store, "smoke")


@pytest.fixture(scope="module")
def written(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("macros")
    return macros.draw(source, folder).paths


def test_every_verdict_has_its_macros(source, written):
    found = dict(re.findall(r"^\\newcommand\{\\([A-Za-z]+)\}\{(.*)\}$", written[0].read_text(), re.MULTILINE))
    rows = []
    for name, study in STUDIES.items():
        selection = source.selection(name)
        rows += judge_study(study, selection.table, selection.store.ledger(name))
    rows += judge(source.synthesis())
    effects = [text for name, text in found.items() if name.endswith("Effect")]
    assert len(effects) == len(rows) > 3
    assert [number(row["effect"]) for row in rows] == effects
    assert [str(row["trials"]) for row in rows] == [text for name, text in found.items() if name.endswith("Trials")]


def test_each_line_is_one_command_with_a_name_of_letters(written):
    lines = written[0].read_text().splitlines()
    assert lines[0].startswith("% ")
    names = [re.fullmatch(r"\\newcommand\{\\([A-Za-z]+)\}\{[^#%&_~\n]*\}", line).group(1) for line in lines[1:]]
    assert len(set(names)) == len(names)
    with open(written[1], newline="", encoding="utf-8") as file:
        assert [row["macro"] for row in csv.DictReader(file)] == names


def test_braces_close(written):
    for line in written[0].read_text().splitlines()[1:]:
        depth = 0
        for sign in line:
            depth += {"{": 1, "}": -1}.get(sign, 0)
            assert depth >= 0
        assert depth == 0


def test_a_second_run_writes_the_same_bytes(store, written, tmp_path):
    again = write_figures(["macros"], store, tmp_path, preset="smoke")
    assert [path.name for path in again] == ["macros.tex", "macros.csv"]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_a_missing_record_is_named(rows, tmp_path):
    store = Store(tmp_path / "store")
    for study in list(STUDIES)[:-1]:
        store.publish(study, rows[study])
    with pytest.raises(UsageError, match=f"{store} has none of {list(STUDIES)[-1]}"):
        write_figures(["macros"], store, tmp_path / "out", preset="smoke")
    assert list((tmp_path / "out").iterdir()) == []


def test_two_meanings_of_one_name_are_refused(source, monkeypatch):
    monkeypatch.setattr(macros, "_fit_macros", lambda result: {"CodebookBayesEffect": "1"})
    monkeypatch.setattr(macros, "_verdict_macros", lambda rows: {"CodebookBayesEffect": "2"})
    with pytest.raises(ValueError, match="one meaning each, got CodebookBayesEffect twice"):
        make_macros(source)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("heads", "L = 4"), "HeadsLFour"),
        (("grid", "conv7"), "GridConvSeven"),
        (("a", "mlp/jway+reg", "log J"), "AMlpJwayRegLogJ"),
        (("x", ""), "X"),
    ],
)
def test_names_spell_digits_and_drop_signs(parts, name):
    assert macro_name(*parts) == name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.65707, r"\ensuremath{1.66}"),
        (-0.00141, r"\ensuremath{-0.00141}"),
        (123456.0, r"\ensuremath{1.23\times 10^{5}}"),
        (100.0, r"\ensuremath{100}"),
        (0.0, r"\ensuremath{0.00}"),
        (float("nan"), "--"),
        (None, "--"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_the_package_runs_as_the_command_does(monkeypatch, capsys, store, tmp_path):
    arguments = ["macros", "--store", str(store), "--preset", "smoke", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["paper_figures", *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("paper_figures", run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "macros.tex"), str(tmp_path / "macros.csv")]
    assert (tmp_path / "macros.tex").is_file()
