"""Sees what a scenario of "Coming from VaxVoIP" used: methods with their arguments, events that were told, objects that came back.

`test_vaxvoip.py` has one for each row, runs the row's scenario under it, and asks it whether all that the row names was there.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline import CallSession, ChatMessage, RegisterRequest, SipServer
from trunkline.testing import VirtualNetwork

OWNERS: dict[str, type[Any]] = {
    "server": SipServer,
    "call": CallSession,
    "request": RegisterRequest,
    "message": ChatMessage,
}

DECIDES = {"on_incoming_call", "on_register_user", "on_chat_message", "on_transfer_requested"}
"""Whoever listens to these decides, so that a scenario listens itself, and says what it was told by `told`."""

CONSTANT = re.compile(r"(\w+)\.([A-Z_\d]+) = (\d+)")
CALLED = re.compile(r"(?:(\w+)\.)?(\w+)(?:\((.*)\))?")


def literals(row: str) -> list[str]:
    """What a row names."""
    return [name for name in re.findall(r"``(.+?)``", row) if not name.startswith("async with")]


class Witness:
    """Sees what one row's scenario does.

    Args:
        row: The right side of the row.
        monkeypatch: To look on from the methods that it names.
        network: For scenarios in virtual time.
        folder: For files.
    """

    def __init__(self, row: str, monkeypatch: pytest.MonkeyPatch, network: VirtualNetwork, folder: Path) -> None:
        self.network = network
        self.folder = folder
        self._named = literals(row)
        self._used: dict[str, set[str]] = {}
        self._seen: list[Any] = []
        self._told: set[str] = set()
        for name in self._named:
            self._look_on(name, monkeypatch)

    # --- for scenarios --------------------------------------------------------------------------------------------------

    def saw(self, thing: Any) -> None:
        """Something of a class or constant that the row names is there."""
        self._seen.append(thing)

    def told(self, name: str) -> None:
        """An event that the scenario decides about has come."""
        assert name in DECIDES
        self._told.add(name)

    # --- for the test ---------------------------------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """What the row names and the scenario did not use."""
        return [name for name in self._named if not self._was_used(name)]

    def _was_used(self, literal: str) -> bool:
        if constant := CONSTANT.fullmatch(literal):
            kind, member, value = constant.groups()
            wanted = getattr(trunkline, kind)[member]
            return int(wanted) == int(value) and any(one is wanted for one in self._seen)
        owner, name, arguments = _parts(literal)
        if owner is None and name.startswith("on_"):
            return name in self._told
        if owner is None and arguments is None:
            return any(isinstance(one, getattr(trunkline, name)) for one in self._seen)
        key = f"{owner or ''}.{name}"
        return key in self._used and _named(arguments) <= self._used[key]

    def _look_on(self, literal: str, monkeypatch: pytest.MonkeyPatch) -> None:
        if CONSTANT.fullmatch(literal):
            return
        owner, name, arguments = _parts(literal)
        if owner is None and name.startswith("on_"):
            if name not in DECIDES:
                self._hear(name, monkeypatch)
        elif owner is not None:
            self._spy(OWNERS[owner], name, f"{owner}.{name}", monkeypatch)
        elif arguments is not None:
            self._spy(getattr(trunkline, name), "__init__", f".{name}", monkeypatch)

    def _spy(self, kind: type[Any], name: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
        function = getattr(kind, name)
        signature = inspect.signature(function)

        @functools.wraps(function)
        def spied(*args: Any, **options: Any) -> Any:
            bound = signature.bind(*args, **options).arguments
            used = self._used.setdefault(key, set())
            for argument, value in bound.items():
                used |= set(value) if argument in ("options", "settings") and isinstance(value, dict) else {argument}
            return function(*args, **options)

        monkeypatch.setattr(kind, name, spied)

    def _hear(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        made: Callable[..., None] = SipServer.__init__

        @functools.wraps(made)
        def init(server: SipServer, *args: Any, **options: Any) -> None:
            made(server, *args, **options)

            async def note(event: Any) -> None:
                self._told.add(name)

            getattr(server, name)(note)

        monkeypatch.setattr(SipServer, "__init__", init)


def _parts(literal: str) -> tuple[str | None, str, str | None]:
    found = CALLED.fullmatch(literal)
    assert found, literal
    owner, name, arguments = found.groups()
    return owner, name, arguments


def _named(arguments: str | None) -> set[str]:
    return set(re.findall(r"(\w+)=", arguments or ""))
