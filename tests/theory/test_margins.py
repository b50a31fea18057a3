"""Blocks of a chain with margins: printed values, all label rows enumerated, and the limits."""

import itertools

import numpy as np
import pytest
from scipy import special

from sim.theory.fields import chain_ceilings
from sim.theory.margins import chain_block_accuracy


def test_printed_values() -> None:
    """Printed three digits by simulation: 1.5e-3; printed with standard errors: 4.5 of them, false-fail rate 7e-6."""
    for block, expected in ((1, 0.841), (4, 0.914), (8, 0.927), (16, 0.932)):
        assert chain_block_accuracy(block, 0, 0.9, 1.0) == pytest.approx(expected, abs=1.5e-3)
    assert chain_block_accuracy(8, 0, 0.9, 1.0) == pytest.approx(0.92588, abs=4.5 * 8e-5)
    assert chain_block_accuracy(32, 0, 0.9, 1.0) == pytest.approx(0.93438, abs=4.5 * 4e-5)


@pytest.mark.parametrize(
    ("block", "margin", "stay", "noise"), [(1, 2, 0.9, 1.0), (3, 1, 0.7, 0.8), (2, 2, 0.2, 1.5), (1, 0, 0.9, 0.5)]
)
def test_every_row_of_labels(block: int, margin: int, stay: float, noise: float) -> None:
    """Posterior by summing over all rows of labels; 4.5 standard errors: false-fail rate 7e-6; sees .003."""
    rng = np.random.default_rng(51)
    length, num = block + 2 * margin, 100_000
    rows = np.array(list(itertools.product((-1, 1), repeat=length)))
    changes = np.sum(rows[:, 1:] != rows[:, :-1], axis=1)
    prior = 0.5 * stay ** (length - 1 - changes) * (1 - stay) ** changes
    truth = rows[rng.choice(len(rows), size=num, p=prior)]
    images = truth + noise * rng.normal(size=truth.shape)
    posterior = prior * np.exp(images @ rows.T / noise**2)
    guess = np.where(posterior @ rows > 0, 1, -1)
    right = np.mean((guess == truth)[:, margin : margin + block], axis=1)
    error = right.std() / np.sqrt(num)
    assert error < 0.0015
    assert abs(chain_block_accuracy(block, margin, stay, noise) - right.mean()) < 4.5 * error


def test_margins_make_block_size_irrelevant() -> None:
    single, large = chain_block_accuracy(1, 0, 0.9, 1.0), chain_block_accuracy(16, 0, 0.9, 1.0)
    assert large - single > 0.08
    single, large = chain_block_accuracy(1, 40, 0.9, 1.0), chain_block_accuracy(16, 40, 0.9, 1.0)
    assert single == pytest.approx(large, abs=1e-6)  # the border's influence falls exponentially


@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0, 30.0])
def test_limits(noise: float) -> None:
    alone = special.ndtr(1 / noise)
    assert chain_block_accuracy(5, 3, 0.5, noise) == pytest.approx(alone, abs=1e-9)
    assert chain_block_accuracy(1, 0, 0.9, noise) == pytest.approx(alone, abs=1e-9)
    assert chain_block_accuracy(4, 2, 0.8, noise) == pytest.approx(chain_block_accuracy(4, 2, 0.2, noise), abs=1e-9)
    assert alone - 1e-12 <= chain_block_accuracy(4, 2, 0.8, noise) <= 1


def test_the_block_alone_is_the_chain_ceiling() -> None:
    """4.5 standard errors, sqrt(.1 / (8 * 20,000)) for independent pixels and at most sqrt(8) of it: rate 7e-6."""
    estimate = chain_ceilings(8, 0.8, 1.0, num_draws=20_000).pixel_accuracy
    assert chain_block_accuracy(8, 0, 0.8, 1.0) == pytest.approx(estimate, abs=4.5 * np.sqrt(0.1 / 20_000))


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match=r"stay must be strictly between 0 and 1, got 1\.0"):
        chain_block_accuracy(4, 0, 1.0, 1.0)
    with pytest.raises(ValueError, match="margin must be a whole number >= 0, got -1"):
        chain_block_accuracy(4, -1, 0.9, 1.0)
