"""Figure `bench`: rates of `capsim bench` and how the time of a population grows. Reads a bench.json, not a study.

It is drawn by `capsim bench --out DIR`, or from Python: draw(json.loads(Path("bench.json").read_text()), Path(".")).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from paper_figures.style import (
    DOUBLE,
    VARIANTS,
    Drawing,
    Look,
    add_legend,
    count_axis,
    draw_line,
    make_canvas,
    paper_style,
    save,
)

NAME = "bench"
COLUMNS = 2  # panels a row


def draw(result: Mapping[str, Any], out: Path) -> Drawing:
    """Draw the figure from the object that `capsim bench --json` prints.

    Args:
        result: that object. out: folder, which must exist.

    Returns:
        the files; the CSV has a row for every rate and every timing.
    """
    costs = [row for row in result["costs"] if len(row["values"]) > 1]
    rows = 1 + -(-len(costs) // COLUMNS)
    with paper_style():
        canvas = make_canvas(DOUBLE, 2.4 + 1.9 * (rows - 1))
        grid = canvas.add_gridspec(rows, COLUMNS, height_ratios=[1.2] + [1.0] * (rows - 1))
        numbers = _draw_rates(canvas.add_subplot(grid[0, :]), result["workloads"])
        for place, row in enumerate(costs):
            numbers += _draw_cost(canvas.add_subplot(grid[1 + place // COLUMNS, place % COLUMNS]), row)
        shown = {row["series"] for row in numbers}
        add_legend(canvas, [look for name, look in VARIANTS.items() if name in shown], 3)
        return save(canvas, numbers, out, NAME, _caption(result), ALTERNATIVE)


def _draw_rates(axes: Axes, workloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    numbers = []
    for place, row in enumerate(workloads):
        rates = {"capsim": row["capsim"], **row["baselines"]}
        for name, rate in rates.items():
            if rate is None:
                continue
            look = VARIANTS[name]
            shift = 0.09 * (list(VARIANTS).index(name) - (len(VARIANTS) - 1) / 2)
            face = look.colour if look.filled else "white"
            axes.plot(place + shift, rate, look.marker, color=look.colour, markerfacecolor=face)
            numbers.append({"panel": "rates", "series": name, "x": row["name"], "y": rate})
    axes.set_yscale("log")
    axes.set_xlim(-0.5, len(workloads) - 0.5)
    axes.set_xticks(range(len(workloads)), [row["name"].replace("_", " ") for row in workloads])
    axes.set_ylabel("network-steps a second")
    return numbers


def _draw_cost(axes: Axes, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    values, seconds = np.asarray(row["values"], float), np.asarray(row["seconds"], float)
    ours = VARIANTS["capsim"]
    axes.plot(values, seconds, ours.marker, color=ours.colour)
    title = f"cost against {row['name']}"
    if row["exponent"] is not None:
        level = np.exp(np.mean(np.log(seconds) - row["exponent"] * np.log(values)))
        draw_line(axes, values, level * values ** row["exponent"], Look("", "#777777", line="--"))
        low, high = row["interval"]
        title += f"\nexponent {row['exponent']:.2f} [{low:.2f}, {high:.2f}]"
    count_axis(axes.xaxis, values, row["name"])
    axes.set_yscale("log")
    axes.set_ylabel("seconds")
    axes.set_title(title)
    return [
        {"panel": row["name"], "series": "capsim", "x": v, "y": s} for v, s in zip(row["values"], seconds, strict=True)
    ]


def _caption(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    quick = " A quick run: one round, not to be quoted." if result["quick"] else ""
    return (
        f"Rates of training, medians of interleaved rounds, on {machine['processor']} with {machine['cores']} cores. "
        "The baselines of the study train the same network without drawing data, scoring or storing. Below: seconds of "
        "compiled populations against their size K, J, I and the pixels of an image, with the exponent of a straight "
        f"line in logarithms and its 95% interval.{quick}"
    )


ALTERNATIVE = (
    "Top panel: network-steps a second on a logarithmic axis, one group a workload and one marker a way to train. "
    "Panels below: seconds against K, J, I and pixels, both axes logarithmic, with a dashed straight line. The numbers "
    "are in the CSV file."
)
