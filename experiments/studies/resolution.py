"""Study `resolution`: does pixel accuracy fall as an image gets more pixels? It depends on what the pixels are of.

    capsim run resolution --preset smoke      seconds
    capsim run resolution --preset laptop     the reference run, 4 to 5 minutes on two cores
Expected: with evidence fixed per pixel, accuracy rises where weights are shared; with evidence fixed in total it falls
where more pixels show more scene, for the exact posterior as well, and not where they show one scene finer.
"""

import inspect
import sys
from typing import Any

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies import scene_laws
from experiments.studies.common import PRIMARY_LEVEL, Columns, check_leaks, chosen, take, usual_variant, verdict
from experiments.studies.scene_laws import (
    LAWS,
    chain_stay,
    family_of,
    follows,
    image_pixels,
    reference_accuracy,
    scaled_noise,
)
from experiments.studies.scene_recipes import arm_factors
from sim.analysis.compare import Estimate, paired_t
from sim.types import FloatArray

CLAIM = '"could not achieve high segmentation accuracy unless the resolution of the image is extremely small"'
SLOPE = -0.002  # change of pixel accuracy per doubling of the pixels that would matter
ARCHITECTURES = {
    "conv1": "weights shared, receptive field 1",
    "conv7": "weights shared, receptive field 7",
    "unet": "U-Net, weights shared",
    "mlp/dense+reg": "no weights shared",
}
SHARED, DENSE_ARM = ("conv7", "unet"), "mlp/dense+reg"

RULE = """Estimand, per scene law (refine one scene, extend it) x evidence law (noise fixed per pixel; in total, noise
proportional to the square root of the number of pixels n) x architecture: slope of raw pixel accuracy per doubling of
n; each seed's least-squares slope on log2 n within a scene family (chains, Ising strips, discs) and I, averaged over
those that the architecture was run on; t interval over seeds, 99%.
Supported (accuracy falls) if the upper bound is < -.002; refuted if the lower bound is > -.002; else undecided.
Overall, over the four laws and the architectures conv7, unet and dense: supported if all are supported; refuted if all
are refuted; conditional if one is supported and one refuted, with the condition "no weight sharing" if conv7 and unet
are refuted under all four laws, else the laws and architectures under which it falls; else undecided. Receptive field 1
is a control and does not enter.
The same on the setting that no pilot touched, chains with three labels at noise per pixel, gives rows "L = 3 ...",
which do not enter the overall one.
Safety: no network beats the paired exact posterior in pixel accuracy (Holm at .001), else every row is undecided."""

CONV7, UNET, DENSE = (arm_factors(arm) for arm in ("conv7", "unet", "mlp/dense+reg"))
CONV1 = CONV7 | {"receptive_field": 1}
EXACT: dict[str, Any] = {"network": "bayes"}


def _tasks(family: str, sizes: tuple[int, ...], laws: tuple[tuple[str, str], ...] = LAWS, labels: int = 2) -> list[Any]:
    """The tasks of a family: one a size and law; laws share those of the base size."""
    found = []
    for size in sizes:
        for scene, evidence in laws:
            noise = scaled_noise(family, size, evidence)
            if family == "chain":
                stay = chain_stay(size, scene, labels)
                found.append({"generator": "fields", "field": "chain", "rows": 4, "columns": size, "labels": labels,
                              "stay": stay, "noise": noise})  # fmt: skip
            elif family == "ising" and scene == "extend":
                found.append({"generator": "fields", "field": "ising", "rows": 4, "columns": size, "labels": 2,
                              "noise": noise})  # fmt: skip
            elif family == "discs" and (scene == "refine" or size % 16 == 0):
                scenes = size // 16 if scene == "extend" else 1
                found.append({"generator": "dictionary", "grid_size": size, "scenes": scenes, "labels": 2,
                              "noise": noise})  # fmt: skip
    return [task for index, task in enumerate(found) if task not in found[:index]]


def _exact(task: dict[str, Any]) -> bool:
    return task.get("field") != "ising" or task["rows"] * task["columns"] <= 16


def _sweeps(tasks: list[Any], seeds: int, test_items: int, *plan: tuple[dict[str, Any], list[int]]) -> list[Sweep]:
    """Each task under each arm of the plan at its numbers of inputs, and the exact posterior at all of those."""
    inputs = sorted({count for _, counts in plan for count in counts})
    every = {"seeds": seeds, "test_items": test_items}
    return [
        Sweep(**task, **arm, inputs=counts, **every)
        for task in tasks
        for arm, counts in ((EXACT, inputs), *plan)
        if arm is not EXACT or _exact(task)
    ]


BOTH, MANY = [64, 512], [512]
NAMED = (("chain", 32), ("discs", 16))  # the cells with four times the step budget, extend at noise per pixel


def _robustness() -> list[Sweep]:
    return [
        Sweep(**task, **(arm | {"max_steps": 4 * arm["max_steps"]}), inputs=512, seeds=2, test_items=1000)
        for family, size in NAMED
        for task in _tasks(family, (size,), (("extend", "pixel"),))
        for arm in (CONV7, UNET, DENSE)
    ]


def _unseen(seeds: int, sizes: tuple[int, ...], arms: tuple[dict[str, Any], ...]) -> list[Sweep]:
    tasks = _tasks("chain", sizes, (("refine", "pixel"), ("extend", "pixel")), labels=3)
    return _sweeps(tasks, seeds, 1000, *((arm, MANY) for arm in arms))


def _smoke() -> tuple[Sweep, ...]:
    chains = _tasks("chain", (8, 16), (("refine", "pixel"), ("extend", "pixel")))
    return tuple(_sweeps(chains, 2, 200, (DENSE | {"max_steps": 300}, [64])))


REFINE = (("refine", "pixel"), ("refine", "total"))
PRESETS = {
    "smoke": _smoke(),
    "laptop": (
        *_sweeps(_tasks("chain", (4, 8, 32)), 6, 1000, (CONV1, MANY), (CONV7, BOTH), (UNET, MANY), (DENSE, BOTH)),
        *_sweeps(_tasks("ising", (8, 32)), 6, 1000, (CONV7, MANY), (DENSE, MANY)),
        *_sweeps(_tasks("discs", (16, 32), REFINE), 6, 1000, (CONV7, MANY), (UNET, MANY), (DENSE, MANY)),
        *_unseen(6, (8, 32), (CONV7, DENSE)),
        *_robustness(),
    ),
    "paper": (
        *(
            sweep
            for family, sizes in (
                ("chain", (4, 8, 16, 32, 64)), ("ising", (4, 8, 16, 32, 64)), ("discs", (16, 24, 32, 48, 64)),
            )
            for sweep in _sweeps(
                _tasks(family, sizes), 10, 4000, (CONV1, BOTH), (CONV7, BOTH), (UNET, BOTH), (DENSE, BOTH)
            )
        ),
        *_unseen(10, (4, 8, 16, 32, 64), (CONV7, UNET, DENSE)),
        *_robustness(),
    ),
}  # fmt: skip


def law_rows(columns: Columns, arm: str, scene: str, evidence: str, labels: int = 2) -> dict[str, Any]:
    """The finished main rows of an arm whose task follows a scene law and an evidence law, with the columns `family`,
    `pixels` and `exact`, the pixel accuracy of the paired exact posterior or else its known mean."""
    mask = chosen(columns, arm=arm, labels=labels) & usual_variant(columns) & follows(columns, scene, evidence)
    extra = {"family": family_of(columns), "pixels": image_pixels(columns), "exact": reference_accuracy(columns)}
    return take({**columns, **extra}, mask)


def seed_slopes(rows: dict[str, Any], value: FloatArray) -> FloatArray:
    """One slope of `value` on log2 n a seed, averaged over the families and I in which every seed has every size."""
    seeds = np.unique(rows["seed"].astype(int))
    pixels = np.log2(rows["pixels"])
    slopes = []
    for family, inputs in sorted({(str(f), int(i)) for f, i in zip(rows["family"], rows["inputs"], strict=True)}):
        inside = (rows["family"] == family) & (rows["inputs"] == inputs) & np.isfinite(value)
        sizes = np.unique(pixels[inside])
        table = np.full((len(seeds), len(sizes)), np.nan)
        table[np.searchsorted(seeds, rows["seed"][inside]), np.searchsorted(sizes, pixels[inside])] = value[inside]
        if len(sizes) >= 2 and np.isfinite(table).all():
            centred = sizes - sizes.mean()
            slopes.append(table @ centred / np.sum(centred**2))
    return np.mean(slopes, axis=0) if slopes else np.empty(0)


def _curve(rows: dict[str, Any]) -> str:
    """Mean pixel accuracy at each size, family by family, at the largest I: a slope alone hides a flat-then-fall."""
    words = []
    largest = rows["inputs"] == rows["inputs"].max()
    for family in sorted(set(rows["family"].tolist())):
        inside = largest & (rows["family"] == family)
        sizes = np.unique(rows["pixels"][inside])
        if len(sizes) >= 2:
            means = [rows["pixel_accuracy"][inside & (rows["pixels"] == n)].mean() for n in sizes]
            words.append(f"{family} " + " ".join(f"{mean:.3f}" for mean in means))
    return "; ".join(words)


def _decide(estimate: Estimate) -> str:
    if estimate.high < SLOPE:
        return "supported"
    return "refuted" if estimate.low > SLOPE else "undecided"


ESTIMAND = "slope of pixel accuracy per doubling of n"


def _judge_law(
    columns: Columns, arm: str, scene: str, evidence: str, labels: int
) -> tuple[dict[str, Any], Estimate] | None:
    rows = law_rows(columns, arm, scene, evidence, labels)
    slopes = seed_slopes(rows, rows["pixel_accuracy"].astype(float))
    if len(slopes) < 2:
        return None
    estimate = paired_t(slopes, level=PRIMARY_LEVEL)
    gaps = seed_slopes(rows, rows["pixel_accuracy"].astype(float) - rows["exact"])
    gap = f", its gap to the exact posterior by {gaps.mean():+.4f}" if len(gaps) else ""
    where = {"pixel": "noise fixed per pixel", "total": "noise fixed in total"}[evidence]
    sentence = (
        f"{scene}, {where}, {arm} ({ARCHITECTURES[arm]}): pixel accuracy changes by {estimate.effect:+.4f} "
        f"[{estimate.low:+.4f}, {estimate.high:+.4f}] per doubling of the pixels{gap}. Curve: {_curve(rows)}."
    )
    row = verdict(CLAIM, _decide(estimate), ESTIMAND, estimate, sentence, threshold=SLOPE)
    prefix = "" if labels == 2 else f"L = {labels} "
    return {"arm": f"{prefix}{scene}/{evidence}/{arm}"} | row, estimate


def _overall(decided: dict[tuple[str, str, str], str]) -> tuple[str, str]:
    """The overall verdict and its condition."""
    kinds = set(decided.values())
    if kinds in ({"supported"}, {"refuted"}):
        return kinds.pop(), ""
    if not {"supported", "refuted"} <= kinds:
        return "undecided", ""
    if all(decided[*law, arm] == "refuted" for law in LAWS for arm in SHARED):
        return "conditional", "no weight sharing"
    falls = [f"{scene}/{evidence}/{arm}" for (scene, evidence, arm), word in decided.items() if word == "supported"]
    return "conditional", "it falls under " + ", ".join(falls)


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`: the overall one first, then one a law and architecture, then those of three labels."""
    safe = not check_leaks(columns, list(ARCHITECTURES), value="pixel_accuracy").leak
    found: dict[tuple[str, str, str], Any] = {}
    rows = []
    for labels in (2, 3):
        for scene, evidence in LAWS:
            for arm in ARCHITECTURES:
                judged = _judge_law(columns, arm, scene, evidence, labels)
                if judged is not None:
                    rows.append(judged[0] if safe else judged[0] | {"verdict": "undecided"})
                    if labels == 2:
                        found[scene, evidence, arm] = (rows[-1]["verdict"], judged[1])
    wanted = [(*law, arm) for law in LAWS for arm in (*SHARED, DENSE_ARM)]
    if not all(key in found for key in wanted):
        return rows
    word, condition = _overall({key: found[key][0] for key in wanted})
    sentence = f"Does pixel accuracy fall as images get more pixels? {word}{': ' if condition else ''}{condition}."
    shown = found["refine", "pixel", "conv7"][1]  # the survey's case: one scene at a finer grid
    whole = verdict(CLAIM, word, f"{ESTIMAND}, conv7 on one scene refined", shown, sentence, threshold=SLOPE)
    return [{"arm": "overall"} | whole, *rows]


STUDY = Study(
    name="resolution",
    summary="more pixels: of one scene or of more scene, noise per pixel or in total, with and without shared weights",
    claim=CLAIM,
    question="Does pixel accuracy fall as an image gets more pixels?",
    survey_predicts="pixel accuracy falls with the number of pixels",
    rival_predicts="scene law, evidence law and weight sharing decide, not the number of pixels",
    rule=RULE,
    primary=True,
    presets=PRESETS,
    judge=judge,
    rule_source=inspect.getsource(sys.modules[__name__]) + inspect.getsource(scene_laws),
)
