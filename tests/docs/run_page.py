"""Runs the code of one page of documentation in the current folder: `python run_page.py PAGE.md`.

The page becomes a script of the same line numbers: its Python as it stands, its `capsim ...` lines as calls. A block
whose first line says `# not run: reason` is only read: Python is compiled, and a `capsim` line parsed.
"""

import re
import runpy
import shlex
import sys
from pathlib import Path

NOT_RUN = "# not run: "


def code_lines(text):
    """(number, language, line, whether its block runs) of each line of code; numbers count from 0."""
    found, language, runs = [], None, True
    lines = text.splitlines()
    for number, line in enumerate(lines):
        fence = re.match(r"```(.*)$", line)
        if fence and language is None:
            language, runs = fence[1] or "text", not lines[number + 1].startswith(NOT_RUN)
        elif fence:
            language = None
        elif language in ("python", "sh"):
            found.append((number, language, line, runs))
        elif language is None and line.startswith("    capsim "):
            found.append((number, "sh", line, False))
    assert language is None, "a block of code has no end"
    return found


def script(text):
    """The page's code as Python, line for line."""
    lines = [""] * len(text.splitlines())
    for number, language, line, runs in code_lines(text):
        words = shlex.split(line, comments=True)
        if language == "python":
            lines[number] = line if runs else ""
        elif words[:1] == ["capsim"]:
            lines[number] = f"{'_capsim' if runs else '_parse'}({words[1:]!r})"
    return "\n".join(lines) + "\n"


def blocks_that_do_not_run(text):
    """The Python of each such block."""
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [block for block in blocks if block.startswith(NOT_RUN)]


def _capsim(words):
    from experiments.cli import main

    print("$ capsim", shlex.join(words), flush=True)
    code = main(words)
    assert code == 0, f"exit code {code}"


def _parse(words):
    from experiments import cli

    if "--help" not in words:
        cli._parse(words)  # raises where a word or an option is unknown


def main(page):
    text = Path(page).read_text()
    for block in blocks_that_do_not_run(text):
        compile(block, page, "exec")
    path = Path(Path(page).stem + "_md.py")  # a file: the judge of a study has its source hashed
    path.write_text(script(text))
    runpy.run_path(str(path), init_globals={"_capsim": _capsim, "_parse": _parse}, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1])
