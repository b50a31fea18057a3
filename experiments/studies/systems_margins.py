"""Every system against random labels and the best constant answer on its own phantom."""

from typing import Any

import numpy as np

from experiments.families.systems import SYSTEMS
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, chosen
from experiments.studies.systems import PIXELS
from sim.analysis.compare import pair_rows, paired_t

ON = ("inputs", "noise_scale", "test_items", "shifted_items", "seed")


def margins(columns: Columns) -> list[dict[str, Any]]:
    """Margins in the primary metric at the largest number of training images and reference noise.

    Returns:
        one row a system: system, phantom, inputs, score (mean over seeds), and for `chance` and `constant` the margin
        with its 95% t interval over seeds, `chance_margin`, `chance_low`, `chance_high` and so on; `beats_chance` and
        `beats_constant` say whether the interval lies above 0. Systems with fewer than two seeds are left out.
    """
    table = []
    for system, (phantom, *_) in SYSTEMS.items():
        place = {"phantom": phantom, "pixels": PIXELS, "noise_scale": 1.0}
        usual = chosen(columns, system=system, stage="whole", effort=1.0, **place)
        if not usual.any():
            continue
        inputs = int(columns["inputs"][usual].astype(int).max())
        own = usual & (columns["inputs"] == inputs)
        row: dict[str, Any] = {"system": system, "phantom": phantom, "inputs": inputs,
                               "score": float(np.mean(columns["primary"][own].astype(float)))}  # fmt: skip
        for baseline in ("chance", "constant"):
            other = chosen(columns, system=baseline, **place)
            pairs = pair_rows(columns, own, other, ON, "primary")
            if len(pairs.difference) > 1:
                margin = paired_t(pairs.difference, level=EXPLORATORY_LEVEL)
                row |= {f"{baseline}_margin": margin.effect, f"{baseline}_low": margin.low,
                        f"{baseline}_high": margin.high, f"beats_{baseline}": margin.low > 0}  # fmt: skip
        if "beats_chance" in row and "beats_constant" in row:
            table.append(row)
    return table
