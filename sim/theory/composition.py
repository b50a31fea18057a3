"""Images composed of tiles, J = L^m label maps: the learner that knows the composition, and the one that does not.

With one codebook for all tiles the tiles share their luck: given codebook and training noise a tile is right with
probability a, and the whole map with E[a^m], more than (E a)^m. No closed form is known; the expectation is taken
over simulated codebooks with a fixed seed and the exact E a as control variate.
"""

from typing import NamedTuple

import numpy as np

from sim.theory.distances import noncentral_chi_distribution
from sim.types import FloatArray

SEED = 20240301
_NUM_TESTS = 500  # test tiles, or images, of one codebook


class Estimate(NamedTuple):
    """A Monte Carlo value and its standard error."""

    value: float
    standard_error: float


class _Means(NamedTuple):
    """What a learner knows of each class, shapes (..., classes) and (..., classes, D): its score is
    `offset` - |x - centre|^2 / (2 `variance`)."""

    offset: FloatArray
    variance: FloatArray
    centre: FloatArray


def _learn(
    codewords: FloatArray, counts: FloatArray, signal_power: float, noise_power: float, rng: np.random.Generator
) -> _Means:
    """Shrunken class means from `counts` examples of each codeword, shape (..., classes); infinity: known."""
    with np.errstate(divide="ignore"):
        mean_noise = noise_power / counts
    seen = counts > 0
    mean_noise = np.where(seen, mean_noise, 0.0)
    shrink = np.where(seen, signal_power / (signal_power + mean_noise), 0.0)
    variance = np.where(seen, noise_power + shrink * mean_noise, signal_power + noise_power)
    noise = rng.standard_normal(codewords.shape) * np.sqrt(mean_noise)[..., None]
    offset = -0.5 * codewords.shape[-1] * np.log(variance)
    return _Means(offset, variance, shrink[..., None] * (codewords + noise))


def _scores(images: FloatArray, means: _Means) -> FloatArray:
    """Scores of images (..., N, D) for every class: (..., N, classes)."""
    cross = images @ np.swapaxes(means.centre, -1, -2)
    squared = np.sum(images**2, axis=-1)[..., None] - 2 * cross + np.sum(means.centre**2, axis=-1)[..., None, :]
    return np.asarray(means.offset[..., None, :] - squared / (2 * means.variance[..., None, :]))


def _draw_counts(classes: int, samples: float, equal: bool, books: int, rng: np.random.Generator) -> FloatArray:
    if equal:
        return np.full((books, classes), samples)
    images = round(samples * classes)
    if images < 4 * classes:  # drawing the labels is then faster than drawing the counts
        labels = rng.integers(classes, size=(books, images)) + classes * np.arange(books)[:, None]
        counts = np.bincount(labels.ravel(), minlength=books * classes).reshape(books, classes)
    else:
        counts = rng.multinomial(images, np.full(classes, 1 / classes), size=books)
    return counts.astype(np.float64)


def shared_codebook_match(
    tiles: int,
    labels: int,
    tile_dimension: int,
    signal_power: float,
    noise_power: float,
    samples: float,
    equal_counts: bool,
    tile_accuracy: float,
) -> Estimate:
    """E[a^m] over codebooks and training noise; `samples` images of each codeword, infinity: known codewords.

    a^m is estimated without bias from h hits in T tests by C(h, m) / C(T, m), and corrected by the regression of
    a^m on a, whose mean `tile_accuracy` = E a is known exactly.
    """
    rng = np.random.default_rng(SEED)
    books = int(np.clip(2e7 / (_NUM_TESTS * max(tile_dimension, labels)), 200, 4000))
    powers, accuracies = [], []
    chunk = max(int(4e6 / (_NUM_TESTS * max(tile_dimension, labels))), 1)
    for first in range(0, books, chunk):
        num = min(chunk, books - first)
        codewords = np.sqrt(signal_power) * rng.standard_normal((num, labels, tile_dimension))
        counts = _draw_counts(labels, samples, equal_counts, num, rng)
        means = _learn(codewords, counts, signal_power, noise_power, rng)
        truth = rng.integers(labels, size=(num, _NUM_TESTS))
        images = np.take_along_axis(codewords, truth[..., None], axis=1)
        images += np.sqrt(noise_power) * rng.standard_normal(images.shape)
        hits = np.sum(_scores(images, means).argmax(axis=-1) == truth, axis=1)
        steps = np.arange(tiles)
        powers.append(np.prod(np.maximum(hits[:, None] - steps, 0) / (_NUM_TESTS - steps), axis=1))
        accuracies.append(hits / _NUM_TESTS)
    power, accuracy = np.concatenate(powers), np.concatenate(accuracies)
    spread = accuracy - accuracy.mean()
    slope = float(power @ spread / max(spread @ spread, 1e-300))
    residual = power - slope * (accuracy - tile_accuracy)
    # E[a^m] lies between (E a)^m and E a
    value = float(np.clip(residual.mean(), tile_accuracy**tiles, tile_accuracy))
    return Estimate(value, float(residual.std() / np.sqrt(books)))


def class_mean_match(
    tiles: int,
    labels: int,
    tile_dimension: int,
    signal_power: float,
    noise_power: float,
    samples: float,
    equal_counts: bool,
    similarity: float,
) -> Estimate:
    """Exact match of the shrunken class-mean rule on all J = L^m maps, from `samples` images a map on average.

    One test image for each simulated codebook. Given both, the learned means are independent between maps, so a map's
    distance from the image is one noncentral chi-squared draw (no mean is ever drawn), and the own map wins with the
    probability that its distance lies below what the best rival's score allows. Maps without a training image share
    one score; when it is the highest, one of them is guessed at random.
    """
    rng = np.random.default_rng(SEED)
    num_maps = labels**tiles
    books = int(np.clip(1e7 / num_maps, 400, 8_000))
    chunk = max(int(5e5 / max(num_maps, tiles * labels * tile_dimension)), 1)
    hits = []
    for first in range(0, books, chunk):
        num = min(chunk, books - first)
        shared = np.sqrt(similarity) * rng.standard_normal((num, 1, labels, tile_dimension))
        own = np.sqrt(1 - similarity) * rng.standard_normal((num, tiles, labels, tile_dimension))
        codebook = np.sqrt(signal_power) * (shared + own)
        # with one codebook for all tiles maps differ in how close their rivals are: draw the image's map
        truth = rng.integers(labels, size=(num, tiles, 1, 1))
        images = np.take_along_axis(codebook, truth, axis=2)[:, :, 0]
        images = images + np.sqrt(noise_power) * rng.standard_normal(images.shape)
        position = truth[:, :, 0, 0] @ labels ** np.arange(tiles)[::-1]
        cross = _sum_over_tiles(np.einsum("bmd,bmld->bml", images, codebook))
        squared = _sum_over_tiles(np.sum(codebook**2, axis=-1))
        norms = np.sum(images**2, axis=(1, 2))[:, None]
        counts = np.full((1, 1), samples) if equal_counts else _draw_counts(num_maps, samples, False, num, rng)

        mean_noise = noise_power / np.maximum(counts, 1.0)
        shrink = np.where(counts > 0, signal_power / (signal_power + mean_noise), 0.0)
        variance = np.where(counts > 0, noise_power + shrink * mean_noise, signal_power + noise_power)
        centre = np.sqrt(np.maximum(norms - 2 * shrink * cross + shrink**2 * squared, 0.0))
        scale = shrink * np.sqrt(mean_noise)
        dimension = tiles * tile_dimension
        distance = (centre + scale * rng.standard_normal(centre.shape)) ** 2
        if dimension > 1:
            distance += 2 * scale**2 * rng.standard_gamma((dimension - 1) / 2, size=centre.shape)
        offset = -0.5 * dimension * np.log(variance)
        scores = offset - distance / (2 * variance)

        books_index = np.arange(num)
        own_index = (books_index, position)
        scores[own_index] = -np.inf
        best = scores.max(axis=1)
        own = [np.broadcast_to(array, centre.shape)[own_index] for array in (counts, offset, variance, scale, centre)]
        own_count, own_offset, own_variance, own_scale, own_centre = own
        limit = np.sqrt(np.maximum(2 * own_variance * (own_offset - best), 0.0))
        safe = np.where(own_count > 0, own_scale, 1.0)
        wins = noncentral_chi_distribution(limit / safe, own_centre / safe, dimension)
        unseen = np.sum(np.broadcast_to(counts == 0, centre.shape), axis=1)
        if unseen.any():
            tied = own_offset - norms[:, 0] / (2 * own_variance) >= best
            wins = np.where(own_count > 0, wins, tied / np.maximum(unseen, 1))
        hits.append(wins)
    values = np.concatenate(hits)
    return Estimate(float(values.mean()), float(values.std() / np.sqrt(books)))


def _sum_over_tiles(table: FloatArray) -> FloatArray:
    """sum_i table[b, i, label_i] for every map (label_1, ..., label_m): (books, m, L) -> (books, L^m)."""
    total = table[:, 0]
    for tile in range(1, table.shape[1]):
        total = (total[:, :, None] + table[:, tile, None, :]).reshape(len(table), -1)
    return total
