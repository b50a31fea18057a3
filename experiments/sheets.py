"""What every system makes of one phantom of each kind, for a sheet of examples.

Systems are fitted for the sheet alone, on a few phantoms, with the committed settings and less training; nothing is
stored, and no number of it is a result.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from experiments.families.systems import SEGMENTED, SYSTEMS
from experiments.measures.systems import STEPS, Drawn, draw_phantoms, fit_system
from experiments.searching import ANCHORS, settings_of
from experiments.tasks import key_words
from sim.generators.phantoms.registry import PHANTOMS, reference
from sim.segmentation.protocol import Examples
from sim.segmentation.registry import SEGMENTERS


class Shown(NamedTuple):
    """One picture of the sheet: the phantom's name, a title, the image, and a label map or points, or None."""

    phantom: str
    title: str
    image: Any
    answer: Any


def systems_of(phantom: str) -> list[str]:
    """The systems of a phantom's row, then those that are fitted on all.

    Example:
        >>> systems_of("mitosis")
        ['forest_peaks', 'mitosis_detector']
    """
    own = [name for name, facts in SYSTEMS.items() if facts[0] == phantom]
    return list(dict.fromkeys([*own, *ANCHORS])) if phantom in SEGMENTED else own


def _answer(system: str, phantom: str, drawn: Drawn, effort: float) -> Any:
    settings = json.loads(settings_of(system, phantom, len(drawn.images)))
    if SEGMENTERS[system].deep:
        settings["steps"] = max(50, round(effort * settings.get("steps", STEPS)))
    examples = Examples(drawn.images[:-1], drawn.answers[:-1], PHANTOMS[phantom].num_labels)
    return fit_system(system, examples, settings, 0, phantom)(drawn.images[-1:])[0]


def fit_sheet(*, seed: int, train: int, effort: float) -> Iterator[Shown]:
    """The pictures of a sheet: for each phantom an image, its truth, and each system's answer.

    Args:
        seed: of the phantoms. train: images that systems are fitted on. effort: training steps over the usual ones.
    """
    words = key_words(f"sheet {seed}", "data")
    for phantom in PHANTOMS:
        drawn = draw_phantoms(phantom, words, reference(phantom), 0, train + 1, False)
        yield Shown(phantom, phantom, drawn.images[-1], None)
        yield Shown(phantom, "truth", drawn.images[-1], drawn.answers[-1])
        for system in systems_of(phantom):
            title = f"{system} {SEGMENTERS[system].survey}".strip().replace("_", " ")
            yield Shown(phantom, title, drawn.images[-1], _answer(system, phantom, drawn, effort))
