"""T.38 over UDPTL through real sockets: datagrams pass as they are, on one worker and across two, and audio comes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from _trunkline import MediaEngine
from tests.media.far_end import HERE, PCMU, Phone, counts, poll_until

IFP = bytes.fromhex("000701060000")


def fax(engine: MediaEngine, leg: int, phone: Phone) -> None:
    """Turn a leg to UDPTL with that far end."""
    engine.configure(
        leg,
        remote_rtp=phone.address,
        remote_rtcp=None,
        sends=True,
        receives=True,
        receive_codecs=[],
        send_codecs=[],
        udptl=True,
    )


def heard(phone: Phone) -> bytes:
    phone.rtp.setblocking(True)
    phone.rtp.settimeout(5.0)
    return phone.rtp.recv(2048)


@pytest.mark.parametrize("beside", [True, False])
def test_datagrams_pass_both_ways_as_they_are(engine: MediaEngine, phone: Callable[..., Phone], beside: bool) -> None:
    one, two = phone(), phone()
    a, port_a = engine.open_leg(HERE)
    b, port_b = engine.open_leg(HERE, beside=a if beside else 0)
    fax(engine, a, one)
    fax(engine, b, two)
    engine.link(a, b)
    assert counts(engine, b).packets_sent == 0
    for first in (b"\x00", b"\x80", b"\x16"):
        one.rtp.sendto(first + IFP, (HERE, port_a))
        assert heard(two) == first + IFP
        two.rtp.sendto(first + IFP + bytes(1000), (HERE, port_b))
        assert heard(one) == first + IFP + bytes(1000)
    assert counts(engine, a).packets_received == counts(engine, b).packets_received == 3
    assert counts(engine, a).packets_refused == 0


def test_audio_comes_back(engine: MediaEngine, phone: Callable[..., Phone]) -> None:
    one, two = phone(), phone()
    a, port_a = engine.open_leg(HERE)
    b, _ = engine.open_leg(HERE, beside=a)
    fax(engine, a, one)
    fax(engine, b, two)
    engine.link(a, b)
    assert counts(engine, b).packets_sent == 0  # and linked, by its answer
    one.send_tone(port_a, 440)
    assert len(heard(two)) == 172
    for leg, far in ((a, one), (b, two)):
        engine.configure(
            leg,
            remote_rtp=far.address,
            remote_rtcp=None,
            sends=True,
            receives=True,
            receive_codecs=[PCMU],
            send_codecs=[PCMU],
        )
    # the answer means that both are configured
    assert counts(engine, a).packets_refused == counts(engine, b).packets_refused == 0
    one.rtp.sendto(IFP, (HERE, port_a))
    assert poll_until(lambda: counts(engine, a).packets_refused == 1)
    two.rtp.setblocking(False)
    one.send_tone(port_a, 440)
    assert two.wait_for(1)[0].ssrc != one.ssrc
