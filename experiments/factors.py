"""Factors: everything that a sweep may vary, each with its type, default value and rule, and the parts they apply to.

This module and those that read it know nothing of JAX, so a wrong value is refused before anything heavy is loaded.
"""

import difflib

from experiments.factor import ANY, AUTO, POSITIVE, RECIPE_NUMBERS, Factor, Rule, UsageError, at_least, one_of, rule
from experiments.families.registry import FAMILIES

__all__ = ["AUTO", "FACTORS", "RECIPE_NUMBERS", "Factor", "Rule", "UsageError"]


RECIPES = {"plain": "", "regularised": "+reg"}  # recipe -> its mark in an arm's label
HEADS = ("jway", "dense", "shared", "placed")
FIELDS = ("independent", "chain", "ising")

GENERATOR_FACTORS: dict[str, tuple[str, ...]] = {
    "codebook": ("outputs", "balanced", "signal_power", "noise", "dimension"),
    "blocks": (
        "tiles", "labels", "tile_dimension", "similarity", "relabelled", "signal_power", "noise", "balanced",
    ),
    "fields": ("rows", "columns", "labels", "field", "spacing", "noise", "stay", "coupling"),
    "digits": ("outputs",),
    "dictionary": ("grid_size", "scenes", "bits", "spread", "labels", "frame", "spacing", "noise"),
    **{family.name: family.data for family in FAMILIES.values()},
}  # fmt: skip
NOMINAL = {  # factors that rename or pad the label maps of the very same images
    "blocks": ("relabelled",), "dictionary": ("labels", "frame"),
}  # fmt: skip
_TRAINING = (
    "recipe", "learning_rate", "weight_decay", "input_noise", "max_steps", "batch_size", "init_seed",
)  # fmt: skip
NETWORK_FACTORS: dict[str, tuple[str, ...]] = {
    "mlp": ("head", "width", "depth", *_TRAINING),
    "linear": ("head", *_TRAINING),
    "conv": ("head", "receptive_field", "width", *_TRAINING),
    "unet": ("head", "width", "depth", "levels", *_TRAINING),
    "bayes": (),
    "plugin": (),
    "class_mean": (),
    "known": (),
}
RANKED_GENERATORS = ("codebook", "digits")  # whose networks, all with a jway head, may keep their ranks
PIXELWISE = ("conv", "unet")  # networks with features for every pixel, whose usual head on pixels is a shared one
COMMON_FACTORS = ("generator", "network", "inputs", "test_items")
CONDITIONS = {"stay": ("field", "chain"), "coupling": ("field", "ising")}  # factor -> (factor, value) it depends on


FACTORS: dict[str, Factor] = {
    factor.name: factor
    for factor in (
        Factor("generator", str, "codebook", one_of(GENERATOR_FACTORS), "family of images"),
        Factor("network", str, "mlp", one_of(NETWORK_FACTORS), "trained network or exact learner"),
        Factor("head", str, None, one_of(HEADS), "auto: jway for one unit, shared on conv and unet, else dense"),
        Factor("recipe", str, "plain", one_of(RECIPES), "kind of training recipe"),
        Factor("inputs", int, 256, at_least(1), "training images I"),
        Factor("inputs_per_output", float, None, POSITIVE, "n = I/J, instead of inputs"),
        Factor("outputs", int, 16, at_least(2), "classes J"),
        Factor("balanced", bool, True, ANY, "equal counts of every class, or labels drawn independently"),
        Factor("signal_power", float, 0.25, POSITIVE, "variance g of a codeword's pixel"),
        Factor("noise", float, 1.0, POSITIVE, "standard deviation of the noise of a pixel"),
        Factor("dimension", int, 64, at_least(1), "pixels D of an image, shown as near to a square as D allows"),
        Factor("tiles", int, 4, at_least(1), "tiles m of a composed image"),
        Factor("labels", int, 4, at_least(2), "labels L of a tile or pixel"),
        Factor("tile_dimension", int, 8, at_least(1), "pixels of a tile"),
        Factor("similarity", float, 0.0, rule("must be in [0, 1]", lambda s: 0 <= s <= 1), "shared part of tiles"),
        Factor("relabelled", bool, False, ANY, "label maps renamed by a random permutation"),
        Factor("field", str, "independent", one_of(FIELDS), "law of the label field"),
        Factor("rows", int, 4, at_least(1), "rows of the label field, in pixels"),
        Factor("columns", int, 4, at_least(1), "columns of the label field, in pixels"),
        Factor("spacing", float, 2.0, POSITIVE, "distance between the means of neighbouring labels"),
        Factor("stay", float, 0.9, rule("must be in (0, 1)", lambda s: 0 < s < 1), "chains: P(same label next)"),
        Factor("coupling", float, 0.4407, at_least(0), "Ising: coupling of neighbours"),
        Factor(
            "receptive_field", int, 7, rule("must be odd and >= 1", lambda r: r % 2 == 1 and r >= 1),
            "side in pixels of what one output of a convolutional trunk sees",
        ),
        Factor("grid_size", int, 16, at_least(16), "side of a dictionary's image, in pixels"),
        Factor("scenes", int, 1, at_least(1), "scenes along a side of a dictionary's image"),
        Factor("bits", int, 10, rule("must be in 2..10", lambda b: 2 <= b <= 10), "a dictionary holds 2^bits scenes"),
        Factor("spread", bool, False, ANY, "dictionary: maps far apart, instead of maps drawn by chance"),
        Factor("frame", int, 0, at_least(0), "pixels of noise-free background around a dictionary's image"),
        Factor("width", int, 128, at_least(1), "hidden units or channels"),
        Factor("depth", int, 2, at_least(1), "hidden layers"),
        Factor("levels", int, 2, at_least(0), "halvings of the image in a U-Net"),
        Factor("learning_rate", float, None, POSITIVE, "AdamW step size; auto: from the recipe"),
        Factor("weight_decay", float, None, at_least(0), "decoupled weight decay; auto: from the recipe"),
        Factor("input_noise", float, None, at_least(0), "noise added to training images; auto: from the recipe"),
        Factor(
            "max_steps", int, 12_000, rule("must be between 50 and 102400", lambda s: 50 <= s <= 102_400),
            "budget of training steps",
        ),
        Factor("batch_size", int, 64, at_least(1), "images a step"),
        Factor("test_items", int, 4000, at_least(1), "test images"),
        Factor("init_seed", int, 0, at_least(0), "seed of the initial weights, crossed with the data seed"),
        Factor(
            "keep_ranks", bool, False, ANY, "store the rank of the true class of each test item, for `extrapolate`"
        ),
    )
}  # fmt: skip
FACTORS |= {factor.name: factor for family in FAMILIES.values() for factor in family.own_factors()}


def applying_factors(generator: str, network: str) -> tuple[str, ...]:
    """Names of the factors that a generator under a network has, in the order of `FACTORS`.

    A measured family has its own, and no network.

    Example:
        >>> applying_factors("digits", "bayes")
        ('generator', 'network', 'inputs', 'outputs', 'test_items')
    """
    if generator in FAMILIES:
        own = {"generator", *FAMILIES[generator].names()}
        return tuple(name for name in FACTORS if name in own)
    names = {*COMMON_FACTORS, *GENERATOR_FACTORS[generator], *NETWORK_FACTORS[network]}
    if generator in RANKED_GENERATORS and "head" in names:
        names.add("keep_ranks")
    return tuple(name for name in FACTORS if name in names)


def get_factor(name: str) -> Factor:
    """Look a factor up.

    Raises:
        UsageError: no such factor.
    """
    if name == "seed":
        raise UsageError("seed is no factor: choose seeds with --seeds N, or Sweep(seeds=...)")
    if name not in FACTORS:
        close = difflib.get_close_matches(name, FACTORS, n=1)
        hint = f"did you mean {close[0]}?" if close else "`capsim list factors STUDY` shows them all"
        raise UsageError(f"no factor named {name!r}: {hint}")
    return FACTORS[name]
