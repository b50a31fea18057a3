"""A small store with every trial of the smoke presets, its accuracies made up by simple formulas, and one report."""

import math

import numpy as np
import pytest

from experiments.measuring import make_row
from experiments.store import Store
from experiments.studies.registry import STUDIES
from paper_figures.report import write_report
from tests.paper_figures.measured import SCORES


def _limits(factors, generator):
    """(log2 J, chance, ceiling of exact match, pixel chance, pixel ceiling); plausible, not exact."""
    if generator == "blocks":
        bits = factors["tiles"] * math.log2(factors["labels"])
        return bits, 2**-bits, 0.9 ** factors["tiles"], 1 / factors["labels"], 0.9
    if generator == "fields":
        pixels = factors["rows"] * factors["columns"]
        return pixels * math.log2(factors["labels"]), 2.0**-pixels, 0.92**pixels, 0.5, 0.92
    if generator == "dictionary":
        bits = float((factors["grid_size"] + 2 * factors["frame"]) ** 2)
        return bits, 2.0 ** -factors["bits"], 0.6, 0.86, 0.98
    return math.log2(factors["outputs"]), 1 / factors["outputs"], 0.99, 1 / factors["outputs"], 0.99


def make_rows(study):
    """Rows of a study's smoke preset."""
    generator = np.random.default_rng(5)
    rows = []
    for trial in STUDIES[study].trials("smoke"):
        factors = dict(trial.factors)
        if trial.is_measured:
            scores = SCORES[factors["generator"]](factors, float(generator.standard_normal()))
            rows.append(make_row(study, trial, scores, 1.0) | {"versions": "jax=0", "device": "cpu", "commit": "abc"})
            continue
        bits, chance, ceiling, pixel_chance, pixel_ceiling = _limits(factors, factors["generator"])
        skill = {"bayes": 1.5, "mlp/shared+reg": 1.2, "linear+reg": 1.1}.get(trial.arm, 0.6)
        share = 1 / (1 + math.exp(0.6 * bits - 0.7 * math.log(factors["inputs"]) - skill))
        scatter = 0.01 * float(generator.standard_normal())
        accuracy = min(max(chance + (ceiling - chance) * share + scatter, 0.0), 1.0)
        pixel = min(pixel_chance + (pixel_ceiling - pixel_chance) * share + scatter, 1.0)
        rows.append({
            **factors, "identity": trial.identity, "factors_json": trial.factors_json, "arm": trial.arm,
            "seed": trial.seed, "log2_outputs": bits, "inputs_per_output": factors["inputs"] / 2**bits,
            "test_accuracy": accuracy, "exact_match": accuracy, "pixel_accuracy": pixel, "chance": chance,
            "bayes_known": ceiling, "bayes_composed": 0.95 * ceiling, "bayes_learned": 0.5 * ceiling,
            "pixel_chance": pixel_chance, "pixel_bayes_known": pixel_ceiling,
            "rho": (accuracy - chance) / (ceiling - chance), "converged": True, "status": "ok", "reason": "",
            "versions": "jax=0", "device": "cpu", "commit": "abc",
        })  # fmt: skip
    return rows


@pytest.fixture(scope="session")
def malice():
    """Words that a record may hold and a page must not obey."""
    return "<script>alert('x')</script>"


@pytest.fixture(scope="session")
def rows(malice):
    """Study -> rows, one trial of `heads` diverged for a reason that is no good HTML."""
    made = {study: make_rows(study) for study in STUDIES}
    scores = dict.fromkeys(("test_accuracy", "exact_match", "pixel_accuracy", "rho"))
    made["heads"][-1] |= scores | {"status": "diverged", "reason": malice}
    return made


@pytest.fixture(scope="session")
def store(tmp_path_factory, rows, malice):
    """All studies' rows."""
    store = Store(tmp_path_factory.mktemp("figures") / "store")
    for study, made in rows.items():
        store.publish(study, made)
    store.append_ledger("digits", {"preset": "smoke", "trials": 24, "root_hash": malice})
    return store


@pytest.fixture(scope="session")
def page(tmp_path_factory, store):
    """The report's page, with the figures' files in the folder `figures` beside it."""
    return write_report(store, tmp_path_factory.mktemp("report"), preset="smoke")
