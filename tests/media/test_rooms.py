"""Rooms of the media workers: in a room of twenty every party hears exactly the nineteen others, each by its frequency."""

from __future__ import annotations

import math
from array import array

from _trunkline import MediaEngine, PcmSink
from tests.media.far_end import HERE, PCMA, PCMU, poll_until

RATE = 8000
PARTIES = 20
LEVEL_DBM0 = -30.0
PEAK = 32_768 * 10 ** ((LEVEL_DBM0 - 3.14) / 20)
SAMPLES = 3_200
"""In a window: 400 ms, in which tones of a multiple of 2.5 Hz do not disturb each other."""


def frequency_hz(party: int) -> float:
    return 300.0 + 150.0 * party


TURNS = [
    [
        (math.cos(angle), math.sin(angle))
        for n in range(SAMPLES)
        for angle in (math.tau * frequency_hz(party) * n / RATE,)
    ]
    for party in range(PARTIES)
]


def phone(engine: MediaEngine, number: int) -> tuple[int, int]:
    """A leg, and the leg that is its peer: a phone that plays its tone."""
    (leg, to_leg), (far, to_far) = engine.open_leg(HERE), engine.open_leg(HERE)
    codec = (PCMU, PCMA)[number % 2]
    for each, port in ((leg, to_far), (far, to_leg)):
        engine.configure(
            each,
            remote_rtp=(HERE, port),
            remote_rtcp=None,
            sends=True,
            receives=True,
            receive_codecs=[codec],
            send_codecs=[codec],
        )
    engine.play_tone(far, frequency_hz(number), LEVEL_DBM0)
    return leg, far


def heard(sink: PcmSink) -> set[int] | None:
    """The parties in the newest window of a sink, by their tones; None when it has none yet or one is neither there nor not."""
    samples = array("h", bytes(sink.read(sink.waiting)))[-SAMPLES:]
    if len(samples) < SAMPLES:
        return None
    shares = []
    for turns in TURNS:
        re = sum(sample * cosine for sample, (cosine, _) in zip(samples, turns, strict=True))
        im = sum(sample * sine for sample, (_, sine) in zip(samples, turns, strict=True))
        shares.append(2 * math.hypot(re, im) / SAMPLES / PEAK)
    if any(0.2 < share < 0.7 or share > 1.3 for share in shares):
        return None
    return {party for party, share in enumerate(shares) if share > 0.5}


def test_in_a_room_of_twenty_each_hears_exactly_the_nineteen_others(engine: MediaEngine) -> None:
    room = engine.open_room()
    phones = [phone(engine, number) for number in range(PARTIES)]
    for leg, _ in phones:
        engine.join_room(room, leg)
    everybody = set(range(PARTIES))
    sinks = [engine.open_sink(far, RATE, frames=25) for _, far in phones]
    right: set[int] = set()

    def all_right() -> bool:
        for party in everybody - right:
            if sinks[party].waiting >= SAMPLES and heard(sinks[party]) == everybody - {party}:
                right.add(party)
        return right == everybody

    assert poll_until(all_right, 60), right


def test_in_a_room_of_ten_each_hears_whom_it_names(engine: MediaEngine) -> None:
    room = engine.open_room()
    phones = [phone(engine, number) for number in range(10)]
    legs = [leg for leg, _ in phones]
    for number, leg in enumerate(legs):
        # even ones hear those after them alone; the fifth speaks to the first alone
        hears = legs[number + 1 :] if number % 2 == 0 else None
        engine.join_room(room, leg, hears=hears, heard_by=legs[:1] if number == 5 else None)
    expected = [
        {
            other
            for other in range(10)
            if other != number and (number % 2 or other > number) and (other != 5 or not number)
        }
        for number in range(10)
    ]
    sinks = [engine.open_sink(far, RATE, frames=25) for _, far in phones]
    right: set[int] = set()

    def all_right() -> bool:
        for party in set(range(10)) - right:
            if sinks[party].waiting >= SAMPLES and heard(sinks[party]) == expected[party]:
                right.add(party)
        return len(right) == 10

    assert poll_until(all_right, 60), right
