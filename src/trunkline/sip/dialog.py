"""Dialogs (RFC 3261 §12): identity, route set, remote target and the two sequence numbers.

A `Dialog` is made from the request and response that established it, by `invite.py` (or a subscription later). It
builds the headers of requests inside it and judges the order of theirs. It sends nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from trunkline.sip.endpoint import DialogKey, Flow, Message, NameAddr, SipParseError, Uri
from trunkline.sip.literal import literal

NO_AGENT = ("User-Agent", "")
"""Keeps our User-Agent out of a request: a call that hides its caller does not say what placed it (RFC 3323 §4.1)."""

MAX_ROUTES = 20
"""Record-Route values believed at most: more is an attack or a loop."""


class DialogError(ValueError):
    """A message cannot make or change a dialog. Answered 400.

    Args:
        reason: In words.
    """

    status = 400

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def request_uri(uri: Uri) -> str:
    """A URI as a Request-URI: without the method and the headers that may stand in a Contact alone (§19.1.1, §19.1.5)."""
    if not uri.headers and uri.param("method") is None:
        return str(uri)
    allowed = [(name, value) for name, value in uri.params if name.lower() != "method"]
    return str(uri.replace(params=allowed, headers=()))


def next_hop(uri: Uri, received_over: Flow) -> Flow:
    """The flow to the element that `uri` names, for a peer whose last message came over `received_over`.

    The URI's address is believed when it is an address that the peer can have: a literal in the family of the flow. A
    host name, a private address of a peer that came from a public one, or a connection that we may only use from its
    other end leave the flow as it was (RFC 5626's reasoning: what worked for their message works for ours).
    """
    over, source = received_over.transport, received_over.remote[0]
    transport = (uri.param("transport") or over).lower()
    address = _believed(uri.host, source)
    if address is None or transport not in ("udp", "tcp"):
        return received_over
    if received_over.connection and transport == over == "tcp" and literal(address) == literal(source):
        return received_over
    return Flow(transport, (address, uri.port or 5060), received_over.local if transport == over else None)


@lru_cache(4_096)
def _believed(host: str, source: str) -> str | None:
    """The address that a host is, in its one form, where a peer at `source` can have it; else None."""
    address, known = literal(host), literal(source)
    if address is None or known is None or address.version != known.version:
        return None
    if (address.is_private and not known.is_private) or address.is_unspecified:
        return None
    return str(address)


def behind_nat(message: Message, source: Flow) -> bool:
    """Whether a request came from another address than its Via says: its Contact and SDP are not to be believed."""
    via = message.via
    if via.host != source.remote[0]:
        return True
    # A stream's source port is chosen by the system and says nothing.
    return source.transport == "udp" and (via.port or 5060) != source.remote[1]


def _routes(message: Message) -> list[str]:
    """The Record-Route values; DialogError where one is malformed or there are too many."""
    routes = message.values("Record-Route")
    if len(routes) > MAX_ROUTES:
        raise DialogError("too many Record-Route values")
    try:
        for route in routes:
            NameAddr.parse(route)
    except SipParseError as error:
        raise DialogError(f"malformed Record-Route: {error}") from error
    return routes


def _target(message: Message) -> Uri | None:
    """Where their Contact says that they are; None without one. DialogError where it is malformed or several."""
    try:
        contacts = message.contacts
    except SipParseError as error:
        raise DialogError(f"malformed Contact: {error}") from error
    if not contacts:
        return None
    # RFC 3261 §8.1.1.8: exactly one, a SIP or SIPS URI
    if len(contacts) != 1 or contacts[0].uri.scheme not in ("sip", "sips"):
        raise DialogError("a dialog needs exactly one Contact with a SIP URI")
    return contacts[0].uri


@dataclass(slots=True)
class Dialog:
    """The state of one dialog, seen from us. Made by `as_caller` or `as_callee`."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    """Our From value, with our tag."""
    remote: str
    """Their To value as we send it, with their tag."""
    remote_target: str
    """The Request-URI of requests inside the dialog: their Contact."""
    flow: Flow
    """Where requests inside the dialog go."""
    routes: list[str] = field(default_factory=list)
    local_cseq: int = 0
    remote_cseq: int = 0
    nat: bool = False
    """The peer is reached over the flow that it opened."""
    caller: bool = False
    """We made the Call-ID."""
    discreet: bool = False
    """Requests in it say nothing of what sends them."""

    @classmethod
    def as_callee(cls, request: Message, flow: Flow, local_tag: str) -> Dialog:
        """The dialog that our answer to `request` makes (§12.1.1).

        Raises:
            DialogError: Their Contact is missing, or it or a Record-Route is malformed.
        """
        target = _target(request)
        if target is None:
            raise DialogError("a request that makes a dialog needs one Contact")
        nat = behind_nat(request, flow)
        dialog = cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_tag,
            local=_tagged(request.header("To") or "", local_tag),
            remote=request.header("From") or "",
            remote_target=request_uri(target),
            flow=flow,
            routes=_routes(request),
            remote_cseq=request.cseq,
            nat=nat,
        )
        dialog._locate(target, flow)
        return dialog

    @classmethod
    def as_caller(
        cls,
        response: Message,
        flow: Flow,
        *,
        local: str,
        local_tag: str,
        cseq: int,
        target: str,
        nat: bool,
        discreet: bool = False,
    ) -> Dialog:
        """The dialog that `response` to our request makes (§12.1.2).

        Never fails: a dialog that cannot be built cannot be ended either. A malformed Contact or Record-Route counts
        as absent.

        Args:
            response: A 2xx, or a provisional with a To tag.
            flow: Where it came from.
            local: Our From value, with tag.
            local_tag: That tag.
            cseq: The request's sequence number.
            target: Stands in for a Contact that is missing.
            nat: The peer is reached over the flow that it opened, whatever its Contact says.
            discreet: Requests in it say nothing of what sends them.
        """
        try:
            uri = _target(response) or Uri.parse(target)
        except DialogError:
            uri = Uri.parse(target)
        try:
            routes = _routes(response)[::-1]
        except DialogError:
            routes = []
        dialog = cls(
            call_id=response.call_id,
            local_tag=local_tag,
            remote_tag=response.to_tag,
            local=local,
            remote=response.header("To") or "",
            remote_target=request_uri(uri),
            flow=flow,
            routes=routes,
            local_cseq=cseq,
            nat=nat,
            caller=True,
            discreet=discreet,
        )
        dialog._locate(uri, flow)
        return dialog

    @property
    def key(self) -> DialogKey:
        """What requests inside the dialog are matched by."""
        return (self.call_id, self.local_tag, self.remote_tag)

    def request(self, method: str) -> tuple[str, list[tuple[str, str]]]:
        """Request-URI and headers of the next request of ours inside the dialog (§12.2.1.1)."""
        self.local_cseq += 1
        return self._build(method, self.local_cseq)

    def ack(self, cseq: int) -> tuple[str, list[tuple[str, str]]]:
        """Request-URI and headers of the ACK to the 2xx of our INVITE with that CSeq (§13.2.2.4)."""
        return self._build("ACK", cseq)

    def accepts(self, request: Message) -> bool:
        """Whether a request of theirs is in order (§12.2.2); notes its number when it is."""
        if self.remote_cseq and request.cseq <= self.remote_cseq:
            return False
        self.remote_cseq = request.cseq
        return True

    def refresh_target(self, message: Message, flow: Flow) -> None:
        """Take over the Contact of a target refresh request or its 2xx (§12.2.1.2, §12.2.2).

        Raises:
            DialogError: It is malformed; the target stays as it was.
        """
        target = _target(message)
        if target is None:
            return
        self.remote_target = request_uri(target)
        if message.is_request:
            self.nat = behind_nat(message, flow)
        self._locate(target, flow)

    def _build(self, method: str, cseq: int) -> tuple[str, list[tuple[str, str]]]:
        headers = [
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        uri = self.remote_target
        routes = self.routes
        first = NameAddr.parse(routes[0]).uri if routes else None
        if first is not None and first.param("lr") is None:
            # §12.2.1.1: a strict router wants itself as the Request-URI and the target last
            uri = request_uri(first)
            routes = [*routes[1:], f"<{self.remote_target}>"]
        headers += [("Route", route) for route in routes]
        if self.discreet:
            headers.append(NO_AGENT)
        return uri, headers

    def _locate(self, target: Uri, flow: Flow) -> None:
        first = NameAddr.parse(self.routes[0]).uri if self.routes else target
        self.flow = flow if self.nat and not self.routes else next_hop(first, flow)


class DialogKeeper(Protocol):
    """Writes down which dialogs exist, so that they can be ended after a crash."""

    def keep(self, dialog: Dialog) -> None:
        """It exists now, or its remote target has changed."""

    def forget(self, dialog: Dialog) -> None:
        """It is over."""


def _tagged(value: str, tag: str) -> str:
    parsed = NameAddr.parse(value)
    if parsed.tag is not None:
        return value
    return str(NameAddr(parsed.uri, parsed.display_name, (*parsed.params, ("tag", tag))))
