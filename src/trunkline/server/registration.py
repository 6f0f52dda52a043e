"""Reading a REGISTER (RFC 3261 §10.3) and writing its 200: pure functions between messages and bindings.

`registrar` calls them around the decision. Everything here is either a value or a `RegisterRefused` that carries what
to answer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from trunkline.server.bindings import Binding, Wanted
from trunkline.sip.dialog import behind_nat
from trunkline.sip.endpoint import Flow, Message, NameAddr, SipParseError, read_number, read_q

__all__ = [
    "ExpiryBounds",
    "Fault",
    "RegisterRefused",
    "contact_value",
    "is_removal_of_all",
    "reached_over_flow",
    "wanted_contacts",
]

MAX_CONTACT = 1_000
"""Characters of a Contact that is bound."""

MAX_PATHS = 8
"""Path values that are kept."""

FALLBACK_EXPIRES_S = 3_600
"""What a malformed expiry counts as (RFC 3261 §20.10, §20.19)."""


class Fault(Enum):
    """What a REGISTER is refused for."""

    MALFORMED = auto()
    DOMAIN = auto()
    UNKNOWN_USER = auto()
    PASSWORD = auto()
    REALM = auto()
    ALGORITHM = auto()
    OTHER_USER = auto()
    """Somebody registers for somebody else."""
    CONTACTS = auto()
    """More than the user may have."""
    TOO_BRIEF = auto()
    OUT_OF_ORDER = auto()
    ATTACHED = auto()
    """A handler attached it to a user that does not exist."""
    APPLICATION = auto()
    """A handler refused it."""


class RegisterRefused(Exception):
    """A REGISTER is answered with a failure."""

    def __init__(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]] = (), *, fault: Fault = Fault.MALFORMED
    ) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.fault = fault
        self.headers = tuple(headers)


@dataclass(frozen=True, slots=True)
class ExpiryBounds:
    """How long a registration lasts, in seconds."""

    min_s: int = 60
    """Shorter ones are refused with 423."""
    default_s: int = 3_600
    """Where the phone names none."""
    max_s: int = 7_200
    """Longer ones are cut to this."""

    def grant_s(self, asked_s: int | None) -> int:
        """What is granted. RegisterRefused (423, §10.3 step 7) where less than the minimum is asked for."""
        if asked_s is None:
            return self.default_s
        if 0 < asked_s < self.min_s:
            raise RegisterRefused(423, "Interval Too Brief", [("Min-Expires", str(self.min_s))], fault=Fault.TOO_BRIEF)
        return min(asked_s, self.max_s)


def is_removal_of_all(message: Message) -> bool:
    """Whether it is `Contact: *`. RegisterRefused (400, §10.3 step 6) where it has company or Expires is not 0."""
    contacts = message.values("Contact")
    if "*" not in contacts:
        return False
    if len(contacts) != 1 or expires_of(message.header("Expires")) != 0:
        raise RegisterRefused(400, "Contact * stands alone and with Expires 0")
    return True


def wanted_contacts(message: Message, bounds: ExpiryBounds, *, maximum: int) -> list[Wanted]:
    """The contacts of a REGISTER with what is granted to each; none for a query. RegisterRefused where one is unfit.

    Args:
        message: The REGISTER.
        bounds: Of the expiry.
        maximum: Contacts that one user may have.
    """
    try:
        contacts = message.contacts
    except SipParseError as error:
        raise RegisterRefused(error.status or 400, "Malformed Contact") from error
    if len(contacts) > maximum:
        raise RegisterRefused(403, f"No more than {maximum} contacts", fault=Fault.CONTACTS)
    asked_of_all = expires_of(message.header("Expires"))
    return [_wanted(contact, asked_of_all, bounds) for contact in contacts]


def _wanted(contact: NameAddr, asked_of_all: int | None, bounds: ExpiryBounds) -> Wanted:
    if contact.uri.scheme != "sip" or not contact.uri.host:
        raise RegisterRefused(400, "A Contact must be a sip URI")
    if len(str(contact.uri)) > MAX_CONTACT:
        raise RegisterRefused(400, "Contact too long")
    own = expires_of(contact.param("expires"))
    expires_s = bounds.grant_s(asked_of_all if own is None else own)
    return Wanted(contact.uri, expires_s, _q(contact.param("q")), _instance(contact))


def expires_of(text: str | None) -> int | None:
    """The seconds of an Expires header or parameter; None where there is none."""
    if text is None:
        return None
    seconds = read_number(text)
    return FALLBACK_EXPIRES_S if seconds is None else seconds


def _q(text: str | None) -> float:
    # §20.10: what is malformed says nothing
    value = read_q(text) if text is not None else None
    return 1.0 if value is None else value


def _instance(contact: NameAddr) -> str:
    # RFC 5626 §4.1: a URN in angle brackets in quotes, compared as URNs are
    return (contact.param("+sip.instance") or "").lower()[:MAX_CONTACT]


def path_of(message: Message) -> tuple[str, ...]:
    """The proxies between us and the phone (RFC 3327). RegisterRefused where they are malformed or too many."""
    values = message.values("Path")
    if len(values) > MAX_PATHS:
        raise RegisterRefused(400, "Too many Path values")
    try:
        return tuple(str(NameAddr.parse(value)) for value in values)
    except SipParseError as error:
        raise RegisterRefused(400, "Malformed Path") from error


def reached_over_flow(message: Message, flow: Flow) -> bool:
    """Whether the phone is reached only over the flow that it opened: its Via or its Contact says another address.

    A phone behind a proxy that added a Path is reached through that proxy, which knows.
    """
    if message.values("Path"):
        return False
    if behind_nat(message, flow):
        return True
    return any(_elsewhere(contact, flow) for contact in message.contacts if contact.uri.scheme == "sip")


def _elsewhere(contact: NameAddr, flow: Flow) -> bool:
    """Whether a Contact names another address than the one that it came from; a name is believed."""
    try:
        address = ipaddress.ip_address(contact.uri.host)
    except ValueError:
        return False
    if address != ipaddress.ip_address(flow.remote[0]):
        return True
    # A stream's source port is the system's choice.
    return flow.transport == "udp" and (contact.uri.port or 5060) != flow.remote[1]


def contact_value(binding: Binding, now: float) -> str:
    """A binding as the 200 lists it, with the seconds that it has left (§10.3 step 8)."""
    params: list[tuple[str, str | None]] = [("expires", str(max(1, round(binding.expires_at - now))))]
    if binding.q != 1.0:
        params.append(("q", f"{binding.q:.3f}".rstrip("0").rstrip(".")))
    if binding.instance:
        params.append(("+sip.instance", binding.instance))
    return str(NameAddr(binding.uri, None, params))
