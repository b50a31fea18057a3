"""Segmenters that find groups of grey values in each image by itself: Otsu, k-means, and k-means as a teacher."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.vq import kmeans2
from skimage import filters
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sim.segmentation.classical.appearance import blurred
from sim.segmentation.classical.naming import fit_names
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter

Labels = NDArray[np.int32]
HISTOGRAM = 64  # bins of the thresholds: five classes then take milliseconds
ITERATIONS = 30  # of k-means
TAUGHT = 200  # pixels a cluster from which a support vector machine learns


def otsu_clusters(images: Images, clusters: int, blur: float) -> Labels:
    """Clusters 0, 1, ... from dark to bright, by thresholds of each image; one cluster where an image is constant."""
    answers = np.zeros(images.shape, dtype=np.int32)
    for index, image in enumerate(blurred(images, blur)):
        if len(np.unique(image)) >= clusters:
            answers[index] = np.digitize(image, filters.threshold_multiotsu(image, clusters, nbins=HISTOGRAM))
    return answers


def group(points: NDArray[np.float64], clusters: int, seed: int) -> tuple[Labels, NDArray[np.float64]]:
    """k-means clusters from dark to bright by the first column, and the distance of each point to its centre.

    SciPy's k-means, because scikit-learn's wakes a pool of threads for every image and took a hundred times as long.
    """
    distinct = len(np.unique(points, axis=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster that loses all its points keeps its centre
        centres, found = kmeans2(points, min(clusters, distinct), iter=ITERATIONS, minit="++", rng=seed)
    rank = np.argsort(np.argsort(centres[:, 0], kind="stable"), kind="stable")
    return rank[found].astype(np.int32), np.asarray(np.linalg.norm(points - centres[found], axis=1))


def kmeans_clusters(images: Images, clusters: int, blur: float, seed: int) -> Labels:
    """Clusters of each image's pixels by their grey value after a blur and after one twice as wide."""
    near, far = blurred(images, blur), blurred(images, 2 * blur + 1)
    points = np.stack([near, far], axis=-1).reshape(len(images), -1, 2)
    return np.stack([group(each, clusters, seed)[0] for each in points]).reshape(images.shape)


def median_points(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Medians of the grey values around each pixel in windows of 3, 5 and 9: shape (pixels, 3)."""
    medians = [ndimage.median_filter(image, size) for size in (3, 5, 9)]
    return np.stack(medians, axis=-1).reshape(-1, 3).astype(np.float64)


def teaching_clusters(images: Images, clusters: int, seed: int) -> Labels:
    """The k-means clusters that teach [28]'s support vector machines, from dark to bright."""
    taught = [group(median_points(image), clusters, seed)[0].reshape(image.shape) for image in images]
    return np.stack(taught).astype(np.int32)


def svm_clusters(images: Images, clusters: int, cost: float, seed: int) -> Labels:
    """k-means clusters relearned by one support vector machine an image, from the pixels nearest to their centres."""
    answers = []
    for image in images:
        points = median_points(image)
        taught, distance = group(points, clusters, seed)
        chosen = [np.flatnonzero(taught == cluster) for cluster in np.unique(taught)]
        # Every second pixel of the nearer half: typical of the cluster, and not all alike.
        near = [own[np.argsort(distance[own], kind="stable")][: max(len(own) // 2, 1)] for own in chosen]
        rows = np.concatenate([own[:: max(len(own) // TAUGHT, 1)][:TAUGHT] for own in near])
        if len(chosen) > 1:
            scaler = StandardScaler().fit(points)
            model = SVC(C=cost, gamma="scale").fit(scaler.transform(points[rows]), taught[rows])
            taught = model.predict(scaler.transform(points))
        answers.append(taught.reshape(image.shape))
    return np.stack(answers).astype(np.int32)


def fit_otsu(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Thresholds of each image; training images name the classes between them."""
    clusters = examples.num_labels + parameters["extra"]
    names = fit_names(lambda images: otsu_clusters(images, clusters, parameters["blur"]), examples, clusters)
    return lambda images: names[otsu_clusters(images, clusters, parameters["blur"])]


def fit_kmeans(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Clusters of each image; training images name them."""
    clusters = examples.num_labels + parameters["extra"]
    names = fit_names(lambda images: kmeans_clusters(images, clusters, parameters["blur"], seed), examples, clusters)
    return lambda images: names[kmeans_clusters(images, clusters, parameters["blur"], seed)]


def fit_self_supervised(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Nothing is learned from training answers but the names of the clusters."""
    clusters = examples.num_labels + parameters["extra"]
    names = fit_names(lambda images: svm_clusters(images, clusters, parameters["cost"], seed), examples, clusters)
    return lambda images: names[svm_clusters(images, clusters, parameters["cost"], seed)]


OTSU = Segmenter(
    name="otsu",
    summary="Otsu's thresholds of each image",
    task="segment",
    phantom="cells",
    survey="",
    source="Otsu, 'A threshold selection method from gray-level histograms', 1979 [unchecked]; named classes, a blur",
    parameters={"blur": (1.0, 0.0, 2.0), "extra": (0, 1)},
    fit=fit_otsu,
)
KMEANS = Segmenter(
    name="kmeans",
    summary="k-means clusters of each image's grey values at two scales",
    task="segment",
    phantom="cells",
    survey="",
    source="MacQueen, 'Some methods for classification and analysis of multivariate observations', 1967 [unchecked]",
    parameters={"blur": (1.0, 0.0, 2.0), "extra": (0, 1)},
    fit=fit_kmeans,
)
SELF_SUPERVISED_SVM = Segmenter(
    name="self_supervised_svm",
    summary="k-means clusters teach a support vector machine for each image, which labels its pixels anew",
    task="segment",
    phantom="cells",
    survey="[28]",
    source=(
        "Zheng et al., 'Fast and robust segmentation of white blood cell images by self-supervised learning', Micron "
        "107, 2018 [unchecked]; grey instead of colour medians, no concavity splitting, no weak-edge enhancement; "
        "training images name the clusters"
    ),
    parameters={"extra": (0, 1), "cost": (1.0, 10.0, 0.1)},
    fit=fit_self_supervised,
)
