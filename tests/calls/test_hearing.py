"""What calls learn by ear, in virtual time: who has answered, who speaks, how good it sounds, and when that becomes an alarm."""

from __future__ import annotations

import asyncio
import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.talking import connected
from tests.calls.test_dial import G729, dialled
from trunkline.calls.answerer import AnsweredBy, AnswererRules
from trunkline.calls.session import CallSession
from trunkline.constants import ChannelId
from trunkline.errors import CallEnded, CallStateError
from trunkline.events import CallEvent
from trunkline.hearing_events import QualityLow, QualityRestored, SpeechStarted, SpeechStopped
from trunkline.server.quality_watch import HYSTERESIS_MOS, Alarm, QualityWatch
from trunkline.testing.media import VirtualMedia


def leg_of(call: CallSession) -> int:
    assert call.zero.leg is not None
    return call.zero.leg.number


async def session(house: House) -> CallSession:
    """A call of alice and bob that is up."""
    for name in ("alice", "bob"):
        await house.phone(name)
    await connected(house)
    (call,) = house.exchange.sessions
    return call


# --- who has answered -------------------------------------------------------------------------------------------------


def test_a_short_greeting_and_a_pause_are_a_human() -> None:
    async def scenario(house: House) -> None:
        await house.phone("bob")
        call, _ = await dialled(house, "bob")
        media, leg = house.host.media, leg_of(call)
        judging = asyncio.ensure_future(call.detect_answerer())
        await asyncio.sleep(0.5)
        assert media.legs[leg].attended
        media.sound(leg, "voice", age_s=0.1)
        await asyncio.sleep(0.7)
        media.sound(leg, "silence", age_s=0.2)
        found = await judging
        assert found.kind is AnsweredBy.HUMAN
        # told 0.1 s and 0.2 s late, and judged by when it was
        (said,) = found.utterances
        assert said.began_s == pytest.approx(0.4, abs=0.01)
        assert said.ended_s == pytest.approx(1.0, abs=0.01)
        assert found.decided_s == pytest.approx(1.8, abs=0.02)
        assert not media.legs[leg].attended

    on_the_network(scenario)


def test_a_machine_is_told_while_it_talks_and_its_beep_when_it_is_over() -> None:
    async def scenario(house: House) -> None:
        await house.phone("bob")
        call, _ = await dialled(house, "bob")
        media, leg = house.host.media, leg_of(call)
        judging = asyncio.ensure_future(call.detect_answerer())
        waiting = asyncio.ensure_future(call.detect_answerer(wait_for_beep=True))
        await asyncio.sleep(0.5)
        media.sound(leg, "voice")
        found = await judging
        assert found.kind is AnsweredBy.MACHINE
        assert found.decided_s == pytest.approx(0.5 + AnswererRules().greeting_s, abs=0.02)
        assert media.legs[leg].attended
        media.sound(leg, "silence")
        await asyncio.sleep(1)
        media.sound(leg, "tone", frequency_hz=1000)
        await asyncio.sleep(0.3)
        assert not waiting.done()
        media.sound(leg, "silence")
        assert (await waiting).kind is AnsweredBy.BEEP

    on_the_network(scenario)


def test_nobody_speaks_is_silence_and_the_timeout_ends_it_before() -> None:
    async def scenario(house: House) -> None:
        await house.phone("bob")
        call, _ = await dialled(house, "bob")
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        assert (await call.detect_answerer(timeout_s=2)).kind is AnsweredBy.SILENCE
        assert loop.time() - began_s == pytest.approx(2, abs=0.02)
        found = await call.detect_answerer()
        assert found.kind is AnsweredBy.SILENCE
        assert found.decided_s == pytest.approx(5, abs=0.02)

    on_the_network(scenario)


def test_a_party_that_hangs_up_ends_the_judging() -> None:
    async def scenario(house: House) -> None:
        await house.phone("bob")
        call, at_bob = await dialled(house, "bob")
        judging = asyncio.ensure_future(call.detect_answerer())
        await asyncio.sleep(0.5)
        at_bob.hangup()
        with pytest.raises(CallEnded):
            await judging
        with pytest.raises(CallEnded):
            await call.detect_answerer()
        house.check_over()

    on_the_network(scenario)


def test_who_gives_up_judging_leaves_nothing_behind() -> None:
    async def scenario(house: House) -> None:
        await house.phone("bob")
        call, _ = await dialled(house, "bob")
        judging = asyncio.ensure_future(call.detect_answerer())
        await asyncio.sleep(0.5)
        judging.cancel()
        await asyncio.wait([judging])
        assert not house.host.media.legs[leg_of(call)].attended

    on_the_network(scenario)


def test_who_was_called_is_judged_and_only_who_can_be_heard() -> None:
    async def scenario(house: House) -> None:
        call = await session(house)
        assert call.one is not None
        assert call.one.leg is not None
        judging = asyncio.ensure_future(call.detect_answerer())
        await asyncio.sleep(0.1)
        legs = house.host.media.legs
        assert legs[call.one.leg.number].attended
        assert not legs[leg_of(call)].attended
        judging.cancel()
        with pytest.raises(ValueError, match="timeout_s"):
            await call.detect_answerer(timeout_s=0)

    async def relayed(house: House) -> None:
        await house.phone("bob", codecs=(G729,), allowed=(G729,))
        call, _ = await dialled(house, "bob")
        with pytest.raises(CallStateError, match="only relayed"):
            await call.detect_answerer()
        with pytest.raises(CallStateError, match="nobody on channel ONE"):
            await call.detect_answerer(channel=ChannelId.ONE)

    on_the_network(scenario)
    on_the_network(relayed)


# --- who speaks -------------------------------------------------------------------------------------------------------


def test_who_speaks_is_told_with_how_long_and_how_loud() -> None:
    async def scenario(house: House) -> None:
        call = await session(house)
        media, leg = house.host.media, leg_of(call)
        call.watch_speech()
        call.watch_speech()
        media.sound(leg, "voice", age_s=0.1)
        await asyncio.sleep(1)
        assert call.zero.speaking
        assert call.one is not None
        assert not call.one.speaking
        media.sound(leg, "silence", age_s=0.2, ended_dbm0=-18.5)
        await asyncio.sleep(0.1)
        told = [each for each in house.events.events if isinstance(each, SpeechStarted | SpeechStopped)]
        assert [type(each) for each in told] == [SpeechStarted, SpeechStopped]
        assert {each.channel for each in told} == {ChannelId.ZERO}
        stopped = told[1]
        assert isinstance(stopped, SpeechStopped)
        assert stopped.duration_s == pytest.approx(0.9, abs=0.01)
        assert stopped.level_dbm0 == -18.5
        call.watch_speech(False)
        assert not media.legs[leg].attended
        assert not call.zero.speaking

    on_the_network(scenario)


# --- how good it sounds -----------------------------------------------------------------------------------------------

CLEAN = SimpleNamespace(
    packets_received=1000,
    packets_sent=1000,
    packets_lost=0,
    loss_bursts=0,
    packets_discarded=0,
    packets_refused=0,
    jitter_ms=1.0,
    buffer_ms=None,
    remote_packets_lost=0,
    remote_jitter_ms=1.0,
    round_trip_ms=20.0,
    level_dbm0=None,
)


def changed(counts: SimpleNamespace, **values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(counts), **values})


def count(media: VirtualMedia, counts: SimpleNamespace) -> None:
    """From now on every leg has these counts."""
    media.statistics = lambda leg: counts  # type: ignore[assignment, method-assign, return-value]


def test_a_call_says_how_it_sounds_leg_by_leg_and_both_ways() -> None:
    async def scenario(house: House) -> None:
        call = await session(house)
        before = call.quality
        assert (before.zero, before.one) == (None, None)  # nothing was counted
        count(house.host.media, changed(CLEAN, packets_lost=100, loss_bursts=100))
        quality = call.quality.zero
        assert quality is not None
        assert quality.received is not None
        assert quality.sent is not None
        assert quality.received.loss == pytest.approx(100 / 1100)
        assert quality.received.mos < 3.7 < 4.3 < quality.sent.mos
        assert quality.sent.round_trip_ms == 20.0
        assert call.quality.one == quality

    on_the_network(scenario)


def test_an_alarm_comes_once_and_is_over_only_well_above_its_threshold() -> None:
    alarm = Alarm()
    scores = [4.3, 3.5, 3.4, 3.2, 3.4, 3.55, 3.6 + HYSTERESIS_MOS - 0.01, 3.6 + HYSTERESIS_MOS, 4.3, 3.5]
    told = [alarm.judge(score, 3.6) for score in scores]
    assert told == [None, True, None, None, None, None, None, False, None, True]


def test_quality_that_falls_below_its_threshold_is_told_and_told_when_it_is_restored() -> None:
    async def scenario(house: House) -> None:
        call = await session(house)
        assert call.zero.party is not None
        told: list[CallEvent] = []
        watch = QualityWatch(told.append, lambda: house.exchange.sessions)
        count(house.host.media, CLEAN)
        for _ in range(2):
            await watch.look()
        assert told == []  # nobody has set a threshold
        call.zero.party = dataclasses.replace(call.zero.party, quality_alarm_mos=3.6)
        await watch.look()
        count(house.host.media, changed(CLEAN, packets_received=1400, packets_lost=100, packets_sent=1500))
        await watch.look()
        (low,) = told
        assert isinstance(low, QualityLow)
        assert (low.call, low.channel, low.direction) == (call, ChannelId.ZERO, "received")
        assert low.quality.loss == pytest.approx(0.2)
        assert low.quality.mos < 3.6
        count(house.host.media, changed(CLEAN, packets_received=1900, packets_lost=100, packets_sent=2000))
        await watch.look()
        restored = told[-1]
        assert isinstance(restored, QualityRestored)
        assert len(told) == 2
        call.close()
        await house.settle()
        await watch.look()
        assert watch._watched == {}

    on_the_network(scenario)
