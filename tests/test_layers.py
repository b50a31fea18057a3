"""The order of the layers: a file imports only from files above it, nobody goes in circles, and each tool has one home.

Imports are read from the source, those inside functions and under TYPE_CHECKING included.
"""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sim", "experiments", "paper_figures", "benchmarks")

# One level a line, from the top down; a name stands for a module or for a whole package.
ORDER = (
    ("sim.types",),
    ("sim.generators",),
    ("sim.theory",),
    ("sim.metrics",),
    ("sim.dictionary_learner",),
    ("sim.learners",),
    ("sim.networks",),
    ("sim.losses", "sim.adam"),
    ("sim.training",),
    ("sim.memory",),
    ("sim.member",),
    ("sim.population",),
    ("sim.segmentation",),
    ("sim.analysis",),
    ("sim.testing",),
    ("experiments.factor",),
    ("experiments.families",),
    ("experiments.factors",),
    ("experiments.spec",),
    ("experiments.records",),
    ("experiments.files",),
    ("experiments.faults", "experiments.hashed_files", "experiments.segments"),
    ("experiments.merging",),
    ("experiments.store",),
    ("experiments.tables", "experiments.cache"),
    ("experiments.engines",),
    ("experiments.clusters", "experiments.sharing"),
    ("experiments.data",),
    ("experiments.tasks",),
    ("experiments.probing",),
    ("experiments.limits",),
    ("experiments.measures",),
    ("experiments.recipes", "experiments.searching"),
    ("experiments.cost",),
    ("experiments.batches",),
    ("experiments.rows",),
    ("experiments.measuring",),
    ("experiments.runner",),
    ("experiments.ranking",),
    ("experiments.selftest",),
    ("experiments.explaining", "experiments.replaying", "experiments.rescoring", "experiments.selfcheck"),
    ("experiments.studies",),
    ("experiments.verdicts",),
    ("experiments.own_data",),
    ("experiments.fitting",),
    ("experiments.extrapolating",),
    ("experiments.hindcasts",),
    ("experiments.predicting",),
    ("experiments.backtest",),
    ("experiments.calibration",),
    ("experiments.synthesis",),
    ("experiments.console",),
    ("experiments.sheets",),
    ("paper_figures",),
    ("benchmarks",),
)
# The composition root may import everything; only itself may import it. The package's face loads its two names late.
COMPOSITION_ROOT = ("experiments.commands", "experiments.cli", "experiments.__main__", "paper_figures.__main__")
FACE = "experiments"
# Imports inside functions that go against the order, each with its reason.
LATE = {
    ("experiments.spec", "experiments.recipes"): "the default of an argument that callers may replace",
    ("experiments.recipes", "experiments.runner"): "tuning trains; looking a recipe up does not",
    ("experiments.searching", "experiments.runner"): "searching fits; looking settings up does not",
    ("experiments.engines", "experiments.clusters"): "Dask is loaded where it is asked for only",
}
TRAINING_SIDE = (
    "sim.generators", "sim.dictionary_learner", "sim.learners", "sim.networks", "sim.training", "sim.member",
    "sim.population",
)  # fmt: skip


def inside(module: str, names: Iterable[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_imports(root: Path) -> dict[str, set[tuple[str, bool]]]:
    """Module -> what it imports, with whether the import stands at the top of the file; own modules are resolved."""
    files = {module_name(path, root): path for package in PACKAGES for path in (root / package).rglob("*.py")}
    found: dict[str, set[tuple[str, bool]]] = {}
    for module, path in files.items():
        tree = ast.parse(path.read_text(), filename=str(path))
        top = {id(node) for node in tree.body}
        imports = found.setdefault(module, set())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imports |= {(alias.name, id(node) in top) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module} imports relatively"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                imports |= {(name if name in files else str(node.module), id(node) in top) for name in names}
    return found


def level(module: str) -> int:
    found = [index for index, names in enumerate(ORDER) if inside(module, names)]
    assert len(found) == 1, f"{module} has no place in the order of the layers"
    return found[0]


def order_violations(imports: Mapping[str, Iterable[tuple[str, bool]]]) -> list[str]:
    """Imports of a file that is not above; files of one package may import one another."""
    wrong = []
    for module, targets in imports.items():
        if module in (*PACKAGES, FACE) or inside(module, COMPOSITION_ROOT):
            continue
        for target, top in targets:
            if target.split(".")[0] not in PACKAGES or target in PACKAGES:
                continue
            if inside(target, COMPOSITION_ROOT):
                wrong.append(f"{module} -> {target}")
                continue
            late = not top and (module, target) in LATE
            beside = level(target) == level(module) and not any(
                inside(module, [name]) and inside(target, [name]) for name in ORDER[level(module)]
            )
            if beside or (level(target) > level(module) and not late):
                wrong.append(f"{module} -> {target}")
    return sorted(wrong)


def find_circle(imports: Mapping[str, Iterable[tuple[str, bool]]]) -> list[str]:
    """One circle of imports, or nothing; the late imports of `LATE` are left out."""
    finished: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in finished:
            return []
        for target, top in sorted(imports.get(module, ())):
            if target in imports and target not in PACKAGES and (top or (module, target) not in LATE):
                circle = visit(target, [*trail, module])
                if circle:
                    return circle
        finished.add(module)
        return []

    return next((circle for module in sorted(imports) if (circle := visit(module, []))), [])


@pytest.fixture(scope="module")
def imports() -> dict[str, set[tuple[str, bool]]]:
    return read_imports(ROOT)


def test_the_files_are_found(imports):
    assert {"sim.types", "sim.generators.codebook", "sim.theory.ceilings", "experiments.studies.heads"} <= set(imports)
    assert ("sim.metrics", True) in imports["sim.learners"]  # `from sim.metrics import Prediction`
    assert ("sim.theory.ceilings", True) in imports["experiments.limits"]  # `from sim.theory import ceilings`


def test_every_file_imports_only_from_files_above_it(imports):
    assert order_violations(imports) == []


def test_nobody_imports_in_circles(imports):
    assert find_circle(imports) == []


def test_the_late_exceptions_are_still_needed(imports):
    assert {pair for pair in LATE if (pair[1], False) not in imports[pair[0]]} == set()


def test_the_science_knows_nothing_of_studies_or_plots(imports):
    above = ("experiments", "paper_figures", "benchmarks")
    found = {(m, t) for m, ts in imports.items() if inside(m, ["sim"]) for t, _ in ts if inside(t, above)}
    assert found == set()


def test_theory_and_training_never_import_each_other(imports):
    def crossing(sources: Iterable[str], targets: Iterable[str]) -> set[tuple[str, str]]:
        return {(m, t) for m, ts in imports.items() if inside(m, sources) for t, _ in ts if inside(t, targets)}

    assert crossing(["sim.theory"], TRAINING_SIDE) == set()
    assert crossing(TRAINING_SIDE, ["sim.theory"]) == set()
    assert crossing(["paper_figures"], ["sim.training", "sim.member", "sim.population", "experiments.runner"]) == set()


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        # theory and analysis are NumPy and SciPy in float64: an independent second code
        ("jax", ("sim.types", "sim.adam", "sim.generators", "sim.metrics", "sim.dictionary_learner", "sim.learners",
                 "sim.networks", "sim.losses", "sim.training", "sim.memory", "sim.member", "sim.population",
                 "sim.segmentation", "sim.testing", "experiments.data",
                 "experiments.tasks", "experiments.probing", "experiments.cost", "experiments.batches",
                 "experiments.rows", "experiments.runner", "experiments.measures",
                 "experiments.replaying", "experiments.rescoring", "experiments.selfcheck", "experiments.cache",
                 "experiments.selftest.child",
                 *COMPOSITION_ROOT, "paper_figures", "benchmarks")),
        ("flax", ("sim.networks", "benchmarks")),
        ("optax", ("sim.adam", "benchmarks")),
        ("matplotlib", ("paper_figures",)),
        ("dask", ("experiments.clusters",)),
        ("distributed", ("experiments.clusters",)),
        ("dask_jobqueue", ("experiments.clusters",)),
        ("torch", ("benchmarks",)),
    ],
)  # fmt: skip
def test_a_library_has_its_homes(imports, library, homes):
    found = {m for m, targets in imports.items() for t, _ in targets if inside(t, [library]) and not inside(m, homes)}
    assert found == set()


def test_only_the_composition_root_imports_figures_and_benchmarks(imports):
    own = ("paper_figures", "benchmarks")
    found = {(m, t) for m, ts in imports.items() for t, _ in ts if inside(t, own) and not inside(m, own)}
    assert {module for module, _ in found if not inside(module, COMPOSITION_ROOT)} == set()


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("sim.training", "experiments.spec"),
        ("sim.generators.codebook", "sim.population"),
        ("experiments.cache", "experiments.engines"),
        ("experiments.store", "experiments.cli"),
        ("experiments.records", "experiments.runner"),
    ],
)
def test_a_wrong_import_is_seen(source, target):
    assert order_violations({source: {(target, True)}}) == [f"{source} -> {target}"]
    assert order_violations({source: {(target, False)}}) == [f"{source} -> {target}"]


def test_a_circle_is_seen():
    circle = {"sim.theory.a": {("sim.theory.b", True)}, "sim.theory.b": {("sim.theory.a", False)}}
    assert find_circle(circle) == ["sim.theory.a", "sim.theory.b", "sim.theory.a"]


def test_imports_are_read_from_any_depth(tmp_path):
    (tmp_path / "sim" / "theory").mkdir(parents=True)
    (tmp_path / "sim" / "theory" / "__init__.py").touch()
    (tmp_path / "sim" / "theory" / "laws.py").write_text(
        "import numpy as np\ndef late():\n    from sim.theory import other\n    import jax.numpy\n"
    )
    (tmp_path / "sim" / "theory" / "other.py").touch()
    found = read_imports(tmp_path)["sim.theory.laws"]
    assert found == {("numpy", True), ("sim.theory.other", False), ("jax.numpy", False)}
