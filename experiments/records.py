"""Records: the columns of the table, and what it means for two rows to be one trial. No files here."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.spec import Trial, UsageError, canonical_json

Row = dict[str, Any]

_TEXT, _COUNT, _NUMBER, _FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_COUNTS, _NUMBERS = pa.list_(pa.int32()), pa.list_(pa.float32())
COLUMNS: dict[str, pa.DataType] = {
    "identity": _TEXT, "study": _TEXT, "arm": _TEXT,
    # factors; null where a factor does not apply
    "generator": _TEXT, "network": _TEXT, "head": _TEXT, "recipe": _TEXT,
    "inputs": _COUNT, "outputs": _COUNT, "inputs_per_output": _NUMBER, "balanced": _FLAG,
    "signal_power": _NUMBER, "noise": _NUMBER, "dimension": _COUNT,
    "tiles": _COUNT, "labels": _COUNT, "tile_dimension": _COUNT, "similarity": _NUMBER, "relabelled": _FLAG,
    "field": _TEXT, "rows": _COUNT, "columns": _COUNT, "spacing": _NUMBER, "stay": _NUMBER, "coupling": _NUMBER,
    "grid_size": _COUNT, "scenes": _COUNT, "bits": _COUNT, "spread": _FLAG, "frame": _COUNT,
    "receptive_field": _COUNT, "width": _COUNT, "depth": _COUNT, "levels": _COUNT,
    "learning_rate": _NUMBER, "weight_decay": _NUMBER, "input_noise": _NUMBER,
    "max_steps": _COUNT, "batch_size": _COUNT, "test_items": _COUNT, "seed": _COUNT, "init_seed": _COUNT,
    "keep_ranks": _FLAG,
    "factors_json": _TEXT,
    # counts and information
    "num_inputs": _COUNT, "log2_outputs": _NUMBER, "output_units": _COUNT,
    "label_entropy_bits": _NUMBER, "information_bits": _NUMBER, "num_parameters": _COUNT, "steps": _COUNT,
    # scores, fractions unless the name says otherwise; nll in nats a unit
    "train_accuracy": _NUMBER, "validation_accuracy": _NUMBER, "test_accuracy": _NUMBER, "pixel_accuracy": _NUMBER,
    "exact_match": _NUMBER, "marginal_exact_match": _NUMBER, "dice": _NUMBER, "nll": _NUMBER,
    "calibration_error": _NUMBER,
    # limits of exact match, then of pixel accuracy
    "chance": _NUMBER, "bayes_known": _NUMBER, "bayes_learned": _NUMBER, "bayes_composed": _NUMBER,
    "minimum_distance": _COUNT,
    "pixel_chance": _NUMBER, "pixel_bayes_known": _NUMBER, "rho": _NUMBER,
    # how it went
    "converged": _FLAG, "status": _TEXT, "reason": _TEXT,
    "seconds": _NUMBER, "device": _TEXT, "versions": _TEXT, "commit": _TEXT,
    # one value a test item, in trials that keep their ranks: true class, classes that score below it (a tie counts as
    # lost), and its score minus that of the best other, in nats
    "rank_class": _COUNTS, "rank_beaten": _COUNTS, "rank_margin": _NUMBERS,
    # the scores of a measured family that have no column, as canonical JSON: name -> number
    "scores_json": _TEXT,
}  # fmt: skip
SCHEMA = pa.schema(list(COLUMNS.items()))

RANK_COLUMNS = ("rank_class", "rank_beaten", "rank_margin")
RANK_BYTES = 2_000_000  # what the ranks of a study may take, before compression
BYTES_PER_ITEM = 12  # two int32 and a float32

STATUSES = ("ok", "diverged", "failed")
CIRCUMSTANCES = ("study", "reason", "seconds", "device", "versions", "commit")  # what may differ between equal results

COMPARED = ("train_accuracy", "test_accuracy", "pixel_accuracy", "exact_match", "marginal_exact_match")
# Two runs of one trial start from the same bits; what differs is the rounding of another batch width, thread count or
# device, which thousands of steps carry into some per cent of the test answers. The answers that flip do so both
# ways, so on 1,000 items an accuracy moves by about .005; .02 is four times that, and far below any effect judged.
TOLERANCE = 0.02


def clean_row(row: Mapping[str, Any]) -> Row:
    """Bring a row into the form that is stored: known columns, plain Python values, null for NaN and infinity.

    Raises:
        ValueError: an unknown column, a missing identity or status, a value of another type than its column, or ranks
            that contradict one another.

    Example:
        >>> clean_row({"identity": "a1", "status": "ok", "dice": float("nan"), "inputs": 4.0})
        {'identity': 'a1', 'status': 'ok', 'inputs': 4}
    """
    if not isinstance(row.get("identity"), str) or not row["identity"]:
        raise ValueError(f"identity must be a hash, got {row.get('identity')!r}")
    if row.get("status") not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {row.get('status')!r}")
    cleaned = {}
    for name, value in row.items():
        if name not in COLUMNS:
            raise ValueError(f"a row's columns must be those of COLUMNS, got {name!r}")
        if name in RANK_COLUMNS:
            if value is not None:
                cleaned[name] = _plain_list(name, value)
            continue
        value = value.item() if hasattr(value, "item") else value
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            continue
        cleaned[name] = _plain(value, COLUMNS[name])
        if cleaned[name] is None:
            raise ValueError(f"{name} must be {COLUMNS[name]}, got {value!r}")
    _check_ranks(cleaned)
    return cleaned


def _plain(value: Any, kind: pa.DataType) -> Any:
    """The value as its column's Python type, or None where it is of another type."""
    if kind == _TEXT:
        return value if isinstance(value, str) else None
    if kind == _FLAG:
        return value if isinstance(value, bool) else None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    if kind == _NUMBER:
        return float(value)
    return int(value) if value == int(value) and abs(value) < 2**63 else None


def _plain_list(name: str, given: Any) -> list[Any]:
    """A list column's value as a list of Python numbers, each exactly as its type holds it."""
    kind: Any = np.int32 if COLUMNS[name] == _COUNTS else np.float32
    values = np.asarray(given)
    whole = values.dtype.kind in "iu"
    if values.ndim != 1 or not len(values) or not (whole or (kind is np.float32 and values.dtype.kind == "f")):
        raise ValueError(
            f"{name} must be a list of {np.dtype(kind)} numbers, got {values.dtype} of shape {values.shape}"
        )
    if not np.array_equal(values.astype(kind), values) or not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite numbers that {np.dtype(kind)} holds exactly")
    return values.astype(kind).tolist()


def _check_ranks(row: Row) -> None:
    """The three list columns go together, and say of each item the same: right exactly where all others are beaten."""
    given = [name for name in RANK_COLUMNS if name in row]
    if not given:
        return
    if len(given) != len(RANK_COLUMNS) or len({len(row[name]) for name in given}) != 1:
        raise ValueError(f"{', '.join(RANK_COLUMNS)} must be lists of one length, got {', '.join(given)}")
    if "outputs" not in row:
        raise ValueError(f"rank_beaten must be in a row that has outputs, got none in {row['identity'][:12]}")
    label, beaten, margin = (np.array(row[name]) for name in RANK_COLUMNS)
    outputs = row["outputs"]
    for name, values in (("rank_class", label), ("rank_beaten", beaten)):
        outside = (values < 0) | (values >= outputs)
        if outside.any():
            raise ValueError(f"{name} must be in 0 .. {outputs - 1}, got {values[outside][0]}")
    wrong = (margin > 0) != (beaten == outputs - 1)
    if wrong.any():
        raise ValueError(
            f"rank_margin must be > 0 exactly where all {outputs - 1} others are beaten, got "
            f"{margin[wrong][0]:.3g} with {beaten[wrong][0]}"
        )


def check_ranks_fit(trials: Iterable[Trial]) -> None:
    """Refuse a plan whose ranks would swell the store beyond `RANK_BYTES`.

    Raises:
        UsageError: too many test items in trials that keep their ranks.
    """
    ranked = [dict(trial.factors)["test_items"] for trial in trials if dict(trial.factors).get("keep_ranks")]
    if sum(ranked) * BYTES_PER_ITEM > RANK_BYTES:
        raise UsageError(
            f"keep_ranks must be true of at most {RANK_BYTES // BYTES_PER_ITEM} test items in all, got {sum(ranked)} "
            f"in {len(ranked)} trials"
        )


def rank(row: Row) -> int:
    """0 for a result (diverged is one), 1 for a failure: a result replaces a failure, never the other way."""
    return int(row["status"] == "failed")


def _scores(row: Row) -> dict[str, float]:
    return json.loads(row.get("scores_json") or "{}")


def difference(first: Row, second: Row) -> str | None:
    """In what two rows of one trial contradict each other, or None. A failure contradicts nothing."""
    if rank(first) or rank(second):
        return None
    if first["status"] != second["status"]:
        return f"status {first['status']} against {second['status']}"
    for name in COMPARED:
        a, b = first.get(name), second.get(name)
        if (a is None) != (b is None) or (a is not None and b is not None and abs(a - b) > TOLERANCE):
            return f"{name} {a} against {b}"
    ours, theirs = _scores(first), _scores(second)
    for name in sorted({*ours, *theirs}):
        a, b = ours.get(name), theirs.get(name)
        if a is None or b is None or abs(a - b) > TOLERANCE * max(1.0, abs(a)):
            return f"{name} {a} against {b}"
    return None


def ranking(entries: Sequence[tuple[str, int, Row]]) -> list[int]:
    """The places of one trial's rows, the one that counts first.

    A result wins over a failure, then the lower order (what was compacted stays), then the row whose text sorts first.

    Args:
        entries: (name of the file; 0 if compacted, 1 if compacted and contradicted before, 2 if pending; row).
    """
    return sorted(
        range(len(entries)),
        key=lambda i: (rank(entries[i][2]), entries[i][1], canonical_json(entries[i][2]), entries[i][0]),
    )


def contradictions(entries: Sequence[tuple[str, int, Row]], ranked: Sequence[int]) -> list[str]:
    """One line for each of one trial's rows that contradicts the one that counts."""
    kept, _, winner = entries[ranked[0]]
    others = [(file, difference(winner, row)) for file, _, row in (entries[index] for index in ranked[1:])]
    name = winner["identity"][:12]
    return [
        f"{file}: a second result for trial {name} differs, {reason}; kept {kept}" for file, reason in others if reason
    ]


def to_table(rows: Iterable[Row]) -> pa.Table:
    """Rows as a table with all columns, in the order given."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def to_rows(table: pa.Table) -> list[Row]:
    """A table as rows without their nulls, the inverse of `to_table`."""
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]


def spread(table: pa.Table) -> pa.Table:
    """A table in which the factors and scores of measured families have columns of their own, beside the fixed ones.

    Example:
        >>> row = {"identity": "a", "status": "ok", "factors_json": '{"error":0.1}', "scores_json": '{"f1":1.0}'}
        >>> spread(to_table([row])).select(["error", "f1"]).to_pylist()
        [{'error': 0.1, 'f1': 1.0}]
    """
    if "scores_json" not in table.column_names or table["scores_json"].null_count == table.num_rows:
        return table
    scores = [json.loads(text or "{}") for text in table["scores_json"].to_pylist()]
    factors = [json.loads(text or "{}") for text in table["factors_json"].to_pylist()]
    found = [{**mine, **theirs} for mine, theirs in zip(factors, scores, strict=True)]
    for name in sorted({name for row in found for name in row} - set(table.column_names)):
        values = [row.get(name) for row in found]
        named = all(isinstance(value, (bool, str, type(None))) for value in values)
        table = table.append_column(name, pa.array(values) if named else pa.array(values, _NUMBER))
    return table.drop_columns(["scores_json"])


def settled(table: pa.Table) -> dict[str, str]:
    """Identity -> status of the rows that need no further work; a failed trial is tried again by the next run."""
    found = table.filter(pc.not_equal(table["status"], "failed"))
    return dict(zip(found["identity"].to_pylist(), found["status"].to_pylist(), strict=True))


def select(table: pa.Table, trials: Sequence[Trial]) -> pa.Table:
    """The rows of a table that belong to a plan, in the table's order."""
    wanted = pa.array([trial.identity for trial in trials], pa.string())
    return table.filter(pc.is_in(table["identity"], value_set=wanted))


def root_hash(table: pa.Table) -> str:
    """SHA-256 over identities and all scientific columns, sorted by identity: equal results, equal hash.

    What is hashed is each row's canonical JSON without nulls, and a line end. Time, device, versions, commit and the
    words of a failure do not enter.
    """
    names = sorted(set(table.column_names) - set(CIRCUMSTANCES))
    table = table.select(names).take(pc.sort_indices(table["identity"]))
    digest = hashlib.sha256()
    for batch in table.to_batches(max_chunksize=100_000):
        fields = [_texts(name, column) for name, column in zip(names, batch.columns, strict=True)]
        lines = pc.binary_join_element_wise(*fields, ",", null_handling="skip")
        lines = pc.binary_join_element_wise("{", lines, "}\n", "")
        length = pc.sum(pc.binary_length(lines)).as_py()
        digest.update(memoryview(lines.buffers()[2])[:length])
    return digest.hexdigest()


def _texts(name: str, column: pa.Array) -> pa.Array:
    """`"name":value` in canonical JSON for each value of a column, or null; each distinct value is written once."""
    start = f"{canonical_json(name)}:"
    if pa.types.is_nested(column.type):
        texts = [None if value is None else start + canonical_json(value) for value in column.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_floating(column.type):  # by their bits, which tell -0.0 from 0.0
        encoded = column.view(pa.int64()).dictionary_encode()
        values = encoded.dictionary.view(column.type).to_pylist()
    else:
        encoded = column.dictionary_encode()
        values = encoded.dictionary.to_pylist()
    if not values:
        texts = []
    elif pa.types.is_string(column.type):  # '","' never stands within a text: its second quote would be escaped
        texts = [f'{start}"{word}"' for word in canonical_json(values)[2:-2].split('","')]
    else:
        texts = [start + word for word in canonical_json(values)[1:-1].split(",")]
    return pa.array(texts, pa.string()).take(encoded.indices)
