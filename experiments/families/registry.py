"""Measured families by name. To add one, write a file beside this one and a line here."""

from experiments.families import edge_map, linear_vs_deep, metric_gap
from experiments.families.family import Family

_ALL: tuple[Family, ...] = (metric_gap.FAMILY, edge_map.FAMILY, linear_vs_deep.FAMILY)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
