"""What a UAS checks before it processes a request outside a dialog (RFC 3261 §8.2); what unserved methods get.

The server's dispatch calls `refusal` for every such request, in the RFC's order: method, loop, Require, body; then
answers it, or hands it to whom it concerns. `answer_options` serves OPTIONS (§11). Rust has done before: syntax (400,
414, 416, 505, 513), merged requests (482), unknown dialogs (481), the first challenge.
"""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.sip.capabilities import ALLOW, SDP
from trunkline.sip.endpoint import Endpoint, Headers, Message, RequestReceived, SipParseError

__all__ = [
    "ACCEPT",
    "SUPPORTED",
    "UNSERVED",
    "Refusal",
    "answer_info",
    "answer_options",
    "refusal",
    "refuse",
    "refuse_unserved",
]

SUPPORTED = ("path", "timer", "100rel", "replaces")
"""The extensions that we take part in (RFC 3261 §20.37): bindings keep their Path (RFC 3327); sessions have timers (RFC
4028) and reliable provisionals (RFC 3262) unless these are switched off for a peer; an INVITE may replace a dialog (RFC
3891)."""

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
    "REFER": Refusal(403, "REFER Outside A Dialog"),  # whom it is to act for is not known (RFC 3515 §2.4.1)
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


UNSERVED_INSIDE: dict[str, Refusal] = {
    **UNSERVED,
    # Outside a dialog these get 481 since they match none. Inside one their dialog is known, the method is not served:
    "REFER": Refusal(405, None, (_ALLOW,)),
    # §8.2.1. PRACK and NOTIFY keep their 481, for a provisional or subscription that is not there.
    "REGISTER": Refusal(400, "REGISTER Inside A Dialog"),  # RFC 3261 §10.2: it is sent outside of any
}
"""Methods that we recognize and do not serve in the dialog of an INVITE: what they get."""


def refuse_unserved(endpoint: Endpoint, request: RequestReceived) -> None:
    """Answer a request in the dialog of an INVITE whose method nothing serves there (RFC 3261 §8.2.1, §21.5.2)."""
    found = UNSERVED_INSIDE.get(request.message.method, UNKNOWN_METHOD)
    endpoint.respond(request.tx, found.status, found.reason, found.headers)


def answer_options(endpoint: Endpoint, request: RequestReceived, headers: Headers = ()) -> None:
    """Say what we can (§11.2), and what `headers` say besides."""
    endpoint.respond(request.tx, 200, None, [*capabilities(), *headers])


def answer_info(endpoint: Endpoint, request: RequestReceived) -> None:
    """Answer an INFO inside a dialog (RFC 6086): no package and no body of it is of use to us yet.

    One without package and body asks nothing and is granted (§4.2.2: what RFC 2976 let peers send to see whether the
    other side lives).
    """
    message = request.message
    if message.header("Info-Package") is not None:
        # §4.2.2: with the packages that we take
        endpoint.respond(request.tx, 469, "Bad Info Package", [("Recv-Info", "")])
    elif message.body:
        endpoint.respond(request.tx, 415, None, [("Accept", "")])
    else:
        endpoint.respond(request.tx, 200)


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
    if accepted is None or not message.body:
        return None
    try:
        required = [part for part in message.parts if part.required]
    except SipParseError as error:
        return Refusal(400, error.reason)
    if any(part.encoded for part in required):
        return Refusal(415, None, (("Accept", ", ".join(accepted)), ("Accept-Encoding", "identity")))
    # RFC 5621 §5.3: of a multipart body each part that is required
    if any(part.content_type not in accepted for part in required):
        return Refusal(415, None, (("Accept", ", ".join(accepted)),))
    return None
