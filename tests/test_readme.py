"""The README's Python runs as it stands, in a process of its own; its verdicts are those of the records."""

import re
import subprocess
import sys
from pathlib import Path

from experiments.store import COMMITTED, Store
from experiments.studies.registry import STUDIES
from experiments.tables import load
from experiments.verdicts import judge_study

README = Path(__file__).parent.parent / "README.md"


def test_the_python_example_prints_one_row_a_trial(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("{'arm'")]
    assert len(rows) == 2 * 2 * 2 * 2 * 2  # networks x outputs x inputs x noise x seeds
    assert (tmp_path / "mine" / "sweep").is_dir()


def test_the_verdicts_are_those_of_the_committed_records():
    printed = re.findall(r"^\| `(\w+)`, `([^`]+)` \|.*\| (\w+) \|$", README.read_text(), flags=re.MULTILINE)
    assert {study for study, _, _ in printed} == set(STUDIES)
    store = Store(COMMITTED)
    found = {}
    for name, study in STUDIES.items():
        for row in judge_study(study, load(study, store, "laptop").table, store.ledger(name)):
            found.setdefault((name, row["arm"]), {})[row["estimand"].split()[0]] = row["verdict"]
    for study, arm, verdict in printed:
        rows = found[study, arm]
        # an arm of codebook may have a row on gamma and one on the theorem, which is what the table shows of bayes
        assert verdict == (rows["mean"] if arm == "bayes" else next(iter(rows.values())))
