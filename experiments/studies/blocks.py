"""Study `blocks`: does cutting an image into small blocks help, and does it help that the blocks are alike?

    capsim run blocks --preset smoke      seconds
    capsim run blocks --preset laptop     the reference run, under 5 minutes on two cores
Expected: once a block is seen with a margin of two correlation lengths, its size hardly matters to what a network lacks
of the exact posterior of that crop, unless images are few and weights are not shared; without a margin larger blocks
are better, not worse. Tiles that are alike help a network that shares its weights over them, by a larger effective
number of examples, and not a dense one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from experiments.spec import Study
from experiments.studies.blocks_plan import PRESETS, TILE_IMAGES
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, check_leaks, chosen, take, usual_variant, verdict
from sim.analysis.checks import leak_test
from sim.analysis.compare import Estimate, paired_t, welch_t
from sim.analysis.curves import group_rows
from sim.theory.ceilings import gaussian_codebook_accuracy
from sim.theory.similarity import effective_samples
from sim.types import FloatArray

SMALL = '"he divided the image into many small blocks with extremely small resolutions"'
ALIKE = '"all divided blocks are similar"'
CLAIM = f"{SMALL} and {ALIKE}: the two reasons of a reasonable accuracy"
SIZE_CHANGE, GAIN, NO_GAIN, RESIDUAL = 0.01, 0.05, 0.02, 0.03
FITTED_SIMILARITIES = (0.0, 0.5, 1.0)
EQUIVALENCE_LEVEL = 2 * EXPLORATORY_LEVEL - 1  # two one-sided tests at 5%
SIZE_ARMS = {"conv/9/1": "weights shared over the pixels", "mlp/9/1": "weights of its own for every pixel of the block"}
TILE_ARMS = {
    "mlp/shared+reg": "weights shared over tiles", "mlp/placed+reg": "weights shared, tiles told their place",
    "mlp/dense+reg": "no weights shared",
}  # fmt: skip

RULE = """Small blocks. Estimand: change of the gap (accuracy of the network, scored by the exact posterior of its crop,
less that posterior's own) from blocks of 1 pixel, margin of 9 pixels (two correlation lengths) on either side, equal
images and equal numbers of crops; Welch over seeds, 95%. Per network and I >= 32: supported (small blocks help) if the
upper bound at the largest block is < -.01; refuted if the 90% interval of the change lies within .01 at every block
size (TOST at 5%), or wholly above -.01 with the largest block better by more than .01; else undecided. A network is
supported or refuted if so at every I; conditional if refuted at the largest I and at all above some I only. Group:
refuted or supported if both networks are; conditional if shared weights are refuted and the other network is not, or if
one of them is conditional and none is supported; else undecided. Arms without margin, with a smaller one, and with
non-overlapping blocks enter no verdict.
Similar blocks. rho = (A - 1/L)/(K - 1/L), A of a tile, K of the learner that knows the codewords, on the same images.
Estimand per network: rho(s = 1) - rho(s = 0), each seed's mean over I <= 128; Welch over seeds, 95%. Supported if its
lower bound is > .05, refuted if its upper bound is < .02, else undecided. Group: supported or refuted if all three are;
conditional if some are supported; else undecided. Law A(kappa n_eff): kappa fitted per network on s 0, .5, 1 and
I < 128; held if every other cell of s and I misses the law by less than .03 (cell means, freed of the luck of the
codebooks by the paired learner whose expectation is exact), refuted if its mean absolute miss is larger, else
undecided.
Overall: supported or refuted if both groups are; conditional if a group is supported or conditional; else undecided.
Safety: no network beats the paired exact learner (Holm at .001), else every row of its group is undecided."""


def crop_rows(columns: Columns, **wanted: Any) -> dict[str, Any]:
    """The finished rows of the main arms of block crops."""
    return take(columns, chosen(columns, generator="block_crops", **wanted) & usual_variant(columns))


def tile_rows(columns: Columns) -> dict[str, Any]:
    """The finished rows of the main arms of tiles, with `tile_rho` and `lead` (on the exact learner) attached, both
    against learners on the same images; NaN where those are missing."""
    rows = take(columns, chosen(columns, generator="blocks") & usual_variant(columns))
    key = {name: rows[name].astype(float) for name in ("similarity", "inputs", "seed", "tiles", "labels")}
    cell, _ = group_rows(key, list(key))
    accuracy, chance = rows["pixel_accuracy"].astype(float), 1.0 / rows["labels"].astype(float)
    of: dict[str, FloatArray] = {}
    for arm in ("known", "bayes"):
        values = np.full(int(cell.max(initial=-1)) + 1, np.nan)
        values[cell[rows["arm"] == arm]] = accuracy[rows["arm"] == arm]
        of[arm] = values[cell]
    return rows | {"tile_rho": (accuracy - chance) / (of["known"] - chance), "lead": accuracy - of["bayes"]}


def _values(rows: Columns, value: str, **wanted: Any) -> FloatArray:
    mask = np.ones(len(rows["arm"]), dtype=bool)
    for name, number in wanted.items():
        mask &= rows[name] == number if isinstance(number, str) else rows[name].astype(float) == number
    found = rows[value][mask].astype(float)
    return found[np.isfinite(found)]


def _size_at(rows: Columns, arm: str, inputs: int) -> tuple[str, Estimate, float] | None:
    """Verdict at one I, with the change at the largest block and the largest change of any block."""
    sizes = np.unique(_values(rows, "block_size", arm=arm, inputs=inputs))
    gaps = {size: _values(rows, "gap", arm=arm, inputs=inputs, block_size=size) for size in sizes}
    if len(sizes) < 2 or sizes[0] != 1 or min(map(len, gaps.values())) < 2:
        return None
    close = [welch_t(gaps[size], gaps[1.0], level=EQUIVALENCE_LEVEL) for size in sizes[1:]]
    largest = welch_t(gaps[sizes[-1]], gaps[1.0], level=EXPLORATORY_LEVEL)
    alike = all(max(-one.low, one.high) < SIZE_CHANGE for one in close)
    better = all(one.low > -SIZE_CHANGE for one in close) and largest.low > SIZE_CHANGE
    decision = "supported" if largest.high < -SIZE_CHANGE else "refuted" if alike or better else "undecided"
    return decision, largest, max((one.effect for one in close), key=abs)


def _over_images(found: Mapping[int, str]) -> tuple[str, str]:
    """The verdict of one network over all I, and its words."""
    images = sorted(found)
    decisions = [found[inputs] for inputs in images]
    if len(set(decisions)) == 1:
        return decisions[0], decisions[0]
    refuted = [decision == "refuted" for decision in decisions]
    first = refuted.index(True) if any(refuted) else len(images)
    if first < len(images) and all(refuted[first:]):
        return "conditional", f"{decisions[0]} at I = {images[0]}, refuted from I = {images[first]} on"
    return "undecided", "undecided"


def _small(columns: Columns) -> list[dict[str, Any]]:
    rows = crop_rows(columns)
    everything = take(columns, chosen(columns, generator="block_crops"))
    names = ["arm", "inputs", "block_size", "max_steps"]
    cells, _ = group_rows({name: everything[name] for name in names}, names)
    hits = (everything["pixel_accuracy"] - everything["known_pixel_accuracy"]).astype(float)
    safe = not leak_test([hits[cells == cell] for cell in np.unique(cells)]).leak
    verdicts, whole = [], {}
    estimand = "change of (network - exact) from blocks of 1 pixel to the largest"
    for arm, words in SIZE_ARMS.items():
        images = np.unique(_values(rows, "inputs", arm=arm)).astype(int).tolist()
        found = {inputs: one for inputs in images if (one := _size_at(rows, arm, inputs)) is not None}
        if not found:
            continue
        decision, text = _over_images({inputs: one[0] for inputs, one in found.items()})
        decision, text = (decision, text) if safe else ("undecided", "undecided: a network beat the exact posterior")
        parts = "; ".join(
            f"I = {inputs}: {one[1].effect:+.4f} [{one[1].low:+.4f}, {one[1].high:+.4f}], largest of any size "
            f"{one[2]:+.4f}" for inputs, one in found.items()
        )  # fmt: skip
        row = verdict(SMALL, decision, estimand, found[min(found)][1], f"{arm} ({words}): {text}. {parts}.",
                      threshold=-SIZE_CHANGE)  # fmt: skip
        verdicts.append({"arm": f"size {arm}"} | row)
        whole[arm] = verdicts[-1]
    if len(whole) < len(SIZE_ARMS):
        return verdicts
    shared, own = (whole[arm] for arm in SIZE_ARMS)
    both = [row["verdict"] for row in (shared, own)]
    if both[0] == both[1]:
        decision = both[0]
    elif both[0] == "refuted" or ("conditional" in both and "supported" not in both):
        decision = "conditional"
    else:
        decision = "undecided"
    sentence = f"Do small blocks help? {decision}: with shared weights {both[0]}, without {both[1]}. {own['sentence']}"
    return [{**own, "arm": "small blocks", "verdict": decision, "sentence": sentence}, *verdicts]


def tile_law(samples: float, factors: Mapping[str, float]) -> float:
    """A(n, L): accuracy of a tile whose codewords are learned from `samples` examples each."""
    task = (int(factors["labels"]), int(factors["tile_dimension"]), factors["signal_power"], factors["noise"] ** 2)
    return gaussian_codebook_accuracy(*task, effective_samples=samples)


class _Law:
    """One network's cells of s and I against A(kappa n_eff): kappa of the fitted cells, misses of the others."""

    def __init__(self, rows: Columns, arm: str) -> None:
        first = int(np.flatnonzero(rows["arm"] == arm)[0])
        self.factors = {name: float(rows[name][first])
                        for name in ("labels", "tile_dimension", "signal_power", "noise", "tiles")}  # fmt: skip
        mask = rows["arm"] == arm
        cells = sorted(set(zip(rows["similarity"][mask].astype(float), rows["inputs"][mask].astype(int), strict=True)))
        self.samples = np.array([self.effective(s, inputs) for s, inputs in cells])
        leads = [_values(rows, "lead", arm=arm, similarity=s, inputs=inputs) for s, inputs in cells]
        exact = np.array([tile_law(n, self.factors) for n in self.samples])
        self.accuracy = exact + np.array([lead.mean() if len(lead) else np.nan for lead in leads])
        fitted = np.array([s in FITTED_SIMILARITIES and inputs < max(TILE_IMAGES) for s, inputs in cells])
        self.cells, self.fitted = cells, fitted & np.isfinite(self.accuracy)
        self.heldout = ~fitted & np.isfinite(self.accuracy)

    def effective(self, similarity: float, inputs: int) -> float:
        """n_eff of a cell with I/L examples of each label on each tile."""
        own = inputs / self.factors["labels"]
        powers = self.factors["signal_power"], self.factors["noise"] ** 2
        return effective_samples(int(self.factors["tiles"]), similarity, own, *powers)

    def misses(self, log_kappa: float) -> FloatArray:
        """What each cell lies above the law."""
        law = [tile_law(float(np.exp(log_kappa)) * n, self.factors) for n in self.samples]
        return np.asarray(self.accuracy - np.array(law), dtype=np.float64)

    def fit(self) -> float:
        """ln kappa by least squares over the fitted cells."""
        found = minimize_scalar(lambda k: float(np.sum(self.misses(k)[self.fitted] ** 2)), bounds=(-5.0, 0.7),
                                method="bounded")  # fmt: skip
        return float(found.x)


def _law(rows: Columns, arm: str, safe: bool) -> dict[str, Any] | None:
    law = _Law(rows, arm)
    if law.fitted.sum() < 2 or law.heldout.sum() < 2:
        return None
    log_kappa = law.fit()
    misses = np.abs(law.misses(log_kappa)[law.heldout])
    estimate = paired_t(misses, level=EXPLORATORY_LEVEL)
    decision = "supported" if misses.max() < RESIDUAL else "refuted" if misses.mean() > RESIDUAL else "undecided"
    sentence = (
        f"{arm}: A(kappa n_eff) with kappa = {np.exp(log_kappa):.2f} misses {len(misses)} held-out cells by "
        f"{misses.mean():.3f} on average, {misses.max():.3f} at most."
    )
    claim = "rival theory: similar blocks act through an effective number of examples"
    row = verdict(claim, decision if safe else "undecided", "absolute miss of held-out cells", estimate, sentence,
                  threshold=RESIDUAL)  # fmt: skip
    return {"arm": f"law {arm}"} | row


def _alike(columns: Columns) -> list[dict[str, Any]]:
    rows = tile_rows(columns)
    safe = not check_leaks(columns, list(TILE_ARMS), value="pixel_accuracy").leak
    verdicts, laws = [], []
    for arm, words in TILE_ARMS.items():
        ends = []
        for s in (0.0, 1.0):
            images = [i for i in np.unique(_values(rows, "inputs", arm=arm, similarity=s)) if i <= max(TILE_IMAGES)]
            each = [_values(rows, "tile_rho", arm=arm, similarity=s, inputs=inputs) for inputs in images]
            complete = each and len({len(values) for values in each}) == 1
            ends.append(np.mean(each, axis=0) if complete else np.zeros(0))
        if min(map(len, ends)) < 2:
            continue
        estimate = welch_t(ends[1], ends[0], level=EXPLORATORY_LEVEL)
        decision = "supported" if estimate.low > GAIN else "refuted" if estimate.high < NO_GAIN else "undecided"
        sentence = (
            f"{arm} ({words}): from unrelated to equal tiles rho changes by {estimate.effect:+.3f} "
            f"[{estimate.low:+.3f}, {estimate.high:+.3f}], mean over I."
        )
        row = verdict(ALIKE, decision if safe else "undecided", "rho(s = 1) - rho(s = 0)", estimate, sentence,
                      threshold=GAIN)  # fmt: skip
        verdicts.append({"arm": f"similarity {arm}"} | row)
        laws.append(_law(rows, arm, safe))
    kept = [row for row in laws if row is not None]
    if len(verdicts) < len(TILE_ARMS):
        return verdicts + kept
    found = [row["verdict"] for row in verdicts]
    decision = found[0] if len(set(found)) == 1 else "conditional" if "supported" in found else "undecided"
    helped = [arm for arm, one in zip(TILE_ARMS, found, strict=True) if one == "supported"]
    sentence = (
        f"Does it help that blocks are alike? {decision}: gains above .05 for {', '.join(helped) or 'no network'}; "
        f"{' '.join(row['sentence'] for row in verdicts)}"
    )
    return [{**verdicts[0], "arm": "similar blocks", "verdict": decision, "sentence": sentence}, *verdicts, *kept]


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`: the overall one first, then the two groups with their parts."""
    small = _small(columns) if chosen(columns, generator="block_crops").any() else []
    alike = _alike(columns) if chosen(columns, generator="blocks").any() else []
    heads = [row for row in (*small, *alike) if row["arm"] in ("small blocks", "similar blocks")]
    if len(heads) < 2:
        return [*small, *alike]
    found = [row["verdict"] for row in heads]
    if found[0] == found[1]:
        decision = found[0]
    else:
        decision = "conditional" if {"supported", "conditional"} & set(found) else "undecided"
    sentence = f"{decision}: small blocks {found[0]}, similar blocks {found[1]}."
    return [{**heads[1], "arm": "overall", "claim": CLAIM, "verdict": decision, "sentence": sentence}, *small, *alike]


STUDY = Study(
    name="blocks",
    summary="size of the blocks an image is cut into, with and without margin; similarity of the tiles of an image",
    claim=CLAIM,
    question="Does it help a network that an image is cut into small blocks, and that the blocks are alike?",
    survey_predicts="small blocks help, and similar blocks help",
    rival_predicts="size is irrelevant with margin; similarity acts through n_eff, where weights are shared",
    rule=RULE,
    primary=False,
    presets=PRESETS,
    judge=judge,
)
