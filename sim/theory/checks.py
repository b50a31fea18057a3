"""Argument checks of the public functions of `sim.theory`: the message names the argument, the rule and the value."""

from typing import Any


def require(condition: bool, name: str, rule: str, value: Any) -> None:
    """Raise ValueError "name must be rule, got value" unless `condition` holds.

    Example:
        >>> require(False, "noise", "> 0", -1.0)
        Traceback (most recent call last):
        ValueError: noise must be > 0, got -1.0
    """
    if not condition:
        raise ValueError(f"{name} must be {rule}, got {value!r}")


def require_whole(name: str, value: float, low: int) -> int:
    """Return `value` as an int if it is a whole number >= `low` (3.0 counts: tables hold floats)."""
    require(float(value).is_integer() and value >= low, name, f"a whole number >= {low}", value)
    return int(value)


def require_between(name: str, value: float, low: float, high: float) -> float:
    """Return `value` as a float if low <= value <= high."""
    require(low <= value <= high, name, f"in [{low:g}, {high:g}]", value)
    return float(value)


def require_positive(name: str, value: float) -> float:
    """Return `value` as a float if it is finite and > 0."""
    require(0 < value < float("inf"), name, "> 0 and finite", value)
    return float(value)


def require_not_negative(name: str, value: float) -> float:
    """Return `value` as a float if it is finite and >= 0."""
    require(0 <= value < float("inf"), name, ">= 0 and finite", value)
    return float(value)


def require_one_of(name: str, value: str, options: tuple[str, ...]) -> str:
    """Return `value` if it is one of `options`."""
    require(value in options, name, "one of " + ", ".join(options), value)
    return value


def optional_draws(num_draws: int | None) -> int | None:
    """Return the number of Monte Carlo draws as an int >= 2, or None for the function's own choice."""
    return None if num_draws is None else require_whole("num_draws", num_draws, 2)
