"""How each measured family is measured: trials -> their scores. Loaded where trials run, one family at a time."""

from collections.abc import Callable, Sequence
from typing import Any

from experiments.spec import Trial

Measure = Callable[[Sequence[Trial]], list[dict[str, Any]]]


def measure_of(family: str) -> Measure:
    """The function that measures a family's trials.

    Raises:
        KeyError: no such family.
    """
    if family == "label_chains":
        from experiments.measures import label_chains

        return label_chains.measure
    if family == "block_crops":
        from experiments.measures import block_crops

        return block_crops.measure
    if family == "metric_gap":
        from experiments.measures import metric_gap

        return metric_gap.measure
    raise KeyError(family)
