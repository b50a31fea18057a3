"""The capacity conjecture judged over the records of all studies: a derived study, with a rule but no trials.

    capsim verdict all      its verdicts, after those of the studies
    capsim synthesis        the numbers behind them
Expected: the proportion I/J is no variable of accuracy in general, though it may be of one head on one task; and a
segmentation has no one effective number of outputs unless the image has a few pixels only.
"""

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from scipy import stats

from experiments.spec import canonical_json
from experiments.studies.common import verdict
from experiments.synthesis import collapses, effective, laws, units
from experiments.synthesis.collapses import Collapsed, collapse_unit, misfits_of
from experiments.synthesis.effective import Effective, effective_unit
from experiments.synthesis.laws import Foretold, foretell_study
from experiments.synthesis.units import Unit, study_units
from sim.analysis import effective as inversion
from sim.analysis import misfits
from sim.analysis.compare import Estimate, t_estimate

NAME = "capacity"
CLAIM = (
    '"Similar to Shannon theorem, a theorem about the proportion of the number of the inputs and the number of the '
    'outputs might also exist for the performance of deep learning" (section Deep learning for image segmentation)'
)
GOOD, POOR = 0.03, 0.05  # misfits of a variable that collapses, and of one that does not: those of study codebook
CONTROLS = 0.9  # share of the unrelated classifications in which the exact learner must have J_eff = J
SAME_BITS = 0.2  # how near to log2 J its J_eff must then be

RULE = """Units: every network of every study at one evidence per pixel, all numbers of pixels, labels and label
distributions together; usual arms; 8 cells, 3 tasks and 2 numbers of inputs or more. Response: chance-corrected exact
match, cell means. Misfit: root mean square error with which one smooth curve of a variable foretells every fifth task
from the others, within their range, the noise of the seeds taken out by the bootstrap.
Proportion: the mean misfit of all units on ln(I/J); its interval joins the units' lower and their upper ends (95% each:
arms share their images, so errors are taken as dependent). Refuted if the lower end is > .05, supported if the upper
end is < .03, else undecided.
Effective outputs: J_eff of a task under a network inverts the exact learned-codebook accuracy (same dimension, signal
and noise) at the smallest I whose exact match lies in [.05, .95]. It exists if A(I'/J_eff, J_eff) at the next I' >= 4 I
on record is the measured exact match within .05 (two one-sided tests at .05, jackknife over paired seeds). Estimand:
the share of segmentation tasks (several labels an image) that have one, with its exact binomial 95% interval over
tasks. Refuted if the upper end is < .5, supported if the lower end is > .5, else undecided.
Safety: undecided unless the Bayes learner of unrelated classes has a J_eff within .2 bits of log2 J in 90% of its
tasks."""


class Synthesis(NamedTuple):
    """What the records say together; `notes` name what was left out."""

    units: list[Unit]
    collapses: list[Collapsed]
    effective: list[Effective]
    laws: list[Foretold]
    notes: list[str]


def synthesise(tables: Mapping[str, pa.Table], *, judged_only: bool = False) -> Synthesis:
    """All analyses over the rows of all studies that have some.

    Args:
        tables: rows by study.
        judged_only: True leaves out what no verdict reads: other variables, other metrics, exact learners of other
            tasks, and the laws.
    """
    result = Synthesis([], [], [], [], [])
    for study, table in tables.items():
        try:
            for unit in study_units(study, table):
                result.units.append(unit)
                if not judged_only:
                    result.collapses.extend(collapse_unit(unit))
                elif unit.network:
                    result.collapses.extend(collapse_unit(unit, ("exact_match",), ("I/J",)))
                if unit.network or unit.arm == "bayes" or not judged_only:
                    result.effective.extend(effective_unit(unit))
            if not judged_only:
                result.laws.extend(foretell_study(study, table))
        except ValueError as reason:
            result.notes.append(f"{study} is left out of what follows: {reason}")
    return result


def rule_hash() -> str:
    """SHA-256 of the rule's words and of the source of all that decides."""
    parts = [inspect.getmodule(judge), units, collapses, effective, laws, misfits, inversion]
    sources = [inspect.getsource(part) for part in parts if part is not None]
    return hashlib.sha256(canonical_json({"rule": RULE, "sources": sources}).encode()).hexdigest()


def _conjecture(result: Synthesis) -> dict[str, Any] | None:
    found = {name: fit for name, fit in misfits_of(result.collapses, "exact_match", "I/J").items() if fit.tested}
    if len(found) < 2:
        return None
    effect, low, high = (
        float(np.mean([getattr(fit, end) for fit in found.values()])) for end in ("rms", "low", "high")
    )
    named = {(unit.study, unit.arm, unit.setting): unit for unit in result.units}
    judged = {(row.unit.study, row.unit.arm, row.unit.setting) for row in result.collapses if row.unit.network}
    trials = sum(len(named[key].columns["arm"]) for key in judged)
    decision = "refuted" if low > POOR else "supported" if high < GOOD else "undecided"
    worse = sum(fit.low > POOR for fit in found.values())
    good = [name for name, fit in found.items() if fit.high < GOOD]
    sentence = (
        f"Over {len(found)} networks and settings of {len({key[0] for key in judged})} studies, exact match misses one "
        f"curve of I/J by {effect:.3f} [{low:.3f}, {high:.3f}] (root mean square, tasks foretold from others): by more "
        f"than {POOR:g} in {worse} of them, by less than {GOOD:g} in {len(good)}"
        f"{' (' + '; '.join(good) + ')' if good else ''}."
    )
    estimate = t_estimate(effect, (high - low) / 4, 1e6, trials)._replace(low=low, high=high)
    estimand = "mean misfit of exact match on I/J"
    return {"arm": "I/J"} | verdict(CLAIM, decision, estimand, estimate, sentence, threshold=POOR)


def controls(result: Synthesis) -> tuple[int, int]:
    """Unrelated classifications in which the Bayes learner has J_eff = J as it must, and all of them."""
    rows = [row for row in result.effective if row.unit.arm == "bayes" and not row.segmentation]
    good = [row for row in rows if row.exists and abs(row.bits.effect - row.log2_outputs) <= SAME_BITS]
    return len(good), len(rows)


def _effective(result: Synthesis) -> dict[str, Any] | None:
    rows = [row for row in result.effective if row.segmentation and row.unit.network]
    good, all_controls = controls(result)
    if not rows or not all_controls:
        return None
    having = [row for row in rows if row.exists]
    share = len(having) / len(rows)
    bounds = stats.binomtest(len(having), len(rows)).proportion_ci(0.95)
    low, high = float(bounds.low), float(bounds.high)
    if good < CONTROLS * all_controls:
        decision = "undecided"
    else:
        decision = "refuted" if high < 0.5 else "supported" if low > 0.5 else "undecided"
    beside = ""
    if having:
        beside = f", none of more than {max(row.pixels for row in having)} pixels or tiles"
    gaps = effective.bits_left(having)
    if gaps:
        beside += f" (there log2 J_eff - H(Y) = {gaps.effect:.2f} [{gaps.low:.2f}, {gaps.high:.2f}] bits)"
    single = [row.exists for row in result.effective if row.unit.network and not row.segmentation]
    sentence = (
        f"{len(having)} of {len(rows)} segmentation tasks under networks have an effective number of outputs{beside}; "
        f"of classifications under networks {sum(single)} of {len(single)} have. Control: the Bayes learner of "
        f"unrelated classes has J_eff = J in {good} of {all_controls}."
    )
    trials = sum(2 * row.test.error.trials for row in rows)
    estimate = Estimate(share, low, high, np.nan, (high - low) / 4, 1e6, trials, 0.95)
    claim = "a segmentation is a classification with some effective number of outputs (the J in place of L^(M x N))"
    estimand = "share of segmentation tasks with a J_eff"
    return {"arm": "J_eff"} | verdict(claim, decision, estimand, estimate, sentence, threshold=0.5)


def judge(result: Synthesis) -> list[dict[str, Any]]:
    """Verdicts by `RULE`, in the form of a study's; none where the records are too few."""
    rows = [row for row in (_conjecture(result), _effective(result)) if row is not None]
    return [{"study": NAME, **row, "rule_hash": rule_hash()} for row in rows]
