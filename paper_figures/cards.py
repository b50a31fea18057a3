"""The interval bar of a verdict card: effect and interval drawn against the threshold of the rule."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.console import show

WIDTH, SIDE = 320.0, 12.0  # of the drawing and of its empty margins, in its own units
ROOM = 0.12  # of the axis, left free on both sides of what is drawn


class Bar(NamedTuple):
    """Places along the axis, in units of the drawing.

    Attributes:
        effect, low, high: of the interval; an end that is missing or infinite lies on the edge of the drawing.
        open_low, open_high: whether the interval goes on beyond that edge.
        threshold: of the rule; None where it names none.
        anchor: how the threshold's label is set so that it stays inside: start, middle or end.
        first, last: the numbers at the ends of the axis.
        words: the same for a reader who does not see it.
    """

    effect: float
    low: float
    high: float
    open_low: bool
    open_high: bool
    threshold: float | None
    anchor: str
    first: str
    last: str
    words: str


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def make_bar(row: Mapping[str, Any]) -> Bar | None:
    """The bar of a verdict, None where it has no effect to draw.

    Args:
        row: a verdict with effect and interval, and the threshold if its rule has one.

    Example:
        >>> bar = make_bar({"effect": 0.5, "interval": [0.4, 0.6], "threshold": 0.0})
        >>> round(bar.threshold, 1), round(bar.effect, 1), bar.words
        (40.6, 239.6, 'effect 0.5, interval from 0.4 to 0.6, threshold 0')
    """
    effect, threshold = _finite(row.get("effect")), _finite(row.get("threshold"))
    low, high = (_finite(end) for end in row.get("interval") or (None, None))
    if effect is None:
        return None
    drawn = [value for value in (effect, low, high, threshold) if value is not None]
    span = max(drawn) - min(drawn) or max(abs(effect), 1.0)
    first, last = min(drawn) - ROOM * span, max(drawn) + ROOM * span

    def place(value: float) -> float:
        return SIDE + (WIDTH - 2 * SIDE) * (value - first) / (last - first)

    cut = None if threshold is None else place(threshold)
    third = None if cut is None else int(3 * cut / WIDTH)
    ends = f"from {'minus infinity' if low is None else show(low)} to {'infinity' if high is None else show(high)}"
    return Bar(
        effect=place(effect),
        low=SIDE if low is None else place(low),
        high=WIDTH - SIDE if high is None else place(high),
        open_low=low is None,
        open_high=high is None,
        threshold=cut,
        anchor="middle" if third is None else ("start", "middle", "end")[min(third, 2)],
        first=show(first),
        last=show(last),
        words=f"effect {show(effect)}, interval {ends}"
        + ("" if threshold is None else f", threshold {show(threshold)}"),
    )
