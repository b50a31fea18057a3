"""Scene laws and evidence laws: which tasks show one scene at several numbers of pixels, and which a larger scene.

Every family has a base size at which all laws agree. Refined, its lengths are fixed shares of the image; extended, its
lengths are fixed numbers of pixels. Noise is fixed per pixel, or its variance grows with the number of pixels, so that
an image holds the same evidence in total.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.studies.common import CELL, Columns, chosen, filled
from sim.analysis.curves import group_rows
from sim.types import FloatArray

LAWS = (("refine", "pixel"), ("refine", "total"), ("extend", "pixel"), ("extend", "total"))
BASE_SIZE = {"chain": 8, "ising": 8, "discs": 16}  # columns of four rows; side of a square
BASE_NOISE = {"chain": 1.0, "ising": 1.0, "discs": 2.0}
BASE_STAY = 0.9


def chain_stay(size: int, scene: str, labels: int = 2) -> float:
    """P(same label next) of a chain of `size` pixels: fixed where extended; refined, the correlation over a share of
    the image is: (L stay - 1)/(L - 1) = c^(base size / size), a Markov process in length, sampled finer.

    Example:
        >>> chain_stay(8, "refine"), round(chain_stay(16, "refine"), 4), chain_stay(16, "extend")
        (0.9, 0.9472, 0.9)
    """
    if scene == "extend" or size == BASE_SIZE["chain"]:
        return BASE_STAY
    correlation = (labels * BASE_STAY - 1) / (labels - 1)
    return float(1 / labels + (1 - 1 / labels) * correlation ** (BASE_SIZE["chain"] / size))


def scaled_noise(family: str, size: int, evidence: str) -> float:
    """Standard deviation of a pixel's noise at a size: the base noise, times the square root of the pixels' ratio where
    evidence is fixed in total.

    Example:
        >>> scaled_noise("discs", 32, "pixel"), scaled_noise("discs", 32, "total"), scaled_noise("chain", 32, "total")
        (2.0, 4.0, 2.0)
    """
    ratio = size / BASE_SIZE[family]
    pixels = ratio**2 if family == "discs" else ratio  # strips grow along one side
    return float(BASE_NOISE[family] * (math.sqrt(pixels) if evidence == "total" else 1.0))


def family_of(columns: Columns) -> NDArray[Any]:
    """The family of each row: chain, ising or discs."""
    discs = columns["generator"] == "dictionary"
    return np.where(discs, "discs", columns["field"]).astype(object)


def image_pixels(columns: Columns) -> FloatArray:
    """Number of pixels n of each row's image."""
    strips = columns["rows"].astype(float) * columns["columns"].astype(float)
    return np.where(columns["generator"] == "dictionary", columns["grid_size"].astype(float) ** 2, strips)


def follows(columns: Columns, scene: str, evidence: str) -> NDArray[np.bool_]:
    """Whether each row's task belongs to a scene law and an evidence law. A base size belongs to all of its family."""
    out = np.zeros(len(columns["noise"]), dtype=bool)
    for index, family in enumerate(family_of(columns)):
        if family not in BASE_SIZE:
            continue
        size = int(columns["grid_size" if family == "discs" else "columns"][index])
        fits = math.isclose(columns["noise"][index], scaled_noise(family, size, evidence), rel_tol=1e-9)
        if family == "chain":
            labels = int(columns["labels"][index])
            fits &= math.isclose(columns["stay"][index], chain_stay(size, scene, labels), rel_tol=1e-9)
        elif family == "ising":
            fits &= scene == "extend"  # at a fixed coupling there is no finer grid of the same scene
        else:
            scenes = int(columns["scenes"][index])
            fits &= scenes == 1 if scene == "refine" else scenes * BASE_SIZE["discs"] == size
        out[index] = fits
    return out


def reference_accuracy(columns: Columns) -> FloatArray:
    """Pixel accuracy of the exact posterior: on the same images where it was run, else its known mean, else NaN."""
    out = columns["pixel_bayes_known"].astype(float).copy()
    key, _ = group_rows(filled(columns), [*CELL, "seed"])
    exact = chosen(columns, arm="bayes")
    value = dict(zip(key[exact].tolist(), columns["pixel_accuracy"][exact].tolist(), strict=True))
    for index, cell in enumerate(key.tolist()):
        out[index] = value.get(cell, out[index])
    return out
