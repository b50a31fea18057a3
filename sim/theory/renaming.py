"""What no learner can beat on composed images whose J = L^m maps carry random names.

The names are a uniformly random one-to-one relabelling of the maps, the same in training and test. Two helpers bound
every learner, however it pools tiles, networks included:

1. One told the map behind every name is the learner that knows the composition, so A <= its best exact match.
2. One told the map of every image, the test image's included, lacks only names. The name of a map that was seen is
   known; by symmetry those of the U unseen maps are equally likely, so A <= P(seen) + P(U >= 1)/J.

Where every map was seen the second says nothing, and the first nearly holds: a learner that finds the codewords of each
tile without labels pools all classes too.
"""

from sim.theory import checks
from sim.theory.ceilings import CLASS_COUNTS, composed_accuracy, lookup_accuracy


def renamed_match_bound(
    tiles: int,
    labels: int,
    tile_dimension: int,
    signal_power: float,
    noise_power: float,
    num_inputs: int,
    similarity: float = 1.0,
    class_counts: str = "equal",
) -> float:
    """Upper bound on the exact match of any learner, averaged over codebooks and names.

    A <= min(decode, lookup): `decode` is `composed_accuracy` with own codebooks learned from the same images
    (similarity 0, every map seen equally often or independently), else with known codewords of one shared codebook,
    which bounds every similarity: tile accuracies a_i of equal law have E[a_1 ... a_m] <= E[a^m] by Hoelder's
    inequality. `lookup` is `lookup_accuracy` for independent maps and min((I + 1)/J, 1) for equal counts.

    Args:
        tiles: m >= 1.
        labels: L >= 1 of each tile; J = L^m.
        tile_dimension: numbers in one tile.
        signal_power: g >= 0, variance of a codeword, per coordinate.
        noise_power: s2 > 0, variance of the noise, per coordinate.
        num_inputs: I >= 1 training images.
        similarity: s in [0, 1], correlation of the codewords of one label on two tiles.
        class_counts: "equal" if every J images in a row show each map once, "iid" for independent uniform maps.

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> round(renamed_match_bound(6, 4, 8, 4.0, 1.0, 1024, similarity=0.0, class_counts="iid"), 3)
        0.221

    Source: derived in the module's first lines.
    """
    tiles = checks.require_whole("tiles", tiles, 1)
    labels = checks.require_whole("labels", labels, 1)
    num_inputs = checks.require_whole("num_inputs", num_inputs, 1)
    similarity = checks.require_between("similarity", similarity, 0, 1)
    checks.require_one_of("class_counts", class_counts, CLASS_COUNTS)
    maps = labels**tiles
    equal = class_counts == "equal"
    task = (tiles, labels, tile_dimension, signal_power, noise_power)
    if similarity == 0 and (not equal or num_inputs % maps == 0):
        decode = composed_accuracy(*task, num_inputs / labels, similarity=0.0, class_counts=class_counts)
    else:
        decode = composed_accuracy(*task, similarity=1.0)
    lookup = min((num_inputs + 1) / maps, 1.0) if equal else lookup_accuracy(maps, num_inputs, guess="unseen")
    return min(decode, lookup)
