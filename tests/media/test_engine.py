"""The media engine through real sockets on loopback: relay, tones, digits, RTCP, statistics, and what is left after closing."""

from __future__ import annotations

import math
import os
import select
import socket
import struct
from collections.abc import Callable

import pytest

from _trunkline import Codec, MediaEngine
from tests.media.far_end import HERE, PCMA, PCMU, Phone, Side, counts, events_codec, poll_until, strength

# --- relay ------------------------------------------------------------------------------------------------------------


def test_audio_crosses_both_ways_as_it_is(sides: tuple[Side, Side]) -> None:
    a, b = sides
    for _ in range(50):
        a.phone.send_tone(a.port, 440)
        b.phone.send_tone(b.port, 660)
    for hears, frequency in ((b.phone, 440), (a.phone, 660)):
        packets = hears.wait_for(50)
        audio = b"".join(packet.payload for packet in packets)
        assert strength(audio, frequency) > 0.99
        assert strength(audio, 1100 - frequency) < 0.01
        assert [packet.sequence - packets[0].sequence & 0xFFFF for packet in packets] == list(range(50))


def test_legs_on_different_workers_relay_too(engine: MediaEngine, phone: Callable[..., Phone]) -> None:
    a, b = Side(engine, phone()).open(), Side(engine, phone()).open()
    engine.link(a.leg, b.leg)
    assert b.statistics.packets_sent == 0
    for _ in range(20):
        a.phone.send_tone(a.port, 440)
    assert strength(b"".join(packet.payload for packet in b.phone.wait_for(20)), 440) > 0.99


def test_payload_types_are_mapped_and_a_codec_of_one_side_alone_is_refused(sides: tuple[Side, Side]) -> None:
    a, b = sides
    a.phone.send(a.port, struct.pack("!BBH", 5, 10, 160), 96)
    assert b.phone.wait_for(1)[0].payload_type == 101
    b.phone.send(b.port, struct.pack("!BBH", 5, 10, 160), 101)
    assert a.phone.wait_for(1)[0].payload_type == 96
    a.phone.send(a.port, bytes(160), 8)
    assert poll_until(lambda: a.statistics.packets_refused == 1)
    b.audio = [PCMA]
    b.configure()
    assert b.statistics.packets_refused == 0  # answered after the command was carried out
    a.phone.send(a.port, bytes(160), 0)
    assert poll_until(lambda: b.statistics.packets_refused == 1)
    assert len(b.phone.receive()) == 0


def test_neither_side_sees_the_others_ssrc_or_numbers(sides: tuple[Side, Side]) -> None:
    a, b = sides
    a.phone.send_tone(a.port, 440)
    packet = b.phone.wait_for(1)[0]
    assert packet.ssrc != a.phone.ssrc
    assert packet.sequence != a.phone.sequence or packet.timestamp != a.phone.sequence * 160


def test_unlinked_legs_hear_nothing_of_each_other(sides: tuple[Side, Side]) -> None:
    a, b = sides
    a.engine.unlink(b.leg)
    assert b.statistics.packets_sent == 0  # answered after the command was carried out
    a.phone.send_tone(a.port, 440)
    assert poll_until(lambda: a.statistics.packets_received == 1)
    assert b.statistics.packets_sent == 0


# --- tones and digits -------------------------------------------------------------------------------------------------


def pair(engine: MediaEngine) -> tuple[int, int]:
    """Two legs that are each other's peer, as two embedded phones are."""
    (a, port_a), (b, port_b) = engine.open_leg(HERE), engine.open_leg(HERE)
    codecs = [PCMA, PCMU, events_codec(101)]
    for leg, remote in ((a, port_b), (b, port_a)):
        engine.configure(
            leg,
            remote_rtp=(HERE, remote),
            remote_rtcp=(HERE, remote + 1),
            sends=True,
            receives=True,
            receive_codecs=codecs,
            send_codecs=codecs,
        )
    return a, b


def test_a_tone_is_heard_by_its_frequency_and_level(engine: MediaEngine) -> None:
    a, b = pair(engine)
    engine.listen(b)
    assert counts(engine, b).packets_received == 0  # answered after the command was carried out
    engine.play_tone(a, 523.25, -16.0)
    assert poll_until(lambda: counts(engine, b).packets_received >= 25)
    heard = engine.heard(b)
    assert heard.frequency_hz == pytest.approx(523.25, abs=1.0)
    assert heard.level_dbm0 == pytest.approx(-16.0, abs=0.3)
    assert heard.purity > 0.99
    assert heard.gaps == 0
    assert heard.duration_s >= 0.5
    engine.stop_tone(a)
    engine.statistics(a)
    engine.heard(b)
    silent = engine.heard(b)
    assert (silent.frequency_hz, silent.level_dbm0, silent.duration_s) == (0.0, -math.inf, 0.0)


def test_silence_is_sent_as_packets(engine: MediaEngine) -> None:
    a, b = pair(engine)
    engine.listen(b)
    engine.play_tone(a, 0.0)
    assert poll_until(lambda: counts(engine, b).packets_received >= 10)
    assert engine.heard(b).frequency_hz == 0.0


def test_digits_are_heard_once_each(engine: MediaEngine) -> None:
    a, b = pair(engine)
    engine.play_tone(a, 440)
    engine.send_digits(a, "15#*09", duration_ms=60)
    digits = ""

    def gather() -> bool:
        nonlocal digits
        digits += engine.heard(b).digits
        return len(digits) >= 6

    assert poll_until(gather, 10)
    assert digits == "15#*09"


def test_fifty_phones_with_tones_lose_no_packet(engine: MediaEngine) -> None:
    calls = []
    for n in range(50):
        phone_a, phone_b = pair(engine), pair(engine)
        # Phone a0 talks to a relay leg, as in a call through the server: phone - leg = leg - phone.
        calls.append((n, phone_a, phone_b))
        engine.link(phone_a[1], phone_b[0])
        engine.listen(phone_b[1])
        engine.listen(phone_a[0])
        engine.play_tone(phone_a[0], 300.0 + 10 * n)
        engine.play_tone(phone_b[1], 1000.0 + 10 * n)
    assert poll_until(lambda: counts(engine, calls[-1][2][1]).packets_received >= 100, 20)
    for n, (caller, _), (_, callee) in calls:
        for leg, frequency in ((callee, 300.0 + 10 * n), (caller, 1000.0 + 10 * n)):
            heard, now = engine.heard(leg), counts(engine, leg)
            assert (heard.gaps, now.packets_lost, now.packets_refused) == (0, 0, 0)
            assert heard.frequency_hz == pytest.approx(frequency, abs=1.0)
            assert heard.purity > 0.99


# --- RTCP and statistics ----------------------------------------------------------------------------------------------


def report(ssrc: int, cname: bytes) -> bytes:
    """A receiver report without blocks and an SDES with a CNAME."""
    items = bytes([1, len(cname)]) + cname
    items += bytes(4 - len(items) % 4)
    sdes = struct.pack("!BBHI", 0x81, 202, 1 + len(items) // 4, ssrc) + items
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc) + sdes


def cnames(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        _, kind, words = struct.unpack("!BBH", data[at : at + 4])
        if kind == 202:
            found.append(data[at + 10 : at + 10 + data[at + 9]])
        at += 4 + words * 4
    return found


def test_a_cname_never_crosses(sides: tuple[Side, Side]) -> None:
    a, b = sides
    for side, name in ((a, b"alice@home"), (b, b"bob@work")):
        side.phone.send_tone(side.port, 440)
        side.phone.rtcp.sendto(report(side.phone.ssrc, name), (HERE, side.port + 1))
    a.phone.wait_for(1), b.phone.wait_for(1)
    seen: list[bytes] = []
    for side in (a, b):
        assert select.select([side.phone.rtcp], [], [], 10)[0]
        data = side.phone.rtcp.recv(2048)
        assert data[1] in (200, 201)
        assert b"alice" not in data
        assert b"bob" not in data
        seen += cnames(data)
    assert len(seen) == 2
    assert seen[0] != seen[1]


def test_closing_a_leg_says_bye(sides: tuple[Side, Side]) -> None:
    a, b = sides
    a.phone.send_tone(a.port, 440)
    b.phone.wait_for(1)
    assert b.engine.close_leg(b.leg) is not None
    assert select.select([b.phone.rtcp], [], [], 5)[0]
    data = b.phone.rtcp.recv(2048)
    assert (data[1], data[-7]) == (200, 203)


def test_statistics_count_what_arrived_and_what_was_lost(sides: tuple[Side, Side]) -> None:
    a, b = sides
    for n in range(20):
        if n in (5, 6, 7):
            a.phone.sequence += 1
        else:
            a.phone.send_tone(a.port, 440)
    assert poll_until(lambda: a.statistics.packets_received == 17)
    got, sent = a.statistics, b.statistics
    assert (got.bytes_received, got.packets_lost, got.packets_refused) == (17 * 160, 3, 0)
    assert (sent.packets_sent, sent.bytes_sent, sent.latched) == (17, 17 * 160, None)
    assert (got.latched, got.round_trip_ms, got.remote_packets_lost) == (a.phone.address, None, None)


# --- ports, descriptors, ends -----------------------------------------------------------------------------------------


# An address of its own, so that no other program on this machine holds a port of an exact range.
ALONE = "127.0.0.77"


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_ports_are_even_and_run_out_with_an_oserror() -> None:
    engine = MediaEngine(workers=1, port_range=(23_801, 23_808))
    try:
        legs = [engine.open_leg(ALONE) for _ in range(3)]
        assert sorted(port for _, port in legs) == [23_802, 23_804, 23_806]
        with pytest.raises(OSError, match="in use"):
            engine.open_leg(ALONE)
        assert engine.counters() == {
            "legs": 3,
            "rooms": 0,
            "ports_used": 6,
            "workers": 1,
            "packets": 0,
            "late_ticks": 0,
        }
        engine.close_leg(legs[0][0])
        assert engine.open_leg(ALONE)[1] == legs[0][1]
    finally:
        engine.close()


def test_an_address_that_is_not_ours_is_an_oserror(engine: MediaEngine) -> None:
    with pytest.raises(OSError, match="assign"):
        engine.open_leg("192.0.2.1")
    assert engine.counters()["ports_used"] == 0


def test_closing_frees_descriptors_and_ports() -> None:
    before = descriptors()
    engine = MediaEngine(workers=2, port_range=(23_900, 23_999))
    idle = descriptors()
    for _ in range(10):
        legs = [engine.open_leg(ALONE)[0] for _ in range(50)]
        assert descriptors() == idle + 100
        assert all(engine.close_leg(leg) is not None for leg in legs)
        assert (descriptors(), engine.counters()["ports_used"]) == (idle, 0)
    engine.open_leg(ALONE)
    engine.close()
    engine.close()
    assert descriptors() == before


def test_threads_end_with_the_engine() -> None:
    before = len(os.listdir("/proc/self/task"))
    engine = MediaEngine(workers=3, port_range=(23_700, 23_799))
    assert len(os.listdir("/proc/self/task")) == before + 3
    engine.close()
    assert len(os.listdir("/proc/self/task")) == before


def test_ipv6_relays(engine: MediaEngine) -> None:
    try:
        leg, port = engine.open_leg("::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as far:
        far.bind(("::1", 0))
        far.settimeout(5)
        engine.configure(
            leg,
            remote_rtp=("::1", far.getsockname()[1]),
            remote_rtcp=None,
            sends=True,
            receives=True,
            receive_codecs=[PCMU],
            send_codecs=[PCMU],
        )
        engine.play_tone(leg, 440)
        assert far.recvfrom(2048)[1][:2] == ("::1", port)


def test_unknown_legs_and_bad_arguments(engine: MediaEngine) -> None:
    engine.play_tone(10**9, 440)
    engine.link(10**9, 10**9 + 1)
    assert engine.statistics(10**9) is None
    assert engine.close_leg(10**9) is None
    assert engine.heard(10**9).frequency_hz == 0.0
    side = Side(engine, Phone())
    side.audio = [Codec("PCMU", 8000)]
    with pytest.raises(ValueError, match="payload type"):
        side.configure()
    side.audio = [PCMU]
    with pytest.raises(ValueError, match="silence_timeout_s"):
        side.configure(silence_timeout_s=math.nan)
    with pytest.raises(ValueError, match="IP address"):
        engine.open_leg("localhost")
    side.phone.close()
