"""A user's own table: a CSV file whose columns are mapped onto those that the laws read, each cell checked."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv

from experiments.factors import UsageError
from sim.types import FloatArray

MOST_SD = 0.7072  # two values 0 and 1: sqrt(1/2), rounded up
# What a column must hold, and how that is said.
_RULES: dict[str, tuple[Callable[[float], bool], str]] = {
    "inputs": (lambda value: value > 0, "> 0"),
    "outputs": (lambda value: value >= 2, ">= 2"),
    "accuracy": (lambda value: 0 <= value <= 1, "in [0, 1]"),
    "chance": (lambda value: 0 <= value < 1, "in [0, 1)"),
    "sd": (lambda value: 0 <= value <= MOST_SD, "in [0, 0.7072], as that of two fractions or more is"),
    "repeats": (lambda value: value >= 2 and value.is_integer(), "a whole number >= 2"),
    "correct": (lambda value: value >= 0 and value.is_integer(), "a whole number >= 0"),
    "total": (lambda value: value >= 1 and value.is_integer(), "a whole number >= 1"),
}
NAMES = (*_RULES, "seed")
SCHEMES = "inputs=..,outputs=.. with accuracy=..[,sd=..,repeats=..] or correct=..,total=.."
ONE_ARM = "all"  # the arm of a table that is not grouped


class OwnRows(NamedTuple):
    """The rows of one group of a user's table.

    Attributes:
        name: the group's value, or "all".
        columns: inputs, outputs, chance and log2_outputs as float64; seed as text where it was given.
        accuracy: share correct of each row.
        variance: None where the rows themselves show it (trials of one cell); else between the repeats of each row, or,
            where `trials` is None, of the row's own accuracy.
        trials: repeats behind each row, or None.
    """

    name: str
    columns: dict[str, Any]
    accuracy: FloatArray
    variance: FloatArray | None
    trials: FloatArray | None


def parse_mapping(text: str) -> dict[str, str]:
    """What `--columns` says: the name that laws know -> the column of the file.

    Raises:
        UsageError: a name that is unknown, twice there, missing, or of another scheme.

    Example:
        >>> parse_mapping("inputs=n,outputs=classes,accuracy=top1")
        {'inputs': 'n', 'outputs': 'classes', 'accuracy': 'top1'}
    """
    mapping: dict[str, str] = {}
    for part in text.split(","):
        name, equals, column = (word.strip() for word in part.partition("="))
        if not (name and equals and column):
            raise UsageError(f"--columns must be name=column,name=column, got {part!r}")
        if name not in NAMES:
            raise UsageError(f"--columns must map names among {', '.join(NAMES)}, got {name!r}")
        if name in mapping:
            raise UsageError(f"--columns must map a name once, got {name!r} twice")
        mapping[name] = column
    given = set(mapping) - {"seed", "chance"}
    allowed = ({"accuracy"}, {"accuracy", "sd", "repeats"}, {"correct", "total"})
    if given not in [{"inputs", "outputs", *scheme} for scheme in allowed]:
        raise UsageError(f"--columns must be {SCHEMES}, got {text!r}")
    if "seed" in mapping and "sd" in mapping:
        raise UsageError("--columns must map seed (one row a trial) or sd and repeats (one row a cell), got both")
    return mapping


def _read_text(path: str) -> pa.Table:
    """The file with every cell as text."""
    try:
        with csv.open_csv(path) as reader:
            names = reader.schema.names
        kinds = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        return csv.read_csv(path, convert_options=kinds)
    except OSError as error:
        raise UsageError(f"data must be a CSV file that can be read, got {path} ({error.strerror or error})") from None
    except pa.ArrowInvalid as error:
        raise UsageError(
            f"data must be a CSV file with a header, got {path} ({' '.join(str(error).split())})"
        ) from None


def _texts(table: pa.Table, path: str, column: str) -> list[str]:
    found = table.column_names.count(column)
    if found != 1:
        reason = "is not there" if found == 0 else f"is there {found} times"
        raise UsageError(
            f"a column must be in {path} once, {column!r} {reason}; it has {', '.join(table.column_names)}"
        )
    return [value or "" for value in table[column].to_pylist()]


def _numbers(table: pa.Table, path: str, name: str, column: str) -> FloatArray:
    accepts, rule = _RULES[name]
    numbers = []
    for row, text in enumerate(_texts(table, path, column), start=1):
        place = f"in {path}, column {column}, row {row}"
        try:
            number = float(text)
        except ValueError:
            raise UsageError(f"{name} must be a number, got {text!r} {place}") from None
        if not math.isfinite(number):
            raise UsageError(f"{name} must be a finite number, got {text} {place}")
        if not accepts(number):
            raise UsageError(f"{name} must be {rule}, got {text} {place}")
        numbers.append(number)
    return np.array(numbers, dtype=np.float64)


def _moments(numbers: Mapping[str, FloatArray], columns: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Accuracy, variance and trials of each row, as the columns that were mapped have it."""
    if "sd" in numbers:
        return numbers["accuracy"], numbers["sd"] ** 2, numbers["repeats"]
    if "accuracy" in numbers:
        return numbers["accuracy"], None, None
    correct, total = numbers["correct"], numbers["total"]
    cells = np.stack([columns[name] for name in ("inputs", "outputs", "chance")], axis=1)
    if len(np.unique(cells, axis=0)) < len(cells):  # rows repeat a cell: seeds scatter more than counts do
        return correct / total, None, None
    share = (correct + 1) / (total + 2)  # Laplace's rule: 0 or all correct is not certain
    return correct / total, share * (1 - share) / total, None


def read_own(path: str, mapping: Mapping[str, str], group: str | None = None) -> list[OwnRows]:
    """Read a user's table.

    Args:
        path: a CSV file with a header.
        mapping: from `parse_mapping`.
        group: a column whose values part the rows into arms; None for one arm, "all".

    Returns:
        one `OwnRows` a group, in the order of their names. Chance is 1/outputs unless it is mapped.

    Raises:
        UsageError: an unreadable file, a missing column, or a cell that is no number or against its rule, with its row
            (counted below the header).
    """
    table = _read_text(path)
    if not table.num_rows:
        raise UsageError(f"data must hold rows below its header, got none in {path}")
    numbers = {name: _numbers(table, path, name, column) for name, column in mapping.items() if name != "seed"}
    if "correct" in numbers and np.any(numbers["correct"] > numbers["total"]):
        row = int(np.flatnonzero(numbers["correct"] > numbers["total"])[0])
        got = f"{numbers['correct'][row]:g} of {numbers['total'][row]:g}"
        raise UsageError(f"correct must be <= total, got {got} in {path}, column {mapping['correct']}, row {row + 1}")
    columns: dict[str, Any] = {name: numbers[name] for name in ("inputs", "outputs")}
    columns["chance"] = numbers.get("chance", 1 / columns["outputs"])
    columns["log2_outputs"] = np.log2(columns["outputs"])
    if "seed" in mapping:
        columns["seed"] = np.array(_texts(table, path, mapping["seed"]))
    arms = np.array(_texts(table, path, group) if group is not None else [ONE_ARM] * table.num_rows)
    if np.any(arms == ""):
        row = int(np.flatnonzero(arms == "")[0]) + 1
        raise UsageError(f"group must be a name in every row, got '' in {path}, column {group}, row {row}")
    found = []
    for arm in np.unique(arms):
        rows = arms == arm
        part = {name: column[rows] for name, column in columns.items()}
        moments = _moments({name: column[rows] for name, column in numbers.items()}, part)
        found.append(OwnRows(str(arm), part, *moments))
    return found
