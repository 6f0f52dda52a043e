"""What the test kit's phone and provider have in common: an endpoint of their own on the real stack, and calls that a script steers.

An `Agent` answers INVITEs with a `ScriptedCall` that waits in `incoming`, and places calls as `ScriptedCall`s. Requests
that are no INVITE go to `on_other`, which subclasses override.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from trunkline.media.engine import MediaEngine
from trunkline.server.platform import Machine, MediaOptions, Platform, SipOptions
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.capabilities import ALLOW, Reliable, Srtp
from trunkline.sip.description import Description, FaxAttributes
from trunkline.sip.endpoint import (
    Codec,
    Endpoint,
    Flow,
    Headers,
    Listener,
    NameAddr,
    RequestReceived,
    SessionDescriber,
    Uri,
)
from trunkline.sip.session_timer import SessionTimes
from trunkline.testing.call import ScriptedCall

__all__ = ["G711", "Agent"]

G711 = (Codec("PCMU", 8000), Codec("PCMA", 8000), Codec("telephone-event", 8000))
"""What a plain phone can do."""

MAX_WAITING_CALLS = 1_000
"""Incoming calls that may wait for the script; more are answered 486."""

_session_ids = itertools.count(3_973_000_000)
"""Of o= lines, from a number that is as long as an NTP timestamp (RFC 8866 §5.2): a small one would be found in any packet."""

NO_TIMERS = SessionTimes(0)


class Agent:
    """A SIP user agent on a socket of its own, steered by a test.

    Args:
        name: The user part of its addresses.
        platform: Where its drivers come from; the real machine unless given.
        address: The IP address that it listens on, for SIP and media.
        port: Its SIP port; 0 lets the system choose.
        transport: "udp" or "tcp".
        codecs: What it offers and accepts, in order.
        media_ports: Its RTP port range.
        user_agent: Its User-Agent.
        timers: What it asks for of session timers (RFC 4028); it cannot do them unless given.
        reliable: Whether its INVITEs support or require reliable provisionals (RFC 3262).
        srtp: Whether its audio is SRTP (RFC 4568); it minds no signalling in the clear.
        suites: The suites of SRTP that it knows, in its preference; all unless given.

    Attributes:
        forgets_refreshes: It never refreshes a session, though it said that it would.
        fax: What it says of its T.38 (ITU-T T.38 Annex D); it is no fax machine unless given.
        silent_inside: Methods that get no answer inside its calls.
        refuse_inside: Methods that are refused inside its calls, and with which status.
        refuse_headers: Go with these refusals.
        challenge_inside: Methods that are challenged inside its calls until they bring credentials.
        endpoint_class: What its endpoint is made of; one of a test's own may look on.
    """

    endpoint_class: type[Endpoint] = Endpoint

    def __init__(
        self,
        name: str,
        *,
        platform: Platform | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        transport: str = "udp",
        codecs: Sequence[Codec] = G711,
        media_ports: tuple[int, int] = (40_000, 49_999),
        user_agent: str = "trunkline-testing",
        timers: SessionTimes = NO_TIMERS,
        reliable: Reliable = "never",
        srtp: Srtp = "never",
        suites: Sequence[str] | None = None,
    ) -> None:
        self.name = name
        self.timers = timers
        self.reliable: Reliable = reliable
        self.srtp: Srtp = srtp
        self.suites = suites
        self.forgets_refreshes = False
        self.silent_inside: set[str] = set()
        self.refuse_inside: dict[str, int] = {}
        self.fax: FaxAttributes | None = None
        self.refuse_headers: list[tuple[str, str]] = []
        self.challenge_inside: set[str] = set()
        self.address = address
        self.transport = transport
        self.codecs = tuple(codecs)
        self._port = port
        self._platform = platform or Machine()
        self._sip_options = SipOptions(user_agent=user_agent)
        self._media_options = MediaOptions(media_ports, workers=1)
        self._endpoint: Endpoint | None = None
        self._media: MediaEngine | None = None
        self._listener: Listener | None = None
        self.incoming: asyncio.Queue[ScriptedCall] = asyncio.Queue(MAX_WAITING_CALLS)
        self.calls: list[ScriptedCall] = []

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open its sockets."""
        driver = self._platform.sip_driver(self._sip_options)
        self._endpoint = self.endpoint_class(driver)
        self._endpoint.on_request = self._on_request
        self._media = MediaEngine(self._platform.media_driver(self._media_options))
        self._endpoint.attach()
        self._media.attach()
        self._listener = driver.listen(self.transport, self.address, self._port)

    async def stop(self) -> None:
        """Hang up what is up and close the sockets."""
        for call in list(self.calls):
            call.hangup()
        # the requests that hang up must leave before the sockets go
        await asyncio.sleep(0)
        if self._media is not None:
            self._media.detach()
        if self._endpoint is not None:
            self._endpoint.detach()

    def vanish(self) -> None:
        """Be gone without a word, as a phone whose battery died."""
        if self._media is not None:
            self._media.detach()
        if self._endpoint is not None:
            self._endpoint.detach()
        self.calls.clear()

    async def __aenter__(self) -> Agent:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def endpoint(self) -> Endpoint:
        """Its SIP endpoint; RuntimeError before `start`."""
        if self._endpoint is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._endpoint

    @property
    def media(self) -> MediaEngine:
        """Its media engine; RuntimeError before `start`."""
        if self._media is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._media

    @property
    def port(self) -> int:
        """Its SIP port."""
        return self._listener.port if self._listener is not None else self._port

    @property
    def contact(self) -> str:
        """Its Contact value."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        transport = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"<sip:{self.name}@{host}:{self.port}{transport}>"

    def describer(self) -> Description:
        """A fresh offer/answer state for a call."""
        describer = SessionDescriber(
            session_id=next(_session_ids),
            session_name="phone",
            srtp=self.srtp,
            keys_may_cross=True,
            suites=self.suites,
        )
        return Description(describer)

    # --- calls --------------------------------------------------------------------------------------------------------

    def place(
        self,
        target: Uri,
        flow: Flow,
        *,
        local: NameAddr,
        remote: NameAddr,
        credentials: ClientCredentials | None = None,
        headers: Headers = (),
        offerless: bool = False,
    ) -> ScriptedCall:
        """Send an INVITE, without description where it is `offerless`; what becomes of it is awaited on the call."""
        call = ScriptedCall.place(
            self,
            target,
            flow,
            local=local,
            remote=remote,
            credentials=credentials,
            headers=headers,
            offerless=offerless,
        )
        self.calls.append(call)
        return call

    async def next_call(self, timeout_s: float = 5.0) -> ScriptedCall:
        """The next call that comes in. TimeoutError when none does."""
        async with asyncio.timeout(timeout_s):
            return await self.incoming.get()

    def forget(self, call: ScriptedCall) -> None:
        """From the call: it has ended."""
        if call in self.calls:
            self.calls.remove(call)

    def _on_request(self, request: RequestReceived) -> None:
        if request.message.method != "INVITE":
            self.on_other(request)
        elif self.incoming.full():
            self.endpoint.respond(request.tx, 486)
        else:
            self.on_invite(request)

    def on_invite(self, request: RequestReceived) -> None:
        """An INVITE outside a dialog; queued as a `ScriptedCall`."""
        call = ScriptedCall.receive(self, request)
        self.calls.append(call)
        self.incoming.put_nowait(call)

    def on_other(self, request: RequestReceived) -> None:
        """Any other request outside a dialog."""
        if request.message.method == "OPTIONS":
            self.endpoint.respond(request.tx, 200, None, [("Allow", ALLOW)])
        else:
            self.endpoint.respond(request.tx, 405, None, [("Allow", ALLOW)])
