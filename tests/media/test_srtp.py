"""SRTP of a leg through real sockets, beside libsrtp: every suite both ways, RTCP, roll-over, new keys, and who is not heard."""

from __future__ import annotations

import base64
import re
import select
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from _trunkline import MediaEngine, MediaPlan, SessionDescriber
from tests.media.far_end import HERE, PCMU, Phone, counts, poll_until, strength
from tests.media.libsrtp import SETTERS, LibSrtp, Refused, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

LENGTHS = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}


@dataclass
class Secure:
    """A leg, and a phone whose packets libsrtp makes and reads."""

    engine: MediaEngine
    phone: Phone
    suite: str
    key: bytes
    leg: int = 0
    port: int = 0
    sequence: int = 1000
    describer: SessionDescriber = field(
        default_factory=lambda: SessionDescriber(session_id=1, srtp="required", keys_may_cross=True)
    )

    def open(self, *, behind_nat: bool = False) -> Secure:
        self.leg, self.port = self.engine.open_leg(HERE)
        self.described = ("192.0.2.1", 4000) if behind_nat else self.phone.address
        self.learn_from = HERE if behind_nat else None
        self.offer(self.key)
        self.ours = LibSrtp(self.suite, self.key, sends=True)
        self.theirs = LibSrtp(self.suite, self.leg_key, sends=False)
        return self

    def offer(self, key: bytes) -> MediaPlan:
        """Offer the leg this key, and have it do what it answers."""
        host, port = self.described
        text = base64.b64encode(key).decode()
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/SAVP 0\r\n"
            f"a=rtpmap:0 PCMU/8000\r\na=crypto:7 {self.suite} inline:{text}|2^31\r\n"
        )
        offer = self.describer.read_offer(sdp.encode())
        answer, plan = self.describer.answer(offer, address=HERE, port=self.port, codecs=[PCMU])
        found = re.search(rf"a=crypto:7 {self.suite} inline:(\S+)", answer.decode())
        assert found is not None
        self.leg_key = base64.b64decode(found[1])
        self.engine.configure(
            self.leg,
            remote_rtp=plan.remote_rtp,
            remote_rtcp=self.phone.rtcp.getsockname(),
            sends=True,
            receives=True,
            receive_codecs=plan.receive_codecs,
            send_codecs=plan.send_codecs,
            learn_from=self.learn_from,
            keys=plan.keys,
        )
        self.engine.listen(self.leg)
        return plan

    def packet(self, payload: bytes) -> bytes:
        self.sequence += 1
        number = self.sequence & 0xFFFF
        return struct.pack("!BBHII", 0x80, 0, number, self.sequence * 160 & 0xFFFF_FFFF, 77) + payload

    def send(self, data: bytes, by: Phone | None = None) -> None:
        (by or self.phone).rtp.sendto(data, (HERE, self.port))

    def hears(self, count: int) -> list[bytes]:
        """The next packets of the leg, undone."""
        got: list[bytes] = []

        def enough() -> bool:
            while select.select([self.phone.rtp], [], [], 0)[0]:
                got.append(self.theirs.unprotect(self.phone.rtp.recv(2048)))
            return len(got) >= count

        assert poll_until(enough), len(got)
        return got

    @property
    def received(self) -> int:
        return counts(self.engine, self.leg).packets_received

    @property
    def refused(self) -> int:
        return counts(self.engine, self.leg).packets_refused


MakeSecure = Callable[..., Secure]


@pytest.fixture
def secure(engine: MediaEngine, phone: Callable[..., Phone]) -> Iterator[MakeSecure]:
    made: list[Secure] = []

    def make(suite: str = "AES_CM_128_HMAC_SHA1_80", **how: bool) -> Secure:
        key = bytes(range(LENGTHS[suite]))
        made.append(Secure(engine, phone(), suite, key).open(**how))
        return made[-1]

    yield make
    for one in made:
        one.ours.close()
        one.theirs.close()


@pytest.mark.parametrize("suite", SETTERS)
def test_what_libsrtp_sends_is_heard_and_it_hears_what_the_leg_sends(secure: MakeSecure, suite: str) -> None:
    side = secure(suite)
    tones = Phone()
    try:
        for _ in range(50):
            tones.send_tone(tones.address[1], 440)
        plain = [packet.payload for packet in tones.wait_for(50)]
    finally:
        tones.close()
    for payload in plain:
        side.send(side.ours.protect(side.packet(payload)))
    assert poll_until(lambda: side.received == 50)
    heard = side.engine.heard(side.leg)
    assert abs(heard.frequency_hz - 440) < 10
    side.engine.play_tone(side.leg, 700.0)
    audio = b"".join(packet[12:] for packet in side.hears(25))
    side.engine.stop_tone(side.leg)
    assert strength(audio, 700) > 0.99


@pytest.mark.parametrize("suite", SETTERS)
def test_reports_cross_as_srtcp_both_ways(secure: MakeSecure, suite: str) -> None:
    side = secure(suite)
    receiver_report = struct.pack("!BBHI", 0x80, 201, 1, 77) + struct.pack(
        "!BBHIBB2sBBH", 0x81, 202, 3, 77, 1, 2, b"me", 0, 0, 0
    )
    sent = side.ours.protect_rtcp(receiver_report)
    side.phone.rtcp.sendto(receiver_report, (HERE, side.port + 1))
    assert poll_until(lambda: side.refused == 1)
    side.phone.rtcp.sendto(sent, (HERE, side.port + 1))
    side.phone.rtcp.sendto(sent, (HERE, side.port + 1))
    assert poll_until(lambda: side.refused == 2)  # the second of the two is a replay
    side.send(side.ours.protect(side.packet(bytes(160))))
    side.engine.play_tone(side.leg, 700.0)
    side.hears(1)
    assert side.engine.close_leg(side.leg) is not None
    assert select.select([side.phone.rtcp], [], [], 5)[0]
    last = side.theirs.unprotect_rtcp(side.phone.rtcp.recv(2048))
    assert last[1] in (200, 201)


def test_neither_plain_nor_wrongly_keyed_packets_are_heard_or_latch(
    secure: MakeSecure, phone: Callable[..., Phone]
) -> None:
    side, stranger = secure(behind_nat=True), phone()
    wrong = LibSrtp(side.suite, bytes(30), sends=True)
    side.send(side.packet(bytes(160)), stranger)
    side.send(wrong.protect(side.packet(bytes(160))), stranger)
    wrong.close()
    assert poll_until(lambda: side.refused == 2)
    assert (side.received, counts(side.engine, side.leg).latched) == (0, None)
    assert side.engine.heard(side.leg).duration_s == 0
    sent = side.ours.protect(side.packet(bytes(160)))
    side.send(sent)
    assert poll_until(lambda: side.received == 1)
    assert counts(side.engine, side.leg).latched == side.phone.address
    side.send(sent, stranger)
    assert poll_until(lambda: side.refused == 3)
    assert counts(side.engine, side.leg).latched == side.phone.address


@pytest.mark.parametrize("suite", ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"])
def test_the_roll_over_counter_outlives_a_description_that_repeats_the_keys(secure: MakeSecure, suite: str) -> None:
    side = secure(suite)
    # libsrtp guesses the counter by what it has seen: it is led around the corner in steps that are small enough
    side.sequence = 0x7000
    for start in (0x7000, 0xC000, 0x1_0001, 0x1_6000):
        side.sequence = start
        side.send(side.ours.protect(side.packet(bytes(160))))
    assert poll_until(lambda: side.received == 4)
    before = side.leg_key
    side.offer(side.key)
    assert side.leg_key == before
    side.sequence = 0x1_6001
    side.send(side.ours.protect(side.packet(bytes(160))))
    assert poll_until(lambda: side.received == 5)
    assert side.refused == 0


def test_a_fresh_key_is_answered_with_a_fresh_one_and_the_old_one_fades(secure: MakeSecure) -> None:
    side = secure()
    late = [side.ours.protect(side.packet(bytes(160))) for _ in range(2)]
    before = side.leg_key
    side.offer(b"\x77" * 30)
    assert side.leg_key != before
    side.send(late[0])
    assert poll_until(lambda: side.received == 1)
    renewed = LibSrtp(side.suite, b"\x77" * 30, sends=True)
    for _ in range(70):
        side.send(renewed.protect(side.packet(bytes(160))))
    renewed.close()
    assert poll_until(lambda: side.received == 71)
    side.send(late[1])
    assert poll_until(lambda: side.refused == 1)
    side.theirs.close()
    side.theirs = LibSrtp(side.suite, side.leg_key, sends=False)
    side.engine.play_tone(side.leg, 700.0)
    assert len(side.hears(3)) >= 3


def test_what_the_leg_sends_is_of_no_use_to_who_has_another_key(secure: MakeSecure) -> None:
    side = secure()
    other = LibSrtp(side.suite, side.key, sends=False)
    side.engine.play_tone(side.leg, 700.0)
    assert select.select([side.phone.rtp], [], [], 5)[0]
    with suppress(BlockingIOError), pytest.raises(Refused):
        other.unprotect(side.phone.rtp.recv(2048))
    other.close()


def test_no_key_is_shown_by_a_plan(secure: MakeSecure) -> None:
    side = secure()
    plan = side.describer.plan
    assert plan is not None
    assert plan.keys is not None
    assert repr(plan.keys) == "<SrtpKeys AES_CM_128_HMAC_SHA1_80>"
    assert "inline" not in repr(plan)
    assert not [name for name in dir(plan.keys) if not name.startswith("__") and name != "suite"]
