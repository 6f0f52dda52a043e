"""The Sphinx extension of these pages: tables, ladders and the public names, made from the code at build time.

`.. generated:: NAME [ARGUMENT]` renders a table of `tables`, `.. ladder:: NAME` a call of `ladders`, `.. checked::` its
content as a TOML file with what `trunkline check` says of it, `.. public:: MODULE` the names that a module exports,
`.. error-tree::` the exceptions.
"""

from __future__ import annotations

import importlib
import inspect
import tempfile
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from ladders import draw
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from tables import TABLES, error_tree

from trunkline.server.config import problems_in

__all__ = ["setup"]


def _cell(text: str) -> list[str]:
    first, *rest = text.splitlines() or [""]
    return [first, *(f"       {line}" for line in rest)]


def list_table(rows: list[list[str]]) -> str:
    """The rows as a `list-table`."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        for number, text in enumerate(row):
            first, *rest = _cell(text)
            lines.append(f"   {'* -' if number == 0 else '  -'} {first}".rstrip())
            lines += rest
    return "\n".join(lines) + "\n"


class Generated(SphinxDirective):
    """A table of `tables`."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Render it."""
        name, *argument = self.arguments
        return self.parse_text_to_nodes(list_table(TABLES[name](argument[0] if argument else "")))


class Ladder(SphinxDirective):
    """A call that is performed now."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Perform and draw it."""
        text = draw(self.arguments[0])
        return [nodes.literal_block(text, text, language="text")]


class Checked(SphinxDirective):
    """A TOML file and its problems."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Check it."""
        text = "\n".join(self.content)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pbx.toml"
            path.write_text(text)
            said = "\n".join(f"✗ {problem}" for problem in problems_in(path)) or "(nothing)"
        return [
            nodes.literal_block(text, text, language="toml"),
            nodes.literal_block(said, said, language="text"),
        ]


class ErrorTree(SphinxDirective):
    """The exceptions."""

    def run(self) -> list[nodes.Node]:
        """Draw them."""
        text = error_tree()
        return [nodes.literal_block(text, text, language="text")]


class Public(SphinxDirective):
    """Autodoc of what a module exports."""

    required_arguments = 1
    option_spec: ClassVar = {"except": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Hand each name to autodoc."""
        module = importlib.import_module(self.arguments[0])
        left_out = set(importlib.import_module(self.options["except"]).__all__) if "except" in self.options else set()
        lines: list[str] = []
        for name in module.__all__:
            if name not in left_out:
                lines += _autodoc(f"{module.__name__}.{name}", getattr(module, name))
        return self.parse_text_to_nodes("\n".join(lines))


def _autodoc(path: str, thing: Any) -> list[str]:
    if inspect.isclass(thing):
        options = ["   :members:", "   :show-inheritance:"]
        if issubclass(thing, Enum):
            options = ["   :members:", "   :undoc-members:"]
        kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
        return [f".. {kind}:: {path}", *options, ""]
    return [f".. {'autofunction' if inspect.isroutine(thing) else 'autodata'}:: {path}", ""]


def mark_examples(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Make the code below an `Example:` that is no doctest a literal block."""
    for number, line in enumerate(lines[:-1]):
        if line.strip() == "Example:" and not lines[number + 1].lstrip().startswith(">>>"):
            lines[number] = f"{line}:"
            lines.insert(number + 1, "")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all of it."""
    app.add_directive("generated", Generated)
    app.add_directive("ladder", Ladder)
    app.add_directive("checked", Checked)
    app.add_directive("error-tree", ErrorTree)
    app.add_directive("public", Public)
    # before napoleon, which turns sections into fields
    app.connect("autodoc-process-docstring", mark_examples, priority=100)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
