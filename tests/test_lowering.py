"""Populations lower for accelerators. No GPU or TPU is here: that the program can be made for one is all that can be
tested, with the branches that the platform chooses."""

import jax
import numpy as np
import pytest
from jax import export, lax
from jax.sharding import Mesh, PartitionSpec

from experiments.spec import Sweep
from experiments.tasks import make_task, stack_members
from sim.member import make_member

PLATFORMS = ("cuda", "tpu")
FIELDS = {"generator": "fields", "field": "independent", "rows": 2, "columns": 3, "labels": 2, "inputs": 16}
LEARNERS = {
    "mlp": {"generator": "codebook", "network": "mlp", "outputs": 4, "inputs": 16, "width": 8},
    "conv": {**FIELDS, "network": "conv", "width": 4, "receptive_field": 3},
    "exact": {"generator": "codebook", "network": "bayes", "outputs": 4, "inputs": 16},
}


def trace(name, wide):
    """The whole life of four members on a mesh of two devices, vmapped as a whole or one after the other."""
    tasks = [make_task(trial) for trial in Sweep(**LEARNERS[name], test_items=32, seeds=4).trials()]
    live, over = make_member(tasks[0].settings), PartitionSpec("population")

    def shard(members):
        return jax.vmap(live)(members) if wide else lax.map(live, members)

    mesh = Mesh(np.array(jax.local_devices()[:2]), ("population",))
    mapped = jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=over, out_specs=over, check_vma=False))
    return mapped, stack_members(tasks)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_population_lowers_for_accelerators_on_a_mesh(name):
    program, members = trace(name, wide=True)
    exported = export.export(program, platforms=PLATFORMS)(members)
    assert exported.platforms == PLATFORMS
    assert exported.nr_devices == 2
    text = exported.mlir_module()
    assert "stablehlo.while" in text
    assert "stablehlo.dot_general" in text
    assert ("stablehlo.convolution" in text) == (name == "conv")


def test_accelerators_keep_the_compilers_own_convolution():
    """A layer's gradient for its kernel is a convolution of XLA's there: on CPU it is written as matrix products, and a
    program for CPU has so many convolutions less."""
    program, members = trace("conv", wide=False)
    traced = program.trace(members)
    counts = {}
    for platform in (*PLATFORMS, "cpu"):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        counts[platform] = text.count("stablehlo.convolution")
    assert counts["cuda"] == counts["tpu"] > counts["cpu"] > 0
