"""What `import trunkline` gives is what it says that it gives."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import trunkline
from trunkline import errors

PACKAGE = Path(trunkline.__file__).parent
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages([str(PACKAGE)], "trunkline.")
    if info.name.rpartition(".")[2] not in ("__main__", "env")  # those run when they are imported
)


def test_the_public_names_are_sorted_and_real_and_no_modules() -> None:
    assert list(trunkline.__all__) == sorted(set(trunkline.__all__))
    assert not [name for name in trunkline.__all__ if isinstance(getattr(trunkline, name), ModuleType)]


def test_every_public_name_is_one_of_the_module_that_defines_it() -> None:
    for name in trunkline.__all__:
        found = getattr(trunkline, name)
        assert found.__name__ == name
        assert name in importlib.import_module(found.__module__).__all__, name


def test_nothing_else_is_imported_under_a_public_name() -> None:
    imported = {
        alias.asname or alias.name
        for node in ast.parse((PACKAGE / "__init__.py").read_text()).body
        if isinstance(node, ast.ImportFrom | ast.Import)
        for alias in node.names
    }
    assert {name for name in imported if not name.startswith("_")} == set(trunkline.__all__)


def test_every_error_is_public_and_raised_somewhere() -> None:
    assert set(errors.__all__) <= set(trunkline.__all__)
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    bases = {base.__name__ for name in errors.__all__ for base in getattr(errors, name).__bases__}
    unused = {
        name
        for name in set(errors.__all__) - bases
        if f"{name}(" not in sources.replace(f"class {name}(", "")
        and not issubclass(getattr(errors, name), errors.CallFailed)
    }
    assert unused == set()


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_says_that_it_defines_is_there(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in getattr(found, "__all__", ()) if not hasattr(found, name)] == []
