"""Measured families by name. To add one, write a file beside this one and a line here."""

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
