"""`capsim sheet`: one phantom of each kind with what every one of its systems makes of it."""

from typing import Annotated

from tyro.conf import arg

from experiments.commands.options import Json, start_jax, writable_folder
from experiments.console import print_facts, print_json

SEED, TRAIN = 900_003, 24  # phantoms that no result uses; training images
EFFORT = 0.5  # of a network's training: the sheet shows what kind of answer a system gives


def sheet(
    *, out: Annotated[str, arg(metavar="DIR", help="folder of contact_sheet.png")] = "sheet", json: Json = False
) -> int:
    """Fit every system on a few phantoms and draw its answer to one more; some four minutes.

    Example: capsim sheet --out docs/images
    """
    folder = writable_folder(out)
    start_jax()
    from experiments.sheets import fit_sheet
    from paper_figures.contact_sheet import draw_sheet

    path = draw_sheet(list(fit_sheet(seed=SEED, train=TRAIN, effort=EFFORT)), folder)
    (print_json if json else print_facts)({"sheet": str(path)})
    return 0
