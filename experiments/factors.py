"""Factors: everything that a sweep may vary, each with its type, default value and rule, and the parts they apply to.

This module and those that read it know nothing of JAX, so a wrong value is refused before anything heavy is loaded.
"""

import difflib
import math
import numbers
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple


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
            >>> FACTORS["noise"].check("1"), FACTORS["outputs"].check(16.0), FACTORS["balanced"].check("false")
            (1.0, 16, False)
            >>> FACTORS["outputs"].check(-3)
            Traceback (most recent call last):
            experiments.factors.UsageError: outputs must be >= 2, got -3
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

RECIPES = {"plain": "", "regularised": "+reg"}  # recipe -> its mark in an arm's label
HEADS = ("jway", "dense", "shared", "placed")
FIELDS = ("independent", "chain", "ising")

GENERATOR_FACTORS: dict[str, tuple[str, ...]] = {
    "codebook": ("outputs", "balanced", "signal_power", "noise", "dimension"),
    "blocks": (
        "tiles", "labels", "tile_dimension", "similarity", "relabelled", "signal_power", "noise", "balanced",
    ),
    "fields": ("rows", "columns", "labels", "field", "spacing", "noise", "stay", "coupling"),
    "digits": ("outputs",),
}  # fmt: skip
_TRAINING = (
    "recipe", "learning_rate", "weight_decay", "input_noise", "max_steps", "batch_size", "init_seed",
)  # fmt: skip
NETWORK_FACTORS: dict[str, tuple[str, ...]] = {
    "mlp": ("head", "width", "depth", *_TRAINING),
    "linear": ("head", *_TRAINING),
    "conv": ("head", "receptive_field", "width", *_TRAINING),
    "bayes": (),
    "plugin": (),
    "class_mean": (),
    "known": (),
}
RANKED_GENERATORS = ("codebook", "digits")  # whose networks, all with a jway head, may keep their ranks
COMMON_FACTORS = ("generator", "network", "inputs", "test_items")
CONDITIONS = {"stay": ("field", "chain"), "coupling": ("field", "ising")}  # factor -> (factor, value) it depends on
RECIPE_NUMBERS = ("learning_rate", "weight_decay", "input_noise")
AUTO = ("head", *RECIPE_NUMBERS)  # factors that a trial fills in where the sweep leaves them open


def _rule(text: str, accepts: Callable[[Any], bool]) -> Rule:
    return Rule(accepts, lambda: text)


def _at_least(bound: float) -> Rule:
    return _rule(f"must be >= {bound}", lambda value: value >= bound)


def _one_of(names: Collection[str]) -> Rule:
    return Rule(lambda value: value in names, lambda: "must be one of " + ", ".join(names))


_POSITIVE = _rule("must be > 0", lambda value: value > 0)
_ANY = _rule("must be true or false", lambda value: True)

FACTORS: dict[str, Factor] = {
    factor.name: factor
    for factor in (
        Factor("generator", str, "codebook", _one_of(GENERATOR_FACTORS), "family of images"),
        Factor("network", str, "mlp", _one_of(NETWORK_FACTORS), "trained network or exact learner"),
        Factor("head", str, None, _one_of(HEADS), "auto: jway for one unit, shared on conv, else dense"),
        Factor("recipe", str, "plain", _one_of(RECIPES), "kind of training recipe"),
        Factor("inputs", int, 256, _at_least(1), "training images I"),
        Factor("inputs_per_output", float, None, _POSITIVE, "n = I/J, instead of inputs"),
        Factor("outputs", int, 16, _at_least(2), "classes J"),
        Factor("balanced", bool, True, _ANY, "equal counts of every class, or labels drawn independently"),
        Factor("signal_power", float, 0.25, _POSITIVE, "variance g of a codeword's pixel"),
        Factor("noise", float, 1.0, _POSITIVE, "standard deviation of the noise of a pixel"),
        Factor("dimension", int, 64, _at_least(1), "pixels D of an image, shown as near to a square as D allows"),
        Factor("tiles", int, 4, _at_least(1), "tiles m of a composed image"),
        Factor("labels", int, 4, _at_least(2), "labels L of a tile or pixel"),
        Factor("tile_dimension", int, 8, _at_least(1), "pixels of a tile"),
        Factor("similarity", float, 0.0, _rule("must be in [0, 1]", lambda s: 0 <= s <= 1), "shared part of tiles"),
        Factor("relabelled", bool, False, _ANY, "label maps renamed by a random permutation"),
        Factor("field", str, "independent", _one_of(FIELDS), "law of the label field"),
        Factor("rows", int, 4, _at_least(1), "rows of the label field, in pixels"),
        Factor("columns", int, 4, _at_least(1), "columns of the label field, in pixels"),
        Factor("spacing", float, 2.0, _POSITIVE, "distance between the means of neighbouring labels"),
        Factor("stay", float, 0.9, _rule("must be in (0, 1)", lambda s: 0 < s < 1), "chains: P(same label next)"),
        Factor("coupling", float, 0.4407, _at_least(0), "Ising: coupling of neighbours"),
        Factor(
            "receptive_field", int, 7, _rule("must be odd and >= 1", lambda r: r % 2 == 1 and r >= 1),
            "side in pixels of what one output of a convolutional trunk sees",
        ),
        Factor("width", int, 128, _at_least(1), "hidden units or channels"),
        Factor("depth", int, 2, _at_least(1), "hidden layers"),
        Factor("learning_rate", float, None, _POSITIVE, "AdamW step size; auto: from the recipe"),
        Factor("weight_decay", float, None, _at_least(0), "decoupled weight decay; auto: from the recipe"),
        Factor("input_noise", float, None, _at_least(0), "noise added to training images; auto: from the recipe"),
        Factor(
            "max_steps", int, 12_000, _rule("must be between 50 and 102400", lambda s: 50 <= s <= 102_400),
            "budget of training steps",
        ),
        Factor("batch_size", int, 64, _at_least(1), "images a step"),
        Factor("test_items", int, 4000, _at_least(1), "test images"),
        Factor("init_seed", int, 0, _at_least(0), "seed of the initial weights, crossed with the data seed"),
        Factor(
            "keep_ranks", bool, False, _ANY, "store the rank of the true class of each test item, for `extrapolate`"
        ),
    )
}  # fmt: skip


def applying_factors(generator: str, network: str) -> tuple[str, ...]:
    """Names of the factors that a generator under a network has, in the order of `FACTORS`.

    Example:
        >>> applying_factors("digits", "bayes")
        ('generator', 'network', 'inputs', 'outputs', 'test_items')
    """
    names = {*COMMON_FACTORS, *GENERATOR_FACTORS[generator], *NETWORK_FACTORS[network]}
    if generator in RANKED_GENERATORS and "head" in names:
        names.add("keep_ranks")
    return tuple(name for name in FACTORS if name in names)


def get_factor(name: str) -> Factor:
    """Look a factor up.

    Raises:
        UsageError: no such factor.
    """
    if name == "seed":
        raise UsageError("seed is no factor: choose seeds with --seeds N, or Sweep(seeds=...)")
    if name not in FACTORS:
        close = difflib.get_close_matches(name, FACTORS, n=1)
        hint = f"did you mean {close[0]}?" if close else "`capsim list factors STUDY` shows them all"
        raise UsageError(f"no factor named {name!r}: {hint}")
    return FACTORS[name]
