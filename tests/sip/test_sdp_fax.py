"""T.38 and rtcp-mux through the contract: what Python reads of an offer, and writes on the other leg."""

from __future__ import annotations

import pytest

from _trunkline import Codec, NegotiationError, SessionDescriber

PCMU = Codec("PCMU", 8000)
FAX = "m=image 6000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval\r\n"


def theirs(media: str, version: int = 1) -> bytes:
    head = f"v=0\r\no=a 1 {version} IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
    return (head + media).encode()


def talking() -> SessionDescriber:
    leg = SessionDescriber(session_id=7)
    leg.answer(leg.read_offer(theirs("m=audio 4000 RTP/AVP 0\r\n")), address="192.0.2.9", port=20_000, codecs=[PCMU])
    return leg


def test_an_offer_of_t38_crosses_to_the_other_leg_and_its_answer_back() -> None:
    ours, other = talking(), talking()
    offer = ours.read_offer(theirs(FAX, 2), fax=True)
    assert offer.fax is not None
    assert offer.fax.remote == ("198.51.100.1", 6000)
    assert offer.fax.attributes == (("T38FaxVersion", "0"), ("T38MaxBitRate", "14400"), ("T38FaxFillBitRemoval", None))
    asked = other.offer_fax(address="192.0.2.9", port=20_002, attributes=offer.fax.attributes)
    assert b"m=image 20002 udptl t38\r\na=T38FaxVersion:0\r\n" in asked
    plan = other.accept_answer(theirs(FAX.replace("14400", "9600"), 2))
    assert plan.fax is not None
    text, own = ours.answer_fax(offer, address="192.0.2.9", port=20_000, attributes=plan.fax.attributes)
    assert b"a=T38MaxBitRate:9600\r\n" in text
    assert own.fax is not None
    assert (own.fax.remote, own.remote_rtp, own.send_codecs) == (("198.51.100.1", 6000), None, ())


def test_who_does_not_ask_for_fax_refuses_it() -> None:
    with pytest.raises(NegotiationError, match="image"):
        talking().read_offer(theirs(FAX, 2))


@pytest.mark.parametrize(("willing", "port"), [(True, 4000), (False, 4001)])
def test_one_port_for_rtp_and_rtcp_where_both_want_it(willing: bool, port: int) -> None:
    leg = SessionDescriber(session_id=7)
    offer = leg.read_offer(theirs("m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n"))
    assert offer.rtcp_mux
    text, plan = leg.answer(offer, address="192.0.2.9", port=20_000, codecs=[PCMU], rtcp_mux=willing)
    assert (plan.rtcp_mux, b"a=rtcp-mux" in text) == (willing, willing)
    assert plan.remote_rtcp == ("198.51.100.1", port)
