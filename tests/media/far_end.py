"""The far end of a leg, for the tests of the media engine: a phone whose RTP is made by hand.

The engine's own parser and codec are so not their own judge. The tests of `tests/media` import this.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from _trunkline import Codec, LegStatistics, MediaEngine

PCMU, PCMA = Codec("PCMU", 8000, payload_type=0), Codec("PCMA", 8000, payload_type=8)
HERE = "127.0.0.1"


def events_codec(payload_type: int) -> Codec:
    return Codec("telephone-event", 8000, payload_type=payload_type, fmtp="0-15")


def poll_until(holds: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    """Ask until it holds or the deadline has passed; the wait in between is the system's, for nothing."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], 0.005)
    return True


@dataclass
class Packet:
    """An RTP packet as read by hand."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class Phone:
    """The far end of a leg."""

    def __init__(self, host: str = HERE, ssrc: int = 0x1234_5678) -> None:
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for one in (self.rtp, self.rtcp):
            one.bind((host, 0))
            one.setblocking(False)
        self.ssrc = ssrc
        self.sequence = 1000
        self.phase = 0
        self.packets: list[Packet] = []

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.rtp.getsockname()
        return host, port

    def send(self, port: int, payload: bytes, payload_type: int = 0, *, timestamp: int | None = None) -> None:
        self.sequence = (self.sequence + 1) & 0xFFFF
        at = self.sequence * 160 if timestamp is None else timestamp
        header = struct.pack("!BBHII", 0x80, payload_type, self.sequence, at, self.ssrc)
        self.rtp.sendto(header + payload, (HERE, port))

    def send_tone(self, port: int, frequency_hz: float, payload_type: int = 0) -> None:
        """Twenty milliseconds of a tone in µ-law."""
        samples = (math.sin(math.tau * frequency_hz * (self.phase + n) / 8000) * 8000 for n in range(160))
        self.phase += 160
        self.send(port, bytes(encode_mu(round(sample)) for sample in samples), payload_type)

    def receive(self) -> list[Packet]:
        """What has arrived since the last call; all of it stays in `packets`."""
        new = []
        while select.select([self.rtp], [], [], 0)[0]:
            data = self.rtp.recv(2048)
            first, second, sequence, timestamp, ssrc = struct.unpack("!BBHII", data[:12])
            assert first == 0x80
            new.append(Packet(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[12:]))
        self.packets += new
        return new

    def wait_for(self, count: int) -> list[Packet]:
        assert poll_until(lambda: bool(self.receive() is not None and len(self.packets) >= count)), len(self.packets)
        return self.packets

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


def encode_mu(sample: int) -> int:
    """µ-law after the segment table of G.711, written down independently of the engine."""
    magnitude = min(abs(sample) // 4, 8158) + 33
    segment = next(n for n in range(8) if magnitude < 64 << n)
    return ~((0x80 if sample < 0 else 0) | segment << 4 | (magnitude >> (segment + 1)) & 0x0F) & 0xFF


def decode_mu(code: int) -> int:
    code = ~code & 0xFF
    value = (((code & 0x0F) * 2 + 33) << (code >> 4 & 7)) - 33
    return -value * 4 if code & 0x80 else value * 4


def strength(payload: bytes, frequency_hz: float) -> float:
    """The share of the power at a frequency (Goertzel's sum, written as a plain correlation)."""
    samples = [decode_mu(code) for code in payload]
    turn = [
        (math.cos(math.tau * frequency_hz * n / 8000), math.sin(math.tau * frequency_hz * n / 8000))
        for n in range(len(samples))
    ]
    re = sum(s * c for s, (c, _) in zip(samples, turn, strict=True))
    im = sum(s * i for s, (_, i) in zip(samples, turn, strict=True))
    total = sum(s * s for s in samples) or 1
    return (re * re + im * im) * 2 / len(samples) / total


@dataclass
class Side:
    """A leg, its phone, and how it was configured."""

    engine: MediaEngine
    phone: Phone
    events: int = 101
    beside: int = 0
    learn_from: str | None = None
    leg: int = 0
    port: int = 0
    audio: list[Codec] = field(default_factory=lambda: [PCMU])

    def open(self) -> Side:
        self.leg, self.port = self.engine.open_leg(HERE, beside=self.beside)
        self.configure()
        return self

    def configure(
        self,
        *,
        sends: bool = True,
        receives: bool = True,
        silence_timeout_s: float = 0.0,
        remote: tuple[str, int] | None = None,
    ) -> None:
        codecs = [*self.audio, events_codec(self.events)]
        host, port = remote or self.phone.address
        rtcp = self.phone.rtcp.getsockname()
        self.engine.configure(
            self.leg,
            remote_rtp=(host, port),
            remote_rtcp=rtcp,
            sends=sends,
            receives=receives,
            receive_codecs=codecs,
            send_codecs=codecs,
            learn_from=self.learn_from,
            silence_timeout_s=silence_timeout_s,
        )

    @property
    def statistics(self) -> LegStatistics:
        statistics = self.engine.statistics(self.leg)
        assert statistics is not None
        return statistics


def counts(engine: MediaEngine, leg: int) -> LegStatistics:
    """The counts of a leg that there is."""
    statistics = engine.statistics(leg)
    assert statistics is not None
    return statistics
