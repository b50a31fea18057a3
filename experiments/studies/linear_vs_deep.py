"""Study `linear_vs_deep`: linear, quadratic and other non-deep methods against deep ones, tier by tier.

    capsim run linear_vs_deep --preset smoke      seconds
    capsim run linear_vs_deep --preset laptop     the reference run, five to six minutes on two cores
Expected: deep learners beat what is linear in raw pixels as the labels turn into products of pixels, but not what is
linear in products of two; on phantoms the answer depends on the tier. Recipes of both sides come from grids of equal
size (`experiments.measures.linear_vs_deep.choose_recipes`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.families.linear_vs_deep import DEEP, OTHERS, PHANTOMS, QUADRATIC, RAW
from experiments.families.linear_vs_deep import RULE as NOISE
from experiments.spec import Study, Sweep
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, chosen, verdict
from sim.analysis.compare import Estimate, paired_t

BETTER = (
    '"the linear regression model based image segmentation methods should be better than deep learning based image '
    'segmentation methods"'
)
ROBUST = '"deep learning is more robust in estimating the discrete response variables for the linear indivisible data"'
CLAIM = f"(a) {BETTER}; (b) {ROBUST}"
TIERS = {
    "raw": "linear and logistic regression on raw pixels",
    "quadratic": "the same with products of two pixels",
    "nondeep": "any non-deep method",
}
MATTERS = 0.02  # of Dice, on phantoms; and of pixel accuracy, to refute (b)
CLEAR = 0.05  # of pixel accuracy, to support (b)
ENOUGH = 3  # phantoms of five

RULE = """Tiers of "linear", each holding the one before: raw (linear and logistic regression on raw pixels),
quadratic (and products of two pixels), nondeep (and random forest, support vectors; on phantoms level set with
dynamic programming, convex max-flow, regression on filters). Within each seed, tier and side, deep ones too, the
method with the best score on validation images is compared on the test images: d = deep - tier, paired t over seeds,
95%. Every method of every side has three candidate recipes, of which the best one, scene by scene, was taken on
images of tuning seed 900001.
(a), per tier, mean Dice on phantoms at the largest I: refuted if the lower bound of d is > .02 on three or more of
five phantoms, supported if the upper bound is < -.02 on three or more, else undecided. (b), per tier, pixel accuracy
on images whose labels follow a rule, products of two pixels: supported if the lower bound of d is > .05 at t = 1 and
the largest I and the lower bound of the slope of d on t there is > 0; refuted if the upper bound of d is < .02; else
undecided. Deep learners are trained four times as long too, on the ventricle for (a) and at t = 1 and the largest I
for (b): a verdict against deep learning (supported (a), refuted (b)) stands only if the upper bound of what this adds
to their score is < .02, and is undecided else. For each claim, overall: the common verdict of all tiers; conditional,
naming the tiers, if all are decided and differ; else undecided."""


class Cell(NamedTuple):
    """Where methods are compared: scene, I, and of the rule t and the order of the product."""

    scene: str
    inputs: int
    nonlinearity: float = 0.0
    order: int = 2


_RULE: dict[str, Any] = {"generator": "linear_vs_deep", "scene": NOISE, "noise": 0.3, "test_items": 24,
                         "learner": [*RAW, *QUADRATIC, *OTHERS[NOISE], *DEEP[NOISE]]}  # fmt: skip
_PHANTOM: dict[str, Any] = {"generator": "linear_vs_deep", "test_items": 16,
                            "learner": [*RAW, QUADRATIC[1], *OTHERS["phantoms"], *DEEP["phantoms"]]}  # fmt: skip
LARGEST = {"laptop": 64, "paper": 1024}
LONGER = "ventricle"  # the phantom on which deep learners are also trained four times as long


def _sweeps(
    levels: Sequence[float], largest: int, fewer: Sequence[int], images: Sequence[int], seeds: int, others: int
) -> tuple[Sweep, ...]:
    return (
        Sweep(**_RULE, nonlinearity=list(levels), inputs=largest, seeds=seeds),
        Sweep(**_RULE, nonlinearity=list(levels), inputs=list(fewer), seeds=others),
        Sweep(**_RULE, nonlinearity=1.0, product_order=3, inputs=largest, seeds=others),
        Sweep(**_PHANTOM, scene=list(PHANTOMS), inputs=list(images), seeds=others),
        *_longer(largest, max(images), others),
    )


def _longer(largest: int, images: int, seeds: int, **few: Any) -> tuple[Sweep, ...]:
    deep: dict[str, Any] = {"steps_times": 4, "seeds": seeds}
    return (
        Sweep(**(_RULE | deep | {"learner": list(DEEP[NOISE])} | few), nonlinearity=1.0, inputs=largest),
        Sweep(**(_PHANTOM | deep | {"learner": list(DEEP["phantoms"])} | few), scene=LONGER, inputs=images),
    )


_QUICK: dict[str, Any] = {"test_items": 4, "seeds": 2}
PRESETS = {
    "smoke": (
        Sweep(**(_RULE | _QUICK | {"learner": ["logistic", "quadratic_logistic", "forest", "mlp"]}),
              nonlinearity=[0.0, 1.0], inputs=[2, 8]),
        Sweep(**(_PHANTOM | _QUICK | {"learner": ["logistic", "convex_max_flow", "mlp"]}), scene=LONGER, inputs=4),
        *_longer(8, 4, 2, learner="mlp", test_items=4),
    ),
    "laptop": _sweeps((0.0, 0.5, 1.0), LARGEST["laptop"], (1, 4, 16), (32,), 10, 4),
    "paper": _sweeps((0.0, 0.25, 0.5, 0.75, 1.0), LARGEST["paper"], (1, 4, 16, 64, 256), (4, 32, 256), 20, 10),
}  # fmt: skip


def tier_learners(tier: str, scene: str) -> tuple[str, ...]:
    """The learners of a tier, or of "deep", on a scene."""
    kind = NOISE if scene == NOISE else "phantoms"
    parts = {"raw": RAW, "quadratic": (*RAW, *QUADRATIC), "nondeep": (*RAW, *QUADRATIC, *OTHERS[kind])}
    return {**parts, "deep": DEEP[kind]}[tier]


def tier_scores(columns: Columns, cell: Cell, tier: str, steps_times: int = 1) -> dict[int, float]:
    """Seed -> test score of the tier's learner with the best validation score; the first by name where they tie."""
    learners = list(tier_learners(tier, cell.scene))
    here = chosen(columns, scene=cell.scene, inputs=cell.inputs, learner=learners, steps_times=steps_times)
    if cell.scene == NOISE:
        here &= np.isclose(columns["nonlinearity"].astype(float), cell.nonlinearity)
        here &= columns["product_order"].astype(float) == cell.order
    found: dict[int, float] = {}
    for seed in np.unique(columns["seed"][here].astype(int)):
        rows = np.flatnonzero(here & (columns["seed"].astype(int) == seed))
        rows = rows[np.argsort(columns["learner"][rows].astype(str), kind="stable")]
        best = rows[np.argmax(columns["validation_score"][rows].astype(float))]
        found[int(seed)] = float(columns["score"][best])
    return found


def differences(columns: Columns, cell: Cell, tier: str) -> dict[int, float]:
    """Seed -> d, deep minus the tier, for seeds that have both."""
    deep, other = tier_scores(columns, cell, "deep"), tier_scores(columns, cell, tier)
    return {seed: deep[seed] - other[seed] for seed in deep if seed in other}


def gain_of_training(columns: Columns, cell: Cell) -> Estimate | None:
    """What four times the steps add to the score of deep learners in a cell."""
    usual, longer = tier_scores(columns, cell, "deep"), tier_scores(columns, cell, "deep", 4)
    return estimate([longer[seed] - usual[seed] for seed in longer if seed in usual])


def _standing(decision: str, against: str, gain: Estimate | None) -> str:
    """The decision, unless it goes against deep learners that may have been trained too briefly."""
    trained = gain is not None and gain.high < MATTERS
    return "undecided" if decision == against and not trained else decision


def _told(gain: Estimate | None) -> str:
    if gain is None:
        return ""
    return f" Four times the steps add {gain.effect:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] to deep."


def estimate(values: Sequence[float] | NDArray[np.float64]) -> Estimate | None:
    """Mean with its 95% interval; None for fewer than two values."""
    return paired_t(values, level=EXPLORATORY_LEVEL) if len(values) >= 2 else None


def slope(columns: Columns, inputs: int, tier: str, order: int = 2) -> Estimate | None:
    """Slope of d on t at one I: one least-squares slope a seed, over the t that most seeds share with t = 0 and 1."""
    found = {
        t: differences(columns, Cell(NOISE, inputs, t, order), tier)
        for t in sorted(set(columns["nonlinearity"][columns["scene"] == NOISE].astype(float)))
    }
    if not {0.0, 1.0} <= set(found):
        return None
    seeds = sorted(set(found[0.0]) & set(found[1.0]))
    shared = [t for t, values in found.items() if set(seeds) <= set(values)]
    return estimate([float(np.polyfit(shared, [found[t][seed] for t in shared], 1)[0]) for seed in seeds])


def largest_inputs(columns: Columns, scene: str) -> int | None:
    """The largest I of a scene, None without rows."""
    rows = columns["inputs"][chosen(columns, scene=scene)]
    return int(rows.astype(float).max()) if len(rows) else None


def crossover(columns: Columns, nonlinearity: float, tier: str, order: int = 2) -> float:
    """I*: the I from which on deep is no worse than the tier, by interpolation of the mean d on ln I.

    0 where deep leads at every I, infinity where it does not at the largest, NaN without rows.
    """
    here = chosen(columns, scene=NOISE, nonlinearity=nonlinearity, product_order=order)
    counts = sorted(set(columns["inputs"][here].astype(int).tolist()))
    means = {i: list(differences(columns, Cell(NOISE, i, nonlinearity, order), tier).values()) for i in counts}
    points = [(np.log(i), float(np.mean(values))) for i, values in means.items() if values]
    if not points:
        return float("nan")
    if points[-1][1] < 0:
        return float("inf")
    behind = [number for number, (_, mean) in enumerate(points) if mean < 0]
    if not behind:
        return 0.0
    (x0, y0), (x1, y1) = points[behind[-1]], points[behind[-1] + 1]
    return float(np.exp(x0 - y0 * (x1 - x0) / (y1 - y0)))


def combine(decisions: dict[str, str]) -> str:
    """The overall decision over tiers."""
    kinds = set(decisions.values())
    if len(kinds) == 1:
        return kinds.pop()
    return "undecided" if "undecided" in kinds else "conditional"


def _phantom_rows(columns: Columns) -> list[dict[str, Any]]:
    rows = []
    gain = gain_of_training(columns, Cell(LONGER, largest_inputs(columns, LONGER) or 0))
    for tier in TIERS:
        found = {}
        for scene in PHANTOMS:
            inputs = largest_inputs(columns, scene)
            values = differences(columns, Cell(scene, inputs), tier) if inputs is not None else {}
            if (each := estimate(list(values.values()))) is not None:
                found[scene] = each, values
        if not found:
            continue
        above = [scene for scene, (each, _) in found.items() if each.low > MATTERS]
        below = [scene for scene, (each, _) in found.items() if each.high < -MATTERS]
        decision = "refuted" if len(above) >= ENOUGH else "supported" if len(below) >= ENOUGH else "undecided"
        decision = _standing(decision, "supported", gain)
        seeds = sorted(set.intersection(*(set(values) for _, values in found.values())))
        mean = estimate([float(np.mean([values[seed] for _, values in found.values()])) for seed in seeds])
        if mean is None:
            continue
        parts = ", ".join(f"{scene} {e.effect:+.3f} [{e.low:+.3f}, {e.high:+.3f}]" for scene, (e, _) in found.items())
        sentence = f"Dice of deep minus {TIERS[tier]}: {parts}.{_told(gain)}"
        row = verdict(BETTER, decision, "deep - tier, Dice, mean over phantoms", mean, sentence, threshold=MATTERS)
        rows.append({"arm": f"a/{tier}"} | row)
    return rows


def _rule_rows(columns: Columns) -> list[dict[str, Any]]:
    inputs = largest_inputs(columns, NOISE)
    rows: list[dict[str, Any]] = []
    if inputs is None:
        return rows
    gain = gain_of_training(columns, Cell(NOISE, inputs, 1.0))
    for tier in TIERS:
        found = estimate(list(differences(columns, Cell(NOISE, inputs, 1.0), tier).values()))
        rise = slope(columns, inputs, tier)
        if found is None or rise is None:
            continue
        if found.low > CLEAR and rise.low > 0:
            decision = "supported"
        else:
            decision = _standing("refuted" if found.high < MATTERS else "undecided", "refuted", gain)
        third = estimate(list(differences(columns, Cell(NOISE, inputs, 1.0, 3), tier).values()))
        sentence = (
            f"Deep minus {TIERS[tier]} at t = 1, I = {inputs}: {found.effect:+.3f} [{found.low:+.3f}, "
            f"{found.high:+.3f}] of pixel accuracy; slope on t {rise.effect:+.3f} [{rise.low:+.3f}, {rise.high:+.3f}]"
        )
        if third is not None:
            sentence += f"; with products of three pixels {third.effect:+.3f} [{third.low:+.3f}, {third.high:+.3f}]"
        sentence += f".{_told(gain)}"
        row = verdict(ROBUST, decision, "deep - tier, pixel accuracy, t = 1, largest I", found, sentence,
                      threshold=CLEAR)  # fmt: skip
        rows.append({"arm": f"b/{tier}"} | row)
    return rows


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`: for (a) and (b) the overall one first, then one a tier."""
    rows = []
    for claim, found in (("a", _phantom_rows(columns)), ("b", _rule_rows(columns))):
        if len(found) == len(TIERS):
            decisions = {row["arm"].split("/")[1]: row["verdict"] for row in found}
            whole = combine(decisions)
            listed = ", ".join(f"{tier} {decision}" for tier, decision in decisions.items())
            words = "conditional: what counts as linear" if whole == "conditional" else whole
            rows.append(found[-1] | {"arm": claim, "verdict": whole, "sentence": f"{words}: {listed}."})
        rows += found
    return rows


STUDY = Study(
    name="linear_vs_deep",
    summary="linear (three tiers) against deep methods over nonlinearity and I, and on five phantoms",
    claim=CLAIM,
    question="Are non-deep methods better on images, and do deep ones gain as labels leave the linear?",
    survey_predicts="(a) non-deep methods at least as good; (b) deep ones better as nonlinearity grows",
    rival_predicts="a crossover I*(t) that depends on what counts as linear",
    rule=RULE,
    primary=False,
    presets=PRESETS,
    judge=judge,
)
