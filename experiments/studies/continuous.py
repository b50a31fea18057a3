"""Study `continuous`: can a network say a continuous number, and do more bins make it worse?

    capsim run continuous --preset smoke      seconds
    capsim run continuous --preset laptop     the reference run, about 5 minutes on two cores
Expected: with few images an answer through many bins is worse, as the survey says of many outputs; with many images the
number of bins hardly matters. How near one output without bins comes to the best predictor is measured beside it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, chosen, take, verdict
from sim.analysis.checks import leak_test
from sim.analysis.compare import Estimate, paired_t, slope_per_doubling, t_estimate
from sim.types import FloatArray

CLAIM = '"the output variables could not be determined as continuous response variables" (problem statement, 1)'
BINS_CLAIM = (
    '"When the number of output is infinite or close to infinity, the performance of deep learning will be affected '
    'significantly" (problem statement, 1): more bins, more error'
)
SLOPE, NEAR, FAR = 0.005, 0.05, 0.20
TARGETS = {"linear": 0.3, "disc": 0.5}  # target -> noise
INPUTS, BINS, FINE = (64, 512, 4096), (16, 64, 256, 1024), 16
STEPS = 4000

RULE = """Errors are root mean squared errors on test items in units of the target's standard deviation.
More bins, for each target and I: y = sqrt(max(error^2 - decoder^2, 0)) of the network that answers through Q >= 16 bins
of equal probability and is read by its mean, decoder the exact Q-bin decoder on the same images; slope of y on ln Q,
one a seed, 95% t interval. Supported if its lower end is > .005 and, where 1024 bins were also given four times the
steps, the mean slope from 16 bins with the usual steps to those is > .005 too; refuted if its upper end is < .005; else
undecided.
Overall, at the largest I: supported or refuted if both targets are, conditional if they differ, else undecided; the
sentence names the smaller I at which the claim is supported.
Continuous, for each target at the largest I: excess = error / Bayes - 1 of the network with one output, Bayes the best
predictor on the same images. Near the best (claim refuted) if the upper end of the excess is < .05. Supported if its
lower end is > .20, the network that answers through 16 bins is better (lower end of the paired difference of errors
> 0), and the mean excess with four times the steps, where run, is > .20 too: then finitely many outputs, and not more
images or steps, are what helps. Else undecided. Overall: refuted
or supported if both targets are, conditional if one is refuted and the other supported, else undecided.
Safety: no network beats its paired Bayes predictor (Holm at .001), else undecided."""

NUMBERS = ("learning_rate", "weight_decay", "input_noise")
# those for I up to 512 and above, by `python -m experiments.measures.continuous_tuning`
RECIPES: dict[tuple[str, str], tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    ("linear", "regression"): ((0.003, 0.03, 0.0), (0.003, 3.0, 0.0)),
    ("linear", "few"): ((0.003, 10.0, 0.0), (0.003, 3.0, 0.0)),
    ("linear", "many"): ((0.003, 3.0, 0.3), (0.003, 3.0, 0.0)),
    ("disc", "regression"): ((0.003, 0.3, 0.6), (0.003, 0.3, 0.3)),
    ("disc", "few"): ((0.003, 0.1, 1.0), (0.003, 0.3, 0.6)),
    ("disc", "many"): ((0.003, 0.1, 1.0), (0.003, 0.1, 1.0)),
}


def _by_head(bins: Sequence[int]) -> dict[str, list[int]]:
    """Numbers of bins by the recipe that they share: few bins are tuned at 16, many at 1024."""
    groups = {"regression": [0], "few": [q for q in BINS if q <= 64], "many": [q for q in BINS if q > 64]}
    found = {head: [q for q in bins if q in group] for head, group in groups.items()}
    return {head: some for head, some in found.items() if some}


def _sweeps(
    target: str, inputs: Sequence[int], seeds: int, bins: Sequence[int] = BINS, linear: bool = True, **others: Any
) -> list[Sweep]:
    """Both heads, and if wanted both linear estimators, on the same images."""
    found = []
    for count in inputs:
        task: dict[str, Any] = {
            "generator": "continuous", "target": target, "noise": TARGETS[target], "inputs": count, "seeds": seeds,
            "test_items": 2000, "max_steps": STEPS, **others,
        }  # fmt: skip
        estimators: list[tuple[Any, list[int]]] = [("regression", [0]), ("bins", list(bins))]
        for estimator, counted in estimators + [(["least_squares", "ridge"], [0])] * linear:
            for head, some in _by_head(counted).items():
                numbers: dict[str, Any] = dict(zip(NUMBERS, RECIPES[target, head][int(count > 512)], strict=True))
                found.append(Sweep(**task, **numbers, estimator=estimator, bins=some))
    return found


PRESETS = {
    "smoke": tuple(
        sweep for target, bins in (("linear", BINS[:2]), ("disc", BINS[:1]))  # half of its time is compilation
        for sweep in _sweeps(target, [64, 256], 2, bins, width=32, max_steps=300, test_items=200)
    ),
    "laptop": tuple(
        sweep for target in TARGETS
        for sweep in (*_sweeps(target, INPUTS[:-1], 4), *_sweeps(target, INPUTS[-1:], 10),
                      *_sweeps(target, INPUTS[-1:], 2, BINS[-1:], False, max_steps=4 * STEPS))
    ),
    "paper": tuple(
        sweep for target in TARGETS for depth in (1, 2, 3)
        for sweep in _sweeps(target, (*INPUTS, 16_384, 65_536), 10, depth=depth, max_steps=12 * STEPS)
    ),
}  # fmt: skip


def main_rows(columns: Columns, **wanted: Any) -> dict[str, Any]:
    """The finished rows of the smallest step budget and depth of the table."""
    rows = take(columns, chosen(columns, generator="continuous", **wanted))
    for name in ("max_steps", "depth"):
        rows = take(rows, rows[name] == np.min(rows[name], initial=np.inf))
    return rows


def longer_rows(columns: Columns) -> dict[str, Any]:
    """The finished rows with four times the smallest step budget, at the smallest depth."""
    rows = take(columns, chosen(columns, generator="continuous"))
    rows = take(rows, rows["depth"] == np.min(rows["depth"], initial=np.inf))
    return take(rows, rows["max_steps"] == 4 * np.min(rows["max_steps"], initial=np.inf))


def excess_error(rows: Columns) -> FloatArray:
    """y of each row: sqrt(max(error^2 - decoder^2, 0)), in standard deviations of the target."""
    return np.sqrt(np.maximum(rows["error"] ** 2 - rows["decoder_error"] ** 2, 0.0))


def bin_slope(rows: Columns, target: str, inputs: float) -> Estimate | None:
    """Slope of y on ln Q over the bins Q >= 16 of one target and I, with its interval over seeds."""
    here = (rows["target"] == target) & (rows["inputs"] == inputs) & (rows["bins"] >= FINE)
    number = len(np.unique(rows["bins"][here]))
    seeds, trials = np.unique(rows["seed"][here], return_counts=True)
    whole = seeds[trials == number]  # without those of which a trial diverged
    if number < 2 or len(whole) < 2:
        return None
    here &= np.isin(rows["seed"], whole)
    found = slope_per_doubling(
        rows["bins"][here], excess_error(take(rows, here)), rows["seed"][here], level=EXPLORATORY_LEVEL
    )
    per = np.log(2)  # from a doubling to a unit of ln Q
    return found._replace(
        effect=found.effect / per, low=found.low / per, high=found.high / per,
        standard_error=found.standard_error / per,
    )  # fmt: skip


def _longer_slope(rows: Columns, longer: Columns, target: str, inputs: float) -> float:
    """Mean slope of y on ln Q from 16 bins to 1024, these with four times the steps, over seeds; infinite if none."""

    def of_seed(table: Columns, bins: int) -> dict[float, float]:
        mask = (table["target"] == target) & (table["inputs"] == inputs) & (table["bins"] == bins)
        return dict(zip(table["seed"][mask], excess_error(take(table, mask)), strict=True))

    few, many = of_seed(rows, FINE), of_seed(longer, BINS[-1])
    gains = [many[seed] - few[seed] for seed in few.keys() & many.keys()]
    return float(np.mean(gains) / np.log(BINS[-1] / FINE)) if gains else float("inf")


def _leaks(rows: Columns) -> bool:
    trained = take(rows, np.isin(rows["estimator"], ["regression", "bins"]))
    cells = sorted(set(zip(trained["target"], trained["inputs"], trained["bins"], strict=True)))
    differences = []
    for target, inputs, bins in cells:
        here = (trained["target"] == target) & (trained["inputs"] == inputs) & (trained["bins"] == bins)
        differences.append(trained["bayes_error"][here] - trained["error"][here])
    return bool(differences) and leak_test(differences).leak


def _joined(decisions: Sequence[str]) -> str:
    """One verdict of both targets."""
    if len(set(decisions)) == 1:
        return decisions[0]
    return "conditional" if set(decisions) == {"supported", "refuted"} else "undecided"


def _mean(estimates: Sequence[Estimate]) -> Estimate:
    """The unweighted mean of independent estimates, with Satterthwaite's degrees of freedom."""
    parts = np.array([e.standard_error for e in estimates]) ** 2 / len(estimates) ** 2
    spread = float(np.sum(parts**2 / np.array([e.degrees for e in estimates])))
    degrees = float(parts.sum() ** 2 / spread) if spread > 0 else float(sum(e.degrees for e in estimates))
    effect = float(np.mean([e.effect for e in estimates]))
    trials = sum(e.trials for e in estimates)
    return t_estimate(effect, float(np.sqrt(parts.sum())), degrees, trials, EXPLORATORY_LEVEL)


def _more_bins(rows: Columns, longer: Columns, leak: bool) -> list[dict[str, Any]]:
    binned = take(rows, rows["estimator"] == "bins")
    estimand = "slope of excess error on ln Q, standard deviations of the target"
    verdicts, largest, decided, small = [], [], [], []
    inputs = np.unique(binned["inputs"])
    for target in TARGETS:
        for count in inputs:
            slope = bin_slope(binned, target, count)
            if slope is None:
                continue
            decision = "undecided"
            if not leak and slope.high < SLOPE:
                decision = "refuted"
            elif not leak and slope.low > SLOPE and _longer_slope(rows, longer, target, count) > SLOPE:
                decision = "supported"
            sentence = (
                f"{target}, I = {count:.0f}: excess error changes by {slope.effect:.4f} [{slope.low:.4f}, "
                f"{slope.high:.4f}] of a standard deviation per unit of ln Q, from {FINE} bins up."
            )
            row = verdict(BINS_CLAIM, decision, estimand, slope, sentence, threshold=SLOPE)
            verdicts.append({"arm": f"{target}, I = {count:.0f}"} | row)
            if count == inputs[-1]:
                largest.append(slope)
                decided.append(decision)
            elif decision == "supported":
                small.append(f"{target} {count:.0f}")
    if len(largest) == len(TARGETS):
        both = _mean(largest)
        sentence = (
            f"At the largest I = {inputs[-1]:.0f}: {', '.join(map(' '.join, zip(TARGETS, decided, strict=True)))}; "
            f"at smaller I more bins cost more for: {', '.join(small) or 'none'}."
        )
        overall = verdict(BINS_CLAIM, _joined(decided), estimand, both, sentence, threshold=SLOPE)
        verdicts.insert(0, {"arm": "bins"} | overall)
    return verdicts


def _near_floor(rows: Columns, longer: Columns, leak: bool) -> list[dict[str, Any]]:
    estimand = "error of one output / error of the best predictor - 1"
    verdicts, found, decided = [], [], []
    largest = np.max(rows["inputs"], initial=0)
    for target in TARGETS:
        here = take(rows, (rows["target"] == target) & (rows["inputs"] == largest))
        single, fine = here["estimator"] == "regression", (here["estimator"] == "bins") & (here["bins"] == FINE)
        seeds = np.intersect1d(here["seed"][single], here["seed"][fine])
        if len(seeds) < 2:
            continue
        error = [_by_seed(here, mask, seeds) for mask in (single, fine)]
        excess = paired_t(here["excess"][single], level=EXPLORATORY_LEVEL)
        gain = paired_t(error[0] - error[1], level=EXPLORATORY_LEVEL)
        decision = "undecided"
        if not leak:
            if excess.high < NEAR:
                decision = "refuted"
            elif excess.low > FAR and gain.low > 0 and _longer_excess(longer, target, largest) > FAR:
                decision = "supported"
        sentence = (
            f"{target}, I = {largest:.0f}: one output without bins errs {excess.effect:.1%} [{excess.low:.1%}, "
            f"{excess.high:.1%}] more than the best predictor, and {gain.effect:+.3f} [{gain.low:+.3f}, "
            f"{gain.high:+.3f}] of a standard deviation more than {FINE} bins."
        )
        row = verdict(CLAIM, decision, estimand, excess, sentence, threshold=NEAR)
        verdicts.append({"arm": f"one output, {target}"} | row)
        found.append(excess)
        decided.append(decision)
    if len(found) == len(TARGETS):
        sentence = f"At I = {largest:.0f}: {', '.join(map(' '.join, zip(TARGETS, decided, strict=True)))}."
        overall = verdict(CLAIM, _joined(decided), estimand, _mean(found), sentence, threshold=NEAR)
        verdicts.insert(0, {"arm": "one output"} | overall)
    return verdicts


def _longer_excess(longer: Columns, target: str, inputs: float) -> float:
    """Mean excess of the network with one output and four times the steps; infinite if none."""
    mask = (longer["target"] == target) & (longer["inputs"] == inputs) & (longer["estimator"] == "regression")
    return float(np.mean(longer["excess"][mask])) if mask.any() else float("inf")


def _by_seed(rows: Columns, mask: Any, seeds: Any) -> FloatArray:
    order = np.argsort(rows["seed"][mask])
    return rows["error"][mask][order][np.searchsorted(rows["seed"][mask][order], seeds)]


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`."""
    rows, longer = main_rows(columns), longer_rows(columns)
    leak = _leaks(rows)
    return _near_floor(rows, longer, leak) + _more_bins(rows, longer, leak)


STUDY = Study(
    name="continuous",
    summary="a continuous target: one output against Q bins, beside the exact predictors",
    claim=CLAIM,
    question="Does an answer through more outputs get worse, and is an answer without bins near the best possible?",
    survey_predicts="error grows with the number of bins, and no continuous answer is near the best",
    rival_predicts="error falls to the Bayes floor as images grow, with any number of bins or none",
    rule=RULE,
    primary=False,
    presets=PRESETS,
    judge=judge,
)
