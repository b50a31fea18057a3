"""Family `edge_map`: contours on closed shapes, with the start and the edge map changed apart."""

from collections.abc import Mapping
from typing import Any

from experiments.factor import ANY, POSITIVE, Factor, one_of, rule
from experiments.families.family import Family

SECONDS = {  # of one image, on one core
    "polar": 0.005, "convex": 0.02, "geodesic": 0.015, "snake": 0.012, "local_fit": 0.045, "chan_vese": 0.03,
    "shape_start": 0.02, "shape_prior": 0.02, "shape_both": 0.02,
}  # fmt: skip
EDGE_CONTOURS = ("polar", "convex", "geodesic", "snake")  # whose evidence is the edge map


def _seconds(factors: Mapping[str, Any]) -> float:
    return float(SECONDS[factors["contour"]] * factors["test_items"] + 0.02)


FAMILY = Family(
    name="edge_map",
    summary="contours on one closed shape in noise: error of the start against the edge map",
    factors=(
        Factor("contour", str, "geodesic", one_of(SECONDS), "method that moves or finds the contour"),
        Factor("start_error", float, 0.0, rule("must be in [0, 0.6]", lambda e: 0 <= e <= 0.6),
               "error of the start as a share of the object's radius"),
        Factor("edge_strength", float, 4.0, POSITIVE, "grey value inside minus outside, in units of the noise"),
        Factor("clutter", bool, False, ANY, "a neighbour touches the object"),
        Factor("object_radius", float, 17.0, rule("must be in [6, 18]", lambda r: 6 <= r <= 18),
               "mean radius of the object, in pixels"),
        Factor("swapped", bool, False, ANY, "the edge map is the next image's"),
        "test_items",
    ),
    data=("edge_strength", "clutter", "object_radius", "test_items"),
    arm=("contour",),
    together=("edge_strength", "clutter", "object_radius", "test_items", "swapped"),
    batch=24,
    seconds=_seconds,
)  # fmt: skip
