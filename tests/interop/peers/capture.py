"""Listens to a namespace's traffic, for peers that keep no recording and to count lost packets.

A `Capture` copies every UDP packet that passes the namespace's link. From the copies it makes what an RTP port heard
(G.711 decoded, in order of arrival) and how many packets of each stream are missing. Used by the interop tests.
"""

from __future__ import annotations

import array
import contextlib
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from peers import audio
from peers.namespace import Namespace
from peers.process import wait_until

_ETH_P_ALL = 3
_ETHERNET_BYTES = 14
_RECEIVE_BUFFER_BYTES = 8_000_000
_MAX_PACKET_BYTES = 65536
_PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _MAX_PACKET_BYTES, 1)


@dataclass(frozen=True)
class Datagram:
    """One UDP packet.

    Attributes:
        source: address and port.
        target: address and port.
        payload: what UDP carried.
        frame: the whole Ethernet frame.
        at_s: when it was read, by the monotonic clock.
    """

    source: tuple[str, int]
    target: tuple[str, int]
    payload: bytes
    frame: bytes
    at_s: float


@dataclass(frozen=True)
class Stream:
    """One RTP stream, by target and SSRC (RFC 3550 §5.1).

    Attributes:
        target: where it went.
        ssrc: its source.
        payload_types: those it used.
        received: packets.
        lost: sequence numbers between the first and the last that never came.
    """

    target: tuple[str, int]
    ssrc: int
    payload_types: frozenset[int]
    received: int
    lost: int


class Capture:
    """A running capture.

    Args:
        inside: the namespace whose link is listened to.
    """

    def __init__(self, inside: Namespace) -> None:
        self._datagrams: list[Datagram] = []
        self._socket = inside.call(lambda: _listen(f"{inside.name}p"))
        self._thread = threading.Thread(target=self._read, name="peer-capture", daemon=True)
        self._stopping = False
        self._thread.start()

    def _read(self) -> None:
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                datagram = _datagram(self._socket.recv(_MAX_PACKET_BYTES))
                if datagram is not None:
                    self._datagrams.append(datagram)

    def datagrams(self, to: tuple[str, int] | None = None) -> list[Datagram]:
        """Everything so far, or what went to one address and port."""
        return [datagram for datagram in list(self._datagrams) if to in (None, datagram.target)]

    def rtp(self, to: tuple[str, int] | None = None) -> list[Datagram]:
        """The RTP packets so far, or those to one address and port; RTCP is left out (RFC 5761 §4)."""
        return [datagram for datagram in self.datagrams(to) if _is_rtp(datagram.payload)]

    def rtcp(self, to: tuple[str, int] | None = None) -> list[Datagram]:
        """The RTCP packets so far, or those to one address and port (RFC 3550 §6.1, RFC 5761 §4)."""
        return [datagram for datagram in self.datagrams(to) if _is_rtcp(datagram.payload)]

    def streams(self, to: tuple[str, int] | None = None) -> list[Stream]:
        """The RTP streams so far, in order of their first packet."""
        packets: defaultdict[tuple[tuple[str, int], int], list[bytes]] = defaultdict(list)
        for datagram in self.rtp(to):
            packets[datagram.target, int.from_bytes(datagram.payload[8:12])].append(datagram.payload)
        return [_stream(target, ssrc, found) for (target, ssrc), found in packets.items()]

    def heard(self, to: tuple[str, int], ssrc: int | None = None) -> audio.Recording:
        """The G.711 sound that went to an address and port, in order of arrival; of one source, if it is given."""
        samples = array.array("h")
        for datagram in self.rtp(to):
            if ssrc not in (None, int.from_bytes(datagram.payload[8:12])):
                continue
            decode = audio.G711_DECODERS.get(datagram.payload[1] & 0x7F)
            if decode is not None:
                samples.extend(decode[code] for code in datagram.payload[_rtp_header_bytes(datagram.payload) :])
        return audio.Recording(samples, 8000)

    def wait_target(self, address: str, timeout_s: float = 10.0) -> tuple[str, int]:
        """Wait until an address is sent RTP, and return it with the port of the last stream there."""

        def target() -> tuple[str, int] | None:
            return next((one.target for one in reversed(self.streams()) if one.target[0] == address), None)

        return wait_until(target, timeout_s, f"RTP to {address}")

    def wait_heard(self, to: tuple[str, int], duration_s: float, timeout_s: float = 15.0) -> audio.Recording:
        """Wait until an address and port has been sent so much sound, and return it."""

        def enough() -> audio.Recording | None:
            heard = self.heard(to).sounding()
            return heard if heard.duration_s >= duration_s else None

        return wait_until(enough, timeout_s, f"{duration_s:g} s of sound to {to[0]}:{to[1]}")

    def wait_silent(self, to: str, for_s: float, timeout_s: float = 10.0) -> None:
        """Wait until an address has been sent no RTP for so long."""
        began_s = time.monotonic()

        def silent() -> bool:
            last_s = max((datagram.at_s for datagram in self.rtp() if datagram.target[0] == to), default=began_s)
            return time.monotonic() - max(last_s, began_s) >= for_s

        wait_until(silent, timeout_s, f"{for_s:g} s without RTP to {to}")

    def sip(self, to: str | None = None) -> str:
        """The SIP messages over UDP so far, one after the other; of those to one address alone, when it is given."""
        found = [datagram.payload for datagram in self.datagrams() if to in (None, datagram.target[0])]
        text = [payload.decode(errors="replace") for payload in found if b"SIP/2.0" in payload]
        return "\n".join(text).replace("\r\n", "\n")

    def wait_sip(self, pattern: str, to: str | None = None, timeout_s: float = 10.0) -> re.Match[str]:
        """Wait until the SIP messages so far match a regular expression (multi-line)."""
        compiled = re.compile(pattern, re.MULTILINE)
        return wait_until(lambda: compiled.search(self.sip(to)), timeout_s, f"SIP matching {pattern!r}")

    def write_pcap(self, path: Path) -> Path:
        """Write everything into a pcap file for Wireshark (times are monotonic) and return its path."""
        path.write_bytes(_PCAP_HEADER + b"".join(_pcap_record(datagram) for datagram in self.datagrams()))
        return path

    def stop(self) -> None:
        """End the capture; what was captured stays."""
        self._stopping = True
        self._thread.join(5.0)
        self._socket.close()


def _listen(link: str) -> socket.socket:
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, 33, _RECEIVE_BUFFER_BYTES)  # SO_RCVBUFFORCE
    listener.bind((link, _ETH_P_ALL))
    listener.settimeout(0.1)
    return listener


def _datagram(frame: bytes) -> Datagram | None:
    """An unfragmented UDP packet over IPv4 (RFC 791, RFC 768) in an Ethernet frame."""
    packet = frame[_ETHERNET_BYTES:]
    if frame[12:14] != b"\x08\x00" or len(packet) < 28 or packet[9] != socket.IPPROTO_UDP:
        return None
    udp = packet[(packet[0] & 0x0F) * 4 : int.from_bytes(packet[2:4])]
    if len(udp) < 8:
        return None
    source, target = (int.from_bytes(udp[at : at + 2]) for at in (0, 2))
    return Datagram(
        (socket.inet_ntoa(packet[12:16]), source),
        (socket.inet_ntoa(packet[16:20]), target),
        udp[8:],
        frame,
        time.monotonic(),
    )


def _pcap_record(datagram: Datagram) -> bytes:
    seconds, microseconds = divmod(round(datagram.at_s * 1_000_000), 1_000_000)
    size = len(datagram.frame)
    return struct.pack("<IIII", seconds, microseconds, size, size) + datagram.frame


def _is_rtp(payload: bytes) -> bool:
    return len(payload) >= 12 and payload[0] >> 6 == 2 and not 64 <= payload[1] & 0x7F <= 95


def _is_rtcp(payload: bytes) -> bool:
    return len(payload) >= 8 and payload[0] >> 6 == 2 and 64 <= payload[1] & 0x7F <= 95


def _rtp_header_bytes(payload: bytes) -> int:
    size = 12 + 4 * (payload[0] & 0x0F)
    extended = payload[0] & 0x10
    return size + 4 + 4 * int.from_bytes(payload[size + 2 : size + 4]) if extended else size


def _stream(target: tuple[str, int], ssrc: int, packets: list[bytes]) -> Stream:
    first = last = int.from_bytes(packets[0][2:4])
    seen = {first}
    for packet in packets[1:]:
        # Unfold the 16-bit number next to the last one (RFC 3550 appendix A.1).
        last += (int.from_bytes(packet[2:4]) - last + 0x8000) % 0x10000 - 0x8000
        seen.add(last)
    types = frozenset(packet[1] & 0x7F for packet in packets)
    return Stream(target, ssrc, types, len(packets), max(seen) - min(seen) + 1 - len(seen))
