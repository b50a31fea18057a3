"""Family `metric_gap`: one predictor whose wrong pixels are counted by several metrics."""

from experiments.factor import Factor, one_of, rule
from experiments.families.family import Family

PLACEMENTS = ("independent", "boundary", "missed", "renamed")
CLASS_LAWS = ("equal", "unequal")
SECONDS = {"independent": 0.08, "boundary": 0.13, "missed": 0.04, "renamed": 0.04}  # of 250 maps, on one core

FAMILY = Family(
    name="metric_gap",
    summary="label maps of a stated foreground share, and predictors with a stated share of wrong pixels",
    factors=(
        Factor("foreground", float, 0.27, rule("must be in [0.02, 0.5]", lambda f: 0.02 <= f <= 0.5),
               "share of pixels on objects"),
        "labels",
        Factor("class_law", str, "equal", one_of(CLASS_LAWS), "objects' labels: equally likely, or label k as 1/k"),
        Factor("placement", str, "independent", one_of(PLACEMENTS), "where the predictor errs"),
        Factor("pixel_error", float, 0.05, rule("must be in [0, 0.5]", lambda e: 0 <= e <= 0.5),
               "share of wrong pixels; at most the foreground where whole objects err"),
        "test_items",
    ),
    data=("foreground", "labels", "class_law", "test_items"),
    arm=("placement",),
    together=("placement", "foreground", "labels", "class_law", "test_items"),
    batch=24,
    seconds=lambda factors: SECONDS[factors["placement"]] * factors["test_items"] / 250,
)  # fmt: skip
