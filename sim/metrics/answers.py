"""Scores of predicted label maps against true ones. Every score is a pure JAX function of arrays.

A prediction keeps apart what different losses ask for: the most probable label of each unit (best for pixel accuracy)
and the most probable label map (best for exact match). An argmax network gives the same answer to both.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sim.types import Array

CALIBRATION_BINS = 15  # the customary number of equal-width confidence bins


class Prediction(NamedTuple):
    """What a learner says about a set of test images.

    Attributes:
        log_probabilities: float32, shape (images, head units, classes); nats.
        targets: int32, shape (images, head units), the labels as the head counts them.
        marginal: int32, shape (images, units), the most probable label of each unit.
        joint: int32, shape (images, units), the most probable label map.
    """

    log_probabilities: Array
    targets: Array
    marginal: Array
    joint: Array


class Scores(NamedTuple):
    """Means over test images, float32 scalars; Dice is NaN where there are more than two labels.

    Attributes:
        exact_match: share of images whose joint answer is right everywhere.
        marginal_exact_match: the same for the unit-by-unit answer.
        pixel_accuracy: share of units whose marginal answer is right.
        dice: 2 TP / (2 TP + FP + FN) of label 1, counts pooled over all images.
        nll: negative log-likelihood a head unit, nats.
        calibration_error: expected calibration error of the head's own classes.
        test_items: images counted.
    """

    exact_match: Array
    marginal_exact_match: Array
    pixel_accuracy: Array
    dice: Array
    nll: Array
    calibration_error: Array
    test_items: Array


def weighted_mean(values: Array, weights: Array) -> Array:
    """sum(values * weights) / sum(weights) over the first axis, then the plain mean over the others."""
    per_image = values.astype(jnp.float32).reshape(values.shape[0], -1).mean(axis=1)
    return jnp.sum(per_image * weights) / jnp.maximum(jnp.sum(weights), 1.0)


def pooled_dice(predicted: Array, reference: Array, weights: Array) -> Array:
    """Dice overlap of label 1 with counts pooled over images: 2 TP / (2 TP + FP + FN); 1 where both are empty.

    Args:
        predicted, reference: int32, shape (images, units). weights: float32, shape (images,), 0 leaves an image out.

    Example:
        >>> import jax.numpy as jnp
        >>> pooled_dice(jnp.array([[1, 1, 0, 0]]), jnp.array([[1, 0, 1, 0]]), jnp.ones(1)).item()
        0.5
    """
    first, second = (predicted == 1).astype(jnp.float32), (reference == 1).astype(jnp.float32)
    both = jnp.sum(first * second * weights[:, None])
    either = jnp.sum((first + second) * weights[:, None])
    return jnp.where(either > 0, 2.0 * both / jnp.maximum(either, 1.0), 1.0)


def calibration_error(log_probabilities: Array, targets: Array, weights: Array) -> Array:
    """Expected calibration error: sum over confidence bins of share * |accuracy - mean confidence|.

    Args:
        log_probabilities: float32, shape (images, units, classes). targets: int32, shape (images, units).
        weights: float32, shape (images,).

    Source: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017 [unchecked].
    """
    confidence = jnp.exp(log_probabilities.max(axis=-1)).ravel()
    right = (log_probabilities.argmax(axis=-1) == targets).astype(jnp.float32).ravel()
    weight = jnp.broadcast_to(weights[:, None], targets.shape).ravel()
    bins = jnp.clip((confidence * CALIBRATION_BINS).astype(jnp.int32), 0, CALIBRATION_BINS - 1)
    gap = jax.ops.segment_sum(weight * (right - confidence), bins, num_segments=CALIBRATION_BINS)
    return jnp.sum(jnp.abs(gap)) / jnp.maximum(jnp.sum(weight), 1.0)


def score(prediction: Prediction, labels: Array, weights: Array, num_labels: Array) -> Scores:
    """Score a prediction.

    Args:
        prediction: what the learner said.
        labels: int32, shape (images, units), the truth.
        weights: float32, shape (images,), 1 for a test image and 0 for padding.
        num_labels: labels a unit has; Dice exists only for two labels on more than one unit.
    """
    target_log = jnp.take_along_axis(prediction.log_probabilities, prediction.targets[..., None], axis=-1)
    has_dice = (jnp.asarray(num_labels) == 2) & (labels.shape[1] > 1)
    return Scores(
        exact_match=weighted_mean(jnp.all(prediction.joint == labels, axis=1), weights),
        marginal_exact_match=weighted_mean(jnp.all(prediction.marginal == labels, axis=1), weights),
        pixel_accuracy=weighted_mean(prediction.marginal == labels, weights),
        dice=jnp.where(has_dice, pooled_dice(prediction.marginal, labels, weights), jnp.nan),
        nll=-weighted_mean(target_log, weights),
        calibration_error=calibration_error(prediction.log_probabilities, prediction.targets, weights),
        test_items=jnp.sum(weights),
    )
