"""The strongest objection to each study's verdict, and the control in that study that answers it, if one does.

Kept apart from the studies, whose source is hashed into their verdicts: an objection may come after the run.
"""

from typing import NamedTuple


class Objection(NamedTuple):
    """What a sceptic would say first.

    Attributes:
        objection: why the verdict may be wrong, or mean less than it says.
        control: the arm, setting or check that answers it, and how far; None where nothing does.
    """

    objection: str
    control: str | None


OBJECTIONS: dict[str, Objection] = {
    "codebook": Objection(
        "The classes are unrelated random vectors in white noise of known power. Real classes share features, so that "
        "a failure of I/J here need not be one there; and the law that takes its place is the theorem of this very "
        "prior. Besides, what a network does here it does at a budget: the regularised MLP has rarely trained flat, "
        "even in the arm of four times the budget.",
        "For the refutation one task is enough, since the claim names none, and the exact learner, which is not "
        "trained, refutes it too, as does D = 96, which no pilot touched. The arm of four times the budget, on three "
        "cells, moves accuracy by less than the residual on I/J by far. That the theorem describes anything beyond "
        "random codewords is not shown: study digits, on real images, is the only look at that.",
    ),
    "heads": Objection(
        "J is equal, but the lesson is not: a factorised head is told the m labels of each training image, a J-way "
        "head one name, and the images are made of m tiles, which suits it. The heads also differ in the number "
        "of weights, and no arm matches it.",
        "The relabelled arm has the same images, the same J, the same head and the same number of weights and loses "
        "only the tie between names and tiles; it falls far below. So it is the structure of the answer, which is the "
        "rival's claim, and not the form of the head. A J-way head four times as wide, on three cells, gains nothing. "
        "Nothing here says how often real tasks have such a structure; similarity of tiles is 1 throughout.",
    ),
    "grid": Objection(
        "A larger grid is a larger piece of the same field: the evidence a pixel is fixed, pixels at the border have "
        "less context and become rarer, and a network that shares weights gets more training pixels from every "
        "image. A rise with the grid is built in. The survey means the same scene at a higher resolution. And the "
        "dense network has the more weights to learn from the same I, so its fall is one of data, not of J.",
        "In part. conv1 sees one pixel, hence no border, and does not fall either; no network beats the exact "
        "posterior, so a rise is none of scoring; four times the budget on three cells moves it little. The verdict "
        "is conditional because the dense network does fall. Refining one scene is not in this study.",
    ),
    "digits": Objection(
        "The design could hardly refute: with J from 2 to 10 chance-corrected accuracy is so smooth on I/J that no "
        "residual reaches the rule's .05, although the interval of gamma excludes what the claim needs. All trials "
        "draw on the same 1,797 images, so seeds are not independent and the interval is too narrow. The recipes "
        "were tuned on two cells.",
        None,
    ),
}
