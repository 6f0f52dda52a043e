"""A house with an exchange in it, on the virtual network: phones, a list of who is where, a dispatcher that records.

What `server` brings in a real house (identification, users, lines) is here a dictionary; calls, SIP and SDP are the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from trunkline.calls.exchange import CallOptions, Exchange
from trunkline.calls.peers import Party, PlacementError, Placing, Target, TransferHow
from trunkline.calls.plan import Failed, Step, Turning, Turns
from trunkline.calls.session import CallSession
from trunkline.calls.transfer_request import TransferRequest
from trunkline.constants import PeerType
from trunkline.errors import CallError
from trunkline.events import (
    CallEvent,
    CallSessionClosed,
    CallSessionFailed,
    CallSessionTimeout,
    IncomingCall,
    RecordingEvent,
    TransferRequested,
)
from trunkline.media.engine import MediaEngine
from trunkline.sip.capabilities import Reliable, Srtp
from trunkline.sip.endpoint import Codec, Endpoint, Flow, NameAddr, RequestReceived, Uri
from trunkline.sip.session_timer import SessionTimes
from trunkline.testing.agent import G711, Agent
from trunkline.testing.call import ScriptedCall
from trunkline.testing.clock import run
from trunkline.testing.network import Packet, VirtualHost, VirtualNetwork

REALM = "pbx.example"
ADDRESS = "10.0.0.1"

Handler = Callable[[CallSession], Awaitable[object]]


class Recorder:
    """The sink: keeps every event and runs the handlers, as the dispatcher will."""

    def __init__(self) -> None:
        self.events: list[CallEvent | RecordingEvent] = []
        self.on_incoming: Handler | None = None
        self.on_failed: Handler | None = None
        self.on_transfer: Callable[[TransferRequest], None] | None = None
        self.exchange: Exchange | None = None
        self.raised: list[BaseException] = []
        self._pending: dict[int, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def emit(self, event: CallEvent | RecordingEvent) -> None:
        self.events.append(event)
        if isinstance(event, TransferRequested):
            decide = self.on_transfer or TransferRequest.settle
            asyncio.get_running_loop().call_soon(decide, event.request)
        handler = self.on_incoming if isinstance(event, IncomingCall) else None
        if isinstance(event, (CallSessionFailed, CallSessionTimeout)):
            handler = self.on_failed
        if handler is not None:
            call = event.call
            self._pending[call.id] = self._pending.get(call.id, 0) + 1
            task = asyncio.get_running_loop().create_task(self._run(handler, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def decision_pending(self, call: CallSession) -> bool:
        return self._pending.get(call.id, 0) > 0

    async def _run(self, handler: Handler, call: CallSession) -> None:
        assert self.exchange is not None
        try:
            await handler(call)
        except CallError as error:
            self.raised.append(error)
            self.exchange.handler_failed(call, error, "handler")
        except Exception as error:
            self.raised.append(error)
            self.exchange.handler_failed(call, error, "handler")
        finally:
            self._pending[call.id] -= 1
            if not self._pending[call.id]:
                del self._pending[call.id]
                self.exchange.handlers_done(call)

    def names(self, call: CallSession | None = None) -> list[str]:
        """The events in order, by the last words of their class names."""
        return [
            type(event).__name__.removeprefix("CallSession")
            for event in self.events
            if call is None or event.call is call
        ]

    def only(self, kind: type[CallEvent]) -> Any:
        """The one event of that kind."""
        found = [event for event in self.events if isinstance(event, kind)]
        assert len(found) == 1, found
        return found[0]

    def closed(self) -> list[CallSessionClosed]:
        return [event for event in self.events if isinstance(event, CallSessionClosed)]


class OneAddress:
    """The house has one address."""

    def contact(self, flow: Flow, party: Party, token: str) -> str:
        return f"<sip:{token}@{ADDRESS}:5060>"

    def media(self, flow: Flow) -> tuple[str, str]:
        return ADDRESS, ADDRESS


class House:
    """An exchange on the virtual network, and phones around it."""

    def __init__(self, *, seed: int = 1, options: CallOptions | None = None, user_agent: str = "house") -> None:
        self.network = VirtualNetwork(seed)
        self.host: VirtualHost = self.network.host(ADDRESS, user_agent=user_agent)
        self.endpoint = Endpoint(self.host.driver)
        self.media = MediaEngine(self.host.media)
        self.events = Recorder()
        self.exchange = Exchange(self.endpoint, self.media, self, OneAddress(), self.events, options)
        self.events.exchange = self.exchange
        self.parties: dict[str, Party] = {}
        self.places: dict[str, list[Agent]] = {}
        self.fared: list[Failed | Target] = []
        self.groups: dict[str, list[str]] = {}
        self.silence_s: float | None = None
        self.known = False
        """Whether targets are known at once, as users' are, rather than asked for."""
        self.agents: list[Agent] = []
        self.calls: list[CallSession] = []
        self.media_timeout_s = 0.0
        self._hosts = 1

    async def __aenter__(self) -> House:
        self.endpoint.on_request = self._on_request
        self.endpoint.attach()
        self.media.attach()
        self.host.driver.listen("udp", ADDRESS, 5060)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for agent in self.agents:
            agent.vanish()
        self.media.detach()
        self.endpoint.detach()

    async def phone(
        self,
        name: str,
        *,
        peer_type: PeerType = PeerType.USER,
        codecs: Sequence[Codec] = G711,
        allowed: Sequence[Codec] | None = None,
        media_timeout_s: float | None = None,
        address: str | None = None,
        timers: SessionTimes = SessionTimes(0),  # noqa: B008 - frozen
        our_timers: SessionTimes | None = None,
        reliable: Reliable = "never",
        our_reliable: Reliable = "supported",
        transfer: TransferHow = "inside",
        srtp: Srtp = "never",
        suites: Sequence[str] | None = None,
        our_srtp: Srtp = "never",
        our_srtp_in_clear: bool = True,
    ) -> Agent:
        """A phone (or a provider) of that name; a second one of the same name rings with the first."""
        self._hosts += 1
        address = address or f"10.0.0.{self._hosts}"
        agent = Agent(
            name,
            platform=self.network.host(address),
            address=address,
            port=5060,
            codecs=codecs,
            timers=timers,
            reliable=reliable,
            srtp=srtp,
            suites=suites,
        )
        await agent.start()
        self.agents.append(agent)
        self.places.setdefault(name, []).append(agent)
        silence_s = self.media_timeout_s if media_timeout_s is None else media_timeout_s
        self.parties[name] = Party(
            peer_type,
            name,
            tuple(allowed or G711),
            media_timeout_s=silence_s,
            timers=our_timers,
            reliable=our_reliable,
            transfer=transfer,
            srtp=our_srtp,
            srtp_in_clear=our_srtp_in_clear,
        )
        return agent

    def call(
        self, agent: Agent, number: str, headers: Sequence[tuple[str, str]] = (), *, offerless: bool = False
    ) -> ScriptedCall:
        """Let a phone call a number."""
        return agent.place(
            Uri("sip", number, REALM),
            Flow("udp", (ADDRESS, 5060), (agent.address, 5060)),
            local=NameAddr(Uri("sip", agent.name, REALM), agent.name.title()),
            remote=NameAddr(Uri("sip", number, REALM)),
            headers=headers,
            offerless=offerless,
        )

    def route(self, handler: Handler) -> Handler:
        """Let this handler decide about incoming calls."""
        self.events.on_incoming = handler
        return handler

    def sent(self, start: str, *, to: Agent | None = None) -> list[Packet]:
        """Datagrams that arrived whose first line begins so."""
        return [
            packet
            for packet in self.network.delivered
            if packet.data.startswith(start.encode()) and (to is None or packet.destination[0] == to.address)
        ]

    async def settle(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def check_over(self) -> None:
        """No session, dialog or leg is left at the exchange."""
        assert self.exchange.sessions == ()
        assert self.endpoint.live["dialogs"] == 0
        assert self.media.open_legs == 0

    # --- what the server is to calls --------------------------------------------------------------------------------

    def plan(self, placing: Placing) -> Turns:
        """All phones of that name at once; of a group's lines one after the other."""
        lines = self.groups.get(placing.peer_name)
        if lines is None:
            return Turns([self._step(placing, self.silence_s)], Turning.LINES)
        steps = [self._step(placing._replace(peer_name=line), self.silence_s) for line in lines]
        return Turns(steps, Turning.LINES, f"line group {placing.peer_name}")

    def note_failure(self, failed: Failed) -> None:
        self.fared.append(failed)

    def note_success(self, target: Target) -> None:
        self.fared.append(target)

    def _step(self, placing: Placing, silence_s: float | None) -> Step:
        async def find() -> Sequence[Target]:
            return await self.targets(placing)

        def known() -> Sequence[Target]:
            return self.known_targets(placing)

        return Step(known if self.known else lambda: find, placing.peer_type, placing.peer_name, silence_s=silence_s)

    async def targets(self, placing: Placing) -> Sequence[Target]:
        return self.known_targets(placing)

    def known_targets(self, placing: Placing) -> Sequence[Target]:
        agents = self.places.get(placing.peer_name)
        if agents is None:
            raise PlacementError(404, "no such peer")
        return [self._target(agent, placing) for agent in agents]

    def _target(self, agent: Agent, placing: Placing) -> Target:
        return Target(
            party=placing.redirecting(self.parties[agent.name]),
            uri=Uri("sip", placing.dial_number or agent.name, agent.address, 5060),
            flow=Flow("udp", (agent.address, 5060), (ADDRESS, 5060)),
            local=NameAddr(Uri("sip", placing.caller_id, REALM), placing.caller_name),
            remote=NameAddr(Uri("sip", placing.dial_number or agent.name, REALM)),
            headers=placing.headers,
        )

    def user_of(self, uri: Uri, flow: Flow) -> str | None:
        return uri.user if uri.user in self.places and uri.host in (REALM, ADDRESS) else None

    def refer_to(self, line: str, to: str) -> Uri:
        return Uri("sip", to, "provider.example")

    def _on_request(self, request: RequestReceived) -> None:
        message = request.message
        name = message.from_.uri.user or ""
        call = self.exchange.incoming(
            request,
            self.parties[name],
            caller_name=message.from_.display_name or "",
            caller_id=name,
            dial_number=message.uri.user or "",
        )
        if call is not None:
            self.calls.append(call)


def on_the_network(scenario: Callable[[House], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a scenario in a house of its own, in virtual time."""

    async def main() -> None:
        async with House(**options) as house:
            await scenario(house)

    run(main())
