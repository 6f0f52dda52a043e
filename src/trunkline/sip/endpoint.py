"""The asyncio face of the Rust SIP endpoint: events go to whoever waits for them, commands go down.

`Endpoint` wraps a driver: the real `_trunkline.SipEndpoint` (a thread and sockets) or, on the virtual network,
`_trunkline.SansIoEndpoint`. One wake-up hands over all waiting events. Responses go to the handler of their client
transaction, requests inside a dialog to that dialog's handler, all others to `on_request`. Everything here is
synchronous; no task is made per event. This is the only module of `trunkline.sip` that imports the extension.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from _trunkline import (
    AckReceived,
    AckTimedOut,
    ByeAnswered,
    Cancelled,
    Challenge,
    ChallengeIgnored,
    ChallengeMode,
    Codec,
    Credentials,
    Direction,
    Event,
    Fax,
    Flow,
    FlowClosed,
    FlowOpened,
    Listener,
    MailboxSummary,
    MediaPlan,
    Message,
    NameAddr,
    NegotiationError,
    Parameterized,
    PrackReceived,
    PresenceDocument,
    PresenceTuple,
    ReliableTimedOut,
    RemoteOffer,
    Replaces,
    RequestReceived,
    ResponseReceived,
    ServerTransaction,
    SessionDescriber,
    Shed,
    SipEndpoint,
    SipParseError,
    Traced,
    TransactionTimedOut,
    TransportFailed,
    Uri,
    Via,
    digest_ha1,
    read_capabilities,
    read_date,
    read_number,
    read_q,
    read_sipfrag,
)
from trunkline.sip.driving import Holding, WakingDriver
from trunkline.sip.handlers import ClientHandler, DialogHandler, InvitingHandler, ServerHandler
from trunkline.sip.lingering import Lingering

__all__ = [
    "Challenge",
    "ChallengeIgnored",
    "ChallengeMode",
    "ClientHandler",
    "Codec",
    "Credentials",
    "DialogHandler",
    "DialogKey",
    "Direction",
    "Driver",
    "Endpoint",
    "Fax",
    "Flow",
    "FlowClosed",
    "FlowOpened",
    "Headers",
    "Holding",
    "InvitingHandler",
    "Listener",
    "MailboxSummary",
    "MediaPlan",
    "Message",
    "NameAddr",
    "NegotiationError",
    "Parameterized",
    "PrackReceived",
    "PresenceDocument",
    "PresenceTuple",
    "RemoteOffer",
    "Replaces",
    "RequestReceived",
    "ServerHandler",
    "ServerTransaction",
    "SessionDescriber",
    "Shed",
    "SipEndpoint",
    "SipParseError",
    "Traced",
    "Uri",
    "Via",
    "WakingDriver",
    "digest_ha1",
    "read_capabilities",
    "read_date",
    "read_number",
    "read_q",
    "read_sipfrag",
]

log = logging.getLogger("trunkline.sip")

Headers = Sequence[tuple[str, str]]
"""Header names and values in the order in which they go out."""

DialogKey = tuple[str, str, str]
"""Call-ID, our tag, their tag (RFC 3261 §12)."""

BATCH = 16
"""Events after which the commands that they led to go out, when more wait."""

INVITE_LINGER_T1 = 80
"""How many T1 an answered INVITE of ours stays listened to for 2xx of other branches: the 64 of RFC 3261 §13.2.2.4, and more for one that
came at their end and still waits to be handed over."""


class Driver(Protocol):
    """What an `Endpoint` drives: the commands of the extension's endpoints."""

    @property
    def t1_s(self) -> float: ...
    def drain(self, limit: int = 512) -> list[Event]: ...
    def send_request(
        self,
        method: str,
        uri: str,
        headers: Headers,
        body: bytes,
        flow: Flow,
        *,
        timeout_s: float | None = None,
        large_over_tcp: bool = True,
    ) -> int: ...
    def cancel(self, tx: int, headers: Headers = ()) -> None: ...
    def respond(
        self,
        tx: ServerTransaction,
        status: int,
        reason: str | None = None,
        headers: Headers = (),
        body: bytes = b"",
        *,
        to_tag: str | None = None,
        reliable: bool = False,
    ) -> bool: ...
    def challenge(self, tx: ServerTransaction, *, stale: bool = False) -> bool: ...
    def send_ack(self, tx: int, to_tag: str, uri: str, headers: Headers, body: bytes, flow: Flow) -> None: ...
    def add_dialog(
        self, call_id: str, local_tag: str, remote_tag: str, *, remote_cseq: int = 0, leg: int = 0
    ) -> None: ...
    def remove_dialog(self, call_id: str, local_tag: str, remote_tag: str) -> None: ...
    def close_flow(self, connection: int) -> None: ...
    def keep_alive(self, flow: Flow, interval_s: float) -> None: ...
    def mint_tag(self) -> str: ...
    def mint_call_id(self) -> str: ...
    def mint_token(self) -> str: ...
    def set_challenge(
        self,
        realm: str,
        modes: Mapping[str, ChallengeMode],
        trusted_networks: Sequence[str],
        trusted_tokens: Sequence[str],
        *,
        algorithm: str = "MD5",
        nonce_lifetime_s: float = 300.0,
    ) -> None: ...
    def set_overloaded(self, overloaded: bool) -> None: ...
    def set_trace(self, enabled: bool) -> None: ...
    def counters(self) -> dict[str, int]: ...


class Endpoint:
    """Dispatches the driver's events on the running loop and passes commands down.

    Args:
        driver: The extension's endpoint, real or sans-IO.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._clients: dict[int, ClientHandler] = {}
        self._lingering = Lingering(INVITE_LINGER_T1 * driver.t1_s, lambda: self.now_s, self._forget_client)
        self._quiet: list[asyncio.Future[None]] = []
        self._servers: dict[int, ServerHandler] = {}
        self._dialogs: dict[DialogKey, DialogHandler] = {}
        self._inviting: dict[tuple[str, str], InvitingHandler] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held: list[Holding] = [driver] if isinstance(driver, Holding) else []
        self.on_request: Callable[[RequestReceived], None] = self._refuse
        self.on_flow: Callable[[FlowOpened | FlowClosed], None] = lambda event: None
        self.on_shed: Callable[[Shed], None] = lambda event: None
        self.on_challenge_ignored: Callable[[ChallengeIgnored], None] = lambda event: None
        self.on_trace: Callable[[Traced], None] = lambda event: None
        self._dispatch: dict[type, Callable[[Any], None]] = {
            RequestReceived: self._request_received,
            ResponseReceived: self._response_received,
            AckReceived: self._ack_received,
            Cancelled: self._cancelled,
            AckTimedOut: self._ack_timed_out,
            PrackReceived: self._prack_received,
            ReliableTimedOut: self._reliable_timed_out,
            ByeAnswered: self._bye_answered,
            TransactionTimedOut: self._transaction_timed_out,
            TransportFailed: self._transport_failed,
            FlowOpened: lambda event: self.on_flow(event),
            FlowClosed: lambda event: self.on_flow(event),
            Shed: lambda event: self.on_shed(event),
            ChallengeIgnored: lambda event: self.on_challenge_ignored(event),
            Traced: lambda event: self.on_trace(event),
        }

    # --- life -------------------------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Start taking events on the running loop: one wake-up hands over all that wait."""
        self._loop = asyncio.get_running_loop()
        if isinstance(self._driver, SipEndpoint):
            self._loop.add_reader(self._driver.fileno(), self.pump)
        elif isinstance(self._driver, WakingDriver):
            self._driver.start(self.pump)

    def detach(self) -> None:
        """Stop taking events and, for a real driver, close its sockets and wait for its thread."""
        if isinstance(self._driver, SipEndpoint) and self._loop is not None:
            self._loop.remove_reader(self._driver.fileno())
        if isinstance(self._driver, (SipEndpoint, WakingDriver)):
            self._driver.close()
        self._loop = None
        self._clients.clear()
        self._servers.clear()
        self._dialogs.clear()
        self._inviting.clear()
        self._lingering.clear()

    def pump(self) -> None:
        """Dispatch the events that wait. A handler that raises costs its own event only."""
        events = self._driver.drain()
        if len(events) <= BATCH:
            self._pump(events)
        else:
            for first in range(0, len(events), BATCH):
                self._pump(events[first : first + BATCH])
        if self._quiet and not self.open_transactions:
            self._tell_quiet()

    def hold_too(self, driver: object) -> None:
        """Hold the commands to another driver together as well while events are dispatched, if it can do so."""
        if isinstance(driver, Holding):
            self._held.append(driver)

    def _pump(self, events: Sequence[Event]) -> None:
        for held in self._held:
            held.hold()
        try:
            for event in events:
                try:
                    self._dispatch[type(event)](event)
                except Exception:
                    log.exception("error while handling %s", type(event).__name__)
        finally:
            for held in self._held:
                held.release()

    @property
    def now_s(self) -> float:
        """The loop's clock, the only clock of the Python side."""
        return (self._loop or asyncio.get_running_loop()).time()

    @property
    def live(self) -> dict[str, int]:
        """How many transactions and dialogs are waited for, for leak tests and metrics."""
        return {"clients": len(self._clients), "servers": len(self._servers), "dialogs": len(self._dialogs)}

    @property
    def open_transactions(self) -> int:
        """Requests of ours without final response, and INVITEs that we have not answered or whose ACK is due."""
        return len(self._clients) - len(self._lingering) + len(self._servers)

    async def wait_quiet(self, timeout_s: float) -> bool:
        """Wait until no transaction is open, at most `timeout_s` seconds. Whether none is."""
        if self.open_transactions:
            waiter = asyncio.get_running_loop().create_future()
            self._quiet.append(waiter)
            try:
                await asyncio.wait([waiter], timeout=timeout_s)
            finally:
                if waiter in self._quiet:
                    self._quiet.remove(waiter)
        return not self.open_transactions

    # --- commands ---------------------------------------------------------------------------------------------------

    @property
    def driver(self) -> Driver:
        """The extension's endpoint, for the commands that need no dispatch: mint_tag, set_challenge and the like."""
        return self._driver

    def send_request(
        self,
        method: str,
        uri: str,
        headers: Headers,
        body: bytes,
        flow: Flow,
        handler: ClientHandler,
        *,
        timeout_s: float | None = None,
        large_over_tcp: bool = True,
    ) -> int:
        """Send a request in a new client transaction; its outcome goes to `handler`. Returns the transaction's id.

        `large_over_tcp`: one that is too large for UDP may go over TCP (RFC 3261 §18.1.1); its dialog stays on `flow`.
        """
        tx = self._driver.send_request(
            method, uri, headers, body, flow, timeout_s=timeout_s, large_over_tcp=large_over_tcp
        )
        self._clients[tx] = handler
        return tx

    def cancel(self, tx: int, headers: Headers = ()) -> None:
        """Give up an INVITE of ours (RFC 3261 §9.1): the CANCEL is held until a provisional arrives."""
        self._driver.cancel(tx, headers)

    def respond(
        self,
        tx: ServerTransaction,
        status: int,
        reason: str | None = None,
        headers: Headers = (),
        body: bytes = b"",
        *,
        to_tag: str | None = None,
        reliable: bool = False,
    ) -> bool:
        """Answer a request. False when it is gone: cancelled, or answered by Rust.

        A `reliable` provisional is repeated until its PRACK, where the INVITE offers 100rel (RFC 3262); a 2xx waits for that.
        """
        sent = self._driver.respond(tx, status, reason, headers, body, to_tag=to_tag, reliable=reliable)
        if sent and status >= 300:
            self._servers.pop(tx.id, None)
        return sent

    def watch(self, tx: ServerTransaction, handler: ServerHandler) -> None:
        """Tell `handler` what becomes of this INVITE: cancelled, acknowledged, never acknowledged."""
        self._servers[tx.id] = handler

    def send_ack(self, tx: int, to_tag: str, uri: str, headers: Headers, body: bytes, flow: Flow) -> None:
        """Acknowledge a 2xx to our INVITE; Rust repeats the ACK with each repeat of that 2xx."""
        self._driver.send_ack(tx, to_tag, uri, headers, body, flow)

    def add_dialog(self, key: DialogKey, handler: DialogHandler, *, remote_cseq: int = 0, leg: int = 0) -> None:
        """Make a dialog known: its requests go to `handler`, and Rust lets them in."""
        self._dialogs[key] = handler
        self._driver.add_dialog(*key, remote_cseq=remote_cseq, leg=leg)

    def remove_dialog(self, key: DialogKey) -> None:
        """Forget a dialog; its further requests get 481 from Rust."""
        if self._dialogs.pop(key, None) is not None:
            self._driver.remove_dialog(*key)

    def add_inviting(self, call_id: str, local_tag: str, handler: InvitingHandler) -> None:
        """Let requests in early dialogs of an INVITE of ours go to `handler` where no dialog is known."""
        self._inviting[call_id, local_tag] = handler

    def remove_inviting(self, call_id: str, local_tag: str) -> None:
        """The INVITE has its final response."""
        self._inviting.pop((call_id, local_tag), None)

    # --- events -----------------------------------------------------------------------------------------------------

    def _request_received(self, event: RequestReceived) -> None:
        message = event.message
        if message.to_tag:
            handler = self._dialogs.get((message.call_id, message.to_tag, message.from_tag))
            if handler is None and message.method == "NOTIFY":
                # RFC 6665 §4.4.1: it makes the dialog of a subscription that awaits it
                handler = self._dialogs.get((message.call_id, message.to_tag, ""))
            inviting = self._inviting.get((message.call_id, message.to_tag)) if handler is None else None
            if handler is not None:
                handler.on_dialog_request(event)
            elif inviting is None or not inviting.on_early_request(event):
                # RFC 3261 §12.2.2: it ended while this request waited for us
                self._driver.respond(event.tx, 481)
            return
        self.on_request(event)

    def _response_received(self, event: ResponseReceived) -> None:
        handler = self._clients.get(event.tx)
        if handler is None:
            return
        status = event.message.status
        if status >= 300 or (status >= 200 and event.message.method != "INVITE"):
            del self._clients[event.tx]
        elif status >= 200 and event.tx not in self._lingering:
            self._lingering.keep(event.tx)
        handler.on_response(event.tx, event.message, event.flow)

    def _ack_received(self, event: AckReceived) -> None:
        handler = self._servers.pop(event.tx, None)
        if handler is not None:
            handler.on_ack(event.message)

    def _cancelled(self, event: Cancelled) -> None:
        handler = self._servers.pop(event.tx, None)
        if handler is not None:
            handler.on_cancel(event.message)

    def _ack_timed_out(self, event: AckTimedOut) -> None:
        handler = self._servers.pop(event.tx, None)
        if handler is not None:
            handler.on_ack_timeout()

    def _prack_received(self, event: PrackReceived) -> None:
        handler = self._servers.get(event.invite)
        if handler is not None:
            handler.on_prack(event)
        else:
            # RFC 3262 §3: one that comes after the final answer is for nobody any more, and still acknowledges
            self._driver.respond(event.tx, 200)

    def _reliable_timed_out(self, event: ReliableTimedOut) -> None:
        handler = self._servers.get(event.tx)
        if event.refused:
            self._servers.pop(event.tx, None)
        if handler is not None:
            handler.on_prack_timeout(event.refused)

    def _bye_answered(self, event: ByeAnswered) -> None:
        message = event.message
        handler = self._dialogs.get((message.call_id, message.to_tag, message.from_tag))
        if handler is not None:
            handler.on_bye_answered(message)

    def _transaction_timed_out(self, event: TransactionTimedOut) -> None:
        handler = self._clients.get(event.tx)
        if handler is not None:
            # a late 2xx to an INVITE must still find who acknowledges and ends it (RFC 3261 §13.2.2.4)
            self._lingering.keep(event.tx)
            handler.on_failure(event.tx, None)

    def _transport_failed(self, event: TransportFailed) -> None:
        handler = self._forget_client(event.tx)
        if handler is not None:
            handler.on_failure(event.tx, event.reason)

    def _forget_client(self, tx: int) -> ClientHandler | None:
        self._lingering.forget(tx)
        return self._clients.pop(tx, None)

    def _tell_quiet(self) -> None:
        for waiter in self._quiet:
            if not waiter.done():
                waiter.set_result(None)
        self._quiet.clear()

    def _refuse(self, event: RequestReceived) -> None:
        self._driver.respond(event.tx, 503)
