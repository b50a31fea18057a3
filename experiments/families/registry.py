"""Measured families by name. To add one, write a file beside this one and a line here."""

from experiments.families import systems
from experiments.families.family import Family

_ALL: tuple[Family, ...] = (systems.FAMILY,)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
