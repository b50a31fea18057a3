"""Rows: from what a population returned to one tidy row a trial, with its limits, versions and device."""

import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.batches import Batch
from experiments.limits import limits_of
from experiments.records import COLUMNS, RANK_COLUMNS
from experiments.spec import Trial
from sim.member import Ranks, Results
from sim.networks.registry import NetworkSettings, num_parameters


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """Versions, device and commit, as they stand in every row."""
    packages = ("capsim", "jax", "flax", "optax", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        commit = "unknown"
    device = jax.devices()[0]
    return {
        "versions": " ".join(f"{name}={version}" for name, version in versions.items()),
        "device": f"{len(jax.devices())} {device.platform} {device.device_kind} ({platform.machine()})",
        "commit": commit,
    }


def _scalar(value: Any) -> Any:
    item = np.asarray(value).item()
    return item


def make_rows(study: str, batch: Batch, results: Results, seconds: float) -> list[dict[str, Any]]:
    """One tidy row a trial, from what the population returned and what theory says about its cell."""
    rows = []
    for index, (trial, task) in enumerate(zip(batch.trials, batch.tasks, strict=True)):
        factors = dict(trial.factors)
        test = {name: _scalar(values[index]) for name, values in results.test._asdict().items()}
        info = {name: _scalar(values[index]) for name, values in results.info._asdict().items()}
        learner, limits = task.settings.learner, limits_of(factors)
        spec, generator = task.member.spec, task.settings.generator
        network = learner if isinstance(learner, NetworkSettings) else None
        units = network.units if network else generator.units(spec)
        labels = int(generator.num_labels(spec))
        classes = round(2 ** limits["log2_outputs"]) if network and network.head == "jway" else labels
        validation = int(trial.seed) >= 900_000  # tuning seeds: their held-out items are validation, never test
        row = {
            **factors,
            **limits,
            "identity": trial.identity,
            "factors_json": trial.factors_json,
            "study": study,
            "arm": trial.arm,
            "seed": trial.seed,
            "inputs_per_output": _inputs_per_output(factors["inputs"], limits["log2_outputs"]),
            "num_inputs": factors["inputs"],
            "output_units": units * classes,
            "num_parameters": num_parameters(network) if network else 0,
            "steps": info["steps"],
            "train_accuracy": _scalar(results.train_accuracy[index]),
            "validation_accuracy": test["exact_match"] if validation else None,
            "test_accuracy": test["exact_match"],
            "pixel_accuracy": test["pixel_accuracy"],
            "exact_match": test["exact_match"],
            "marginal_exact_match": test["marginal_exact_match"],
            "dice": test["dice"],
            "nll": test["nll"],
            "calibration_error": test["calibration_error"],
            "test_items": int(test["test_items"]),
            "rho": _rho(test["exact_match"], limits["chance"], limits["bayes_known"]),
            "converged": bool(info["converged"]),
            "status": "ok" if info["finite"] else "diverged",
            "reason": "" if info["finite"] else f"training loss not finite at step {info['steps']}",
            "seconds": seconds / len(batch.trials),
            **provenance(),
        }
        if results.ranks is not None and info["finite"]:
            row |= _rank_columns(results.ranks, index)
        rows.append(row)
    return rows


def _rank_columns(ranks: Ranks, index: int) -> dict[str, Any]:
    """The list columns of one trial, for the items that exist; none where weights overflowed after the last loss."""
    columns = {name: np.asarray(values[index]) for name, values in zip(RANK_COLUMNS, ranks, strict=True)}
    there = columns["rank_class"] >= 0
    if not np.isfinite(columns["rank_margin"][there]).all():
        return {}
    return {name: values[there] for name, values in columns.items()}


def _inputs_per_output(inputs: int, bits: float) -> float:
    """I/J; 0 where J is above the largest number."""
    return inputs / 2.0**bits if bits < sys.float_info.max_exp else 0.0


def _rho(accuracy: float, chance: float, ceiling: float) -> float:
    """(A - chance) / (ceiling - chance): NaN where there is nothing to win."""
    return (accuracy - chance) / (ceiling - chance) if ceiling - chance > 1e-12 else float("nan")


def stored_factors(trial: Trial) -> dict[str, Any]:
    """The factors that have a column of their own; all are in `factors_json`."""
    return {name: value for name, value in trial.factors if name in COLUMNS}


def reason_of(error: Exception) -> str:
    """An error in one line, as it stands in a row.

    Example:
        >>> reason_of(ValueError("too large\\nby far"))
        'ValueError: too large'
    """
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def failed_rows(
    study: str, trials: Iterable[Trial], error: Exception, circumstances: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One row a trial that gave no result, with the reason in one line and what the worker was."""
    reason = reason_of(error)
    return [
        {**stored_factors(t), "identity": t.identity, "study": study, "arm": t.arm, "seed": t.seed,
         "factors_json": t.factors_json, "status": "failed", "reason": reason, **circumstances}
        for t in trials
    ]  # fmt: skip
