from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from trunkline.trace.pcap import PcapWriter, write_pcap
from trunkline.trace.recorder import TracedMessage

OPTIONS = b"OPTIONS sip:us SIP/2.0\r\nContent-Length: 0\r\n\r\n"


def message(transport: str, *, sent: bool, v6: bool = False) -> TracedMessage:
    here, there = (("::1", 5060), ("2001:db8::2", 5062)) if v6 else (("10.0.0.1", 5060), ("10.0.0.2", 5062))
    return TracedMessage(100.25, sent, transport, here, there, "OPTIONS sip:us SIP/2.0", "1", OPTIONS)


def packets(data: bytes) -> list[tuple[float, bytes]]:
    found, offset = [], 24
    while offset < len(data):
        seconds, micros, size, _ = struct.unpack_from("<IIII", data, offset)
        found.append((seconds + micros / 1e6, data[offset + 16 : offset + 16 + size]))
        offset += 16 + size
    return found


def written(*entries: TracedMessage, wall_offset_s: float = 0.0) -> bytes:
    file = io.BytesIO()
    writer = PcapWriter(file, wall_offset_s=wall_offset_s)
    for entry in entries:
        writer.add(entry)
    return file.getvalue()


def test_a_datagram_becomes_an_ip_packet_with_its_addresses() -> None:
    ((moment, packet),) = packets(written(message("udp", sent=True), wall_offset_s=1_000.0))
    assert moment == 1100.25
    assert packet[0] == 0x45
    assert packet[9] == 17
    assert packet[12:20] == bytes([10, 0, 0, 1, 10, 0, 0, 2])
    assert struct.unpack("!HH", packet[20:24]) == (5060, 5062)
    assert packet[28:] == OPTIONS


def test_the_ip_checksum_is_right() -> None:
    ((_, packet),) = packets(written(message("udp", sent=False)))
    total = sum(struct.unpack("!10H", packet[:20]))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_tcp_sequence_numbers_go_on_and_answer_each_other() -> None:
    entries = [message("tcp", sent=True), message("tcp", sent=True), message("tcp", sent=False)]
    numbers = [struct.unpack("!II", packet[24:32]) for _, packet in packets(written(*entries))]
    assert numbers == [(1, 1), (1 + len(OPTIONS), 1), (1, 1 + 2 * len(OPTIONS))]


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed (see tests/interop/install)")
def test_a_packet_analyser_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    write_pcap(path, [message("udp", sent=True), message("udp", sent=False, v6=True)])
    command = ["tcpdump", "-nn", "-t", "-r", str(path)]
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    assert read == [
        "IP 10.0.0.1.5060 > 10.0.0.2.5062: SIP: OPTIONS sip:us SIP/2.0",
        "IP6 2001:db8::2.5062 > ::1.5060: SIP: OPTIONS sip:us SIP/2.0",
    ]
