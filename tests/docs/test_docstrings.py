"""The examples in docstrings: those with a prompt run, all others compile."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator

import pytest

import trunkline

MODULES = [
    module.name
    for module in pkgutil.walk_packages(trunkline.__path__, "trunkline.")
    if not module.name.endswith("__main__") and ".migrations" not in module.name
]


def docstrings(module_name: str) -> Iterator[tuple[str, str]]:
    """Every docstring of a module, with the line that it stands at."""
    module = importlib.import_module(module_name)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield f"{module_name}:{getattr(node, 'lineno', 1)}", text


def examples() -> list[tuple[str, str]]:
    found = []
    for name in MODULES:
        for where, text in docstrings(name):
            if "Example:\n" in text:
                block = text.split("Example:\n", 1)[1]
                lines = [line for line in block.splitlines() if not line or line.startswith(" ")]
                found.append((where, textwrap.dedent("\n".join(lines))))
    return found


EXAMPLES = examples()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize(("where", "text"), EXAMPLES, ids=[where for where, _ in EXAMPLES])
def test_an_example_in_a_docstring_is_python(where: str, text: str) -> None:
    if ">>>" not in text:
        compile(text, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(
    "name", [name for name in MODULES if any(where.split(":")[0] == name for where, _ in EXAMPLES)]
)
def test_an_example_with_a_prompt_says_what_it_prints(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0
