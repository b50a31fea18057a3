"""The code of the documentation runs as it stands, every command in it is known, and the findings are the records'."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

import conf
import generate_findings
import run_page

from experiments.studies.objections import OBJECTIONS
from experiments.studies.registry import STUDIES

ROOT = Path(__file__).parents[2]
GENERATED = "findings.md"
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != GENERATED)]
WITH_CODE = [page for page in PAGES if run_page.code_lines(page.read_text())]
# Programs that run for a moment: compiling them without optimisation takes a third of the time.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
LONGEST = 30  # lines of code of an example in extending.md


def run(page, folder):
    command = [sys.executable, str(Path(run_page.__file__)), str(page)]
    environment = os.environ | {"CAPSIM_CACHE": str(folder / "cache"), "XLA_FLAGS": QUICK, "PYTHONPATH": str(ROOT)}
    environment.pop("CAPSIM_STORE", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path):
    printed = run(page, tmp_path)
    if page.stem == "README":
        rows = [line for line in printed.splitlines() if line.startswith("{'arm'")]
        assert len(rows) == 2 * 2 * 2 * 2 * 2  # networks x outputs x inputs x noise x seeds
        assert (tmp_path / "mine" / "sweep").is_dir()


def test_the_pages_with_code_are_found():
    assert {"README", "tutorial", "extending", "own-data", "cluster"} <= {page.stem for page in WITH_CODE}


def test_parts_of_ones_own_are_short():
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/extending.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 5
    for block in blocks:
        lines = [line for line in block.splitlines() if line.strip()]
        assert len(lines) <= LONGEST


def test_a_page_becomes_a_script_of_the_same_lines():
    page = (
        "text\n```sh\ncapsim list  # all\n```\n```python\nx = 1\n```\n```sh\n# not run: slow\ncapsim fit heads\n```\n"
    )
    assert run_page.script(page).splitlines() == [
        "", "", "_capsim(['list'])", "", "", "x = 1", "", "", "", "_parse(['fit', 'heads'])", "",
    ]  # fmt: skip


def test_wrong_code_fails(tmp_path):
    cases = (
        ("sh", "capsim nonsense", "exit code 2"),
        ("python", "assert False", "page.md|page_md.py"),
        ("sh", "# not run: too slow\ncapsim run grid --nonsense", "UsageError"),
        ("python", "# not run: too slow\nx = = 1", "SyntaxError"),
    )
    for name, code, reason in cases:
        page = tmp_path / "page.md"
        page.write_text(f"```{name}\n{code}\n```\n")
        with pytest.raises(AssertionError, match=reason):
            run(page, tmp_path)


def test_what_is_not_run_says_why():
    for page in PAGES:
        for reason in re.findall(rf"^{run_page.NOT_RUN}(.*)$", page.read_text(), flags=re.MULTILINE):
            assert len(reason.split()) >= 2, f"{page.name}: {reason!r} is no reason"


def test_the_lock_has_the_extra_and_moves_no_version():
    def pins(name):
        lines = [line.split()[0] for line in (ROOT / name).read_text().splitlines() if "==" in line.split(" ")[0]]
        return dict(line.split("==") for line in lines)

    ours, docs = pins("requirements.lock"), pins("requirements-docs.lock")
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    assert {re.split("[><=]", name)[0] for name in extra} <= set(docs)
    assert not {"sphinx", "furo"} & set(ours)  # `make demo` does without
    shared = set(ours) & set(docs)
    assert shared
    assert {name: docs[name] for name in shared} == {name: ours[name] for name in shared}


ROW = {
    "arm": "a|b", "verdict": "refuted", "estimand": "x*y", "effect": 0.25, "interval": [None, 0.5], "trials": 3,
    "sentence": "<b>", "power": "p", "rule_hash": "abc",
}  # fmt: skip


def test_findings_show_the_rows_and_escape_them():
    text = generate_findings.section(STUDIES["digits"], [ROW], None, [])
    assert "**refuted** | x\\*y | 0.25 |  | 3 |" in text
    assert "\\<b\\>" in text
    assert "None has been written down yet." in text
    text = generate_findings.section(STUDIES["digits"], [ROW], OBJECTIONS["digits"], [])
    assert "No control in this study answers it." in text
    assert "No verdict" in generate_findings.section(STUDIES["digits"], [], None, [])


def test_objections_belong_to_studies():
    assert set(OBJECTIONS) <= set(STUDIES)
    assert {"codebook", "heads", "grid", "digits"} <= set(OBJECTIONS)


def test_docstrings_become_text_that_sphinx_reads_as_meant():
    lines = ["Mean |x| of *args, `a*b`:", "", "    A = a * b", "", "Done |y|."]
    assert conf.escape_plain_text(lines) == [
        "Mean \\|x\\| of \\*args, `a*b`::", "", "    A = a * b", "", "Done \\|y\\|.",
    ]  # fmt: skip
