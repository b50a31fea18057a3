"""Rows of a study become cells that laws can read."""

import numpy as np

from experiments.fitting import LARGEST_LOG2, MIN_CELLS, arm_rows
from experiments.studies.common import CELL, VARIANT
from sim.theory.laws import LAWS


def test_outputs_beyond_a_float_are_left_out_without_a_warning():
    """Warnings are errors here: 2.0 ** 1024 would be one."""
    logs = np.array([10.0, 1023.9, LARGEST_LOG2, 4096.0])
    columns = {name: np.full(4, 1.0) for name in (*CELL, *VARIANT, "chance")}
    columns |= {"arm": np.full(4, "a"), "status": np.full(4, "ok"), "rows": np.arange(4.0)}
    rows = arm_rows("own", {**columns, "log2_outputs": logs, "inputs": np.full(4, 64.0)}, "a", "test_accuracy")
    assert rows is not None
    assert rows["log2_outputs"].tolist() == [10.0, 1023.9]
    assert np.all(np.isfinite(rows["outputs"]))
    assert np.log2(rows["outputs"]).tolist() == rows["log2_outputs"].tolist()
    cells = {name: rows[name] for name in ("inputs", "outputs", "chance")}
    for law in LAWS.values():
        if law.name != "theorem":
            assert np.all(np.isfinite(law.predict(law.starts[0], cells)))
    assert arm_rows("own", {**columns, "log2_outputs": np.full(4, 4096.0)}, "a", "test_accuracy") is None


def test_every_law_leaves_something_to_be_missed_in_the_fewest_cells():
    assert max(len(law.parameters) for law in LAWS.values()) + 2 <= MIN_CELLS
