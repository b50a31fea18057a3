"""Study `heads`: the same images and the same number of label maps J, answered through different heads.

    capsim run heads --preset smoke      seconds
    capsim run heads --preset laptop     the reference run, under 25 minutes on two cores
Expected: a head that shares or factorises beats one output a label map by far; a random renaming of the maps takes
that advantage away. So J alone does not set the accuracy.
"""

from typing import Any

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies.common import (
    PRIMARY_LEVEL,
    Columns,
    Mask,
    cell_groups,
    check_leaks,
    chosen,
    paired,
    take,
    usual_variant,
    verdict,
)
from sim.analysis.compare import paired_t, tost
from sim.types import FloatArray

CLAIM = '"the performance of deep learning is determined by the number of outputs" (abstract)'
MARGIN, GAP, CONSECUTIVE = 0.05, 0.10, 3
MIN_OUTPUTS, RATIOS = 64, (1.0, 4.0)
HEADS = ("mlp/jway+reg", "mlp/dense+reg", "mlp/shared+reg")
RELABELLED = "mlp/dense+reg+relabelled"

RULE = """Scale: rho = (A - chance)/(bayes_known - chance) of exact match, the same denominator for every head; pairs on
the same images. Decisive cells: J >= 64 and 1 <= I/J <= 4, L = 4; L = 3 is the setting no pilot touched.
Claim: refuted if the 99% lower bounds of rho(dense) - rho(J-way) and of rho(shared) - rho(J-way) are > .10 in every
decisive cell of 3 consecutive J; supported if all heads are within .05 of one another there (TOST); else undecided.
Structure (rival theory): cells with J >= 64, I/J <= 16, mean rho(dense) >= .20, pairs trained flat. Refuted if the
relabelled dense head is within .05 of the dense head (TOST); supported if the 99% lower bound of the difference is
> .05; else undecided.
Safety: no head beats the paired learner that knows the composition (Holm at .001), else undecided."""


def _sweep(tiles: int, inputs: list[int], seeds: int, labels: int = 4, steps: int = 8000) -> tuple[Sweep, ...]:
    task: dict[str, Any] = {
        "generator": "blocks", "tiles": tiles, "labels": labels, "similarity": 1.0, "signal_power": 1.5,
        "inputs": inputs, "seeds": seeds,
    }  # fmt: skip
    trained: dict[str, Any] = {"network": "mlp", "recipe": "regularised", "max_steps": steps}
    return (
        Sweep(**task, network=["bayes", "class_mean"]),
        Sweep(**task, **trained, head=["jway", "dense", "shared"]),
        Sweep(**task, **trained, head="dense", relabelled=True),
    )


NAMED = ((3, 256), (4, 256), (5, 1024))  # (m, I): the three cells of the robustness arms


def _robustness() -> tuple[Sweep, ...]:
    """Four times the step budget for every head, and a J-way head four times as wide."""
    sweeps: list[Sweep] = []
    for tiles, inputs in NAMED:
        cell: dict[str, Any] = {
            "generator": "blocks", "tiles": tiles, "similarity": 1.0, "signal_power": 1.5, "inputs": inputs,
            "network": "mlp", "recipe": "regularised", "seeds": 4,
        }  # fmt: skip
        sweeps += [
            Sweep(**cell, head=["jway", "dense", "shared"], max_steps=32_000),
            Sweep(**cell, head="jway", width=512, max_steps=8000),
        ]
    return tuple(sweeps)


PRESETS = {
    "smoke": tuple(
        sweep.override({"width": 64, "test_items": 1000} if "head" in sweep.factors else {"test_items": 1000})
        for sweep in _sweep(3, [64, 256], 4, steps=1500)
    ),
    "laptop": (
        *_sweep(2, [64, 256, 1024, 4096], 4),
        *_sweep(3, [64, 256], 10), *_sweep(3, [1024, 4096], 4),
        *_sweep(4, [256, 1024], 10), *_sweep(4, [64, 4096], 4),
        *_sweep(5, [1024, 4096], 10), *_sweep(5, [256], 4),
        *_sweep(6, [4096], 10, steps=6000), *_sweep(6, [1024], 4, steps=6000),
        *_sweep(4, [81], 10, labels=3), *_sweep(5, [243], 10, labels=3),
        *_sweep(6, [729], 10, labels=3),
        *_robustness(),
    ),
    "paper": tuple(
        sweep for tiles in range(2, 7) for labels in (2, 3, 4)
        for sweep in _sweep(tiles, [64, 256, 1024, 4096, 16384], 10, labels=labels, steps=48_000)
    ),
}  # fmt: skip


def main_rows(columns: Columns, labels: int = 4) -> dict[str, Any]:
    """The finished rows of the main arms, with their cell's J attached."""
    rows = take(columns, chosen(columns, labels=labels, balanced=True) & usual_variant(columns))
    return {**rows, "outputs": rows["labels"].astype(float) ** rows["tiles"].astype(float)}


def _differences(
    rows: Columns, first: str, second: str, mask: Mask, flat: bool = False
) -> dict[float, list[FloatArray]]:
    """Paired differences of rho, one array a cell, under each J."""
    chosen_rows = chosen(rows) & mask
    if flat:
        chosen_rows &= rows["converged"].astype(bool)
    one, two = chosen_rows & (rows["arm"] == first), chosen_rows & (rows["arm"] == second)
    found: dict[float, list[FloatArray]] = {}
    for cell in cell_groups(rows, one):
        inside = np.zeros(len(one), dtype=bool)
        inside[cell] = True
        same_images = {"relabelled": np.zeros(len(one), dtype=bool)}
        difference = paired({**rows, **same_images}, inside, two, "rho").difference
        if len(difference) >= 2:
            found.setdefault(float(rows["outputs"][cell[0]]), []).append(difference)
    return found


def _decisive(rows: Columns) -> Mask:
    ratio = rows["inputs"].astype(float) / rows["outputs"]
    return (rows["outputs"] >= MIN_OUTPUTS) & (ratio >= RATIOS[0] - 1e-9) & (ratio <= RATIOS[1] + 1e-9)


def _longest_run(outputs: list[float], good: list[bool]) -> int:
    longest = current = 0
    for _, passed in sorted(zip(outputs, good, strict=True)):
        current = current + 1 if passed else 0
        longest = max(longest, current)
    return longest


def _claim(rows: Columns, labels: int) -> dict[str, Any] | None:
    mask = _decisive(rows)
    dense, shared = (_differences(rows, arm, HEADS[0], mask) for arm in HEADS[1:])
    between = _differences(rows, HEADS[1], HEADS[2], mask)
    if not dense or not shared:
        return None
    outputs = sorted(dense)
    good = [
        all(paired_t(d, level=PRIMARY_LEVEL).low > GAP for d in dense[j] + shared.get(j, [np.zeros(2)]))
        for j in outputs
    ]
    everything = [d for gaps in (dense, shared, between) for cells in gaps.values() for d in cells]
    alike = all(tost(d, MARGIN, level=PRIMARY_LEVEL).equivalent for d in everything)
    leaks = check_leaks(rows, HEADS)
    pooled = paired_t(np.concatenate([d for cells in dense.values() for d in cells]), level=PRIMARY_LEVEL)
    run = _longest_run(outputs, good)
    if leaks.leak:
        decision = "undecided"
    elif run >= CONSECUTIVE:
        decision = "refuted"
    else:
        decision = "supported" if alike else "undecided"
    smallest = min(float(np.mean(d)) for gaps in (dense, shared) for cells in gaps.values() for d in cells)
    sentence = (
        f"L = {labels}: at equal images and equal J, rho(dense) - rho(J-way) = {pooled.effect:.2f} "
        f"[{pooled.low:.2f}, {pooled.high:.2f}]; both factorised heads lead by more than {GAP:.2f} in every cell of "
        f"{run} consecutive J; smallest mean lead {smallest:.2f}."
    )
    estimand = "rho(dense) - rho(J-way) over the decisive cells"
    return {"arm": f"L = {labels}"} | verdict(CLAIM, decision, estimand, pooled, sentence, threshold=GAP)


def _structure(rows: Columns) -> dict[str, Any] | None:
    ratio = rows["inputs"].astype(float) / rows["outputs"]
    mask = (rows["outputs"] >= MIN_OUTPUTS) & (ratio <= 16 + 1e-9)
    able = np.zeros(len(mask), dtype=bool)
    for cell in cell_groups(rows, mask & (rows["arm"] == HEADS[1])):
        if np.mean(rows["rho"][cell]) >= 0.20:
            same = (rows["tiles"] == rows["tiles"][cell[0]]) & (rows["inputs"] == rows["inputs"][cell[0]])
            able |= same
    gaps = _differences(rows, HEADS[1], RELABELLED, mask & able, flat=True)
    if not gaps:
        return None
    pooled = np.concatenate([d for cells in gaps.values() for d in cells])
    estimate, equal = paired_t(pooled, level=PRIMARY_LEVEL), tost(pooled, MARGIN, level=PRIMARY_LEVEL)
    decision = "refuted" if equal.equivalent else "supported" if estimate.low > MARGIN else "undecided"
    sentence = (
        f"Renaming the J maps at random costs the dense head {estimate.effect:.2f} [{estimate.low:.2f}, "
        f"{estimate.high:.2f}] of rho on the same images, {len(pooled)} pairs trained flat."
    )
    claim = "rival theory: the structure of the output, not J, sets the accuracy"
    row = verdict(claim, decision, "rho(dense) - rho(dense, relabelled)", estimate, sentence, threshold=MARGIN)
    return {"arm": RELABELLED} | row


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`."""
    main = main_rows(columns)
    rows = [_claim(main, 4), _structure(main), _claim(main_rows(columns, 3), 3)]
    return [row for row in rows if row is not None]


STUDY = Study(
    name="heads",
    summary="one J-way output against factorised and shared outputs on identical images of m tiles, J = L^m",
    claim=CLAIM,
    question="Does J set the accuracy when images, noise and J are the same and only the form of the output differs?",
    survey_predicts="all heads equal",
    rival_predicts="shared > dense >> J-way > relabelled",
    rule=RULE,
    primary=True,
    presets=PRESETS,
    judge=judge,
)
