"""The README's Python runs as it stands, in a process and a folder of its own."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_python_example_prints_one_row_a_trial(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("{'arm'")]
    assert len(rows) == 2 * 2 * 2 * 2 * 2  # networks x outputs x inputs x noise x seeds
    assert (tmp_path / "mine" / "sweep").is_dir()
