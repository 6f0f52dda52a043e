"""What we can, as Allow, Accept and Supported say it (RFC 3261 §20): the methods that we serve, the extensions, the bodies."""

from __future__ import annotations

from typing import Literal

from trunkline.sip.session_timer import SessionTimer

__all__ = ["ALLOW", "SDP", "SECURE_TRANSPORTS", "Dtmf", "Reliable", "Srtp", "demanded", "supported"]

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, REFER, NOTIFY"
"""The methods that we serve (RFC 3261 §20.5)."""

SDP = "application/sdp"

Reliable = Literal["never", "supported", "required"]
"""Whether provisional responses are sent and taken reliably (RFC 3262): never, where the other side can, or always."""

Srtp = Literal["never", "offered", "required"]
"""Whether audio is SRTP with keys in the session description (RFC 4568): never, where the other side can, or always."""

Dtmf = Literal["auto", "rfc4733", "info", "inband"]
"""How digits go to a peer: `auto` takes RFC 4733 where it is agreed, else tones, and INFO where its codec carries none.

`rfc4733` agrees to telephone-event whatever the other party of a call can; `info` and `inband` never agree to it.
"""

SECURE_TRANSPORTS = frozenset({"tls", "wss"})
"""The transports over which keys may cross as they are (RFC 4568 §9.1: signalling must protect them)."""


def supported(timer: SessionTimer, reliable: Reliable = "never") -> list[tuple[str, str]]:
    """The Supported header of our requests and responses (RFC 3261 §20.37)."""
    tags = ["timer"] if timer.enabled else []
    tags += ["100rel"] if reliable == "supported" else []
    tags.append("replaces")
    return [("Supported", ", ".join(tags))]


def demanded(reliable: Reliable) -> list[tuple[str, str]]:
    """The Require header of an INVITE of ours (RFC 3262 §4)."""
    return [("Require", "100rel")] if reliable == "required" else []
