"""Names of users, lines and groups in environment variables, which the settings library has in small letters.

`config` has what the library read of the environment spelled here, before it goes over the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

__all__ = ["PREFIX", "SpelledEnvironment"]

PREFIX = "TRUNKLINE_"
"""What the names of the variables begin with."""

NAMED = ("users", "lines", "line_groups")
"""The tables whose keys are names."""


class SpelledEnvironment(PydanticBaseSettingsSource):
    """What the environment sets, with names as the file spells them.

    Args:
        environment: The library's source of it.
        file: The source of the file.
    """

    def __init__(self, environment: PydanticBaseSettingsSource, file: PydanticBaseSettingsSource) -> None:
        super().__init__(environment.settings_cls)
        self._environment = environment
        self._file = file

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Of one field; asked of the library's source."""
        return self._environment.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """What the environment sets, by key."""
        return _spelled(self._environment(), self._file())


def _spelled(environment: dict[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """What the environment sets, with names as the file spells them.

    A name that the file does not have is spelled as in the variable, or in small letters where that has capitals alone.

    Args:
        environment: What the settings library read, by key; names are in small letters.
        file: What stands in the file.
    """
    for table in NAMED:
        given, known = environment.get(table), file.get(table, {})
        if isinstance(given, dict) and isinstance(known, Mapping):
            names = {**_in_variables(table), **{name.lower(): name for name in known}}
            environment[table] = {names.get(name, name): value for name, value in given.items()}
    return environment


def _in_variables(table: str) -> dict[str, str]:
    """By the name in small letters, the name as a variable has it; those in capitals alone are left out."""
    start = f"{PREFIX}{table}__".lower()
    names = (key[len(start) :].partition("__")[0] for key in os.environ if key.lower().startswith(start))
    return {name.lower(): name for name in names if not name.isupper()}
