"""The class-mean rule is no ceiling for learners to whom the names of the maps mean nothing.

Renaming the J = L^m maps leaves their images a mixture of L codewords on every tile. A learner that finds these by
expectation and maximisation, gives every class its tiles' codewords and compares a test image with those pools all
classes; it uses no label of any tile, so it does as well under any renaming.
"""

import itertools

import numpy as np

from sim.theory.ceilings import class_mean_accuracy, composed_accuracy
from sim.types import FloatArray


def find_codewords(
    points: FloatArray, labels: int, noise_power: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Centres (labels, D) of a mixture of normals, prior N(0, I), and memberships (points, labels); eight starts."""
    found = []
    for _ in range(8):
        centres = points[rng.choice(len(points), size=labels, replace=False)]
        for _ in range(25):
            log_weights = -((points[:, None] - centres) ** 2).sum(axis=2) / (2 * noise_power)
            weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
            score = float(np.sum(np.log(weights.sum(axis=1)) + log_weights.max(axis=1)))
            weights /= weights.sum(axis=1, keepdims=True)
            centres = weights.T @ points / (weights.sum(axis=0)[:, None] + noise_power)
        found.append((score, centres, weights))
    return max(found, key=lambda result: result[0])[1:]


def test_pooling_beats_the_class_means() -> None:
    """Five tiles, two labels, one image a map: by .3, ten standard errors; false-fail rate below 1e-6."""
    rng = np.random.default_rng(61)
    tiles, labels, dimension, noise_power = 5, 2, 8, 1.0
    maps = np.array(list(itertools.product(range(labels), repeat=tiles)))
    rng.shuffle(maps)  # the names of the maps
    results = []
    for _ in range(30):
        codebook = rng.normal(size=(tiles, labels, dimension))
        images = codebook[np.arange(tiles), maps] + rng.normal(size=(len(maps), tiles, dimension))
        truth = rng.integers(len(maps), size=100)
        tests = codebook[np.arange(tiles), maps[truth]] + rng.normal(size=(100, tiles, dimension))
        scores = np.zeros((100, len(maps)))
        for tile in range(tiles):
            centres, members = find_codewords(images[:, tile], labels, noise_power, rng)
            fit = np.exp(-((tests[:, tile, None] - centres) ** 2).sum(axis=2) / (2 * noise_power))
            scores += np.log(fit @ members.T + 1e-30)
        results.append(np.mean(scores.argmax(axis=1) == truth))
    low = np.mean(results) - 4.5 * np.std(results, ddof=1) / np.sqrt(len(results))
    class_mean = class_mean_accuracy(tiles, labels, dimension, 1.0, noise_power, 1, similarity=0.0)
    assert low > class_mean
    assert np.mean(results) < composed_accuracy(tiles, labels, dimension, 1.0, noise_power, similarity=0.0)
