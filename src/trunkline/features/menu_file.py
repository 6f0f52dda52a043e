"""Voice menus of a TOML file: `load_menu` reads one, and has whatever is wrong said in one line that names the key.

An application calls it once and runs the menu that it returns; `features.menu` carries it out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trunkline import ConfigurationError, ToLine, ToUser
from trunkline.features.menu import Action, Handler, Menu, Ring, Say, Step

__all__ = ["load_menu"]

KINDS = ("to_user", "to_line", "menu", "handler", "step")
"""What a choice may do, one of them; `play` goes with each but `to_user` and `to_line`, or stands alone."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Choice(_Strict):
    to_user: str | None = None
    to_line: str | None = None
    number: str | None = None
    timeout_s: float = Field(20.0, gt=0, le=3_600)
    menu: str | None = None
    handler: str | None = None
    step: str | None = None
    play: str | list[str] | None = None
    otherwise: _Choice | None = None


class _Menu(_Strict):
    prompt: str | list[str] | None = None
    choices: dict[str, _Choice] = Field(default_factory=dict)
    extensions: list[str] = Field(default_factory=list)
    timeout_s: float = 5.0
    between_s: float = 2.0
    repeats: int = 3
    no_choice: str | list[str] | None = None
    invalid: str | list[str] | None = None
    unavailable: str | list[str] | None = None
    default: _Choice | None = None
    extension_timeout_s: float = 20.0
    country: str = "itu"


class _File(_Strict):
    first: str
    menus: dict[str, _Menu]


def load_menu(file: Path | str, handlers: Mapping[str, Handler] | None = None) -> Menu:
    """Read menus from a TOML file.

    Args:
        file: Its path; prompts that are no absolute paths lie beside it.
        handlers: Coroutines that choices name by `handler`.

    Returns:
        The menu that `first` names; the others hang below it.

    Raises:
        ConfigurationError: It cannot be read, or the first key that is wrong.

    Example:
        menu = load_menu("menu.toml", {"hours": opening_hours})
    """
    path = Path(file)
    try:
        read = _File.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigurationError(str(path), f"it cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _problem(path, error) from None
    return _Builder(path.parent, read, dict(handlers or {})).first()


def _problem(path: Path, error: ValueError) -> ConfigurationError:
    """The first thing that is wrong, by its key."""
    if not isinstance(error, ValidationError):
        return ConfigurationError(str(path), f"it is no TOML: {error}")
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part not in ("str", "list[str]"))
    words = "there is no such key" if first["type"] == "extra_forbidden" else first["msg"]
    return ConfigurationError(key or str(path), words[:1].lower() + words[1:])


class _Builder:
    """Makes menus of what was read: all of them first, then what leads from one to another."""

    def __init__(self, folder: Path, read: _File, handlers: dict[str, Handler]) -> None:
        self._folder = folder
        self._read = read
        self._handlers = handlers
        self._menus: dict[str, Menu] = {}

    def first(self) -> Menu:
        for name, read in self._read.menus.items():
            self._menus[name] = self._menu(f"menus.{name}", read)
        for name, read in self._read.menus.items():
            self._lead(f"menus.{name}", self._menus[name], read)
        if self._read.first not in self._menus:
            raise ConfigurationError("first", f"there is no menu {self._read.first}")
        return self._menus[self._read.first]

    def _menu(self, key: str, read: _Menu) -> Menu:
        values: dict[str, Any] = read.model_dump(exclude={"choices", "default"})
        for name in ("prompt", "no_choice", "invalid", "unavailable"):
            values[name] = self._prompt(values[name])
        values["extensions"] = tuple(read.extensions)
        values["choices"] = dict.fromkeys(read.choices, Step.AGAIN)
        try:
            return Menu(**values)
        except ConfigurationError as error:
            raise ConfigurationError(f"{key}.{error.key}", error.problem) from None

    def _lead(self, key: str, menu: Menu, read: _Menu) -> None:
        for digits, choice in read.choices.items():
            menu.choices[digits] = self._action(f"{key}.choices.{digits}", choice)
        if read.default is not None:
            menu.default = self._action(f"{key}.default", read.default)

    def _action(self, key: str, choice: _Choice) -> Action:
        given = [name for name in KINDS if getattr(choice, name) is not None]
        if len(given) > 1 or not (given or choice.play):
            raise ConfigurationError(key, f"one of {', '.join(KINDS)}, or play, says what it does")
        kind = given[0] if given else "step"
        if kind in ("to_user", "to_line"):
            return self._ring(key, choice)
        then = self._leads_to(key, kind, getattr(choice, kind) or "again")
        return Say(self._prompt(choice.play), then) if choice.play else then

    def _ring(self, key: str, choice: _Choice) -> Ring:
        if choice.play is not None:
            raise ConfigurationError(f"{key}.play", "it cannot be said before a call; let a menu do so")
        otherwise = self._action(f"{key}.otherwise", choice.otherwise) if choice.otherwise is not None else None
        to = ToLine(choice.to_line, choice.number) if choice.to_line is not None else ToUser(choice.to_user or "")
        return Ring(to, choice.timeout_s, otherwise)

    def _leads_to(self, key: str, kind: str, name: str) -> Menu | Step | Handler:
        kinds: dict[str, Mapping[str, Menu | Step | Handler]] = {
            "menu": self._menus,
            "handler": self._handlers,
            "step": {step.value: step for step in Step},
        }
        known = kinds[kind]
        if name not in known:
            raise ConfigurationError(f"{key}.{kind}", f"there is no {kind} {name}; known: {', '.join(known) or 'none'}")
        return known[name]

    def _prompt(self, prompt: str | list[str] | None) -> tuple[Path, ...] | None:
        """Paths from the folder of the file."""
        if prompt is None:
            return None
        return tuple(self._folder / part for part in ([prompt] if isinstance(prompt, str) else prompt))
