"""Measured family `downsampling`: shrink, train, grow back, score; beside what any map of that grid could score."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from experiments.measures.map_networks import train_maps
from experiments.spec import Trial
from experiments.tasks import key_words
from sim.generators.outlines import FINE, draw_outlines, shrink
from sim.generators.resampling import enlarge_bilinear
from sim.networks.registry import NetworkSettings

Floats = NDArray[np.float64]
HELD_OUT = 100  # images on which thresholds are chosen
THRESHOLDS = np.round(np.arange(0.1, 0.85, 0.05), 2)


def dice_scores(maps: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Floats:
    """Dice of each image: bool (images, rows, columns) -> (images,); 1 where both are empty.

    Example:
        >>> dice_scores(np.array([[[True, True]]]), np.array([[[True, False]]])).round(4).tolist()
        [0.6667]
    """
    both, either = (maps & truth).sum(axis=(1, 2)), maps.sum(axis=(1, 2)) + truth.sum(axis=(1, 2))
    return np.asarray(np.where(either > 0, 2 * both / np.maximum(either, 1), 1.0))


def best_threshold(chances: Floats, truth: NDArray[np.bool_]) -> float:
    """The threshold of the list with the best mean Dice on these images, the lowest of those that tie."""
    return float(THRESHOLDS[np.argmax([dice_scores(chances > t, truth).mean() for t in THRESHOLDS])])


def block_oracle(shares: Floats) -> Floats:
    """The largest Dice of any map that is constant on blocks, given the object's share of each block: (images,).

    With the blocks in falling order of share, the best map takes the first k: for a given number of blocks the overlap
    is largest so, and the sizes are then fixed.

    Args:
        shares: float, shape (images, rows, columns), in [0, 1], not all 0.

    Example:
        >>> block_oracle(np.array([[[1.0, 0.5], [0.0, 0.0]]])).round(3).tolist()
        [0.857]
    """
    falling = -np.sort(-shares.reshape(len(shares), -1), axis=1)
    count = np.arange(1, falling.shape[1] + 1)
    return np.asarray((2 * np.cumsum(falling, axis=1) / (count + falling.sum(axis=1, keepdims=True))).max(axis=1))


def grow(chances: Floats) -> Floats:
    """Bilinear enlargement to the fine grid: (images, side, side) -> (images, 64, 64)."""
    small = jnp.asarray(chances, jnp.float32)
    return np.asarray(enlarge_bilinear(small, FINE // small.shape[-1]), np.float64)


@partial(jax.jit, static_argnums=(1, 3))
def _draw_fine(words: Any, outline: str, noise: Any, number: int) -> tuple[Any, Any]:
    return draw_outlines(jax.random.wrap_key_data(words), outline, noise, jnp.arange(number))


_shrink = jax.jit(shrink, static_argnums=2)


def _draw(words: Any, outline: str, noise: float, grid: int, number: int) -> tuple[Any, Any, Any]:
    """Images and shares on a grid, and the fine maps."""
    images, labels = _draw_fine(words, outline, noise, number)
    small, shares = _shrink(images, labels, grid)
    return np.asarray(small), np.asarray(shares), np.asarray(labels)


def grown_scores(chances: Floats, shares: Floats, labels: NDArray[np.bool_]) -> dict[str, float]:
    """Scores on the fine grid and natively; the first `HELD_OUT` images choose thresholds, the others are scored.

    Args:
        chances, shares: of label 1 on the trained grid, shape (images, side, side). labels: bool, (images, 64, 64).

    Returns:
        dice, pixel_accuracy: of the enlarged chances on the fine grid, thresholds for each; held_out_dice: the former
        on the held-out images; native_dice, native_accuracy: against the map of blocks that are object to a half or
        more (Dice over the images where there is one, left out where there is none); vanished: share of images without
        one; oracle_block: best block-constant map; oracle_bilinear: true shares enlarged, threshold chosen as for the
        network; oracle: the better of the two, image by image.
    """
    kept, rest = slice(HELD_OUT), slice(HELD_OUT, None)
    grown, ideal, native = grow(chances), grow(shares), shares >= 0.5
    threshold = best_threshold(grown[kept], labels[kept])
    bilinear = dice_scores(ideal[rest] > best_threshold(ideal[kept], labels[kept]), labels[rest])
    block = block_oracle(shares[rest])
    scores = {
        "dice": dice_scores(grown[rest] > threshold, labels[rest]).mean(),
        "pixel_accuracy": ((grown[rest] > 0.5) == labels[rest]).mean(),
        "held_out_dice": dice_scores(grown[kept] > threshold, labels[kept]).mean(),
        "native_accuracy": ((chances[rest] > 0.5) == native[rest]).mean(),
        "oracle_block": block.mean(),
        "oracle_bilinear": bilinear.mean(),
        "oracle": np.maximum(block, bilinear).mean(),
    }
    shown, known = native[rest].any(axis=(1, 2)), native[kept].any(axis=(1, 2))
    scores["vanished"] = 1 - shown.mean()
    if shown.any() and known.any():
        native_threshold = best_threshold(chances[kept][known], native[kept][known])
        scores["native_dice"] = dice_scores(chances[rest][shown] > native_threshold, native[rest][shown]).mean()
    return {name: float(value) for name, value in scores.items()}


def measure(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Scores of each trial; all of a call share outline, grid, network, I and numbers of images."""
    factors = [dict(trial.factors) for trial in trials]
    first = factors[0]
    grid, inputs = first["trained_grid"], first["inputs"]
    number = inputs + HELD_OUT + first["test_items"]
    drawn = [
        _draw(key_words(t.data_identity, "data"), first["outline"], f["noise"], grid, number)
        for t, f in zip(trials, factors, strict=True)
    ]
    settings = NetworkSettings(
        network="conv", head="shared", image_shape=(grid, grid), units=grid**2, classes=2, width=first["width"],
        depth=3, receptive_field=first["receptive_field"],
    )  # fmt: skip
    images, shares = (np.stack([sets[part] for sets in drawn]) for part in (0, 1))
    trained = train_maps(trials, settings, images[:, :inputs], shares[:, :inputs], images[:, inputs:])
    rows: list[dict[str, Any]] = []
    for index, sets in enumerate(drawn):
        if trained.finite[index]:
            true_shares, labels = sets[1][inputs:].astype(np.float64), sets[2][inputs:] == 1
            rows.append(trained.scores[index] | grown_scores(trained.chances[index], true_shares, labels))
        else:
            rows.append({"diverged": "the training loss was not finite"})
    return rows
