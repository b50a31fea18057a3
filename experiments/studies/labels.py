"""Study `labels`: the same row of pixels with more and more labels, J = L^T, on two routes.

    capsim run labels --preset smoke      seconds
    capsim run labels --preset laptop     the reference run, under 5 minutes on two cores
Expected: with the separation of neighbouring labels fixed, accuracy above chance hardly changes with L (its ceiling
rises, because a label that differs from its neighbours' says more); with the whole range of greys fixed it falls, as
its ceiling does. At equal log J the two routes are far apart, so J does not set the accuracy. What a network lacks of
its ceiling grows with L where images are few.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.ranking import Search
from experiments.recipes import TUNING_SEEDS
from experiments.spec import Study, Sweep
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, Mask, chosen, take, usual_variant, verdict
from sim.analysis.checks import leak_test
from sim.analysis.compare import Estimate, welch_t
from sim.analysis.curves import group_rows
from sim.types import FloatArray

CLAIM = '"J = L^(M x N)": with more labels, as with more pixels, the accuracy falls'
SPACING, RANGE = 2.0, 6.0  # of neighbouring labels on one route; of the outermost ones on the other; they meet at L = 4
CHANGE, AGREE, FALL = 0.03, 0.05, -0.10
LEAST_EXACT_MATCH = 0.05  # of a ceiling: below it exact match is too rare to be compared
EQUIVALENCE_LEVEL = 2 * EXPLORATORY_LEVEL - 1  # two one-sided tests at 5%
NETWORKS = {"conv/64": "shared weights, seven pixels", "linear/64": "softmax regression on each pixel by itself"}
SCALAR = "conv/1"  # the grey value itself instead of basis functions
CLAIM_ARM = "conv/64"

RULE = """Scales: chance-normalised accuracy (A - 1/L)/(1 - 1/L), and rho = (A - 1/L)/(C - 1/L). A is scored by the
exact posterior of the test rows; C is that posterior's own accuracy on the same rows, for softmax regression the exact
accuracy of one pixel. Rows of T = 16 pixels decide; contrasts are the largest L against the smallest (Welch over seeds,
95%). Routes: spacing of neighbouring labels fixed at 2 noise deviations; or the whole range fixed at 6.
Per network and number of images I: supported if chance-normalised accuracy falls on both routes (upper bounds < 0) and
the routes agree within .05 (TOST at 5%) at every L > 4, where both have the same log J; refuted if rho does not change
at fixed separation (TOST at 5% within .03) and chance-normalised accuracy falls by more than .10 at fixed range (upper
bound < -.10); else undecided.
Overall, for the convolution: supported or refuted if so at every I; conditional if refuted at the largest I and at all
above some I, and not at others, or supported at the smallest and refuted at the largest; else undecided. Exact match of
the whole row is shown where its ceiling (hits of the most probable row) is > .05, and enters no verdict; nor do rows of
32 pixels, whose J is the square, four times the steps, twice the width and the grey value itself as input.
Safety: no network beats the paired exact posterior in hits (one-sided t, Holm at .001), else every row is undecided."""

BASE: dict[str, Any] = {
    "generator": "label_chains", "stay": 0.9, "noise": 1.0, "width": 32, "batch_size": 16, "grey_channels": 64,
}  # fmt: skip
STEPS, TEST_ITEMS = 16_000, 2000
LABELS, IMAGES, LENGTH, LONGER = (2, 4, 16, 32), (64, 512), 16, 32
# (network, basis functions) -> I -> learning rate, weight decay, input noise: the best of `SEARCHES`, by
# `experiments.ranking.rank_recipes`
RECIPES: Mapping[tuple[str, int], Mapping[int, tuple[float, float, float]]] = {
    ("conv", 64): {64: (0.001, 1.0, 0.4), 512: (0.003, 0.1, 0.4)},
    ("linear", 64): {64: (0.01, 0.0, 0.0), 512: (0.003, 0.0, 0.0)},
    ("conv", 1): {512: (0.01, 0.0, 0.4)},
}


def spacings(labels: int) -> list[float]:
    """The spacing of neighbouring labels on both routes."""
    return [SPACING, RANGE / (labels - 1)]


GRID: dict[str, Any] = {
    "learning_rate": [1e-3, 3e-3, 1e-2], "weight_decay": [0.0, 0.1, 1.0, 3.0], "input_noise": [0.0, 0.4],
    "max_steps": 4000, "test_items": 1000, "seeds": TUNING_SEEDS, "columns": LENGTH,
}  # fmt: skip
# one grid for all; L = 2 at fixed range is left out, because every recipe is right there
ENDS: tuple[dict[str, Any], ...] = ({"labels": 2, "spacing": SPACING}, {"labels": 32, "spacing": spacings(32)})
SEARCHES = tuple(
    Search([Sweep(**{**BASE, **GRID, **ends, **arm}) for ends in ENDS], ("network", "grey_channels", "inputs"),
           "expected_accuracy")
    for arm in ({"network": ["conv", "linear"], "inputs": list(IMAGES)},
                {"network": "conv", "grey_channels": 1, "inputs": 512})
)  # fmt: skip


def _cell(network: str, labels: int, inputs: int, **others: Any) -> Sweep:
    """Both routes at one L, with the recipe of the network and I."""
    channels = others.get("grey_channels", BASE["grey_channels"])
    known = RECIPES[network, channels]
    rate, decay, noise = known[min(known, key=lambda images: abs(np.log(images / inputs)))]
    usual = {"columns": LENGTH, "max_steps": STEPS, "test_items": TEST_ITEMS, "spacing": spacings(labels)}
    numbers = {"learning_rate": rate, "weight_decay": decay, "input_noise": noise}
    return Sweep(**{**BASE, **usual, **numbers, "network": network, "labels": labels, "inputs": inputs, **others})


def _main(seeds_ends: int, seeds: int, images: Sequence[int] = IMAGES, **others: Any) -> tuple[Sweep, ...]:
    return tuple(
        _cell(network, labels, inputs, seeds=seeds_ends if labels in (LABELS[0], LABELS[-1]) else seeds, **others)
        for network in ("conv", "linear") for inputs in images for labels in LABELS
    )  # fmt: skip


CONTROLS: Mapping[str, Mapping[str, Any]] = {
    "rows twice as long (J squared)": {"columns": LONGER},
    "four times the steps": {"max_steps": 4 * STEPS},
    "twice the width": {"width": 2 * BASE["width"]},
    "the grey value itself as input": {"grey_channels": 1},
}
CONTROL_IMAGES = 512
_CONTROLS = tuple(
    _cell("conv", labels, CONTROL_IMAGES, seeds=4, spacing=SPACING, **change)
    for change in CONTROLS.values() for labels in (LABELS[0], LABELS[-1])
)  # fmt: skip

PRESETS = {
    "smoke": tuple(_cell("conv", labels, 64, seeds=4, max_steps=1000, test_items=300) for labels in (2, 8)),
    "laptop": (*_main(10, 4), *_CONTROLS),
    "paper": (*_main(20, 20, (64, 512, 4096), columns=[16, 32, 80]), *_CONTROLS),
}


def main_rows(columns: Columns) -> dict[str, Any]:
    """The finished rows of `label_chains` that decide, with `route` ("fixed", "range" or "both") and `own_rho`."""
    rows = all_rows(columns)
    return take(rows, (rows["columns"].astype(int) == LENGTH) & usual_variant(rows))


def all_rows(columns: Columns) -> dict[str, Any]:
    """The finished rows of `label_chains`, controls too, with `route` and `own_rho`, of the arm's own ceiling."""
    rows = take(columns, chosen(columns, generator="label_chains"))
    labels, spacing = rows["labels"].astype(float), rows["spacing"].astype(float)
    fixed, ranged = np.isclose(spacing, SPACING), np.isclose(spacing * (labels - 1), RANGE)
    route = np.where(fixed & ranged, "both", np.where(fixed, "fixed", np.where(ranged, "range", "other")))
    own = np.where(rows["arm"] == "linear/64", rows["pixel_ceiling"], rows["expected_ceiling"]).astype(float)
    chance = 1.0 / labels
    accuracy = rows["expected_accuracy"].astype(float)
    return rows | {"route": route, "own_rho": (accuracy - chance) / (own - chance)}


def values(rows: Columns, mask: Mask, value: str) -> FloatArray:
    """The values of the seeds of one cell."""
    return np.asarray(rows[value][mask], dtype=np.float64)


def _on(rows: Columns, route: str, labels: int) -> Mask:
    mask: Mask = np.isin(rows["route"], [route, "both"]) & (rows["labels"].astype(int) == labels)
    return mask


def _difference(first: FloatArray, second: FloatArray, level: float) -> Estimate | None:
    return welch_t(first, second, level=level) if min(len(first), len(second)) >= 2 else None


def _within(rows: Columns, labels: NDArray[np.int64]) -> bool:
    """Whether the routes agree within `AGREE` at each L where they differ."""
    gaps = []
    for number in labels[labels > 4].tolist():
        fixed, ranged = (values(rows, _on(rows, route, number), "chance_normalised") for route in ("fixed", "range"))
        gaps.append(_difference(fixed, ranged, EQUIVALENCE_LEVEL))
    return bool(gaps) and all(gap is not None and max(-gap.low, gap.high) < AGREE for gap in gaps)


def decide(fixed: Estimate, ranged: Estimate, rho: Estimate, agree: bool) -> str:
    """The verdict at one I, from the changes of accuracy on both routes (95%) and of rho (90%)."""
    if fixed.high < 0 and ranged.high < 0 and agree:
        return "supported"
    return "refuted" if max(-rho.low, rho.high) < CHANGE and ranged.high < FALL else "undecided"


def exact_match_counts(rows: Columns) -> Mask:
    """Mask of the rows whose exact match can be compared: the mean ceiling of their cell is high enough."""
    names = ("inputs", "labels", "columns", "spacing")
    cells, _ = group_rows({name: rows[name] for name in names}, list(names))
    ceilings = rows["known_exact_match"].astype(float)
    means = np.bincount(cells, weights=ceilings) / np.maximum(np.bincount(cells), 1)
    mask: Mask = means[cells] > LEAST_EXACT_MATCH
    return mask


def _exact_words(rows: Columns, labels: Sequence[int]) -> str:
    comparable, parts = exact_match_counts(rows), []
    for route, words in (("fixed", "fixed separation"), ("range", "fixed range")):
        for number in labels:
            mask = _on(rows, route, number) & comparable
            if mask.any():
                own, most = (values(rows, mask, name).mean() for name in ("exact_match", "known_exact_match"))
                parts.append(f"{own:.2f} of {most:.2f} at L = {number}, {words}")
    return f" Exact match of whole rows, and its ceiling: {'; '.join(parts)}." if parts else ""


def _control_words(columns: Columns) -> str:
    """What each control changes in rho of the convolution with the most labels, separation fixed."""
    rows = all_rows(columns)
    labels = int(rows["labels"].astype(int).max())
    cell = _on(rows, "fixed", labels)
    main = main_rows(columns)
    at = _on(main, "fixed", labels) & (main["arm"] == CLAIM_ARM) & (main["inputs"] == CONTROL_IMAGES)
    usual = {**BASE, "columns": LENGTH, "max_steps": STEPS}
    parts = []
    for words, change in CONTROLS.items():
        mask = cell & (rows["inputs"] == CONTROL_IMAGES) & (rows["network"] == "conv")
        for name in ("columns", "max_steps", "width", "grey_channels"):
            mask &= rows[name].astype(int) == change.get(name, usual[name])
        shift = _difference(values(rows, mask, "own_rho"), values(main, at, "own_rho"), EXPLORATORY_LEVEL)
        if shift is not None:
            parts.append(f"{words} {shift.effect:+.3f} [{shift.low:+.3f}, {shift.high:+.3f}]")
    return f" Controls, change of rho at L = {labels}: {'; '.join(parts)}." if parts else ""


def _row(rows: Columns, arm: str, inputs: int, safe: bool) -> dict[str, Any] | None:
    here = take(rows, (rows["arm"] == arm) & (rows["inputs"].astype(int) == inputs))
    labels = np.unique(here["labels"].astype(int))
    if len(labels) < 2:
        return None
    low, high = int(labels[0]), int(labels[-1])
    ends: dict[tuple[str, str], tuple[FloatArray, FloatArray]] = {
        (route, value): (values(here, _on(here, route, high), value), values(here, _on(here, route, low), value))
        for route in ("fixed", "range") for value in ("chance_normalised", "own_rho")
    }  # fmt: skip
    fixed = _difference(*ends["fixed", "chance_normalised"], EXPLORATORY_LEVEL)
    ranged = _difference(*ends["range", "chance_normalised"], EXPLORATORY_LEVEL)
    rho = _difference(*ends["fixed", "own_rho"], EQUIVALENCE_LEVEL)
    if fixed is None or ranged is None or rho is None:
        return None
    decision = decide(fixed, ranged, rho, _within(here, labels)) if safe else "undecided"
    sentence = (
        f"{arm} ({NETWORKS[arm]}), I = {inputs}: from L = {low} to {high} chance-normalised accuracy changes by "
        f"{fixed.effect:+.3f} [{fixed.low:+.3f}, {fixed.high:+.3f}] at fixed separation and by {ranged.effect:+.3f} "
        f"[{ranged.low:+.3f}, {ranged.high:+.3f}] at fixed range, with the same J; rho at fixed separation by "
        f"{rho.effect:+.3f} (90%: [{rho.low:+.3f}, {rho.high:+.3f}])."
    ) + _exact_words(here, (low, high))
    row = verdict(CLAIM, decision, "change of rho from the smallest to the largest L, fixed separation", rho, sentence,
                  threshold=-CHANGE)  # fmt: skip
    return {"arm": f"{arm} I = {inputs}"} | row


def overall(decisions: Mapping[int, str]) -> tuple[str, str]:
    """The verdict over all I and its words; decisions by I."""
    images = sorted(decisions)
    found = [decisions[inputs] for inputs in images]
    if len(set(found)) == 1:
        return found[0], found[0]
    refuted = [decision == "refuted" for decision in found]
    first = refuted.index(True) if any(refuted) else len(found)
    if first < len(found) and all(refuted[first:]):
        return "conditional", f"refuted from I = {images[first]} images on, {found[0]} at I = {images[0]}"
    return "undecided", "undecided"


def safe_from_leaks(columns: Columns) -> bool:
    """No arm scores more hits than the exact posterior on the same rows, in any cell (Holm at .001)."""
    rows = take(columns, chosen(columns, generator="label_chains"))
    names = ("arm", "inputs", "labels", "columns", "spacing", "max_steps", "width")
    cells, _ = group_rows({name: rows[name] for name in names}, list(names))
    lead = (rows["pixel_accuracy"] - rows["known_pixel_accuracy"]).astype(float)
    return not leak_test([lead[cells == cell] for cell in np.unique(cells)]).leak


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`: the overall one first, then one a network and I."""
    rows = main_rows(columns)
    if not len(rows["arm"]):
        return []
    safe = safe_from_leaks(columns)
    found = {
        (arm, inputs): row for arm in NETWORKS for inputs in np.unique(rows["inputs"].astype(int)).tolist()
        if (row := _row(rows, arm, inputs, safe)) is not None
    }  # fmt: skip
    decisions = {inputs: row["verdict"] for (arm, inputs), row in found.items() if arm == CLAIM_ARM}
    if not decisions:
        return list(found.values())
    decision, words = overall(decisions)
    largest = found[CLAIM_ARM, max(decisions)]
    sentence = f"Does accuracy fall with the number of labels because J grows? {words}. {largest['sentence']}"
    sentence += _control_words(columns)
    return [{**largest, "arm": "overall", "verdict": decision, "sentence": sentence}, *found.values()]


STUDY = Study(
    name="labels",
    summary="J = L^T with L 2 to 32 labels on rows of pixels: separation of neighbouring labels fixed, or their range",
    claim=CLAIM,
    question="Does accuracy fall as labels are added because J grows, or because the labels lie closer together?",
    survey_predicts="chance-normalised accuracy falls with L on both routes, as it does with the pixels",
    rival_predicts="separation decides: at fixed separation nothing falls, at fixed range accuracy follows its ceiling",
    rule=RULE,
    primary=False,
    presets=PRESETS,
    judge=judge,
)
