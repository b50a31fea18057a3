"""A user's own table: three kinds of columns give the planted law back, and every mistake costs one line."""

import json

import numpy as np
import pytest

from experiments.cli import main
from experiments.factors import UsageError
from experiments.own_data import parse_mapping, read_own

HALF, SLOPE = 2.0, 1.3  # planted: A* is one half at I/J = e^2, with this slope in ln(I/J)
INPUTS, OUTPUTS = (64, 256, 1024, 4096), (4, 16, 64, 256)


def planted():
    """Cells on a grid, and their accuracy by the Hill law."""
    inputs, outputs = (axis.ravel().astype(float) for axis in np.meshgrid(INPUTS, OUTPUTS))
    corrected = 1 / (1 + np.exp(-SLOPE * (np.log(inputs / outputs) - HALF)))
    return inputs, outputs, 1 / outputs + (1 - 1 / outputs) * corrected


def write(path, header, columns):
    lines = [",".join(header), *(",".join(str(value) for value in row) for row in zip(*columns, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def tables(tmp_path):
    """The same law as trials with seeds, as means with deviations, and as counts; two groups in the first."""
    rng = np.random.default_rng(0)
    inputs, outputs, accuracy = planted()
    long = [np.repeat(column, 4) for column in (inputs, outputs, accuracy)]
    noisy = np.clip(long[2] + 0.01 * rng.standard_normal(64), 0, 1)
    one = [*long[:2], noisy, np.tile(np.arange(4), 16), ["mlp"] * 64]
    worse = [*long[:2], np.clip(1 / long[1] + (noisy - 1 / long[1]) * 0.5, 0, 1), one[3], ["cnn"] * 64]
    both = [[*a, *b] for a, b in zip(one, worse, strict=True)]
    trials = write(tmp_path / "trials.csv", ["n", "k", "top1", "run", "net"], both)
    mean = np.clip(accuracy + 0.005 * rng.standard_normal(16), 0, 1)
    moments = write(
        tmp_path / "moments.csv", ["n", "k", "top1", "spread", "runs"], [inputs, outputs, mean, [0.01] * 16, [4] * 16]
    )
    correct = rng.binomial(2000, accuracy)
    counted = write(tmp_path / "counts.csv", ["n", "k", "hits", "items"], [inputs, outputs, correct, [2000] * 16])
    return {"trials": trials, "moments": moments, "counts": counted}


COLUMNS = {
    "trials": "inputs=n,outputs=k,accuracy=top1,seed=run",
    "moments": "inputs=n,outputs=k,accuracy=top1,sd=spread,repeats=runs",
    "counts": "inputs=n,outputs=k,correct=hits,total=items",
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_fit_gives_the_planted_law_back(tables, capsys, kind):
    """Means know A within .005 to .01, so log_half and slope within about .02: .1 is five times that."""
    grouped = ["--group", "net"] if kind == "trials" else []
    code = main(["fit", "--data", tables[kind], "--columns", COLUMNS[kind], *grouped, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (found["study"], found["data"], found["store"]) == (None, tables[kind], None)
    arms = {entry["arm"] for entry in found["fits"]}
    assert arms == ({"cnn", "mlp"} if grouped else {"all"})
    hill = next(e for e in found["fits"] if e["law"] == "hill" and e["arm"] in ("mlp", "all"))
    assert hill["parameters"]["log_half"]["value"] == pytest.approx(HALF, abs=0.1)
    assert hill["parameters"]["slope"]["value"] == pytest.approx(SLOPE, abs=0.1)
    assert hill["heldout_error"] < 0.02
    assert hill["metric"] == "accuracy"
    best = next(e for e in found["fits"] if e["arm"] == hill["arm"])
    assert hill["tied_with_best"] or best["law"] == "hill"
    low, high = hill["parameters"]["slope"]["interval"]
    assert low < hill["parameters"]["slope"]["value"] < high


def test_fit_prints_a_table_and_tells_of_few_cells(tables, capsys, tmp_path):
    assert main(["fit", "--data", tables["moments"], "--columns", COLUMNS["moments"]]) == 0
    out = capsys.readouterr().out
    assert "hill" in out
    assert f"from {tables['moments']}" in out.replace("\n", "")
    few = write(tmp_path / "few.csv", ["n", "k", "hits", "items"], [[1, 2], [2, 2], [1, 1], [2, 2]])
    assert main(["fit", "--data", few, "--columns", COLUMNS["counts"], "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["fits"] == []
    assert captured.err == f"capsim: {few}: no arm has cells enough to tell laws apart\n"


def test_columns_are_derived(tables, tmp_path):
    (rows,) = read_own(tables["moments"], parse_mapping(COLUMNS["moments"]))
    assert rows.columns["chance"].tolist() == (1 / rows.columns["outputs"]).tolist()
    assert rows.columns["log2_outputs"].tolist() == np.log2(rows.columns["outputs"]).tolist()
    assert rows.variance == pytest.approx(np.full(16, 1e-4))
    (counted,) = read_own(tables["counts"], parse_mapping(COLUMNS["counts"]))
    assert counted.trials is None
    assert np.all(counted.variance > 0)
    path = write(tmp_path / "c.csv", ["n", "k", "a", "majority"], [[1, 2], [2, 3], [0.5, 0.6], [0.4, 0.5]])
    (own,) = read_own(path, parse_mapping("inputs=n,outputs=k,accuracy=a,chance=majority"))
    assert own.columns["chance"].tolist() == [0.4, 0.5]
    assert own.variance is None
    path = write(tmp_path / "d.csv", ["n", "k", "c", "t"], [[8, 8], [2, 2], [5, 7], [10, 10]])
    (repeated,) = read_own(path, parse_mapping("inputs=n,outputs=k,correct=c,total=t"))
    assert repeated.variance is None, "two rows of one cell are two trials"
    assert repeated.accuracy.tolist() == [0.5, 0.7]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("64,4,1.2,.1,4,1", "accuracy must be in [0, 1], got 1.2 in FILE, column a, row 2"),
        ("64,4,-0.1,.1,4,1", "accuracy must be in [0, 1], got -0.1 in FILE, column a, row 2"),
        ("64,4,high,.1,4,1", "accuracy must be a number, got 'high' in FILE, column a, row 2"),
        ("64,4,,.1,4,1", "accuracy must be a number, got '' in FILE, column a, row 2"),
        ("64,4,nan,.1,4,1", "accuracy must be a finite number, got nan in FILE, column a, row 2"),
        ("64,1,.5,.1,4,1", "outputs must be >= 2, got 1 in FILE, column k, row 2"),
        ("0,4,.5,.1,4,1", "inputs must be > 0, got 0 in FILE, column n, row 2"),
        ("64,inf,.5,.1,4,1", "outputs must be a finite number, got inf in FILE, column k, row 2"),
        (
            "64,4,.5,-1,4,1",
            "sd must be in [0, 0.7072], as that of two fractions or more is, got -1 in FILE, column s, row 2",
        ),
        (
            "64,4,.5,2.5,4,1",
            "sd must be in [0, 0.7072], as that of two fractions or more is, got 2.5 in FILE, column s, row 2",
        ),
        ("64,4,.5,.1,1,1", "repeats must be a whole number >= 2, got 1 in FILE, column r, row 2"),
    ],
)
def test_a_bad_cell_is_named(capsys, tmp_path, row, message):
    path = tmp_path / "bad.csv"
    path.write_text(f"n,k,a,s,r,g\n64,4,.5,.1,4,1\n{row}\n")
    code = main(["fit", "--data", str(path), "--columns", "inputs=n,outputs=k,accuracy=a,sd=s,repeats=r"])
    captured = capsys.readouterr()
    assert (code, captured.out, captured.err) == (2, "", f"capsim: {message.replace('FILE', str(path))}\n")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("inputs=n", "--columns must be inputs=..,outputs=.. with accuracy=..[,sd=..,repeats=..] or correct=..,"
         "total=.., got 'inputs=n'"),
        ("inputs=n,outputs=k,accuracy=a,sd=s", "--columns must be inputs=..,outputs=.. with accuracy=..[,sd=..,"
         "repeats=..] or correct=..,total=.., got 'inputs=n,outputs=k,accuracy=a,sd=s'"),
        ("inputs=n,outputs", "--columns must be name=column,name=column, got 'outputs'"),
        ("inputs=n,inputs=k", "--columns must map a name once, got 'inputs' twice"),
        ("input=n", "--columns must map names among inputs, outputs, accuracy, chance, sd, repeats, correct, total, "
         "seed, got 'input'"),
        ("inputs=n,outputs=k,accuracy=a,sd=s,repeats=r,seed=g", "--columns must map seed (one row a trial) or sd and "
         "repeats (one row a cell), got both"),
    ],
)  # fmt: skip
def test_a_bad_mapping_is_named(columns, message):
    with pytest.raises(UsageError) as error:
        parse_mapping(columns)
    assert str(error.value) == message


def test_bad_files_and_options_cost_one_line(capsys, tmp_path):
    def call(*arguments):
        code = main(["fit", *arguments])
        captured = capsys.readouterr()
        assert (code, captured.out, captured.err.count("\n")) == (2, "", 1)
        return captured.err.removeprefix("capsim: ").rstrip().replace(str(tmp_path), "DIR")

    columns = ["--columns", "inputs=n,outputs=k,accuracy=a"]
    path = write(tmp_path / "t.csv", ["n", "k", "a"], [[1, 2], [2, 3], [0.5, 0.6]])
    assert call("--data", path, "--columns", "inputs=n,outputs=k,accuracy=top1") == (
        "a column must be in DIR/t.csv once, 'top1' is not there; it has n, k, a"
    )
    assert "must be in DIR/t.csv once, 'net' is not there" in call("--data", path, *columns, "--group", "net")
    twice = write(tmp_path / "u.csv", ["n", "k", "a", "a"], [[1], [2], [0.5], [0.5]])
    assert "'a' is there 2 times" in call("--data", twice, *columns)
    assert "data must be a CSV file that can be read, got DIR/none.csv" in call(
        "--data", str(tmp_path / "none.csv"), *columns
    )
    empty, ragged = tmp_path / "empty.csv", tmp_path / "ragged.csv"
    empty.write_text("")
    ragged.write_text("n,k,a\n1,2\n")
    assert "data must be a CSV file with a header" in call("--data", str(empty), *columns)
    assert "data must be a CSV file with a header" in call("--data", str(ragged), *columns)
    ragged.write_text("n,k,a\n")
    assert call("--data", str(ragged), *columns) == "data must hold rows below its header, got none in DIR/ragged.csv"
    wrong = write(tmp_path / "w.csv", ["n", "k", "c", "t"], [[1], [2], [9], [8]])
    assert call("--data", wrong, "--columns", "inputs=n,outputs=k,correct=c,total=t") == (
        "correct must be <= total, got 9 of 8 in DIR/w.csv, column c, row 1"
    )
    assert call() == "a study or --data must be given, got neither"
    assert call("codebook", "--data", path, *columns) == "a study or --data must be given, got both"
    assert call("codebook", "--group", "net") == "--group must go with --data, got 'net' without it"
    assert call("--data", path) == "--data must go with --columns inputs=..,outputs=..,accuracy=.., got none"
    assert call("--data", path, *columns, "--preset", "smoke") == "--preset must go with a study, got it with --data"
    inputs, outputs, accuracy = planted()
    single = write(tmp_path / "s.csv", ["n", "k", "a"], [inputs, outputs, accuracy])
    assert "a variance between seeds needs a cell with two trials or more" in call("--data", single, *columns)


def test_a_row_without_a_group_is_told(tmp_path):
    path = write(tmp_path / "own.csv", ["n", "k", "a", "net"], [[64, 64], [4, 4], [0.5, 0.6], ["mlp", ""]])
    with pytest.raises(UsageError) as error:
        read_own(path, parse_mapping("inputs=n,outputs=k,accuracy=a"), "net")
    assert str(error.value) == f"group must be a name in every row, got '' in {path}, column net, row 2"
