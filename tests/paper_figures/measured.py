"""Made-up scores of measured trials, one function a family: plausible, not exact."""


def _metric_gap(factors, scatter):
    wrong = factors["pixel_error"]
    falling = 1 - 4 * wrong + 0.002 * scatter
    return {"pixel_accuracy": 1 - wrong, "mean_iou": falling, "dice": falling, "exact_match": 0.0,
            "realised_foreground": factors["foreground"]}  # fmt: skip


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


def _contours_and_rules(factors, scatter):
    names = ("score", "validation_score", "dice", "dice_other", "start_dice")
    limits = ("bayes_known", "linear_ceiling", "regression_limit")
    return dict.fromkeys(names, 0.8 + 0.03 * scatter) | dict.fromkeys(limits, 0.9)


def _random_labels(factors, scatter):
    return {"fits": float(factors["load"] < 1.9), "train_accuracy": min(1.0, 2 / factors["load"]), "num_inputs": 64}


def _continuous(factors, scatter):
    error = 0.3 + 4 / factors["inputs"] + 1e-4 * factors["bins"] + 0.01 * scatter
    return {"error": error, "bayes_error": 0.25, "decoder_error": 0.26, "excess": error / 0.25 - 1}


def _systems(factors, scatter):
    names = ("primary", "filled_dice", "myocardium_dice", "iou", "dice", "sliver07", "selected")
    return dict.fromkeys(names, 0.6 + 0.01 * scatter)


def _label_chains(factors, scatter):
    chance, ceiling = 1 / factors["labels"], 0.95
    accuracy = 0.9 + 0.005 * scatter
    return {"expected_accuracy": accuracy, "expected_ceiling": ceiling, "pixel_ceiling": 0.85, "pixel_accuracy": 0.89,
            "known_pixel_accuracy": 0.95 + 0.002 * scatter, "exact_match": 0.3, "known_exact_match": 0.5,
            "chance_normalised": (accuracy - chance) / (1 - chance),
            "normalised_ceiling": (ceiling - chance) / (1 - chance)}  # fmt: skip


def _block_crops(factors, scatter):
    return {"gap": -0.01 + 0.002 * scatter, "pixel_accuracy": 0.92, "known_pixel_accuracy": 0.94 + 0.002 * scatter}


SCORES = {
    "label_chains": _label_chains,
    "block_crops": _block_crops,
    "metric_gap": _metric_gap,
    "refinement": _refinement,
    "downsampling": _downsampling,
    "edge_map": _contours_and_rules,
    "linear_vs_deep": _contours_and_rules,
    "random_labels": _random_labels,
    "continuous": _continuous,
    "systems": _systems,
}
