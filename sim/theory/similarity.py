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

from sim.theory import checks
from sim.theory.ceilings import gaussian_codebook_accuracy


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
