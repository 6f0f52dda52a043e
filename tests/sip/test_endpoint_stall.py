"""Python stops for ten seconds under load: Rust answers what it can meanwhile, nothing is lost that cannot be shed.

That its answers come before a peer would repeat its request is shown in virtual time: crates/sip/tests/endpoint_stall.rs.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from _trunkline import ByeAnswered, Cancelled, Codec, MediaEngine, RequestReceived, Shed
from tests.sip.wire import DatagramPeer, Station, header, request, station, status

STALL_S = 10.0
ANSWER_LIMIT_S = 10.0
"""How long to wait for the last answers; Python still stands."""
DIALOGS = 100
EVENT_QUEUE = 200

Key = tuple[str, str]


@dataclass
class Load:
    """A peer that sends at its own pace and notes what each request was answered."""

    peer: DatagramPeer
    statuses: dict[Key, list[int]] = field(default_factory=dict)
    requests: dict[Key, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.peer.socket.setblocking(False)

    def send(self, method: str, call_id: str, **fields: object) -> Key:
        data = request(method, self.peer.address, call_id=call_id, **fields)  # type: ignore[arg-type]
        key = call_id, method
        self.requests[key] = data
        self.peer.send(data)
        return key

    def take(self) -> None:
        """Note what has come, and acknowledge final answers to INVITE (RFC 3261 §17.1.1.3)."""
        while True:
            try:
                data = self.peer.socket.recv(65_536)
            except BlockingIOError:
                return
            text = data.decode()
            key = header(text, "Call-ID"), header(text, "CSeq").split()[1]
            self.statuses.setdefault(key, []).append(status(text))
            if key[1] == "INVITE" and status(text) >= 300:
                self._acknowledge(key, header(text, "To"))

    def _acknowledge(self, key: Key, to: str) -> None:
        kept = [
            line.replace("CSeq: 1 INVITE", "CSeq: 1 ACK")
            for line in self.requests[key].decode().split("\r\n")
            if line.startswith(("Via:", "From:", "Call-ID:", "CSeq:", "Max-Forwards:"))
        ]
        lines = ["ACK sip:alice@pbx.example SIP/2.0", *kept, f"To: {to}", "Content-Length: 0", "", ""]
        self.peer.send("\r\n".join(lines).encode())

    @property
    def unanswered(self) -> list[Key]:
        return [key for key in self.requests if key not in self.statuses]

    def of(self, method: str) -> list[Key]:
        return [key for key in self.requests if key[1] == method]

    def finals(self, keys: list[Key]) -> Counter[int]:
        return Counter(code for key in keys for code in set(self.statuses.get(key, [])) if code >= 200)


def stall(it: Station, load: Load) -> list[Key]:
    """Send for ten seconds without Python taking one event; returns the INVITEs that were cancelled."""
    cancelled = []
    start = time.monotonic()
    tick = 0
    while (passed := time.monotonic() - start) < STALL_S:
        load.take()
        if passed < tick * 0.02:
            time.sleep(0.002)
            continue
        load.send("INVITE", f"call-{tick}")
        if tick < DIALOGS:
            load.send("BYE", f"dialog-{tick}", to_tag="ours", cseq=2)
        if tick % 4 == 0:
            load.send("REGISTER", f"register-{tick}")
            load.send("BYE", f"unknown-{tick}", to_tag="nobody")
        if tick >= 50 and tick % 5 == 0 and tick < 100:
            victim = f"call-{tick - 50}", "INVITE"
            branch = header(load.requests[victim].decode(), "Via").split("branch=")[1].split(";")[0]
            load.send("CANCEL", victim[0], branch=branch)
            cancelled.append(victim)
        tick += 1
    last = time.monotonic() + ANSWER_LIMIT_S
    while load.unanswered and time.monotonic() < last:
        load.take()
        time.sleep(0.002)
    return cancelled


@pytest.mark.timeout(60)
def test_nobody_repeats_what_rust_can_answer_while_python_stands_still() -> None:
    with (
        station(event_queue=EVENT_QUEUE, flood_rate=0.0) as it,
        DatagramPeer(("127.0.0.1", it.listen().port)) as peer,
    ):
        it.endpoint.set_challenge("pbx.example", {"REGISTER": "everybody", "*": "nobody"}, [], [])
        for number in range(DIALOGS):
            it.endpoint.add_dialog(f"dialog-{number}", "ours", "theirs", remote_cseq=1)
        it.until(lambda counters: counters["dialogs"] == DIALOGS)
        load = Load(peer)

        cancelled = stall(it, load)

        assert load.unanswered == []

        known = [key for key in load.of("BYE") if key[0].startswith("dialog")]
        unknown = [key for key in load.of("BYE") if key[0].startswith("unknown")]
        assert load.finals(known) == {200: DIALOGS}
        assert load.finals(unknown) == {481: len(unknown)}
        registrations = load.finals(load.of("REGISTER"))
        assert set(registrations) == {401, 503}
        assert registrations.total() == len(load.of("REGISTER"))
        assert load.finals(load.of("CANCEL")) == {200: len(cancelled)}
        assert load.finals(cancelled) == {487: len(cancelled)}
        shed = [key for key in load.of("INVITE") if 503 in load.statuses[key]]
        assert len(shed) > 100
        waiting = [key for key in load.of("INVITE") if load.statuses[key] == [100]]
        assert len(waiting) > 10
        assert len(shed) + len(waiting) + len(cancelled) == len(load.of("INVITE"))

        # Python wakes
        it.pump(1.0)
        while events := it.endpoint.drain():
            it.told.extend(events)
        answered = [event.message.call_id for event in it.told if isinstance(event, ByeAnswered)]
        assert sorted(answered) == sorted(call_id for call_id, _ in known)
        assert sum(isinstance(event, Cancelled) for event in it.told) == len(cancelled)
        calls = {
            e.message.call_id: e for e in it.told if isinstance(e, RequestReceived) and e.message.method == "INVITE"
        }
        assert set(calls) == {key[0] for key in [*waiting, *cancelled]}
        assert all(calls[call_id].tx.answered for call_id, _ in cancelled)
        assert all(it.endpoint.respond(calls[call_id].tx, 486) for call_id, _ in waiting)
        it.told.clear()
        assert it.next(Shed).overload == len(shed) + registrations[503]
        load.send("INVITE", "afterwards")
        assert it.next(RequestReceived).message.call_id == "afterwards"


def test_a_bye_that_rust_answers_stops_the_media_leg() -> None:
    media = MediaEngine(workers=1, port_range=(42_000, 42_099))
    with (
        closing(media),
        station() as it,
        DatagramPeer(("127.0.0.1", it.listen().port)) as phone,
        DatagramPeer(("127.0.0.1", 9), connected=False) as ear,
    ):
        leg, _ = media.open_leg("127.0.0.1")
        codec = [Codec("PCMU", 8_000, payload_type=0)]
        media.configure(
            leg,
            remote_rtp=ear.address,
            remote_rtcp=None,
            sends=True,
            receives=True,
            receive_codecs=codec,
            send_codecs=codec,
        )
        media.play_tone(leg, 440.0)
        ear.socket.settimeout(5.0)
        assert ear.socket.recv(2_048)
        it.endpoint.add_dialog("call", "ours", "theirs", remote_cseq=1, leg=leg)
        phone.send(request("BYE", phone.address, call_id="call", to_tag="ours", cseq=2))
        assert status(phone.receive()) == 200
        assert it.next(ByeAnswered).message.call_id == "call"
        ear.socket.settimeout(0.3)
        heard = 0
        try:
            while heard < 100:
                heard += len(ear.socket.recv(2_048)) // 172
        except TimeoutError:
            pass
        # what was under way when the leg stopped, no more
        assert heard < 100
