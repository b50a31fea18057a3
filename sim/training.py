"""Training of one network: AdamW until the training loss is flat, then a linear decay of the learning rate to zero.

A fixed number of steps decides a study about outputs by accident: large J needs more steps, and an undertrained
network looks like a capacity limit. So each network trains at a constant rate until doubling its effort would no
longer pay, and says whether it got there within its budget.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from sim.adam import Moments, adamw, start_moments
from sim.networks.heads import mask_classes
from sim.types import Array, Key

BLOCK = 50  # steps between two looks at the loss
MAX_BLOCKS = 2048  # 102,400 steps: the longest training that the loss record has room for
AT_ONCE_BYTES = 2**18  # the images of a block of steps are looked up at once up to this size, else step by step
DECAY_SHARE = 3  # the decay lasts a third of the time before it, a quarter of the whole
RELATIVE_GAIN = 0.02  # flat: the last quarter of training lowered the loss by less than 2% of the quarter before ...
ABSOLUTE_GAIN = 0.002  # ... or by less than this many nats a unit (a loss on its way to zero never stops in ratio)


@dataclass(frozen=True)
class TrainSettings:
    """Static settings of training.

    Attributes:
        batch_size: images a step, drawn with replacement.
        min_steps: steps before the loss may be called flat.
    """

    batch_size: int = 64
    min_steps: int = 1000

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {self.batch_size}")


class Recipe(NamedTuple):
    """Traced hyperparameters of training; every field may be vmapped.

    Attributes:
        learning_rate: AdamW step size before the decay.
        weight_decay: decoupled decay a step, in units of the learning rate.
        input_noise: standard deviation of Gaussian noise added to each training image at each step.
        max_steps: budget of steps, decay included.
    """

    learning_rate: Any
    weight_decay: Any
    input_noise: Any
    max_steps: Any


class TrainInfo(NamedTuple):
    """What a diagnosis needs.

    Attributes:
        steps: steps taken. converged: the loss was flat before the budget forced the decay.
        finite: no loss was NaN or infinite. loss: mean training loss of the last block, nats a unit.
    """

    steps: Array
    converged: Array
    finite: Array
    loss: Array


Loss: TypeAlias = Callable[[Any, Array, Any], Array]  # (logits, targets, num_classes) -> mean loss of a batch


class _State(NamedTuple):
    parameters: Any
    moments: Moments
    block: Array  # blocks done
    summed: Array  # cumulative sum of the block losses, shape (MAX_BLOCKS + 1,)
    decay_from: Array  # block at which the decay starts
    end: Array  # block at which training ends
    flat: Array
    finite: Array


def cross_entropy(logits: Any, targets: Array, num_classes: Any, weights: Array | None = None) -> Array:
    """Mean negative log-likelihood over images and units, in nats: -mean weights[target] log softmax(logits)[target].

    Args:
        logits: float32, shape (batch, units, classes). targets: int32, shape (batch, units).
        num_classes: int32 scalar; classes from there on are padding.
        weights: float32, shape (classes,); all 1 by default.
    """
    masked = mask_classes(logits, num_classes)
    # The logit of the target as a masked sum: a gather, and the scatter of its gradient, cost more on CPU.
    target = jnp.arange(masked.shape[-1]).reshape(1, 1, -1) == targets[..., None]
    losses = jax.nn.logsumexp(masked, axis=-1) - jnp.sum(jnp.where(target, masked, 0.0), axis=-1)
    return losses.mean() if weights is None else (weights[targets] * losses).mean()


@custom_vmap
def _any_noise(input_noise: Array) -> Array:
    """Whether a chunk of networks has any input noise: one answer for all of it, so that `lax.cond` under vmap still
    skips the draws (a condition that differs between members would have both sides computed)."""
    return input_noise != 0


@_any_noise.def_vmap
def _(axis_size: int, in_batched: list[bool], input_noise: Array) -> tuple[Array, bool]:
    return jnp.any(input_noise != 0), False


def _is_flat(summed: Array, block: Array, min_blocks: int) -> Array:
    quarter = block // 4
    divisor = jnp.maximum(quarter, 1).astype(summed.dtype)
    last = (summed[block] - summed[block - quarter]) / divisor
    before = (summed[block - quarter] - summed[block - 2 * quarter]) / divisor
    gain = before - last
    return (block >= min_blocks) & ((gain < RELATIVE_GAIN * before) | (gain < ABSOLUTE_GAIN))


def _make_loop(apply: Callable[[Any, Array], Array], settings: TrainSettings, loss: Loss) -> Callable[..., _State]:
    min_blocks = max(settings.min_steps // BLOCK, 4)

    def train(
        key: Key,
        recipe: Recipe,
        parameters: Any,
        look: Callable[[Array], tuple[Array, Array]],
        num_inputs: Array,
        num_classes: Array,
    ) -> _State:
        noisy = _any_noise(jnp.asarray(recipe.input_noise, jnp.float32))

        def loss_of(parameters: Any, batch: Array, labels: Array) -> Array:
            return loss(apply(parameters, batch), labels, num_classes)

        shape = jax.eval_shape(look, jax.ShapeDtypeStruct((settings.batch_size,), jnp.int32))[0]
        at_once = 4 * BLOCK * shape.size <= AT_ONCE_BYTES

        def look_up(chosen: Array) -> Any:
            flat = look(chosen.reshape(-1))
            return jax.tree.map(lambda a: a.reshape(BLOCK, settings.batch_size, *a.shape[1:]), flat)

        def choose(index: Array) -> tuple[Array, Array]:
            choice_key, noise_key = jax.random.split(jax.random.fold_in(key, index))
            return jax.random.randint(choice_key, (settings.batch_size,), 0, num_inputs), noise_key

        def step(carry: tuple[Any, Any, Array], drawn: tuple[Any, Array]) -> tuple[tuple[Any, Any, Array], Array]:
            parameters, moments, rate = carry
            seen, noise_key = drawn
            images, targets = seen if at_once else look(seen)

            def blur(clean: Array) -> Array:
                return clean + recipe.input_noise * jax.random.normal(noise_key, clean.shape)

            batch = lax.cond(noisy, blur, lambda clean: clean, images)
            value, gradient = jax.value_and_grad(loss_of)(parameters, batch, targets)
            parameters, moments = adamw(parameters, moments, gradient, rate, recipe.weight_decay)
            return (parameters, moments, rate), value

        def run_block(state: _State) -> _State:
            left = (state.end - state.block).astype(jnp.float32)
            length = jnp.maximum(state.end - state.decay_from, 1).astype(jnp.float32)
            rate = recipe.learning_rate * jnp.minimum(left / length, 1.0)
            # The draws of a whole block at once, each from its own step's key: a step of a tiny network is shorter
            # than the random bits it needs.
            chosen, noise_keys = jax.vmap(choose)(state.block * BLOCK + jnp.arange(BLOCK))
            seen = look_up(chosen) if at_once else chosen
            (parameters, moments, _), losses = lax.scan(
                step, (state.parameters, state.moments, rate), (seen, noise_keys)
            )
            block = state.block + 1
            mean = losses.mean()
            summed = state.summed.at[block].set(state.summed[state.block] + mean)
            flat_now = (block <= state.decay_from) & ~state.flat & _is_flat(summed, block, min_blocks)
            decay_from = jnp.where(flat_now, block, state.decay_from)
            end = jnp.where(flat_now, jnp.minimum(block + 1 + block // DECAY_SHARE, state.end), state.end)
            return _State(
                parameters, moments, block, summed, decay_from, end,
                state.flat | flat_now, state.finite & jnp.isfinite(mean),
            )  # fmt: skip

        end = jnp.clip(jnp.asarray(recipe.max_steps, jnp.int32) // BLOCK, 0, MAX_BLOCKS)
        state = _State(
            parameters, start_moments(parameters), jnp.zeros((), jnp.int32), jnp.zeros(MAX_BLOCKS + 1),
            end - end // (DECAY_SHARE + 1), end, jnp.asarray(False), jnp.asarray(True),
        )  # fmt: skip
        return lax.while_loop(lambda s: (s.block < s.end) & s.finite, run_block, state)

    return train


def make_train_on(
    apply: Callable[[Any, Array], Array], settings: TrainSettings, loss: Loss = cross_entropy
) -> Callable[..., tuple[Any, TrainInfo]]:
    """Make the training of one network on images that are looked up, or drawn anew, by their numbers.

    Args:
        apply, settings: as in `make_train`.
        loss: (logits, targets, num_classes) -> mean loss of a batch, with shapes as in `cross_entropy`.

    Returns:
        train(key, recipe, parameters, look, num_inputs, num_classes) -> (parameters, TrainInfo), where
        look(indices) -> (images, targets) is asked for int32 indices below `num_inputs`, any number of them.
    """
    loop = _make_loop(apply, settings, loss)

    def train(*arguments: Any) -> tuple[Any, TrainInfo]:
        state = loop(*arguments)
        last = state.summed[state.block] - state.summed[jnp.maximum(state.block - 1, 0)]
        return state.parameters, TrainInfo(state.block * BLOCK, state.flat, state.finite, last)

    return train


def make_train(apply: Callable[[Any, Array], Array], settings: TrainSettings) -> Callable[..., tuple[Any, TrainInfo]]:
    """Make the training of one network on images that are held; a pure function that jit, vmap and lax.map may wrap.

    Args:
        apply: (parameters, images) -> logits of shape (batch, units, classes).
        settings: static settings.

    Returns:
        train(key, recipe, parameters, images, targets, num_inputs, num_classes) -> (parameters, TrainInfo), where
        only the first `num_inputs` of the images are ever used.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> train = make_train(lambda w, x: (x.reshape(-1, 1) * w)[:, None, :], TrainSettings(batch_size=4))
        >>> x, y = jnp.linspace(-1.0, 1.0, 16).reshape(16, 1, 1), jnp.repeat(jnp.array([0, 1]), 8)[:, None]
        >>> weights, info = train(jax.random.key(0), Recipe(0.1, 0.0, 0.0, 2000), jnp.zeros((1, 2)), x, y, 16, 2)
        >>> bool(weights[0, 1] > weights[0, 0])
        True
    """
    train_on = make_train_on(apply, settings)

    def train(
        key: Key, recipe: Recipe, parameters: Any, images: Array, targets: Array, num_inputs: Array, num_classes: Array
    ) -> tuple[Any, TrainInfo]:
        held = jnp.asarray(images), jnp.asarray(targets)
        return train_on(
            key, recipe, parameters, lambda chosen: (held[0][chosen], held[1][chosen]), num_inputs, num_classes
        )

    return train


def make_loss_path(apply: Callable[[Any, Array], Array], settings: TrainSettings) -> Callable[..., Array]:
    """Make a function with the arguments of `make_train_on`'s that trains and returns the mean loss of each block of
    `BLOCK` steps, nats a unit, float32, shape (MAX_BLOCKS,): NaN after the end, and in the block that diverged.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> path = make_loss_path(lambda w, x: (x.reshape(-1, 1) * w)[:, None, :], TrainSettings(batch_size=4))
        >>> x, y = jnp.linspace(-1.0, 1.0, 16).reshape(16, 1, 1), jnp.repeat(jnp.array([0, 1]), 8)[:, None]
        >>> look = lambda chosen: (x[chosen], y[chosen])
        >>> losses = path(jax.random.key(0), Recipe(0.1, 0.0, 0.0, 200), jnp.zeros((1, 2)), look, 16, 2)
        >>> int(jnp.isfinite(losses).sum()), bool(losses[3] < losses[0])
        (4, True)
    """
    loop = _make_loop(apply, settings, cross_entropy)

    def path(*arguments: Any) -> Array:
        state = loop(*arguments)
        return jnp.where(jnp.arange(MAX_BLOCKS) < state.block, jnp.diff(state.summed), jnp.nan)

    return path
