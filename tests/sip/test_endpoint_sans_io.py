"""The sans-IO endpoint: the state machines of the real one, with packets and time as arguments."""

from __future__ import annotations

import pytest

from _trunkline import (
    Challenge,
    Flow,
    FlowClosed,
    FlowOpened,
    RequestReceived,
    ResponseReceived,
    SansIoEndpoint,
    SipEndpoint,
    TransactionTimedOut,
)
from tests.sip.wire import answer, header, outgoing, request, status

OURS = ("192.0.2.1", 5060)
THEIRS = ("192.0.2.9", 5070)
FLOW = Flow("udp", THEIRS, OURS)


def endpoint(seed: int = 1) -> SansIoEndpoint:
    it = SansIoEndpoint(seed=seed, node=1, worker=2)
    it.add_listener("udp", *OURS)
    it.add_listener("tcp", *OURS)
    it.set_time(100.0)
    return it


def transmits(it: SansIoEndpoint) -> list[str]:
    sent = []
    while (transmit := it.poll_transmit()) is not None:
        sent.append(transmit[1].decode())
    return sent


def test_a_request_is_answered_without_any_socket() -> None:
    it = endpoint()
    it.receive(FLOW, request("OPTIONS", THEIRS))
    (event,) = it.drain()
    assert isinstance(event, RequestReceived)
    assert event.flow == FLOW
    assert it.respond(event.tx, 200)
    assert [status(text) for text in transmits(it)] == [200]


def test_equal_seeds_give_equal_tokens_and_others_do_not() -> None:
    def minted(seed: int) -> list[str]:
        it = endpoint(seed)
        it.send_request("OPTIONS", "sip:p@peer", [*outgoing()[:3], ("Call-ID", "c")], b"", Flow("udp", THEIRS))
        return [it.mint_tag(), it.mint_call_id(), it.mint_token(), *transmits(it)]

    assert minted(7) == minted(7)
    assert not set(minted(7)) & set(minted(8))


def test_a_request_is_repeated_and_times_out_on_the_given_clock() -> None:
    it = endpoint()
    tx = it.send_request("OPTIONS", "sip:p@peer", outgoing(), b"", Flow("udp", THEIRS))
    (first,) = transmits(it)
    assert " 192.0.2.1:5060;" in header(first, "Via")
    assert it.next_timeout() == pytest.approx(100.5)
    repeats = 0
    while (when := it.next_timeout()) is not None:
        it.set_time(when)
        it.handle_timeout()
        repeats += transmits(it).count(first)
    (event,) = it.drain()
    assert isinstance(event, TransactionTimedOut)
    assert event.tx == tx
    # RFC 3261 §17.1.2.2: at 0.5, 1.5, 3.5, then every 4 s until 32 s
    assert repeats == 10


def test_a_response_ends_the_waiting() -> None:
    it = endpoint()
    tx = it.send_request("OPTIONS", "sip:p@peer", outgoing(), b"", Flow("udp", THEIRS))
    it.receive(FLOW, answer(transmits(it)[0]))
    (event,) = it.drain()
    assert isinstance(event, ResponseReceived)
    assert event.tx == tx
    assert event.message.status == 200


def test_connections_are_told_and_closed_by_number() -> None:
    it = endpoint()
    flow = Flow("tcp", THEIRS, OURS, 5)
    it.flow_opened(flow)
    it.receive(flow, request("OPTIONS", THEIRS, transport="TCP"))
    opened, received = it.drain()
    assert isinstance(opened, FlowOpened)
    assert isinstance(received, RequestReceived)
    assert received.flow.connection == 5
    it.close_flow(5)
    assert it.closed_connections() == [5]
    assert it.closed_connections() == []
    (closed,) = it.drain()
    assert isinstance(closed, FlowClosed)
    assert closed.flow == flow


def test_drain_keeps_what_is_beyond_the_limit() -> None:
    it = endpoint()
    for _ in range(5):
        it.receive(FLOW, request("OPTIONS", THEIRS))
    assert [len(it.drain(2)), len(it.drain(2)), len(it.drain(2)), len(it.drain(2))] == [2, 2, 1, 0]


def test_both_endpoints_share_their_commands() -> None:
    assert SipEndpoint.__mro__[1] is SansIoEndpoint.__mro__[1]
    with pytest.raises(TypeError):
        SipEndpoint.__mro__[1]()


@pytest.mark.parametrize("time_s", [-1.0, float("nan"), float("inf")])
def test_a_time_is_zero_or_later(time_s: float) -> None:
    with pytest.raises(ValueError, match="time"):
        endpoint().set_time(time_s)


def test_what_is_kept_can_be_counted_until_its_time_is_over() -> None:
    it = endpoint()
    assert (it.counters()["timers"], it.counters()["nonces"]) == (0, 0)
    it.set_challenge("pbx.example", {"*": "everybody"}, [], [])
    it.receive(FLOW, request("OPTIONS", THEIRS))
    challenge = Challenge.parse(header(transmits(it)[0], "WWW-Authenticate"))
    proof = challenge.authorize(username="a", password="p", method="OPTIONS", uri="sip:b@x", cnonce="c")
    it.receive(FLOW, request("OPTIONS", THEIRS, lines=(f"Authorization: {proof}",)))
    (event,) = it.drain()
    assert isinstance(event, RequestReceived)
    it.respond(event.tx, 200)
    assert it.counters()["timers"] > 0
    while (when := it.next_timeout()) is not None:
        it.set_time(when)
        it.handle_timeout()
    assert (it.counters()["timers"], it.counters()["nonces"]) == (0, 1)


@pytest.mark.parametrize("t1_s", [0.05, 0.5])
def test_t1_is_told_as_it_was_given(t1_s: float) -> None:
    assert SansIoEndpoint(seed=1, t1_s=t1_s).t1_s == t1_s
