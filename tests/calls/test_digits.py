"""Digits of calls: told once in however many ways they come, given to the other party in its way, gathered and sent by the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.test_accept import to_bob
from tests.calls.test_info import takes
from trunkline.calls.session import CallSession
from trunkline.constants import ChannelId, DtmfWay
from trunkline.errors import CallEnded, CallFailed, CallStateError
from trunkline.events import CallSessionDigit
from trunkline.sip.capabilities import Dtmf
from trunkline.sip.endpoint import Codec
from trunkline.testing.call import ScriptedCall
from trunkline.trace.describe import describe

PCMU, EVENTS = Codec("PCMU", 8000), Codec("telephone-event", 8000)
WIDE_EVENTS = Codec("telephone-event", 48_000)
OPUS = Codec("opus", 48_000, 2)
BOTH, VOICE = (PCMU, EVENTS), (PCMU,)

RELAY = "application/dtmf-relay"


class Talk:
    """Alice talks to bob through the house."""

    def __init__(self, house: House, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        self.house, self.at_alice, self.at_bob = house, at_alice, at_bob
        self.call = house.calls[0]
        self.infos = takes(at_bob)
        assert self.call.one is not None
        assert self.call.zero.leg is not None
        assert self.call.one.leg is not None
        legs = house.host.media.legs
        self.zero, self.one = self.call.zero.leg.number, self.call.one.leg.number
        self.to_alice, self.to_bob = legs[self.zero], legs[self.one]

    def press(self, digit: str, *, duration_ms: int = 100, clock_rate: int = 8000) -> None:
        """Alice presses a key, as the media workers tell it; with no clock as a tone."""
        self.house.host.media.press(self.zero, digit, duration_ms, clock_rate)

    async def info(self, body: bytes, kind: str = RELAY) -> int:
        """Alice's phone sends an INFO."""
        return (await self.at_alice.request("INFO", headers=[("Content-Type", kind)], body=body)).status

    def told(self) -> str:
        """The digits that the application was told of."""
        return "".join(event.digit for event in digit_events(self.house))


def digit_events(house: House) -> list[CallSessionDigit]:
    return [event for event in house.events.events if isinstance(event, CallSessionDigit)]


async def talk(
    house: House,
    alice: tuple[Codec, ...] = BOTH,
    bob: tuple[Codec, ...] = BOTH,
    *,
    to_alice: Dtmf = "auto",
    to_bob_by: Dtmf = "auto",
) -> Talk:
    """Let them talk, with these codecs and settings."""
    allowed = (PCMU, OPUS)
    one = await house.phone("alice", codecs=alice, allowed=allowed)
    other = await house.phone("bob", codecs=bob, allowed=allowed)
    for name, dtmf in (("alice", to_alice), ("bob", to_bob_by)):
        house.parties[name] = replace(house.parties[name], dtmf=dtmf)
    house.route(to_bob)
    at_alice = house.call(one, "bob")
    at_bob = await other.next_call()
    at_bob.answer()
    await at_alice.wait_answered()
    await house.settle()
    return Talk(house, at_alice, at_bob)


async def alone(house: House, codecs: tuple[Codec, ...] = BOTH, dtmf: Dtmf = "auto") -> ScriptedCall:
    """Alice is answered by the application."""
    alice = await house.phone("alice", codecs=codecs)
    house.parties["alice"] = replace(house.parties["alice"], dtmf=dtmf)

    async def answer(call: CallSession) -> None:
        await call.answer()

    house.route(answer)
    at_alice = house.call(alice, "bob")
    await at_alice.wait_answered()
    await house.settle()
    return at_alice


def pressing(house: House) -> Callable[[str], None]:
    """Presses keys of the first call's first party."""
    leg = house.calls[0].zero.leg
    assert leg is not None
    number = leg.number

    def press(digits: str) -> None:
        for digit in digits:
            house.host.media.press(number, digit)

    return press


# --- told ---------------------------------------------------------------------------------------------------------------


def test_a_telephone_event_is_told_with_who_what_how_long_and_how() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house)
        at.press("5", duration_ms=120)
        event = house.events.only(CallSessionDigit)
        assert (event.call, event.channel, event.digit) == (at.call, ChannelId.ZERO, "5")
        assert (event.duration_ms, event.way) == (120, DtmfWay.RFC4733)
        # it may be of a number that is secret
        assert "digit=" not in repr(event) + describe(event)
        # it has crossed on the media workers
        assert (at.to_bob.digits, at.infos) == ("", [])

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("kind", "body", "digit", "duration_ms"),
    [
        (RELAY, b"Signal=7\r\nDuration=160\r\n", "7", 160),
        ("application/dtmf", b"#", "#", 0),
        ("application/dtmf;x=y", b"10", "*", 0),
    ],
)
def test_a_digit_by_info_is_told_and_given_on_as_a_telephone_event(
    kind: str, body: bytes, digit: str, duration_ms: int
) -> None:
    async def scenario(house: House) -> None:
        at = await talk(house)
        assert await at.info(body, kind) == 200
        event = house.events.only(CallSessionDigit)
        assert (event.digit, event.duration_ms, event.way) == (digit, duration_ms, DtmfWay.INFO)
        await house.settle()
        assert (at.to_bob.digits, at.infos) == (digit, [])

    on_the_network(scenario)


def test_an_info_that_is_no_digit_is_passed_on_as_ever() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house)
        assert await at.info(b"Signal=hf\r\n") == 200
        assert len(at.infos) == 1
        assert at.told() == ""

    on_the_network(scenario)


@pytest.mark.parametrize("first", ["event", "info"])
def test_a_phone_that_sends_both_ways_is_counted_once_a_press(first: str) -> None:
    async def scenario(house: House) -> None:
        at = await talk(house)
        for digit in "557":
            if first == "event":
                at.press(digit)
            assert await at.info(f"Signal={digit}\r\nDuration=100".encode()) == 200
            if first == "info":
                at.press(digit)
            await house.settle(0.2)
        await house.settle(3)
        assert at.told() == "557"
        # the events have crossed by themselves
        assert (at.to_bob.digits, at.infos) == ("", [])

    on_the_network(scenario)


def test_a_key_that_is_held_and_told_at_once_by_info_is_one_press() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house, to_bob_by="info")
        assert await at.info(b"5", "application/dtmf") == 200
        await house.settle(2.0)
        at.press("5", duration_ms=2_000)
        await house.settle()
        assert at.told() == "5"
        assert len(at.infos) == 1
        # the same digit later is another press
        at.press("5")
        await house.settle()
        assert at.told() == "55"
        assert len(at.infos) == 2

    on_the_network(scenario)


# --- given to the other party -------------------------------------------------------------------------------------------


def test_a_telephone_event_goes_as_info_to_a_party_that_is_set_so() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house, to_bob_by="info")
        assert at.at_bob.invite is not None
        assert b"telephone-event" not in at.at_bob.invite.body
        at.press("4", duration_ms=170)
        at.press("#")
        await house.settle()
        assert [info.header("Content-Type") for info in at.infos] == [RELAY, RELAY]
        assert [info.body for info in at.infos] == [
            b"Signal=4\r\nDuration=170\r\n",
            b"Signal=#\r\nDuration=100\r\n",
        ]

    on_the_network(scenario)


def test_an_info_goes_on_as_it_is_to_a_party_that_is_set_so() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house, to_bob_by="info")
        assert await at.info(b"Signal= 9\r\nDuration= 250\r\n") == 200
        (info,) = at.infos
        assert info.body == b"Signal= 9\r\nDuration= 250\r\n"

    on_the_network(scenario)


def test_a_tone_goes_as_a_telephone_event_to_a_party_that_agreed_to_it() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house, VOICE, BOTH, to_bob_by="rfc4733")
        assert at.at_bob.invite is not None
        assert b"telephone-event" in at.at_bob.invite.body
        assert (at.to_alice.hears_digits, at.to_bob.hears_digits) == (True, False)
        at.press("8", clock_rate=0)
        await house.settle()
        assert at.to_bob.digits == "8"
        assert digit_events(house)[0].way is DtmfWay.INBAND

    on_the_network(scenario)


def test_a_tone_goes_as_info_to_a_party_that_is_set_so() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house, VOICE, BOTH, to_bob_by="info")
        at.press("8", clock_rate=0)
        await house.settle()
        assert [info.body for info in at.infos] == [b"Signal=8\r\nDuration=100\r\n"]

    on_the_network(scenario)


def test_tones_between_two_parties_without_telephone_event_are_left_in_the_audio() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house, VOICE, VOICE)
        assert (at.to_alice.hears_digits, at.to_bob.hears_digits) == (False, False)
        at.press("8", clock_rate=0)
        await house.settle()
        assert (at.to_bob.digits, at.infos) == ("", [])

    on_the_network(scenario)


def test_tones_are_heard_between_such_parties_where_the_application_wants_digits() -> None:
    async def scenario(house: House) -> None:
        house.exchange.hear_digits_while(lambda: True)
        at = await talk(house, VOICE, VOICE)
        assert (at.to_alice.hears_digits, at.to_bob.hears_digits) == (True, True)

    on_the_network(scenario)


def test_events_of_another_clock_are_sent_anew() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house, (OPUS, WIDE_EVENTS, EVENTS), (PCMU, EVENTS))
        at.press("6", clock_rate=48_000)
        await house.settle()
        assert (at.told(), at.to_bob.digits) == ("6", "6")
        at.press("7", clock_rate=8_000)
        await house.settle()
        assert (at.told(), at.to_bob.digits) == ("67", "6")

    on_the_network(scenario)


# --- gathered -----------------------------------------------------------------------------------------------------------


def test_digits_are_gathered_until_there_are_enough_or_one_ends_it() -> None:
    async def scenario(house: House) -> None:
        await alone(house)
        call, press = house.calls[0], pressing(house)
        gathered = asyncio.ensure_future(call.gather(max_digits=4))
        await house.settle(0.1)
        press("12#")
        assert await gathered == "12"
        press("3456789")
        assert await call.gather(max_digits=4) == "3456"
        assert await call.gather(max_digits=9, terminator="*8") == "7"
        press("#")
        assert await call.gather(max_digits=2, terminator="") == "9#"

    on_the_network(scenario)


@pytest.mark.parametrize("way", ["info", "tone"])
def test_digits_are_gathered_in_whatever_way_they_come(way: str) -> None:
    async def scenario(house: House) -> None:
        at_alice = await alone(house, VOICE)
        leg = house.calls[0].zero.leg
        assert leg is not None
        assert house.host.media.legs[leg.number].hears_digits
        for digit in "42":
            if way == "tone":
                house.host.media.press(leg.number, digit, clock_rate=0)
            else:
                await at_alice.request("INFO", headers=[("Content-Type", RELAY)], body=f"Signal={digit}".encode())
        assert await house.calls[0].gather(max_digits=2) == "42"

    on_the_network(scenario)


def test_what_there_is_is_returned_when_time_is_up() -> None:
    async def scenario(house: House) -> None:
        await alone(house)
        call, press = house.calls[0], pressing(house)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await call.gather(max_digits=4, timeout_s=2, first_timeout_s=7) == ""
        assert loop.time() - began == pytest.approx(7)
        gathered = asyncio.ensure_future(call.gather(max_digits=4, timeout_s=2, first_timeout_s=7))
        await house.settle(6)
        press("1")
        await house.settle(1.5)
        press("2")
        began = loop.time()
        assert await gathered == "12"
        assert loop.time() - began == pytest.approx(2)

    on_the_network(scenario)


def test_what_was_typed_before_counts_only_where_the_prompt_may_be_interrupted() -> None:
    async def scenario(house: House) -> None:
        await alone(house)
        call, press = house.calls[0], pressing(house)
        press("12")
        gathered = asyncio.ensure_future(call.gather(max_digits=2, interrupt=False))
        await house.settle(1)
        press("34")
        assert await gathered == "34"
        press("1" * 40 + "2")
        assert await call.gather(max_digits=100, timeout_s=0.1) == "1" * 31 + "2"

    on_the_network(scenario)


def test_what_parties_press_while_they_talk_is_not_kept_for_later() -> None:
    async def scenario(house: House) -> None:
        at = await talk(house)
        at.press("1")
        gathered = asyncio.ensure_future(at.call.gather(max_digits=2))
        await house.settle(0.5)
        at.press("2")
        at.press("3")
        assert await gathered == "23"

    on_the_network(scenario)


def test_a_party_that_hangs_up_ends_the_gathering() -> None:
    async def scenario(house: House) -> None:
        at_alice = await alone(house)
        call = house.calls[0]
        gathered = asyncio.ensure_future(call.gather(max_digits=4, timeout_s=60))
        await house.settle(0.1)
        pressing(house)("1")
        at_alice.hangup()
        with pytest.raises(CallEnded):
            await gathered
        with pytest.raises(CallEnded):
            await call.gather(max_digits=4)
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_digits_of_one_party_are_gathered_once_at_a_time() -> None:
    async def scenario(house: House) -> None:
        await alone(house)
        call = house.calls[0]
        first = asyncio.ensure_future(call.gather(max_digits=1))
        await house.settle(0.1)
        with pytest.raises(CallStateError, match="gathered already"):
            await call.gather(max_digits=1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        pressing(house)("9")
        assert await call.gather(max_digits=1) == "9"
        with pytest.raises(CallStateError, match="ONE"):
            await call.gather(max_digits=1, channel=ChannelId.ONE)
        for wrong in ({"max_digits": 0}, {"max_digits": 1, "timeout_s": -1}, {"max_digits": 1, "terminator": "x"}):
            with pytest.raises(ValueError, match=r"max_digits|timeout_s|terminator"):
                await call.gather(**wrong)

    on_the_network(scenario)


# --- sent ---------------------------------------------------------------------------------------------------------------


def test_an_application_sends_digits_in_the_partys_way() -> None:
    async def scenario(house: House) -> None:
        await alone(house)
        leg = house.calls[0].zero.leg
        assert leg is not None
        await house.calls[0].send_dtmf("12#d")
        assert house.host.media.legs[leg.number].digits == "12#D"

    on_the_network(scenario)


@pytest.mark.parametrize("how", [None, DtmfWay.INFO])
def test_an_application_sends_digits_by_info(how: DtmfWay | None) -> None:
    async def scenario(house: House) -> None:
        at_alice = await alone(house, dtmf="info" if how is None else "auto")
        got = takes(at_alice)
        await house.calls[0].send_dtmf("1*", how=how, duration_ms=200)
        assert [info.body for info in got] == [b"Signal=1\r\nDuration=200\r\n", b"Signal=*\r\nDuration=200\r\n"]

    on_the_network(scenario)


def test_what_becomes_of_digits_that_cannot_be_sent_is_told() -> None:
    async def scenario(house: House) -> None:
        at_alice = await alone(house, VOICE)
        call = house.calls[0]
        with pytest.raises(CallFailed) as refused:
            await call.send_dtmf("1", how=DtmfWay.INFO)
        assert refused.value.status == 415
        with pytest.raises(CallStateError, match="telephone-event"):
            await call.send_dtmf("1", how=DtmfWay.RFC4733)
        for digits, duration_ms in (("", 100), ("1x", 100), ("1" * 65, 100), ("1", 39), ("1", 5_001)):
            with pytest.raises(ValueError, match=r"^(digits|duration_ms): "):
                await call.send_dtmf(digits, duration_ms=duration_ms)
        at_alice.hangup()
        await house.settle()
        with pytest.raises(CallEnded):
            await call.send_dtmf("1")

    on_the_network(scenario)
