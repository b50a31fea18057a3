"""Trials, sweeps and studies: what is run, under an identity that depends on scientific fields alone."""

import hashlib
import inspect
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from experiments.factors import (
    CONDITIONS,
    FACTORS,
    GENERATOR_FACTORS,
    NOMINAL,
    PIXELWISE,
    RECIPE_NUMBERS,
    RECIPES,
    Factor,
    UsageError,
    applying_factors,
    get_factor,
)
from experiments.families.registry import FAMILIES

__all__ = ["ALGORITHM_VERSION", "FACTORS", "Factor", "Study", "Sweep", "Trial", "UsageError", "rule_hash"]

ALGORITHM_VERSION = 1  # part of every identity: raised only when the same factors would give other results
ANALYSIS_VERSION = 1  # part of every rule's hash: raised when the same rows would give another verdict
Resolve = Callable[[dict[str, Any]], Mapping[str, Any]]  # factors with gaps -> factors with the recipe's numbers


def canonical_json(value: Any) -> str:
    """The one text of a value: sorted keys, no spaces, ASCII, no NaN.

    Example:
        >>> canonical_json({"b": 1.0, "a": [True, "x"]})
        '{"a":[true,"x"],"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def identity_under(version: int, factors: Mapping[str, Any], seed: int) -> str:
    """The identity that these factors and this seed have under an algorithm version."""
    return _digest({"version": version, "factors": dict(factors), "seed": seed})


@dataclass(frozen=True)
class Trial:
    """One cell with one seed.

    Attributes:
        factors: the factors that apply, as (name, value) pairs sorted by name, values canonical.
        seed: data seed; the seed of the initial weights is the factor `init_seed`.
    """

    factors: tuple[tuple[str, Any], ...]
    seed: int

    @cached_property
    def identity(self) -> str:
        """SHA-256 of algorithm version, factors and seed: no path, engine, chunk size or device enters."""
        return identity_under(ALGORITHM_VERSION, dict(self.factors), self.seed)

    @cached_property
    def data_identity(self) -> str:
        """The same hash over what sets the images alone: networks of one cell share their data bit for bit, and a
        relabelling, a frame or labels that never occur leave the images as they are."""
        values = dict(self.factors)
        generator = values["generator"]
        names = {"generator", *GENERATOR_FACTORS[generator]} - set(NOMINAL.get(generator, ("relabelled",)))
        if generator not in FAMILIES:
            names |= {"inputs", "test_items"}
        data = {name: value for name, value in values.items() if name in names}
        return _digest({"version": ALGORITHM_VERSION, "data": data, "seed": self.seed})

    @property
    def is_measured(self) -> bool:
        """Whether a measured family gives the result, and not a population of networks."""
        return dict(self.factors)["generator"] in FAMILIES

    @property
    def factors_json(self) -> str:
        """All factors as canonical JSON, for the table."""
        return canonical_json(dict(self.factors))

    @property
    def arm(self) -> str:
        """What is compared within a cell: "mlp+reg", "bayes", "mlp/dense+relabelled", "conv7".

        The head is named where an image has several labels; a shared head is the usual one on a convolutional trunk.
        """
        values = dict(self.factors)
        if values["generator"] in FAMILIES:
            return "/".join(str(values[name]) for name in FAMILIES[values["generator"]].arm)
        label = str(values["network"]) + str(values.get("receptive_field", ""))
        usual = "shared" if values["network"] in PIXELWISE else None
        if _has_several_units(values) and "head" in values and values["head"] != usual:
            label += "/" + values["head"]
        label += RECIPES[values["recipe"]] if "recipe" in values else ""
        return label + ("+relabelled" if values.get("relabelled") else "")


def trial_of(row: Mapping[str, Any]) -> Trial:
    """The trial of a stored row, from its factors and seed; of another algorithm version it has another identity.

    Example:
        >>> trial_of({"factors_json": '{"noise":1.0,"outputs":4}', "seed": 3})
        Trial(factors=(('noise', 1.0), ('outputs', 4)), seed=3)
    """
    return Trial(tuple(sorted(json.loads(row["factors_json"]).items())), row["seed"])


def _has_several_units(cell: Mapping[str, Any]) -> bool:
    return "labels" in cell


def count_outputs(cell: Mapping[str, Any]) -> int | None:
    """J of a cell, exact: `outputs`, or labels**tiles; None for a label field, whose J has no use as a number."""
    if "outputs" in cell:
        return int(cell["outputs"])
    return int(cell["labels"] ** cell["tiles"]) if "tiles" in cell else None


def _whole_inputs(cell: dict[str, Any]) -> int:
    ratio, outputs = cell["inputs_per_output"], count_outputs(cell)
    if outputs is None:
        raise UsageError(f"inputs_per_output must not be set for {cell['generator']} (use inputs), got {ratio}")
    inputs = ratio * outputs
    if not math.isclose(inputs, round(inputs), rel_tol=1e-12) or round(inputs) < 1:
        raise UsageError(
            f"inputs_per_output * outputs must be a whole number >= 1, got {ratio} * {outputs} = {inputs:.6g}"
        )
    return round(inputs)


def _complete(cell: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    """Check the rules between factors and fill in what was left to be chosen.

    `keep_ranks` is part of a trial only where it is true: ordinary trials keep the identity they had before it.
    """
    if not cell.get("keep_ranks"):
        cell.pop("keep_ranks", None)
    if "inputs_per_output" in cell:
        cell["inputs"] = _whole_inputs(cell)
        del cell["inputs_per_output"]
    if cell["generator"] == "digits" and cell["outputs"] > 10:
        raise UsageError(f"outputs must be <= 10 for digits, got {cell['outputs']}")
    if cell.get("field") == "ising" and cell["labels"] != 2:
        raise UsageError(f"labels must be 2 for field ising, got {cell['labels']}")
    if cell["generator"] in FAMILIES:
        missing = [name for name, value in cell.items() if value is None]
        if missing:
            raise UsageError(f"{missing[0]} must be set: {cell['generator']} has no recipe for it")
        return cell
    if "head" in cell:
        several, pixelwise = _has_several_units(cell), cell["network"] in PIXELWISE and "tiles" not in cell
        if cell["head"] is None:
            cell["head"] = "jway" if not several else "shared" if pixelwise else "dense"
        if cell["head"] != "jway" and not several:
            raise UsageError(f"head must be jway for {cell['generator']}, got {cell['head']!r}")
    missing = [name for name in RECIPE_NUMBERS if name in cell and cell[name] is None]
    if missing:
        found = resolve(dict(cell))
        cell.update({name: FACTORS[name].check(found.get(name)) for name in missing})
        for name in missing:
            if cell[name] is None:
                raise UsageError(f"{name} must be set: no recipe has one for network {cell['network']!r}")
    return cell


def _default_resolve(factors: dict[str, Any]) -> Mapping[str, Any]:
    from experiments.recipes import resolve_recipe

    return resolve_recipe(factors)


def _values(name: str, given: Any) -> tuple[Any, ...]:
    factor = get_factor(name)
    listed = given if isinstance(given, Iterable) and not isinstance(given, str) and _has_axis(given) else [given]
    values = tuple(dict.fromkeys(factor.check(value) for value in listed))
    if not values:
        raise UsageError(f"{name} must have at least one value, got none")
    return values


def _has_axis(given: Any) -> bool:
    return getattr(given, "ndim", 1) > 0  # a NumPy scalar array calls itself iterable


def _seeds(given: int | Iterable[int], first: int = 0) -> tuple[int, ...]:
    if isinstance(given, int) and not isinstance(given, bool):
        if given < 1:
            raise UsageError(f"seeds must be >= 1, got {given}")
        return tuple(range(first, first + given))
    if isinstance(given, (str, bool)) or not isinstance(given, Iterable):
        raise UsageError(f"seeds must be a number of seeds or a list of whole numbers, got {given!r}")
    seeds = tuple(dict.fromkeys(seed.item() if hasattr(seed, "item") else seed for seed in given))
    if not seeds or not all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in seeds):
        raise UsageError(f"seeds must be whole numbers >= 0, got {list(seeds)}")
    return seeds


def _listed(factors: Mapping[str, tuple[Any, ...]], name: str) -> tuple[Any, ...]:
    return factors.get(name, (FACTORS[name].default,))


def _applies(name: str, factors: Mapping[str, tuple[Any, ...]]) -> bool:
    get_factor(name)
    conditional = name in CONDITIONS and CONDITIONS[name][1] not in _listed(factors, CONDITIONS[name][0])
    pairs = itertools.product(_listed(factors, "generator"), _listed(factors, "network"))
    own = "inputs" if name == "inputs_per_output" else name
    return any(own in applying_factors(*pair) and (pair[0] in FAMILIES or not conditional) for pair in pairs)


class Sweep:
    """A grid: the product of all listed factors, times seeds.

    Args:
        seeds: a number of seeds (0, 1, ...), or the seeds themselves.
        factors: any factor of `FACTORS`, as one value or a list of values. Those left out take their defaults, those
            that do not apply to a generator or network of the grid are ignored there. `inputs_per_output` replaces
            `inputs`.

    Raises:
        UsageError: an unknown factor, a value against its rule, or a factor that applies nowhere in the grid.

    Example:
        >>> sweep = Sweep(generator="codebook", network=["bayes", "plugin"], outputs=[4, 16], seeds=3,
        ...               inputs_per_output=4)
        >>> trials = sweep.trials()
        >>> len(trials), trials[0].arm, dict(trials[-1].factors)["inputs"]
        (12, 'bayes', 64)
    """

    def __init__(self, *, seeds: int | Iterable[int] = 4, **factors: Any) -> None:
        self.seeds = _seeds(seeds)
        self.factors: dict[str, tuple[Any, ...]] = {name: _values(name, given) for name, given in factors.items()}
        if "inputs" in self.factors and "inputs_per_output" in self.factors:
            raise UsageError("inputs and inputs_per_output must not both be set: one gives the other")
        for name in self.factors:
            if not self.applies(name):
                parts = ", ".join(_listed(self.factors, "generator") + _listed(self.factors, "network"))
                raise UsageError(f"{name} must apply to a part of the sweep, but {parts} have no such factor")

    def __repr__(self) -> str:
        parts = [f"{name}={list(values)}" for name, values in self.factors.items()]
        return f"Sweep({', '.join([*parts, f'seeds={list(self.seeds)}'])})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sweep) and (self.factors, self.seeds) == (other.factors, other.seeds)

    def applies(self, name: str) -> bool:
        """Whether some cell of this grid has the factor."""
        return _applies(name, self.factors)

    def override(self, values: Mapping[str, Any], seeds: int | Sequence[int] | None = None) -> "Sweep":
        """The same grid with other values; own factors that no longer apply anywhere are dropped.

        A number of seeds counts from this grid's first seed.
        """
        fresh = {name: _values(name, given) for name, given in values.items()}
        replaced = {"inputs", "inputs_per_output"} if {"inputs", "inputs_per_output"} & set(fresh) else set()
        kept = {name: value for name, value in self.factors.items() if name not in replaced} | fresh
        kept = {name: value for name, value in kept.items() if name in fresh or _applies(name, kept)}
        new_seeds = self.seeds if seeds is None else _seeds(seeds, self.seeds[0])
        return Sweep(seeds=new_seeds, **kept)

    def _cells(self) -> Iterator[dict[str, Any]]:
        for generator, network in itertools.product(
            _listed(self.factors, "generator"), _listed(self.factors, "network")
        ):
            chosen = {**self.factors, "generator": (generator,), "network": (network,)}
            names = list(applying_factors(generator, network))
            if "inputs_per_output" in chosen:
                names[names.index("inputs")] = "inputs_per_output"
            for values in itertools.product(*(_listed(chosen, name) for name in names)):
                cell = dict(zip(names, values, strict=True))
                yield {
                    name: value
                    for name, value in cell.items()
                    if generator in FAMILIES
                    or name not in CONDITIONS
                    or cell[CONDITIONS[name][0]] == CONDITIONS[name][1]
                }

    def trials(self, resolve: Resolve | None = None) -> list[Trial]:
        """All trials, each identity once, in the order of the grid with seeds innermost.

        Args:
            resolve: factors with None for what is still open -> a mapping with learning_rate, weight_decay,
                input_noise; by default the committed recipes.

        Raises:
            UsageError: a cell that breaks a rule between factors.
        """
        found = {}
        for cell in self._cells():
            pairs = tuple(sorted(_complete(cell, resolve or _default_resolve).items()))
            for seed in self.seeds:
                found[pairs, seed] = Trial(pairs, seed)
        return list(found.values())


Judge = Callable[[Mapping[str, Any]], list[dict[str, Any]]]


class Study(NamedTuple):
    """A claim made testable.

    Attributes:
        name: the key of the registry.
        summary: one line for `capsim list`.
        claim: the survey's words, quoted.
        question: what is asked.
        survey_predicts: what the survey says will be seen.
        rival_predicts: what the rival theory says.
        rule: the decision rule in words, fixed before the runs.
        primary: whether its intervals are the primary studies' 99%.
        presets: name -> the grids that are run together.
        judge: table columns -> verdict rows.
        rule_source: what the rule's hash covers instead of the source of the judge's module.
    """

    name: str
    summary: str
    claim: str
    question: str
    survey_predicts: str
    rival_predicts: str
    rule: str
    primary: bool
    presets: Mapping[str, tuple[Sweep, ...]]
    judge: Judge
    rule_source: str | None = None

    def sweeps(self, preset: str) -> tuple[Sweep, ...]:
        """The grids of a preset.

        Raises:
            UsageError: no such preset.
        """
        if preset not in self.presets:
            raise UsageError(f"preset must be one of {', '.join(self.presets)} for {self.name}, got {preset!r}")
        return self.presets[preset]

    def factors(self) -> list[Factor]:
        """Everything that can be swept in this study."""
        sweeps = [sweep for sweeps in self.presets.values() for sweep in sweeps]
        return [factor for name, factor in FACTORS.items() if any(sweep.applies(name) for sweep in sweeps)]

    def trials(
        self,
        preset: str,
        overrides: Mapping[str, Any] | None = None,
        seeds: int | Sequence[int] | None = None,
        resolve: Resolve | None = None,
    ) -> list[Trial]:
        """The trials of a preset, each identity once.

        Args:
            preset: "smoke", "laptop" or "paper".
            overrides: factor -> value or values, which replace those of every grid in which the factor applies.
            seeds: number of seeds, counted from each grid's first, or the seeds themselves.
            resolve: see `Sweep.trials`.

        Raises:
            UsageError: unknown preset or factor, a value against its rule, a factor that applies to no grid.
        """
        values = {name: _values(name, given) for name, given in (overrides or {}).items()}
        sweeps = list(self.sweeps(preset))
        for stage in (("generator", "network"), ("field",), tuple(values)):  # what applies depends on the stage before
            chosen = {name: values[name] for name in stage if name in values}
            for name in chosen:
                if not any(sweep.applies(name) for sweep in sweeps):
                    raise UsageError(f"{name} applies to nothing in {self.name}: see `capsim list factors {self.name}`")
            sweeps = [sweep.override({n: v for n, v in chosen.items() if sweep.applies(n)}) for sweep in sweeps]
        trials = (trial for sweep in sweeps for trial in sweep.override({}, seeds).trials(resolve))
        return list(dict.fromkeys(trials))


def rule_hash(study: Study) -> str:
    """SHA-256 of what decides a verdict: the rule's words, the judge's source, the grids of all presets, and the
    versions of algorithm and analysis."""
    source = study.rule_source
    if source is None:
        module = inspect.getmodule(study.judge)
        source = inspect.getsource(module or study.judge)
    grids = {name: [repr(sweep) for sweep in sweeps] for name, sweeps in study.presets.items()}
    versions = [ALGORITHM_VERSION, ANALYSIS_VERSION]
    return _digest({"versions": versions, "rule": study.rule, "source": source, "grids": grids})
