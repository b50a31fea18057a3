"""Family `systems`: one segmentation system, fitted on one phantom and scored there and on a shifted one."""

import json
from collections.abc import Mapping
from typing import Any

from experiments.factor import POSITIVE, Factor, at_least, one_of, rule
from experiments.families.family import Family

SEGMENTED = ("ventricle", "liver", "tumour", "cells", "membranes")
PHANTOMS = (*SEGMENTED, "mitosis", "digits")
# system -> its own phantom, whether a network is in it, seconds on a core of a fit and of an answered image: together
# those of the reference run's rows (`results/systems`); how they divide into the two is a guess.
SYSTEMS: dict[str, tuple[str, bool, float, float]] = {
    "otsu": ("cells", False, 0.01, 0.0003),
    "kmeans": ("cells", False, 0.012, 0.001),
    "linear_regression": ("liver", False, 0.22, 0.002),
    "logistic_regression": ("liver", False, 0.23, 0.002),
    "linear_discriminant": ("liver", False, 0.23, 0.002),
    "support_vector_machine": ("cells", False, 0.3, 0.04),
    "random_forest": ("membranes", False, 1.4, 0.008),
    "random_walker": ("cells", False, 0.01, 0.0003),
    "chan_vese": ("liver", False, 0.04, 0.04),
    "geodesic_active_contour": ("ventricle", False, 0.03, 0.02),
    "convex_max_flow": ("liver", False, 0.01, 0.0008),
    "fitting_and_contour": ("ventricle", False, 0.039, 0.05),
    "shape_graph_cut": ("liver", False, 0.1, 0.01),
    "sparse_level_set": ("liver", False, 0.36, 0.06),
    "lesion_pipeline": ("tumour", False, 0.097, 0.008),
    "forest_graph_cut": ("membranes", False, 2, 0.02),
    "self_supervised_svm": ("cells", False, 0.21, 0.01),
    "forest_peaks": ("mitosis", False, 1.9, 0.009),
    "maxout": ("digits", True, 0.089, 0.0003),
    "committee": ("digits", True, 0.62, 0.0003),
    "classifier": ("digits", True, 0.01, 0.0003),
    "fcn": ("liver", True, 1.5, 0.0003),
    "sliding_window": ("membranes", True, 11, 0.01),
    "mitosis_detector": ("mitosis", True, 10, 0.01),
    "encoder_decoder": ("ventricle", True, 3.8, 0.0005),
    "unet": ("ventricle", True, 7.3, 0.0007),
    "dilated_crf": ("liver", True, 6.5, 0.08),
    "shape_contour": ("ventricle", True, 4.8, 0.01),
    "surface_evolution": ("liver", True, 2.7, 0.003),
    "network_graph_cut": ("liver", True, 2.6, 0.001),
    "component_rejection": ("tumour", True, 1.3, 0.0008),
    "network_watershed": ("cells", True, 3.4, 0.005),
    "self_taught_unet": ("cells", True, 5, 0.0005),
}
BASELINES = ("chance", "constant", "second_rater")  # what systems are held against; they take no settings
STAGES = ("whole", "network", "forest", "start", "prior")


def _is_settings(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _seconds(factors: Mapping[str, Any]) -> float:
    asked = factors["test_items"] + factors["shifted_items"]
    area = (factors["pixels"] / 64) ** 2
    # Drawn once and then kept for the systems that follow; and scored.
    drawn = (0.0042 if factors["phantom"] == "liver" else 0.0024) * (asked + factors["inputs"])
    if factors["system"] in BASELINES:
        return float(0.2 + drawn * area)
    _, deep, fit, answer = SYSTEMS[factors["system"]]
    if deep and factors["stage"] != "forest":
        fit *= factors["effort"]
    return float((fit + drawn + answer * asked) * area)


FAMILY = Family(
    name="systems",
    summary="segmentation systems on phantoms: fitted, then scored on phantoms alike and shifted",
    factors=(
        "inputs",
        "test_items",
        Factor("phantom", str, "ventricle", one_of(PHANTOMS), "what the images show"),
        Factor("system", str, "unet", one_of((*SYSTEMS, *BASELINES)), "what segments them"),
        Factor("stage", str, "whole", one_of(STAGES), "the whole system, its network alone, or another start"),
        Factor("pixels", int, 64, at_least(32), "pixels along a side, the scene the same"),
        Factor("noise_scale", float, 1.0, POSITIVE, "noise over that of the phantom's reference difficulty"),
        Factor("effort", float, 1.0, POSITIVE, "training steps over those of the recipe; 1 for what trains no network"),
        Factor(
            "settings", str, "{}", rule("must be a JSON object of a system's parameters", _is_settings),
            "tuned parameters, by name",
        ),
        Factor("shifted_items", int, 20, at_least(1), "test phantoms of another contrast, blur and family of shapes"),
    ),
    data=("phantom", "pixels", "inputs", "noise_scale", "test_items", "shifted_items"),
    arm=("system", "stage"),
    together=("phantom", "pixels", "system", "inputs"),
    batch=5,
    seconds=_seconds,
)  # fmt: skip
