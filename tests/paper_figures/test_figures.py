"""Figures: every one is written whole, twice the same, from the rows it says, or says which rows are missing."""

import csv
import itertools
import re

import matplotlib as mpl
import numpy as np
import pytest

from experiments.factors import UsageError
from experiments.store import Store
from experiments.studies import codebook, heads
from paper_figures.registry import FIGURES, write_figures
from paper_figures.source import Source
from paper_figures.style import ARMS, LIMITS, ladder, make_canvas, paper_style, save
from sim.theory.ceilings import gaussian_codebook_accuracy

KINDS = ("pdf", "svg", "png", "csv")
EXTRA = {"table1": ("tex",), "table2": ("tex",)}
PICTURES = [name for name, figure in FIGURES.items() if figure.picture]


def read_numbers(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_figure_writes_four_files_and_the_same_bytes_again(page, store, tmp_path):
    first = page.parent / "figures"
    paths = write_figures(PICTURES, store, tmp_path, preset="smoke")
    assert [path.name for path in paths] == [
        f"{name}.{kind}" for name in PICTURES for kind in (*KINDS, *EXTRA.get(name, ()))
    ]
    assert sorted(path.name for path in first.iterdir()) == sorted(path.name for path in paths)
    for path in paths:
        assert path.read_bytes() == (first / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", PICTURES)
def test_files_hold_their_fonts_and_no_date(page, name):
    folder = page.parent / "figures"
    pdf, svg = (folder / f"{name}.pdf").read_bytes(), (folder / f"{name}.svg").read_text()
    assert b"/FontFile2" in pdf  # a TrueType font, embedded
    assert b"CreationDate" not in pdf
    assert "dc:date" not in svg
    assert "<text" not in svg  # letters are drawn as outlines


def test_accuracy_figure_plots_cell_means_and_the_exact_ceiling(page, rows):
    numbers = read_numbers(page.parent / "figures" / "accuracy_outputs.csv")
    here = [n for n in numbers if float(n["inputs_per_output"]) == 4 and int(float(n["outputs"])) == 16]
    (network,) = [n for n in here if n["series"] == "mlp+reg"]
    wanted = [
        r["test_accuracy"] for r in rows["codebook"] if (r["arm"], r["outputs"], r["inputs"]) == ("mlp+reg", 16, 64)
    ]
    assert float(network["mean"]) == pytest.approx(np.mean(wanted), abs=1e-9)
    assert float(network["low"]) < float(network["mean"]) < float(network["high"])
    assert int(network["trials"]) == len(wanted)
    (ceiling,) = [n for n in here if n["series"] == "learned"]
    assert float(ceiling["mean"]) == pytest.approx(gaussian_codebook_accuracy(16, 64, 0.25, 1.0, 4), abs=1e-9)


def test_diverged_trials_are_not_plotted(page, rows):
    diverged = rows["heads"][-1]
    numbers = read_numbers(page.parent / "figures" / "heads.csv")
    shown = [n for n in numbers if n["series"] == diverged["arm"] and n["inputs"] == str(float(diverged["inputs"]))]
    shown = shown or [n for n in numbers if n["series"] == diverged["arm"] and n["inputs"] == str(diverged["inputs"])]
    assert {int(n["trials"]) for n in shown} == {3}


def test_threshold_moves_right_by_the_efficiency(page):
    numbers = read_numbers(page.parent / "figures" / "phase_map.csv")
    full = [float(n["inputs"]) for n in numbers if n["series"] == "theorem, A = 1/2"]
    (label,) = {n["series"] for n in numbers if n["series"].startswith("at efficiency")}
    shifted = [float(n["inputs"]) for n in numbers if n["series"] == label]
    kappa = float(label.split("=")[1])
    np.testing.assert_allclose(np.array(full) / np.array(shifted), kappa, atol=0.006)  # printed with two digits


def test_a_missing_study_is_named(tmp_path):
    empty = Store(tmp_path / "empty")
    with pytest.raises(UsageError, match=f"{empty} has none of heads"):
        write_figures(["heads"], empty, tmp_path / "out", preset="smoke")


def test_a_missing_arm_is_named(tmp_path, rows):
    store = Store(tmp_path / "store")
    store.publish("codebook", [row for row in rows["codebook"] if row["arm"] == "bayes"])
    for name in ("phase_map", "collapse"):
        with pytest.raises(
            UsageError, match=f"figure {name} must have finished rows of arm {re.escape(codebook.MAIN_ARM)}"
        ):
            write_figures([name], store, tmp_path / "out", preset="smoke")


def test_rows_too_few_for_a_fit_are_no_traceback(tmp_path, rows):
    store = Store(tmp_path / "store")
    store.publish("codebook", [row for row in rows["codebook"] if row["arm"] == codebook.MAIN_ARM][:1])
    for name in ("phase_map", "collapse"):
        with pytest.raises(UsageError, match=f"figure {name}"):
            write_figures([name], store, tmp_path / "out", preset="smoke")


def test_several_figures_leave_out_what_is_missing_and_say_so(tmp_path, rows, capsys):
    store = Store(tmp_path / "store")
    store.publish("digits", rows["digits"])
    paths = write_figures(["digits", "heads"], store, tmp_path / "out", preset="smoke")
    assert {path.stem for path in paths} == {"digits"}
    assert "figure heads is left out: study must have rows" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "preset"), [("no_such", "smoke"), ("digits", "no_such")])
def test_unknown_names_are_usage_errors(tmp_path, store, name, preset):
    with pytest.raises(UsageError, match="no_such"):
        write_figures([name, "heads"], store, tmp_path, preset=preset)


def test_concepts_differ_without_colour():
    together = [
        ["bayes", *codebook.NETWORK_ARMS],
        [*heads.HEADS, heads.RELABELLED, "bayes", "class_mean"],
        ["conv1", "conv7", "mlp/dense+reg", "mlp/jway"],
    ]
    for arms in together:
        shapes = [(ARMS[arm].marker, ARMS[arm].filled) for arm in arms]
        assert len(set(shapes)) == len(arms)
    for first, second in itertools.combinations(("learned", "known", "fano", "chance"), 2):
        assert LIMITS[first].line != LIMITS[second].line
    looks = list(ladder([4, 16, 64, 256, 1024], "J").values())
    grey = [np.dot(mpl.colors.to_rgb(look.colour), (0.299, 0.587, 0.114)) for look in looks]
    assert np.all(np.diff(grey) > 0.05)  # lightness steps that print apart
    assert len({(look.marker, look.line) for look in looks}) == 5


def test_style_is_given_back(tmp_path):
    before = dict(mpl.rcParams)
    with paper_style():
        assert mpl.rcParams["pdf.fonttype"] == 42
        drawing = save(
            make_canvas(2, 1), [{"a": 0.1, "b": None}, {"a": float("nan"), "c": "x,y"}], tmp_path, "n", "", ""
        )
    assert dict(mpl.rcParams) == before
    assert drawing.paths[3].read_text() == 'a,b,c\n0.1,,\n,,"x,y"\n'
    assert not drawing.wide


def test_rows_are_read_once(store, monkeypatch):
    source = Source(store, "smoke")
    first = source.columns("digits")
    monkeypatch.setattr(Store, "read", None)
    assert source.columns("digits") is first
