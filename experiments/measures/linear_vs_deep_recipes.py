"""Recipes of family `linear_vs_deep`: three candidates for every learner of every side, the usual one first.

`choose_recipes` of the family's measure ranks them on tuning seed 900001, scene by scene; `CHOSEN` holds the winners.
"""

from collections.abc import Mapping
from typing import Any

from experiments.families.linear_vs_deep import RULE

Recipe = Mapping[str, Any]
UNET_STEPS = 200  # the usual ones: `steps_times` multiplies them
_UNET = {"depth": 1, "steps": UNET_STEPS, "batch_size": 8}
_PLACED = {"place": True}
ON_RULE: dict[str, tuple[Recipe, ...]] = {  # all see windows of 5 pixels there
    "linear": ({"setting": 1.0}, {"setting": 30.0}, {"setting": 1000.0}),
    "logistic": ({"setting": 1.0}, {"setting": 0.1}, {"setting": 0.01}),
    "quadratic_linear": ({"setting": 1.0}, {"setting": 30.0}, {"setting": 1000.0}),
    "quadratic_logistic": ({"setting": 1.0}, {"setting": 0.1}, {"setting": 0.01}),
    "forest": ({"setting": 2}, {"setting": 1}, {"setting": 8}),
    "support_vectors": ({"setting": 3.0}, {"setting": 1.0}, {"setting": 10.0}),
    "mlp": ({"learning_rate": 3e-3}, {"learning_rate": 1e-3}, {"learning_rate": 1e-2}),
    "convnet": ({"learning_rate": 3e-3}, {"learning_rate": 1e-3}, {"learning_rate": 1e-2}),
}
ON_PHANTOMS: dict[str, tuple[Recipe, ...]] = {
    "linear": ({"window": 9}, {"window": 5}, {"window": 13}),
    "logistic": ({"window": 9}, {"window": 5}, {"window": 13}),
    "quadratic_logistic": ({"window": 5}, {"window": 3}, {"window": 5, "setting": 0.1}),
    "mlp": ({"window": 9}, {"window": 13}, {"window": 13, "learning_rate": 1e-3}),
    "random_forest": (_PLACED, {**_PLACED, "largest": 16.0}, {**_PLACED, "balance": 0.5}),
    "logistic_regression": (_PLACED, {**_PLACED, "largest": 16.0}, {**_PLACED, "balance": 0.5}),
    "convex_max_flow": ({}, {"smoothness": 0.3}, {"blur": 0.5}),
    "fitting_and_contour": ({}, {"blur": 2.0}, {"scale": 6.0}),
    "unet": (_UNET, {**_UNET, "learning_rate": 1e-2}, {**_UNET, "learning_rate": 1e-2, "levels": 2}),
}
CHOSEN: dict[str, dict[str, int]] = {  # scene -> learner -> number of the winner
    "rule": {
        "linear": 2,
        "logistic": 2,
        "quadratic_linear": 2,
        "quadratic_logistic": 0,
        "forest": 2,
        "support_vectors": 2,
        "mlp": 1,
        "convnet": 0,
    },
    "ventricle": {
        "linear": 2,
        "logistic": 2,
        "quadratic_logistic": 0,
        "mlp": 1,
        "random_forest": 0,
        "logistic_regression": 1,
        "convex_max_flow": 2,
        "fitting_and_contour": 0,
        "unet": 0,
    },
    "liver": {
        "linear": 2,
        "logistic": 2,
        "quadratic_logistic": 0,
        "mlp": 2,
        "random_forest": 1,
        "logistic_regression": 0,
        "convex_max_flow": 2,
        "fitting_and_contour": 1,
        "unet": 0,
    },
    "tumour": {
        "linear": 0,
        "logistic": 2,
        "quadratic_logistic": 0,
        "mlp": 1,
        "random_forest": 2,
        "logistic_regression": 2,
        "convex_max_flow": 1,
        "fitting_and_contour": 0,
        "unet": 1,
    },
    "cells": {
        "linear": 0,
        "logistic": 0,
        "quadratic_logistic": 0,
        "mlp": 1,
        "random_forest": 2,
        "logistic_regression": 1,
        "convex_max_flow": 2,
        "fitting_and_contour": 1,
        "unet": 1,
    },
    "membranes": {
        "linear": 2,
        "logistic": 2,
        "quadratic_logistic": 2,
        "mlp": 1,
        "random_forest": 2,
        "logistic_regression": 2,
        "convex_max_flow": 1,
        "fitting_and_contour": 2,
        "unet": 2,
    },
}


def candidates(scene: str) -> dict[str, tuple[Recipe, ...]]:
    """Learner -> its candidates on a scene."""
    return ON_RULE if scene == RULE else ON_PHANTOMS


def recipe(scene: str, learner: str) -> Recipe:
    """The winner of a learner on a scene.

    Raises:
        ValueError: a learner that has no candidates there.
    """
    known = candidates(scene)
    if learner not in known:
        raise ValueError(f"learner must be one of {', '.join(known)} on scene {scene}, got {learner}")
    return known[learner][CHOSEN[scene][learner]]
