"""Provider profiles: named, versioned presets of line settings, as data files with the page that each rule comes from.

`config` puts a profile's settings below those that are given. The test kit's provider refuses what the same pages forbid
(`trunkline.testing.refusals`). A version never changes: what a provider does differently is a new one, beside the old.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["Profile", "ProfileRule", "Refusal", "profile", "profile_names"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a provider asks of an INVITE, and answers where it is not so."""

    of: tuple[str, ...]
    """Where the number stands: header names, or `request-uri`; the first that is there counts."""
    matches: str
    """A regular expression that the whole user part must match. A call with none of the headers is refused."""
    status: int = 403
    """What is answered; 403 where the page names no status."""
    reason: str | None = None
    anonymous: bool | None = None
    """Asked of anonymous calls alone, or of all others alone; of all where None."""


@dataclass(frozen=True, slots=True)
class ProfileRule:
    """One rule of a provider."""

    page: str
    """Where it is written."""
    read_on: date
    """When it was read there."""
    says: str
    """What the page says, in short."""
    settings: Mapping[str, Any]
    """The line settings that follow from it."""
    refuses: tuple[Refusal, ...] = ()
    """What the provider does not accept."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A preset of line settings."""

    name: str
    """With its version, as `sipgate@1`."""
    title: str
    """The provider's product."""
    rules: tuple[ProfileRule, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """The line settings of all its rules."""
        return {key: value for rule in self.rules for key, value in rule.settings.items()}

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Everything that the provider does not accept."""
        return tuple(refusal for rule in self.rules for refusal in rule.refuses)


@cache
def profile_names() -> tuple[str, ...]:
    """All profiles, as `sipgate@1`."""
    found = (path.name for path in files(__package__).joinpath("profiles").iterdir())
    return tuple(sorted("@".join(name[:-5].rsplit("-", 1)) for name in found if name.endswith(".toml")))


@cache
def profile(name: str) -> Profile:
    """The profile of that name and version.

    Args:
        name: As `sipgate@1`.

    Raises:
        ValueError: There is none; the text says which there are.
    """
    known = profile_names()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1, 0.6)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        raise ValueError(f"there is no profile {name}; {hint}")
    data = tomllib.loads(files(__package__).joinpath("profiles", f"{name.replace('@', '-')}.toml").read_text("utf-8"))
    return Profile(name, data["title"], tuple(_rule(rule) for rule in data["rules"]))


def _rule(data: dict[str, Any]) -> ProfileRule:
    refuses = tuple(Refusal(**{**refusal, "of": tuple(refusal["of"])}) for refusal in data.pop("refuses", ()))
    return ProfileRule(**data, refuses=refuses)
