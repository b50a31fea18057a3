"""Made-up scores of measured trials, one function a family: plausible, not exact."""


def _refinement(factors, scatter):
    raw = {"pixel_accuracy": 0.93, "exact_match": 0.3, "dice": 0.7}
    kinds = {"": 0.0, "generic_": 0.01, "dictionary_": 0.04, "threshold_": 0.005, "ceiling_": 0.06}
    return {
        kind + metric: value + gain + 0.01 * scatter for metric, value in raw.items() for kind, gain in kinds.items()
    }


def _downsampling(factors, scatter):
    lost = 1 / factors["trained_grid"]
    names = ("dice", "held_out_dice", "native_dice", "oracle", "oracle_block", "oracle_bilinear")
    return {name: 1 - (2 - name.startswith("oracle")) * lost + 0.01 * scatter for name in names}


SCORES = {"refinement": _refinement, "downsampling": _downsampling}
