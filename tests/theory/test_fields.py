"""Chains and Ising grids: printed values, and every posterior score against plain enumeration."""

import itertools

import numpy as np
import pytest
from scipy import stats

from sim.theory import fields
from sim.theory.ceilings import chain_ceilings, ising_ceilings, pixel_accuracy


def enumerate_fields(field: fields.Field) -> tuple[np.ndarray, np.ndarray]:
    """All states (K, T) and their prior probabilities (K,), by the definition of the field."""
    states = np.array(list(itertools.product(range(len(field.site)), repeat=field.length)))
    with np.errstate(divide="ignore"):
        log_prior = field.site[states].sum(axis=1) + field.link[states[:, :-1], states[:, 1:]].sum(axis=1)
    prior = np.exp(log_prior)
    return states, prior / prior.sum()


FIELDS = {
    "chain": fields.potts_chain(6, 0.8, 2, 2.0),
    "potts": fields.potts_chain(4, 0.3, 4, 1.0),
    "frozen": fields.potts_chain(4, 1.0, 3, 1.0),
    "grid": fields.ising_grid(2, 3, 0.4),
    "repulsive": fields.ising_grid(3, 2, -0.7),
}


@pytest.mark.parametrize("name", FIELDS)
def test_posterior_scores_equal_enumeration(name: str) -> None:
    field = FIELDS[name]
    states, prior = enumerate_fields(field)
    evidence = np.random.default_rng(1).normal(0, 2, (field.length, len(field.site), 5))
    with np.errstate(under="ignore"):
        pixel, joint, marginal, entropy = fields._posterior_scores(field, evidence)
    for draw in range(5):
        posterior = prior * np.exp(evidence[np.arange(field.length), states, draw].sum(axis=1))
        posterior /= posterior.sum()
        labels = field.labels[states]  # (K, T, pixels)
        marginals = np.stack(
            [posterior @ (labels == label).reshape(len(states), -1) for label in range(len(field.means))]
        )
        best = marginals.argmax(axis=0).reshape(labels.shape[1:])
        assert pixel[draw] == pytest.approx(marginals.max(axis=0).mean(), rel=1e-10)
        assert joint[draw] == pytest.approx(posterior.max(), rel=1e-10)
        assert marginal[draw] == pytest.approx(posterior[(labels == best).all(axis=(1, 2))].sum(), rel=1e-10)
        positive = posterior[posterior > 0]
        assert entropy[draw] == pytest.approx(-np.sum(positive * np.log(positive)), abs=1e-10)


@pytest.mark.parametrize("name", FIELDS)
def test_draws_follow_the_prior(name: str) -> None:
    """Chi-squared test of all states, false-fail rate 1e-5 a field."""
    field = FIELDS[name]
    states, prior = enumerate_fields(field)
    draws = fields.draw_fields(field, 20_000, np.random.default_rng(2))
    base = len(field.site) ** np.arange(field.length)
    observed = np.bincount(draws.T @ base, minlength=len(field.site) ** field.length)[states @ base]
    assert observed[prior == 0].sum() == 0
    common = prior * 20_000 >= 5
    groups = np.append(observed[common], observed[~common].sum())
    expected = np.append(prior[common], prior[~common].sum()) * 20_000
    keep = expected > 1e-9
    result = stats.chisquare(groups[keep], expected[keep])
    assert result.pvalue > 1e-5


def test_prior_entropy_is_exact() -> None:
    for field in FIELDS.values():
        _, prior = enumerate_fields(field)
        positive = prior[prior > 0]
        assert fields.prior_entropy(field) == pytest.approx(-np.sum(positive * np.log(positive)), abs=1e-10)


def close(value: float, expected: float, *errors: float) -> bool:
    """Within 4.5 joint standard errors: false-fail rate 7e-6 a comparison over seeds; the seed itself is fixed."""
    return bool(abs(value - expected) < 4.5 * np.sqrt(np.sum(np.square(errors))))


def test_chain_values() -> None:
    short, long = chain_ceilings(8, 0.9, 1.0), chain_ceilings(32, 0.9, 1.0)
    assert close(short.pixel_accuracy, 0.92588, short.standard_error, 8e-5)
    assert close(short.joint_exact_match, 0.65358, short.standard_error, 2.9e-4)
    assert close(long.pixel_accuracy, 0.93438, long.standard_error, 4e-5)
    assert close(long.joint_exact_match, 0.23126, long.standard_error, 2.2e-4)
    assert max(short.standard_error, long.standard_error) < 1e-3
    # the two measures move apart as J = 2^T grows
    assert long.pixel_accuracy > short.pixel_accuracy
    assert long.joint_exact_match < short.joint_exact_match


def test_ising_values() -> None:
    pair, grid = ising_ceilings((1, 2), 0.4, 1.0), ising_ceilings((3, 3), 0.4407, 1.0)
    assert close(pair.pixel_accuracy, 0.851141, pair.standard_error)
    assert close(pair.joint_exact_match, 0.736749, pair.standard_error)
    assert close(grid.pixel_accuracy, 0.88403, grid.standard_error, 5e-5)
    assert close(grid.joint_exact_match, 0.39446, grid.standard_error, 1.7e-4)
    assert close(grid.marginal_exact_match, 0.38350, grid.standard_error, 1.8e-4)
    assert grid.label_entropy_bits == pytest.approx(6.950959, abs=6e-7)
    assert grid.conditional_entropy_bits == pytest.approx(3.3260, abs=0.02)


def test_without_coupling_pixels_are_independent() -> None:
    one, grid = pixel_accuracy(2, 2.0), ising_ceilings((3, 3), 0.0, 1.0)
    assert close(grid.pixel_accuracy, one, grid.standard_error)
    assert close(grid.joint_exact_match, one**9, grid.standard_error)
    assert grid.joint_exact_match == pytest.approx(grid.marginal_exact_match, rel=1e-12)
    potts = chain_ceilings(5, 0.25, 1.0, num_labels=4, spacing=4.0)
    assert close(potts.pixel_accuracy, pixel_accuracy(4, 4.0), potts.standard_error)


def test_orientation_does_not_matter() -> None:
    assert ising_ceilings((2, 7), 0.3, 1.0, num_draws=500) == ising_ceilings((7, 2), 0.3, 1.0, num_draws=500)


def test_extreme_noise() -> None:
    clear, dark = chain_ceilings(16, 0.9, 1e-3, num_draws=100), chain_ceilings(16, 0.9, 1e4, num_draws=2000)
    assert clear[:3] == (1.0, 1.0, 1.0)
    assert clear.conditional_entropy_bits == pytest.approx(0, abs=1e-12)
    # nothing seen: the best map is a constant one, right with 1/2 * .9^15; pixels are guesses
    assert dark.joint_exact_match == pytest.approx(0.5 * 0.9**15, rel=0.01)
    assert dark.pixel_accuracy == pytest.approx(0.5, abs=0.001)
    assert dark.conditional_entropy_bits == pytest.approx(dark.label_entropy_bits, abs=1e-3)


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match=r"the smaller side of shape must be <= 6, got \(8, 8\)"):
        ising_ceilings((8, 8), 0.4, 1.0)
    with pytest.raises(ValueError, match=r"stay must be in \[0, 1\], got 1.5"):
        chain_ceilings(8, 1.5, 1.0)
    with pytest.raises(ValueError, match="noise must be > 0 and finite, got 0"):
        chain_ceilings(8, 0.5, 0)
