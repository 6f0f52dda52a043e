from __future__ import annotations

import socket
import struct

import pytest

from trunkline.trace.hep import HepSender, hep_packet
from trunkline.trace.recorder import TracedMessage

OPTIONS = b"OPTIONS sip:us SIP/2.0\r\nContent-Length: 0\r\n\r\n"


def message(
    *,
    transport: str = "udp",
    sent: bool = True,
    local: str = "10.0.0.1",
    remote: str = "10.0.0.2",
    data: bytes = OPTIONS,
    time_s: float = 100.25,
) -> TracedMessage:
    start_line = "OPTIONS sip:us SIP/2.0"
    return TracedMessage(time_s, sent, transport, (local, 5060), (remote, 5062), start_line, "abc@here", data)


def chunks(packet: bytes) -> dict[int, bytes]:
    magic, size = struct.unpack_from("!4sH", packet)
    assert magic == b"HEP3"
    assert size == len(packet)
    found, offset = {}, 6
    while offset < size:
        vendor, kind, length = struct.unpack_from("!HHH", packet, offset)
        assert vendor == 0
        assert kind not in found
        found[kind] = packet[offset + 6 : offset + length]
        offset += length
    return found


def test_a_sent_message_has_our_address_as_its_source() -> None:
    found = chunks(hep_packet(message(), wall_offset_s=1_000.0, agent_id=2_001))
    assert found[1] == b"\x02"
    assert found[2] == b"\x11"
    assert (found[3], found[4]) == (bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    assert struct.unpack("!HH", found[7] + found[8]) == (5060, 5062)
    assert struct.unpack("!II", found[9] + found[10]) == (1_100, 250_000)
    assert found[11] == b"\x01"
    assert struct.unpack("!I", found[12]) == (2_001,)
    assert found[15] == OPTIONS
    assert found[17] == b"abc@here"


def test_a_received_message_has_theirs() -> None:
    found = chunks(hep_packet(message(sent=False)))
    assert (found[3], found[4]) == (bytes([10, 0, 0, 2]), bytes([10, 0, 0, 1]))
    assert struct.unpack("!HH", found[7] + found[8]) == (5062, 5060)


def test_ipv6_has_chunks_of_its_own() -> None:
    found = chunks(hep_packet(message(local="::1", remote="2001:db8::2", transport="tcp")))
    assert (found[1], found[2]) == (b"\x0a", b"\x06")
    assert 3 not in found
    assert found[6] == socket.inet_pton(socket.AF_INET6, "2001:db8::2")


def test_a_socket_that_has_no_address_of_its_own_family_is_mapped() -> None:
    found = chunks(hep_packet(message(local="0.0.0.0", remote="2001:db8::2")))
    assert found[5] == socket.inet_pton(socket.AF_INET6, "::ffff:0.0.0.0")


def test_the_password_stands_in_its_chunk_and_in_no_repr() -> None:
    assert 14 not in chunks(hep_packet(message()))
    assert chunks(hep_packet(message(), password="s3cret"))[14] == b"s3cret"
    sender = HepSender(("127.0.0.1", 9), password="s3cret")
    assert "s3cret" not in repr(sender)
    sender.close()


def test_a_message_that_fits_no_datagram_is_cut() -> None:
    packet = hep_packet(message(data=b"x" * 70_000))
    assert len(packet) == 65_000
    assert set(chunks(packet)[15]) == {ord("x")}


@pytest.mark.parametrize("time_s", [0.0, 0.9999999, 4_294_967_296.5])
def test_a_time_is_never_out_of_its_fields(time_s: float) -> None:
    found = chunks(hep_packet(message(time_s=time_s)))
    assert struct.unpack("!I", found[10])[0] < 1_000_000


def test_the_capture_server_gets_each_message() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        sender = HepSender(server.getsockname())
        sender.add(message())
        assert chunks(server.recv(65_536))[15] == OPTIONS
        assert sender.dropped == 0
        sender.close()


def test_nobody_there_is_counted_and_raises_nothing() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = server.getsockname()
    sender = HepSender(address)
    for _ in range(4):
        sender.add(message())
    assert sender.dropped >= 1
    sender.close()
