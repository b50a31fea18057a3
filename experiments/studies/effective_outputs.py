"""Study `effective_outputs`: does accuracy follow the nominal number of label maps, or the number that occur?

    capsim run effective_outputs --preset smoke      seconds
    capsim run effective_outputs --preset laptop     the reference run, under 5 minutes on two cores
Expected: 30 labels that never occur and a frame of 320 idle outputs change nothing; a dictionary of 2^2 instead of
2^10 maps changes much, where the network sees enough of the image to tell the maps apart.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies.common import PRIMARY_LEVEL, Columns, check_leaks, chosen, take, usual_variant, verdict
from experiments.studies.scene_recipes import arm_factors
from sim.analysis.compare import Equivalence, Estimate, paired_t, tost

CLAIM = '"the number of outputs is close to infinity" (J = L^(M x N))'
SAME, MATTERS = 0.005, 0.02  # pixel accuracy: a change that is none, and one that matters
ARCHITECTURES = {
    "conv7": "weights shared, receptive field 7",
    "unet": "U-Net, weights shared",
    "mlp/dense+reg": "no weights shared",
}
NOMINAL: dict[str, dict[str, int]] = {  # log2 J = 256; 1280; 576
    "two labels": {"labels": 2, "frame": 0},
    "30 idle labels": {"labels": 32, "frame": 0},
    "idle frame": {"labels": 2, "frame": 4},
}
BITS, BETWEEN = (2, 10), 6  # H(Y) of the contrasts, and one that is shown
NOISE, UNSEEN_NOISE = 2.0, 3.0  # labels 2 apart; no pilot was run with the second

RULE = """Estimands, per architecture, at I = 512, in raw pixel accuracy of the interior: two nominal contrasts, 30 idle
labels and idle frame each minus two labels, averaged over H(Y) = 2 and 10 bits; and the entropy contrast, 2 bits minus
10 bits, averaged over the three nominal settings (6 bits are run on fewer seeds and shown). Pairs share dictionary,
images and seed within an H(Y); 99% intervals over seeds; equivalence by TOST at 99% with margin .005.
Nominal J decides: refuted if both nominal contrasts are equivalent to 0 and the lower bound of the entropy contrast is
> .02; supported if the upper bounds of both nominal contrasts are < -.02 and the entropy contrast is equivalent to 0;
else undecided.
Overall: refuted if both nominal contrasts are equivalent to 0 in every architecture and the lower bound of the entropy
contrast averaged over architectures is > .02; supported if supported in every architecture; conditional if supported in
one and refuted in another; else undecided.
The same rule on the setting that no pilot touched (noise 3) gives the rows "noise 3 ...".
Safety: no network beats the paired exact posterior in pixel accuracy (Holm at .001), else every row is undecided."""

ESTIMAND = "pixel accuracy at 2 bits minus at 10 bits of H(Y)"
ARMS = tuple(arm_factors(arm) for arm in ARCHITECTURES)
EXACT: dict[str, Any] = {"network": "bayes"}


def _crossed(seeds: int, arms: tuple[dict[str, Any], ...] = (EXACT, *ARMS), **task: Any) -> tuple[Sweep, ...]:
    """Every nominal setting of a task under every arm."""
    shared: dict[str, Any] = {
        "generator": "dictionary",
        "grid_size": 16,
        "inputs": 512,
        "test_items": 2000,
        "seeds": seeds,
    } | task
    return tuple(Sweep(**shared, **nominal, **arm) for nominal in NOMINAL.values() for arm in arms)


def _beside(seeds: int, noise: float = NOISE) -> tuple[Sweep, ...]:
    """Dictionaries whose maps lie far apart, and four times the steps on a named cell."""
    task: dict[str, Any] = {"generator": "dictionary", "grid_size": 16, "inputs": 512, "test_items": 2000, "labels": 2,
                            "noise": noise, "seeds": seeds}  # fmt: skip
    spread = [Sweep(**task, **arm, spread=True, bits=[2, 6]) for arm in (EXACT, *ARMS)]
    longer = [Sweep(**task, **(arm | {"max_steps": 4 * arm["max_steps"]}), bits=10) for arm in ARMS]
    return (*spread, *longer)


_QUICK = (arm_factors("mlp/dense+reg") | {"max_steps": 300},)
PRESETS = {
    "smoke": _crossed(2, _QUICK, bits=list(BITS), noise=NOISE, test_items=200),
    "laptop": (
        *_crossed(10, bits=list(BITS), noise=NOISE),
        *_crossed(4, bits=BETWEEN, noise=NOISE),
        *_crossed(5, bits=list(BITS), noise=UNSEEN_NOISE),
        *_beside(2),
    ),
    "paper": (
        *_crossed(20, bits=[*BITS, BETWEEN], noise=[NOISE, UNSEEN_NOISE], inputs=[64, 512, 4096]),
        *_beside(10),
        *_beside(10, UNSEEN_NOISE),
    ),
}


def accuracies(columns: Columns, arm: str, noise: float = NOISE, spread: bool = False) -> dict[tuple[Any, ...], float]:
    """Interior pixel accuracy of an arm at I = 512 by (nominal setting, bits, seed)."""
    mask = chosen(columns, arm=arm, noise=noise, inputs=512, spread=spread) & usual_variant(columns)
    rows = take(columns, mask)
    found = {}
    for name, nominal in NOMINAL.items():
        here = (rows["labels"] == nominal["labels"]) & (rows["frame"] == nominal["frame"])
        for bits, seed, value in zip(*(rows[c][here] for c in ("bits", "seed", "pixel_accuracy")), strict=True):
            found[name, int(bits), int(seed)] = float(value)
    return found


def contrasts(found: Mapping[tuple[Any, ...], float]) -> dict[str, Any] | None:
    """The nominal contrasts and "entropy", one value a seed that has every cell; None where fewer than two have."""
    seeds = sorted({s for *_, s in found if all((n, b, s) in found for n in NOMINAL for b in BITS)})
    if len(seeds) < 2:
        return None
    table = np.array([[[found[n, b, s] for b in BITS] for n in NOMINAL] for s in seeds])  # (seeds, nominal, bits)
    plain = list(NOMINAL).index("two labels")
    out = {name: (table[:, i] - table[:, plain]).mean(axis=1) for i, name in enumerate(NOMINAL) if name != "two labels"}
    return out | {"entropy": (table[:, :, 0] - table[:, :, -1]).mean(axis=1)}


def _decide(nominal: Mapping[str, Equivalence], bounds: Mapping[str, Estimate], entropy: Equivalence) -> str:
    if all(test.equivalent for test in nominal.values()) and bounds["entropy"].low > MATTERS:
        return "refuted"
    falls = all(bounds[name].high < -MATTERS for name in nominal)
    return "supported" if falls and entropy.equivalent else "undecided"


def _judged(columns: Columns, noise: float) -> list[dict[str, Any]]:
    """The rows of one noise, the overall one first."""
    values = {arm: c for arm in ARCHITECTURES if (c := contrasts(accuracies(columns, arm, noise))) is not None}
    rows, decided, same = [], {}, []
    for arm, found in values.items():
        nominal = {name: tost(v, SAME, level=PRIMARY_LEVEL) for name, v in found.items() if name != "entropy"}
        bounds = {name: paired_t(v, level=PRIMARY_LEVEL) for name, v in found.items()}
        decided[arm] = _decide(nominal, bounds, tost(found["entropy"], SAME, level=PRIMARY_LEVEL))
        same.append(all(test.equivalent for test in nominal.values()))
        entropy = bounds["entropy"]
        moved = ", ".join(f"{name} {b.effect:+.4f} [{b.low:+.4f}, {b.high:+.4f}]" for name, b in bounds.items()
                          if name != "entropy")  # fmt: skip
        sentence = (
            f"{arm} ({ARCHITECTURES[arm]}): {moved}; 2 instead of 10 bits {entropy.effect:+.4f} [{entropy.low:+.4f}, "
            f"{entropy.high:+.4f}] in pixel accuracy.{_spread(columns, arm, noise)}"
        )
        row = verdict(CLAIM, decided[arm], ESTIMAND, entropy, sentence, threshold=MATTERS)
        rows.append({"arm": arm} | row)
    if set(values) != set(ARCHITECTURES):
        return rows
    shortest = min(len(found["entropy"]) for found in values.values())
    mean = np.mean([found["entropy"][:shortest] for found in values.values()], axis=0)
    entropy = paired_t(mean, level=PRIMARY_LEVEL)
    kinds = set(decided.values())
    if all(same) and entropy.low > MATTERS:
        overall = "refuted"
    elif kinds == {"supported"}:
        overall = "supported"
    else:
        overall = "conditional" if {"supported", "refuted"} <= kinds else "undecided"
    each = ", ".join(f"{arm} {word}" for arm, word in decided.items())
    sentence = f"Does the nominal number of label maps set the accuracy? {overall}: {each}."
    whole = verdict(CLAIM, overall, f"{ESTIMAND}, mean of architectures", entropy, sentence, threshold=MATTERS)
    return [{"arm": "overall"} | whole, *rows]


def _spread(columns: Columns, arm: str, noise: float) -> str:
    """What dictionaries far apart do, with their minimum distance, in words; nothing where there are no rows."""
    chance, far = accuracies(columns, arm, noise), accuracies(columns, arm, noise, spread=True)
    words = []
    for bits in sorted({b for _, b, _ in far}):
        shared = [key for key in far if key[1] == bits and key in chance]
        if len(shared) >= 2:
            gain = float(np.mean([far[key] - chance[key] for key in shared]))
            mask = chosen(columns, arm=arm, noise=noise, spread=True, bits=bits)
            distance = columns["minimum_distance"][mask].astype(float)
            words.append(f"{gain:+.4f} at {bits} bits (at least {np.nanmin(distance):.0f} pixels apart)")
    return f" Maps far apart instead of by chance: {', '.join(words)}." if words else ""


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`: the overall one first, then one an architecture, then the same at the unseen noise."""
    rows = _judged(columns, NOISE)
    rows += [row | {"arm": f"noise {UNSEEN_NOISE:g} {row['arm']}"} for row in _judged(columns, UNSEEN_NOISE)]
    if check_leaks(columns, list(ARCHITECTURES), value="pixel_accuracy").leak:
        rows = [row | {"verdict": "undecided"} for row in rows]
    return rows


STUDY = Study(
    name="effective_outputs",
    summary="H(Y) of 2, 6, 10 bits crossed with J: 30 labels that never occur, a frame of idle outputs",
    claim=CLAIM,
    question="Does pixel accuracy follow the nominal number of label maps, or the entropy of those that occur?",
    survey_predicts="accuracy is set by log J = M N log L, whatever occurs",
    rival_predicts="accuracy is set by what occurs: outputs that nothing depends on cost nothing",
    rule=RULE,
    primary=True,
    presets=PRESETS,
    judge=judge,
)
