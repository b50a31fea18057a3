"""Scores: of a learner's answers (JAX), and of segmentations, partitions and detections (NumPy)."""

from sim.metrics.answers import Prediction, Scores, calibration_error, pooled_dice, score, weighted_mean
from sim.metrics.detections import detection_scores
from sim.metrics.masks import boundary_f, mean_iou, segmentation_scores
from sim.metrics.partitions import partition_scores
from sim.metrics.posterior import PosteriorScores, score_by_posterior

__all__ = [
    "PosteriorScores",
    "Prediction",
    "Scores",
    "boundary_f",
    "calibration_error",
    "detection_scores",
    "mean_iou",
    "partition_scores",
    "pooled_dice",
    "score",
    "score_by_posterior",
    "segmentation_scores",
    "weighted_mean",
]
