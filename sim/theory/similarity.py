"""Tiles between one shared codebook and own ones: similarity acts through an effective number of examples.

Codeword of label l on tile i: c = sqrt(s) shared_l + sqrt(1 - s) own_(i,l), both N(0, g I_D). Per label and coordinate
the m tiles' codewords are Gaussian with covariance g [(1 - s) I + s 1 1'], of eigenvalues

    l1 = g (1 - s + s m) once,   l0 = g (1 - s)  (m - 1) times.

The tiles' class means add noise nu = s2/n independently, so the posterior covariance has eigenvalues l nu / (l + nu),
and by symmetry every codeword the posterior variance

    V = [l1 nu/(l1 + nu) + (m - 1) l0 nu/(l0 + nu)] / m.

Posterior mean and codeword are jointly Gaussian with covariance g - V = the variance of the posterior mean, and
independent between labels: exactly the law of a shrunken mean of n_eff own examples, V = g (s2/n_eff) / (g + s2/n_eff),
so every accuracy of the codebook theorem holds with n_eff = s2 (1/V - 1/g).
"""

import numpy as np

from sim.theory import checks
from sim.theory.ceilings import gaussian_codebook_accuracy
from sim.theory.composition import Estimate

SEED = 20251125
TESTS = 200  # test images of one codebook


def effective_samples(
    tiles: int, similarity: float, samples_per_codeword: float, signal_power: float, noise_power: float
) -> float:
    """Own examples that would teach a tile's codewords as well as the examples on all tiles do.

    n_eff = s2 (1/V - 1/g), V the posterior variance of a codeword given all tiles (the module's first lines):
    n at similarity 0, m n at similarity 1. Exact.

    Args:
        tiles: m >= 1.
        similarity: s in [0, 1], correlation of the codewords of one label on two tiles.
        samples_per_codeword: n > 0, examples of each label on each tile.
        signal_power: g > 0, variance of a codeword, per coordinate.
        noise_power: s2 > 0, variance of the noise, per coordinate.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> [round(effective_samples(8, s, 2, 1.0, 1.0), 3) for s in (0.0, 0.5, 0.9, 1.0)]
        [2.0, 2.636, 6.61, 16.0]

    Source: derived above; the posterior of a Gaussian with exchangeable covariance.
    """
    tiles = checks.require_whole("tiles", tiles, 1)
    similarity = checks.require_between("similarity", similarity, 0, 1)
    samples = checks.require_positive("samples_per_codeword", samples_per_codeword)
    signal_power = checks.require_positive("signal_power", signal_power)
    noise_power = checks.require_positive("noise_power", noise_power)
    # everything in units of g; g - V is a sum of l^2 / (l + nu), so that few examples lose no digits to 1/V - 1/g
    mean_noise = noise_power / samples / signal_power
    common, own = 1 - similarity + similarity * tiles, 1 - similarity
    learned = (common**2 / (common + mean_noise) + (tiles - 1) * own**2 / (own + mean_noise)) / tiles
    open_variance = (common / (common + mean_noise) + (tiles - 1) * own / (own + mean_noise)) * mean_noise / tiles
    return float(noise_power / signal_power * learned / open_variance)


def similar_tile_accuracy(
    tiles: int,
    labels: int,
    tile_dimension: int,
    signal_power: float,
    noise_power: float,
    samples_per_codeword: float | None = None,
    similarity: float = 1.0,
) -> float:
    """Accuracy of one tile for the learner that knows the similarity of the tiles: A(n_eff, L), exact.

    The decision uses the tile of the test image alone. The test image's other tiles hold a little more about the
    codewords, which is not used (nothing more at similarity 0, or with known codewords). The exact match of all tiles
    is the m-th power at similarity 0 and with known own codebooks; otherwise the tiles share luck and it lies above.

    Args:
        tiles: m >= 1.
        labels: L >= 1 of each tile.
        tile_dimension: numbers in one tile.
        signal_power: g >= 0, variance of a codeword, per coordinate.
        noise_power: s2 > 0, variance of the noise, per coordinate.
        samples_per_codeword: n > 0, examples of each label on each tile (I/L with equal counts); None: known codewords.
            Real n is an enrolment noise s2/n, a law and not a ceiling.
        similarity: s in [0, 1], correlation of the codewords of one label on two tiles.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> [round(similar_tile_accuracy(6, 4, 8, 1.0, 0.8, 1, s), 3) for s in (0.0, 0.5, 1.0)]
        [0.758, 0.796, 0.892]

    Source: derived in the module's first lines.
    """
    tiles = checks.require_whole("tiles", tiles, 1)
    similarity = checks.require_between("similarity", similarity, 0, 1)
    task = (labels, tile_dimension, signal_power, noise_power)
    if samples_per_codeword is None or signal_power == 0:
        return gaussian_codebook_accuracy(*task)
    samples = effective_samples(tiles, similarity, samples_per_codeword, signal_power, noise_power)
    return gaussian_codebook_accuracy(*task, effective_samples=samples)


def similar_tile_match(
    tiles: int,
    labels: int,
    tile_dimension: int,
    signal_power: float,
    noise_power: float,
    samples_per_codeword: float | None = None,
    similarity: float = 1.0,
    books: int = 1000,
) -> Estimate:
    """Exact match of all m tiles for the tile-by-tile learner that knows the similarity: E[a_1 ... a_m], Monte Carlo.

    Given codebook and training images the tiles are independent, but they share their luck, so the match lies between
    the m-th power of `similar_tile_accuracy` and that accuracy. Each simulated codebook decides 200 test images; the
    mean over tiles, whose expectation is exact, serves as control variate.

    Args:
        books: simulated codebooks; the standard error is about .2 / sqrt(books), .006 by default.
        (others as in `similar_tile_accuracy`)

    Returns:
        Value and its standard error.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> low, middle, high = (similar_tile_match(4, 4, 8, 1.0, 0.8, 2, s, books=100).value for s in (0.0, 0.5, 1.0))
        >>> low < middle < high
        True

    Source: derived in the module's first lines.
    """
    task = (tiles, labels, tile_dimension, signal_power, noise_power, samples_per_codeword, similarity)
    tile_accuracy = similar_tile_accuracy(*task)
    books = checks.require_whole("books", books, 2)
    tiles, labels, dimension = int(tiles), int(labels), int(tile_dimension)
    rng = np.random.default_rng(SEED)
    mean_noise = 0.0 if samples_per_codeword is None else noise_power / samples_per_codeword
    prior = signal_power * ((1 - similarity) * np.eye(tiles) + similarity)
    # Posterior means of the tiles' codewords given their class means; without noise these are the codewords themselves.
    shrink = prior @ np.linalg.inv(prior + mean_noise * np.eye(tiles)) if mean_noise > 0 else np.eye(tiles)
    matches, accuracies = np.empty(books), np.empty(books)
    for book in range(books):
        shared = np.sqrt(similarity) * rng.standard_normal((1, labels, dimension))
        own = np.sqrt(1 - similarity) * rng.standard_normal((tiles, labels, dimension))
        codewords = np.sqrt(signal_power) * (shared + own)
        means = codewords + np.sqrt(mean_noise) * rng.standard_normal(codewords.shape)
        learned = np.einsum("ij,jld->ild", shrink, means)
        truth = rng.integers(labels, size=(tiles, TESTS))
        images = np.take_along_axis(codewords, truth[..., None], axis=1)
        images = images + np.sqrt(noise_power) * rng.standard_normal(images.shape)
        scores = 2 * images @ learned.transpose(0, 2, 1) - np.sum(learned**2, axis=2)[:, None]
        right = scores.argmax(axis=2) == truth
        matches[book], accuracies[book] = right.all(axis=0).mean(), right.mean()
    spread = accuracies - accuracies.mean()
    slope = float(matches @ spread / max(spread @ spread, 1e-300))
    residual = matches - slope * (accuracies - tile_accuracy)
    return Estimate(float(residual.mean()), float(residual.std(ddof=1) / np.sqrt(books)))
