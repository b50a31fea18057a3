"""Predictions cover planted laws, plans invert predictions, and what no number of inputs can reach is said.

All random numbers have fixed seeds; a false-fail rate is the chance that a right program fails under fresh ones.
"""

import json

import numpy as np
import pytest
from scipy import stats

from experiments import predicting
from experiments.cli import main
from experiments.factors import UsageError
from experiments.fitting import own_arms, rank_arm
from experiments.hindcasts import AxisError
from experiments.limits import limits_of
from experiments.own_data import OwnRows
from experiments.predicting import choose_arm, known_ceiling, learn, plan_inputs, predict_accuracy, predict_curve
from experiments.spec import Sweep
from experiments.store import Store
from sim.theory.ceilings import gaussian_codebook_accuracy
from sim.theory.laws import LAWS

HILL = {"log_half": 2.0, "slope": 1.3}
INPUTS, OUTPUTS = (64, 256, 1024, 4096), (4, 16, 64, 256)


def hill(inputs, outputs):
    columns = {"inputs": np.asarray(inputs), "outputs": np.asarray(outputs), "chance": 1 / np.asarray(outputs)}
    return LAWS["hill"].predict(np.array(list(HILL.values())), columns)


def planted_arm(rng, laws=("hill", "coverage", "logistic")):
    """A table of four trials a cell from the Hill law; few laws, so that many repeats are cheap."""
    inputs, outputs = (np.repeat(axis.ravel().astype(float), 4) for axis in np.meshgrid(INPUTS, OUTPUTS))
    accuracy = hill(inputs, outputs) + 0.01 * rng.standard_normal(len(inputs))
    columns = {"inputs": inputs, "outputs": outputs, "chance": 1 / outputs, "log2_outputs": np.log2(outputs)}
    (arm,) = own_arms([OwnRows("all", columns, accuracy, None, None)])
    return arm._replace(laws=tuple(LAWS[name] for name in laws))


@pytest.fixture(scope="module")
def learned():
    return learn(planted_arm(np.random.default_rng(0)))


def test_a_curve_is_its_cells_one_by_one(learned):
    outputs = np.array([4.0, 20.0, 64.0, 512.0])  # the last one lies beyond the rows
    low, accuracy, high = predict_curve(learned, 300, outputs)
    for place, value in enumerate(outputs):
        told = predict_accuracy(learned, 300, value)
        assert (accuracy[place], [low[place], high[place]]) == (told["accuracy"], told["interval"])
    with pytest.raises(UsageError, match=r"outputs must be >= 2, got 1"):
        predict_curve(learned, 300, np.array([4.0, 1.0]))
    with pytest.raises(UsageError, match=r"inputs must be in \[1, 2\^60\], got 0"):
        predict_curve(learned, 0, outputs)


def test_a_ranking_that_is_there_is_not_made_again(learned, monkeypatch):
    ranking = rank_arm(learned.arm)
    monkeypatch.setattr(predicting, "rank_arm", None)
    again = learn(learned.arm, ranking)
    assert again.best.parameters == learned.best.parameters
    assert [fit.law.name for fit in again.rivals] == [fit.law.name for fit in learned.rivals]


def test_intervals_cover_the_planted_law():
    """Nominal .95, 24 tables: the hits demanded are those that a coverage of .93 misses once in 1e4, three times."""
    rng = np.random.default_rng(1)
    hits = np.zeros(3)
    for _ in range(24):
        laws = learn(planted_arm(rng))
        for index, (inputs, outputs) in enumerate([(500, 32), (20000, 1000)]):
            low, high = predict_accuracy(laws, inputs, outputs)["interval"]
            hits[index] += low <= float(hill([inputs], [outputs])[0]) <= high
        needed = plan_inputs(laws, 32, float(hill([500.0], [32.0])[0]))["interval"]
        hits[2] += needed[0] <= 500 <= needed[1]
    assert np.all(hits >= stats.binom.ppf(1e-4, 24, 0.93)), hits


def test_predict_says_what_it_is(learned):
    found = predict_accuracy(learned, 500, 32)
    assert set(found) == {"accuracy", "interval", "inside_range", "law", "arm", "metric"}
    # cell means know the accuracy within .005, sixteen of them share two parameters: .02 is over ten standard errors
    assert found["accuracy"] == pytest.approx(float(hill([500.0], [32.0])[0]), abs=0.02)
    assert found["interval"][0] < found["accuracy"] < found["interval"][1]
    assert (found["inside_range"], found["arm"], found["metric"]) == (True, "all", "accuracy")
    assert not predict_accuracy(learned, 500, 300)["inside_range"]
    assert not predict_accuracy(learned, 5000, 32)["inside_range"]
    assert predict_accuracy(learned, 4096, 256)["inside_range"], "the held-out cells are fitted in the end"


def test_the_interval_holds_the_laws_that_cannot_be_told_apart(learned):
    assert {learned.best.law.name, *(rival.law.name for rival in learned.rivals)} >= {"hill"}
    alone = learned._replace(rivals=())
    wrong = learned._replace(rivals=(learn(planted_arm(np.random.default_rng(0), ("coverage",))).best,))
    low, high = predict_accuracy(alone, 1500, 32)["interval"]
    wide = predict_accuracy(wrong, 1500, 32)
    apart = predict_accuracy(wrong._replace(best=wrong.rivals[0], rivals=()), 1500, 32)["accuracy"] - wide["accuracy"]
    assert abs(apart) > 0.01
    assert wide["interval"] == pytest.approx([low + min(apart, 0), high + max(apart, 0)])


def test_plan_inverts_predict(learned):
    for outputs, target in ((32, 0.6), (256, 0.9), (8, 0.3)):
        found = plan_inputs(learned, outputs, target)
        assert set(found) == {"inputs", "interval", "inside_range", "law", "arm", "metric", "ceiling", "reason"}
        assert predict_accuracy(learned, found["inputs"], outputs)["accuracy"] >= target
        assert predict_accuracy(learned, found["inputs"] - 1, outputs)["accuracy"] < target
        low, high = found["interval"]
        assert low <= found["inputs"] <= high
        assert predict_accuracy(learned, low, outputs)["interval"][1] >= target
        assert predict_accuracy(learned, low - 1, outputs)["interval"][1] < target
        assert predict_accuracy(learned, high, outputs)["interval"][0] >= target
        assert predict_accuracy(learned, high - 1, outputs)["interval"][0] < target
    assert plan_inputs(learned, 32, 0.01)["inputs"] == 1, "below chance"
    assert found["reason"] is None


def test_what_cannot_be_reached_is_said(learned):
    beyond = plan_inputs(learned, 32, 1.0)
    assert (beyond["inputs"], beyond["ceiling"]) == (None, pytest.approx(1.0))
    assert beyond["reason"].startswith("accuracy 1 is not below the ceiling 1, the asymptote of law ")
    slow = learned.best._replace(law=LAWS["hill"], parameters={"log_half": 2.0, "slope": 0.02})
    far = plan_inputs(learned._replace(best=slow, rivals=()), 32, 0.9)
    assert (far["inputs"], far["reason"]) == (None, "accuracy 0.9 is not reached with 2^60 inputs by law hill")
    flat = learned.best._replace(parameters={"log_half": 2.0, "slope": 0.0})
    steady = learned._replace(best=flat._replace(law=LAWS["hill"]), rivals=())
    found = plan_inputs(steady, 32, 0.9)  # without a slope A* is one half whatever the inputs
    assert found["inputs"] is None
    assert found["ceiling"] == pytest.approx(1 / 32 + (31 / 32) / 2)
    assert found["reason"] == f"accuracy 0.9 is not below the ceiling {found['ceiling']:.6g}, the asymptote of law hill"


def test_an_interval_that_is_no_plan_is_said(learned):
    exact = plan_inputs(learned, 32, 0.6)
    assert exact["reason"] is None
    assert exact["interval"][1] < 100 * exact["interval"][0]
    vague = AxisError(
        4.0, 8.0, 0.8
    )  # as if J had been known to 8 only, where laws go wrong by .8 for each unit of ln J
    wide = plan_inputs(learned._replace(beyond={"outputs": vague}), 32, 0.6)
    assert wide["inputs"] == exact["inputs"]
    assert wide["reason"] == "the interval has no upper end: at its lower edge the accuracy is never reached"
    wide = plan_inputs(learned._replace(beyond={"outputs": vague._replace(rate=0.5)}), 32, 0.5)
    low, high = wide["interval"]
    assert high > 100 * low
    decades = np.log10(high / low)
    assert wide["reason"] == f"the interval spans {decades:.1f} decades of inputs, more than 2: too wide to plan by"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda laws: predict_accuracy(laws, 0, 32), "inputs must be in [1, 2^60], got 0"),
        (lambda laws: predict_accuracy(laws, 64, 1), "outputs must be >= 2, got 1"),
        (lambda laws: plan_inputs(laws, 1, 0.5), "outputs must be >= 2, got 1"),
        (lambda laws: plan_inputs(laws, 32, 1.5), "accuracy must be in (0, 1], got 1.5"),
        (lambda laws: plan_inputs(laws, 32, float("nan")), "accuracy must be in (0, 1], got nan"),
        (lambda laws: choose_arm([laws.arm], "mlp", None), "arm must be one of all, got 'mlp'"),
        (lambda laws: choose_arm([laws.arm, laws.arm._replace(name="b")], None, None),
         "arm must be one of all, b, got none"),
        (lambda laws: choose_arm([laws.arm], None, "dice"), "metric must be one of accuracy, got 'dice'"),
        (lambda laws: choose_arm([], None, None), "an arm must have six cells or more to be fitted, got none that has"),
        (lambda laws: predict_accuracy(odd_chance(laws), 64, 40),
         "outputs must be a number whose chance the rows show, got 40"),
    ],
)  # fmt: skip
def test_mistakes_are_told(learned, ask, message):
    with pytest.raises(UsageError) as error:
        ask(learned)
    assert str(error.value) == message


def odd_chance(laws):
    columns = laws.arm.columns
    return laws._replace(arm=laws.arm._replace(columns={**columns, "chance": 0.1 + 1 / columns["outputs"]}))


def test_chance_follows_the_rows(learned):
    assert predict_accuracy(odd_chance(learned), 1, 64)["accuracy"] > 0.1 + 1 / 64
    constant = learned._replace(arm=learned.arm._replace(columns={**learned.arm.columns, "chance": np.full(64, 0.5)}))
    assert predict_accuracy(constant, 1, 40)["accuracy"] > 0.5


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Stored rows of a codebook arm that learns as the theorem says, with a third of its inputs."""
    folder = tmp_path_factory.mktemp("store")
    sweep = Sweep(
        generator="codebook", network=["mlp"], outputs=[4, 16, 64, 256], inputs=[256, 1024, 4096], seeds=3,
        dimension=64, signal_power=0.25,
    )  # fmt: skip
    rng, rows = np.random.default_rng(2), []
    for trial in sweep.trials():
        factors = dict(trial.factors)
        task = (factors["outputs"], 64, 0.25, factors["noise"] ** 2)
        mean = gaussian_codebook_accuracy(*task, effective_samples=factors["inputs"] / factors["outputs"] / 3)
        rows.append({
            **factors, **limits_of(factors), "identity": trial.identity, "arm": "mlp", "seed": trial.seed,
            "status": "ok", "test_accuracy": mean + 0.005 * rng.standard_normal(),
        })  # fmt: skip
    Store(folder).publish("codebook", rows)
    return str(folder)


def call(capsys, *arguments):
    code = main([*arguments, "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out else None, captured.err


def test_a_stored_codebook_arm_meets_its_exact_ceiling(stored, capsys):
    source = ("--study", "codebook", "--arm", "mlp", "--store", stored, "--preset", "all")
    code, found, _ = call(capsys, "predict", *source, "--inputs", "512", "--outputs", "64")
    truth = gaussian_codebook_accuracy(64, 64, 0.25, 1.0, effective_samples=512 / 64 / 3)
    assert (code, found["law"], found["inside_range"]) == (0, "theorem", True)
    assert found["accuracy"] == pytest.approx(truth, abs=0.01)  # 27 trials of .005 know one parameter far better
    code, found, _ = call(capsys, "plan", *source, "--outputs", "64", "--accuracy", str(truth))
    assert code == 0
    assert found["inputs"] == pytest.approx(512, rel=0.05)
    known = gaussian_codebook_accuracy(64, 64, 0.25, 1.0)
    code, found, _ = call(capsys, "plan", *source, "--outputs", "64", "--accuracy", "0.99")
    assert (code, found["inputs"], found["interval"]) == (0, None, [None, None])
    assert found["ceiling"] == pytest.approx(known, rel=1e-12)
    assert found["reason"] == f"accuracy 0.99 is not below the ceiling {known:.6g}, the accuracy with known codewords"
    code, _, error = call(
        capsys, "plan", *source[:2], "--arm", "cnn", *source[4:], "--outputs", "64", "--accuracy", ".5"
    )
    assert (code, error) == (2, "capsim: arm must be one of mlp, got 'cnn'\n")


def test_a_table_of_ones_own(capsys, tmp_path):
    rng = np.random.default_rng(3)
    inputs, outputs = (axis.ravel() for axis in np.meshgrid(INPUTS, OUTPUTS))
    correct = rng.binomial(2000, hill(inputs.astype(float), outputs.astype(float)))
    lines = [f"{n},{k},{c},2000" for n, k, c in zip(inputs, outputs, correct, strict=True)]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["n,k,hits,items", *lines]) + "\n")
    source = ("--data", str(path), "--columns", "inputs=n,outputs=k,correct=hits,total=items")
    code, found, _ = call(capsys, "predict", *source, "--inputs", "500", "--outputs", "32")
    assert code == 0
    # sixteen shares of 2,000 items, each known within .011: .03 is over five standard errors
    assert found["accuracy"] == pytest.approx(float(hill([500.0], [32.0])[0]), abs=0.03)
    code, plan, _ = call(capsys, "plan", *source, "--outputs", "32", "--accuracy", str(found["accuracy"]))
    assert plan["inputs"] == pytest.approx(500, abs=1)
    code, far, error = call(capsys, "plan", *source, "--outputs", "1e15", "--accuracy", "0.5")
    assert (code, error) == (0, f"capsim: {far['reason']}\n")
    assert known_ceiling(learn(planted_arm(rng, ("hill",))).arm, 32) is None
    code, _, error = call(capsys, "predict", "--inputs", "500", "--outputs", "32")
    assert (code, error) == (2, "capsim: a study or --data must be given, got neither\n")
