"""Studies by name. To add one, write a file beside this one and a line here."""

from experiments.spec import Study
from experiments.studies import codebook, digits, edge_map, grid, heads, linear_vs_deep, metric_gap

_ALL = (
    codebook.STUDY, heads.STUDY, grid.STUDY, digits.STUDY, metric_gap.STUDY, edge_map.STUDY, linear_vs_deep.STUDY,
)  # fmt: skip
STUDIES: dict[str, Study] = {study.name: study for study in _ALL}
