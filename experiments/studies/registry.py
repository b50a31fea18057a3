"""Studies by name. To add one, write a file beside this one and a line here."""

from experiments.spec import Study
from experiments.studies import blocks, codebook, digits, grid, heads, labels, metric_gap

_ALL = (
    codebook.STUDY, heads.STUDY, grid.STUDY, digits.STUDY, labels.STUDY, blocks.STUDY, metric_gap.STUDY,
)  # fmt: skip
STUDIES: dict[str, Study] = {study.name: study for study in _ALL}
