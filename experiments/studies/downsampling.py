"""Study `downsampling`: may images be shrunk to a few pixels without losing the detail that counts?

    capsim run downsampling --preset smoke      seconds
    capsim run downsampling --preset laptop     the reference run, under 5 minutes on two cores
Expected: solid blobs may be shrunk a little, rings of two pixels may not; natively the scores of shrunken images are
high or rise, whatever was lost on the way.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, chosen, take, verdict
from sim.analysis.compare import Estimate, holm, paired_t
from sim.types import FloatArray

CLAIM = '"the images could be down-sampled to extremely low-solution images without significant detail loss"'
OUTLINES = ("blobs", "rings")
FULL = 64
SMALLER = (8, 16, 32)
LOSS = 0.01  # Dice: what counts as a significant loss
SCALED = {8: 1, 16: 3, 32: 7, 64: 13}  # receptive field that covers an equal part of the scene, 13 of 64 pixels at most
FIXED = 7

RULE = """A cell is a scene (three solid blobs; three rings two pixels thick) at a noise (1, 4) on a grid of 64. A
network is trained on the image and map shrunk to 8, 16, 32 or left at 64, with a receptive field of 7 pixels and, at
noise 4, where far pixels help, also with one that covers an equal part of the scene (13 pixels at 64); the better of
the two on held-out images stands for its grid. A step shows 64/g images of grid g. Probabilities are enlarged
bilinearly to 64 and cut at a threshold chosen on held-out images; mean Dice of an image.
D(g): Dice of grid g minus that of the full grid, same images, paired by seed; t intervals over seeds, Bonferroni over
the three smaller grids, 95% together. Oracle loss: 1 - Dice of the better of the best map constant on the blocks of the
grid and the true shares enlarged bilinearly, image by image; t interval, 95%.
A cell is supported if at some smaller grid the oracle loss is < .01 (upper bound) and D(g) > -.01 (lower bound);
refuted if at every smaller grid D(g) < 0 (upper bound) and the oracle loss is > .01 (lower bound); "conditional" if
neither, but at some smaller grid D(g) > 0 (lower bound): better there although detail is lost; else undecided.
A scene has the verdict of its cells if they agree, is undecided if one of them is, and "conditional" on noise
otherwise; all scenes together likewise, "conditional" on the scene. Contrasts of adjacent grids at 64 and natively
(against the shrunken map, by Holm), the grids that no other beats and an arm that trains at least four times as long
are reported and decide nothing."""

NOISES = [1.0, 4.0]
LEAST = 1000  # steps before the loss may be called flat
RECIPE: dict[str, float] = {"learning_rate": 0.01, "weight_decay": 0.0}


def sweep(outline: Any, grid: int, field: int, **others: Any) -> Sweep:
    """One scene, or several, on one grid under one receptive field."""
    settings: dict[str, Any] = {
        "noise": NOISES, "inputs": 128, "test_items": 200, "width": 8, "least_steps": LEAST, "max_steps": 2 * LEAST,
        "batch_size": FULL // grid, **RECIPE,
    }  # fmt: skip
    return Sweep(
        generator="downsampling", outline=outline, trained_grid=grid, receptive_field=field, **(settings | others)
    )


def tuning(grid: int) -> Sweep:
    """The candidates of the recipe, which is one for all: the winner of `find_recipe` over grids 16 and 32 on a seed
    that no result uses, by Dice on the fine grid."""
    rates, decays = [0.003, 0.01, 0.03], [0.0, 0.1]
    return sweep(list(OUTLINES), grid, FIXED, learning_rate=rates, weight_decay=decays, test_items=150, seeds=[900000])


def _grids(seeds: int, **others: Any) -> tuple[Sweep, ...]:
    return tuple(
        sweep(outline, grid, field, seeds=seeds, noise=NOISES if field == FIXED else NOISES[-1], **others)
        for outline in OUTLINES
        for grid in (*SMALLER, FULL)
        for field in dict.fromkeys((FIXED, SCALED[grid]))
    )


def _longer(seeds: int) -> tuple[Sweep, ...]:
    """At least four times the steps, in the cell whose call is closest."""
    longer: dict[str, Any] = {"noise": NOISES[0], "least_steps": 4 * LEAST, "max_steps": 8 * LEAST, "seeds": seeds}
    return tuple(sweep("blobs", grid, FIXED, **longer) for grid in (SMALLER[-1], FULL))


class Cell(NamedTuple):
    """One scene at one noise.

    Attributes:
        dice, native, oracle: scores, shape (seeds, grids): at 64, natively (NaN where nothing is left), best possible.
        grids: side of each column. fields: receptive field that was chosen for each. seeds: of each row.
    """

    dice: FloatArray
    native: FloatArray
    oracle: FloatArray
    grids: tuple[int, ...]
    fields: tuple[int, ...]
    seeds: tuple[int, ...]


def main_rows(columns: Columns, *, longer: bool = False) -> dict[str, Any]:
    """The finished rows of the main arms, or of those that train longer."""
    fewest = columns["least_steps"] == np.nanmin(columns["least_steps"])
    return take(columns, chosen(columns) & (~fewest if longer else fewest))


def cell(rows: Columns, outline: str, noise: float) -> Cell | None:
    """The scores of a cell over the seeds that have every grid, or None where fewer than two do, or no full grid."""
    inside = (rows["outline"] == outline) & (rows["noise"] == noise)
    if not inside.any():
        return None
    part = {name: column[inside] for name, column in rows.items()}
    grids = tuple(sorted({int(grid) for grid in part["trained_grid"]}))
    fields, masks = [], []
    for grid in grids:
        here = part["trained_grid"] == grid
        options = np.unique(part["receptive_field"][here])
        scores = [part["held_out_dice"][here & (part["receptive_field"] == option)].mean() for option in options]
        fields.append(int(options[int(np.argmax(scores))]))
        masks.append(here & (part["receptive_field"] == fields[-1]))
    seeds = [s for s in np.unique(part["seed"]) if all((mask & (part["seed"] == s)).any() for mask in masks)]
    if len(seeds) < 2 or FULL not in grids or len(grids) < 2:
        return None
    native = part.get("native_dice", np.full(len(part["seed"]), np.nan))

    def table(values: Any) -> FloatArray:
        return np.array([[values[mask & (part["seed"] == s)][0] for mask in masks] for s in seeds], dtype=np.float64)

    return Cell(
        table(part["dice"]), table(native), table(part["oracle"]), grids, tuple(fields), tuple(int(s) for s in seeds)
    )


def against_full(found: Cell) -> dict[int, Estimate]:
    """D(g) of each smaller grid, 95% together."""
    level = 1 - (1 - EXPLORATORY_LEVEL) / len(SMALLER)
    return {
        grid: paired_t(found.dice[:, column] - found.dice[:, -1], level=level)
        for column, grid in enumerate(found.grids[:-1])
    }


def losses(found: Cell) -> dict[int, Estimate]:
    """Oracle loss of each smaller grid."""
    return {
        grid: paired_t(1 - found.oracle[:, column], level=EXPLORATORY_LEVEL)
        for column, grid in enumerate(found.grids[:-1])
    }


def adjacent(scores: FloatArray, grids: tuple[int, ...]) -> dict[tuple[int, int], tuple[Estimate, float]]:
    """Each grid minus the next coarser one, with p values by Holm; grids without a score are left out."""
    pairs = {
        (coarse, fine): scores[:, column + 1] - scores[:, column]
        for column, (coarse, fine) in enumerate(itertools.pairwise(grids))
    }
    kept = {pair: paired_t(gap) for pair, gap in pairs.items() if np.isfinite(gap).all()}
    adjusted = holm([estimate.p_value for estimate in kept.values()])
    return {pair: (estimate, float(p)) for (pair, estimate), p in zip(kept.items(), adjusted, strict=True)}


def unbeaten(found: Cell) -> list[int]:
    """The grids that the best one does not beat, by Holm: a confidence set of the optimal grid."""
    best = int(np.argmax(found.dice.mean(axis=0)))
    others = [column for column in range(len(found.grids)) if column != best]
    raw = [paired_t(found.dice[:, best] - found.dice[:, c], alternative="greater").p_value for c in others]
    beaten = {others[k] for k, p in enumerate(holm(raw)) if p < 1 - EXPLORATORY_LEVEL}
    return [grid for column, grid in enumerate(found.grids) if column not in beaten]


def decide(difference: Mapping[int, Estimate], loss: Mapping[int, Estimate]) -> str:
    """The verdict of a cell by `RULE`."""
    if any(loss[grid].high < LOSS and difference[grid].low > -LOSS for grid in difference):
        return "supported"
    if all(difference[grid].high < 0 and loss[grid].low > LOSS for grid in difference):
        return "refuted"
    return "conditional" if any(estimate.low > 0 for estimate in difference.values()) else "undecided"


def combine(decisions: Mapping[str, str]) -> str:
    """One verdict if all agree, undecided if one is, conditional otherwise."""
    values = set(decisions.values())
    if len(values) == 1:
        return values.pop()
    return "undecided" if "undecided" in values else "conditional"


def _pooled(cells: Sequence[Cell]) -> Estimate:
    """The best smaller grid of each cell minus the full one, averaged over the cells seed by seed; 95%."""
    gaps: dict[int, list[float]] = {}
    for found in cells:
        best = int(np.argmax(found.dice[:, :-1].mean(axis=0)))
        for seed, gap in zip(found.seeds, found.dice[:, best] - found.dice[:, -1], strict=True):
            gaps.setdefault(seed, []).append(float(gap))
    whole = [float(np.mean(values)) for values in gaps.values() if len(values) == len(cells)]
    return paired_t(whole, level=EXPLORATORY_LEVEL)


def _whole(name: str, decision: str, cells: Sequence[Cell], sentence: str) -> dict[str, Any]:
    estimand = f"Dice at 64, best smaller grid of each cell minus grid {FULL}, mean over cells"
    return {"arm": name} | verdict(CLAIM, decision, estimand, _pooled(cells), sentence, threshold=-LOSS)


def _contrasts(name: str, found: Mapping[tuple[int, int], tuple[Estimate, float]]) -> str:
    return f"{name}: " + ", ".join(
        f"{coarse} to {fine} {estimate.effect:+.3f} (p {p:.2g})" for (coarse, fine), (estimate, p) in found.items()
    )


def _row(name: str, found: Cell, decision: str) -> dict[str, Any]:
    difference, loss = against_full(found), losses(found)
    best = max(difference, key=lambda grid: difference[grid].effect)
    scores = ", ".join(f"{grid}: {mean:.3f}" for grid, mean in zip(found.grids, found.dice.mean(axis=0), strict=True))
    lost = ", ".join(f"{grid}: {estimate.effect:.3f}" for grid, estimate in loss.items())
    sentence = (
        f"{name}: Dice at 64 by grid {scores}; oracle loss {lost}; grids that none beats {unbeaten(found)}; receptive "
        f"fields {list(found.fields)}. {_contrasts('Adjacent grids at 64', adjacent(found.dice, found.grids))}. "
        f"{_contrasts('Natively', adjacent(found.native, found.grids))}."
    )
    estimand = f"Dice at 64, grid {best} minus grid {FULL}"
    return {"arm": name} | verdict(CLAIM, decision, estimand, difference[best], sentence, threshold=-LOSS)


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`: overall, then one a scene, then one a cell."""
    rows, scenes, leading = [], {}, []
    main, longer = main_rows(columns), main_rows(columns, longer=True)
    every: list[Cell] = []
    for outline in sorted({str(name) for name in columns["outline"] if name}):
        noises = sorted({float(noise) for noise in columns["noise"][columns["outline"] == outline]})
        cells = {f"{outline}, noise {noise:g}": found for noise in noises if (found := cell(main, outline, noise))}
        if not cells:
            continue
        decided = {name: decide(against_full(found), losses(found)) for name, found in cells.items()}
        rows += [_row(name, found, decided[name]) for name, found in cells.items()]
        for noise in noises:
            if found := cell(longer, outline, noise):
                decision = decide(against_full(found), losses(found))
                rows.append(_row(f"{outline}, noise {noise:g}, four times the steps", found, decision))
        every += cells.values()
        scenes[outline] = combine(decided)
        words = "; ".join(f"{name} {decision}" for name, decision in decided.items())
        leading.append(_whole(outline, scenes[outline], list(cells.values()), f"Shrinking loses nothing? {words}."))
    if not leading:
        return []
    words = "; ".join(f"{name} {decision}" for name, decision in scenes.items())
    sentence = f"May images be shrunk without significant loss? {words}."
    return [_whole("overall", combine(scenes), every, sentence), *leading, *rows]


def _smoke() -> tuple[Sweep, ...]:
    small: dict[str, Any] = {"inputs": 16, "test_items": 40, "width": 4, "max_steps": 100, "noise": 1.0, "seeds": 2}
    return tuple(sweep("rings", grid, FIXED, **small) for grid in (16, FULL))


PRESETS = {
    "smoke": _smoke(),
    "laptop": (*_grids(8), *_longer(3)),
    "paper": (*_grids(20, inputs=512, max_steps=4 * LEAST, width=16), *_longer(10)),
}

STUDY = Study(
    name="downsampling",
    summary="blobs and rings shrunk from 64 to 8, 16, 32: Dice on the fine grid, natively, and what shrinking loses",
    claim=CLAIM,
    question="Is anything lost, on the fine grid, by training on shrunken images?",
    survey_predicts="extremely small grids suffice",
    rival_predicts="native scores are flat or rise; on the fine grid the boundary bounds small grids, thin objects "
    "most",
    rule=RULE,
    primary=False,
    presets=PRESETS,
    judge=judge,
)
