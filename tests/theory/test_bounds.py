"""Information bounds: printed values, and that every exact ceiling lies between them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.theory import bounds
from sim.theory.capacity import codebook_information
from sim.theory.ceilings import chain_ceilings, gaussian_codebook_accuracy, ising_ceilings
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


@given(num_outputs=st.floats(2, 1e12), share=st.floats(0, 1))
def test_fano_solves_its_equation(num_outputs: float, share: float) -> None:
    information = share * np.log(num_outputs)
    accuracy = bounds.fano_accuracy(num_outputs, information)
    error = 1 - accuracy
    entropy = -sum(p * np.log(p) for p in (accuracy, error) if p > 0)
    assert entropy + error * np.log(num_outputs - 1) == pytest.approx(np.log(num_outputs) - information, abs=1e-6)
    assert 1 / num_outputs - 1e-12 <= accuracy <= 1


def assert_between_bounds(ceilings: FieldCeilings, num_labels: int, num_pixels: int) -> None:
    """All bounds hold for each posterior, and by convexity for their mean over any set of draws: only rounding is
    forgiven, not Monte Carlo error."""
    left, slack = ceilings.conditional_entropy_bits, 1e-9
    log_maps = num_pixels * np.log(num_labels)
    assert bounds.entropy_floor_accuracy(left) <= ceilings.joint_exact_match + slack
    assert bounds.hellman_raviv_accuracy(left) <= ceilings.joint_exact_match + slack
    assert ceilings.joint_exact_match <= bounds.fano_accuracy_entropy(log_maps, left * np.log(2)) + slack
    per_pixel = left * np.log(2) / num_pixels
    assert ceilings.pixel_accuracy <= bounds.fano_accuracy_entropy(np.log(num_labels), per_pixel) + slack
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
