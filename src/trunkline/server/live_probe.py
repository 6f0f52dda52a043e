"""Looks at what a configuration will meet: opens its listeners for a moment and asks each line's provider, changing nothing.

`trunkline check --live` calls `look` and has `live_check` say what it means. Each line's servers are found as the server
finds them (RFC 3263), asked by OPTIONS, and one of them by a REGISTER without Contact, which asks what is registered and
changes nothing (RFC 3261 §10.2.3). All lines at once, each within `LINE_TIMEOUT_S`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random

from trunkline.server.addresses import OwnAddresses
from trunkline.server.config import FileSettings, parse_listen
from trunkline.server.line import Line
from trunkline.server.line_health import options_of
from trunkline.server.line_server import LineServer
from trunkline.server.line_settings import LineSettings
from trunkline.server.live_check import Asked, LineSeen, ListenerSeen, PortsSeen, Seen, ServerSeen
from trunkline.server.platform import Machine, Platform, SipOptions
from trunkline.server.ports import holder_of, taken_ports
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import Endpoint, Flow, Listener, NameAddr, RequestReceived, Uri
from trunkline.sip.request import Build, ClientRequest, Failure
from trunkline.sip.resolver import CachingResolver, DnsLookup, ResolutionError, Resolver
from trunkline.sip.uas import answer_options

__all__ = ["LINE_TIMEOUT_S", "look"]

LOCATE_S = 3.5
"""How long the provider's servers are looked for."""

ASK_S = 3.0
"""How long a server has to answer, challenges included; a request over UDP is repeated twice by then."""

LINE_TIMEOUT_S = LOCATE_S + 2 * ASK_S
"""How long one line takes at most."""

TAKEN = 98


async def look(
    settings: FileSettings,
    *,
    platform: Platform | None = None,
    resolver: Resolver | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> Seen:
    """Look at this machine and at the providers. Nothing is registered or changed, and nothing stays open.

    Args:
        settings: The configuration, without problems of its own.
        platform: Where the SIP driver comes from; the real machine unless given.
        resolver: Finds lines' servers; the system's DNS unless given.
        wall_clock: Seconds since the epoch.
    """
    server = settings.server
    options = SipOptions(user_agent=server.user_agent or None, node=server.node, advertise=server.advertise)
    driver = (platform or Machine()).sip_driver(options)
    endpoint = Endpoint(driver)
    own = CachingResolver(DnsLookup(), lambda: endpoint.now_s) if resolver is None else None
    endpoint.on_request = lambda request: _turn_away(endpoint, request)
    endpoint.attach()
    # before anything is listened on, for these may be ports of the range
    ports = _ports(settings)
    try:
        listeners, opened = [], []
        for url in server.listen:
            seen, listener = _listen(driver.listen, url)
            listeners.append(seen)
            opened += [listener] if listener is not None else []
        names = resolver if resolver is not None else own
        assert names is not None
        probe = _Probe(settings, endpoint, names, opened)
        lines = await asyncio.gather(*(probe.line(each) for each in probe.lines.values()))
        return Seen(tuple(listeners), ports, tuple(lines), wall_clock())
    finally:
        endpoint.detach()
        if own is not None:
            await own.close()


def _turn_away(endpoint: Endpoint, request: RequestReceived) -> None:
    """Phones and providers may find the listeners open; the server is not there yet."""
    if request.message.method == "OPTIONS":
        answer_options(endpoint, request)
    else:
        endpoint.respond(request.tx, 503, None, [("Retry-After", str(round(LINE_TIMEOUT_S)))])


def _listen(listen: Callable[[str, str, int], Listener], url: str) -> tuple[ListenerSeen, Listener | None]:
    """Open a listener, or one on another port where its own is taken."""
    transport, host, port = parse_listen(url)
    try:
        return ListenerSeen(url), listen(transport, host, port)
    except OSError as error:
        if error.errno != TAKEN:
            return ListenerSeen(url, error, transport=transport, port=port), None
        holder = holder_of(transport, port) or ""
        other = listen(transport, host, 0)
        return ListenerSeen(url, error, holder, transport, port, other.port), other


def _ports(settings: FileSettings) -> PortsSeen:
    first, last = settings.server.media_ports
    taken = taken_ports(settings.server.media_address or "0.0.0.0", first, last)
    return PortsSeen(len(taken), taken[0], holder_of("udp", taken[0]) or "") if taken else PortsSeen()


class _Probe:
    """Asks the lines' servers.

    Args:
        settings: The configuration.
        endpoint: Sends.
        resolver: Finds them.
        listeners: Those that are open.
    """

    def __init__(
        self, settings: FileSettings, endpoint: Endpoint, resolver: Resolver, listeners: list[Listener]
    ) -> None:
        self._endpoint = endpoint
        self._resolver = resolver
        self._random = Random()
        self.lines = {
            name: LineSettings(name, **options.values(name, settings.server))
            for name, options in settings.lines.items()
        }
        self._addresses = OwnAddresses(
            domains=(settings.server.realm,), advertise=settings.server.advertise, line=self.lines.get
        )
        self._addresses.set_listeners(listeners)

    async def line(self, settings: LineSettings) -> LineSeen:
        """Look at one line."""
        token = self._endpoint.driver.mint_token()
        server = LineServer(
            settings, self._resolver, self._addresses.reaches, lambda: self._endpoint.now_s, self._random
        )
        line = Line(settings, token, server, lambda: self._endpoint.now_s)
        try:
            async with asyncio.timeout(LOCATE_S):
                await server.locate()
        except ResolutionError as error:
            return LineSeen(settings, problem=error.reason)
        except TimeoutError:
            return LineSeen(settings, problem="the name servers do not answer")
        finally:
            server.close()
        asked = list(await asyncio.gather(*(self._options(line, flow) for flow in server.flows)))
        if settings.register:
            await self._add_register(line, asked)
        return LineSeen(settings, tuple(asked))

    async def _options(self, line: Line, flow: Flow) -> ServerSeen:
        contact = self._addresses.contact(flow, line.party(), line.token)
        tag = self._endpoint.driver.mint_tag()
        told = NameAddr.parse(contact).uri
        asked = await self._ask("OPTIONS", lambda: options_of(line, self._endpoint.driver, tag, contact), flow)
        return ServerSeen(flow, told.host, told.port or 5060, asked)

    async def _add_register(self, line: Line, servers: list[ServerSeen]) -> None:
        """Ask one server, for a wrong password counts at the provider: the first that answers, or may do so."""
        able = [each for each in servers if each.options.heard] or [each for each in servers if _is_silent(each)]
        if not able:
            return
        chosen = able[0]
        register = await self._ask("REGISTER", _Query(line, self._endpoint), chosen.flow, line.credentials)
        seen = ServerSeen(chosen.flow, chosen.contact_host, chosen.contact_port, chosen.options, register)
        servers[servers.index(chosen)] = seen

    async def _ask(self, method: str, build: Build, flow: Flow, credentials: ClientCredentials | None = None) -> Asked:
        done: asyncio.Future[Asked] = asyncio.get_running_loop().create_future()

        def settle(asked: Asked) -> None:
            if not done.done():
                done.set_result(asked)

        request = ClientRequest(
            self._endpoint,
            method,
            build,
            flow,
            on_response=lambda message, _: (
                settle(Asked(None, message, bool(request.answers))) if message.status >= 200 else None
            ),
            on_failure=lambda failure: settle(Asked(failure, failure.message, bool(request.answers))),
            credentials=credentials,
            timeout_s=ASK_S,
        )
        request.start()
        try:
            async with asyncio.timeout(ASK_S):
                return await done
        except TimeoutError:
            return Asked(Failure(408, "Request Timeout"))


def _is_silent(seen: ServerSeen) -> bool:
    """Whether nothing was heard over a transport that works: some providers answer no OPTIONS."""
    return seen.options.failure is not None and seen.options.failure.status == 408


class _Query:
    """Builds a REGISTER that asks and changes nothing: it has no Contact (RFC 3261 §10.2.3).

    Args:
        line: Whose.
        endpoint: Mints what is in it.
    """

    def __init__(self, line: Line, endpoint: Endpoint) -> None:
        self._line = line
        self._call_id = endpoint.driver.mint_call_id()
        self._tag = endpoint.driver.mint_tag()
        self._cseq = 0

    def __call__(self) -> tuple[str, list[tuple[str, str]]]:
        settings = self._line.settings
        self._cseq += 1
        account = Uri("sip", settings.username, settings.aor_domain)
        return str(Uri("sip", None, settings.aor_domain, settings.domain_port)), [
            *self._line.proxy_routes,
            ("From", str(NameAddr(account, settings.display_name or None, [("tag", self._tag)]))),
            ("To", str(NameAddr(account))),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            # where a registrar looks at it before it looks for a Contact, it says that it wants longer ones
            ("Expires", str(settings.expires_s)),
        ]
