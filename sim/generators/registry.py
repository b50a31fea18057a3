"""Generators by name. One of your own needs no entry here: pass the `Generator` itself wherever one is taken."""

from sim.generators.blocks import BLOCKS
from sim.generators.codebook import CODEBOOK
from sim.generators.dictionary import DICTIONARY
from sim.generators.fields import FIELDS
from sim.generators.scenes import SCENES
from sim.types import Generator

GENERATORS: dict[str, Generator] = {
    generator.name: generator for generator in (CODEBOOK, BLOCKS, FIELDS, SCENES, DICTIONARY)
}
