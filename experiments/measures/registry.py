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
    if family == "random_labels":
        from experiments.measures import random_labels

        return random_labels.measure
    if family == "continuous":
        from experiments.measures import continuous

        return continuous.measure
    raise KeyError(family)
