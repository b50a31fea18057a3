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
    if family == "edge_map":
        from experiments.measures import edge_map

        return edge_map.measure
    if family == "linear_vs_deep":
        from experiments.measures import linear_vs_deep

        return linear_vs_deep.measure
    if family == "metric_gap":
        from experiments.measures import metric_gap

        return metric_gap.measure
    raise KeyError(family)
