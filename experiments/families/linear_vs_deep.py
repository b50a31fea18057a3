"""Family `linear_vs_deep`: learners of four tiers on images with a known rule, and on five phantoms."""

from collections.abc import Mapping
from typing import Any

from experiments.factor import Factor, one_of, rule
from experiments.families.family import Family

RULE = "rule"
PHANTOMS = ("ventricle", "liver", "tumour", "cells", "membranes")
RAW = ("linear", "logistic")
QUADRATIC = ("quadratic_linear", "quadratic_logistic")
OTHERS = {  # neither linear in pixels nor deep: on the rule's images, and on phantoms
    RULE: ("forest", "support_vectors"),
    "phantoms": ("random_forest", "logistic_regression", "convex_max_flow", "fitting_and_contour"),
}
DEEP = {RULE: ("mlp", "convnet"), "phantoms": ("mlp", "unet")}
SECONDS = {  # of one trial on one core, on a phantom; a quarter of it on the rule's images
    "linear": 0.3, "logistic": 0.6, "quadratic_linear": 2.5, "quadratic_logistic": 3.5, "forest": 1.5,
    "support_vectors": 1.5, "mlp": 3.0, "convnet": 5.0, "random_forest": 3.5, "logistic_regression": 0.7,
    "convex_max_flow": 0.5, "fitting_and_contour": 3.0, "unet": 15.0,
}  # fmt: skip


def _seconds(factors: Mapping[str, Any]) -> float:
    share = 0.25 if factors["scene"] == RULE else 1.0
    return float(share * SECONDS[factors["learner"]])


FAMILY = Family(
    name="linear_vs_deep",
    summary="linear, quadratic, other and deep learners on rules of chosen nonlinearity and on phantoms",
    factors=(
        Factor("learner", str, "logistic", one_of(SECONDS), "what labels the pixels"),
        Factor("scene", str, RULE, one_of((RULE, *PHANTOMS)), "noise with labels by a rule, or a phantom of 64 pixels"),
        Factor("nonlinearity", float, 0.0, rule("must be in [0, 1]", lambda t: 0 <= t <= 1),
               "share of the rule's score that is a product of pixels; phantoms ignore it"),
        Factor("product_order", int, 2, rule("must be 2 or 3", lambda k: k in (2, 3)), "pixels in the product"),
        Factor("steps_times", int, 1, rule("must be 1 or 4", lambda k: k in (1, 4)),
               "multiple of the usual training steps of deep learners"),
        "noise",
        "inputs",
        "test_items",
    ),
    data=("scene", "nonlinearity", "product_order", "noise", "inputs", "test_items"),
    arm=("learner",),
    together=("scene", "inputs", "test_items"),
    batch=48,
    seconds=_seconds,
)  # fmt: skip
