"""How each measured family is measured: trials -> their scores. Loaded where trials run, one family at a time."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from experiments.families.registry import FAMILIES
from experiments.spec import Trial

Measure = Callable[[Sequence[Trial]], list[dict[str, Any]]]


def measure_of(family: str) -> Measure:
    """The function `measure` of the file beside this one that has the family's name.

    Raises:
        KeyError: no such family.
    """
    module = import_module(f"experiments.measures.{FAMILIES[family].name}")
    measure: Measure = module.measure
    return measure
