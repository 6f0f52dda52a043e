"""What Prometheus reads: counts of what happened, and how things stand now.

`SipServer` makes a `Metrics` where the option `metrics` names an address. Counts come from the record's events; what
stands now is read on the loop when somebody asks, so the numbers of one answer belong together. The answer itself is
written by threads of prometheus_client's server.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trunkline.errors import ListenError
from trunkline.events import (
    AttemptFailed,
    CallRecorded,
    CallSessionClosed,
    CallSessionConnected,
    CallSessionCreated,
    LineRegisterFailed,
    LineRegisterSuccess,
    RegisterUserFailed,
    RegisterUserSuccess,
    UnregisterUser,
)
from trunkline.hearing_events import QualityLow
from trunkline.server.config import parse_url
from trunkline.trace.recorder import Entry, Happened, Recorder

if TYPE_CHECKING:
    from trunkline.server.running import Running

__all__ = ["Metrics"]

LOOP_PATIENCE_S = 5.0
"""How long an answer waits for the loop; after that it says that the loop is held, and nothing else of now."""

SETUP_S = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120)
MOS = (1.5, 2, 2.5, 3, 3.25, 3.5, 3.75, 4, 4.1, 4.2, 4.3, 4.4)
DURATION_S = (1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400)

SIP_TOTALS = ("received", "sent", "retransmitted", "malformed", "flood_dropped", "shed", "challenged")
SIP_LIVE = ("client_transactions", "server_transactions", "dialogs", "connections")


class Metrics:
    """Counts, and the address where they can be read.

    Args:
        running: The server, read at each question.
        recorder: Its record, counted from now on.
    """

    def __init__(self, running: Running, recorder: Recorder) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=False)
        self._calls = Counter(
            "trunkline_calls",
            "Sessions that are over, by who called (or was dialled first) and why they ended.",
            ["peer", "reason"],
            registry=registry,
        )
        self._attempts = Counter(
            "trunkline_attempts_failed",
            "Attempts that failed, by the side and the SIP status.",
            ["channel", "status"],
            registry=registry,
        )
        self._setup = Histogram(
            "trunkline_call_setup_seconds",
            "From the beginning of a session to its being connected.",
            buckets=SETUP_S,
            registry=registry,
        )
        self._duration = Histogram(
            "trunkline_call_duration_seconds",
            "From being connected to the end.",
            buckets=DURATION_S,
            registry=registry,
        )
        self._mos = Histogram(
            "trunkline_call_mos",
            "MOS of each leg of a call by the E-model, by the direction (received from the party, or sent to it) and the scale.",
            ["direction", "scale"],
            buckets=MOS,
            registry=registry,
        )
        self._low = Counter(
            "trunkline_quality_low",
            "How often a direction of a call's leg fell below its quality_alarm_mos.",
            ["channel", "direction"],
            registry=registry,
        )
        self._users = Counter(
            "trunkline_user_registrations", "What became of users' registrations.", ["outcome"], registry=registry
        )
        self._lines = Counter(
            "trunkline_line_registrations",
            "What became of lines' registrations; mere refreshes are not counted.",
            ["line", "outcome"],
            registry=registry,
        )
        registry.register(_Live(running, asyncio.get_running_loop()))
        self._created_s: dict[int, float] = {}
        self._connected_s: dict[int, float] = {}
        self._counting: dict[type, Callable[[float, Any], None]] = {
            CallSessionCreated: self._created,
            CallSessionConnected: self._connected,
            CallSessionClosed: self._closed,
            CallRecorded: lambda now_s, event: self._recorded(event),
            QualityLow: lambda now_s, event: self._low.labels(event.channel.name.lower(), event.direction).inc(),
            AttemptFailed: lambda now_s, event: self._attempts.labels(
                event.channel.name.lower(), str(event.status)
            ).inc(),
            RegisterUserSuccess: lambda now_s, event: self._users.labels(
                "refreshed" if event.refresh else "registered"
            ).inc(),
            RegisterUserFailed: lambda now_s, event: self._users.labels("refused").inc(),
            UnregisterUser: lambda now_s, event: self._users.labels("lapsed" if event.lapsed else "unregistered").inc(),
            LineRegisterSuccess: lambda now_s, event: self._lines.labels(event.line, "registered").inc(),
            LineRegisterFailed: lambda now_s, event: self._lines.labels(event.line, "failed").inc(),
        }
        self._stop_counting = recorder.listen(self._add)
        self._server: Any = None
        self._thread: Any = None

    def serve(self, url: str) -> None:
        """Answer at `url` from now on.

        Raises:
            ListenError: The address cannot be listened on.
        """
        _, host, port = parse_url(url)
        try:
            self._server, self._thread = start_http_server(port, host, registry=self.registry)
        except OSError as error:
            raise ListenError(url, f"metrics cannot be served there: {error.strerror}") from error

    @property
    def address(self) -> tuple[str, int]:
        """Address and port that answer, once `serve` was called."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    async def close(self) -> None:
        """Count and answer no more."""
        self._stop_counting()
        server, self._server = self._server, None
        if server is not None:
            # its thread looks for the end every half second
            await asyncio.to_thread(server.shutdown)
            await asyncio.to_thread(self._thread.join)
            server.server_close()

    # --- counting ---------------------------------------------------------------------------------------------------

    def _add(self, entry: Entry) -> None:
        if isinstance(entry, Happened):
            count = self._counting.get(type(entry.event))
            if count is not None:
                count(entry.time_s, entry.event)

    def _created(self, now_s: float, event: CallSessionCreated) -> None:
        self._created_s[event.call.id] = now_s

    def _connected(self, now_s: float, event: CallSessionConnected) -> None:
        created_s = self._created_s.pop(event.call.id, None)
        if created_s is not None:
            # once a session: a call that was answered alone and then bridged connects again
            self._setup.observe(now_s - created_s)
            self._connected_s[event.call.id] = now_s

    def _recorded(self, event: CallRecorded) -> None:
        for side in (event.record.zero, event.record.one):
            for direction, key in (("received", "mos"), ("sent", "remote_mos")):
                mos = side.get(key)
                if isinstance(mos, float):
                    self._mos.labels(direction, str(side.get("mos_scale"))).observe(mos)

    def _closed(self, now_s: float, event: CallSessionClosed) -> None:
        call = event.call
        self._created_s.pop(call.id, None)
        connected_s = self._connected_s.pop(call.id, None)
        if connected_s is not None:
            self._duration.observe(now_s - connected_s)
        self._calls.labels(call.from_peer_type.name.lower(), event.reason.name.lower()).inc()


class _Live(Collector):
    """How things stand, read on the loop."""

    def __init__(self, running: Running, loop: asyncio.AbstractEventLoop) -> None:
        self._running = running
        self._loop = loop

    def collect(self) -> Iterable[Metric]:
        """From a thread of the answering server."""
        asked_s = self._loop.time()
        question = self._read(asked_s)
        try:
            reading = asyncio.run_coroutine_threadsafe(question, self._loop)
        except RuntimeError:
            question.close()  # the loop has ended
            return ()
        try:
            return reading.result(LOOP_PATIENCE_S)
        except concurrent.futures.TimeoutError:
            reading.cancel()
            return [_lag(LOOP_PATIENCE_S)]

    async def _read(self, asked_s: float) -> list[Metric]:
        return [_lag(self._loop.time() - asked_s), *_standing(self._running)]


def _lag(seconds: float) -> Metric:
    return GaugeMetricFamily(
        "trunkline_loop_lag_seconds", "How long the event loop took to answer this question.", seconds
    )


def _standing(running: Running) -> Iterator[Metric]:
    states = Tally(call.state.value for call in running.exchange.sessions)
    yield _labelled("trunkline_sessions", "Sessions that are not over, by state.", "state", states)
    yield GaugeMetricFamily("trunkline_contacts", "Contacts that are registered.", len(running.registrar))
    refused = CounterMetricFamily(
        "trunkline_incoming_calls_refused", "INVITEs of which no session was made.", labels=["peer", "status"]
    )
    for (peer, status), count in sorted(running.refusals.counts.items()):
        refused.add_metric([peer, str(status)], count)
    yield refused
    yield from _lines(running)
    sip = running.sip_counters
    totals = CounterMetricFamily("trunkline_sip_messages", "SIP messages, by what became of them.", labels=["kind"])
    for kind in SIP_TOTALS:
        totals.add_metric([kind], sip.get(kind, 0))
    yield totals
    for kind in SIP_LIVE:
        yield GaugeMetricFamily(f"trunkline_sip_{kind}", f"SIP {kind.replace('_', ' ')} now.", sip.get(kind, 0))
    media = running.media_counters
    yield GaugeMetricFamily("trunkline_media_legs", "Media legs that are open.", media.get("legs", 0))
    yield GaugeMetricFamily("trunkline_media_ports", "UDP ports that media legs hold.", media.get("ports_used", 0))
    yield CounterMetricFamily("trunkline_media_packets", "RTP and RTCP packets relayed.", media.get("packets", 0))
    if running.store is not None:
        yield GaugeMetricFamily("trunkline_store_pending", "Changes that are not written yet.", running.store.pending)
        yield CounterMetricFamily("trunkline_store_lost", "Changes that were given up.", running.store.lost)


def _lines(running: Running) -> Iterator[Metric]:
    usable = GaugeMetricFamily("trunkline_line_usable", "Whether calls can be placed over a line.", labels=["line"])
    registered = GaugeMetricFamily("trunkline_line_registered", "Whether its provider knows it.", labels=["line"])
    calls = CounterMetricFamily("trunkline_line_calls", "Calls of a line.", labels=["line", "direction"])
    for line in running.lines:
        usable.add_metric([line.name], line.usable)
        registered.add_metric([line.name], line.registered)
        calls.add_metric([line.name, "in"], line.counters.calls_in)
        calls.add_metric([line.name, "out"], line.counters.calls_out)
    yield from (usable, registered, calls)


def _labelled(name: str, text: str, label: str, values: Tally[str]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family
