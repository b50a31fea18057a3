"""Many learners at once: one compiled program for a whole group of trials of equal shape.

Each member draws its own task, learns, and is scored, all inside one `lax.map` whose chunks of `chunk` members are
vmapped, and the population axis is sharded over every local device. On CPU the fast form is one host device a core
and a chunk of one (a network and its optimiser state then stay in the core's cache); on an accelerator the chunk is
as wide as memory allows. A member's results do not depend on which others it is packed with.

Before JAX starts, ask for one host device a core: `jax.config.update("jax_num_cpu_devices", os.cpu_count())`.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from sim import learners
from sim.generators.label_maps import map_index, map_labels
from sim.metrics import Prediction, Scores, score
from sim.networks.heads import mask_classes
from sim.networks.registry import Network, NetworkSettings
from sim.training import Recipe, TrainInfo, TrainSettings, make_loss_path, make_train
from sim.types import Array, Batch, Generator, Key, Spec

EVALUATION_CHUNK = 500  # images scored at once: bounds the logits of a wide head
TRAIN_SCORED = 2000  # training images on which the training accuracy is measured, at most


@dataclass(frozen=True)
class Settings:
    """Static settings of a population: everything that shapes the compiled program.

    Attributes:
        generator: the family of tasks.
        learner: a `NetworkSettings` (a network to be trained) or the name of an exact learner of `sim.learners`.
        max_inputs: rows held for training images, at least every member's `num_inputs`.
        test_items: test images a member.
        training: static settings of the optimiser.
    """

    generator: Generator
    learner: NetworkSettings | str
    max_inputs: int
    test_items: int = 4000
    training: TrainSettings = field(default_factory=TrainSettings)


class Member(NamedTuple):
    """One trial's traced settings; in a population each leaf carries a leading axis.

    Attributes:
        spec: the task description (its static fields are shared by the population).
        num_inputs: training images I, int32.
        recipe: optimiser hyperparameters; ignored by exact learners.
        data_key, model_key: typed keys, for task and images, and for weights and order.
    """

    spec: Spec
    num_inputs: Any
    recipe: Recipe
    data_key: Key
    model_key: Key


class Results(NamedTuple):
    """One row a member: test scores, training scores (exact match and unit accuracy) and the training record."""

    test: Scores
    train_accuracy: Array
    info: TrainInfo


def _head_targets(settings: NetworkSettings, labels: Array, num_labels: Array) -> Array:
    if settings.head == "jway":
        return map_index(labels, num_labels)[:, None]
    return labels


def _predict(
    settings: NetworkSettings, apply: Callable[[Array], Array], images: Array, labels: Array, spec: Spec, gen: Generator
) -> Prediction:
    """Answer for every image, a chunk at a time."""
    num_labels, units = gen.num_labels(spec), gen.units(spec)
    classes = num_labels**units if settings.head == "jway" else num_labels

    def answer(chunk: tuple[Array, Array]) -> Prediction:
        chunk_images, chunk_labels = chunk
        log_probabilities = jax.nn.log_softmax(mask_classes(apply(chunk_images), classes))
        chosen = jnp.argmax(log_probabilities, axis=-1).astype(jnp.int32)
        decided = map_labels(chosen[:, 0], num_labels, units) if settings.head == "jway" else chosen
        targets = _head_targets(settings, chunk_labels, num_labels)
        return Prediction(log_probabilities, targets, decided, decided)

    return in_chunks(answer, (images, labels))


def in_chunks(function: Callable[[Any], Any], arrays: Any) -> Any:
    """Apply `function` to slices of `EVALUATION_CHUNK` rows and join the results; rows are padded, then cut."""
    rows = jax.tree.leaves(arrays)[0].shape[0]
    size = min(EVALUATION_CHUNK, rows)
    padding = -rows % size
    stacked = jax.tree.map(
        lambda a: jnp.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1)).reshape(-1, size, *a.shape[1:]), arrays
    )
    joined = lax.map(function, stacked)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:rows], joined)


class Drawn(NamedTuple):
    """What a member starts from: it depends on the member's spec, number of inputs and keys alone.

    Attributes:
        world: what all images of the task share.
        train: room for `max_inputs` images, of which the member learns from its first `num_inputs`.
        test: the test images. test_weights: 1 for each that exists, 0 past the end of a finite stream.
        parameters: initial weights; nothing for an exact learner.
        order_key: key of the order of the training images and of their noise; the model key for an exact learner.
    """

    world: Any
    train: Batch
    test: Batch
    test_weights: Array
    parameters: Any
    order_key: Key


def draw_member(settings: Settings, member: Member) -> Drawn:
    """Draw a member's task, images and initial weights, as its training does.

    Args:
        settings: static settings.
        member: one member, without a population axis.
    """
    generator, spec = settings.generator, member.spec
    num_inputs = jnp.asarray(member.num_inputs, jnp.int32)
    world_key, image_key = jax.random.split(member.data_key)
    world = generator.make_world(world_key, spec)
    train = generator.draw(image_key, spec, world, jnp.arange(settings.max_inputs))
    test_indices = num_inputs + jnp.arange(settings.test_items)
    test = generator.draw(image_key, spec, world, test_indices)
    test_weights = (test_indices < generator.available(spec, world)).astype(jnp.float32)
    if isinstance(settings.learner, str):
        return Drawn(world, train, test, test_weights, (), member.model_key)
    init_key, order_key = jax.random.split(member.model_key)
    parameters = Network(settings.learner).init(init_key, train.images[:1])
    return Drawn(world, train, test, test_weights, parameters, order_key)


def _training_arguments(settings: Settings, member: Member, drawn: Drawn) -> tuple[Any, ...]:
    """The arguments of `sim.training.make_train`'s function for a member that is a network."""
    assert isinstance(settings.learner, NetworkSettings)
    generator, spec = settings.generator, member.spec
    num_labels = generator.num_labels(spec)
    targets = _head_targets(settings.learner, drawn.train.labels, num_labels)
    classes = num_labels ** generator.units(spec) if settings.learner.head == "jway" else num_labels
    num_inputs = jnp.asarray(member.num_inputs, jnp.int32)
    return drawn.order_key, member.recipe, drawn.parameters, drawn.train.images, targets, num_inputs, classes


def make_member(settings: Settings) -> Callable[[Member], Results]:
    """Make the whole life of one member: draw the task, learn from I images, answer and be scored on fresh ones."""
    generator = settings.generator

    def run(member: Member) -> Results:
        spec, num_inputs = member.spec, jnp.asarray(member.num_inputs, jnp.int32)
        drawn = draw_member(settings, member)
        train, test = drawn.train, drawn.test
        num_labels = generator.num_labels(spec)
        shown = min(settings.max_inputs, TRAIN_SCORED)
        train_weights = (jnp.arange(shown) < num_inputs).astype(jnp.float32)

        if isinstance(settings.learner, str):
            learn = learners.LEARNERS[generator.name, settings.learner].learn
            answer = learn(spec, drawn.world, train, num_inputs)
            prediction = in_chunks(lambda chunk: answer(*chunk), (test.images, test.labels))
            fitted = in_chunks(lambda chunk: answer(*chunk), (train.images[:shown], train.labels[:shown]))
            nothing = jnp.zeros((), jnp.int32)
            info = TrainInfo(nothing, jnp.asarray(True), jnp.asarray(True), jnp.zeros(()))
        else:
            apply: Callable[[Any, Array], Any] = Network(settings.learner).apply
            training = make_train(apply, settings.training)
            parameters, info = training(*_training_arguments(settings, member, drawn))
            predict = partial(_predict, settings.learner, partial(apply, parameters), spec=spec, gen=generator)
            prediction = predict(images=test.images, labels=test.labels)
            fitted = predict(images=train.images[:shown], labels=train.labels[:shown])

        right = jnp.all(fitted.joint == train.labels[:shown], axis=1).astype(jnp.float32)
        train_accuracy = jnp.sum(right * train_weights) / jnp.maximum(jnp.sum(train_weights), 1.0)
        return Results(score(prediction, test.labels, drawn.test_weights, num_labels), train_accuracy, info)

    return run


def loss_path(settings: Settings, member: Member) -> Array:
    """Train one network once more and return its loss by block; see `sim.training.make_loss_path`.

    Raises:
        ValueError: an exact learner, which has no loss.
    """
    if isinstance(settings.learner, str):
        raise ValueError(f"a loss path needs a network, got the exact learner {settings.learner!r}")
    apply: Callable[[Any, Array], Any] = Network(settings.learner).apply
    path = make_loss_path(apply, settings.training)
    return jax.jit(lambda member: path(*_training_arguments(settings, member, draw_member(settings, member))))(member)


@lru_cache(maxsize=64)
def _program(settings: Settings, chunk: int, devices: tuple[Any, ...]) -> Callable[[Member], Results]:
    run = make_member(settings)
    mesh = Mesh(np.array(devices), ("population",))
    over = PartitionSpec("population")

    def shard(members: Member) -> Results:
        return lax.map(run, members, batch_size=chunk if chunk > 1 else None)

    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=over, out_specs=over, check_vma=False))


def train_population(
    settings: Settings,
    members: Member,
    *,
    chunk: int = 1,
    slots: int | None = None,
    devices: Sequence[Any] | None = None,
) -> Results:
    """Train and score a population, sharded over devices.

    Args:
        settings: static settings shared by all members.
        members: every leaf with a leading axis of one length, the population.
        chunk: members vmapped together on a device.
        slots: compile for this many members and pad with idle ones, so that groups of different size share a program;
            the population's own size by default.
        devices: all local devices by default.

    Returns:
        `Results` whose leaves are NumPy arrays with the population as the first axis.

    Raises:
        ValueError: a chunk or number of slots that cannot hold the population.

    Example: `benchmarks.workloads.population_rate` builds a population by hand.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be >= 1, got {chunk}")
    local = tuple(devices) if devices is not None else tuple(jax.local_devices())
    if len(local) == 1 and local[0].platform == "cpu" and (os.cpu_count() or 1) > 1:
        warnings.warn(
            f"one host device on {os.cpu_count()} cores: call jax.config.update('jax_num_cpu_devices', "
            f"{os.cpu_count()}) before JAX starts to use them all",
            stacklevel=2,
        )
    size = jax.tree.leaves(members)[0].shape[0]
    wanted = size if slots is None else slots
    total = -(-wanted // (len(local) * chunk)) * len(local) * chunk
    if size > total:
        raise ValueError(f"slots must be >= the population of {size}, got {slots}")
    # Members are dealt to the devices in turn, so that each device has its share of them, of the idle slots and, where
    # the caller has sorted them by length, of the long ones.
    number = np.arange(size)
    slot = (number % len(local)) * (total // len(local)) + number // len(local)
    order, idle = np.zeros(total, int), np.ones(total, bool)
    order[slot], idle[slot] = number, False
    padded = jax.tree.map(lambda leaf: leaf[order], members)
    steps = jnp.where(jnp.asarray(idle), 0, jnp.asarray(padded.recipe.max_steps))
    padded = padded._replace(recipe=padded.recipe._replace(max_steps=steps))
    results = _program(settings, chunk, local)(padded)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[slot], results)
