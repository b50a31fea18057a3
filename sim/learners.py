"""Exact learners: what the best possible use of the same I training images achieves, in JAX, as population members.

They are the paired reference of every cell: same codebook, same images, same test items as the networks beside them.
The closed forms of `sim.theory` are separate code; tests hold the two against each other.

A learner is `learn(spec, world, train, num_inputs) -> answer`, and `answer(images, labels) -> Prediction`; the labels
are only copied into the prediction's targets, never looked at.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from sim.dictionary_learner import dictionary_known
from sim.generators.label_maps import map_index, map_labels
from sim.metrics import Prediction
from sim.types import Array, Batch, Spec, World

Answer = Callable[[Array, Array], Prediction]
Learn = Callable[[Spec, World, Batch, Array], Answer]
UNSEEN = -1e9  # the score of a class that the plug-in learner has never seen


class ExactLearner(NamedTuple):
    """An exact learner: one summary line, and whether it averages over an unknown task (`learned`) or knows it."""

    summary: str
    learned: bool
    learn: Learn


def class_statistics(images: Array, labels: Array, num_inputs: Array, classes: int) -> tuple[Array, Array]:
    """Count and average the first `num_inputs` images of each class.

    Args:
        images: float32, shape (max_inputs, pixels). labels: int32, shape (max_inputs,).

    Returns:
        counts, shape (classes,), and means, shape (classes, pixels); an unseen class has count 0 and mean 0.
    """
    used = (jnp.arange(labels.shape[0]) < num_inputs).astype(jnp.float32)
    counts = jax.ops.segment_sum(used, labels, num_segments=classes)
    sums = jax.ops.segment_sum(images * used[:, None], labels, num_segments=classes)
    return counts, sums / jnp.maximum(counts, 1.0)[:, None]


def gaussian_scores(images: Array, centres: Array, variances: Array) -> Array:
    """Log density up to a constant: -(D/2) ln V_j - |x - centre_j|^2 / (2 V_j).

    Args:
        images: shape (batch, D). centres: shape (classes, D). variances: V_j, shape (classes,).

    Returns:
        float32, shape (batch, classes).
    """
    squared = jnp.sum(images**2, 1)[:, None] - 2.0 * images @ centres.T + jnp.sum(centres**2, 1)[None, :]
    return -0.5 * images.shape[1] * jnp.log(variances)[None, :] - squared / (2.0 * variances)[None, :]


def shrunken(counts: Array, means: Array, signal_power: Array, noise_power: Array) -> tuple[Array, Array]:
    """Posterior predictive of a class with Gaussian codeword prior: centre k_n mean, variance s2 + k_n s2/n.

    With k_n = g / (g + s2/n); an unseen class (n = 0) has centre 0 and variance g + s2.
    """
    per_image = noise_power / jnp.maximum(counts, 1.0)
    seen = counts > 0
    weight = jnp.where(seen, signal_power / (signal_power + per_image), 0.0)
    variance = noise_power + jnp.where(seen, weight * per_image, signal_power)
    return weight[:, None] * means, variance


def _classifier(scores: Callable[[Array], Array], num_classes: Array, num_labels: Array, units: int) -> Answer:
    """Answer by the best of `num_classes` label maps, given their scores (batch, classes)."""

    def answer(images: Array, labels: Array) -> Prediction:
        values = scores(images.reshape(images.shape[0], -1))
        real = jnp.arange(values.shape[1]) < num_classes
        log_probabilities = jax.nn.log_softmax(jnp.where(real[None, :], values, UNSEEN))
        best = jnp.argmax(log_probabilities, axis=1).astype(jnp.int32)
        decided = map_labels(best, num_labels, units)
        targets = map_index(labels, num_labels)[:, None]
        return Prediction(log_probabilities[:, None, :], targets, decided, decided)

    return answer


def _codebook_bayes(spec: Spec, world: World, train: Batch, num_inputs: Array) -> Answer:
    images = train.images.reshape(train.images.shape[0], -1)
    counts, means = class_statistics(images, train.labels[:, 0], num_inputs, spec.max_outputs)
    centres, variances = shrunken(counts, means, spec.signal_power, spec.noise**2)
    return _classifier(lambda x: gaussian_scores(x, centres, variances), spec.outputs, spec.outputs, 1)


def _codebook_plugin(spec: Spec, world: World, train: Batch, num_inputs: Array) -> Answer:
    images = train.images.reshape(train.images.shape[0], -1)
    counts, means = class_statistics(images, train.labels[:, 0], num_inputs, spec.max_outputs)
    equal = jnp.full(counts.shape, 1.0) * spec.noise**2

    def scores(x: Array) -> Array:
        return jnp.where((counts > 0)[None, :], gaussian_scores(x, means, equal), UNSEEN)

    return _classifier(scores, spec.outputs, spec.outputs, 1)


def _codebook_known(spec: Spec, world: World, train: Batch, num_inputs: Array) -> Answer:
    centres = world.codewords.reshape(spec.max_outputs, -1)
    equal = jnp.full((spec.max_outputs,), 1.0) * spec.noise**2
    return _classifier(lambda x: gaussian_scores(x, centres, equal), spec.outputs, spec.outputs, 1)


def _blocks_class_mean(spec: Spec, world: World, train: Batch, num_inputs: Array) -> Answer:
    """The learner to which the J label maps are unrelated: the codebook rule on whole images."""
    maps = spec.labels**spec.tiles
    images = train.images.reshape(train.images.shape[0], -1)
    counts, means = class_statistics(images, map_index(train.labels, spec.labels), num_inputs, maps)
    centres, variances = shrunken(counts, means, spec.signal_power, spec.noise**2)
    return _classifier(lambda x: gaussian_scores(x, centres, variances), maps, spec.labels, spec.tiles)


def _tiles(images: Array, tiles: int) -> Array:
    batch, rows, columns = images.shape
    return images.reshape(batch, rows, tiles, columns // tiles).transpose(0, 2, 1, 3).reshape(batch, tiles, -1)


def _relabel(labels: Array, table: Array, spec: Spec) -> Array:
    """Send label maps (batch, units) through a table of J map indices."""
    return map_labels(table[map_index(labels, spec.labels)], spec.labels, spec.tiles)


def _tilewise(spec: Spec, world: World, centres: Array, variances: Array) -> Answer:
    """Decide each tile by its own predictive densities; centres (tiles, labels, D), variances (tiles, labels)."""

    def answer(images: Array, labels: Array) -> Prediction:
        tiles = _tiles(images, spec.tiles).transpose(1, 0, 2)
        scores = jax.vmap(gaussian_scores)(tiles, centres, variances).transpose(1, 0, 2)
        log_probabilities = jax.nn.log_softmax(scores)
        original = jnp.argmax(log_probabilities, axis=-1).astype(jnp.int32)
        decided = _relabel(original, world.relabelling, spec)
        back = jnp.argsort(world.relabelling).astype(jnp.int32)
        return Prediction(log_probabilities, _relabel(labels, back, spec), decided, decided)

    return answer


def _blocks_bayes(spec: Spec, world: World, train: Batch, num_inputs: Array) -> Answer:
    """Knows the composition (and any relabelling), learns the codewords.

    For one symbol, its codewords on the m tiles have prior covariance K = g (s 11' + (1 - s) I) and are seen through
    noise s2/n_i, so given the tile means the posterior mean is K (K + N)^-1 mean and the covariance
    K - K (K + N)^-1 K with N = diag(s2/n_i). Tiles are then decided one by one.
    """
    back = jnp.argsort(world.relabelling).astype(jnp.int32)
    original = _relabel(train.labels, back, spec)
    tiles = _tiles(train.images, spec.tiles)
    counts, means = jax.vmap(
        lambda images, labels: class_statistics(images, labels, num_inputs, spec.labels), in_axes=(1, 1)
    )(tiles, original)
    power = spec.noise**2
    prior = spec.signal_power * (
        spec.similarity * jnp.ones((spec.tiles, spec.tiles)) + (1.0 - spec.similarity) * jnp.eye(spec.tiles)
    )
    noise = power / jnp.maximum(counts, 1e-6)  # an unseen symbol: a million times the noise of one image

    def posterior(noise_of_tiles: Array, tile_means: Array) -> tuple[Array, Array]:
        gain = jnp.linalg.solve(prior + jnp.diag(noise_of_tiles), prior).T
        return gain @ tile_means, power + jnp.diagonal(prior - gain @ prior)

    centres, variances = jax.vmap(posterior, in_axes=(1, 1), out_axes=(1, 1))(noise, means)
    return _tilewise(spec, world, centres, jnp.maximum(variances, power))


def _blocks_known(spec: Spec, world: World, train: Batch, num_inputs: Array) -> Answer:
    centres = world.codewords.reshape(spec.tiles, spec.labels, -1)
    return _tilewise(spec, world, centres, jnp.full((spec.tiles, spec.labels), 1.0) * spec.noise**2)


def _chain_posterior(evidence: Array, log_start: Array, log_step: Array) -> tuple[Array, Array]:
    """Log marginals and the most probable path of a chain: evidence (length, labels) -> same shape, and (length,)."""

    def forward(carry: Array, here: Array) -> tuple[Array, Array]:
        total = here + jax.nn.logsumexp(carry[:, None] + log_step, axis=0)
        return total, total

    def backward(carry: Array, here: Array) -> tuple[Array, Array]:
        return jax.nn.logsumexp(log_step + (here + carry)[None, :], axis=1), carry

    def best(carry: Array, here: Array) -> tuple[Array, Array]:
        options = carry[:, None] + log_step
        return here + options.max(axis=0), options.argmax(axis=0).astype(jnp.int32)

    def trace(label: Array, pointers: Array) -> tuple[Array, Array]:
        return pointers[label], label

    first = log_start + evidence[0]
    _, ahead = lax.scan(forward, first, evidence[1:])
    _, behind = lax.scan(backward, jnp.zeros_like(first), evidence, reverse=True)
    marginals = jax.nn.log_softmax(jnp.concatenate([first[None], ahead]) + behind)
    last, pointers = lax.scan(best, first, evidence[1:])
    start, path = lax.scan(trace, jnp.argmax(last).astype(jnp.int32), pointers, reverse=True)
    return marginals, jnp.concatenate([start[None], path])


def _fields_known(spec: Spec, world: World, train: Batch, num_inputs: Array) -> Answer:
    """The exact posterior of a label field whose law is known; it uses no training image."""
    rows, columns = spec.grid_shape
    pixels, classes = rows * columns, spec.max_labels
    labels_here = jnp.asarray(spec.labels, jnp.float32)
    means = spec.spacing * (jnp.arange(classes).astype(jnp.float32) - (labels_here - 1.0) / 2.0)
    real = jnp.arange(classes) < spec.labels

    def evidence(images: Array) -> Array:
        distance = (images.reshape(-1, pixels, 1) - means[None, None, :]) ** 2
        return jnp.where(real[None, None, :], -distance / (2.0 * spec.noise**2), UNSEEN)

    def independent(images: Array) -> tuple[Array, Array]:
        marginals = jax.nn.log_softmax(evidence(images))
        return marginals, jnp.argmax(marginals, axis=-1).astype(jnp.int32)

    def chain(images: Array) -> tuple[Array, Array]:
        move = jnp.log1p(-jnp.asarray(spec.stay, jnp.float32)) - jnp.log(jnp.maximum(labels_here - 1.0, 1.0))
        step = jnp.where(jnp.eye(classes, dtype=bool), jnp.log(jnp.asarray(spec.stay, jnp.float32)), move)
        log_step = jnp.where(real[None, :], step, UNSEEN)
        start = jnp.where(real, -jnp.log(labels_here), UNSEEN)
        lines = evidence(images).reshape(-1, columns, classes)
        marginals, path = jax.vmap(lambda line: _chain_posterior(line, start, log_step))(lines)
        return marginals.reshape(-1, pixels, classes), path.reshape(-1, pixels)

    def ising(images: Array) -> tuple[Array, Array]:
        configurations = map_labels(jnp.arange(2**pixels), 2, pixels)
        spins = (2 * configurations - 1).astype(jnp.float32)
        grid = spins.reshape(-1, rows, columns)
        bonds = jnp.sum(grid[:, 1:] * grid[:, :-1], (1, 2)) + jnp.sum(grid[:, :, 1:] * grid[:, :, :-1], (1, 2))

        def few(chunk: Array) -> tuple[Array, Array]:
            field = 0.5 * spec.spacing * chunk.reshape(-1, pixels) / spec.noise**2
            weight = spec.coupling * bonds[None, :] + field @ spins.T
            best = jnp.argmax(weight, axis=1)
            up = jnp.clip(jax.nn.softmax(weight) @ configurations.astype(jnp.float32), 1e-7, 1.0 - 1e-7)
            return jnp.log(jnp.stack([1.0 - up, up], -1)), configurations[best].astype(jnp.int32)

        size = min(20, images.shape[0])  # 20 images against 65,536 maps: 5 MB at a time, inside the cache
        padding = -images.shape[0] % size
        stacked = jnp.pad(images, ((0, padding), (0, 0), (0, 0))).reshape(-1, size, rows, columns)
        joined = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[: images.shape[0]], lax.map(few, stacked))
        return joined[0], joined[1]

    posterior = {"independent": independent, "chain": chain, "ising": ising}[spec.field]

    def answer(images: Array, labels: Array) -> Prediction:
        marginals, joint = posterior(images)
        return Prediction(marginals, labels, jnp.argmax(marginals, axis=-1).astype(jnp.int32), joint)

    return answer


LEARNERS: dict[tuple[str, str], ExactLearner] = {
    ("codebook", "bayes"): ExactLearner("shrunken class means: best on average over codebooks", True, _codebook_bayes),
    ("codebook", "plugin"): ExactLearner("class means taken at their word", True, _codebook_plugin),
    ("codebook", "known"): ExactLearner("told the codewords", False, _codebook_known),
    ("blocks", "bayes"): ExactLearner("knows the composition, learns the codewords", True, _blocks_bayes),
    ("blocks", "class_mean"): ExactLearner("takes the J label maps as unrelated", True, _blocks_class_mean),
    ("blocks", "known"): ExactLearner("told codewords and composition", False, _blocks_known),
    ("fields", "bayes"): ExactLearner("told the field's law: exact posterior", False, _fields_known),
    ("dictionary", "bayes"): ExactLearner("told the dictionary: exact posterior", False, dictionary_known),
}


def supports(generator: str, learner: str, spec: Any) -> bool:
    """Say whether an exact learner exists for this task: an Ising field is enumerated only up to 16 pixels."""
    if (generator, learner) not in LEARNERS:
        return False
    return not (generator == "fields" and spec.field == "ising" and spec.grid_shape[0] * spec.grid_shape[1] > 16)
