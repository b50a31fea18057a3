"""Study `training_fit`: can a network give back the labels of its own training images, and how many bits of them?

    capsim run training_fit --preset smoke      seconds
    capsim run training_fit --preset laptop     the reference run, under 5 minutes on two cores
Expected: with J = 1024 labels every training image comes back exactly at one bit a parameter, and at about two bits a
parameter this ends. Random labels are the hardest that a training set can have: there is no rule to find in them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies.common import PRIMARY_LEVEL, Columns, chosen, take, verdict
from sim.analysis.compare import Estimate
from sim.analysis.curves import group_rows
from sim.analysis.shares import half_point, share_interval

CLAIM = (
    '"deep learning could not yield the ideal outputs even when it is tested with the inputs used during the training '
    'process" (problem statement, 2)'
)
CAPACITY = "rival theory: below a capacity near Cover's two bits a parameter all training labels come back"
SHRUNK = "the claim, for networks that are trained with input noise and weight decay"
OUTPUTS, SEEDS, COVER = 1024, 10, 2.0
CURVE_SEEDS = 8  # the fewest that all fit, or all fail, against one half at (1 - .99) / 2
STORED = 32.0  # bits in a float32: no parameter can hold more
SIZES = {32: (10_240, 51_200), 24: (10_240, 51_200)}  # dimension -> P at load 1 and at load .2: both have I >= J
UNSEEN = 24  # the dimension that no pilot touched
LOADS = {"bits": (1.0, 0.2), "jway": (0.2, 0.2)}  # answer -> loads that refute and that support the claim
HEADS = {"bits": "One output a bit", "jway": "One output a label"}
SHAPE = ("answer", "outputs", "dimension", "parameters")
PLAIN = {"weight_decay": 0.0, "input_noise": 0.0}

RULE = """Independent normal images, independent random labels, J = 1024, I >= J training images, one hidden layer, no
regularisation; load = I log2(J) / P. A trial fits if the labels of all its training images come back, without input
noise. A seed fits if any of its step budgets does: a longer run may show what a shorter one missed, never the reverse.
Claim, for each dimension (24 is the one that no pilot touched) and for one binary output a bit of the label: refuted if
every one of 10 or more seeds fits at load 1; else supported if none of 10 or more seeds fits at load .2, where a
network as wide as I interpolates by construction (below load 10/(dimension + 11)); else undecided. For one output a
label, with 51,200 parameters: refuted if every one of 10 or more seeds fits at load .2, supported if none does, else
undecided. A perfect fit needs no flat loss, so the refuting side holds at any budget. Effect: the share of seeds that
fit at the refuting load, exact 99% interval.
Capacity (rival theory), for each answer, J, dimension and P with three loads or more: load50 is the load at which half
of the seeds fit, the event that Cover's function counts; exact 99% bounds on the grid of loads (0 and 32 bits, a
float32, where the grid shows none). Supported if they lie within [1, 4] bits a parameter, a factor of two about Cover's
two; refuted if they lie outside altogether; else undecided. The linear programme is the exact learner of a hyperplane:
its own load50 checks the method.
Regularised networks at load 1: the claim holds for them (supported) if none of 10 or more seeds fits, and fails
(refuted) if all do, else undecided.
Safety: no trained hyperplane fits what the linear programme shows to be inseparable, else the claim is undecided."""


def _sweep(answer: str, outputs: int, dimension: int, parameters: int, load: Any, **others: Any) -> Sweep:
    values: dict[str, Any] = {
        "learning_rate": 0.01, "batch_size": 256, "seeds": SEEDS, **PLAIN,
        "max_steps": 50 if answer == "programme" else 16_000,  # the programme takes no steps
        **others,
    }  # fmt: skip
    return Sweep(
        generator="random_labels", answer=answer, outputs=outputs, dimension=dimension, parameters=parameters,
        load=load, **values,
    )  # fmt: skip


CURVE = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
DECISIVE = tuple(
    sweep for dimension, (small, large) in SIZES.items()
    for sweep in (
        _sweep("bits", OUTPUTS, dimension, small, 1.0),
        _sweep("bits", OUTPUTS, dimension, large, 0.2, max_steps=4000),
        _sweep("jway", OUTPUTS, dimension, large, 0.2, max_steps=4000, batch_size=64),
    )
)  # fmt: skip
PRESETS = {
    "smoke": (
        _sweep("bits", 64, 16, 256, [0.5, 2.0, 4.0], max_steps=2000, batch_size=64, seeds=2),
        _sweep("plane", 2, 15, 16, [1.0, 4.0], max_steps=1000, batch_size=16, seeds=2),
        _sweep("programme", 2, 15, 16, [1.0, 2.0, 4.0], seeds=10),
    ),
    "laptop": (
        *DECISIVE,
        _sweep("bits", OUTPUTS, 32, 10_240, [2.0, 2.5, 3.0], seeds=CURVE_SEEDS),
        _sweep("bits", 64, 32, 1024, CURVE, seeds=CURVE_SEEDS),
        *(_sweep("bits", outputs, 32, 1024, CURVE[2:], seeds=CURVE_SEEDS) for outputs in (2, OUTPUTS)),
        *(_sweep("bits", 64, dimension, 1024, [1.0, 2.0, 3.0], seeds=CURVE_SEEDS) for dimension in (8, 64)),
        _sweep("bits", 64, 32, 1024, 2.5, max_steps=64_000, seeds=CURVE_SEEDS),
        _sweep("jway", 64, 32, 1024, CURVE[:-1], batch_size=64, seeds=CURVE_SEEDS),
        _sweep("jway", 64, 32, 1024, 1.5, max_steps=64_000, batch_size=64, seeds=CURVE_SEEDS),
        _sweep("jway", OUTPUTS, 32, 10_240, [0.5, 0.75, 1.0], max_steps=8000, batch_size=64, seeds=CURVE_SEEDS),
        _sweep("jway", OUTPUTS, 32, 10_240, 1.0, max_steps=32_000, batch_size=64, seeds=CURVE_SEEDS),
        _sweep("plane", 2, 127, 128, CURVE[1:], max_steps=8000, batch_size=64, seeds=CURVE_SEEDS),
        _sweep("programme", 2, 127, 128, CURVE[1:], seeds=SEEDS),
        _sweep("programme", 2, 127, 128, [1.75, 2.25], seeds=40),
        _sweep("bits", OUTPUTS, 32, 10_240, 1.0, weight_decay=0.1, input_noise=0.5, max_steps=8000),
    ),
    "paper": (
        *DECISIVE,
        *(_sweep(answer, outputs, dimension, parameters, [0.2, *CURVE, 4.0], max_steps=steps)
          for answer in ("bits", "jway") for outputs in (2, 64, 1024) for dimension in (8, 24, 32, 64)
          for parameters in (1024, 10_240, 51_200) for steps in (16_000, 64_000)),
        *(_sweep("programme", 2, d - 1, d, np.linspace(1, 3, 17), seeds=40) for d in (32, 128, 512)),
    ),
}  # fmt: skip


def main_rows(columns: Columns, **wanted: Any) -> dict[str, Any]:
    """The finished rows of plain networks unless said otherwise; of each cell and seed the budget that fits best, the
    shorter of equals."""
    rows = take(columns, chosen(columns, generator="random_labels", **{**PLAIN, **wanted}))
    if not len(rows["seed"]):
        return rows
    cell, _ = group_rows(rows, [*SHAPE, "load", *PLAIN, "seed"])
    order = np.lexsort((rows["max_steps"], -np.nan_to_num(rows["train_accuracy"]), -rows["fits"], cell))
    first = order[np.unique(cell[order], return_index=True)[1]]
    return {name: column[first] for name, column in rows.items()}


def curves(columns: Columns) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each (answer, J, dimension, P) of the main rows, with its loads, seeds that fit, and seeds in all."""
    rows = main_rows(columns)
    if not len(rows["seed"]):
        return []
    shape, _ = group_rows(rows, list(SHAPE))
    found = []
    for each in np.unique(shape):
        here = take(rows, shape == each)
        loads, which = np.unique(here["load"], return_inverse=True)
        seeds = np.bincount(which)
        counts = {"loads": loads, "fits": np.bincount(which, here["fits"]).astype(int), "seeds": seeds}
        found.append(({name: here[name][0] for name in SHAPE}, counts))
    return found


def shape_name(shape: Mapping[str, Any]) -> str:
    """A curve's label: "bits, J 1024, D 32, P 10240"."""
    sizes = {"J": "outputs", "D": "dimension", "P": "parameters"}
    return ", ".join([str(shape["answer"]), *(f"{short} {shape[name]:.0f}" for short, name in sizes.items())])


def contradictions(columns: Columns) -> int:
    """Trained hyperplanes that fit images and labels for which the linear programme found no hyperplane."""
    rows = take(columns, chosen(columns, answer=["plane", "programme"]))
    key, _ = group_rows(rows, ["dimension", "load", "seed"])
    fitted, possible = (
        set(key[(rows["answer"] == name) & (rows["fits"] == value)]) for name, value in (("plane", 1), ("programme", 0))
    )
    return len(fitted & possible)


def _fits(rows: Columns, load: float) -> tuple[int, int]:
    """(seeds that fit, seeds) at a load, with I >= J."""
    if not len(rows["seed"]):
        return 0, 0
    here = np.isclose(rows["load"], load) & (rows["num_inputs"] >= rows["outputs"])
    return int(np.sum(rows["fits"][here])), int(np.sum(here))


def _claim(columns: Columns, answer: str, dimension: int) -> dict[str, Any] | None:
    rows = main_rows(columns, answer=answer, outputs=OUTPUTS, dimension=dimension)
    refuting, supporting = LOADS[answer]
    fitted, seeds = _fits(rows, refuting)
    easy, easy_seeds = _fits(rows, supporting)
    if seeds < 2:
        return None
    estimate = share_interval(fitted, seeds, level=PRIMARY_LEVEL)
    decision = "undecided"
    if not contradictions(columns):
        if fitted == seeds >= SEEDS:
            decision = "refuted"
        elif easy == 0 and easy_seeds >= SEEDS:
            decision = "supported"
    sentence = (
        f"{HEADS[answer]}, dimension {dimension}: at least J = {OUTPUTS} random labels all come back at {refuting:g} "
        f"bits a parameter in {fitted} of {seeds} seeds"
    )
    sentence += f", at {supporting:g} bits in {easy} of {easy_seeds}." if supporting != refuting else "."
    estimand = f"share of seeds that fit every training image at load {refuting:g}"
    arm = f"{answer}, D = {dimension}"
    return {"arm": arm} | verdict(CLAIM, decision, estimand, estimate, sentence, threshold=0.5)


def _capacity(shape: Mapping[str, Any], counts: Mapping[str, Any]) -> dict[str, Any] | None:
    if len(counts["loads"]) < 3:
        return None
    found = half_point(counts["loads"], counts["fits"], counts["seeds"], level=PRIMARY_LEVEL)
    if found.low == 0 and not np.isfinite(found.high):
        return None  # so few seeds say nothing
    trials = int(np.sum(counts["seeds"]))
    # a curve that never crosses has no estimate: its known bound stands in, and the sentence says so
    high = min(found.high, STORED)
    place = found.place if np.isfinite(found.place) else found.low or high
    error = (high - found.low) / 2
    estimate = Estimate(place, found.low, high, float("nan"), error, trials - 1, trials, PRIMARY_LEVEL)
    if found.low >= COVER / 2 and high <= 2 * COVER:
        decision = "supported"
    else:
        decision = "refuted" if found.low >= 2 * COVER or high <= COVER / 2 else "undecided"
    shown = f"{found.place:.2f}" if np.isfinite(found.place) else "not crossed on this grid"
    sentence = (
        f"{shape_name(shape)}: half of the seeds fit at load50 = {shown} bits a parameter, bounds {found.low:g} to "
        f"{high:g}; Cover's hyperplane has 2."
    )
    row = verdict(CAPACITY, decision, "load50, bits a parameter", estimate, sentence)
    return {**row, "arm": shape_name(shape), "power": "bounds are loads of the grid: as fine as the grid, at any power"}


def _regularised(columns: Columns) -> dict[str, Any] | None:
    noisy = chosen(columns, answer="bits", outputs=OUTPUTS)
    noisy &= (columns["input_noise"] > 0) & (columns["weight_decay"] > 0)
    fitted, seeds = _fits(take(columns, noisy), 1.0)
    if seeds < 2:
        return None
    decision = "undecided"
    if seeds >= SEEDS and fitted in (0, seeds):
        decision = "refuted" if fitted else "supported"
    estimate = share_interval(fitted, seeds, level=PRIMARY_LEVEL)
    sentence = f"With input noise and weight decay {fitted} of {seeds} seeds fit every training image at load 1."
    estimand = "share of regularised seeds that fit every training image at load 1"
    return {"arm": "regularised"} | verdict(SHRUNK, decision, estimand, estimate, sentence, threshold=0.5)


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`."""
    rows = [_claim(columns, answer, dimension) for answer in LOADS for dimension in SIZES]
    rows += [_capacity(*curve) for curve in curves(columns)]
    return [row for row in [*rows, _regularised(columns)] if row is not None]


STUDY = Study(
    name="training_fit",
    summary="random labels of the training images themselves: what comes back, in bits a parameter",
    claim=CLAIM,
    question="Can a network with many outputs give back the labels of the very images it was trained with?",
    survey_predicts="training accuracy below 1 for many outputs, at any number of parameters",
    rival_predicts="exactly 1 below a capacity of about two bits a parameter, whatever the number of outputs",
    rule=RULE,
    primary=True,
    presets=PRESETS,
    judge=judge,
)
