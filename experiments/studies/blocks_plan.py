"""Grids and recipes of study `blocks`: crops of label chains by block size, and images of tiles by similarity."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.ranking import Search
from experiments.recipes import TUNING_SEEDS, TUNING_STEPS
from experiments.spec import Sweep

# (network, I) -> block size -> learning rate, weight decay, input noise: the best of the first two of `SEARCHES`, by
# `experiments.ranking.rank_recipes`. A size not listed takes the next smaller one's.
CROP_RECIPES: Mapping[tuple[str, int], Mapping[int, tuple[float, float, float]]] = {
    ("mlp", 32): {1: (1e-3, 1.0, 0.5), 8: (3e-3, 1.0, 0.5)},
    ("mlp", 128): {1: (3e-3, 1.0, 0.5), 8: (3e-3, 0.3, 0.5)},
    ("mlp", 512): {1: (3e-3, 0.3, 0.0), 2: (3e-3, 0.3, 0.5), 4: (3e-3, 0.3, 0.0)},
    ("conv", 32): {1: (3e-3, 1.0, 0.5), 4: (1e-3, 1.0, 1.0)},
    ("conv", 128): {1: (1e-3, 1.0, 0.0), 4: (1e-3, 1.0, 0.5), 16: (3e-3, 1.0, 0.5)},
    ("conv", 512): {1: (3e-3, 0.3, 0.5), 16: (3e-3, 1.0, 0.0)},
}
SHAPES: Mapping[str, Mapping[str, int]] = {
    "mlp": {"width": 64, "batch_size": 64}, "conv": {"width": 32, "batch_size": 32},
}  # fmt: skip
SIZES, CONV_SIZES, MARGIN, CROP_IMAGES = (1, 2, 4, 8, 16), (1, 4, 16), 9, (32, 128, 512)
CROP: dict[str, Any] = {"generator": "block_crops", "stay": 0.9, "noise": 1.0, "spacing": 2.0, "max_steps": 6000}
TILE_HEADS = ("shared", "placed", "dense")
# head -> the best of the last of `SEARCHES`, pooled over similarity and I
TILE_RECIPES: Mapping[str, tuple[float, float, float]] = {
    "shared": (3e-3, 10.0, 1.0), "placed": (3e-3, 3.0, 3.0), "dense": (1e-3, 10.0, 1.0),
}  # fmt: skip
TILE: dict[str, Any] = {
    "generator": "blocks", "tiles": 4, "labels": 2, "tile_dimension": 32, "signal_power": 0.12, "noise": 1.0,
    "balanced": True,
}  # fmt: skip
TRAINED: dict[str, Any] = {
    "network": "mlp", "recipe": "regularised", "width": 64, "batch_size": 32, "max_steps": 8000,
}  # fmt: skip
TILE_IMAGES = (16, 64, 128)  # at least J = 2^4 label maps, each once: equal counts of every label on every tile
SEARCHES = (
    *(Search([Sweep(**CROP, **SHAPES[network], network=network, crop_margin=MARGIN, inputs=list(CROP_IMAGES),
                    block_size=sizes, test_items=2000, seeds=TUNING_SEEDS, learning_rate=[1e-3, 3e-3],
                    weight_decay=[0.0, 0.3, 1.0], input_noise=[0.0, 0.5, 1.0])],
             ("network", "inputs", "block_size"), "gap") for network, sizes in (("mlp", SIZES), ("conv", CONV_SIZES))),
    Search([Sweep(**{**TILE, **TRAINED, "max_steps": TUNING_STEPS}, head=list(TILE_HEADS), similarity=[0.0, 1.0],
                  inputs=[16, 128], test_items=1000, seeds=TUNING_SEEDS, learning_rate=[1e-3, 3e-3],
                  weight_decay=[3.0, 10.0, 30.0], input_noise=[0.5, 1.0, 1.5, 2.0, 3.0])], ("head",), "pixel_accuracy"),
)  # fmt: skip


def _crops(network: str, inputs: int, sizes: Sequence[int], seeds: int, **others: Any) -> tuple[Sweep, ...]:
    """Blocks of each size, with the recipe of the network, I and size."""
    sweeps = []
    for size in sizes:
        known = CROP_RECIPES[network, inputs]
        rate, decay, noise = known[max(listed for listed in known if listed <= size)]
        numbers = {"learning_rate": rate, "weight_decay": decay, "input_noise": noise}
        task: dict[str, Any] = {
            **CROP,
            **SHAPES[network],
            "crop_margin": MARGIN,
            "test_items": 2000,
            **numbers,
            **others,
        }
        if task.get("block_stride") == 0:  # non-overlapping
            task["block_stride"] = size
        sweeps.append(Sweep(**task, network=network, inputs=inputs, block_size=size, seeds=seeds))
    return tuple(sweeps)


def _tiles(
    similarities: Sequence[float], seeds: int, images: Sequence[int], heads: Sequence[str] = tuple(TILE_RECIPES),
    **others: Any,
) -> tuple[Sweep, ...]:  # fmt: skip
    task: dict[str, Any] = {**TILE, "similarity": list(similarities), "inputs": list(images), "test_items": 2000}
    own: dict[str, Any] = {name: value for name, value in others.items() if name not in ("max_steps", "width")}
    trained: dict[str, Any] = {**TRAINED, **{name: others[name] for name in ("max_steps", "width") if name in others}}
    sweeps = [Sweep(**{**task, **own}, network=["known", "bayes"], seeds=seeds)]
    for head in heads:
        rate, decay, noise = TILE_RECIPES[head]
        numbers = {"learning_rate": rate, "weight_decay": decay, "input_noise": noise}
        sweeps.append(Sweep(**{**task, **own}, **trained, **numbers, head=head, seeds=seeds))
    return tuple(sweeps)


PRESETS: Mapping[str, tuple[Sweep, ...]] = {
    "smoke": (
        *_crops("mlp", 128, (1, 4), 3, max_steps=1000),
        *_tiles((0.0, 1.0), 4, (16,), heads=("shared",), max_steps=1000, test_items=500),
    ),
    "laptop": (
        *(sweep for inputs in CROP_IMAGES for sweep in _crops("mlp", inputs, SIZES, 10)),
        *(sweep for inputs in CROP_IMAGES for sweep in _crops("conv", inputs, CONV_SIZES, 10)),
        *(sweep for margin in (0, 4) for sweep in _crops("mlp", 512, CONV_SIZES, 4, crop_margin=margin)),
        *_crops("mlp", 512, CONV_SIZES[1:], 4, block_stride=0),
        *_crops("mlp", 128, (1, 16), 4, max_steps=4 * CROP["max_steps"]),
        *_tiles((0.0, 1.0), 12, TILE_IMAGES), *_tiles((0.25, 0.5, 0.75), 6, TILE_IMAGES),
        *_tiles((0.0, 1.0), 4, (64,), max_steps=4 * TRAINED["max_steps"]),
    ),
    "paper": (
        *(sweep for inputs in CROP_IMAGES for stride in (1, 0)
          for sweep in _crops("mlp", inputs, SIZES, 20, crop_margin=[0, 4, 9, 18], block_stride=stride)),
        *(sweep for inputs in CROP_IMAGES
          for sweep in _crops("conv", inputs, SIZES, 20, crop_margin=[0, 3, 9, 18])),
        *_tiles((0.0, 0.25, 0.5, 0.75, 0.9, 1.0), 40, (16, 32, 64, 128, 256)),
    ),
}  # fmt: skip
