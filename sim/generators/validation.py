"""Checks of a task's description where it enters a simulation.

A spec is a pytree: `jax.vmap`, `jax.tree.map` and `jax.jit` rebuild it with axes, shapes and tracers in its fields, so
its constructor cannot check them. Each spec therefore has a method `validated()`, which returns the spec or raises,
and every `make_world` calls it. Traced numbers pass: inside `jit` only static fields have a value to check.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def require(name: str, rule: str, value: Any, holds: Callable[[Any], Any]) -> None:
    """Raise unless every element of a known number keeps a rule; a traced number always passes.

    Args:
        name: the field, for the message.
        rule: what it must be, for the message, such as "> 0".
        value: a number, an array of numbers, or a tracer.
        holds: NumPy array -> booleans of the same shape, in NumPy even inside `jit`; NaN must give False.

    Raises:
        ValueError: "name must be rule, got value".

    Example:
        >>> require("noise", "> 0", 1.0, lambda noise: noise > 0)
        >>> require("noise", "> 0", -1.0, lambda noise: noise > 0)
        Traceback (most recent call last):
        ValueError: noise must be > 0, got -1.0
    """
    if not isinstance(value, jax.core.Tracer) and not np.all(holds(np.asarray(value))):
        raise ValueError(f"{name} must be {rule}, got {value}")


def require_positive(name: str, value: Any) -> None:
    """Require finite numbers above zero."""
    require(name, "> 0 and finite", value, lambda number: (number > 0) & np.isfinite(number))


def require_not_negative(name: str, value: Any) -> None:
    """Require finite numbers of at least zero."""
    require(name, ">= 0 and finite", value, lambda number: (number >= 0) & np.isfinite(number))


def require_fraction(name: str, value: Any) -> None:
    """Require numbers in the closed interval from 0 to 1."""
    require(name, "in [0, 1]", value, lambda number: (number >= 0) & (number <= 1))


def require_whole(name: str, value: Any, low: int, high: int) -> None:
    """Require whole numbers from `low` to `high`, both included."""
    require(
        name,
        f"a whole number in [{low}, {high}]",
        value,
        lambda number: (number >= low) & (number <= high) & (number == np.floor(number)),
    )


def require_shape(name: str, value: tuple[int, int]) -> None:
    """Require two sides of at least one pixel."""
    if len(value) != 2 or not all(isinstance(side, int) and side >= 1 for side in value):
        raise ValueError(f"{name} must be two whole numbers (rows, columns) >= 1, got {value}")
