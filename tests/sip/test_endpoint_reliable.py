"""Reliable provisionals (RFC 3262) through the contract: what Python says and is told; the repeats and the order are Rust's."""

from __future__ import annotations

import pytest

from _trunkline import Event, Flow, Message, PrackReceived, ReliableTimedOut, ResponseReceived, SansIoEndpoint
from tests.sip.wire import answer, header, outgoing, request, status
from trunkline.sip.endpoint import Endpoint, RequestReceived

OURS = ("192.0.2.1", 5060)
THEIRS = ("192.0.2.9", 5070)
FLOW = Flow("udp", THEIRS, OURS)
SDP = b"v=0\r\n"


class Watch:
    """Waits for what becomes of an INVITE."""

    def __init__(self) -> None:
        self.pracks: list[PrackReceived] = []
        self.timeouts: list[bool] = []

    def on_cancel(self, message: Message) -> None:
        raise AssertionError(message)

    def on_ack(self, message: Message) -> None:
        raise AssertionError(message)

    def on_ack_timeout(self) -> None:
        raise AssertionError

    def on_prack(self, request: PrackReceived) -> None:
        self.pracks.append(request)

    def on_prack_timeout(self, refused: bool) -> None:
        self.timeouts.append(refused)


class Callee:
    """An endpoint with an INVITE that waits for an answer."""

    def __init__(self) -> None:
        self.core = SansIoEndpoint(seed=1)
        self.core.add_listener("udp", *OURS)
        self.core.set_time(100.0)
        self.endpoint = Endpoint(self.core)
        self.requests: list[RequestReceived] = []
        self.endpoint.on_request = self.requests.append
        self.watch = Watch()
        self.receive(request("INVITE", THEIRS, call_id="call", lines=("Supported: 100rel",)))
        self.endpoint.watch(self.requests[0].tx, self.watch)

    def receive(self, data: bytes) -> None:
        self.core.receive(FLOW, data)
        self.endpoint.pump()

    def respond(self, code: int, body: bytes = b"", *, reliable: bool = False) -> bool:
        return self.endpoint.respond(self.requests[0].tx, code, None, (), body, to_tag="us", reliable=reliable)

    def sent(self) -> list[str]:
        texts = []
        while (transmit := self.core.poll_transmit()) is not None:
            texts.append(transmit[1].decode())
        return texts

    def pass_until(self, end_s: float) -> None:
        while (due := self.core.next_timeout()) is not None and due <= end_s:
            self.core.set_time(due)
            self.core.handle_timeout()
            self.endpoint.pump()

    def prack(self, response: str, branch: str = "z9hG4bKprack") -> bytes:
        rack = f"RAck: {header(response, 'RSeq')} 1 INVITE"
        return request("PRACK", THEIRS, call_id="call", branch=branch, to_tag="us", cseq=2, lines=(rack,))


def test_a_prack_goes_to_the_watcher_of_its_invite_and_is_answered_in_its_own_transaction() -> None:
    callee = Callee()
    assert callee.respond(183, SDP, reliable=True)
    (progress,) = callee.sent()
    assert header(progress, "Require") == "100rel"
    callee.receive(callee.prack(progress))
    (event,) = callee.watch.pracks
    assert event.invite == callee.requests[0].tx.id
    assert event.tx.id != event.invite
    assert event.message.method == "PRACK"
    assert event.flow == FLOW
    assert callee.endpoint.respond(event.tx, 200)
    assert [(status(text), header(text, "CSeq")) for text in callee.sent()] == [(200, "2 PRACK")]


def test_a_2xx_goes_out_once_what_it_waits_for_is_acknowledged() -> None:
    callee = Callee()
    callee.respond(183, SDP, reliable=True)
    (progress,) = callee.sent()
    assert callee.respond(200)
    assert callee.sent() == []
    callee.receive(callee.prack(progress))
    assert [header(text, "CSeq") for text in callee.sent()] == ["1 INVITE"]


def test_what_is_never_acknowledged_is_told_and_the_watcher_refuses() -> None:
    callee = Callee()
    callee.respond(183, SDP, reliable=True)
    callee.pass_until(140.0)
    assert callee.watch.timeouts == [False]
    callee.sent()
    assert callee.respond(504)
    assert [status(text) for text in callee.sent()] == [504]
    assert callee.endpoint.live["servers"] == 0


def test_a_2xx_that_waited_in_vain_is_told_as_refused_and_watched_no_more() -> None:
    callee = Callee()
    callee.respond(183, SDP, reliable=True)
    callee.respond(200)
    callee.pass_until(133.0)
    assert callee.watch.timeouts == [True]
    assert status(callee.sent()[-1]) == 504
    assert callee.endpoint.live["servers"] == 0
    assert not callee.respond(500)


def test_a_prack_that_nobody_waits_for_any_more_is_answered_all_the_same() -> None:
    callee = Callee()
    callee.respond(183, reliable=True)
    (progress,) = callee.sent()
    callee.respond(486)
    callee.sent()
    callee.receive(callee.prack(progress))
    assert callee.watch.pracks == []
    assert [header(text, "CSeq") for text in callee.sent()] == ["2 PRACK"]


@pytest.mark.parametrize("code", [100, 200, 486])
def test_only_a_provisional_can_be_reliable(code: int) -> None:
    callee = Callee()
    with pytest.raises(ValueError, match="reliable"):
        callee.respond(code, reliable=True)
    assert not callee.requests[0].tx.answered


def test_a_reliable_provisional_of_theirs_has_its_number_and_comes_up_once() -> None:
    core = SansIoEndpoint(seed=2)
    core.add_listener("udp", *OURS)
    core.send_request("INVITE", "sip:p@peer", outgoing("INVITE"), b"", FLOW)
    transmit = core.poll_transmit()
    assert transmit is not None
    reliable = ("Require: 100rel", "RSeq: 17")
    for lines in (reliable, reliable, ("RSeq: 18",)):
        core.receive(FLOW, answer(transmit[1].decode(), 183, lines=lines))
    events: list[Event] = core.drain()
    assert [event.message.rseq for event in events if isinstance(event, ResponseReceived)] == [17, None]
    assert not any(isinstance(event, ReliableTimedOut) for event in events)
