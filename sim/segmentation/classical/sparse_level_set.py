"""The survey's [24]: how well each label's dictionary codes a patch drives a level set."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from sim.segmentation.classical.appearance import Floats, Mask, fit_atlas, label_by_label
from sim.segmentation.protocol import Examples, Images, Predict, Segmenter
from sim.segmentation.refinement.level_set import forced_level_set

PATCHES = 1_000  # of each label, from which a dictionary is learned
ATOMS = 16
WEIGHTS = tuple(2.0**power for power in range(-5, 4))  # of codes against place
WEIGHED = 4  # images by which the weight is chosen
SWEEPS, CHANGE = 100, 1e-3  # of the coordinate descent: at most so many, each row until none of its codes moves by more
ROWS = 4096  # patches coded at once: their codes fit into a core's cache


def patches_around(images: Images, side: int) -> Floats:
    """The side x side pixels around every pixel, mirrored at the edges: shape (images, rows, columns, side^2)."""
    reach = side // 2
    padded = np.pad(np.asarray(images, np.float64), ((0, 0), (reach, reach), (reach, reach)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return windows.reshape(*images.shape, side * side)


def sparse_codes(correlations: Floats, gram: Floats, penalty: float) -> Floats:
    """argmin over a of a G a / 2 - c a + penalty |a|_1 for each row c, by coordinate descent.

    All rows move at once, in single precision, and each until it rests: scikit-learn's solver takes them one by one,
    which is several times slower.

    Args:
        correlations: c = x . atoms, shape (rows, atoms). gram: G, of the atoms, shape (atoms, atoms).
    """
    gram, least = gram.astype(np.float32), np.float32(penalty)
    wanted = np.ascontiguousarray(correlations.T, np.float32)  # one atom's codes side by side in memory
    codes, found = np.zeros_like(wanted), np.zeros_like(wanted)
    moving = np.arange(wanted.shape[1])
    for _ in range(SWEEPS):
        moved = np.zeros_like(codes[0])
        for atom in np.flatnonzero(np.diag(gram) > 0):
            before = codes[atom].copy()
            alone = wanted[atom] - gram[atom] @ codes + gram[atom, atom] * before
            codes[atom] = (alone - np.clip(alone, -least, least)) / gram[atom, atom]
            np.maximum(moved, np.abs(codes[atom] - before), out=moved)
        found[:, moving] = codes
        still = moved >= CHANGE
        if not still.any():
            break
        moving = moving[still]
        codes, wanted = np.compress(still, codes, axis=1), np.compress(still, wanted, axis=1)
    return found.T.astype(np.float64)


def coding_cost(patches: Floats, mean: Floats, atoms: Floats, penalty: float) -> Floats:
    """min over a of |x - mean - D^T a|^2 / 2 + penalty |a|_1 for each patch: shape (patches,).

    The penalty counts: without it a dictionary codes a patch of any brightness by scaling one flat atom.
    """
    gram, costs = atoms @ atoms.T, []
    for start in range(0, len(patches), ROWS):
        centred = patches[start : start + ROWS] - mean
        codes = sparse_codes(centred @ atoms.T, gram, penalty)
        costs.append(((centred - codes @ atoms) ** 2).sum(axis=1) / 2 + penalty * np.abs(codes).sum(axis=1))
    return np.concatenate(costs)


def fit_codes(examples: Examples, side: int, penalty: float, seed: int) -> Callable[[Images], Floats]:
    """Learn a dictionary for each label.

    Args:
        side: of a patch, odd. penalty: in standard deviations of a pixel; a patch's penalty is `side` times that.

    Returns:
        images -> minus the coding cost, float64, shape (images, L, rows, columns).
    """
    rng = np.random.default_rng(seed)
    spread = max(float(examples.images.std()), 1e-6)
    weight = penalty * side
    patches = patches_around(examples.images, side).reshape(-1, side * side) / spread
    answers = np.asarray(examples.answers).ravel()
    learned: list[tuple[Floats, Floats] | None] = []
    for label in range(examples.num_labels):
        own = np.flatnonzero(answers == label)
        if len(own) == 0:
            learned.append(None)
            continue
        chosen = patches[rng.permutation(own)[:PATCHES]]
        mean = chosen.mean(axis=0)
        model = MiniBatchDictionaryLearning(
            ATOMS, alpha=weight, max_iter=5, batch_size=256, fit_algorithm="cd", random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            learned.append((mean, model.fit(chosen - mean).components_))

    def scores(images: Images) -> Floats:
        seen: NDArray[np.float64] = patches_around(images, side).reshape(-1, side * side) / spread
        costs = [np.full(len(seen), 1e3) if known is None else coding_cost(seen, *known, weight) for known in learned]
        return np.moveaxis(-np.stack(costs).reshape(len(costs), *images.shape), 0, 1)

    return scores


def fit_weight(codes: Floats, place: Floats, answers: NDArray[np.int32]) -> float:
    """The w in `WEIGHTS` under which softmax(w codes + place) gives the answers the largest likelihood.

    Patches of neighbours share pixels, and a label's code fits noise as well: costs are no log likelihoods as they are.

    Args:
        codes: shape (images, L, rows, columns). place: shape (L, rows, columns). answers: (images, rows, columns).
    """
    losses = []
    for weight in WEIGHTS:
        chances = log_softmax(weight * codes + place, axis=1)
        losses.append(-np.take_along_axis(chances, answers[:, None], axis=1).mean())
    return WEIGHTS[int(np.argmin(losses))]


def fit_sparse_level_set(examples: Examples, parameters: Mapping[str, Any], seed: int) -> Predict:
    """Learn dictionaries and the mean label map; the level set climbs their sum."""
    codes = fit_codes(examples, parameters["side"], parameters["penalty"], seed)
    place = fit_atlas(examples)
    shown = examples.images[:WEIGHED]
    weight = fit_weight(codes(shown), place((shown.shape[1], shown.shape[2])), np.asarray(examples.answers)[:WEIGHED])

    def scores(images: Images) -> Floats:
        return weight * codes(images) + place((images.shape[1], images.shape[2]))

    def move(image: Floats, ratio: Floats, start: Mask, label: int) -> Mask:
        found = forced_level_set(np.clip(ratio, -5, 5), start, parameters["length"])
        return found if found.any() else start

    return label_by_label(scores, move, examples)


SPARSE_LEVEL_SET = Segmenter(
    name="sparse_level_set",
    summary="sparse codes over one dictionary a label drive a level set",
    task="segment",
    phantom="liver",
    survey="[24]",
    source=(
        "Al-Shaikhli, Yang, Rosenhahn, 'Automatic 3D liver segmentation using sparse representation of global and "
        "local image information via level set formulation', 2015 [unchecked]; patches alone are coded, by "
        "scikit-learn's dictionary learning instead of K-SVD; the mean label map stands for the global part"
    ),
    parameters={"side": (5, 3, 7), "penalty": (0.3, 0.1, 1.0), "length": (1.0, 3.0)},
    fit=fit_sparse_level_set,
)
