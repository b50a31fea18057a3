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
        "head one name, and the images are made of m tiles, which suits it. The heads also differ in the number of "
        "weights, and no arm matches it.",
        "The relabelled arm has the same images, the same J, the same head and the same number of weights and loses "
        "only the tie between names and tiles; it falls far below. So it is the structure of the answer, which is the "
        "rival's claim, and not the form of the head. A J-way head four times as wide, on three cells, gains nothing. "
        "Nothing here says how often real tasks have such a structure; similarity of tiles is 1 throughout.",
    ),
    "grid": Objection(
        "A larger grid is a larger piece of the same field: the evidence a pixel is fixed, pixels at the border have "
        "less context and become rarer, and a network that shares weights gets more training pixels from every image. "
        "A rise with the grid is built in. The survey means the same scene at a higher resolution. And the dense "
        "network has the more weights to learn from the same I, so its fall is one of data, not of J.",
        "In part. conv1 sees one pixel, hence no border, and does not fall either; no network beats the exact "
        "posterior, so a rise is none of scoring; four times the budget on three cells moves it little. The verdict "
        "is conditional because the dense network does fall. Refining one scene is not in this study.",
    ),
    "digits": Objection(
        "The design could hardly refute: with J from 2 to 10 chance-corrected accuracy is so smooth on I/J that no "
        "residual reaches the rule's .05, although the interval of gamma excludes what the claim needs. All trials "
        "draw on the same 1,797 images, so seeds are not independent and the interval is too narrow. The recipes were "
        "tuned on two cells.",
        None,
    ),
    "resolution": Objection(
        "The network stays the same while a scene is refined, so that receptive field 7 sees ever less of it; and "
        "where accuracy rises, refined scenes may just be easier. A slope at a few sizes says nothing about large "
        "images.",
        "The U-Net sees most of the image, and each row gives the slope of the gap to the exact posterior on the same "
        "images, which is what is left when the ease of the scene is taken out. That scenes become easier is the "
        "rival's claim: scene law and evidence law are crossed for that. Arms with four times the steps stand at "
        "chain 32 and disc 16; chains of three labels were touched by no pilot. Sizes end at 32 to 64 pixels; nothing "
        "here goes beyond.",
    ),
    "effective_outputs": Objection(
        "Idle outputs are learned at once, so one may say that they are no outputs. And dictionaries with two bits "
        "may lie farther apart than those with ten, which is ease and not entropy.",
        "The claim counts J = L^(M N) whatever occurs; the study holds the images fixed and varies that count alone. "
        "Dictionaries are drawn anew for each seed, and farthest-point ones with their least distance stand beside "
        "them. Receptive field 7 cannot tell maps apart and is expected to see no entropy: its row says so.",
    ),
    "training_fit": Objection(
        "Ten outputs of one bit are not 1,024 outputs; and load50 measures the optimiser, not the network.",
        "A J-way head with 1,024 outputs is judged beside the bits head; it has more parameters than images at load "
        ".2, and its curve at fewer parameters shows where it stops. A seed counts as fitting if any budget of steps "
        "fits, so that undertraining can only make a load smaller; the linear programme beside Cover's exact curve "
        "checks the method. Capacity in bits of a J-way head depends on I/J and is a description.",
    ),
    "continuous": Objection(
        "Many bins may be undertrained or badly tuned, and a network with one output may be far from its floor "
        "because its optimiser is poor.",
        "Many bins have a recipe of their own from the same search, and a verdict for the survey must survive four "
        "times the steps at 1,024 bins; the exact decoder of Q bins on the same images takes quantisation out. For "
        "one output the exact predictor gives the floor on the same images, and 16 bins stand beside it. The recipes "
        "come from one tuning seed; other architectures were not tried.",
    ),
    "refinement": Objection(
        "The U-Net is short of data or training, so that its map is not the best one; and any change of decision "
        "gains in Dice. Refiners may have had weak settings.",
        "The exact marginals are refined beside the network's, on the same images; arms with eight times the images "
        "and with four times the steps stand on one cell. A tuned threshold is the control for the decision, and each "
        "metric has its own exact ceiling. Every setting and the best of four refiners are chosen on 300 held-out "
        "images for each metric. The steps arm is three seeds on one cell only.",
    ),
    "downsampling": Objection(
        "A fixed receptive field sees more of the scene on small grids, and the network at 64 pixels may be "
        "undertrained. The loss at small grids may be the upsampler's.",
        "At noise 4 a field scaled with the grid competes, chosen on held-out images; noise 1 has no such control. "
        "The oracle is the better of the best map of blocks and the enlarged true shares, image by image. The arm "
        "with four times the steps covers blobs at noise 1; rings have none.",
    ),
    "linear_vs_deep": Objection(
        "Whether the survey is right depends on what it calls linear, and the tiers are ours: raw pixels lose by "
        "construction where the rule is a product, and the quadratic tier is the true model there. The U-Net's 200 "
        "steps were set for the budget.",
        "All three tiers are printed, and that is the named condition. A rule of order 3 is reported beside; the "
        "exact linear limits and Bayes are drawn. Each learner has three recipes and the method is picked by "
        "validation within the trial; verdicts against deep learning need an arm of four times the steps to gain less "
        "than .02. The tier of all non-deep methods has more candidates than the deep one, which favours the survey.",
    ),
    "edge_map": Objection(
        "That global and convex methods forget their start is true by construction. The error .4 that decides and the "
        "radius followed a pilot, and local methods may be tuned to the start.",
        "The construction is tested as an invariant and counted as such; the local methods are what the sentence is "
        "about too. The pilot is named in the rule; reference seeds are fresh, and basins and a smaller radius are "
        "shown. There is one set of parameters a method, from six candidates each over errors 0, .2 and .4 together. "
        "Methods without an edge map ([18], Chan-Vese) stand apart and enter no overall verdict.",
    ),
    "metric_gap": Objection(
        "Pixel accuracy is lenient: an empty answer has 73% already, so that a generous metric explains the gap by "
        "construction. And the maps are equal discs with made-up errors.",
        "The row `empty answer at 0` counts from there, and says that the gap then is real for all errors but renamed "
        "ones: both readings stand side by side, because the survey does not say which it means. Published pairs of "
        "both scores on PASCAL lie inside the range. Unequal labels change independent and renamed errors only; rare "
        "labels that are also harder were not tried.",
    ),
    "systems": Objection(
        "These are rewritten versions on phantoms, in two dimensions and on 64 pixels: neither [20] nor [22]. "
        "Training and test images come from one generator, which favours what learns; the liver always lies in one "
        "place, which favours atlases; a network may be undertrained.",
        "In part. Both sides had four candidates on the same validation images; four times the steps and shifted "
        "phantoms (contrast, blur, family of shapes) stand beside each row; the best constant answer is scored on "
        "every phantom, and systems that do not beat it are named. The survey does not say what [28] was compared "
        "with, so two opponents must agree. That the versions stand for the publications is shown by nothing here.",
    ),
    "labels": Objection(
        "With more labels each has fewer examples in the same images, so that a lag behind the ceiling may be one of "
        "data, not of J; and the input as basis functions makes the task easy for a network.",
        "In part. Two numbers of images, four times the steps and twice the width stand beside; the lag shrinks with "
        "eight times the images, as one of data would. The grey value itself as input is an arm. Softmax regression "
        "with 512 images shows no lag beyond .03. Nothing separates examples a label from J at a fixed number of "
        "images.",
    ),
    "blocks": Objection(
        "With weights shared over pixels, equality of block sizes is nearly automatic; and tiles that are equal are "
        "one problem with more examples, so that a gain is built in.",
        "The network with weights of its own for every pixel is the test for the first, and is within .01 too. For "
        "the second that is the rival's claim: the law of the effective number of examples is scored on held-out "
        "cells, where it fails for shared weights and holds for tiles told their place; the dense network, which "
        "cannot use it, gains nothing.",
    ),
}
