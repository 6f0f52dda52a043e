"""What a UAS checks before it processes a request outside a dialog (RFC 3261 §8.2); what unserved methods get.

The server's dispatch calls `refusal` for every such request, in the RFC's order: method, loop, Require, body; then
answers it, or hands it to whom it concerns. `answer_options` serves OPTIONS (§11). Rust has done before: syntax (400,
414, 416, 505, 513), merged requests (482), unknown dialogs (481), the first challenge.
"""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.sip.endpoint import Endpoint, Headers, Message, RequestReceived, SipParseError
from trunkline.sip.invite import ALLOW, SDP

__all__ = ["ACCEPT", "SUPPORTED", "UNSERVED", "Refusal", "answer_options", "refusal", "refuse"]

SUPPORTED = ("path",)
"""The extensions that we take part in (RFC 3261 §20.37): bindings keep their Path (RFC 3327)."""

ACCEPT = {"INVITE": (SDP,)}
"""The body types that a method's processing reads; of methods not named here a body is ignored."""

SERVED = ("INVITE", "MESSAGE", "OPTIONS", "PUBLISH", "REGISTER", "SUBSCRIBE")
"""What can begin outside a dialog."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that ends a request before it is processed."""

    status: int
    reason: str | None = None
    """Instead of the RFC's phrase."""
    headers: tuple[tuple[str, str], ...] = ()


_ALLOW = ("Allow", ALLOW)

UNSERVED: dict[str, Refusal] = {
    "BYE": Refusal(481),  # §15.1.2: it matches no dialog
    "PRACK": Refusal(481),  # RFC 3262 §3
    "UPDATE": Refusal(481),  # RFC 3311 §5.2
    "INFO": Refusal(481),  # RFC 6086 §4.2.2
    "NOTIFY": Refusal(481),  # RFC 6665 §4.1.3: no subscription of ours matches
    "SUBSCRIBE": Refusal(489),  # RFC 6665 §4.2.1.1: no event package is served
    "PUBLISH": Refusal(405, None, (_ALLOW,)),
    "MESSAGE": Refusal(405, None, (_ALLOW,)),
    "REFER": Refusal(405, None, (_ALLOW,)),
}
"""Methods that we recognize, outside a dialog: what they get until something serves them."""

_ALLOW_OUTSIDE = ("Allow", f"{ALLOW}, MESSAGE, PUBLISH, SUBSCRIBE")

UNKNOWN_METHOD = Refusal(501, None, (_ALLOW,))
"""§8.2.1 asks for 405 where a method is recognized; §21.5.2 for 501 where it is not."""


def refusal(message: Message) -> Refusal | None:
    """What a request outside a dialog is to be answered at once; None when it is to be processed.

    Args:
        message: The request; ACK and CANCEL never come here (Rust).
    """
    for check in (_method, _max_forwards, _require, _body):
        found = check(message)
        if found is not None:
            return found
    return None


def refuse(endpoint: Endpoint, request: RequestReceived) -> bool:
    """Answer a request that fails the checks. Whether it was answered."""
    found = refusal(request.message)
    if found is None:
        return False
    endpoint.respond(request.tx, found.status, found.reason, found.headers)
    return True


def answer_options(endpoint: Endpoint, request: RequestReceived, headers: Headers = ()) -> None:
    """Say what we can (§11.2), and what `headers` say besides."""
    endpoint.respond(request.tx, 200, None, [*capabilities(), *headers])


def capabilities() -> Headers:
    """The headers that say what we can."""
    return [_ALLOW_OUTSIDE, ("Accept", SDP), ("Accept-Encoding", "identity"), ("Supported", ", ".join(SUPPORTED))]


def _method(message: Message) -> Refusal | None:
    if message.method in SERVED:
        return None
    return UNSERVED.get(message.method, UNKNOWN_METHOD)


def _max_forwards(message: Message) -> Refusal | None:
    # RFC 7332 §4: a back-to-back user agent passes calls and messages on: what may go no further ends here. OPTIONS is
    # answered by whom it reaches (RFC 3261 §16.3), and a REGISTER has reached its registrar.
    if message.method not in ("INVITE", "MESSAGE"):
        return None
    try:
        hops = message.integer("Max-Forwards")
    except SipParseError:
        return Refusal(400, "Malformed Max-Forwards")
    return Refusal(483) if hops == 0 else None


def _require(message: Message) -> Refusal | None:
    # §8.2.2.3
    unknown = [tag for tag in message.values("Require") if tag.lower() not in SUPPORTED]
    return Refusal(420, None, (("Unsupported", ", ".join(unknown)),)) if unknown else None


def _body(message: Message) -> Refusal | None:
    # §8.2.3: a body that is not understood and not optional
    accepted = ACCEPT.get(message.method)
    if accepted is None or not message.body or _optional(message):
        return None
    if any(coding.lower() != "identity" for coding in message.values("Content-Encoding")):
        return Refusal(415, None, (("Accept", ", ".join(accepted)), ("Accept-Encoding", "identity")))
    if message.content_type not in accepted:
        return Refusal(415, None, (("Accept", ", ".join(accepted)),))
    return None


def _optional(message: Message) -> bool:
    disposition = (message.header("Content-Disposition") or "").lower()
    return "handling=optional" in disposition.replace(" ", "")
