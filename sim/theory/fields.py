"""Exact posteriors of label fields that are a Markov chain of columns: label chains, and Ising grids of few rows.

A field is a chain of T sites with S states (for a grid: T columns, S = 2^rows patterns of a column), prior

    p(x) = prod_t site(x_t) prod_t link(x_t, x_{t+1}) / Z,

and every pixel is seen with independent Gaussian noise. The expectation over the noise is Monte Carlo with a fixed
seed, but given an observation nothing is sampled: the scores are posterior probabilities, which has far less noise
than counting hits.
"""

from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sim.theory import checks
from sim.types import FloatArray

IntArray: TypeAlias = NDArray[np.int64]

LARGEST_GRID_SIDE = 6  # the transfer matrix has 2^side states
SEED = 20240229
_BUDGET = 2.5e7  # elementary operations of one ceiling, a few tenths of a second
_CHUNK = 1.0e5  # numbers in one array, so that the working set stays in the cache


class FieldCeilings(NamedTuple):
    """Exact limits of any predictor of a label field from its noisy image.

    Attributes:
        pixel_accuracy: of the marginal map (each pixel its most probable label), the best possible.
        joint_exact_match: P(whole map right) of the joint MAP map, the best possible.
        marginal_exact_match: P(whole map right) of the marginal map; a network with independent pixel losses
            is to be compared with this one.
        label_entropy_bits: H(X).
        conditional_entropy_bits: H(X|Y).
        standard_error: the largest Monte Carlo standard error of the three accuracies; 0 where exact.
    """

    pixel_accuracy: float
    joint_exact_match: float
    marginal_exact_match: float
    label_entropy_bits: float
    conditional_entropy_bits: float
    standard_error: float


class Field(NamedTuple):
    """A chain of sites.

    Attributes:
        site: log weight of each state, shape (S,).
        link: log weight of neighbouring states, shape (S, S).
        labels: label of each pixel of a site in each state, int, shape (S, pixels).
        means: image intensity of each label, shape (L,).
        length: number of sites T.
    """

    site: FloatArray
    link: FloatArray
    labels: IntArray
    means: FloatArray
    length: int


def potts_chain(length: int, stay: float, num_labels: int, spacing: float) -> Field:
    """A row of `length` pixels that keeps its label with probability `stay`, else takes any other equally likely."""
    labels = np.arange(num_labels)
    with np.errstate(divide="ignore"):
        keep, change = np.log(stay), np.log(1 - stay) - np.log(num_labels - 1)
    link = np.where(np.eye(num_labels, dtype=bool), keep, change)
    means = np.asarray(spacing * (labels - (num_labels - 1) / 2), dtype=np.float64)
    return Field(np.zeros(num_labels), link, labels[:, None], means, length)


def ising_grid(rows: int, columns: int, coupling: float) -> Field:
    """A free-boundary grid of labels -1, +1 with p(x) ~ exp(coupling * sum over neighbours x_i x_j); few rows."""
    labels = (np.arange(2**rows)[:, None] >> np.arange(rows)) & 1
    spins = 2.0 * labels - 1
    site = coupling * np.sum(spins[:, 1:] * spins[:, :-1], axis=1)
    return Field(site, coupling * spins @ spins.T, labels, np.array([-1.0, 1.0]), columns)


def _messages(field: Field) -> tuple[FloatArray, float]:
    """Log backward messages of the prior, shape (T, S), and ln Z."""
    messages = np.zeros((field.length, len(field.site)))
    for t in range(field.length - 2, -1, -1):
        messages[t] = special.logsumexp(field.link + field.site + messages[t + 1], axis=1)
    return messages, float(special.logsumexp(field.site + messages[0]))


def draw_fields(field: Field, num_draws: int, rng: np.random.Generator) -> IntArray:
    """Exact draws from the prior, forwards: states, shape (T, num_draws)."""
    messages, _ = _messages(field)
    states = np.empty((field.length, num_draws), dtype=np.int64)
    for t in range(field.length):
        log_weights = field.site + messages[t] + (field.link if t else 0.0)
        cumulated = np.cumsum(special.softmax(np.atleast_2d(log_weights), axis=1), axis=1).T
        columns = cumulated[:-1, states[t - 1] if t else np.zeros(num_draws, dtype=np.int64)]
        states[t] = (rng.random(num_draws) >= columns).sum(axis=0)
    return states


def _posterior_scores(field: Field, evidence: FloatArray) -> FloatArray:
    """Posterior scores of each observation: forward-backward for sums, Viterbi's recursion for the maximum.

    Args:
        evidence: log likelihood of each state, shape (T, S, N), up to a constant for each site.

    Returns:
        shape (4, N): mean over pixels of the largest label probability, probability of the joint MAP map,
        probability of the marginal map, posterior entropy in nats.
    """
    length, num_states, num = evidence.shape
    weights = evidence + field.site[:, None]
    weights -= weights.max(axis=1, keepdims=True)
    linear, link = np.exp(weights), np.exp(field.link)

    forward, backward = np.empty_like(linear), np.ones_like(linear)
    log_evidence = np.zeros(num)
    best, message = weights[0], linear[0]
    for t in range(length):
        if t:
            message = (link.T @ forward[t - 1]) * linear[t]
            # the Markov link allows one state at a time: (S, N) arrays, never (S, S, N)
            best = weights[t] + np.stack([np.max(best + column[:, None], axis=0) for column in field.link.T])
        total = message.sum(axis=0)
        forward[t] = message / total
        log_evidence += np.log(total)
    linked = np.where(link > 0, link * np.where(link > 0, field.link, 0.0), 0.0)  # link * ln link
    expected_log = np.zeros(num)
    for t in range(length - 2, -1, -1):
        ahead = backward[t + 1] * linear[t + 1]
        backward[t] = link @ ahead
        total = np.sum(forward[t] * backward[t], axis=0)
        expected_log += np.sum((linked.T @ forward[t]) * ahead, axis=0) / total
        backward[t] /= total
    states = forward
    states *= backward
    states /= states.sum(axis=1, keepdims=True)
    expected_log += np.einsum("tsn,tsn->n", states, np.where(states > 0, weights, 0.0))

    num_labels, pixels = len(field.means), field.labels.shape[1]
    shows = field.labels.T[:, None, :] == np.arange(num_labels)[:, None]  # (pixels, L, S)
    marginals = (shows.reshape(-1, num_states) @ states).reshape(length, pixels, num_labels, num)
    path = np.einsum("tpn,p->tn", marginals.argmax(axis=2), num_labels ** np.arange(pixels))
    log_path = np.take_along_axis(weights, path[:, None], axis=1).sum(axis=(0, 1))
    log_path += field.link[path[:-1], path[1:]].sum(axis=0)
    joint, marginal = np.exp(best.max(axis=0) - log_evidence), np.exp(log_path - log_evidence)
    return np.stack([marginals.max(axis=2).mean(axis=(0, 1)), joint, marginal, log_evidence - expected_log])


def field_ceilings(field: Field, noise: float, num_draws: int | None = None) -> FieldCeilings:
    """Ceilings of a field seen with noise of standard deviation `noise`, by Monte Carlo with a fixed seed.

    Args:
        num_draws: images drawn; None spends a second or two at most, with 2,000 to 200,000 draws.
    """
    num_states = len(field.site)
    size = field.length * num_states
    if num_draws is None:
        num_draws = int(np.clip(_BUDGET / (size * (4 + num_states / 4)), 2_000, 200_000))
    rng = np.random.default_rng(SEED)
    chunk = max(int(_CHUNK / size), 256)
    scores = []
    with np.errstate(under="ignore"):
        for first in range(0, num_draws, chunk):
            states = draw_fields(field, min(chunk, num_draws - first), rng)
            evidence = np.zeros((field.length, num_states, states.shape[1]))
            for labels in field.labels.T:  # one pixel of every site
                image = field.means[labels[states]] + noise * rng.standard_normal(states.shape)
                likelihood = -((image[:, None] - field.means[:, None]) ** 2) / (2 * noise**2)
                evidence += likelihood[:, labels]
            scores.append(_posterior_scores(field, evidence))
    values = np.concatenate(scores, axis=1)
    means, errors = values.mean(axis=1), values.std(axis=1) / np.sqrt(num_draws)
    return FieldCeilings(
        pixel_accuracy=min(float(means[0]), 1.0),
        joint_exact_match=min(float(means[1]), 1.0),
        marginal_exact_match=min(float(means[2]), 1.0),
        label_entropy_bits=prior_entropy(field) / float(np.log(2)),
        conditional_entropy_bits=max(float(means[3] / np.log(2)), 0.0),
        standard_error=float(errors[:3].max()),
    )


def prior_entropy(field: Field) -> float:
    """H(X) in nats: the entropy of the posterior without evidence."""
    nothing = np.zeros((field.length, len(field.site), 1))
    return float(_posterior_scores(field, nothing)[3, 0])


@lru_cache(maxsize=1024)
def chain_ceilings(
    length: int,
    stay: float,
    noise: float,
    num_labels: int = 2,
    spacing: float = 2.0,
    num_draws: int | None = None,
) -> FieldCeilings:
    """Ceilings for a row of T pixels whose label is kept with probability `stay`, by forward-backward and Viterbi.

    Labels start uniform and change to each other label equally likely; label l has mean spacing * (l - (L-1)/2), so
    two labels have means -1 and +1. The posterior is exact, the mean over the noise Monte Carlo with a fixed seed.

    Args:
        length: T >= 1.
        stay: in [0, 1].
        noise: standard deviation, > 0.
        num_labels: L >= 2.
        spacing: distance of neighbouring means, > 0.
        num_draws: images drawn; None takes 2,000 to 200,000 within a second or two.

    Example:
        >>> ceilings = chain_ceilings(8, 0.9, 1.0, num_draws=20_000)
        >>> abs(ceilings.pixel_accuracy - 0.92588) < 0.002
        True

    Source: Rabiner (1989), sections III.A-C.
    """
    length = checks.require_whole("length", length, 1)
    stay = checks.require_between("stay", stay, 0, 1)
    noise = checks.require_positive("noise", noise)
    num_labels = checks.require_whole("num_labels", num_labels, 2)
    spacing = checks.require_positive("spacing", spacing)
    return field_ceilings(potts_chain(length, stay, num_labels, spacing), noise, checks.optional_draws(num_draws))


@lru_cache(maxsize=1024)
def ising_ceilings(
    shape: tuple[int, int], coupling: float, noise: float, num_draws: int | None = None
) -> FieldCeilings:
    """Ceilings for an Ising grid with free boundary, labels -1 and +1, p(x) ~ exp(coupling * sum of x_i x_j).

    Exact posterior by transfer matrices along the longer side; Monte Carlo over the noise with a fixed seed.

    Args:
        shape: (rows, columns); the smaller at most 6, since the transfer matrix has 2^side states.
        coupling: inverse temperature times interaction, any sign.
        noise: standard deviation, > 0.
        num_draws: as in `chain_ceilings`.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(ising_ceilings((3, 3), 0.4407, 1.0, num_draws=2_000).label_entropy_bits, 6)
        6.950959

    Source: Kramers and Wannier (1941) for the transfer matrix.
    """
    sides = sorted(checks.require_whole("shape", side, 1) for side in shape)
    checks.require(len(sides) == 2, "shape", "(rows, columns)", shape)
    checks.require(sides[0] <= LARGEST_GRID_SIDE, "the smaller side of shape", f"<= {LARGEST_GRID_SIDE}", shape)
    checks.require(bool(np.isfinite(coupling)), "coupling", "finite", coupling)
    noise = checks.require_positive("noise", noise)
    grid = ising_grid(sides[0], sides[1], float(coupling))
    return field_ceilings(grid, noise, checks.optional_draws(num_draws))
