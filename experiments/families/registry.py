"""Measured families by name. To add one, write a file beside this one and a line here."""

from collections.abc import Iterable
from typing import Any, Protocol

from experiments.families import (
    block_crops,
    continuous,
    downsampling,
    edge_map,
    label_chains,
    linear_vs_deep,
    metric_gap,
    random_labels,
    refinement,
    systems,
)
from experiments.families.family import Family

_ALL: tuple[Family, ...] = (
    metric_gap.FAMILY,
    refinement.FAMILY,
    downsampling.FAMILY,
    edge_map.FAMILY,
    linear_vs_deep.FAMILY,
    random_labels.FAMILY,
    continuous.FAMILY,
    systems.FAMILY,
    label_chains.FAMILY,
    block_crops.FAMILY,
)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}


class HasFactors(Protocol):
    """What is asked of a trial; see `experiments.spec.Trial`."""

    @property
    def factors(self) -> tuple[tuple[str, Any], ...]: ...


def predicted_measuring(trials: Iterable[HasFactors]) -> float:
    """Seconds that the measured ones of these trials will take on one core, by what their families say."""
    every = (dict(trial.factors) for trial in trials)
    return sum(FAMILIES[factors["generator"]].seconds(factors) for factors in every if factors["generator"] in FAMILIES)
