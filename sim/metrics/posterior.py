"""Scores under an exact posterior: the chance that an answer is right, instead of whether it was right.

Both have the same mean. The chance varies far less from image to image, and what a learner lacks of the best answer
is seen without the noise of the labels.
"""

from typing import NamedTuple

import jax.numpy as jnp

from sim.types import Array


class PosteriorScores(NamedTuple):
    """Means over images and units, float32 scalars.

    Attributes:
        expected_accuracy: posterior probability of the chosen labels.
        expected_ceiling: posterior probability of the most probable labels, at least the former.
    """

    expected_accuracy: Array
    expected_ceiling: Array


def score_by_posterior(log_posterior: Array, chosen: Array) -> PosteriorScores:
    """Score answers by the exact posterior of each unit.

    Args:
        log_posterior: float32, shape (images, units, labels), nats.
        chosen: int32, shape (images, units).

    Example:
        >>> scores = score_by_posterior(jnp.log(jnp.array([[[0.9, 0.1], [0.4, 0.6]]])), jnp.array([[0, 0]]))
        >>> round(float(scores.expected_accuracy), 3), round(float(scores.expected_ceiling), 3)
        (0.65, 0.75)
    """
    probability = jnp.exp(log_posterior)
    own = jnp.take_along_axis(probability, chosen[..., None], axis=-1)
    return PosteriorScores(own.mean(), probability.max(axis=-1).mean())
