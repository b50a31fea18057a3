"""Similar tiles: the two ends, and the exact posterior computed by brute force on simulated tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.theory.ceilings import composed_accuracy, gaussian_codebook_accuracy
from sim.theory.similarity import effective_samples, similar_tile_accuracy, similar_tile_match


@given(
    tiles=st.integers(1, 100),
    similarity=st.floats(0, 1),
    samples=st.integers(1, 10**4),
    log_signal=st.floats(-12, 12),
)
def test_between_own_and_shared(tiles: int, similarity: float, samples: int, log_signal: float) -> None:
    """1e-9 allows rounding of a ratio of two sums of like terms."""
    signal = float(np.exp(log_signal))
    count = effective_samples(tiles, similarity, samples, signal, 1.0)
    assert samples * (1 - 1e-9) <= count <= samples * tiles * (1 + 1e-9)
    assert effective_samples(tiles, 0.0, samples, signal, 1.0) == pytest.approx(samples, rel=1e-9)
    assert effective_samples(tiles, 1.0, samples, signal, 1.0) == pytest.approx(samples * tiles, rel=1e-9)


def simulate(
    tiles: int, labels: int, dimension: int, signal: float, noise: float, samples: int, similarity: float
) -> tuple[float, float]:
    """Draw codebooks, images of every label on every tile; learn by the full m x m Gaussian posterior; classify."""
    rng = np.random.default_rng(11)
    prior = signal * ((1 - similarity) * np.eye(tiles) + similarity)
    gain = np.linalg.solve(prior + noise / samples * np.eye(tiles), prior).T  # posterior mean = gain @ class means
    results = []
    for _ in range(1200):
        shared = rng.normal(size=(1, labels, dimension))
        own = rng.normal(size=(tiles, labels, dimension))
        codewords = np.sqrt(signal) * (np.sqrt(similarity) * shared + np.sqrt(1 - similarity) * own)
        images = codewords[..., None] + np.sqrt(noise) * rng.normal(size=(*codewords.shape, samples))
        learned = np.einsum("ij,jld->ild", gain, images.mean(axis=-1))
        truth = rng.integers(labels, size=(tiles, 30))
        tests = np.take_along_axis(codewords, truth[..., None], axis=1)
        tests = tests + np.sqrt(noise) * rng.normal(size=tests.shape)
        distance = ((tests[:, :, None] - learned[:, None]) ** 2).sum(axis=-1)
        results.append(np.mean(distance.argmin(axis=-1) == truth))
    return float(np.mean(results)), float(np.std(results, ddof=1) / np.sqrt(len(results)))


@pytest.mark.parametrize(
    ("tiles", "labels", "dimension", "signal", "noise", "samples", "similarity"),
    [
        (4, 4, 8, 1.0, 0.8, 1, 0.5),
        (8, 4, 4, 1.0, 1.0, 2, 0.9),
        (2, 16, 8, 2.0, 1.0, 1, 0.7),
        (6, 8, 2, 4.0, 1.0, 3, 1.0),
        (6, 3, 16, 0.25, 1.0, 1, 0.3),
    ],
)
def test_posterior_on_simulated_tiles(
    tiles: int, labels: int, dimension: int, signal: float, noise: float, samples: int, similarity: float
) -> None:
    """4.5 standard errors: false-fail rate 7e-6 a case; sees .012 (n of one tile alone: .01 to .2 less)."""
    mean, error = simulate(tiles, labels, dimension, signal, noise, samples, similarity)
    exact = similar_tile_accuracy(tiles, labels, dimension, signal, noise, samples, similarity)
    assert error < 0.0027
    assert abs(mean - exact) < 4.5 * error


def test_known_codewords_do_not_need_similar_tiles() -> None:
    known = gaussian_codebook_accuracy(4, 8, 1.0, 0.8)
    assert similar_tile_accuracy(6, 4, 8, 1.0, 0.8, None, 0.3) == known
    assert similar_tile_accuracy(6, 4, 8, 1.0, 0.8, 1e9, 0.3) == pytest.approx(known, abs=1e-6)
    assert similar_tile_accuracy(6, 4, 8, 0.0, 0.8, 1, 0.3) == 0.25


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match=r"similarity must be in \[0, 1\], got 1.5"):
        effective_samples(2, 1.5, 1, 1.0, 1.0)
    with pytest.raises(ValueError, match="samples_per_codeword must be > 0 and finite, got 0"):
        similar_tile_accuracy(2, 4, 8, 1.0, 1.0, 0, 0.5)


def raw_match(similarity: float, rng: np.random.Generator, books: int = 400) -> tuple[float, float]:
    """Joint match from raw images: least squares of stacked images under the prior, one label at a time."""
    tiles, labels, dimension, signal, noise, samples = 3, 3, 6, 1.0, 0.6, 2
    owner = np.repeat(np.arange(tiles), samples)  # the tile of each training example
    prior = signal * ((1 - similarity) * np.eye(tiles) + similarity)
    cross = prior[:, owner]
    gain = cross @ np.linalg.inv(prior[np.ix_(owner, owner)] + noise * np.eye(len(owner)))
    results = []
    for _ in range(books):
        codewords = np.linalg.cholesky(prior + 1e-9 * np.eye(tiles)) @ rng.normal(size=(labels * dimension, tiles, 1))
        codewords = codewords[..., 0].T.reshape(tiles, labels, dimension)
        examples = codewords[owner] + np.sqrt(noise) * rng.normal(size=(len(owner), labels, dimension))
        learned = np.tensordot(gain, examples, axes=1)
        right = np.ones(40, bool)
        for tile in range(tiles):
            truth = rng.integers(labels, size=40)
            tests = codewords[tile, truth] + np.sqrt(noise) * rng.normal(size=(40, dimension))
            distance = ((tests[:, None] - learned[tile]) ** 2).sum(axis=2)
            right &= distance.argmin(axis=1) == truth
        results.append(right.mean())
    return float(np.mean(results)), float(np.std(results, ddof=1) / np.sqrt(books))


@pytest.mark.parametrize("similarity", [0.3, 0.8])
def test_the_joint_match_agrees_with_raw_images(similarity: float) -> None:
    """Four joint standard errors: false-fail rate 6e-5 each."""
    found = similar_tile_match(3, 3, 6, 1.0, 0.6, 2, similarity, books=400)
    value, error = raw_match(similarity, np.random.default_rng(4))
    assert abs(found.value - value) < 4 * np.hypot(found.standard_error, error)


def test_the_joint_match_at_the_ends() -> None:
    """Exact at similarity 0, another code at 1; four standard errors: false-fail rate 6e-5 each."""
    own = similar_tile_match(4, 3, 6, 1.0, 0.6, 2, 0.0, books=300)
    assert abs(own.value - composed_accuracy(4, 3, 6, 1.0, 0.6, 2, similarity=0.0)) < 4 * own.standard_error
    shared = similar_tile_match(4, 3, 6, 1.0, 0.6, 2, 1.0, books=300)
    other = composed_accuracy(4, 3, 6, 1.0, 0.6, 8, similarity=1.0)
    assert abs(shared.value - other) < 4 * np.hypot(shared.standard_error, 1e-3)
    known = similar_tile_match(4, 3, 6, 1.0, 0.6, None, 0.0, books=300)
    assert abs(known.value - composed_accuracy(4, 3, 6, 1.0, 0.6, similarity=0.0)) < 4 * known.standard_error
    with pytest.raises(ValueError, match="books must be a whole number >= 2, got 1"):
        similar_tile_match(4, 3, 6, 1.0, 0.6, 2, 0.5, books=1)
