"""`capsim list`."""

from typing import Literal, TypeAlias

from tyro.conf import Positional

from experiments.commands.options import REGISTRIES, Json, find_study, registry
from experiments.console import print_json, print_table
from experiments.factors import AUTO, FACTORS, UsageError

Kind: TypeAlias = Literal["all", "studies", "generators", "networks", "laws", "segmenters", "figures", "factors"]


def list_(kind: Positional[Kind] = "all", study: Positional[str] = "", *, json: Json = False) -> int:
    """Show what there is: studies, generators, networks, laws, segmenters, figures, or the factors of a study.

    Example: capsim list factors codebook

    Args:
        kind: what to list.
        study: whose factors.
    """
    if kind == "factors":
        return _list_factors(study, json)
    if study:
        raise UsageError(f"list {kind} must stand alone, got {study!r}")
    kinds = list(REGISTRIES) if kind == "all" else [kind]
    found = {kind: _entries(kind) for kind in kinds}
    if json:
        print_json(found)
    else:
        for name, entries in found.items():
            print_table(entries, title=name)
    return 0


def _entries(kind: str) -> list[dict[str, str]]:
    if kind == "segmenters":
        facts = ("name", "summary", "task", "phantom", "survey")
        return [{fact: getattr(entry, fact) for fact in facts} for entry in registry(kind).values()]
    summaries = {name: str(getattr(entry, "summary", entry)) for name, entry in registry(kind).items()}
    if kind == "networks":
        from sim.learners import LEARNERS

        for (generator, name), learner in LEARNERS.items():  # one learner has a form for each generator
            before = f"{summaries[name]}; " if name in summaries else "exact learner, "
            summaries[name] = f"{before}on {generator}: {learner.summary}"
    return [{"name": name, "summary": summary} for name, summary in summaries.items()]


def _list_factors(study: str, json: bool) -> int:
    factors = find_study(study).factors() if study else list(FACTORS.values())
    entries = [
        {
            "name": factor.name,
            "type": factor.type.__name__,
            "default": "auto" if factor.name in AUTO else factor.default,
            "rule": factor.rule.text,
            "summary": factor.summary,
        }
        for factor in factors
    ]
    if json:
        print_json({"study": study or None, "factors": entries})
    else:
        print_table(entries, title=f"factors of {study}" if study else "factors")
    return 0
