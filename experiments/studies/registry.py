"""Studies by name. To add one, write a file beside this one and a line here."""

from experiments.spec import Study
from experiments.studies import (
    blocks,
    codebook,
    continuous,
    digits,
    downsampling,
    edge_map,
    effective_outputs,
    grid,
    heads,
    labels,
    linear_vs_deep,
    metric_gap,
    refinement,
    resolution,
    systems,
    training_fit,
)

_ALL = (
    codebook.STUDY,
    heads.STUDY,
    grid.STUDY,
    digits.STUDY,
    resolution.STUDY,
    training_fit.STUDY,
    effective_outputs.STUDY,
    labels.STUDY,
    blocks.STUDY,
    downsampling.STUDY,
    refinement.STUDY,
    linear_vs_deep.STUDY,
    edge_map.STUDY,
    continuous.STUDY,
    metric_gap.STUDY,
    systems.STUDY,
)
STUDIES: dict[str, Study] = {study.name: study for study in _ALL}
