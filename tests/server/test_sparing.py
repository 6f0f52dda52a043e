"""What a phone is sent when it says that it wants less, over real sockets: comfort noise for silence, Opus as its `a=fmtp` asks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from tests.server.test_sound import REALM, tone_wav
from trunkline.calls.session import CallSession
from trunkline.media.engine import LegStatistics
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import Codec
from trunkline.testing.phone import Phone

PCMU, NOISE = Codec("PCMU", 8000), Codec("CN", 8000)
TALK_S, SILENCE_S = 0.6, 2.4

_ports = itertools.count(34_000, 200)


def opus(fmtp: str | None = None) -> Codec:
    return Codec("opus", 48_000, 2, fmtp=fmtp)


async def listen(codecs: Sequence[Codec], names: Sequence[str]) -> LegStatistics:
    """A phone of these codecs is played a tone and silence; what it got."""
    first = next(_ports)
    server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(first, first + 199), codecs=names)

    @server.on_incoming_call
    async def answer(call: CallSession) -> None:
        await call.answer()
        await call.play(tone_wav(700, TALK_S))
        await call.play(tone_wav(700, SILENCE_S, peak=0))
        call.close()

    async with server:
        server.add_user("alice", password="a")
        async with Phone("alice", "a", server.local_address("udp"), realm=REALM, codecs=codecs) as alice:
            await alice.register()
            at_alice = alice.dial("bob")
            await at_alice.wait_answered()
            async with asyncio.timeout(20):
                await at_alice.wait_ended()
            statistics = at_alice.leg.statistics
    assert statistics is not None
    return statistics


@pytest.mark.parametrize(("named", "spared"), [(["PCMU"], False), (["PCMU", "CN"], True)])
def test_silence_is_not_sent_to_a_phone_that_makes_its_own_where_the_settings_allow_it(
    named: list[str], spared: bool
) -> None:
    got = asyncio.run(listen([PCMU, NOISE], named))
    # 0.6 s of a tone and 0.2 s of silence are 40 packets, and the noise is told once a second
    assert got.packets_received < 70 if spared else got.packets_received > 120
    assert got.packets_lost == 0


@pytest.mark.parametrize("codec", [opus("maxaveragebitrate=6000"), opus("usedtx=1")], ids=["bit rate", "DTX"])
def test_opus_is_sent_as_the_phone_asks(codec: Codec) -> None:
    async def both() -> tuple[LegStatistics, LegStatistics]:
        return await asyncio.gather(listen([opus()], ["opus"]), listen([codec], ["opus"]))

    free, asked = asyncio.run(both())
    assert asked.bytes_received < free.bytes_received * 0.75
    if codec.fmtp == "usedtx=1":
        assert asked.packets_received < free.packets_received * 0.6
