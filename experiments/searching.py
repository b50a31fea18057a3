"""Parameters of segmentation systems: chosen by validation, from equally many candidates a system, deep or not.

`capsim tune systems` fits four candidates of every system on every phantom and number of training images that the study
uses, on one seed that no result uses, and writes all scores and the winners to `SEARCH_FILE`, which is committed. The
winners' numbers are part of the identity of the study's trials.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from experiments.families.systems import SEGMENTED, SYSTEMS
from experiments.spec import Sweep, Trial, canonical_json

SEARCH_FILE = Path(__file__).parent / "studies" / "systems_search.json"
CANDIDATES = 4  # fits and validations a system, phantom and number of training images
SEED, PHANTOMS_SEEN = 900_001, 24  # of validation: far from the seeds 0, 1, 2, ... of every preset
EFFORT = 0.5  # of the training: candidates are ranked, not finished
ANCHORS = ("unet", "random_forest", "otsu")  # fitted on all phantoms
WINNERS = ("fitting_and_contour", "shape_graph_cut", "sparse_level_set", "lesion_pipeline", "self_supervised_svm")
SIZES = (16, 64)
RATES = (1e-2, 1e-3)  # tried beside the default by whatever has a network
# What sets the size of a network or of its training, the same for all, or names an arm.
FIXED = ("learning_rate", "steps", "batch_size", "members", "augment", "arm", "width", "depth", "levels", "rates",
         "skips", "views", "each", "receptive_field")  # fmt: skip


def candidates(parameters: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The settings that are tried: the default; two other learning rates; then other values, one parameter at a time.

    First the second value of every parameter that is not in `FIXED`, then the third ones; a network that has no such
    parameter is tried without augmentation.

    Args:
        parameters: of a `Segmenter`, the default first.

    Example:
        >>> candidates({"blur": (1.0, 0.0, 2.0), "extra": (0, 1)})
        [{}, {'blur': 0.0}, {'extra': 1}, {'blur': 2.0}]
        >>> candidates({"learning_rate": (3e-3, 1e-3, 1e-2), "augment": (True, False)})
        [{}, {'learning_rate': 0.01}, {'learning_rate': 0.001}, {'augment': False}]
    """
    found: list[dict[str, Any]] = [{}]
    own = {name: values for name, values in parameters.items() if name not in FIXED}
    if "learning_rate" in parameters:
        found += [{"learning_rate": rate} for rate in RATES]
        own = own or {"augment": parameters["augment"]}
    for place in range(1, max((len(values) for values in own.values()), default=1)):
        found += [{name: values[place]} for name, values in own.items() if place < len(values)]
    return found[:CANDIDATES]


def pairs() -> list[tuple[str, str, int]]:
    """Every (system, phantom, training images) that is tuned: on its own phantom, anchors on all, winners on most."""
    own = [(system, facts[0], size) for system, facts in SYSTEMS.items() for size in SIZES]
    anchors = [(system, phantom, size) for system in ANCHORS for phantom in (*SEGMENTED, "mitosis") for size in SIZES]
    winners = [(system, phantom, SIZES[-1]) for system in WINNERS for phantom in SEGMENTED]
    return list(dict.fromkeys([*own, *anchors, *winners]))


def key_of(system: str, phantom: str, inputs: int) -> str:
    """The key of the committed file."""
    return f"{system}/{phantom}/{inputs}"


def search_trials() -> dict[str, list[Trial]]:
    """Key -> the trials of its candidates."""
    from sim.segmentation.registry import SEGMENTERS

    return {
        key_of(system, phantom, inputs): [
            Sweep(
                generator="systems", system=system, phantom=phantom, inputs=inputs, settings=canonical_json(settings),
                effort=EFFORT if SYSTEMS[system][1] else 1.0, test_items=PHANTOMS_SEEN, shifted_items=1, seeds=[SEED],
            ).trials()[0]
            for settings in candidates(SEGMENTERS[system].parameters)
        ]
        for system, phantom, inputs in pairs()
    }  # fmt: skip


def choose(tried: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """What is written for one key: the settings with the best validation score, its first if several tie; and all.

    Example:
        >>> choose([("{}", 0.5), ('{"blur":2.0}', 0.75)])["chosen"]
        {'blur': 2.0}
    """
    best = max(tried, key=lambda pair: pair[1])
    listed = [[json.loads(settings), round(score, 4)] for settings, score in tried]
    return {"chosen": json.loads(best[0]), "validation": round(best[1], 4), "tried": listed}


@lru_cache(maxsize=1)
def _found() -> dict[str, dict[str, Any]]:
    return json.loads(SEARCH_FILE.read_text()) if SEARCH_FILE.exists() else {}


def settings_of(system: str, phantom: str, inputs: int) -> str:
    """The chosen settings as a factor's value; of the nearest number of training images that was tuned, else "{}"."""
    sizes = sorted(SIZES, key=lambda size: abs(size - inputs))
    known = (_found().get(key_of(system, phantom, size)) for size in sizes)
    return canonical_json(next((entry["chosen"] for entry in known if entry), {}))


def search(store: Any, progress: Any = None, engine: Any = None) -> Path:
    """Run what is missing of the search and write `SEARCH_FILE`; a trial that failed or diverged scores 0."""
    from experiments.runner import run_trials

    plan = search_trials()
    table, _ = run_trials("systems-search", [t for trials in plan.values() for t in trials], store, progress,
                          engine=engine)  # fmt: skip
    rows = {row["identity"]: row for row in table.to_pylist()}

    def score(trial: Trial) -> float:
        row = rows[trial.identity]
        return float(json.loads(row["scores_json"])["primary"]) if row["status"] == "ok" else 0.0

    found = {key: choose([(dict(t.factors)["settings"], score(t)) for t in trials]) for key, trials in plan.items()}
    lines = [f"{json.dumps(key)}: {canonical_json(found[key])}" for key in sorted(found)]
    SEARCH_FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    _found.cache_clear()
    return SEARCH_FILE
