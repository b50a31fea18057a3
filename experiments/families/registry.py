"""Measured families by name. To add one, write a file beside this one and a line here."""

from experiments.families.family import Family

_ALL: tuple[Family, ...] = ()
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
