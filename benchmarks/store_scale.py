"""How long the store takes with a million rows: `python -m benchmarks.store_scale [ROWS]` prints one JSON object.

The rows are those of the committed studies, drawn with replacement, under new identities and with new real numbers in
the columns that differ between seeds. Times are of one run each, in seconds, and hold the reading of the files from
the system's cache.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from experiments.records import SCHEMA, root_hash, to_rows
from experiments.segments import encode_segment
from experiments.store import COMMITTED, Store

STUDY = "codebook"
BATCH = 16


def make_rows(count: int, seed: int) -> pa.Table:
    """Rows as those of the committed results, sorted by identity."""
    random = np.random.default_rng(seed)
    known = pa.concat_tables([Store(COMMITTED).read(path.parent.name).table for path in COMMITTED.glob("*/rows-*")])
    digits = random.bytes(32 * count).hex()
    changed = {
        "identity": sorted(digits[64 * i : 64 * i + 64] for i in range(count)),
        "study": [STUDY] * count,
        **{name: random.random(count) for name in ("nll", "calibration_error", "seconds")},
    }
    table = known.take(pa.array(random.integers(0, known.num_rows, count)))
    for name, values in changed.items():
        table = table.set_column(
            SCHEMA.get_field_index(name), SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type)
        )
    return table


def timed(act: Callable[[], Any]) -> float:
    """Seconds of wall time."""
    started = time.perf_counter()
    act()
    return round(time.perf_counter() - started, 4)


def measure(store: Store, seed: int) -> dict[str, float]:
    """Publish batches, compact, and read, at the present size."""
    batches = [to_rows(make_rows(BATCH, seed + i)) for i in range(20)]
    publish = [timed(lambda rows=rows: store.publish(STUDY, rows)) for rows in batches]  # type: ignore[misc]

    def grouped() -> pa.Table:
        table = store.read(STUDY, ["arm", "outputs", "inputs", "test_accuracy"]).table
        return table.group_by(["arm", "outputs", "inputs"]).aggregate(
            [("test_accuracy", "mean"), ("test_accuracy", "count")]
        )

    command = [
        sys.executable,
        "-m",
        "experiments",
        "status",
        STUDY,
        "--preset",
        "laptop",
        "--store",
        str(store),
        "--json",
    ]
    return {
        "publish_median": float(np.median(publish)),
        "compact": timed(lambda: store.compact(STUDY)),
        "status_command": timed(lambda: subprocess.run(command, check=True, capture_output=True)),
        "grouped_query": timed(grouped),
        "settling_columns": timed(lambda: store.read(STUDY, ["identity", "status"])),
        "all_columns": timed(lambda: store.read(STUDY)),
    }


def main() -> None:
    """Measure at no rows and at many."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10**6
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {"rows": count, "batch": BATCH, "load": os.getloadavg()[0]}
        found["empty"] = measure(Store(Path(folder) / "empty"), 1)
        large, parts = Store(Path(folder) / "large"), make_rows(count, 0)
        large.folder(STUDY).mkdir(parents=True)
        for start, length in ((0, count * 2 // 3), (count * 2 // 3, count)):  # two segments, as compaction leaves them
            content = encode_segment(parts.slice(start, length - start))
            large._hashed.write(large.folder(STUDY), "rows-{}.parquet", content)
        found["large"] = measure(large, 1000)
        found["bytes"] = sum(path.stat().st_size for path in large.path.rglob("*.parquet"))
        whole = large.read(STUDY).table
        found["root_hash"] = timed(lambda: root_hash(whole))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
