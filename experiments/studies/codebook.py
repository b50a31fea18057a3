"""Study `codebook`: is accuracy a function of the number of inputs over the number of outputs?

    capsim run codebook --preset smoke      seconds; a look at the machinery
    capsim run codebook --preset laptop     the reference run, under 25 minutes on two cores
Expected: I/J does not collapse even the best possible learner; the theorem's z does; networks follow the theorem at
one efficiency kappa.
"""

from typing import Any

import numpy as np

from experiments.spec import Study, Sweep
from experiments.studies.common import (
    PRIMARY_LEVEL,
    Columns,
    check_integral,
    check_leaks,
    chosen,
    take,
    usual_variant,
    verdict,
)
from sim.analysis.collapse import collapse, output_scaling
from sim.analysis.compare import Estimate, t_estimate
from sim.analysis.curves import cell_summary, rescale
from sim.analysis.fits import LawFit, compare_laws, fit_law
from sim.analysis.master_curve import master_curve_residuals
from sim.theory.capacity import collapse_variable
from sim.theory.laws import LAWS
from sim.types import FloatArray

CLAIM = (
    '"there is no theorem about what the maximum number of the output variables is after the input variables are '
    'determined" and "a theorem about the proportion of the number of the inputs and the number of the outputs might '
    'also exist" (sections Problem statement and Deep learning for image segmentation)'
)
NETWORK_ARMS = ("mlp", "mlp+reg", "linear", "linear+reg")
MAIN_ARM = "mlp+reg"
LAW_COLUMNS = ("inputs", "outputs", "chance", "dimension", "signal_power", "noise")
EQUALITY = (0.8, 1.2)  # gamma of "a function of I/J", with room for what a finite grid cannot tell
POOR_RMS, GOOD_LARGEST = 0.05, 0.03
KAPPA_RMSE = 0.03
RIVALS = ("coverage", "hill", "clipped_power", "logistic", "probit", "power")  # the empirical laws that the rule means

RULE = """Response: chance-corrected accuracy A* = (A - 1/J)/(1 - 1/J), cell means over seeds, balanced counts.
Conjecture (per arm; the regularised MLP at D = 64, gD = 16 is the primary one, D = 96 the setting no pilot touched):
gamma is fitted in ln I - gamma ln J. Refuted if the 99% interval of gamma lies outside [.8, 1.2] and the rms residual
of one monotone master curve on ln(I/J) is > .05 and > 2 times that on z (z at the arm's fitted efficiency kappa).
Supported if the largest residual on ln(I/J) is < .03. Else undecided.
Theorem: supported if the Bayes learner passes the integral check (t intervals over 20 codebooks a setting, share of
misses outside 99% not below binomial p = .001) and no network beats the paired Bayes learner (one-sided paired t,
pooled variance, Holm at .001 over all cells); refuted if the integral check fails; else undecided.
Kappa law (per arm): theorem with one efficiency kappa fitted on J <= 64, I <= 1024; supported if its root mean square
error on the held-out cells is <= .03 and below that of the best empirical law (of coverage, Hill, clipped power,
logistic, probit and power); refuted if it is > .06 or twice the best empirical law's; else undecided."""


def _sweep(power: float, network: str, seeds: int | range, **others: Any) -> tuple[Sweep, ...]:
    """J 4..256 with n = 1..64 images a class, and J = 1024 with n = 1..16."""
    common = {"generator": "codebook", "network": network, "signal_power": power, **others}
    return (
        Sweep(outputs=[4, 16, 64, 256], inputs_per_output=[1, 4, 16, 64], seeds=seeds, **common),
        Sweep(outputs=1024, inputs_per_output=[1, 4, 16], seeds=seeds, **common),
    )


NAMED = ((64, 16.0), (256, 4.0), (256, 16.0))  # (J, n): the three cells of the robustness arms


def _robustness() -> tuple[Sweep, ...]:
    """Four times the step budget, labels drawn independently, and initial weights crossed with data."""
    sweeps: list[Sweep] = []
    for outputs, ratio in NAMED:
        cell: dict[str, Any] = {"generator": "codebook", "outputs": outputs, "inputs_per_output": ratio}
        sweeps += [
            Sweep(**cell, network="mlp", recipe="regularised", max_steps=32_000, seeds=4),
            Sweep(**cell, network=["mlp", "linear"], recipe="regularised", balanced=False, seeds=4, max_steps=8000),
            Sweep(**cell, network="bayes", balanced=False, seeds=20),
        ]
    crossed = {"generator": "codebook", "outputs": 64, "inputs_per_output": 4, "network": "mlp"}
    sweeps.append(Sweep(**crossed, recipe="regularised", init_seed=[1, 2, 3], max_steps=8000, seeds=4))
    return tuple(sweeps)


RANK_SEEDS = range(1000, 1005)  # no other sweep's: the images that extrapolation is scored on are seen by no fit


def _ranked() -> Sweep:
    """Trials that keep their ranks, for `capsim extrapolate`; no judge and no fit reads them."""
    common = {"generator": "codebook", "network": "mlp", "recipe": "regularised", "max_steps": 8000}
    return Sweep(outputs=[64, 256], inputs_per_output=[4, 16], test_items=8192, keep_ranks=True, seeds=RANK_SEEDS,
                 **common)  # fmt: skip


PRESETS = {
    "smoke": (
        Sweep(generator="codebook", network=["bayes", "plugin"], outputs=[4, 8, 16], inputs_per_output=[1, 4, 16],
              test_items=1000, seeds=20),
        Sweep(generator="codebook", network="linear", recipe="regularised", outputs=[4, 8, 16],
              inputs_per_output=[1, 4, 16], max_steps=1500, test_items=1000, seeds=4),
        Sweep(generator="codebook", network="mlp", recipe="regularised", outputs=[4, 8, 16],
              inputs_per_output=[1, 4, 16], width=32, max_steps=1500, test_items=1000, seeds=4),
    ),
    "laptop": (
        *_sweep(0.25, "bayes", 20),
        *_sweep(0.5, "bayes", 20),
        *_sweep(0.25, "plugin", 10),
        *_sweep(0.25, "mlp", 10, recipe="regularised", max_steps=8000),
        *_sweep(0.5, "mlp", 4, recipe="regularised", max_steps=8000),
        *_sweep(0.25, "mlp", 4, recipe="plain", max_steps=8000),
        *_sweep(0.25, "linear", 10, recipe="regularised", max_steps=8000),
        *_sweep(0.25, "linear", 4, recipe="plain", max_steps=8000),
        Sweep(generator="codebook", network="bayes", dimension=96, signal_power=1 / 6, outputs=[16, 64, 256],
              inputs_per_output=[1, 4, 16], seeds=20),
        Sweep(generator="codebook", network="mlp", recipe="regularised", dimension=96, signal_power=1 / 6,
              outputs=[16, 64, 256], inputs_per_output=[1, 4, 16], max_steps=8000, seeds=4),
        *_robustness(),
        _ranked(),
    ),
    "paper": (*(
        sweep
        for dimension in (16, 64, 256)
        for share in (4.0, 16.0, 64.0)
        for network, seeds in (("bayes", 20), ("plugin", 20), ("mlp", 10), ("linear", 10))
        for recipe in (("plain", "regularised") if network in ("mlp", "linear") else ("plain",))
        for sweep in (
            Sweep(generator="codebook", network=network, dimension=dimension, signal_power=share / dimension,
                  outputs=[4, 16, 64, 256, 1024, 4096], inputs_per_output=[1, 4, 16, 64], seeds=seeds,
                  **({"recipe": recipe, "max_steps": 48_000} if network in ("mlp", "linear") else {})),
        )
    ), _ranked()),
}  # fmt: skip


def main_rows(columns: Columns, arm: str, power: float = 0.25, dimension: int = 64) -> dict[str, Any]:
    """The balanced rows of one arm at one setting, without the robustness arms."""
    mask = chosen(columns, arm=arm, balanced=True, dimension=dimension) & usual_variant(columns)
    return take(columns, mask & np.isclose(columns["signal_power"].astype(float), power))


def kappa_fit(rows: Columns, level: float = PRIMARY_LEVEL) -> LawFit:
    """The theorem with one efficiency kappa, fitted to all rows given."""
    return fit_law(LAWS["theorem"], {name: rows[name] for name in LAW_COLUMNS}, rows["test_accuracy"], level=level)


def efficiency(fit: LawFit) -> tuple[float, float, float]:
    """kappa and its interval from a fit of the theorem, whose parameter is ln kappa."""
    low, high = fit.intervals["log_efficiency"]
    return float(np.exp(fit.parameters["log_efficiency"])), float(np.exp(low)), float(np.exp(high))


def z_values(rows: Columns, kappa: float = 1.0) -> FloatArray:
    """The theorem's collapse variable of each row, at kappa n images a class."""
    return np.array(
        [
            collapse_variable(int(j), int(d), float(g), float(s) ** 2, kappa * float(i) / float(j))
            for j, d, g, s, i in zip(
                rows["outputs"], rows["dimension"], rows["signal_power"], rows["noise"], rows["inputs"], strict=True
            )
        ]
    )


def _gamma(rows: Columns) -> Estimate:
    names = ("inputs", "outputs", "log2_outputs", "chance")
    found = collapse(
        {name: rows[name] for name in names}, rows["test_accuracy"], output_scaling, {"gamma": (-1.0, 5.0)},
        level=PRIMARY_LEVEL, resamples=399,
    )  # fmt: skip
    spread = float(np.sqrt(found.covariance[0, 0]))
    low, high = found.intervals["gamma"]
    trials = len(rows["test_accuracy"])
    estimate = t_estimate(found.parameters["gamma"], spread, max(trials - 2, 1), trials, PRIMARY_LEVEL)
    return estimate._replace(low=low, high=high)


def _conjecture(columns: Columns, arm: str, power: float, dimension: int) -> dict[str, Any] | None:
    rows = main_rows(columns, arm, power, dimension)
    if len(np.unique(rows["outputs"])) < 3:
        return None
    gamma = _gamma(rows)
    kappa = 1.0 if arm == "bayes" else efficiency(kappa_fit(rows))[0]
    table = {**rows, "z": z_values(rows, kappa)}
    cells = cell_summary(table, ["inputs", "outputs", "chance", "z"])
    response = rescale(cells.mean, cells.columns["chance"].astype(float))
    on_ratio = master_curve_residuals(np.log(cells.columns["inputs"] / cells.columns["outputs"]), response)
    on_z = master_curve_residuals(cells.columns["z"].astype(float), response)
    outside = gamma.low > EQUALITY[1] or gamma.high < EQUALITY[0]
    if outside and on_ratio.rms > POOR_RMS and on_ratio.rms > 2 * on_z.rms:
        decision = "refuted"
    elif on_ratio.largest < GOOD_LARGEST:
        decision = "supported"
    else:
        decision = "undecided"
    sentence = (
        f"{arm}, D = {dimension}, gD = {power * dimension:g}: gamma = {gamma.effect:.2f} [{gamma.low:.2f}, "
        f"{gamma.high:.2f}] where I/J means 1; residual (rms / largest) on I/J {on_ratio.rms:.3f} / "
        f"{on_ratio.largest:.3f}, on z {on_z.rms:.3f} / {on_z.largest:.3f}."
    )
    nearest = EQUALITY[1] if gamma.effect > 1 else EQUALITY[0]
    return {"arm": arm} | verdict(CLAIM, decision, "gamma in ln I - gamma ln J", gamma, sentence, threshold=nearest)


def _theorem(columns: Columns) -> dict[str, Any] | None:
    check = check_integral(columns)
    if check.cells < 2:  # no Bayes rows with the seeds that the check asks for
        return None
    leaks = check_leaks(columns, NETWORK_ARMS)
    estimate = t_estimate(
        float(np.mean(check.error)), float(np.std(check.error, ddof=1) / np.sqrt(len(check.error))),
        len(check.error) - 1, int(np.sum(chosen(columns, arm="bayes"))), PRIMARY_LEVEL,
    )  # fmt: skip
    decision = "refuted" if not check.passed else "undecided" if leaks.leak else "supported"
    sentence = (
        f"Bayes learner against the exact integral: {check.misses} of {check.cells} settings outside their 99% "
        f"interval (p = {check.p_value:.2g}); {len(leaks.leaking)} cells in which a network beats the paired Bayes "
        f"learner."
    )
    claim = 'rival theory: an exact theorem relates inputs, outputs and accuracy (the "theorem" that section 2 misses)'
    return {"arm": "bayes"} | verdict(claim, decision, "mean of accuracy - integral", estimate, sentence)


def held_out(rows: Columns) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The cells that no fit sees: J above 64 or I above 1024 (in a smaller grid, the largest J and I)."""
    outputs, inputs = rows["outputs"].astype(float), rows["inputs"].astype(float)
    if outputs.max() > 64:
        return (outputs > 64) | (inputs > 1024)
    return (outputs == outputs.max()) | (inputs == inputs.max())


def _kappa_law(columns: Columns, arm: str) -> dict[str, Any] | None:
    rows = main_rows(columns, arm)
    if len(np.unique(rows["outputs"])) < 3:
        return None
    laws = [LAWS[name] for name in ("theorem", *RIVALS)]
    ranking = compare_laws(
        laws, {name: rows[name] for name in LAW_COLUMNS}, rows["test_accuracy"],
        held_out=held_out(rows), level=PRIMARY_LEVEL, resamples=399,
    )  # fmt: skip
    scores = {score.fit.law.name: score for score in ranking.scores}
    theorem = scores.pop("theorem")
    rival = min(scores.values(), key=lambda score: float(score.held_out_error or np.inf))
    error, other = float(theorem.held_out_error or 0.0), float(rival.held_out_error or np.inf)
    if error <= KAPPA_RMSE and error < other:
        decision = "supported"
    elif error > 2 * KAPPA_RMSE or error > 2 * other:
        decision = "refuted"
    else:
        decision = "undecided"
    kappa, low, high = efficiency(theorem.fit)
    trials = len(rows["test_accuracy"])
    spread = float(np.exp(theorem.fit.resampled[:, 0]).std(ddof=1))  # of kappa over the bootstrap's fits
    estimate = t_estimate(kappa, spread, max(trials - 1, 1), trials, PRIMARY_LEVEL)
    sentence = (
        f"{arm}: efficiency kappa = {kappa:.2f} [{low:.2f}, {high:.2f}]; held-out root mean square error {error:.3f}, "
        f"best empirical law ({rival.fit.law.name}) {other:.3f}."
    )
    claim = "rival theory: a network follows the exact theorem with kappa n images a class"
    row = verdict(claim, decision, "kappa", estimate._replace(low=low, high=high), sentence)
    return {"arm": arm} | row


def judge(columns: Columns) -> list[dict[str, Any]]:
    """Verdicts by `RULE`."""
    settings = [(MAIN_ARM, 0.25, 64), (MAIN_ARM, 0.5, 64), (MAIN_ARM, 1 / 6, 96), ("linear+reg", 0.25, 64),
                ("bayes", 0.25, 64)]  # fmt: skip
    rows = [_conjecture(columns, *setting) for setting in settings]
    laws = [_kappa_law(columns, arm) for arm in NETWORK_ARMS]
    return [row for row in [*rows, _theorem(columns), *laws] if row is not None]


STUDY = Study(
    name="codebook",
    summary="accuracy over inputs I and outputs J on random codewords, where the best possible learner is exact",
    claim=CLAIM,
    question="On which variable do the accuracy curves of different J fall on one another: I/J, or the theorem's z?",
    survey_predicts="exact match is a function of I/J only",
    rival_predicts="the exact theorem of learned codebooks; collapse on z; networks follow it at efficiency kappa",
    rule=RULE,
    primary=True,
    presets=PRESETS,
    judge=judge,
)
