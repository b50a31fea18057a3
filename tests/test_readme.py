"""The README's verdicts are those of the records; tests/docs runs its code."""

import re
from pathlib import Path

from experiments.store import COMMITTED, Store
from experiments.studies.registry import STUDIES
from experiments.tables import load
from experiments.verdicts import judge_study

README = Path(__file__).parent.parent / "README.md"


def test_the_verdicts_are_those_of_the_committed_records():
    printed = re.findall(r"^\| `(\w+)`, `([^`]+)` \|.*\| (\w+) \|$", README.read_text(), flags=re.MULTILINE)
    store = Store(COMMITTED)
    assert {study for study, _, _ in printed} == {name for name in STUDIES if store.holds(name)}
    found = {}
    for name, study in STUDIES.items():
        for row in judge_study(study, load(study, store, "laptop").table, store.ledger(name)):
            found.setdefault((name, row["arm"]), {})[row["estimand"].split()[0]] = row["verdict"]
    for study, arm, verdict in printed:
        rows = found[study, arm]
        # an arm of codebook may have a row on gamma and one on the theorem, which is what the table shows of bayes
        assert verdict == (rows["mean"] if arm == "bayes" else next(iter(rows.values())))
