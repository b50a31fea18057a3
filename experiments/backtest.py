"""Predictions against cells that no fit saw: laws learn on J <= 64 and I <= 1024 and speak of all that is larger."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from experiments.fitting import MIN_CELLS, Arm, largest_held_out, num_cells, study_arms
from experiments.predicting import learn, predict_accuracy
from sim.analysis.curves import cell_summary, mean_interval, variance_model

MOST_OUTPUTS, MOST_INPUTS = 64, 1024  # what the fits may see
STUDIES = ("codebook", "heads")


def restricted(arm: Arm, mask: Any) -> Arm | None:
    """The arm with the rows under a mask, its own largest J and I held out to rank the laws; None if too few cells."""
    rows = {name: np.asarray(column)[mask] for name, column in arm.rows.items()}
    columns = {name: np.asarray(column)[mask] for name, column in arm.columns.items()}
    held = largest_held_out(columns)
    if num_cells(columns, ~held) < MIN_CELLS:
        held = np.zeros(len(held), dtype=bool)
    if num_cells(columns, ~held) < MIN_CELLS:
        return None
    return arm._replace(columns=columns, rows=rows, accuracy=arm.accuracy[mask], held_out=held if held.any() else None)


def backtest_arm(arm: Arm) -> list[dict[str, Any]]:
    """One row a cell beyond the fitted range: what was measured, what was predicted, and whether the interval held.

    `beyond` is the factor by which the cell exceeds the fitted range in J or I, whichever is larger. The predicted
    interval is for the true mean of a cell; what is measured has an error of its own, so the two are joined in
    quadrature before it is said whether the prediction holds.
    """
    outputs, inputs = arm.columns["outputs"], arm.columns["inputs"]
    fitted = (outputs <= MOST_OUTPUTS) & (inputs <= MOST_INPUTS)
    part = restricted(arm, fitted)
    if part is None or fitted.all():
        return []
    predictor = learn(part)
    table = {name: np.asarray(column)[~fitted] for name, column in arm.columns.items()}
    cells = cell_summary({**table, "measured": arm.accuracy[~fitted]}, list(table), "measured")
    measured = mean_interval(cells, level=predictor.best.level, model=variance_model(cells))
    found = []
    for cell, mean in enumerate(cells.mean):
        j, i = float(cells.columns["outputs"][cell]), float(cells.columns["inputs"][cell])
        told = predict_accuracy(predictor, i, j)
        error = float((measured[cell, 1] - measured[cell, 0]) / 2)
        low = told["accuracy"] - np.hypot(told["accuracy"] - told["interval"][0], error)
        high = told["accuracy"] + np.hypot(told["interval"][1] - told["accuracy"], error)
        found.append(
            {
                "arm": arm.name, "metric": arm.metric, "law": told["law"], "outputs": j, "inputs": i,
                "beyond": max(j / MOST_OUTPUTS, i / MOST_INPUTS), "measured": float(mean),
                "predicted": told["accuracy"], "interval": told["interval"], "held": bool(low <= mean <= high),
            }
        )  # fmt: skip
    return found


def backtest_study(study: str, table: pa.Table) -> list[dict[str, Any]]:
    """`backtest_arm` for every arm of a study that has cells enough inside the fitted range, and some outside."""
    return [row for arm in study_arms(study, table) for row in backtest_arm(arm)]


def summarise_backtest(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per arm and metric: cells, mean absolute error, share of intervals that held; all, and 4 and 16 times out."""
    found = []
    for arm, metric in dict.fromkeys((row["arm"], row["metric"]) for row in rows):
        own = [row for row in rows if (row["arm"], row["metric"]) == (arm, metric)]
        line: dict[str, Any] = {"arm": arm, "metric": metric, "law": own[0]["law"], "cells": len(own)}
        for name, low, high in (("all", 0.0, np.inf), ("to_4", 0.0, 4.0), ("to_16", 4.0, 16.0)):
            part = [row for row in own if low < row["beyond"] <= high]
            gaps = [abs(row["predicted"] - row["measured"]) for row in part]
            line[f"error_{name}"] = float(np.mean(gaps)) if part else None
            line[f"held_{name}"] = float(np.mean([row["held"] for row in part])) if part else None
        found.append(line)
    return found
