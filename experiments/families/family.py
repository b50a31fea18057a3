"""Measured families: trials that no population of networks can express, each measured by a function of its own.

Their name stands where other trials have their generator. What is declared here is light; the function that measures is
loaded where trials run (`experiments.measures`).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from experiments.factor import Factor, at_least

LEAST_STEPS = Factor("least_steps", int, 1000, at_least(200), "training steps before the loss may be called flat")


class Family(NamedTuple):
    """What sweeps, identities and batches must know of a measured family.

    Attributes:
        name: the value of the factor `generator`.
        summary: one line for `capsim list generators`.
        factors: what may be varied: names of factors that exist, or new ones.
        data: names of the factors that set images: trials that agree in them and in the seed share `data_identity`.
        arm: names of the factors whose values, joined by "/", name the arm.
        together: names of the factors in which the trials of one call agree, such as what sets compiled shapes.
        batch: at most so many trials a call; a kill costs no more than one call on each core.
        seconds: factors -> predicted seconds of one trial on one core.
    """

    name: str
    summary: str
    factors: tuple[str | Factor, ...]
    data: tuple[str, ...]
    arm: tuple[str, ...]
    together: tuple[str, ...]
    batch: int
    seconds: Callable[[Mapping[str, Any]], float]

    def names(self) -> tuple[str, ...]:
        """Names of all factors of the family."""
        return tuple(factor if isinstance(factor, str) else factor.name for factor in self.factors)

    def own_factors(self) -> tuple[Factor, ...]:
        """The factors that the family adds to those that exist."""
        return tuple(factor for factor in self.factors if not isinstance(factor, str))
