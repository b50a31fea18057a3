"""Learners that label a pixel from the raw grey values of a window around it: linear, quadratic, other, deep.

All see the same windows of the same images. Grey values are standardised by the training windows; quadratic features
are all products of two pixels of the window, squares among them.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC

from sim.networks.registry import NetworkSettings
from sim.segmentation.deep.training import Plan, committee_probabilities, train_networks
from sim.training import TrainSettings

Floats: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int32]
Predict: TypeAlias = Callable[[Floats], Labels]  # windows (pixels, window, window) -> labels (pixels,)
MOST = {"support_vectors": 4_000, "forest": 8_000}  # windows that the slow learners see
DEEP_STEPS, LEAST_STEPS, DEEP_BATCH = 3_000, 1_000, 128


def windows_of(images: ArrayLike, window: int) -> Floats:
    """The window around each pixel that has a whole one, image by image and row by row.

    Args:
        images: float, shape (images, rows, columns). window: side in pixels, odd.

    Returns:
        float32, shape (images * inner pixels, window, window).

    Raises:
        ValueError: an even window, or one larger than the image.

    Example:
        >>> windows_of(np.arange(12.0).reshape(1, 3, 4), 3)[:, 1, 1].tolist()
        [5.0, 6.0]
    """
    stack = np.asarray(images, dtype=np.float32)
    if window % 2 == 0 or stack.ndim != 3 or window > min(stack.shape[1:]):
        raise ValueError(f"window must be odd and fit in images (images, rows, columns), got {window}, {stack.shape}")
    found = np.lib.stride_tricks.sliding_window_view(stack, (window, window), axis=(1, 2))
    return np.ascontiguousarray(found).reshape(-1, window, window)


SETTINGS = {  # what may be set of each, and its usual value
    "linear": 1.0, "logistic": 1.0, "quadratic_linear": 1.0, "quadratic_logistic": 1.0, "forest": 2,
    "support_vectors": 3.0,
}  # fmt: skip


def _model(learner: str, seed: int, setting: float) -> Any:
    """A scikit-learn model by name."""
    if learner == "forest":
        return RandomForestClassifier(30, min_samples_leaf=int(setting), random_state=seed)
    if learner == "support_vectors":
        return SVC(C=setting, gamma="scale")
    model = (
        RidgeClassifier(alpha=setting)
        if learner.endswith("linear")
        else LogisticRegression(C=setting, max_iter=500, tol=1e-3)
    )
    if learner.startswith("quadratic"):
        return make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), model)
    return model


SHALLOW = tuple(SETTINGS)
DEEP: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("mlp", {"width": 64, "depth": 2}),
    "convnet": ("conv", {"width": 16, "depth": 2, "receptive_field": 3}),
}


def fit_windows(
    learner: str,
    windows: Floats,
    labels: ArrayLike,
    classes: int,
    seed: int,
    *,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    steps_times: int = 1,
    setting: float | None = None,
) -> Predict:
    """Fit one learner.

    Args:
        learner: one of `SHALLOW`, or a key of `DEEP`: fully connected layers on the window, or convolutions on it under
            a fully connected last layer.
        windows: shape (pixels, window, window). labels: int, one a window, below `classes`.
        seed: of whatever the learner draws.
        learning_rate, weight_decay: of deep learners, which train until the loss is flat, for `DEEP_STEPS` at most.
        steps_times: multiplies that budget, and the steps before a loss may be called flat.
        setting: of the others, by default as in `SETTINGS`: weight of the ridge (linear), inverse weight of the penalty
            (logistic), pixels in a leaf (forest), cost of an error (support vectors).

    Returns:
        windows -> int32 labels.

    Raises:
        ValueError: an unknown learner.
    """  # fmt: skip
    if learner not in SHALLOW and learner not in DEEP:
        raise ValueError(f"learner must be one of {', '.join((*SHALLOW, *DEEP))}, got {learner!r}")
    known = np.asarray(labels, dtype=np.int32)
    mean, deviation = float(windows.mean()), float(windows.std()) or 1.0

    def scale(raw: Floats) -> Floats:
        return np.asarray((raw - mean) / deviation, dtype=np.float32)

    if len(np.unique(known)) < 2:
        return lambda raw: np.full(len(raw), known[0], dtype=np.int32)
    if learner in SHALLOW:
        seen, answers = scale(windows).reshape(len(windows), -1), known
        most = MOST.get(learner, len(seen))
        if len(seen) > most:
            some = np.random.default_rng(seed).choice(len(seen), most, replace=False)
            seen, answers = seen[some], answers[some]
        model = _model(learner, seed, SETTINGS[learner] if setting is None else setting).fit(seen, answers)
        return lambda raw: np.asarray(model.predict(scale(raw).reshape(len(raw), -1)), dtype=np.int32)
    network, shape = DEEP[learner]
    side = windows.shape[1]
    settings = NetworkSettings(network, "dense", (side, side), 1, classes, **shape)
    plan = Plan(settings, TrainSettings(batch_size=DEEP_BATCH, min_steps=LEAST_STEPS * steps_times))
    trained = train_networks(
        plan, scale(windows), known, seeds=[seed], learning_rates=learning_rate, weight_decay=weight_decay,
        steps=DEEP_STEPS * steps_times,
    )  # fmt: skip

    def predict(raw: Floats) -> Labels:
        return np.asarray(committee_probabilities(trained, scale(raw))[:, 0].argmax(axis=-1), dtype=np.int32)

    return predict
