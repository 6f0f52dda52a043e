"""The record as HEP version 3 packets, for a Homer capture server (the HEP/EEP specification, revision 36).

`SipServer` makes a `HepSender` where the option `hep` names a capture server, and hands it each entry of the record.
A packet is one datagram. What cannot be sent at once is counted and dropped: tracing never holds a call up.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable

from trunkline.trace.recorder import Address, Entry, TracedMessage

__all__ = ["HepSender", "hep_packet"]

MAX_PACKET = 65_000
"""Bytes of a packet at most; a datagram holds no more, and a longer message is cut."""

SIP_PAYLOAD = 1
"""The protocol type of chunk 11 that says SIP."""

_FAMILY = {4: 2, 6: 10}
"""Chunk 1: AF_INET and AF_INET6 as the specification has them, whatever this system's numbers are."""

_ADDRESS_CHUNKS = {4: (3, 4), 6: (5, 6)}
"""Chunks of source and destination address."""

_IP_PROTOCOL = {"udp": 17}
_TCP = 6


def hep_packet(
    message: TracedMessage, *, wall_offset_s: float = 0.0, agent_id: int = 0, password: str | None = None
) -> bytes:
    """One message as a HEP version 3 packet.

    Args:
        message: What went over the wire.
        wall_offset_s: Added to its time to make it Unix time.
        agent_id: The number that the capture server knows us by, 0 to 4294967295.
        password: Proves us to a capture server that asks for one; None where it does not.

    Example:
        >>> from trunkline.trace.recorder import TracedMessage
        >>> sent = TracedMessage(0.0, True, "udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060), "", "a@b", b"OPTIONS")
        >>> hep_packet(sent)[:4]
        b'HEP3'
    """
    head = b"".join(_head_chunks(message, wall_offset_s, agent_id, password))
    room = MAX_PACKET - 6 - len(head) - 6
    body = head + _chunk(15, message.data[:room])
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


def _head_chunks(message: TracedMessage, wall_offset_s: float, agent_id: int, password: str | None) -> Iterable[bytes]:
    version, source, destination = _packed(message.source, message.destination)
    from_chunk, to_chunk = _ADDRESS_CHUNKS[version]
    moment_us = round((message.time_s + wall_offset_s) * 1_000_000)
    yield _chunk(1, struct.pack("!B", _FAMILY[version]))
    yield _chunk(2, struct.pack("!B", _IP_PROTOCOL.get(message.transport, _TCP)))
    yield _chunk(from_chunk, source)
    yield _chunk(to_chunk, destination)
    yield _chunk(7, struct.pack("!H", message.source[1]))
    yield _chunk(8, struct.pack("!H", message.destination[1]))
    yield _chunk(9, struct.pack("!I", moment_us // 1_000_000 & 0xFFFFFFFF))
    yield _chunk(10, struct.pack("!I", moment_us % 1_000_000))
    yield _chunk(11, struct.pack("!B", SIP_PAYLOAD))
    yield _chunk(12, struct.pack("!I", agent_id))
    if password is not None:
        yield _chunk(14, password.encode())
    if message.call_id:
        # both legs of a call have a Call-ID of their own; the ladder shows each, the capture server joins them by it
        yield _chunk(17, message.call_id.encode())


def _chunk(kind: int, data: bytes) -> bytes:
    """A chunk of the generic vendor 0."""
    return struct.pack("!HHH", 0, kind, 6 + len(data)) + data


def _packed(source: Address, destination: Address) -> tuple[int, bytes, bytes]:
    """IP version and both addresses; IPv4 is written as IPv6 where the other one is, as on a dual socket."""
    pair = [ipaddress.ip_address(address[0]) for address in (source, destination)]
    if len({each.version for each in pair}) > 1:
        pair = [each if each.version == 6 else ipaddress.ip_address(f"::ffff:{each}") for each in pair]
    return pair[0].version, pair[0].packed, pair[1].packed


class HepSender:
    """Sends the messages of the record to a capture server.

    Args:
        server: Its address (a literal) and UDP port.
        wall_offset_s: Added to an entry's time to make it Unix time.
        agent_id: The number that the capture server knows us by.
        password: Proves us to it; None where it asks for none.

    Raises:
        OSError: There is no way to that address.
    """

    def __init__(
        self, server: Address, *, wall_offset_s: float = 0.0, agent_id: int = 0, password: str | None = None
    ) -> None:
        self._wall_offset_s = wall_offset_s
        self._agent_id = agent_id
        self._password = password
        self.dropped = 0
        """Messages that could not be sent at once."""
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect(server)
        except OSError:
            self._socket.close()
            raise

    def __repr__(self) -> str:
        return f"<HepSender agent {self._agent_id}>"

    def add(self, entry: Entry) -> None:
        """Send one entry; events are no messages and are left out. Never raises."""
        if not isinstance(entry, TracedMessage):
            return
        packet = hep_packet(entry, wall_offset_s=self._wall_offset_s, agent_id=self._agent_id, password=self._password)
        try:
            self._socket.send(packet)
        except OSError:
            # a full buffer, or nobody there: the refusal of an earlier packet is told with a later one
            self.dropped += 1

    def close(self) -> None:
        """Send no more."""
        self._socket.close()
