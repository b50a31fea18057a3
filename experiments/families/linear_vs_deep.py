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
SECONDS = {  # of one trial on one core: on a phantom with 32 images, on the rule's with 64
    "phantoms": {
        "linear": 0.3, "logistic": 0.3, "quadratic_logistic": 1.5, "random_forest": 3.2, "logistic_regression": 0.5,
        "convex_max_flow": 0.4, "fitting_and_contour": 2.5, "mlp": 2.0, "unet": 6.0,
    },
    RULE: {
        "linear": 0.03, "logistic": 0.03, "quadratic_linear": 0.1, "quadratic_logistic": 0.1, "forest": 0.8,
        "support_vectors": 0.8, "mlp": 0.7, "convnet": 1.3,
    },
}  # fmt: skip
LEARNERS = tuple(dict.fromkeys(name for known in SECONDS.values() for name in known))


def _seconds(factors: Mapping[str, Any]) -> float:
    scene, learner = factors["scene"], factors["learner"]
    known = SECONDS[RULE if scene == RULE else "phantoms"].get(learner, 1.0)
    share = 0.25 + 0.75 * factors["inputs"] / (64 if scene == RULE else 32)
    return float(share * known * (factors["steps_times"] if learner in (*DEEP[RULE], *DEEP["phantoms"]) else 1))


FAMILY = Family(
    name="linear_vs_deep",
    summary="linear, quadratic, other and deep learners on rules of chosen nonlinearity and on phantoms",
    factors=(
        Factor("learner", str, "logistic", one_of(LEARNERS), "what labels the pixels"),
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
