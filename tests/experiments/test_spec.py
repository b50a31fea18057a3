"""Identity, sweeps and studies: what is one trial, what is refused, and in which words."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.factors import FACTORS, GENERATOR_FACTORS, NETWORK_FACTORS
from experiments.families.registry import FAMILIES
from experiments.spec import Study, Sweep, Trial, UsageError, rule_hash


def fixed_recipe(factors):
    return {"learning_rate": 1e-3, "weight_decay": 0.0, "input_noise": 0.5}


def trials_of(seeds=1, **factors):
    return Sweep(seeds=seeds, **factors).trials(fixed_recipe)


def values_of(trial):
    return dict(trial.factors)


def make_study(*sweeps, rule="effect > .1", **presets):
    return Study("demo", "s", "c", "q", "sp", "rp", rule, False, {"smoke": sweeps, **presets}, lambda columns: [])


def test_identity_is_golden():
    """A change of these two hashes makes every stored result a stranger: then ALGORITHM_VERSION must have changed."""
    (trial,) = trials_of(generator="codebook", network="mlp", outputs=16, inputs=64)
    assert trial.identity == "00fcd2bc0d2431e17dd466430be63520a30c32bae1e93445e16b122ec373d83d"
    assert trial.data_identity == "33be94e69b32e5661adfdd785b35d8e20d1be415550c38b0d83d647b165ea626"


def test_factors_are_canonical_sorted_and_only_those_that_apply():
    (trial,) = trials_of(generator="codebook", network="bayes", outputs=16, noise=1)
    names = [name for name, _ in trial.factors]
    assert names == sorted(names)
    assert "width" not in names
    assert "tiles" not in names
    assert json.loads(trial.factors_json) == values_of(trial)
    assert isinstance(values_of(trial)["noise"], float)


@pytest.mark.parametrize("one", [1, 1.0, "1", "1.0", np.float32(1), np.int64(1), np.array(1.0)])
def test_equal_numbers_have_one_identity(one):
    (trial,) = trials_of(network="bayes", noise=one)
    (reference,) = trials_of(network="bayes", noise=1.0)
    assert trial.identity == reference.identity


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_number_survives_its_text(noise):
    assert FACTORS["noise"].check(repr(noise)) == noise
    assert json.loads(trials_of(network="bayes", noise=noise)[0].factors_json)["noise"] == noise


def test_zero_has_no_sign():
    assert math.copysign(1, FACTORS["weight_decay"].check(-0.0)) == 1


def test_seed_and_every_factor_change_the_identity():
    base = {"network": "mlp", "outputs": 16, "inputs": 64}
    others = [{"noise": 2.0}, {"width": 64}, {"recipe": "regularised"}, {"learning_rate": 0.01}, {"init_seed": 1}]
    found = {trials_of(**{**base, **other})[0].identity for other in [{}, *others]}
    found |= {trial.identity for trial in trials_of(seeds=[1, 2], **base)}
    assert len(found) == len(others) + 3


def test_networks_of_a_cell_share_their_data_and_cells_do_not():
    arms = trials_of(network=["mlp", "linear", "bayes"], recipe=["plain", "regularised"], width=[64, 128], outputs=16)
    assert len({trial.data_identity for trial in arms}) == 1
    assert len({trial.identity for trial in arms}) == len(arms) == 4 + 2 + 1
    renamed = trials_of(generator="blocks", network="bayes", relabelled=[False, True])
    assert len({trial.data_identity for trial in renamed}) == 1, "a relabelling renames the maps of the same images"
    cells = trials_of(network="bayes", seeds=2, outputs=[4, 16], inputs=[64, 256], noise=[1, 2], test_items=[100, 200])
    assert len({trial.data_identity for trial in cells}) == len(cells) == 32


def test_resolved_recipe_is_part_of_the_identity_and_given_numbers_win():
    sweep = Sweep(network="mlp", learning_rate=[None, 0.01])
    first, second = (values_of(trial) for trial in sweep.trials(fixed_recipe)[::4])
    assert (first["learning_rate"], second["learning_rate"]) == (1e-3, 0.01)
    assert first["input_noise"] == second["input_noise"] == 0.5
    with pytest.raises(UsageError, match="learning_rate must be set: no recipe has one for network 'mlp'"):
        sweep.trials(lambda factors: {})
    with pytest.raises(UsageError, match=r"learning_rate must be > 0, got 0\.0"):
        sweep.trials(lambda factors: {"learning_rate": 0})


def test_the_committed_recipes_fill_every_network():
    for generator in set(GENERATOR_FACTORS) - set(FAMILIES):
        for network in NETWORK_FACTORS:
            small = {"outputs": 4} if "outputs" in GENERATOR_FACTORS[generator] else {}
            (trial,) = Sweep(generator=generator, network=network, seeds=1, **small).trials()
            assert None not in values_of(trial).values()


@pytest.mark.parametrize(
    ("factors", "arm"),
    [
        ({"network": "mlp"}, "mlp"),
        ({"network": "mlp", "recipe": "regularised"}, "mlp+reg"),
        ({"network": "linear", "recipe": "regularised"}, "linear+reg"),
        ({"network": "bayes"}, "bayes"),
        ({"generator": "blocks", "network": "mlp", "head": "jway"}, "mlp/jway"),
        ({"generator": "blocks", "network": "mlp", "head": "dense", "relabelled": True}, "mlp/dense+relabelled"),
        ({"generator": "blocks", "network": "class_mean"}, "class_mean"),
        ({"generator": "fields", "network": "conv", "receptive_field": 1}, "conv1"),
        ({"generator": "fields", "network": "conv", "head": "dense"}, "conv7/dense"),
        ({"generator": "fields", "network": "mlp"}, "mlp/dense"),
    ],
)
def test_arm_labels(factors, arm):
    assert trials_of(**factors)[0].arm == arm


def test_inputs_per_output_is_another_name_for_inputs():
    assert trials_of(network="bayes", outputs=16, inputs_per_output=4) == trials_of(
        network="bayes", outputs=16, inputs=64
    )
    blocks = {"generator": "blocks", "network": "bayes", "tiles": 2, "labels": 4}
    assert trials_of(**blocks, inputs_per_output=0.5) == trials_of(**blocks, inputs=8)


def test_conditional_factors_split_no_cells():
    trials = trials_of(generator="fields", network="bayes", labels=2, field=["chain", "ising"], stay=[0.8, 0.9])
    assert len(trials) == 3
    assert [("stay" in values_of(t), "coupling" in values_of(t)) for t in trials] == [(True, False)] * 2 + [
        (False, True)
    ]


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"outputs": -3}, "outputs must be >= 2, got -3"),
        ({"outputs": 2.5}, "outputs must be a whole number, got 2.5"),
        ({"outputs": True}, "outputs must be a whole number, got True"),
        ({"outputs": "many"}, "outputs must be a whole number, got 'many'"),
        ({"outputs": []}, "outputs must have at least one value, got none"),
        ({"noise": float("nan")}, "noise must be a finite number, got nan"),
        ({"noise": "inf"}, "noise must be a finite number, got 'inf'"),
        ({"noise": 0}, "noise must be > 0, got 0.0"),
        ({"noise": "auto"}, "noise must be a finite number, got 'auto'"),
        ({"inputs_per_output": None}, "inputs_per_output must be a finite number, got None"),
        ({"balanced": 1}, "balanced must be true or false, got 1"),
        ({"network": "vgg"}, "network must be one of mlp, linear, conv, unet, bayes, plugin, class_mean, known, got "
         "'vgg'"),
        ({"generator": 3}, "generator must be a name, got 3"),
        ({"receptive_field": 4, "network": "conv"}, "receptive_field must be odd and >= 1, got 4"),
        ({"max_steps": 10**6}, "max_steps must be between 50 and 102400, got 1000000"),
        ({"nosuchfactor": 3}, "no factor named 'nosuchfactor': `capsim list factors STUDY` shows them all"),
        ({"outptus": 3}, "no factor named 'outptus': did you mean outputs?"),
        ({"seed": 3}, "seed is no factor: choose seeds with --seeds N, or Sweep(seeds=...)"),
        ({"tiles": 3}, "tiles must apply to a part of the sweep, but codebook, mlp have no such factor"),
        ({"width": 3, "network": ["bayes", "linear"]}, "width must apply to a part of the sweep, but codebook, bayes, "
         "linear have no such factor"),
        ({"generator": "fields", "stay": 0.5}, "stay must apply to a part of the sweep, but fields, mlp have no such "
         "factor"),
        ({"inputs": 4, "inputs_per_output": 1}, "inputs and inputs_per_output must not both be set: one gives the "
         "other"),
        ({"inputs_per_output": 0.3}, "inputs_per_output * outputs must be a whole number >= 1, got 0.3 * 16 = 4.8"),
        ({"generator": "fields", "inputs_per_output": 2}, "inputs_per_output must not be set for fields (use "
         "inputs), got 2.0"),
        ({"generator": "digits", "outputs": 11}, "outputs must be <= 10 for digits, got 11"),
        ({"generator": "fields", "field": "ising"}, "labels must be 2 for field ising, got 4"),
        ({"head": "shared"}, "head must be jway for codebook, got 'shared'"),
        ({"seeds": 0}, "seeds must be >= 1, got 0"),
        ({"seeds": [1, -1]}, "seeds must be whole numbers >= 0, got [1, -1]"),
        ({"seeds": "3"}, "seeds must be a number of seeds or a list of whole numbers, got '3'"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(factors, message):
    with pytest.raises(UsageError) as caught:
        trials_of(**factors)
    assert str(caught.value) == message


def test_set_replaces_values_only_where_the_factor_applies():
    trained = Sweep(network="mlp", outputs=[4, 16], inputs_per_output=[1, 4], width=32, seeds=2)
    exact = Sweep(network=["bayes", "plugin"], outputs=[4, 16], inputs_per_output=[1, 4], seeds=2)
    study = make_study(trained, exact)
    assert len(study.trials("smoke", resolve=fixed_recipe)) == 24
    wide = study.trials("smoke", {"width": ["64", "96"]}, resolve=fixed_recipe)
    assert len(wide) == 16 + 16
    assert {values_of(trial).get("width") for trial in wide} == {64, 96, None}
    inputs = study.trials("smoke", {"inputs": ["64"], "outputs": "8"}, seeds=3, resolve=fixed_recipe)
    assert len(inputs) == 9
    assert {(values_of(t)["inputs"], values_of(t)["outputs"]) for t in inputs} == {(64, 8)}
    only = study.trials("smoke", {"network": "bayes"}, resolve=fixed_recipe)
    assert len(only) == 8, "both grids become the same trials, each of which counts once"


def test_set_can_change_generator_and_field_with_their_own_factors():
    study = make_study(Sweep(network="bayes", outputs=[4, 16], dimension=32, seeds=1))
    overrides = {"stay": [0.7, 0.8], "field": "chain", "generator": "fields"}
    trials = study.trials("smoke", overrides)
    assert {values_of(t)["stay"] for t in trials} == {0.7, 0.8}
    assert all("dimension" not in values_of(t) for t in trials)


@pytest.mark.parametrize(
    ("overrides", "seeds", "message"),
    [
        ({"tiles": "4"}, None, "tiles applies to nothing in demo: see `capsim list factors demo`"),
        ({"outputs": ["4", "x"]}, None, "outputs must be a whole number, got 'x'"),
        ({"nosuchfactor": "4"}, None, "no factor named 'nosuchfactor': `capsim list factors STUDY` shows them all"),
        ({}, 0, "seeds must be >= 1, got 0"),
    ],
)
def test_study_refuses(overrides, seeds, message):
    with pytest.raises(UsageError) as caught:
        make_study(Sweep(network="bayes")).trials("smoke", overrides, seeds)
    assert str(caught.value) == message


def test_unknown_preset():
    with pytest.raises(UsageError, match="preset must be one of smoke for demo, got 'huge'"):
        make_study(Sweep()).trials("huge")


def test_more_seeds_keep_the_first_ones():
    study = make_study(Sweep(network="bayes", seeds=[100, 101]))
    assert [trial.seed for trial in study.trials("smoke", seeds=3)] == [100, 101, 102]
    assert [trial.seed for trial in study.trials("smoke", seeds=[7])] == [7]


def test_rule_hash_covers_rule_grid_and_source():
    sweep = Sweep(network="bayes")
    base = make_study(sweep)
    assert rule_hash(base) == rule_hash(make_study(Sweep(network="bayes")))
    others = [make_study(sweep, rule="effect > .2"), make_study(Sweep(network="plugin")), make_study(sweep, laptop=())]
    others.append(base._replace(rule_source="judge by length"))
    assert len({rule_hash(study) for study in [base, *others]}) == 5


def test_trial_is_hashable_and_equal_by_value():
    assert Trial((("noise", 1.0),), 3) == Trial((("noise", 1.0),), 3)
    assert len({Trial((("noise", 1.0),), 3), Trial((("noise", 1.0),), 3)}) == 1
