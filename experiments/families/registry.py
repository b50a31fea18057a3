"""Measured families by name. To add one, write a file beside this one and a line here."""

from experiments.families import continuous, random_labels
from experiments.families.family import Family

_ALL: tuple[Family, ...] = (random_labels.FAMILY, continuous.FAMILY)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
