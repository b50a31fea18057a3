"""Figure `blocks`: what the size of a block costs a network, and what the similarity of tiles gives it."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.studies.blocks import crop_rows, tile_rows
from paper_figures.selection import summarise
from paper_figures.source import MissingRows, Source
from paper_figures.style import (
    DOUBLE,
    Drawing,
    Look,
    add_legend,
    count_axis,
    draw_points,
    ladder,
    make_canvas,
    paper_style,
    save,
)

NAME = "blocks"
SUMMARY = "gap to the exact posterior by block size, and rho by tile similarity"
SIZES = {"conv/9/1": "weights shared over pixels", "mlp/9/1": "own weights for every pixel"}
TILES = {
    "mlp/shared+reg": Look("tiles: shared", "#D55E00", "v", "-."),
    "mlp/placed+reg": Look("tiles: shared, told the place", "#0072B2", "o"),
    "mlp/dense+reg": Look("tiles: dense", "#009E73", "^", "--"),
    "bayes": Look("tiles: exact learner", "#000000", "D", "", False),
}


def draw(source: Source, out: Path) -> Drawing:
    """Load study blocks, take its main rows, draw, save."""
    columns = source.columns("blocks")
    crops, tiles = crop_rows(columns), tile_rows(columns)
    if not np.isin(crops["arm"], list(SIZES)).any() or not np.isin(tiles["arm"], list(TILES)).any():
        raise MissingRows(f"figure {NAME} must have finished rows of crops and of tiles in blocks, got none")
    images = np.unique(tiles["inputs"].astype(int)).tolist()
    looks = ladder(np.unique(crops["inputs"].astype(int)).tolist(), "blocks: I")
    numbers: list[dict[str, Any]] = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 4.6)
        grid = canvas.add_gridspec(2, 1)
        upper: Any = grid[0].subgridspec(1, 2).subplots(sharey=True)
        below: Any = grid[1].subgridspec(1, len(images)).subplots(sharey=True, squeeze=False)[0]
        for axes, (arm, words) in zip(upper, SIZES.items(), strict=True):
            axes.set_title(words)
            axes.axhline(0.0, color="#777777", linestyle=":")
            for inputs, look in looks.items():
                mask = (crops["arm"] == arm) & (crops["inputs"].astype(int) == inputs)
                if mask.any():
                    part = {name: values[mask] for name, values in crops.items()}
                    points = summarise(part, ("block_size",), "gap")
                    draw_points(axes, points.columns["block_size"], points.mean, points.interval, look)
                    numbers += points.rows(["block_size"], inputs=inputs, metric="gap", series=arm)
            count_axis(axes.xaxis, crops["block_size"], "block size b, pixels")
        upper[0].set_ylabel("accuracy - exact")
        for axes, inputs in zip(below, images, strict=True):
            axes.set_title(f"tiles, I = {inputs}")
            axes.set_xlabel("tile similarity s")
            for arm, look in TILES.items():
                mask = (tiles["arm"] == arm) & (tiles["inputs"].astype(int) == inputs)
                if mask.any():
                    part = {name: values[mask] for name, values in tiles.items()}
                    points = summarise(part, ("similarity",), "tile_rho")
                    draw_points(axes, points.columns["similarity"], points.mean, points.interval, look)
                    numbers += points.rows(["similarity"], inputs=inputs, metric="rho", series=arm)
        below[0].set_ylabel("rho of a tile")
        shown = [look for arm, look in TILES.items() if arm in tiles["arm"]]
        add_legend(canvas, [*looks.values(), *shown], 4)
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Above: accuracy of a network on a block of b pixels of a label chain, less that of the exact posterior of that "
    "crop (the block and nine pixels, two correlation lengths, on either side), from equal numbers of crops. Below: "
    "rho of a tile against the similarity of the tiles, against the learner told the codewords of the same images. "
    "Bars: 95% intervals over seeds."
)
ALTERNATIVE = (
    "Two panels of the gap to the exact posterior against the block size on a logarithmic axis, one curve for each "
    "number of images; below, panels of rho against tile similarity, one curve for each network. The numbers are in "
    "the CSV file."
)
