"""Measured families by name. To add one, write a file beside this one and a line here."""

from experiments.families import (
    continuous,
    downsampling,
    edge_map,
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
)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
