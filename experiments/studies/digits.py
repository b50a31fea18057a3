"""Study `digits`: the J-way curve on real images, scikit-learn's handwritten digits with random class subsets.

    capsim run digits --preset smoke      seconds
    capsim run digits --preset laptop     the reference run, about two minutes on two cores
Expected: with I fixed, accuracy falls slowly with J; I/J does not order the curves any better than on codebooks.
"""

from typing import Any

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies.codebook import EQUALITY, GOOD_LARGEST, POOR_RMS
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, chosen, take, verdict
from sim.analysis.collapse import collapse, output_scaling
from sim.analysis.compare import t_estimate
from sim.analysis.curves import cell_summary, rescale
from sim.analysis.master_curve import master_curve_residuals

CLAIM = '"a theorem about the proportion of the number of the inputs and the number of the outputs might also exist"'
ARMS = ("mlp+reg", "linear+reg")

RULE = """Exploratory (no exact ceiling exists). Per arm, averages over random class subsets: gamma is fitted in
ln I - gamma ln J to chance-corrected accuracy. Refuted if the 95% interval of gamma lies outside [.8, 1.2] and the rms
residual of one monotone master curve on ln(I/J) is > .05; supported if the largest residual there is < .03; else
undecided."""


def _sweep(network: str, outputs: list[int], inputs: list[int], seeds: int | range, **others: Any) -> Sweep:
    return Sweep(generator="digits", network=network, recipe="regularised", outputs=outputs, inputs=inputs,
                 seeds=seeds, test_items=1797, **others)  # fmt: skip


RANK_SEEDS = range(1000, 1010)  # no other sweep's: extrapolation is scored on images in an order that no fit has seen


def _ranked() -> tuple[Sweep, ...]:
    """Trials on all ten classes that keep their ranks, for `capsim extrapolate`: no judge and no fit reads them."""
    common = {"keep_ranks": True, "max_steps": 3000}
    return tuple(_sweep(network, [10], [32, 128, 512], RANK_SEEDS, **common) for network in ("mlp", "linear"))


PRESETS = {
    "smoke": (_sweep("linear", [2, 5, 10], [32, 128], 4, max_steps=1000),),
    "laptop": (
        *(
            _sweep(network, [2, 3, 4, 5, 6, 8, 10], [16, 32, 64, 128], 10, max_steps=3000)
            for network in ("mlp", "linear")
        ),
        *(_sweep(network, [6, 8, 10], [512], 10, max_steps=3000) for network in ("mlp", "linear")),
        *_ranked(),
    ),
    "paper": (
        *(
            _sweep(network, list(range(2, 11)), [16, 32, 64, 128, 256], 100, max_steps=24_000)
            for network in ("mlp", "linear")
        ),
        *_ranked(),
    ),
}


def _row(columns: Columns, arm: str) -> dict[str, Any] | None:
    rows = take(columns, chosen(columns, arm=arm))
    if len(np.unique(rows["outputs"])) < 2:
        return None
    names = ("inputs", "outputs", "log2_outputs", "chance")
    found = collapse({name: rows[name] for name in names}, rows["test_accuracy"], output_scaling,
                     {"gamma": (-1.0, 5.0)}, level=EXPLORATORY_LEVEL)  # fmt: skip
    low, high = found.intervals["gamma"]
    trials = len(rows["test_accuracy"])
    spread = float(np.sqrt(found.covariance[0, 0]))
    gamma = t_estimate(found.parameters["gamma"], spread, max(trials - 2, 1), trials)._replace(low=low, high=high)
    cells = cell_summary(rows, ["inputs", "outputs", "chance"])
    ratio = np.log(cells.columns["inputs"].astype(float) / cells.columns["outputs"].astype(float))
    fit = master_curve_residuals(ratio, rescale(cells.mean, cells.columns["chance"].astype(float)))
    if (low > EQUALITY[1] or high < EQUALITY[0]) and fit.rms > POOR_RMS:
        decision = "refuted"
    else:
        decision = "supported" if fit.largest < GOOD_LARGEST else "undecided"
    sentence = (
        f"{arm} on real digits: gamma = {gamma.effect:.2f} [{low:.2f}, {high:.2f}] where I/J means 1; residual on I/J "
        f"{fit.rms:.3f} rms, {fit.largest:.3f} largest, averages over random class subsets."
    )
    nearest = EQUALITY[1] if gamma.effect > 1 else EQUALITY[0]
    row = verdict(CLAIM, decision, "gamma in ln I - gamma ln J", gamma, sentence, threshold=nearest)
    return {"arm": arm} | row


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`."""
    return [row for arm in ARMS if (row := _row(columns, arm)) is not None]


STUDY = Study(
    name="digits",
    summary="the J-way curve on scikit-learn's 8 x 8 handwritten digits, J = 2 to 10 random classes",
    claim=CLAIM,
    question="Do real images follow the same picture as random codewords?",
    survey_predicts="accuracy is a function of I/J",
    rival_predicts="accuracy falls with J far more slowly than I/J says, and I/J does not collapse the curves",
    rule=RULE,
    primary=False,
    presets=PRESETS,
    judge=judge,
)
