"""Figure `examples`: what the tasks look like, image beside label map, drawn from the generators with a fixed key."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import matplotlib as mpl
import numpy as np
from matplotlib.figure import SubFigure

from experiments.data import DIGITS, DigitsSpec
from paper_figures.source import Source
from paper_figures.style import DOUBLE, GREY_SCALE, Drawing, make_canvas, paper_style, save
from sim.generators.blocks import BLOCKS, BlocksSpec
from sim.generators.codebook import CODEBOOK, CodebookSpec
from sim.generators.fields import FIELDS, FieldsSpec
from sim.types import Batch, Generator, Key

NAME = "examples"
SUMMARY = "example images of every generator, with their label maps"
KEY = 20
PANES = 6  # images, or images and label maps, in a row
SIDE = 12  # pixels of a label field: the largest Ising grid that is sampled exactly


class _Example(NamedTuple):
    title: str
    generator: Generator
    spec: Any
    labels: int
    map_shape: tuple[int, int] | None  # pixels of a label map; None where an image has one label


def _field(law: str) -> FieldsSpec:
    return FieldsSpec(grid_shape=(SIDE, SIDE), field=law, noise=0.8)


def _examples() -> list[_Example]:
    return [
        _Example("codebook: J random images, noise of one standard deviation", CODEBOOK, CodebookSpec(outputs=16), 16,
                 None),
        _Example("label field, independent pixels", FIELDS, _field("independent"), 2, (SIDE, SIDE)),
        _Example("digits: real handwriting, J of ten classes", DIGITS, DigitsSpec(outputs=10), 10, None),
        _Example("label field, chains along rows", FIELDS, _field("chain"), 2, (SIDE, SIDE)),
        _Example("blocks: 4 tiles, 4 labels each, J = 256", BLOCKS,
                 BlocksSpec(tiles=4, labels=4, tile_shape=(4, 4), signal_power=1.5, noise=0.5), 4, (4, 16)),
        _Example("label field, Ising", FIELDS, _field("ising"), 2, (SIDE, SIDE)),
    ]  # fmt: skip


def _label_map(labels: Any, shape: tuple[int, int]) -> Any:
    """Labels of units side by side or in row-major order, on the pixels of the image."""
    if len(labels) == shape[0] * shape[1]:
        return labels.reshape(shape)
    return np.kron(labels[None, :], np.ones((shape[0], shape[1] // len(labels)), dtype=int))


def _draw_panel(panel: SubFigure, example: _Example, images: Any, labels: Any) -> list[dict[str, Any]]:
    panel.suptitle(example.title, fontsize=mpl.rcParams["axes.titlesize"])
    stacked = images.shape[2] > 2 * images.shape[1]  # a wide image stands above its map, not beside it
    grid: Any = panel.subplots(*((2, PANES // 2) if stacked else (1, PANES)), squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        axes.set_anchor("N")  # under the title
    if example.map_shape is None:
        pairs = [(axes, None) for axes in grid[0]]
    else:
        pairs = list(zip(grid[0], grid[1], strict=True) if stacked else zip(grid[0, ::2], grid[0, 1::2], strict=True))
    limit = float(np.abs(images[: len(pairs)]).max())
    numbers = []
    for i, (image_axes, map_axes) in enumerate(pairs):
        image_axes.imshow(images[i], cmap="gray", vmin=-limit, vmax=limit)
        label_map = None
        if example.map_shape is not None and map_axes is not None:
            label_map = _label_map(labels[i], example.map_shape)
            map_axes.imshow(label_map, cmap=GREY_SCALE, vmin=0, vmax=example.labels - 1)
        else:
            image_axes.set_xlabel(f"class {labels[i, 0]}", labelpad=2)
        for (row, column), value in np.ndenumerate(images[i]):
            label = labels[i, 0] if label_map is None else label_map[row, column]
            numbers.append(
                {"example": example.title.split(":")[0], "image": i, "row": row, "column": column,
                 "intensity": float(value), "label": int(label)}
            )  # fmt: skip
    return numbers


def _generate(generator: Generator, key: Key, spec: Any) -> Batch:
    """The first images of a stream, compiled in the fastest way: six images cost nothing to draw."""
    compiled = jax.jit(generator.generate, static_argnums=2, compiler_options={"xla_backend_optimization_level": 0})
    return compiled(key, spec, PANES)


def draw(source: Source, out: Path) -> Drawing:
    """Draw images from the generators, and save; no rows are read."""
    del source
    examples = _examples()
    numbers = []
    with paper_style():
        canvas = make_canvas(DOUBLE, 2.6)
        panels: Any = canvas.subfigures(3, 2, wspace=0.03, hspace=0.02)
        for index, (example, panel) in enumerate(zip(examples, panels.flat, strict=True)):
            key = jax.random.fold_in(jax.random.key(KEY), index)
            batch = _generate(example.generator, key, example.spec)
            numbers += _draw_panel(panel, example, np.asarray(batch.images), np.asarray(batch.labels))
        return save(canvas, numbers, out, NAME, CAPTION, ALTERNATIVE)


CAPTION = (
    "Example images of each generator. Left: tasks with one label an image, and images composed of tiles (below each "
    "image, its label map). Right: label fields on pixels, each image beside its label map. In all but the digits, "
    "resolution, number of labels, noise and information are set exactly."
)
ALTERNATIVE = (
    "Six rows of small grey images. Codebook images look like random texture; digits are handwritten numerals; images "
    "of blocks are four textured tiles in a row over a strip of four labels. Label fields are noisy versions of binary "
    "maps beside them: salt-and-pepper for independent pixels, horizontal runs for chains, large patches for Ising."
)
