"""Study `systems`: Table 2 of the survey on phantoms, where both sides see the same images and the same tuning budget.

    capsim tune systems                 the committed parameters again, some ten minutes on two cores
    capsim run systems --preset smoke      seconds
    capsim run systems --preset laptop     the reference run, some 40 minutes on two cores
Expected: no common winner. Non-deep systems that know an object's shape or place lead with few images; networks lead
where texture and context decide.
"""

from typing import Any, NamedTuple

import numpy as np

from experiments.families.systems import BASELINES, SEGMENTED, SYSTEMS
from experiments.searching import ANCHORS, SIZES, WINNERS, settings_of
from experiments.spec import Study, Sweep
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, chosen, take, verdict
from sim.analysis.compare import Estimate, pair_rows, paired_t

CLAIM = '"it was outperformed by other methods": Table 2, non-deep methods beat deep ones in each of five rows'
MARGIN = 0.01  # of Dice, VOE / 100 or score / 100
PIXELS = 64  # along a side, in all that decides
FINE = 256  # along a side, in the liver's rows that stand beside
MOST_EFFORT = 4.0  # times the training steps, in the arm that checks for undertraining


class Row(NamedTuple):
    """A row of Table 2: its phantom, the two sides, the metric's column, and by what it is divided."""

    name: str
    phantom: str
    other: str
    deep: tuple[str, ...]
    metric: str
    unit: float = 1.0


ROWS = (
    Row("ventricle", "ventricle", "fitting_and_contour", ("encoder_decoder",), "filled_dice"),
    Row("liver, VOE", "liver", "shape_graph_cut", ("network_graph_cut",), "iou"),
    Row("liver, score", "liver", "sparse_level_set", ("surface_evolution", "network_graph_cut"), "sliver07", 100.0),
    Row("tumour", "tumour", "lesion_pipeline", ("component_rejection",), "dice"),
    Row("cells", "cells", "self_supervised_svm", ("self_taught_unet", "unet"), "dice"),
)
BESIDE = Row("ventricle, myocardium", "ventricle", "fitting_and_contour", ("encoder_decoder",), "myocardium_dice")

RULE = """Metrics, fixed beforehand, all as fractions of which more is better: ventricle, Dice of the filled contours
(the target of [20]; the myocardium, the target of [19], is judged beside it and not counted); liver, 1 - VOE/100, and
SLIVER07's score / 100, contours of 64 pixels judged on 256; tumour, Dice of all lesions; cells, Dice (the error rate
orders single images alike but has no bound). Images without an answer score 0.
Estimand of a comparison: metric of the non-deep system minus that of a deep one, mean over 100 test phantoms of a
seed; training images, test images and initial weights are drawn anew for each seed, so images are nested in seeds and
the 95% t interval over seeds covers all of them.
A comparison is "non-deep" if its interval lies above .01, "deep" if it lies below -.01, "equal" if it lies within
(-.01, .01), else open. A row compares its non-deep system with each of its deep ones at 16 and at 64 training images:
[24] with [21] and [22]; [28] with a network taught by the same clusters and with one taught by the training set.
Row supported: all its comparisons at reference noise are "non-deep", also with four times the training steps at 64
images. Row refuted: all at reference noise are "deep". Conditional: "non-deep" and "deep" both occur among them; or
none is open and they are not all alike; or four times the steps take "non-deep" away; or twice the noise turns a
supported row into a refuted one or the reverse. Else undecided (all "equal" too).
Beside the five rows, judged alike and not counted: the myocardium, and the liver's rows on 256 pixels, which have one
number of training images, two seeds and ten test phantoms a seed.
The study: supported or refuted if at least 4 of the 5 rows are; conditional, on what the table shows, if at least 4
rows are supported, refuted or conditional; else undecided."""


def _sweep(system: str, phantom: str, inputs: int, seeds: int, **others: Any) -> Sweep:
    settings = "{}" if system in BASELINES else settings_of(system, phantom, inputs)
    return Sweep(generator="systems", system=system, phantom=phantom, inputs=inputs, settings=settings, seeds=seeds,
                 **{"test_items": 100, **others})  # fmt: skip


def _is_table(system: str, phantom: str) -> bool:
    return any(phantom == row.phantom and system in (row.other, *row.deep) for row in ROWS)


def _compared() -> list[tuple[str, str]]:
    """Every (system, phantom) of Table 2, once."""
    return list(dict.fromkeys((system, row.phantom) for row in ROWS for system in (row.other, *row.deep)))


def _table(test_items: int = 100) -> list[Sweep]:
    """The five rows: ten seeds at reference noise, four at twice the noise, three with four times the steps."""
    sweeps = []
    for system, phantom in _compared():
        for inputs in SIZES:
            sweeps += [
                _sweep(system, phantom, inputs, 10, test_items=test_items),
                _sweep(system, phantom, inputs, 4, noise_scale=2.0, test_items=test_items),
            ]
        if SYSTEMS[system][1]:
            sweeps.append(_sweep(system, phantom, SIZES[-1], 3, effort=MOST_EFFORT, test_items=test_items))
    return sweeps


def _others() -> list[Sweep]:
    """All other systems on their phantoms, and anchors on all: four seeds; winners of Table 2 on all, 64 images: two.

    Twice the noise is measured at 64 images, for networks on their own phantom alone.
    """
    places = [(system, facts[0]) for system, facts in SYSTEMS.items()]
    places += [(system, phantom) for system in ANCHORS for phantom in (*SEGMENTED, "mitosis")]
    sweeps = []
    for system, phantom in dict.fromkeys(places):
        if not _is_table(system, phantom):
            sweeps += [_sweep(system, phantom, inputs, 4) for inputs in SIZES]
            if phantom != "digits" and (phantom == SYSTEMS[system][0] or not SYSTEMS[system][1]):
                sweeps.append(_sweep(system, phantom, SIZES[-1], 4, noise_scale=2.0))
    return sweeps + [
        _sweep(system, phantom, SIZES[-1], 2)
        for system in WINNERS for phantom in SEGMENTED if not _is_table(system, phantom)
    ]  # fmt: skip


HYBRIDS = {
    "shape_contour": ("network", "forest", "start", "prior"),
    "dilated_crf": ("network", "forest"), "surface_evolution": ("network", "forest"),
    "network_graph_cut": ("network", "forest"), "component_rejection": ("network", "forest"),
    "network_watershed": ("network", "forest"),
}  # fmt: skip


def _stages() -> list[Sweep]:
    """Hybrids: the network alone, the refinement on a random forest's map, and the contour's other starts."""
    return [
        _sweep(system, SYSTEMS[system][0], SIZES[-1], 4, stage=stage)
        for system, stages in HYBRIDS.items() for stage in stages
    ]  # fmt: skip


def _baselines() -> list[Sweep]:
    """Random labels and the best constant on every phantom, and a human's outline where its error is known."""
    sweeps = [
        _sweep(system, phantom, SIZES[-1], 10)
        for system in BASELINES[:2] for phantom in (*SEGMENTED, "mitosis", "digits")
    ]  # fmt: skip
    return sweeps + [_sweep("second_rater", phantom, SIZES[-1], 4) for phantom in ("ventricle", "liver", "tumour")]


def _fine() -> list[Sweep]:
    """The liver's rows on 256 pixels: ten test phantoms, as four times the width costs a network sixteen times."""
    return [
        _sweep(system, phantom, SIZES[0], 2, pixels=FINE, test_items=10, shifted_items=2)
        for system, phantom in _compared() if phantom == "liver"
    ]  # fmt: skip


def _smoke() -> tuple[Sweep, ...]:
    """The tumour's row at one number of training images, with hardly any training."""
    names = ("lesion_pipeline", "component_rejection", "chance", "constant")
    return tuple(
        _sweep(system, "tumour", SIZES[0], 2, test_items=8, shifted_items=4,
               effort=0.1 if system == "component_rejection" else 1.0)
        for system in names
    )  # fmt: skip


def _paper() -> tuple[Sweep, ...]:
    """Every system on every phantom that its task fits, five numbers of training images, four noises, ten seeds."""
    sweeps = []
    for system, (own, _, _, _) in SYSTEMS.items():
        phantoms = (own,) if own in ("mitosis", "digits") else SEGMENTED
        for phantom in phantoms:
            noise = [1.0] if phantom == "digits" else [0.5, 1.0, 2.0, 4.0]
            sweeps += [_sweep(system, phantom, inputs, 10, noise_scale=noise, test_items=400, shifted_items=400)
                       for inputs in (4, 16, 64, 256, 1024)]  # fmt: skip
    return tuple(sweeps)


PRESETS = {
    "smoke": _smoke(),
    "laptop": (*_table(), *_others(), *_stages(), *_baselines(), *_fine()),
    "paper": (*_paper(), *_table(400), *_stages(), *_baselines(), *_fine()),
}


def difference(
    columns: Columns,
    row: Row,
    deep: str,
    inputs: int,
    *,
    noise: float = 1.0,
    effort: float = 1.0,
    pixels: int = PIXELS,
) -> Estimate | None:
    """Metric of a row's non-deep system minus that of a deep one, over the seeds that both have; None below two."""
    if row.metric not in columns:
        return None
    cell = {"phantom": row.phantom, "pixels": pixels, "inputs": inputs, "noise_scale": noise, "stage": "whole"}
    first = chosen(columns, system=row.other, effort=1.0, **cell)
    # The smallest effort is what a preset trains with; more is the arm that checks for undertraining.
    usual = chosen(columns, system=deep, **cell)
    if not usual.any():
        return None
    least = float(np.min(columns["effort"][usual].astype(float)))
    second = usual & np.isclose(columns["effort"].astype(float), effort * least)
    pairs = pair_rows(columns, first, second, ["seed", "test_items"], row.metric)
    return paired_t(pairs.difference / row.unit, level=EXPLORATORY_LEVEL) if len(pairs.difference) > 1 else None


def compare(estimate: Estimate | None) -> str:
    """Which side a comparison favours: "non-deep", "deep", "equal" or "open"."""
    if estimate is None:
        return "open"
    if estimate.low > MARGIN:
        return "non-deep"
    if estimate.high < -MARGIN:
        return "deep"
    return "equal" if estimate.low > -MARGIN and estimate.high < MARGIN else "open"


def decide(sides: list[str]) -> str:
    """The decision on comparisons at one noise."""
    if set(sides) == {"non-deep"}:
        return "supported"
    if set(sides) == {"deep"}:
        return "refuted"
    mixed = {"non-deep", "deep"} <= set(sides) or ("open" not in sides and len(set(sides)) > 1)
    return "conditional" if mixed else "undecided"


def sizes_of(columns: Columns) -> list[int]:
    """The two numbers of training images that decide, or those that the rows have."""
    found = sorted(set(columns["inputs"][columns["status"] == "ok"].astype(int).tolist()))
    return [size for size in SIZES if size in found] if set(SIZES) <= set(found) else found


def judge_row(columns: Columns, row: Row, pixels: int = PIXELS) -> dict[str, Any] | None:
    """The verdict on one row of Table 2; None where it has no comparison."""
    name = row.name if pixels == PIXELS else f"{row.name}, {pixels} pixels"
    sizes = sizes_of(take(columns, columns["pixels"] == pixels))
    cells = [(deep, inputs) for deep in row.deep for inputs in sizes]
    found = {cell: difference(columns, row, *cell, pixels=pixels) for cell in cells}
    if all(estimate is None for estimate in found.values()) or not cells:
        return None
    sides = [compare(found[cell]) for cell in cells]
    decision, reason = decide(sides), ""
    if decision == "supported":
        long = {deep: difference(columns, row, deep, sizes[-1], effort=MOST_EFFORT, pixels=pixels) for deep in row.deep}
        if any(compare(estimate) != "non-deep" for estimate in long.values() if estimate is not None):
            decision, reason = "conditional", " With four times the training steps it is no longer so."
    noisy = decide([compare(difference(columns, row, *cell, noise=2.0, pixels=pixels)) for cell in cells])
    if {decision, noisy} == {"supported", "refuted"}:
        decision, reason = "conditional", f" At twice the noise the row is {noisy}."
    weakest = min((e for e in found.values() if e is not None), key=lambda e: abs(e.effect))
    listed = "; ".join(
        f"{deep}, {inputs} images {e.effect:+.3f} [{e.low:+.3f}, {e.high:+.3f}] ({side})" if e is not None
        else f"{deep}, {inputs} images: no rows"
        for (deep, inputs), e, side in zip(cells, found.values(), sides, strict=True)
    )  # fmt: skip
    sentence = f"{name}: {row.other} less {listed}.{reason}"
    estimand = f"{row.metric} / {row.unit:g}, non-deep less deep, the comparison nearest to 0"
    return {"arm": name} | verdict(CLAIM, decision, estimand, weakest, sentence, threshold=MARGIN)


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`: the study's first, then one a row of Table 2, then those that stand beside."""
    rows = [found for row in ROWS if (found := judge_row(columns, row)) is not None]
    fine = [judge_row(columns, row, FINE) for row in ROWS if row.phantom == "liver"]
    beside = [found for found in (judge_row(columns, BESIDE), *fine) if found is not None]
    if not rows:
        return []
    counts = {word: sum(row["verdict"] == word for row in rows) for word in ("supported", "refuted", "conditional")}
    decision = "conditional" if sum(counts.values()) >= 4 else "undecided"
    for word in ("supported", "refuted"):
        if counts[word] >= 4:
            decision = word
    effects = np.array([row["effect"] for row in rows])
    spread = paired_t(effects, level=EXPLORATORY_LEVEL) if len(rows) > 1 else _single(rows[0])
    sentence = (
        f"Table 2, non-deep better in each row? {decision}: {counts['supported']} rows supported, {counts['refuted']} "
        f"refuted, {counts['conditional']} conditional, of {len(rows)}."
    )
    estimand = "mean over rows of the comparison nearest to 0, non-deep less deep"
    whole = {"arm": "Table 2"} | verdict(CLAIM, decision, estimand, spread, sentence, threshold=MARGIN)
    return [whole, *rows, *beside]


def _single(row: dict[str, Any]) -> Estimate:
    low, high = row["interval"]
    return Estimate(row["effect"], low, high, float("nan"), (high - low) / 4, 1.0, row["trials"], EXPLORATORY_LEVEL)


STUDY = Study(
    name="systems",
    summary="Table 2 on phantoms: 33 systems, equal tuning, two training sizes, two noises, shifted phantoms",
    claim=CLAIM,
    question="Do the survey's non-deep systems beat its deep ones on the same images?",
    survey_predicts="the non-deep system is better in each row of Table 2",
    rival_predicts="it depends on the number of training images and on the contrast",
    rule=RULE,
    primary=False,
    presets=PRESETS,
    judge=judge,
)
