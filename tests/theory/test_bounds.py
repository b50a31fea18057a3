"""Information bounds: printed values, and that every exact ceiling lies between them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from sim.theory import bounds
from sim.theory.capacity import codebook_information
from sim.theory.ceilings import (
    chain_ceilings,
    disc_ceilings,
    gaussian_codebook_accuracy,
    ising_ceilings,
    pixel_accuracy,
)
from sim.theory.fields import FieldCeilings


@pytest.mark.parametrize(
    ("num_outputs", "bits", "expected"), [(16, 2, 0.71033069), (256, 4, 0.61952827), (1024, 5, 0.59719973)]
)
def test_fano(num_outputs: int, bits: float, expected: float) -> None:
    assert bounds.fano_accuracy(num_outputs, bits * np.log(2)) == pytest.approx(expected, abs=6e-9)


def test_fano_ends() -> None:
    assert bounds.fano_accuracy(16, 0.0) == pytest.approx(1 / 16, abs=1e-12)
    assert bounds.fano_accuracy(16, 5.0) == 1
    assert bounds.fano_accuracy(1, 0.0) == 1
    assert bounds.fano_accuracy_entropy(3010 * np.log(10), 100.0) == pytest.approx(
        1 - 100 / (3010 * np.log(10)), abs=1e-3
    )
    with pytest.raises(ValueError, match=r"conditional_entropy must be in \[0, ln J\], got 2.0"):
        bounds.fano_accuracy_entropy(1.0, 2.0)
    with pytest.raises(ValueError, match=r"information must be >= 0 and finite, got -1.0"):
        bounds.fano_accuracy(4, -1.0)


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match=r"label_entropy must be in \[0, ln J\], got 2.0"):
        bounds.fano_accuracy(4, 0.0, label_entropy=2.0)
    with pytest.raises(ValueError, match=r"conditional_entropy_per_pixel must be in \[0, ln L\], got 1.0"):
        bounds.fano_pixel_accuracy(2, 1.0)
    with pytest.raises(ValueError, match="log_num_outputs must be > 0 and finite, got 0"):
        bounds.weak_fano_accuracy(0, 1.0)
    with pytest.raises(ValueError, match="tolerance must be <= num_pixels = 4, got 5"):
        bounds.tolerant_fano_match(4, 2, 5, 1.0)
    with pytest.raises(ValueError, match="tolerance must be a whole number >= 0, got -1"):
        bounds.log_hamming_ball(4, 2, -1)


@given(num_outputs=st.floats(2, 1e12), share=st.floats(0, 1))
def test_fano_solves_its_equation(num_outputs: float, share: float) -> None:
    information = share * np.log(num_outputs)
    accuracy = bounds.fano_accuracy(num_outputs, information)
    error = 1 - accuracy
    entropy = -sum(p * np.log(p) for p in (accuracy, error) if p > 0)
    assert entropy + error * np.log(num_outputs - 1) == pytest.approx(np.log(num_outputs) - information, abs=1e-6)
    assert 1 / num_outputs - 1e-12 <= accuracy <= 1


@given(num_outputs=st.floats(2, 1e12), share=st.floats(0, 1))
def test_weak_fano_is_above_by_little(num_outputs: float, share: float) -> None:
    log_outputs = float(np.log(num_outputs))
    gap = bounds.weak_fano_accuracy(log_outputs, share * log_outputs) - bounds.fano_accuracy(
        num_outputs, share * log_outputs
    )
    assert -1e-9 <= gap <= np.log(2) / log_outputs + 1e-9


@given(num_outputs=st.integers(2, 1000), share=st.floats(0, 1))
def test_fano_is_reached_by_the_symmetric_channel(num_outputs: int, share: float) -> None:
    """One likely output and J - 1 equally unlikely ones: no bound from entropy alone can be lower than Fano's."""
    accuracy = share + (1 - share) / num_outputs
    rest = np.full(num_outputs - 1, (1 - accuracy) / (num_outputs - 1))
    entropy = float(special.entr(np.append(accuracy, rest)).sum())
    # where Fano's curve is flat (chance) a rounding error r of the entropy moves A by sqrt(r), here 1e-15
    assert bounds.fano_accuracy_entropy(np.log(num_outputs), entropy) == pytest.approx(accuracy, abs=2e-6)
    information = float(np.log(num_outputs)) - entropy
    assert bounds.fano_accuracy(num_outputs, max(information, 0.0)) == pytest.approx(accuracy, abs=2e-6)
    assert bounds.fano_pixel_accuracy(num_outputs, entropy) == pytest.approx(accuracy, abs=2e-6)


def test_hamming_ball_counts() -> None:
    for pixels, labels, tolerance in itertools.product((1, 5, 40), (1, 2, 5), (0, 1, 3, 40)):
        if tolerance <= pixels:
            count = sum(math.comb(pixels, i) * (labels - 1) ** i for i in range(tolerance + 1))
            assert bounds.log_hamming_ball(pixels, labels, tolerance) == pytest.approx(math.log(count), abs=1e-12)
    # against Python's whole numbers; ln(65536!) = 7e5 is rounded to 1e-10 in float64, a few times
    count = sum(math.comb(65536, i) * 7**i for i in range(101))
    assert bounds.log_hamming_ball(65536, 8, 100) == pytest.approx(math.log(count), abs=1e-9)
    assert bounds.log_hamming_ball(65536, 8, 65536) == pytest.approx(65536 * math.log(8), abs=1e-9)


def test_tolerant_fano_ends() -> None:
    weak = bounds.weak_fano_accuracy(6 * np.log(3), 1.0)
    assert bounds.tolerant_fano_match(6, 3, 0, 1.0) == pytest.approx(weak, rel=1e-12)
    assert bounds.tolerant_fano_match(6, 3, 6, 0.0) == 1  # every map is within 6 pixels of any other
    assert bounds.tolerant_fano_match(6, 1, 0, 0.0) == 1  # one map
    # N_2 = 1 + 6 x 2 + 15 x 4 = 73 of 729 maps
    assert bounds.tolerant_fano_match(6, 3, 2, 0.5) == pytest.approx((0.5 + np.log(2)) / np.log(729 / 73), rel=1e-12)
    curve = [bounds.tolerant_fano_match(65536, 2, t, 1000.0) for t in (0, 655, 6554, 16384, 32768)]
    assert np.all(np.diff(curve) >= 0)
    assert curve[0] == pytest.approx((1000 + np.log(2)) / (65536 * np.log(2)), rel=1e-12)
    assert curve[-1] == 1  # half of all pixels come by guessing


@settings(max_examples=300)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([(1, 2), (3, 2), (5, 2), (1, 5), (2, 4), (3, 3)]),
    images=st.integers(1, 12),
    prior_sharpness=st.floats(-3, 3),
    channel_sharpness=st.floats(-3, 3),
)
def test_random_worlds_lie_between_the_bounds(
    seed: int, size: tuple[int, int], images: int, prior_sharpness: float, channel_sharpness: float
) -> None:
    """Any prior over label maps and any channel to a few images: all sums are finite, nothing is drawn or assumed."""
    pixels, labels = size
    maps = np.array(list(itertools.product(range(labels), repeat=pixels)))
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.full(len(maps), np.exp(prior_sharpness)) + 1e-3)
    joint = prior[:, None] * rng.dirichlet(np.full(images, np.exp(channel_sharpness)) + 1e-3, len(maps))
    log_maps = float(np.log(len(maps)))
    label_entropy = float(special.entr(prior).sum())
    left = float(special.entr(joint).sum() - special.entr(joint.sum(axis=0)).sum())
    information, slack = max(label_entropy - left, 0.0), 1e-9
    exact_match = float(joint.max(axis=0).sum())
    of_label = [np.stack([joint[maps[:, i] == label].sum(axis=0) for label in range(labels)]) for i in range(pixels)]
    pixel = float(np.mean([table.max(axis=0).sum() for table in of_label]))
    bits = max(left, 0.0) / np.log(2)
    assert bounds.entropy_floor_accuracy(bits) <= exact_match + slack
    assert bounds.hellman_raviv_accuracy(bits) <= exact_match + slack
    assert exact_match <= bounds.fano_accuracy_entropy(log_maps, left) + slack
    assert exact_match <= bounds.fano_accuracy(len(maps), information, label_entropy) + slack
    assert exact_match <= bounds.weak_fano_accuracy(log_maps, max(log_maps - left, 0.0)) + slack
    assert pixel <= bounds.fano_pixel_accuracy(labels, left / pixels) + slack
    distance = np.sum(maps[:, None] != maps[None], axis=2)
    for tolerance in range(pixels + 1):
        best = float(((distance <= tolerance) @ joint).max(axis=0).sum())  # of all guesses, for each image
        bound = bounds.tolerant_fano_match(pixels, labels, tolerance, max(log_maps - left, 0.0))
        assert best <= bound + slack


def assert_between_bounds(ceilings: FieldCeilings, num_labels: int, num_pixels: int) -> None:
    """All bounds hold for each posterior, and by convexity for their mean over any set of draws: only rounding is
    forgiven, not Monte Carlo error."""
    left, slack = ceilings.conditional_entropy_bits, 1e-9
    log_maps = num_pixels * np.log(num_labels)
    assert bounds.entropy_floor_accuracy(left) <= ceilings.joint_exact_match + slack
    assert bounds.hellman_raviv_accuracy(left) <= ceilings.joint_exact_match + slack
    assert ceilings.joint_exact_match <= bounds.fano_accuracy_entropy(log_maps, left * np.log(2)) + slack
    per_pixel = left * np.log(2) / num_pixels
    assert ceilings.pixel_accuracy <= bounds.fano_pixel_accuracy(num_labels, per_pixel) + slack
    known = max(log_maps - left * np.log(2), 0.0)
    assert ceilings.joint_exact_match <= bounds.tolerant_fano_match(num_pixels, num_labels, 0, known) + slack
    assert ceilings.marginal_exact_match <= ceilings.joint_exact_match + slack <= ceilings.pixel_accuracy + 2 * slack
    assert 0 <= left <= num_pixels * np.log2(num_labels) + slack
    assert 0 <= ceilings.label_entropy_bits <= num_pixels * np.log2(num_labels) + slack


@settings(max_examples=15)
@given(length=st.integers(1, 12), stay=st.floats(0, 1), log_noise=st.floats(-3, 3), num_labels=st.integers(2, 5))
def test_chains_lie_between_the_bounds(length: int, stay: float, log_noise: float, num_labels: int) -> None:
    ceilings = chain_ceilings(length, stay, float(np.exp(log_noise)), num_labels, num_draws=500)
    assert_between_bounds(ceilings, num_labels, length)


@settings(max_examples=15)
@given(rows=st.integers(1, 3), columns=st.integers(1, 5), coupling=st.floats(-1.5, 1.5), log_noise=st.floats(-3, 3))
def test_grids_lie_between_the_bounds(rows: int, columns: int, coupling: float, log_noise: float) -> None:
    ceilings = ising_ceilings((rows, columns), coupling, float(np.exp(log_noise)), num_draws=500)
    assert_between_bounds(ceilings, 2, rows * columns)


def amplitude_entropy(num_labels: int, separation: float) -> float:
    """H(label | image) of one pixel in nats: L equally likely, equally spaced means in unit normal noise."""
    means = separation * np.arange(num_labels)
    x = np.linspace(-9.0, means[-1] + 9.0, 200 * num_labels + int(40 * means[-1]))
    log_density = -0.5 * (x[:, None] - means) ** 2 - np.log(num_labels * np.sqrt(2 * np.pi))
    with np.errstate(under="ignore"):
        posterior = special.softmax(log_density, axis=1)
        return float(np.sum(special.entr(posterior).sum(axis=1) * np.exp(log_density).sum(axis=1)) * (x[1] - x[0]))


@given(num_labels=st.integers(2, 6), separation=st.floats(0, 8), num_pixels=st.integers(1, 300), share=st.floats(0, 1))
def test_independent_pixels_lie_between_the_bounds(
    num_labels: int, separation: float, num_pixels: int, share: float
) -> None:
    left = min(amplitude_entropy(num_labels, separation), float(np.log(num_labels)))
    pixel = pixel_accuracy(num_labels, separation)
    exact_match, slack = pixel**num_pixels, 1e-9
    log_maps = num_pixels * float(np.log(num_labels))
    assert pixel <= bounds.fano_pixel_accuracy(num_labels, left) + slack
    assert bounds.entropy_floor_accuracy(num_pixels * left / np.log(2)) <= exact_match + slack
    assert bounds.hellman_raviv_accuracy(num_pixels * left / np.log(2)) <= exact_match + slack
    assert exact_match <= bounds.fano_accuracy_entropy(log_maps, num_pixels * left) + slack
    information = log_maps - num_pixels * left
    assert exact_match <= bounds.weak_fano_accuracy(log_maps, information) + slack
    tolerance = int(share * num_pixels)
    within = float(stats.binom.cdf(tolerance, num_pixels, 1 - pixel))
    assert within <= bounds.tolerant_fano_match(num_pixels, num_labels, tolerance, information) + slack


@settings(max_examples=15)
@given(
    grid_size=st.integers(1, 7),
    radii=st.lists(st.floats(0.5, 5), min_size=1, max_size=3).map(tuple),
    log_noise=st.floats(-2, 2),
)
def test_discs_lie_between_the_bounds(grid_size: int, radii: tuple[float, ...], log_noise: float) -> None:
    """Nominal J = 2^n, existing maps 2^H(Y): both give a Fano bound, and only the second is near."""
    ceilings = disc_ceilings(grid_size, radii, float(np.exp(log_noise)), num_draws=200)
    left, slack, pixels = ceilings.conditional_entropy_bits * np.log(2), 1e-9, grid_size**2
    entropy = ceilings.label_entropy_bits * np.log(2)
    best = ceilings.joint_exact_match
    assert bounds.entropy_floor_accuracy(ceilings.conditional_entropy_bits) <= best + slack
    assert bounds.hellman_raviv_accuracy(ceilings.conditional_entropy_bits) <= best + slack
    near = bounds.fano_accuracy_entropy(entropy, left)
    nominal = bounds.fano_accuracy(2.0**pixels, max(entropy - left, 0.0), entropy)
    assert best <= near + slack <= nominal + 2 * slack
    assert ceilings.pixel_accuracy <= bounds.fano_pixel_accuracy(2, left / pixels) + slack


@given(
    num_classes=st.integers(2, 10**6),
    dimension=st.integers(4, 500),
    log_signal=st.floats(-8, 3),
    samples=st.one_of(st.none(), st.integers(1, 100)),
)
def test_codebooks_lie_below_fano(num_classes: int, dimension: int, log_signal: float, samples: int | None) -> None:
    """iota_n bounds I(Y; X | training images), so Fano with it bounds the learned accuracy."""
    signal = float(np.exp(log_signal))
    accuracy = gaussian_codebook_accuracy(num_classes, dimension, signal, 1.0, samples)
    information = codebook_information(dimension, signal, 1.0, samples)
    assert accuracy <= bounds.fano_accuracy(num_classes, information) + 1e-9
