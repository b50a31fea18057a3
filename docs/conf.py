"""Sphinx: `make docs`. Pages are Markdown (MyST); docstrings are plain text with Google's sections."""

import logging
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

project = "capsim"
author = "the capsim authors"
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode",
]  # fmt: skip
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = "capsim"
html_static_path = ["_static"]
html_css_files = ["capsim.css"]
html_show_sphinx = False
html_show_copyright = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
default_role = "code"
autosummary_generate = True
autosummary_imported_members = False
autodoc_typehints = "none"  # shapes and units stand in the docstrings; the annotations are jaxtyping's and JAX's
autodoc_member_order = "bysource"
napoleon_use_ivar = True
napoleon_use_param = False  # names of arguments are not objects to link to
napoleon_use_rtype = False
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(flax|jax|numpy|optax|collections|typing|pathlib|dataclasses|concurrent|pyarrow|hypothesis)\..*"),
    ("py:(class|obj|exc)", r"[A-Za-z_]+"),  # a bare name: a base class or an exception of Python's own
]


def escape_plain_text(lines: list[str]) -> list[str]:
    """A docstring as reStructuredText: signs that mean something there are escaped, formulas stand as they are.

    Example:
        >>> escape_plain_text(["Fails if |x - y| > h, as *args do:", "", "    A = a * b"])
        ['Fails if \\\\|x - y\\\\| > h, as \\\\*args do::', '', '    A = a * b']
    """
    out: list[str] = []
    literal: int | None = None  # indentation of the paragraph that introduced a literal block
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        if literal is not None or line.lstrip().startswith((">>>", "...", "..")):
            out.append(line)
            continue
        parts = re.split(r"(`+[^`]+`+)", line)
        parts[::2] = [re.sub(r"[|*]|(?<=\w)_(?=\W|$)", r"\\\g<0>", part) for part in parts[::2]]
        line = "".join(parts)
        following = [later for later in lines[number + 1 :] if later.strip()]
        deeper = following and len(following[0]) - len(following[0].lstrip()) > indent
        if deeper and number + 1 < len(lines) and not lines[number + 1].strip() and line.strip():
            literal, line = indent, line if line.endswith("::") else line + ("" if not line.endswith(":") else ":")
            if not line.endswith("::"):
                out += [line, "", " " * indent + "::"]
                continue
        out.append(line)
    return out


def _process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = escape_plain_text(lines)


def _skip(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    field = type(thing).__name__ == "_tuplegetter"  # told of under "Attributes" already
    return True if field else None


def _findings(app: Any) -> None:
    from generate_findings import write_findings

    logging.getLogger("fontTools").setLevel(logging.WARNING)  # Sphinx shows what libraries log
    write_findings(HERE)


def setup(app: Any) -> None:
    app.connect("builder-inited", _findings)
    app.connect("autodoc-process-docstring", _process, priority=400)  # before napoleon's 500
    app.connect("autodoc-skip-member", _skip)
