"""Interval bars: everything lies inside the drawing, in its order, and what is infinite is shown as open."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_figures.cards import SIDE, WIDTH, make_bar

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(NUMBERS, min_size=3, max_size=3), NUMBERS)
def test_places_are_inside_and_in_order(values, threshold):
    low, effect, high = sorted(values)
    bar = make_bar({"effect": effect, "interval": [low, high], "threshold": threshold})
    assert SIDE <= bar.low <= bar.effect <= bar.high <= WIDTH - SIDE
    assert SIDE <= bar.threshold <= WIDTH - SIDE
    assert (bar.threshold < bar.low) <= (threshold < low)  # a threshold is drawn outside only if it is
    assert (bar.threshold > bar.high) <= (threshold > high)
    assert not bar.open_low
    assert not bar.open_high


@pytest.mark.parametrize("missing", [None, math.inf, math.nan])
def test_an_end_that_is_missing_is_open(missing):
    bar = make_bar({"effect": 1.0, "interval": [0.5, missing], "threshold": None})
    assert (bar.open_low, bar.open_high, bar.high, bar.threshold) == (False, True, WIDTH - SIDE, None)
    assert bar.words == "effect 1, interval from 0.5 to infinity"


def test_an_interval_of_no_length_has_an_axis():
    bar = make_bar({"effect": 2.0, "interval": [2.0, 2.0]})
    assert bar.low == bar.effect == bar.high == pytest.approx(WIDTH / 2)


@pytest.mark.parametrize("effect", [None, math.nan])
def test_no_effect_no_bar(effect):
    assert make_bar({"effect": effect, "interval": [None, None]}) is None
