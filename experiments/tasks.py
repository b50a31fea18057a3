"""From a trial's factors to what the engine runs: a task description, static settings and one population member."""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import DIGITS, DigitsSpec, fewest_images
from experiments.spec import Trial, UsageError
from sim import learners
from sim.generators.blocks import BlocksSpec
from sim.generators.codebook import CodebookSpec
from sim.generators.dictionary import DictionarySpec
from sim.generators.fields import FieldsSpec
from sim.generators.registry import GENERATORS
from sim.member import Member, Settings
from sim.networks.registry import NetworkSettings
from sim.training import Recipe, TrainSettings
from sim.types import Generator

ALL_GENERATORS: dict[str, Generator] = {**GENERATORS, DIGITS.name: DIGITS}
# How a generator added from outside builds its task description from factors: name -> factors -> spec.
SPEC_MAKERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {}


class Task(NamedTuple):
    """One trial, ready for a population.

    Attributes:
        settings: static settings; `max_inputs` is this trial's own need, raised to its group's by the runner.
        member: the trial as an unbatched population member.
    """

    settings: Settings
    member: Member


def bucket(count: int) -> int:
    """The smallest of 16, 64, 256, ... that holds `count`: few compiled shapes, at most four times too wide above 16.

    Example:
        >>> [bucket(n) for n in (1, 16, 17, 100)]
        [16, 16, 64, 256]
    """
    return max(16, 4 ** math.ceil(math.log(count, 4) - 1e-9))


def most_square(pixels: int) -> tuple[int, int]:
    """The (rows, columns) of an image of so many pixels that is nearest to a square, rows <= columns.

    Example:
        >>> most_square(64), most_square(96)
        ((8, 8), (8, 12))
    """
    rows = max(r for r in range(1, math.isqrt(pixels) + 1) if pixels % r == 0)
    return rows, pixels // rows


def make_spec(factors: Mapping[str, Any]) -> Any:
    """Build the generator's task description from factors; counts and noise become traced numbers."""
    number: Any = np.float32
    count: Any = np.int32
    flag: Any = np.bool_
    if factors["generator"] in SPEC_MAKERS:
        return SPEC_MAKERS[factors["generator"]](factors)
    match factors["generator"]:
        case "codebook":
            return CodebookSpec(
                max_outputs=bucket(factors["outputs"]),
                image_shape=most_square(factors["dimension"]),
                outputs=count(factors["outputs"]),
                signal_power=number(factors["signal_power"]),
                noise=number(factors["noise"]),
                balanced=flag(factors["balanced"]),
            )
        case "blocks":
            return BlocksSpec(
                tiles=factors["tiles"],
                labels=factors["labels"],
                tile_shape=most_square(factors["tile_dimension"]),
                similarity=number(factors["similarity"]),
                signal_power=number(factors["signal_power"]),
                noise=number(factors["noise"]),
                relabelled=flag(factors["relabelled"]),
                balanced=flag(factors["balanced"]),
            )
        case "fields":
            return FieldsSpec(
                grid_shape=(factors["rows"], factors["columns"]),
                field=factors["field"],
                max_labels=2 if factors["labels"] == 2 else max(4, factors["labels"]),
                labels=count(factors["labels"]),
                spacing=number(factors["spacing"]),
                noise=number(factors["noise"]),
                stay=number(factors.get("stay", 0.9)),
                coupling=number(factors.get("coupling", 0.0)),
            )
        case "dictionary":
            return DictionarySpec(
                grid_size=factors["grid_size"],
                scenes=factors["scenes"],
                frame=factors["frame"],
                spread=factors["spread"],
                max_labels=2 if factors["labels"] == 2 else max(4, factors["labels"]),
                labels=count(factors["labels"]),
                bits=count(factors["bits"]),
                spacing=number(factors["spacing"]),
                noise=number(factors["noise"]),
            )
        case "digits":
            images = fewest_images(factors["outputs"])
            if factors["inputs"] >= images:  # one at least must be left to be tested on
                raise UsageError(
                    f"inputs must be < {images} for {factors['outputs']} classes of digits, got {factors['inputs']}"
                )
            return DigitsSpec(outputs=count(factors["outputs"]))
    raise UsageError(f"generator must be one of {sorted(ALL_GENERATORS)}, got {factors['generator']!r}")


def log2_outputs(factors: Mapping[str, Any]) -> float:
    """Nominal log2 J: units * log2 L for composed images and label maps, log2 J otherwise."""
    if factors["generator"] in SPEC_MAKERS:
        spec, generator = make_spec(factors), ALL_GENERATORS[factors["generator"]]
        return generator.units(spec) * math.log2(generator.num_labels(spec))
    match factors["generator"]:
        case "blocks":
            return float(factors["tiles"] * math.log2(factors["labels"]))
        case "fields":
            return float(factors["rows"] * factors["columns"] * math.log2(factors["labels"]))
        case "dictionary":
            return float((factors["grid_size"] + 2 * factors["frame"]) ** 2 * math.log2(factors["labels"]))
    return math.log2(factors["outputs"])


def make_learner(factors: Mapping[str, Any], spec: Any, generator: Generator) -> NetworkSettings | str:
    """The network's static settings, or the name of an exact learner.

    Raises:
        UsageError: a J-way head with too many label maps, or an exact learner that does not exist for the task.
    """
    if "head" not in factors:
        if not learners.supports(generator.name, factors["network"], spec):
            raise UsageError(f"network {factors['network']!r} has no exact form on {generator.name} of this size")
        return str(factors["network"])
    units, classes = generator.units(spec), generator.max_labels(spec)
    if factors["head"] == "jway":
        maps = round(2 ** log2_outputs(factors)) if log2_outputs(factors) < 31 else 2**31
        if maps > 65536:
            raise UsageError(f"a jway head must have <= 65536 outputs, got 2**{log2_outputs(factors):g}")
        units, classes = 1, bucket(maps)
    return NetworkSettings(
        network=factors["network"],
        head=factors["head"],
        image_shape=generator.image_shape(spec),
        units=units,
        classes=classes,
        width=factors.get("width", 1),
        depth=factors.get("depth", 2),
        receptive_field=factors.get("receptive_field", 1),
        levels=factors.get("levels", 2),
    )


def key_words(identity: str, role: str) -> Any:
    """Two 32-bit words of a random key from a hash, one stream a role; the stream depends on the identity alone."""
    digest = hashlib.sha256(f"{identity}/{role}".encode()).digest()
    return np.frombuffer(digest[:8], dtype=np.uint32)


def make_task(trial: Trial) -> Task:
    """Turn one trial into a population member with its own random streams.

    Raises:
        UsageError: factors that describe no possible task, with the rule and the value.
    """
    factors = dict(trial.factors)
    generator = ALL_GENERATORS[factors["generator"]]
    spec = make_spec(factors)
    learner = make_learner(factors, spec, generator)
    settings = Settings(
        generator=generator,
        learner=learner,
        max_inputs=bucket(factors["inputs"]),
        test_items=factors["test_items"],
        training=TrainSettings(batch_size=factors.get("batch_size", 64)),
        keep_ranks=factors.get("keep_ranks", False),
    )
    recipe = Recipe(
        learning_rate=np.float32(factors.get("learning_rate", 0.0)),
        weight_decay=np.float32(factors.get("weight_decay", 0.0)),
        input_noise=np.float32(factors.get("input_noise", 0.0)),
        max_steps=np.int32(factors.get("max_steps", 0)),
    )
    member = Member(
        spec=spec,
        num_inputs=np.int32(factors["inputs"]),
        recipe=recipe,
        data_key=key_words(trial.data_identity, "data"),
        model_key=key_words(trial.identity, "model"),
    )
    return Task(settings, member)


def stack_members(tasks: list[Task]) -> Member:
    """Join unbatched members of equal static shape into one population."""
    stacked = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *(task.member for task in tasks))
    return stacked._replace(
        data_key=jax.random.wrap_key_data(stacked.data_key), model_key=jax.random.wrap_key_data(stacked.model_key)
    )
