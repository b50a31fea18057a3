"""Measured families by name. To add one, write a file beside this one and a line here."""

from experiments.families import block_crops, label_chains, metric_gap
from experiments.families.family import Family

_ALL: tuple[Family, ...] = (label_chains.FAMILY, block_crops.FAMILY, metric_gap.FAMILY)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
