"""Study `refinement`: is a network's map only the raw material of another segmentation method?

    capsim run refinement --preset smoke      seconds
    capsim run refinement --preset laptop     the reference run, under 5 minutes on two cores
Expected: once a network sees all that bears on a pixel, refining its map pixel by pixel gains nothing; networks that
see less gain much; whole maps gain from the list of possible maps, and so do exact probabilities.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, chosen, take, verdict
from sim.analysis.checks import leak_test
from sim.analysis.compare import Estimate, paired_t
from sim.types import FloatArray

CLAIM = '"only generates a prediction map and relies on other segmentation methods to complete the segmentation task"'
DECISIVE = "unet"  # each of its outputs sees the whole Ising grid, and a disc and its surroundings wherever it lies
LIMITED = ("conv1", "conv3")  # receptive fields smaller than the posterior's range in both laws
OTHERS = (*LIMITED, "conv7", "exact")
METRICS = {"pixel_accuracy": "pixel accuracy", "exact_match": "exact match", "dice": "Dice"}
KINDS = {"generic": "generic refiners", "dictionary": "projection on the list of possible maps"}
VARIANTS = {"inputs": "eight times the images", "least_steps": "four times the steps"}  # robustness arms
CONTROL = "threshold"  # refines nothing: what another threshold alone gains
THRESHOLDS = {"pixel_accuracy": (0.01, 0.03), "exact_match": (0.05, 0.10), "dice": (0.05, 0.10)}
SCORED = 0.05  # a metric whose exact ceiling is lower in a cell is not scored there: nobody could do it

RULE = """A cell is a law of maps (Ising at coupling .44 on 8 x 8; one of 1,024 discs on 16 x 16) with a noise (1, 2).
Gain: score of the refined map minus that of the network's own argmax, same network, same test images. Every setting of
a refiner, and for "generic" (ICM, graph cut, dense CRF, watershed) the refiner too, is chosen on held-out images, for
each metric by itself. Shape-informed: projection on the list of discs, with none, half or all of the base rate taken
out. Estimand, per metric and kind: each seed's gain averaged over the cells in which the mean exact ceiling of that
metric is > .05; t interval over seeds, 95%. Dice and projection exist for discs only.
Pixel accuracy: refuted if the upper bound is < .01, supported if the lower bound is > .03, else undecided.
Exact match, Dice: refuted if the upper bound is < .05, supported if the lower bound is > .10, else undecided.
Decisive network: the U-Net, whose receptive field covers the posterior's range. Networks of receptive field 1, 3 and 7,
and the exact marginals, have rows of their own; so have U-Nets with eight times the images, or trained at least four
times as long. These rows decide the condition below or nothing.
Overall: supported if generic refiners gain in pixels (the row of the U-Net is supported); if that row is refuted:
"conditional" on small receptive fields where it is supported for one of 1 and 3, and on whole-map metrics where a row
of the U-Net on exact match or Dice is supported; refuted if no such row is supported and all of the U-Net's are
refuted; else undecided.
Safety: no network, refined or not, beats the exact answer to the same images in any metric (Holm at .001), else every
row is undecided."""

NOISES = [1.0, 2.0]
RECIPES: dict[tuple[str, str], dict[str, float]] = {
    ("ising", "conv"): {"learning_rate": 0.01, "weight_decay": 0.1},
    ("ising", "unet"): {"learning_rate": 0.03, "weight_decay": 0.1},
    ("discs", "conv"): {"learning_rate": 0.01, "weight_decay": 0.1},
    ("discs", "unet"): {"learning_rate": 0.003, "weight_decay": 0.1},
}
WIDTHS = {"unet": 8}
LEAST = 1000  # steps before the loss may be called flat
BATCHES = {"ising": 16, "discs": 4}  # as many pixels a step


def sweep(law: str, network: str, **others: Any) -> Sweep:
    """One law and one network with its recipe: `find_recipe` of `experiments.measures.map_networks` chose it by
    `argmax_accuracy` among the candidates of `tuning`."""
    kind = "conv" if network.startswith("conv") else "unet"
    settings: dict[str, Any] = {
        "noise": NOISES, "inputs": 512, "test_items": 500, "width": WIDTHS.get(network, 16),
        "least_steps": LEAST, "max_steps": 3000, "batch_size": BATCHES[law], "input_noise": 0.0, **RECIPES[law, kind],
    }  # fmt: skip
    return Sweep(generator="refinement", map_law=law, map_network=network, **(settings | others))


def tuning(law: str, kind: str) -> Sweep:
    """The candidates of a recipe, "conv" or "unet", the same for all, on a seed that no result uses."""
    network = {"conv": "conv3", "unet": "unet"}[kind]
    rates, decays = [0.003, 0.01, 0.03], [0.0, 0.1]
    return sweep(law, network, learning_rate=rates, weight_decay=decays, test_items=1, seeds=[900000])


def _plan(seeds: int, fewer: int) -> tuple[Sweep, ...]:
    sweeps = []
    for law in ("ising", "discs"):
        sweeps += [sweep(law, DECISIVE, seeds=seeds)]
        sweeps += [sweep(law, network, seeds=fewer) for network in OTHERS]
    longer = sweep("discs", DECISIVE, noise=1.0, least_steps=4 * LEAST, max_steps=12_000, seeds=3)
    return (*sweeps, sweep("discs", DECISIVE, noise=1.0, inputs=4096, seeds=fewer), longer)


class Gains(NamedTuple):
    """A refiner's gain on one metric: its interval, and the mean scores of argmax, refined map, control and ceiling."""

    estimate: Estimate
    raw: float
    refined: float
    control: float
    ceiling: float


def main_rows(columns: Columns, network: str, more: str = "") -> dict[str, Any]:
    """The finished rows of a network at the fewest training images and the shortest training of the table.

    Args:
        more: one of `VARIANTS`, of which the rows then have more than the fewest.
    """
    mask = chosen(columns, map_network=network)
    for name in VARIANTS:
        fewest = columns[name] == np.nanmin(columns[name])
        mask = mask & (~fewest if name == more else fewest)
    return take(columns, mask)


def _cells(rows: Columns) -> list[Any]:
    """Masks of the cells of these rows."""
    keys = sorted({(str(law), float(noise)) for law, noise in zip(rows["map_law"], rows["noise"], strict=True)})
    return [(rows["map_law"] == law) & (rows["noise"] == noise) for law, noise in keys]


def gains(rows: Columns, kind: str, metric: str) -> Gains | None:
    """The gain of one kind of refiner on one metric, or None where no cell or fewer than two seeds have it."""
    names = [metric, f"{kind}_{metric}", f"{CONTROL}_{metric}", f"ceiling_{metric}"]
    if not len(rows["seed"]) or any(name not in rows for name in names):
        return None
    scores = np.stack([np.asarray(rows[name], dtype=np.float64) for name in names])
    seeds = np.unique(rows["seed"])
    tables = []
    for mask in _cells(rows):
        inside = mask & np.isfinite(scores).all(axis=0)
        if inside.any() and scores[3, inside].mean() > SCORED:
            found = [scores[:, inside & (rows["seed"] == seed)] for seed in seeds]
            tables.append([part.mean(axis=1) if part.size else np.full(4, np.nan) for part in found])
    if not tables:
        return None
    means = np.asarray(tables).mean(axis=0)  # (seeds, 4): NaN for a seed that lacks a cell
    means = means[np.isfinite(means).all(axis=1)]
    if len(means) < 2:
        return None
    return Gains(paired_t(means[:, 1] - means[:, 0], level=EXPLORATORY_LEVEL), *map(float, means.mean(axis=0)))


def decide(estimate: Estimate, metric: str) -> str:
    """The verdict of one row by the metric's two thresholds."""
    refutes, supports = THRESHOLDS[metric]
    if estimate.low > supports:
        return "supported"
    return "refuted" if estimate.high < refutes else "undecided"


def leaks(columns: Columns) -> bool:
    """Whether an argmax or refined map of a network beats the exact answer to the same images."""
    differences: list[FloatArray] = []
    for network in (DECISIVE, *OTHERS[:-1]):
        rows = main_rows(columns, network)
        for metric in METRICS:
            if f"ceiling_{metric}" not in rows:
                continue
            for kind in ("", "generic_", "dictionary_", f"{CONTROL}_"):
                value = rows.get(kind + metric)
                if value is None:
                    continue
                gap = np.asarray(value - rows[f"ceiling_{metric}"], dtype=np.float64)
                cells = [gap[mask & np.isfinite(gap)] for mask in _cells(rows)]
                differences += [cell for cell in cells if len(cell)]
    return bool(differences) and leak_test(differences).leak


def _row(network: str, kind: str, metric: str, found: Gains, safe: bool) -> dict[str, Any]:
    estimate = found.estimate
    decision = decide(estimate, metric) if safe else "undecided"
    refutes, supports = THRESHOLDS[metric]
    sentence = (
        f"{network}, {METRICS[metric]}: gain by {KINDS[kind]} {estimate.effect:+.4f} [{estimate.low:+.4f}, "
        f"{estimate.high:+.4f}], {found.raw:.4f} to {found.refined:.4f}; another threshold alone gives "
        f"{found.control:.4f}; exact ceiling {found.ceiling:.4f}."
    )
    nearest = refutes if estimate.effect < (refutes + supports) / 2 else supports
    row = verdict(CLAIM, decision, f"gain in {METRICS[metric]} by {KINDS[kind]}", estimate, sentence,
                  threshold=nearest)  # fmt: skip
    return {"arm": f"{network}/{kind}/{metric}"} | row


def _overall(decided: dict[tuple[str, str, str], str]) -> tuple[str, str]:
    """The overall verdict and its condition."""
    pixels = decided[DECISIVE, "generic", "pixel_accuracy"]
    if pixels != "refuted":
        return pixels, ""
    mine = {key: value for key, value in decided.items() if key[0] == DECISIVE}
    conditions = []
    if any(decided.get((network, "generic", "pixel_accuracy")) == "supported" for network in LIMITED):
        conditions.append("receptive field smaller than the posterior's range")
    for kind, words in KINDS.items():
        metrics = [METRICS[m] for (_, k, m), value in mine.items() if k == kind and value == "supported"]
        conditions += [f"{words}, scored by {' and '.join(metrics)}"] if metrics else []
    if conditions:
        return "conditional", "; ".join(conditions)
    return ("refuted" if all(value == "refuted" for value in mine.values()) else "undecided"), ""


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`: the overall one first, then the decisive network's, then the others'."""
    safe = not leaks(columns)
    wanted: Sequence[tuple[str, str, str]] = [
        *((DECISIVE, kind, metric) for kind in KINDS for metric in METRICS),
        *((network, *what) for network in OTHERS for what in
          (("generic", "pixel_accuracy"), ("generic", "exact_match"), ("dictionary", "exact_match"))),
    ]  # fmt: skip
    rows, decided = [], {}
    for network, kind, metric in wanted:
        found = gains(main_rows(columns, network), kind, metric)
        if found is not None:
            rows.append(_row(network, kind, metric, found, safe))
            decided[network, kind, metric] = rows[-1]["verdict"]
    for more, words in VARIANTS.items():
        for kind, metric in (("generic", "pixel_accuracy"), ("dictionary", "exact_match")):
            found = gains(main_rows(columns, DECISIVE, more), kind, metric)
            if found is not None:
                rows.append(_row(f"{DECISIVE}, {words}", kind, metric, found, safe))
    main = gains(main_rows(columns, DECISIVE), "generic", "pixel_accuracy")
    if main is None:
        return rows
    overall, condition = _overall(decided)
    sentence = f"Do the U-Net's maps need refining? {overall}{': ' + condition if condition else ''}."
    whole = verdict(CLAIM, overall, "gain in pixel accuracy by generic refiners, U-Net", main.estimate, sentence,
                    threshold=THRESHOLDS["pixel_accuracy"][0])  # fmt: skip
    return [{"arm": "overall"} | whole, *rows]


_SMALL: dict[str, Any] = {"noise": 1.0, "inputs": 64, "test_items": 200, "width": 4, "max_steps": 200, "seeds": 2}
PRESETS = {
    "smoke": tuple(sweep("discs", network, **_SMALL) for network in (DECISIVE, "exact")),
    "laptop": _plan(10, 4),
    "paper": _plan(20, 10),
}

STUDY = Study(
    name="refinement",
    summary="argmax of a network's map against ICM, graph cut, dense CRF, watershed and the list of possible maps",
    claim=CLAIM,
    question="How much does refining a network's prediction map by another method gain, metric by metric?",
    survey_predicts="the map alone is rough; another method has to complete the segmentation",
    rival_predicts="argmax is the best map pixel by pixel once the network sees all that bears on a pixel; whole-map "
    "metrics gain from shape, from exact probabilities too",
    rule=RULE,
    primary=False,
    presets=PRESETS,
    judge=judge,
)
