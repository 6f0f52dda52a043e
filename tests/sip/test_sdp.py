"""Session descriptions and offer/answer through the extension: one describer a leg, two against each other."""

from __future__ import annotations

import gc
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _trunkline import Codec, Direction, MediaPlan, NegotiationError, SessionDescriber, SipParseError

PCMU = Codec("PCMU", 8000)
PCMA = Codec("PCMA", 8000)
OPUS = Codec("opus", 48000, 2)
EVENTS = Codec("telephone-event", 8000, fmtp="0-15")
US = "192.0.2.9"


def theirs(media: str, *, version: int = 1) -> bytes:
    head = f"v=0\r\no=- 5 {version} IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
    return (head + "".join(f"{line}\r\n" for line in media.split("\n"))).encode()


def leg() -> SessionDescriber:
    return SessionDescriber(session_id=7)


def answer(
    describer: SessionDescriber, body: bytes, *codecs: Codec, direction: Direction = "sendrecv"
) -> tuple[str, MediaPlan]:
    offer = describer.read_offer(body)
    text, plan = describer.answer(offer, address=US, port=20000, codecs=codecs, direction=direction)
    return text.decode(), plan


def types(codecs: tuple[Codec, ...]) -> list[tuple[str, int | None]]:
    return [(codec.name, codec.payload_type) for codec in codecs]


def test_codecs_are_equal_without_payload_type_and_case() -> None:
    assert Codec("pcmu", 8000, payload_type=0) == PCMU
    assert hash(Codec("pcmu", 8000, payload_type=0)) == hash(PCMU)
    assert Codec("PCMU", 16000) != PCMU
    assert Codec("PCMU", 8000, 2) != PCMU
    assert Codec("PCMU", 8000, fmtp="x") != PCMU
    assert repr(Codec("PCMU", 8000, payload_type=0)) == 'Codec("PCMU", 8000, 1, payload_type=0)'


@pytest.mark.parametrize(
    "arguments",
    [("", 8000), ("a b", 8000), ("x", 0), ("x", 8000, 0), ("x", 8000, 1, 128), ("x", 8000, 1, None, "a\r\nb")],
)
def test_codecs_that_cannot_be_written_are_refused(arguments: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match=r"codec|payload|fmtp"):
        Codec(*arguments)


def test_an_offer_is_written_and_its_answer_read() -> None:
    describer = leg()
    offer = describer.offer(address=US, port=20000, codecs=[PCMU, OPUS, EVENTS], ptime_ms=20)
    assert offer == (
        b"v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 96 101\r\n"
        b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
        b"a=ptime:20\r\na=sendrecv\r\n"
    )
    assert (describer.offer_pending, describer.local) == (True, None)
    plan = describer.accept_answer(theirs("m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\na=ptime:30"))
    assert not describer.offer_pending
    assert describer.local == offer
    assert plan.remote_rtp == ("198.51.100.1", 4000)
    assert plan.remote_rtcp == ("198.51.100.1", 4001)
    assert types(plan.send_codecs) == [("PCMU", 0), ("telephone-event", 97)]
    assert types(plan.receive_codecs) == [("PCMU", 0), ("telephone-event", 101)]
    assert (plan.direction, plan.ptime_ms, plan.held) == ("sendrecv", 30, False)
    assert describer.plan is not None
    assert describer.plan.remote_rtp == plan.remote_rtp


def test_the_offerer_numbers_and_orders_the_answer() -> None:
    body = theirs(
        "m=audio 4000 RTP/AVP 8 107 0 100\na=rtpmap:107 OPUS/48000/2\n"
        "a=rtpmap:100 telephone-event/8000\na=fmtp:100 0-16"
    )
    text, plan = answer(leg(), body, OPUS, PCMA, EVENTS)
    assert "m=audio 20000 RTP/AVP 8 107 100\r\n" in text
    assert types(plan.send_codecs) == [("PCMA", 8), ("OPUS", 107), ("telephone-event", 100)]
    assert [codec.fmtp for codec in plan.send_codecs] == [None, None, "0-16"]
    assert [codec.fmtp for codec in plan.receive_codecs] == [None, None, "0-15"]


@pytest.mark.parametrize(
    ("line", "direction", "held"),
    [
        ("a=sendrecv", "sendrecv", False),
        ("a=sendonly", "recvonly", True),
        ("a=recvonly", "sendonly", False),
        ("a=inactive", "inactive", True),
        ("c=IN IP4 0.0.0.0", "recvonly", True),
    ],
)
def test_hold_in_every_form(line: str, direction: str, held: bool) -> None:
    body = theirs(f"m=audio 4000 RTP/AVP 0\n{line}")
    describer = leg()
    offer = describer.read_offer(body)
    assert offer.held is held
    assert offer.direction == (line[2:] if line.startswith("a=") else "sendrecv")
    text, plan = answer(describer, body, PCMU)
    assert f"a={direction}\r\n" in text
    assert (plan.direction, plan.held) == (direction, held)
    assert (plan.remote_rtp is None) is line.startswith("c=")


def test_other_media_lines_are_refused_in_their_place() -> None:
    body = theirs("m=video 6000 RTP/AVP 31\nm=audio 4000 RTP/SAVP 0\nm=audio 4002 RTP/AVP 0\nm=audio 4004 RTP/AVP 8")
    describer = leg()
    text, plan = answer(describer, body, PCMU, PCMA)
    lines = [line for line in text.split("\r\n") if line.startswith("m=")]
    assert lines == ["m=video 0 RTP/AVP 31", "m=audio 0 RTP/SAVP 0", "m=audio 20000 RTP/AVP 0", "m=audio 0 RTP/AVP 8"]
    assert plan.remote_rtp == ("198.51.100.1", 4002)
    again = describer.offer(address=US, port=20000, codecs=[PCMU], direction="sendonly").decode()
    assert [line.split(" RTP")[0] for line in again.split("\r\n") if line.startswith("m=")] == [
        "m=video 0",
        "m=audio 0",
        "m=audio 20000",
        "m=audio 0",
    ]


def test_a_failure_says_why_and_changes_nothing() -> None:
    describer = leg()
    answer(describer, theirs("m=audio 4000 RTP/AVP 0"), PCMU)
    stood = describer.local
    offer = describer.read_offer(theirs("m=audio 4000 RTP/AVP 18 9", version=2))
    with pytest.raises(NegotiationError) as caught:
        describer.answer(offer, address=US, port=20000, codecs=[PCMU, PCMA])
    assert (
        caught.value.reason
        == "no codec in common: they offer G729/8000 and G722/8000 and we can PCMU/8000 and PCMA/8000"
    )
    with pytest.raises(SipParseError) as malformed:
        describer.read_offer(b"nonsense")
    assert malformed.value.status == 400
    assert describer.local == stood
    assert describer.read_offer(theirs("m=audio 4000 RTP/AVP 0")).unchanged


def test_negotiation_error_can_be_made_by_hand() -> None:
    assert NegotiationError("no audio").reason == "no audio"
    assert str(NegotiationError("no audio")) == "no audio"


def test_states_are_kept_apart() -> None:
    describer = leg()
    with pytest.raises(RuntimeError, match="no offer"):
        describer.accept_answer(theirs("m=audio 4000 RTP/AVP 0"))
    first = describer.offer(address=US, port=20000, codecs=[PCMU])
    with pytest.raises(RuntimeError, match="pending"):
        describer.offer(address=US, port=20000, codecs=[PCMU])
    describer.withdraw()
    assert not describer.offer_pending
    assert describer.offer(address=US, port=20000, codecs=[PCMU]) == first.replace(b" 7 1 ", b" 7 2 ")


@pytest.mark.parametrize(
    "arguments",
    [
        {"address": "host.example"},
        {"address": "0.0.0.0"},
        {"direction": "both"},
        {"ptime_ms": 0},
        {"codecs": []},
        {"codecs": [EVENTS]},
    ],
)
def test_arguments_that_cannot_be_described_are_value_errors(arguments: dict[str, object]) -> None:
    describer = leg()
    whole: dict[str, object] = {"address": US, "port": 20000, "codecs": [PCMU], **arguments}
    with pytest.raises(ValueError, match=r"address|direction|packet|codec"):
        describer.offer(**whole)  # type: ignore[arg-type]
    assert not describer.offer_pending


def test_ipv6_addresses_are_text_without_brackets() -> None:
    body = b"v=0\no=- 1 1 IN IP6 2001:db8::1\ns=-\nc=IN IP6 2001:db8::1\nt=0 0\nm=audio 4000 RTP/AVP 0\n"
    describer = leg()
    text, plan = describer.answer(describer.read_offer(body), address="2001:db8::9", port=20000, codecs=[PCMU])
    assert b"c=IN IP6 2001:db8::9\r\n" in text
    assert plan.remote_rtp == ("2001:db8::1", 4000)


def test_a_describer_serves_several_threads() -> None:
    describer = leg()
    describer.offer(address=US, port=20000, codecs=[PCMU])
    failures: list[BaseException] = []

    def ask() -> None:
        for _ in range(200):
            for body in (b"nonsense", theirs("m=audio 0 RTP/AVP 0")):
                try:
                    describer.accept_answer(body)
                except (SipParseError, NegotiationError):
                    gc.collect(0)
                except BaseException as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    assert describer.offer_pending


def directions() -> st.SearchStrategy[Direction]:
    choices: list[Direction] = ["sendrecv", "sendonly", "recvonly", "inactive"]
    return st.sampled_from(choices)


@given(
    st.permutations([PCMU, PCMA, OPUS, EVENTS]),
    st.sets(st.sampled_from([PCMU, PCMA, OPUS]), min_size=1),
    directions(),
    directions(),
)
def test_two_legs_agree_on_mirrored_plans(
    can: list[Codec], other: set[Codec], willing: Direction, other_willing: Direction
) -> None:
    alice, bob = leg(), leg()
    offer = bob.read_offer(alice.offer(address="192.0.2.1", port=20000, codecs=can, direction=willing))
    body, bobs = bob.answer(
        offer, address="192.0.2.2", port=30000, codecs=sorted(other, key=repr), direction=other_willing
    )
    plan = alice.accept_answer(body)
    assert types(plan.send_codecs) == types(bobs.receive_codecs)
    assert types(plan.receive_codecs) == types(bobs.send_codecs)
    mirrored = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
    assert bobs.direction == mirrored[plan.direction]
    assert [codec for codec in can if codec in other] == list(plan.send_codecs)


@given(st.binary(max_size=300))
def test_no_body_does_more_than_raise_a_parse_error(body: bytes) -> None:
    with pytest.raises((SipParseError, NegotiationError)):
        leg().read_offer(body)
