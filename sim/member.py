"""One member of a population from birth to score: its task and images are drawn, it learns, answers and is scored.

A member's results depend on its settings, spec and keys alone; `sim.population` runs many at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from sim import learners
from sim.generators.label_maps import map_index, map_labels
from sim.metrics import Prediction, Scores, score
from sim.networks.heads import mask_classes
from sim.networks.registry import Network, NetworkSettings
from sim.training import Recipe, TrainInfo, TrainSettings, make_loss_path, make_train_on
from sim.types import Array, Batch, Generator, Key, Spec

EVALUATION_CHUNK = 500  # images scored at once: bounds the logits of a wide head
HELD_BYTES = 2**26  # training images of one member above this size are drawn anew for each step instead of being held
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
        keep_ranks: whether `Results` carry what becomes of each test item; networks with a jway head only.
        keep_scores: whether they carry the whole score row of each test item too; with `keep_ranks` only.

    Raises:
        ValueError: `keep_ranks` without a jway head, `keep_scores` without `keep_ranks`.
    """

    generator: Generator
    learner: NetworkSettings | str
    max_inputs: int
    test_items: int = 4000
    training: TrainSettings = field(default_factory=TrainSettings)
    keep_ranks: bool = False
    keep_scores: bool = False

    def __post_init__(self) -> None:
        head = self.learner if isinstance(self.learner, str) else self.learner.head
        if self.keep_ranks and head != "jway":
            raise ValueError(f"keep_ranks must go with a network with a jway head, got {head!r}")
        if self.keep_scores and not self.keep_ranks:
            raise ValueError("keep_scores must go with keep_ranks, got it alone")


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


class Ranks(NamedTuple):
    """How the true class of each test item fares among the J classes, shape (test items,).

    Attributes:
        label: true class, int32; -1 where the stream has no such item.
        beaten: classes that score strictly below the true one, 0 .. J - 1, int32: a tie counts as lost.
        margin: score of the true class minus that of the best other, float32, nats: above 0 where all are beaten.
    """

    label: Array
    beaten: Array
    margin: Array


class Results(NamedTuple):
    """One row a member: test scores, training scores (exact match and unit accuracy), the training record, and, where
    the settings keep them, ranks and score rows: log probabilities of all classes, padding included, shape (test items,
    classes), float32."""

    test: Scores
    train_accuracy: Array
    info: TrainInfo
    ranks: Ranks | None = None
    scores: Array | None = None


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


def _of_units(prediction: Prediction, units: Any) -> Prediction:
    """The prediction for some units alone; a head with one output for the whole map keeps that."""
    wide = prediction.targets.shape[1] == prediction.marginal.shape[1]
    log_probabilities, targets = prediction.log_probabilities, prediction.targets
    if wide:
        log_probabilities, targets = log_probabilities[:, units], targets[:, units]
    return Prediction(log_probabilities, targets, prediction.marginal[:, units], prediction.joint[:, units])


def rank_classes(prediction: Prediction, num_classes: Array, weights: Array) -> Ranks:
    """Rank the true class of each item among the classes that exist.

    Args:
        prediction: of a jway head, log probabilities of shape (items, 1, classes).
        num_classes: J; classes from there on are padding.
        weights: float32, shape (items,), 0 where there is no such item.

    Example:
        >>> table = jnp.log(jnp.array([[[0.5, 0.3, 0.2, 0.0]], [[0.2, 0.2, 0.6, 0.0]]]))
        >>> answers = jnp.array([[0], [2]])
        >>> found = rank_classes(Prediction(table, jnp.array([[1], [0]]), answers, answers), 3, jnp.array([1.0, 1.0]))
        >>> found.beaten.tolist(), [round(margin, 2) for margin in found.margin.tolist()]
        ([1, 0], [-0.51, -1.1])
    """
    scores, label = prediction.log_probabilities[:, 0], prediction.targets
    own = jnp.take_along_axis(scores, label, axis=1)
    number = jnp.arange(scores.shape[1])[None, :]
    rival = (number < num_classes) & (number != label)
    beaten = jnp.sum(rival & (scores < own), axis=1).astype(jnp.int32)
    margin = own[:, 0] - jnp.max(jnp.where(rival, scores, -jnp.inf), axis=1)
    return Ranks(jnp.where(weights > 0, label[:, 0], -1), beaten, margin)


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


def holds_images(settings: Settings, spec: Spec) -> bool:
    """Whether a member keeps its training images in memory. Exact learners always do: they need all of them at once.

    A network with more than `HELD_BYTES` of them draws the images of a batch anew, from their numbers, at each step.
    """
    rows, columns = settings.generator.image_shape(spec)
    return isinstance(settings.learner, str) or 4 * rows * columns * settings.max_inputs <= HELD_BYTES


class Drawn(NamedTuple):
    """What a member starts from: it depends on the member's spec, number of inputs and keys alone.

    Attributes:
        world: what all images of the task share.
        train: room for `max_inputs` images, of which the member learns from its first `num_inputs`; only those that
            are scored where the others are drawn anew (`holds_images`).
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
    room = settings.max_inputs if holds_images(settings, spec) else min(settings.max_inputs, TRAIN_SCORED)
    train = generator.draw(image_key, spec, world, jnp.arange(room))
    test_indices = num_inputs + jnp.arange(settings.test_items)
    test = generator.draw(image_key, spec, world, test_indices)
    test_weights = (test_indices < generator.available(spec, world)).astype(jnp.float32)
    if isinstance(settings.learner, str):
        return Drawn(world, train, test, test_weights, (), member.model_key)
    init_key, order_key = jax.random.split(member.model_key)
    parameters = Network(settings.learner).init(init_key, train.images[:1])
    return Drawn(world, train, test, test_weights, parameters, order_key)


def _training_arguments(settings: Settings, member: Member, drawn: Drawn) -> tuple[Any, ...]:
    """The arguments of `sim.training.make_train_on`'s function for a member that is a network."""
    assert isinstance(settings.learner, NetworkSettings)
    generator, spec = settings.generator, member.spec
    num_labels = generator.num_labels(spec)
    targets_of = partial(_head_targets, settings.learner, num_labels=num_labels)
    held, held_targets = holds_images(settings, spec), targets_of(drawn.train.labels)
    image_key = jax.random.split(member.data_key)[1]

    def look(chosen: Array) -> tuple[Array, Array]:
        if held:
            return drawn.train.images[chosen], held_targets[chosen]
        batch = generator.draw(image_key, spec, drawn.world, chosen)
        return batch.images, targets_of(batch.labels)

    classes = num_labels ** generator.units(spec) if settings.learner.head == "jway" else num_labels
    num_inputs = jnp.asarray(member.num_inputs, jnp.int32)
    return drawn.order_key, member.recipe, drawn.parameters, look, num_inputs, classes


def make_member(settings: Settings) -> Callable[[Member], Results]:
    """Make the whole life of one member: draw the task, learn from I images, answer and be scored on fresh ones."""
    generator = settings.generator

    def run(member: Member) -> Results:
        spec, num_inputs = member.spec, jnp.asarray(member.num_inputs, jnp.int32)
        drawn = draw_member(settings, member)
        train, test = drawn.train, drawn.test
        shown = min(settings.max_inputs, TRAIN_SCORED)
        num_labels = generator.num_labels(spec)
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
            training = make_train_on(apply, settings.training)
            parameters, info = training(*_training_arguments(settings, member, drawn))
            predict = partial(_predict, settings.learner, partial(apply, parameters), spec=spec, gen=generator)
            prediction = predict(images=test.images, labels=test.labels)
            fitted = predict(images=train.images[:shown], labels=train.labels[:shown])

        right = jnp.all(fitted.joint == train.labels[:shown], axis=1).astype(jnp.float32)
        train_accuracy = jnp.sum(right * train_weights) / jnp.maximum(jnp.sum(train_weights), 1.0)
        scored = generator.scored(spec)
        if scored is not None:
            scores = score(_of_units(prediction, scored), test.labels[:, scored], drawn.test_weights, num_labels)
        else:
            scores = score(prediction, test.labels, drawn.test_weights, num_labels)
        if not settings.keep_ranks:
            return Results(scores, train_accuracy, info)
        ranks = rank_classes(prediction, num_labels ** generator.units(spec), drawn.test_weights)
        rows = prediction.log_probabilities[:, 0] if settings.keep_scores else None
        return Results(scores, train_accuracy, info, ranks, rows)

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
