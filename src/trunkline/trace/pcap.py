"""The record as a pcap file that every packet analyser reads.

The packets are made up around what was traced: an IP header and UDP or TCP with plausible sequence numbers. File format: libpcap's
classic one with LINKTYPE_RAW (draft-ietf-opsawg-pcap).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from trunkline.trace.recorder import Entry, TracedMessage

__all__ = ["PcapWriter", "write_pcap"]

MAGIC = 0xA1B2C3D4
LINKTYPE_RAW = 101
SNAPLEN = 262_144
UDP, TCP = 17, 6
TCP_PSH_ACK = 0x5018
"""Data offset of five words, flags PSH and ACK."""
MAX_PAYLOAD = 65_000
"""Bytes of a message that fit into one made-up packet; a longer one is cut."""


class PcapWriter:
    """Writes messages to a pcap file as they come.

    Args:
        file: Opened for writing bytes.
        wall_offset_s: Added to an entry's time to make it Unix time.
    """

    def __init__(self, file: BinaryIO, *, wall_offset_s: float = 0.0) -> None:
        self._file = file
        self._wall_offset_s = wall_offset_s
        self._sequence: dict[tuple[object, object], int] = {}
        file.write(struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, SNAPLEN, LINKTYPE_RAW))

    def add(self, entry: Entry) -> None:
        """Write one entry; events are no packets and are left out."""
        if not isinstance(entry, TracedMessage):
            return
        packet = self._packet(entry)
        moment = entry.time_s + self._wall_offset_s
        seconds = int(moment)
        micros = int((moment - seconds) * 1_000_000)
        self._file.write(struct.pack("<IIII", seconds, micros, len(packet), len(packet)) + packet)

    def _packet(self, entry: TracedMessage) -> bytes:
        source, destination = entry.source, entry.destination
        payload = entry.data[:MAX_PAYLOAD]
        protocol = UDP if entry.transport == "udp" else TCP
        if protocol == UDP:
            header = struct.pack("!HHHH", source[1], destination[1], 8 + len(payload), 0)
        else:
            header = self._tcp_header(source, destination, len(payload))
        return _ip_header(source[0], destination[0], protocol, len(header) + len(payload)) + header + payload

    def _tcp_header(self, source: tuple[str, int], destination: tuple[str, int], size: int) -> bytes:
        sequence = self._sequence.get((source, destination), 1)
        acknowledged = self._sequence.get((destination, source), 1)
        self._sequence[source, destination] = (sequence + size) & 0xFFFFFFFF
        return struct.pack("!HHIIHHHH", source[1], destination[1], sequence, acknowledged, TCP_PSH_ACK, 65535, 0, 0)


def _ip_header(source: str, destination: str, protocol: int, size: int) -> bytes:
    from_ip, to_ip = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if from_ip.version == 6:
        return struct.pack("!IHBB", 6 << 28, size, protocol, 64) + from_ip.packed + to_ip.packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, protocol, 0) + from_ip.packed + to_ip.packed
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return head[:10] + struct.pack("!H", checksum) + head[12:]


def write_pcap(path: Path, entries: Iterable[Entry], *, wall_offset_s: float = 0.0) -> None:
    """Write what was recorded to a file.

    Args:
        path: The file; replaced if it exists.
        entries: What was recorded.
        wall_offset_s: Added to an entry's time to make it Unix time.
    """
    with path.open("wb") as file:
        writer = PcapWriter(file, wall_offset_s=wall_offset_s)
        for entry in entries:
            writer.add(entry)
