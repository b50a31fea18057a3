"""What a factor is: a name, a type, a default value and a rule. Everything that a sweep may vary is one.

This module and those that read it know nothing of JAX, so a wrong value is refused before anything heavy is loaded.
"""

import math
import numbers
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

RECIPE_NUMBERS = ("learning_rate", "weight_decay", "input_noise")
AUTO = ("head", *RECIPE_NUMBERS)  # factors that a trial fills in where the sweep leaves them open


class UsageError(ValueError):
    """A user's mistake, told in one line that names the value and the rule; the command line exits with code 2."""


@dataclass(frozen=True)
class Rule:
    """A predicate on a factor's value and how to say it, such as "must be >= 2"."""

    accepts: Callable[[Any], bool]
    describe: Callable[[], str]

    @property
    def text(self) -> str:
        """The rule in words."""
        return self.describe()


class Factor(NamedTuple):
    """Something that a sweep may vary.

    Attributes:
        name: the key of `FACTORS` and the column of the table.
        type: int, float, bool or str.
        default: the value of a sweep that does not mention it; None for the factors in `AUTO`, and for
            `inputs_per_output`, which is used only where it is given.
        rule: what values are possible.
        summary: one line for `capsim list factors`.
    """

    name: str
    type: type
    default: Any
    rule: Rule
    summary: str

    def check(self, value: Any) -> Any:
        """Return `value` in its canonical form, so that equal values hash alike: 1 and 1.0 for a float factor.

        Args:
            value: a Python or NumPy scalar, or its text as typed on a command line; "auto" for the factors in `AUTO`.

        Raises:
            UsageError: wrong type, not finite, or against the rule.

        Example:
            >>> from experiments.factors import FACTORS
            >>> FACTORS["noise"].check("1"), FACTORS["outputs"].check(16.0), FACTORS["balanced"].check("false")
            (1.0, 16, False)
            >>> FACTORS["outputs"].check(-3)
            Traceback (most recent call last):
            experiments.factor.UsageError: outputs must be >= 2, got -3
        """
        if self.name in AUTO and (value is None or value == "auto"):
            return None
        plain = _CONVERTERS[self.type](value.item() if hasattr(value, "item") else value)
        if plain is None:
            raise UsageError(f"{self.name} must be {_TYPE_NAMES[self.type]}, got {value!r}")
        if not self.rule.accepts(plain):
            shown = plain if self.type is not str else repr(plain)
            raise UsageError(f"{self.name} {self.rule.text}, got {shown}")
        return plain


def _to_bool(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _to_float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, numbers.Real)):
        return None
    try:
        number = float(value) + 0.0  # -0.0 becomes 0.0
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _to_int(value: Any) -> int | None:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass  # "1e3" is a whole number too
    elif isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    number = _to_float(value)
    return int(number) if number is not None and number.is_integer() else None


def _to_str(value: Any) -> str | None:
    return value if isinstance(value, str) else None


_CONVERTERS: dict[type, Callable[[Any], Any]] = {bool: _to_bool, float: _to_float, int: _to_int, str: _to_str}
_TYPE_NAMES = {bool: "true or false", float: "a finite number", int: "a whole number", str: "a name"}


def rule(text: str, accepts: Callable[[Any], bool]) -> Rule:
    """A rule whose words never change."""
    return Rule(accepts, lambda: text)


def at_least(bound: float) -> Rule:
    """The rule of a number that has a least value."""
    return rule(f"must be >= {bound}", lambda value: value >= bound)


def one_of(names: Collection[str]) -> Rule:
    """The rule of a name from a list; names that are added to it later count."""
    return Rule(lambda value: value in names, lambda: "must be one of " + ", ".join(names))


POSITIVE = rule("must be > 0", lambda value: value > 0)
ANY = rule("must be true or false", lambda value: True)
