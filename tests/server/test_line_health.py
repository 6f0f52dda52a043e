"""OPTIONS pings of a line against a provider that the test plays, and what they and its registration make of the line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.server.provider import House, house
from tests.server.recording import Sent, answer, fail
from trunkline.events import LineDown, LineRegisterFailed, LineServerChanged, LineUp
from trunkline.server.line_health import problem_of
from trunkline.server.line_states import LineState
from trunkline.sip.endpoint import Flow, NameAddr
from trunkline.sip.request import Failure

ONE, TWO = "198.51.100.5", "198.51.100.6"
TRUNK: dict[str, Any] = {"register": False, "password": None, "ping_interval_s": 30.0}


async def pinged(h: House) -> Sent:
    """The next OPTIONS that nobody has answered; time passes until it comes."""
    while True:
        await h.settle()
        for sent in h.driver.sent:
            if sent.method == "OPTIONS" and sent.tx in h.endpoint._clients:
                return sent
        await asyncio.sleep(0.5)


async def pong(h: House, status: int = 200, *headers: tuple[str, str]) -> Sent:
    sent = await pinged(h)
    answer(h.endpoint, sent, status, "Whatever", headers)
    await h.settle()
    return sent


async def miss(h: House, reason: str | None = None) -> Sent:
    sent = await pinged(h)
    fail(h.endpoint, sent, reason)
    await h.settle()
    return sent


def test_a_ping_says_who_asks_and_goes_where_calls_go() -> None:
    async def scenario(h: House) -> None:
        line = h.add(**TRUNK, domain="itsp.example", server="sip.itsp.example")
        sent = await pong(h)
        assert (sent.method, sent.uri) == ("OPTIONS", "sip:itsp.example")
        assert sent.flow == Flow("udp", (ONE, 5060)) == line.server.flow
        assert NameAddr.parse(sent.headers["From"]).uri.user == "15551234"
        assert NameAddr.parse(sent.headers["From"]).tag
        assert sent.headers["To"] == "<sip:itsp.example>"
        assert sent.headers["Contact"] == f"<sip:{line.token}@192.0.2.1>"
        assert sent.headers["Accept"] == "application/sdp"
        assert sent.timeout_s == 5.0
        assert "Route" not in sent.headers

    house(scenario, House)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 405, 407, 486, 500, 501, 603])
def test_any_answer_but_503_and_408_shows_that_a_server_lives(status: int) -> None:
    async def scenario(h: House) -> None:
        line = h.add(**TRUNK)
        for _ in range(6):
            await pong(h, status)
        assert line.usable
        assert h.events == []

    house(scenario, House)


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (503, None, "it answers OPTIONS with 503 Whatever"),
        (408, None, "it answers OPTIONS with 408 Whatever"),
        (0, None, "no answer to OPTIONS"),
        (0, "connection refused", "it cannot be reached: connection refused"),
    ],
)
def test_three_pings_in_vain_take_a_line_out_and_two_good_ones_bring_it_back(
    status: int, reason: str | None, words: str
) -> None:
    async def scenario(h: House) -> None:
        line = h.add(**TRUNK)
        await pong(h)
        for number in range(3):
            assert line.unusable_reason == "", number
            await (pong(h, status) if status else miss(h, reason))
        assert line.unusable_reason == f"udp:{ONE}:5060: {words}"
        assert h.events == [LineDown("itsp", line.unusable_reason)]
        await pong(h)
        assert line.unusable_reason
        await pong(h)
        assert line.unusable_reason == ""
        assert h.events[1:] == [LineUp("itsp", f"udp:{ONE}:5060 answers again")]

    house(scenario, House)


def test_the_numbers_of_the_hysteresis_are_settings() -> None:
    async def scenario(h: House) -> None:
        line = h.add(**TRUNK, ping_down_after=1, ping_up_after=1)
        await pong(h)
        await miss(h)
        assert not line.usable
        await pong(h)
        assert line.usable

    house(scenario, House)


def test_pings_come_at_the_interval_and_faster_while_in_doubt() -> None:
    async def scenario(h: House) -> None:
        h.add(**TRUNK)
        await pong(h)
        began = h.now
        await miss(h)
        assert 26 <= h.now - began <= 34
        began = h.now
        await miss(h)
        assert 6 <= h.now - began <= 9

    house(scenario, House)


def test_a_line_with_interval_0_sends_no_pings() -> None:
    async def scenario(h: House) -> None:
        h.add(register=False, ping_interval_s=0.0)
        await asyncio.sleep(3_600)
        assert h.driver.sent == []

    house(scenario, House)


def test_a_pause_that_a_server_asks_for_keeps_calls_away_and_ends() -> None:
    async def scenario(h: House) -> None:
        line = h.add(**TRUNK)
        await pong(h, 503, ("Retry-After", "60 (maintenance)"))
        assert "503" in line.unusable_reason
        for _ in range(3):
            await pong(h)
        assert h.events.names() == ["LineDown"]
        await asyncio.sleep(60)
        for _ in range(4):
            await pong(h)
        assert line.usable
        assert h.events.names() == ["LineDown", "LineUp"]

    house(scenario, House)


def test_a_provider_that_ignores_options_is_judged_by_its_registration() -> None:
    async def scenario(h: House) -> None:
        line = h.add(ping_interval_s=30.0)
        await h.grant(3_600)
        for _ in range(20):
            await miss(h)
        assert line.usable
        assert h.events.of(LineDown) == []

    house(scenario, House)


def test_a_registered_line_whose_server_stops_answering_pings_takes_no_calls() -> None:
    async def scenario(h: House) -> None:
        line = h.add(ping_interval_s=30.0)
        await h.grant(3_600)
        await pong(h)
        for _ in range(3):
            await miss(h)
        assert line.registered
        assert line.unusable_reason == f"udp:{ONE}:5060: no answer to OPTIONS"
        await pong(h)
        await pong(h)
        assert line.usable
        assert h.events.names()[-2:] == ["LineDown", "LineUp"]

    house(scenario, House)


def test_a_good_registration_clears_what_pings_held_against_a_server() -> None:
    async def scenario(h: House) -> None:
        line = h.add(ping_interval_s=300.0)
        await h.grant(3_600)
        await pong(h)
        for _ in range(3):
            await miss(h)
        assert not line.usable
        h.lines.register("itsp")
        await h.grant(3_600)
        assert line.usable

    house(scenario, House)


def test_a_line_that_fell_silent_registers_as_soon_as_its_server_is_back() -> None:
    async def scenario(h: House) -> None:
        line = h.add(ping_interval_s=30.0)
        await h.grant(3_600)
        await pong(h)
        h.lines.register("itsp")
        await silent_register(h)
        for _ in range(3):
            await h.settle()
            await silent_or_miss(h)
        while (line.next_attempt_in_s or 0.0) < 300:
            await silent_or_miss(h)
        assert line.state is LineState.WAITING
        sent = len([each for each in h.driver.sent if each.method == "REGISTER"])
        began = h.now
        await pong(h)
        await pong(h)
        assert len([each for each in h.driver.sent if each.method == "REGISTER"]) == sent + 1
        assert h.now - began < 100
        await h.grant(3_600)
        assert line.usable
        assert h.events.names()[-1] == "LineUp"

    house(scenario, House)


def test_a_line_whose_register_was_lost_does_not_wait_long_when_its_server_answers_pings() -> None:
    async def scenario(h: House) -> None:
        line = h.add(ping_interval_s=300.0, ping_down_after=99)
        await h.grant(3_600)
        await pong(h)
        h.lines.register("itsp")
        while (line.next_attempt_in_s or 0.0) < 400:
            await asyncio.sleep(1)
            await silent_register(h)
        assert line.state is LineState.WAITING
        sent = len([each for each in h.driver.sent if each.method == "REGISTER"])
        while (line.next_attempt_in_s or 0.0) > 36:
            await pong(h)
        assert (line.next_attempt_in_s or 0.0) >= 24
        assert len([each for each in h.driver.sent if each.method == "REGISTER"]) == sent

    house(scenario, House)


async def silent_register(h: House) -> None:
    for sent in list(h.driver.sent):
        if sent.method == "REGISTER" and sent.tx in h.endpoint._clients:
            fail(h.endpoint, sent)
            await h.settle()


async def silent_or_miss(h: House) -> None:
    """Nothing is answered for a while."""
    await asyncio.sleep(1)
    for sent in list(h.driver.sent):
        if sent.tx in h.endpoint._clients:
            fail(h.endpoint, sent)
    await h.settle()


def test_a_line_without_registration_moves_to_the_server_that_lives() -> None:
    async def scenario(h: House) -> None:
        h.dns["sip.itsp.example"] = [ONE, TWO]
        line = h.add(**TRUNK)
        while not h.events.of(LineServerChanged):
            sent = await pinged(h)
            if sent.flow.remote[0] == ONE:
                fail(h.endpoint, sent)
            else:
                answer(h.endpoint, sent, 200)
            await h.settle()
        assert line.server_in_use == Flow("udp", (TWO, 5060))
        # the first one has never answered a ping: it may be one that ignores them
        assert list(await line.server.candidates()) == [Flow("udp", (TWO, 5060)), Flow("udp", (ONE, 5060))]
        (changed,) = h.events
        assert changed == LineServerChanged(
            "itsp", f"udp:{TWO}:5060", f"udp:{ONE}:5060", f"udp:{ONE}:5060: no answer to OPTIONS"
        )
        assert line.usable

    house(scenario, House)


def test_the_registration_follows_the_line_to_its_new_server() -> None:
    async def scenario(h: House) -> None:
        h.dns["sip.itsp.example"] = [ONE, TWO]
        line = h.add()
        await h.grant(3_600)
        line.server.note_failure(Flow("udp", (ONE, 5060)), "no answer to INVITE")
        sent = await h.grant(3_600)
        assert (sent.method, sent.flow.remote[0]) == ("REGISTER", TWO)
        assert line.server_in_use == Flow("udp", (TWO, 5060))
        assert line.usable
        assert h.events.of(LineRegisterFailed, LineDown) == []

    house(scenario, House)


def test_what_the_application_unregisters_itself_is_not_told_as_down() -> None:
    async def scenario(h: House) -> None:
        h.add()
        await h.grant()
        leaving = asyncio.create_task(h.lines.unregister("itsp"))
        await h.settle()
        await h.say(200)
        await leaving
        h.lines.register("itsp")
        await h.grant()
        assert h.events.of(LineDown, LineUp) == []

    house(scenario, House)


def test_a_line_that_is_removed_pings_no_more() -> None:
    async def scenario(h: House) -> None:
        h.add(**TRUNK)
        await pong(h)
        await h.lines.remove("itsp")
        sent = len(h.driver.sent)
        await asyncio.sleep(3_600)
        assert (len(h.driver.sent), h.open) == (sent, 0)

    house(scenario, House)


def test_a_ping_that_is_on_its_way_when_the_line_goes_is_told_to_nobody() -> None:
    async def scenario(h: House) -> None:
        h.add(**TRUNK, ping_down_after=1)
        await pong(h)
        await pinged(h)
        await h.lines.remove("itsp")
        await miss(h)
        assert h.events == []

    house(scenario, House)


def test_a_call_that_fails_after_its_line_is_gone_is_told_to_nobody() -> None:
    async def scenario(h: House) -> None:
        h.dns["sip.itsp.example"] = [ONE, TWO]
        line = h.add(**TRUNK)
        first, _ = await line.server.candidates()
        await h.lines.remove("itsp")
        line.server.note_failure(first, "no answer")
        await h.settle()
        assert h.events == []

    house(scenario, House)


def test_silence_and_a_broken_transport_are_said_apart() -> None:
    assert problem_of(Failure(408, "Request Timeout")) == "no answer to OPTIONS"
    assert problem_of(Failure(503, "refused")) == "it cannot be reached: refused"
