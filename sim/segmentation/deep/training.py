"""Populations of networks on given images: committee members, seeds or learning rates, trained side by side.

One compiled program serves all members, which are spread over the local devices. On each they train one after the
other, as in `sim.population`, by the same `sim.training`. Members may see different views of the same images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from numpy.typing import ArrayLike, NDArray

from sim.networks.registry import NetworkSettings
from sim.segmentation.deep.augmentation import AUGMENTATIONS
from sim.segmentation.deep.rows import initial_row, row_apply
from sim.training import Recipe, TrainInfo, TrainSettings, cross_entropy, make_train_on
from sim.types import Array, Key

ANSWERED_PIXELS = 2**16  # pixels that a network answers for at once: bounds the features of one call
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """Static settings: what shapes the compiled program.

    Attributes:
        network: one unit a pixel under a shared head, or one unit an image.
        training: of the optimiser.
        augmentation: a key of `AUGMENTATIONS`.

    Raises:
        ValueError: an unknown augmentation, or one that moves labels under a network of whole images.
    """

    network: NetworkSettings
    training: TrainSettings = field(default_factory=lambda: TrainSettings(batch_size=2, min_steps=400))
    augmentation: str = "none"

    def __post_init__(self) -> None:
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(f"augmentation must be one of {', '.join(AUGMENTATIONS)}, got {self.augmentation!r}")
        if (self.network.head == "shared") != AUGMENTATIONS[self.augmentation].moves_labels and self._changes:
            kind = "label maps" if self.network.head == "shared" else "whole images"
            raise ValueError(f"augmentation {self.augmentation} does not keep the answers of {kind}")

    @property
    def _changes(self) -> bool:
        return AUGMENTATIONS[self.augmentation].copies > 1


class Member(NamedTuple):
    """One network of a population; leaves carry a leading axis there.

    Attributes:
        recipe: hyperparameters. parameters: initial weights in one row. key: of the order of its images.
        view: number of the view that it sees, int32.
    """

    recipe: Recipe
    parameters: Array
    key: Key
    view: Array


class Trained(NamedTuple):
    """A trained population.

    Attributes:
        network: its settings. parameters: float32, shape (members, numbers): all weights of a member in one row.
        views: the view of each member, int32. info: the record of each member's training, as NumPy arrays.
    """

    network: NetworkSettings
    parameters: Floats
    views: Array
    info: TrainInfo


def _train_one(
    plan: Plan, images: Array, targets: Array, weights: Array, num_images: Array, member: Member
) -> tuple[Any, TrainInfo]:
    augmentation = AUGMENTATIONS[plan.augmentation]

    def look(chosen: Array) -> tuple[Array, Array]:
        # Each copy of an image is an image of its own: the training draws among copies and images at once.
        number, copy = chosen // augmentation.copies, chosen % augmentation.copies
        seen, answers = images[member.view, number], targets[number]
        if augmentation.copies > 1 and augmentation.moves_labels:
            answers = augmentation.apply(answers.reshape(seen.shape), copy)
        return augmentation.apply(seen, copy), answers.reshape(len(chosen), -1)

    train = make_train_on(row_apply(plan.network), plan.training, partial(cross_entropy, weights=weights))
    copies = num_images * augmentation.copies
    recipe = member.recipe._replace(input_noise=0.0)  # known at compile time: no draws are compiled
    return train(member.key, recipe, member.parameters, look, copies, plan.network.classes)


@lru_cache(maxsize=64)
def _program(plan: Plan, devices: tuple[Any, ...]) -> Any:
    over, all_of_it = PartitionSpec("population"), PartitionSpec()

    def shard(members: Member, images: Array, targets: Array, weights: Array, num_images: Array) -> Any:
        return lax.map(partial(_train_one, plan, images, targets, weights, num_images), members)

    mesh = Mesh(np.array(devices), ("population",))
    specs = (over, all_of_it, all_of_it, all_of_it, all_of_it)
    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=over, check_vma=False))


def train_networks(
    plan: Plan,
    images: ArrayLike,
    targets: ArrayLike,
    *,
    seeds: Sequence[int],
    learning_rates: float | Sequence[float] = 3e-3,
    weight_decay: float = 1e-4,
    steps: int = 1000,
    views: Sequence[int] | None = None,
    class_weights: ArrayLike | None = None,
) -> Trained:
    """Train a population of networks until each one's loss is flat or its steps are used up.

    Args:
        plan: static settings.
        images: float, shape (images, rows, columns), or (views, images, rows, columns).
        targets: int, one an image, or shape (images, rows, columns).
        seeds: one a member, of its weights and of the order of its images.
        learning_rates: one for all or one a member. weight_decay: for all.
        steps: budget of each member, decay included; whole blocks of 50 are taken.
        views: the view that each member sees; the first one by default.
        class_weights: float >= 0, shape (classes,): factor of the loss by true class.

    Raises:
        ValueError: shapes or lengths do not fit.
    """
    stack = np.asarray(images, dtype=np.float32)
    stack = stack[None] if stack.ndim == 3 else stack
    if stack.ndim != 4 or stack.shape[2:] != plan.network.image_shape or stack.shape[1] == 0:
        raise ValueError(f"images must have the network's shape {plan.network.image_shape}, got {stack.shape}")
    number, members = stack.shape[1], len(seeds)
    answers = np.asarray(targets, dtype=np.int32)
    answers = answers.reshape(len(answers), -1)
    if answers.shape != (number, plan.network.units):
        raise ValueError(f"targets must be {plan.network.units} for each of {number} images, got {answers.shape}")
    seen = np.zeros(members, int) if views is None else np.asarray(views)
    rates = np.broadcast_to(np.asarray(learning_rates, dtype=np.float32), (members,)) if members else np.zeros(0)
    if members == 0 or seen.shape != (members,) or seen.min() < 0 or seen.max() >= len(stack):
        raise ValueError(f"views must name one of {len(stack)} for each of {members} seeds, got {seen.tolist()}")
    weights = np.ones(plan.network.classes) if class_weights is None else np.asarray(class_weights)
    # Room for a power of two, so that training sets of like size share a program; the rest is never drawn.
    room = 1 << (number - 1).bit_length()
    devices = tuple(jax.local_devices()[:members])
    slots = -(-members // len(devices)) * len(devices)
    order = np.arange(slots) % members
    budget = np.where(np.arange(slots) < members, steps, 0).astype(np.int32)
    constant = np.zeros(slots, np.float32)
    recipe = Recipe(rates[order], constant + np.float32(weight_decay), constant, budget)
    keys = jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32)[order])
    started = np.stack([initial_row(plan.network, seed) for seed in seeds])[order]
    trained, info = _program(plan, devices)(
        Member(recipe, jnp.asarray(started), keys, jnp.asarray(seen[order], jnp.int32)),
        np.resize(stack.swapaxes(0, 1), (room, len(stack), *stack.shape[2:])).swapaxes(0, 1),
        np.resize(answers, (room, answers.shape[1])),
        weights.astype(np.float32),
        np.int32(number),
    )
    trained, info = jax.tree.map(lambda leaf: np.asarray(leaf)[:members], (trained, info))
    return Trained(plan.network, trained, jnp.asarray(seen, jnp.int32), info)


@lru_cache(maxsize=64)
def _answers(network: NetworkSettings) -> Any:
    apply = row_apply(network)

    def answer(parameters: Any, views: Array, images: Array) -> Array:
        return lax.map(lambda one: jax.nn.softmax(apply(one[0], images[one[1]])), (parameters, views))

    return jax.jit(answer)


def member_probabilities(trained: Trained, images: ArrayLike) -> Floats:
    """What each member answers: float32, shape (members, images, units, classes).

    Args:
        trained: the population. A network with one unit a pixel may be asked for images of another size.
        images: float, shape (images, rows, columns), or (views, images, rows, columns).
    """
    stack = np.asarray(images, dtype=np.float32)
    stack = stack[None] if stack.ndim == 3 else stack
    rows, columns = stack.shape[2:]
    network = trained.network
    if network.head == "shared":
        network = replace(network, image_shape=(rows, columns), units=rows * columns)
    size = max(1, min(ANSWERED_PIXELS // (rows * columns), 64))
    found = []
    for start in range(0, stack.shape[1], size):
        part = stack[:, start : start + size]
        padded = np.pad(part, ((0, 0), (0, size - part.shape[1]), (0, 0), (0, 0)))
        answered = np.asarray(_answers(network)(trained.parameters, trained.views, padded))
        found.append(answered[:, : part.shape[1]])
    return np.concatenate(found, axis=1)


def committee_probabilities(trained: Trained, images: ArrayLike) -> Floats:
    """The mean of the members' answers: float32, shape (images, units, classes)."""
    return np.asarray(member_probabilities(trained, images).mean(axis=0))
