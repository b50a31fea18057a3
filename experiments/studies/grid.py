"""Study `grid`: the survey's own formula J = L^(M*N) on pixels, with exact ceilings.

    capsim run grid --preset smoke      seconds
    capsim run grid --preset laptop     the reference run, under 25 minutes on two cores
Expected: exact match falls with J because it must (it is a product over pixels); pixel accuracy does not where weights
are shared, and does where every pixel has its own weights and the images stay few.
"""

from typing import Any

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies.common import EXPLORATORY_LEVEL, Columns, check_leaks, chosen, take, usual_variant, verdict
from sim.analysis.compare import Estimate, paired_t

CLAIM = '"J = L^(M x N)" and "no good results are expected ... unless the resolution of the image is extremely small"'
SLOPE = -0.002  # change of pixel accuracy per doubling of the pixels that would matter
ARCHITECTURES = {
    "conv7": "weights shared, receptive field 7",
    "conv1": "weights shared, receptive field 1",
    "mlp/dense+reg": "no weights shared",
    "mlp/jway": "one output a label map",
}

RULE = """Estimand, per architecture: slope of raw pixel accuracy per doubling of the number of pixels n at fixed
evidence per pixel; each seed's least-squares slope on log2 n, averaged over label fields (two labels) and I; t
interval over seeds, 95%.
Supported (accuracy falls) if the upper bound is < -.002; refuted if the lower bound is > -.002; else undecided.
Overall: supported if conv7 is supported; "conditional: no weight sharing" if the dense network is supported and conv7
is refuted; refuted if both are refuted; else undecided.
Safety: no network beats the paired exact posterior in pixel accuracy (Holm at .001), else every row is undecided."""

SIDES = ((2, 2), (4, 4), (8, 8), (16, 16))


CONV: dict[str, Any] = {"network": "conv", "width": 16, "batch_size": 8, "recipe": "plain"}
DENSE: dict[str, Any] = {"network": "mlp", "head": "dense", "recipe": "regularised"}
CONV_STEPS, DENSE_STEPS = 1500, 4000


def _fields(shape: tuple[int, int], **others: Any) -> tuple[Sweep, ...]:
    task = {"generator": "fields", "rows": shape[0], "columns": shape[1], **others}
    two = ["independent", "chain", "ising"]
    exact = two if shape[0] * shape[1] <= 16 else two[:2]
    conv, dense = CONV | {"max_steps": CONV_STEPS}, DENSE | {"max_steps": DENSE_STEPS}
    sweeps = [
        Sweep(**task, network="bayes", labels=2, field=exact, inputs=[64, 512, 4096], seeds=10, test_items=2000),
        Sweep(**task, **conv, receptive_field=[1, 7], labels=2, field=two, inputs=[64, 512], seeds=10,
              test_items=2000),
        Sweep(**task, **dense, labels=2, field=two, inputs=[64, 512, 4096], seeds=10, test_items=2000),
        Sweep(**task, network="bayes", labels=[3, 4], field="independent", inputs=[512], seeds=4, test_items=2000),
        Sweep(**task, **conv, receptive_field=7, labels=[3, 4], field="independent", inputs=512, seeds=4,
              test_items=2000),
        Sweep(**task, **dense, labels=[3, 4], field="independent", inputs=512, seeds=4, test_items=2000),
    ]  # fmt: skip
    return tuple(sweeps)


def _jway() -> tuple[Sweep, ...]:
    """One output a label map, wherever J <= 4096: 2x2, 2x4, 3x3 and 3x4 with two labels, 2x2 with three and four."""
    task: dict[str, Any] = {"generator": "fields", "labels": 2, "field": ["independent", "chain", "ising"],
                            "test_items": 2000}  # fmt: skip
    trained: dict[str, Any] = {"network": "mlp", "head": "jway"}
    sweeps = []
    for rows, columns in ((2, 2), (2, 4), (3, 3), (3, 4)):
        task |= {"rows": rows, "columns": columns}
        cost: dict[str, Any] = {"inputs": [64, 512, 4096], "max_steps": 4000, "seeds": 10}
        if (rows, columns) == (3, 4):  # 4,096 outputs: twenty times the work of 512
            cost = {"inputs": [512, 4096], "max_steps": 3000, "seeds": 4}
        sweeps += [
            Sweep(**task, **trained, **cost),
            Sweep(**task, network="bayes", inputs=cost["inputs"], seeds=cost["seeds"]),
        ]
    more = {"rows": 2, "columns": 2, "labels": [3, 4], "field": "independent", "inputs": [64, 512, 4096]}
    return (*sweeps, Sweep(**(task | more), **trained, max_steps=4000, seeds=4))


NAMED = (("independent", (4, 4)), ("chain", (8, 8)), ("ising", (8, 8)))  # the three cells of the robustness arms


def _robustness() -> tuple[Sweep, ...]:
    """Four times the step budget, I = 512."""
    sweeps: list[Sweep] = []
    for field, (rows, columns) in NAMED:
        cell: dict[str, Any] = {"generator": "fields", "rows": rows, "columns": columns, "labels": 2, "field": field,
                                "inputs": 512, "seeds": 4, "test_items": 2000}  # fmt: skip
        sweeps += [
            Sweep(**cell, **CONV, receptive_field=7, max_steps=4 * CONV_STEPS),
            Sweep(**cell, **DENSE, max_steps=4 * DENSE_STEPS),
        ]
    return tuple(sweeps)


def _smoke() -> tuple[Sweep, ...]:
    sweeps = []
    for side in (2, 4):
        task = {"generator": "fields", "rows": side, "columns": side, "labels": 2, "inputs": 64, "test_items": 500}
        sweeps += [
            Sweep(**task, network="bayes", field="chain", seeds=4),
            Sweep(**task, network="conv", width=8, batch_size=16, receptive_field=7, field="chain", max_steps=1000,
                  seeds=4),
            Sweep(**task, network="mlp", head="dense", recipe="regularised", field="chain", width=32, max_steps=1000,
                  seeds=4),
        ]  # fmt: skip
    return tuple(sweeps)


PRESETS = {
    "smoke": _smoke(),
    "laptop": (*(sweep for shape in SIDES for sweep in _fields(shape)), *_jway(), *_robustness()),
    "paper": (
        *(sweep for shape in (*SIDES, (32, 32)) for sweep in _fields(shape)),
        *_jway(),
        *_robustness(),
    ),
}


def main_rows(columns: Columns, **wanted: Any) -> dict[str, Any]:
    """The finished rows of the main arms."""
    return take(columns, chosen(columns, **wanted) & usual_variant(columns))


def slopes(columns: Columns, arm: str) -> Estimate | None:
    """Slope of pixel accuracy per doubling of n: one least-squares slope a seed, averaged over fields and I.

    Each seed's slope is taken within (field, I), so that differences between fields and amounts of data do not enter.
    """
    rows = main_rows(columns, arm=arm, labels=2)
    if not len(rows["arm"]):
        return None
    pixels = np.log2(rows["rows"].astype(float) * rows["columns"].astype(float))
    value = rows["pixel_accuracy"].astype(float)
    seeds = np.unique(rows["seed"].astype(int))
    groups = sorted({(str(f), int(i)) for f, i in zip(rows["field"], rows["inputs"], strict=True)})
    table = np.full((len(seeds), len(groups)), np.nan)
    for column, (field, inputs) in enumerate(groups):
        inside = (rows["field"] == field) & (rows["inputs"].astype(int) == inputs)
        for row, seed in enumerate(seeds):
            mask = inside & (rows["seed"].astype(int) == seed)
            if len(np.unique(pixels[mask])) >= 2:
                table[row, column] = np.polyfit(pixels[mask], value[mask], 1)[0]
    whole = table[:, np.isfinite(table).all(axis=0)]
    if whole.shape[1] == 0 or len(seeds) < 2:
        return None
    return paired_t(whole.mean(axis=1), level=EXPLORATORY_LEVEL)


def _decide(estimate: Estimate) -> str:
    if estimate.high < SLOPE:
        return "supported"
    return "refuted" if estimate.low > SLOPE else "undecided"


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`: the overall one first, then one an architecture."""
    safe = not check_leaks(columns, list(ARCHITECTURES), value="pixel_accuracy").leak
    found = {arm: estimate for arm in ARCHITECTURES if (estimate := slopes(columns, arm)) is not None}
    decided = {arm: _decide(estimate) if safe else "undecided" for arm, estimate in found.items()}
    rows = []
    for arm, estimate in found.items():
        sentence = (
            f"{arm} ({ARCHITECTURES[arm]}): pixel accuracy changes by {estimate.effect:+.4f} [{estimate.low:+.4f}, "
            f"{estimate.high:+.4f}] per doubling of the pixels, that is of log2 J."
        )
        row = verdict(CLAIM, decided[arm], "slope of pixel accuracy per doubling of n", estimate, sentence,
                      threshold=SLOPE)  # fmt: skip
        rows.append({"arm": arm} | row)
    shared, dense = decided.get("conv7"), decided.get("mlp/dense+reg")
    if shared is None or dense is None:
        return rows
    if shared == "supported":
        overall = "supported"
    elif shared == "refuted" and dense == "supported":
        overall = "conditional"
    else:
        overall = "refuted" if shared == dense == "refuted" else "undecided"
    words = "conditional: no weight sharing" if overall == "conditional" else overall
    sentence = f"Does pixel accuracy fall as J = L^(M*N) grows? {words}: weight-shared {shared}, dense {dense}."
    estimand = "slope of pixel accuracy per doubling of n, weight-shared network"
    whole = verdict(CLAIM, overall, estimand, found["conv7"], sentence, threshold=SLOPE)
    return [{"arm": "overall"} | whole, *rows]


STUDY = Study(
    name="grid",
    summary="J = L^(M*N) on pixels: grids 2x2 to 16x16, L 2 to 4, weight-shared and dense networks, exact ceilings",
    claim=CLAIM,
    question="Does pixel accuracy fall as the number of label maps grows, at fixed evidence per pixel?",
    survey_predicts="accuracy falls to chance as J grows, one law for both metrics",
    rival_predicts="pixel accuracy is set by evidence, context and weight sharing; exact match by n and the field",
    rule=RULE,
    primary=False,
    presets=PRESETS,
    judge=judge,
)
