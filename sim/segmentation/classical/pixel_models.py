"""Segmenters that classify every pixel by filter features: linear and logistic regression, LDA, SVM, random forest."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sim.segmentation.classical.features import PixelSample, filter_features, sample_pixels
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter

Floats: TypeAlias = NDArray[np.float64]
Rate: TypeAlias = Callable[[Floats], Floats]  # features (pixels, features) -> scores (pixels, labels that were seen)
Teach: TypeAlias = Callable[[PixelSample, Mapping[str, Any], int], Rate]
MANY, FEW = 20_000, 1_500  # training pixels; few where the time to answer grows with them


def _ridge(sample: PixelSample, parameters: Mapping[str, Any], seed: int) -> Rate:
    targets = (sample.labels[:, None] == np.unique(sample.labels)).astype(np.float64)
    model = Ridge(alpha=1.0).fit(sample.features, targets, sample_weight=sample.weights)
    return lambda features: np.asarray(model.predict(features)).reshape(len(features), -1)


def _logistic(sample: PixelSample, parameters: Mapping[str, Any], seed: int) -> Rate:
    model = LogisticRegression(C=1.0, max_iter=1000, tol=1e-3)
    model.fit(sample.features, sample.labels, sample_weight=sample.weights)
    return lambda features: np.asarray(model.predict_proba(features))


def _discriminant(sample: PixelSample, parameters: Mapping[str, Any], seed: int) -> Rate:
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01, priors=sample.priors[sample.priors > 0])
    model.fit(sample.features, sample.labels)
    return lambda features: np.asarray(model.predict_proba(features))


def _support_vectors(sample: PixelSample, parameters: Mapping[str, Any], seed: int) -> Rate:
    model = SVC(C=parameters["cost"], gamma="scale")
    model.fit(sample.features, sample.labels, sample_weight=sample.weights)
    return lambda features: np.asarray(model.predict(features)[:, None] == np.unique(sample.labels), dtype=np.float64)


def _forest(sample: PixelSample, parameters: Mapping[str, Any], seed: int) -> Rate:
    model = RandomForestClassifier(40, min_samples_leaf=parameters["leaf"], max_features="sqrt", random_state=seed)
    model.fit(sample.features, sample.labels, sample_weight=sample.weights)
    return lambda features: np.asarray(model.predict_proba(features))


def fit_pixel_scores(
    teach: Teach, examples: Examples, parameters: Mapping[str, Any], seed: int, most: int = MANY, lines: bool = False
) -> Callable[[Images], Floats]:
    """Learn scores of labels, pixel by pixel.

    Args:
        teach: what learns from a sample of pixels with features of mean 0 and variance 1.
        parameters: with "largest", "place" and, where the model takes it, "balance"; as in `filter_features` and
            `sample_pixels`.
        most: training pixels.

    Returns:
        images -> float64, shape (images, L, rows, columns); 0 for labels that were never seen.
    """

    def see(images: Images) -> NDArray[np.float32]:
        return filter_features(images, parameters["largest"], parameters["place"], lines)

    sample = sample_pixels(see(examples.images), examples, most, parameters.get("balance", 0.0), seed)
    seen = np.unique(sample.labels)
    scaler = StandardScaler().fit(sample.features)
    rate = None
    if len(seen) > 1:
        rate = teach(sample._replace(features=scaler.transform(sample.features)), parameters, seed)

    def scores(images: Images) -> Floats:
        answers = np.zeros((examples.num_labels, *images.shape))
        if rate is None:
            answers[seen[0]] = 1.0
        else:
            features = see(images)
            rated = rate(scaler.transform(features.reshape(-1, features.shape[-1])))
            answers[seen] = rated.T.reshape(len(seen), *images.shape)
        return np.moveaxis(answers, 0, 1)

    return scores


def fit_forest_scores(
    examples: Examples, parameters: Mapping[str, Any], seed: int, lines: bool = False
) -> Callable[[Images], Floats]:
    """Probabilities of labels by a random forest: images -> (images, L, rows, columns)."""
    return fit_pixel_scores(_forest, examples, parameters, seed, MANY, lines)


def _best_label(teach: Teach, most: int) -> Callable[[Examples, Mapping[str, Any], int], Predict]:
    def fit(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
        scores = fit_pixel_scores(teach, examples, parameters, seed, most)
        return lambda images: scores(images).argmax(axis=1).astype(np.int32)

    return fit


_SEEN: dict[str, tuple[Any, ...]] = {"largest": (8.0, 4.0, 16.0), "place": (False, True)}
_WEIGHED: dict[str, tuple[Any, ...]] = {**_SEEN, "balance": (0.0, 0.5)}
_FILTERS = "Gaussian, gradient and Hessian filters, equal numbers of pixels drawn and weighed back"


def _pixel_model(
    name: str, summary: str, phantom: str, source: str, parameters: Mapping[str, Any], teach: Teach, most: int = MANY
) -> Segmenter:
    return Segmenter(
        name=name,
        summary=summary,
        task="segment",
        phantom=phantom,
        survey="",
        source=f"{source}; {_FILTERS}",
        parameters=parameters,
        fit=_best_label(teach, most),
    )


LINEAR = _pixel_model(
    "linear_regression", "least squares of each label's indicator on filter features", "liver",
    "ordinary least squares with ridge 1", _WEIGHED, _ridge,
)  # fmt: skip
LOGISTIC = _pixel_model(
    "logistic_regression", "logistic regression on filter features", "liver", "scikit-learn's LogisticRegression",
    _WEIGHED, _logistic,
)  # fmt: skip
DISCRIMINANT = _pixel_model(
    "linear_discriminant", "linear discriminant analysis on filter features", "liver",
    "Fisher, 'The use of multiple measurements in taxonomic problems', 1936 [unchecked], with 1% shrinkage",
    _WEIGHED, _discriminant,
)  # fmt: skip
SUPPORT_VECTORS = _pixel_model(
    "support_vector_machine", "support vector machine with Gaussian kernel on filter features", "cells",
    "Cortes, Vapnik, 'Support-vector networks', 1995 [unchecked]",
    {"cost": (1.0, 10.0, 0.1), **_SEEN}, _support_vectors, FEW,
)  # fmt: skip
FOREST = _pixel_model(
    "random_forest", "random forest on filter features", "membranes", "Breiman, 'Random forests', 2001 [unchecked]",
    {"leaf": (4, 1, 16), **_WEIGHED}, _forest,
)  # fmt: skip
