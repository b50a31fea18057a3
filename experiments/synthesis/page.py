"""The generated parts of `docs/capacity.md`: every number of the page stands between markers and comes from here."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.synthesis.collapses import VARIABLES, Collapsed
from experiments.synthesis.effective import Effective
from experiments.synthesis.judge import RULE, Synthesis, judge
from experiments.synthesis.laws import Foretold

_BLOCK = re.compile(r"<!-- begin (\w+) -->\n(.*?)<!-- end \1 -->", re.DOTALL)


def _number(value: float) -> str:
    """Three decimals without a leading zero, empty for NaN."""
    text = f"{value:.3f}" if np.isfinite(value) else ""
    return re.sub(r"^(-?)0\.", r"\1.", text)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines) + "\n"


def _variables(found: Sequence[Collapsed], metric: str) -> str:
    """Misfits of all units, the best and what cannot be told from it in bold, what few cells could test in brackets."""
    units = list(dict.fromkeys((r.unit.study, r.unit.arm, r.unit.setting) for r in found if r.metric == metric))
    kept = [r for r in found if r.metric == metric]
    shown = [name for name in VARIABLES if any(r.variable == name for r in kept)]
    rows = []
    for key in units:
        own = {r.variable: r for r in kept if (r.unit.study, r.unit.arm, r.unit.setting) == key}
        cells = []
        for name in shown:
            text = _number(own[name].misfit.rms) if name in own else ""
            if text and own[name].tied:
                text = f"**{text}**"
            elif text and not own[name].misfit.tested:
                text = f"({text})"
            cells.append(text)
        rows.append([key[0], key[1], key[2], *cells])
    return _table(["study", "arm", "evidence", *shown], rows)


def _counts(found: Sequence[Effective]) -> str:
    """Tasks and those with a J_eff for each arm, with the largest error of what J_eff foretells."""
    rows = []
    for key in dict.fromkeys((r.segmentation, r.unit.study, r.unit.arm) for r in found):
        own = [r for r in found if (r.segmentation, r.unit.study, r.unit.arm) == key]
        worst = max(own, key=lambda r: abs(r.test.error.effect))
        kind = "several labels" if key[0] else "one label"
        bits = [r.bits.effect - r.log2_outputs for r in own]
        rows.append([
            key[1], key[2], kind, str(len(own)), str(sum(r.exists for r in own)),
            _number(worst.test.predicted), _number(worst.test.many), f"{min(bits):.1f} to {max(bits):.1f}",
        ])  # fmt: skip
    return _table(
        ["study", "arm", "an image has", "tasks", "with a J_eff", "worst: foretold", "measured", "log2 J_eff - log2 J"],
        rows,
    )


def _having(found: Sequence[Effective]) -> str:
    """The segmentation tasks that have a J_eff, with what it could be."""
    rows = [
        [r.unit.study, r.unit.arm, r.distribution, str(r.pixels), str(r.labels), f"{r.log2_outputs:.2f}",
         f"{r.entropy_bits:.2f}", f"{r.bits.effect:.2f} [{r.bits.low:.2f}, {r.bits.high:.2f}]"]
        for r in sorted(found, key=lambda r: (r.unit.study, r.unit.arm, r.pixels, r.labels, r.distribution))
        if r.exists and r.segmentation
    ]  # fmt: skip
    return _distances(found) + _table(
        ["study", "arm", "labels are", "n", "L", "log2 J", "H(Y), bits", "log2 J_eff"], rows
    )


def _distances(found: Sequence[Effective]) -> str:
    """What those without a J_eff do instead, and what J_eff is near to, in words."""
    without = [r for r in found if r.segmentation and r.unit.network and not r.exists]
    less = sum(r.test.error.effect < 0 for r in without)
    text = f"Of the {len(without)} segmentation tasks under networks without one, {less} gain less than foretold."
    bits = np.array([
        [r.bits.effect, r.entropy_bits, r.log2_outputs]
        for r in found if r.segmentation and r.exists and r.unit.network and np.isfinite(r.entropy_bits)
    ])  # fmt: skip
    if len(bits):
        entropy, nominal = np.abs(bits[:, :1] - bits[:, 1:]).mean(axis=0)
        text += (
            f" Where it exists, log2 J_eff lies {entropy:.2f} bits from H(Y) and {nominal:.2f} from log2 J on average."
        )
    return text + "\n\n"


def _laws(found: Sequence[Foretold]) -> str:
    """Mean held-out error of each law in each study, the best of a study in bold."""
    studies = list(dict.fromkeys(row.study for row in found))
    names = list(dict.fromkeys(name for row in found for name in row.errors))
    means = {
        (law, study): float(np.mean([row.errors[law] for row in found if row.study == study and law in row.errors]))
        for law in names for study in studies
        if any(row.study == study and law in row.errors for row in found)
    }  # fmt: skip
    best = {study: min((n for n in names if (n, study) in means), key=lambda n: means[n, study]) for study in studies}

    def cell(law: str, study: str) -> str:
        text = _number(means.get((law, study), np.nan))
        return f"**{text}**" if best[study] == law else text

    def rank(law: str) -> float:
        return float(np.mean([means[law, study] for study in studies if (law, study) in means]))

    rows = [
        [law, *(cell(law, study) for study in studies), str(sum(row.best == law for row in found))]
        for law in sorted(names, key=rank)
    ]
    return _table(["law", *studies, f"best of {len(found)}"], rows)


def _answer(verdicts: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"- **{row['arm']}: {row['verdict']}.** {row['sentence']}\n" for row in verdicts)


def blocks(result: Synthesis) -> dict[str, str]:
    """The generated parts by the name of their marker."""
    return {
        "answer": _answer(judge(result)),
        "rule": "".join(f"> {line}\n" for line in RULE.splitlines()),
        "exact": _variables(result.collapses, "exact_match"),
        "pixel": _variables(result.collapses, "pixel_accuracy"),
        "counts": _counts(result.effective),
        "having": _having(result.effective),
        "laws": _laws(result.laws),
    }


def fill(page: str, parts: Mapping[str, str]) -> str:
    """A page with its generated parts written anew.

    Args:
        page: text with `<!-- begin NAME -->` and `<!-- end NAME -->`, each on a line of its own.
        parts: what stands between, by name.

    Raises:
        ValueError: the markers of the page are not those of the parts.

    Example:
        >>> fill("a\\n<!-- begin x -->\\nold\\n<!-- end x -->\\n", {"x": "new\\n"})
        'a\\n<!-- begin x -->\\nnew\\n<!-- end x -->\\n'
    """
    names = [match.group(1) for match in _BLOCK.finditer(page)]
    if sorted(names) != sorted(parts):
        raise ValueError(f"the page must have one marker for each of {', '.join(sorted(parts))}, got {sorted(names)}")
    return _BLOCK.sub(lambda m: f"<!-- begin {m.group(1)} -->\n{parts[m.group(1)]}<!-- end {m.group(1)} -->", page)
