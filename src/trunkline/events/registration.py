"""Events of users' registrations.

`server.registrar` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.explanation import Explanation
    from trunkline.server.registrar import RegisterRequest

__all__ = [
    "RegisterUser",
    "RegisterUserFailed",
    "RegisterUserSuccess",
    "RegistrationEvent",
    "UnregisterUser",
]


@dataclass(frozen=True, slots=True)
class RegistrationEvent:
    """Something happened to a user's registration."""


@dataclass(frozen=True, slots=True)
class RegisterUser(RegistrationEvent):
    """A REGISTER waits for a decision: authenticate, accept, reject, attach. Without a handler it is authenticated."""

    request: RegisterRequest


@dataclass(frozen=True, slots=True)
class RegisterUserSuccess(RegistrationEvent):
    """A phone is registered: `contact` reaches it for `expires_s` seconds."""

    user: str
    contact: str
    expires_s: int
    user_agent: str
    from_ip: str
    from_port: int
    refresh: bool
    """Whether this contact was registered before."""


@dataclass(frozen=True, slots=True)
class RegisterUserFailed(RegistrationEvent):
    """A registration was refused."""

    user: str
    status: int
    reason: str
    from_ip: str
    from_port: int
    explanation: Explanation | None = None
    """What came, what was answered, what to change."""


@dataclass(frozen=True, slots=True)
class UnregisterUser(RegistrationEvent):
    """A contact is gone: the phone unregistered it, it lapsed, or another took its place."""

    user: str
    contact: str
    lapsed: bool
