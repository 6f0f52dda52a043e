"""A line's registration against a provider that the test plays, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.provider import CHALLENGE, House, Listening, at, house
from tests.server.recording import answer
from trunkline.constants import Transport
from trunkline.events import (
    LineRegisterFailed,
    LineRegisterSuccess,
    LineRegisterTrying,
    LineUnregisterFailed,
    LineUnregisterSuccess,
    LineUnregisterTrying,
)
from trunkline.server.line import Line, LineState
from trunkline.server.server_health import Standing
from trunkline.sip.endpoint import Flow, NameAddr


def stands(line: Line) -> tuple[LineState, bool]:
    """State and usability now; a call, for they change while a test waits."""
    return line.state, line.usable


def test_the_first_register_says_who_we_are_and_where() -> None:
    async def scenario(h: House) -> None:
        line = h.add(display_name="Pbx")
        sent = await h.next()
        assert (sent.method, sent.uri, sent.flow) == (
            "REGISTER",
            "sip:sip.itsp.example",
            Flow("udp", ("198.51.100.5", 5060)),
        )
        assert NameAddr.parse(sent.headers["From"]).uri.user == "15551234"
        assert NameAddr.parse(sent.headers["From"]).tag
        assert sent.headers["To"] == "<sip:15551234@sip.itsp.example>"
        assert sent.headers["Contact"] == f"<sip:{line.token}@192.0.2.1>;expires=1800"
        assert sent.headers["Expires"] == "1800"
        assert h.events == [LineRegisterTrying("itsp")]
        assert not stands(line)[1]

    house(scenario, House)


def test_domain_proxy_and_port_each_have_their_place() -> None:
    async def scenario(h: House) -> None:
        h.dns["proxy.example"] = ["198.51.100.77"]
        h.add(domain="itsp.example", outbound_proxy="proxy.example:5070", server="reg.example:5090")
        sent = await h.next()
        assert (sent.uri, sent.headers["To"]) == ("sip:itsp.example", "<sip:15551234@itsp.example>")
        assert sent.flow.remote == ("198.51.100.77", 5070)

    house(scenario, House)


def test_a_line_keeps_its_token_where_its_provider_leaves_it() -> None:
    async def scenario(h: House) -> None:
        line = h.add(token_in="parameter")
        assert (await h.next()).headers["Contact"] == f"<sip:15551234@192.0.2.1;tl={line.token}>;expires=1800"

    house(scenario, House)


def test_the_challenge_is_answered_and_the_line_is_registered() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        first = await h.say(401, CHALLENGE)
        second = await h.next()
        assert second.headers["Authorization"].startswith('Digest username="15551234"')
        assert second.headers["Call-ID"] == first.headers["Call-ID"]
        assert (first.headers["CSeq"], second.headers["CSeq"]) == ("1 REGISTER", "2 REGISTER")
        await h.grant(900)
        assert h.events == [LineRegisterTrying("itsp"), LineRegisterSuccess("itsp", 900)]
        assert (line.state, line.usable, line.last_failure) == (LineState.REGISTERED, True, None)
        assert h.driver.kept_open == {Flow("udp", ("198.51.100.5", 5060)): 25.0}

    house(scenario, House)


def test_a_proxy_challenge_is_answered_with_the_login_that_is_not_the_user_name() -> None:
    async def scenario(h: House) -> None:
        h.add(auth_username="login")
        await h.say(407, ("Proxy-Authenticate", CHALLENGE[1]))
        assert 'username="login"' in (await h.next()).headers["Proxy-Authorization"]

    house(scenario, House)


def test_a_stale_nonce_is_answered_once_more_without_a_failure() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.say(401, CHALLENGE)
        await h.say(401, ("WWW-Authenticate", 'Digest realm="itsp.example", nonce="n2", stale=true'))
        assert 'nonce="n2"' in (await h.next()).headers["Authorization"]
        await h.grant()
        assert stands(line)[0] is LineState.REGISTERED
        assert h.events.of(LineRegisterFailed) == []

    house(scenario, House)


def test_it_is_refreshed_ahead_of_expiry_and_success_is_told_once() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.grant(600)
        began = h.now
        for _ in range(3):
            await h.next()
            assert 600 * 0.8 <= h.now - began <= 600 * 0.91
            assert stands(line) == (LineState.REFRESHING, True)
            await h.grant(600)
            began = h.now
        assert h.events.names() == ["LineRegisterTrying", "LineRegisterSuccess"]
        assert line.statistics.registrations == 4

    house(scenario, House)


def test_the_granted_time_counts_not_what_was_asked_for() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.say(200, ("Contact", f"<sip:x@192.0.2.99>;expires=7, <sip:{line.token}@203.0.113.1>;expires=60"))
        began = h.now
        await h.next()
        assert 25 <= h.now - began <= 31

    house(scenario, House)


def test_423_is_asked_again_at_once_with_the_minimum() -> None:
    async def scenario(h: House) -> None:
        line = h.add(expires_s=60)
        began = h.now
        await h.say(423, ("Min-Expires", "300"))
        assert (await h.grant(300)).headers["Expires"] == "300"
        assert h.now == began
        assert stands(line)[0] is LineState.REGISTERED
        assert h.events.of(LineRegisterFailed) == []

    house(scenario, House)


def test_423_that_repeats_itself_is_a_failure_not_a_loop() -> None:
    async def scenario(h: House) -> None:
        line = h.add(expires_s=60)
        await h.say(423, ("Min-Expires", "300"))
        await h.say(423, ("Min-Expires", "300"))
        assert stands(line)[0] is LineState.WAITING
        assert len(h.driver.sent) == 2

    house(scenario, House)


def test_a_wrong_password_is_not_hammered_and_takes_the_line_out_of_routing() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.say(401, CHALLENGE)
        await h.say(401, CHALLENGE)
        assert stands(line)[0] is LineState.REFUSED
        assert "does not take the user name or password" in line.unusable_reason
        (failed,) = h.events.of(LineRegisterFailed)
        assert isinstance(failed, LineRegisterFailed)
        assert (failed.status, failed.reason) == (401, line.unusable_reason)
        assert 240 <= failed.retry_in_s <= 360
        assert line.next_attempt_in_s == failed.retry_in_s
        sent = len(h.driver.sent)
        await asyncio.sleep(239)
        assert len(h.driver.sent) == sent

    house(scenario, House)


def test_credentials_that_were_good_are_offered_once_more_soon() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.say(401, CHALLENGE)
        await h.grant(600)
        for expected in (LineState.WAITING, LineState.REFUSED):  # the second time in a row they are refused
            await h.say(401, CHALLENGE)
            began = h.now
            await h.say(401, CHALLENGE)
            assert line.state is expected
        assert h.now - began < 1
        assert 240 <= (line.next_attempt_in_s or 0.0) <= 360
        waits = [each.retry_in_s for each in h.events if isinstance(each, LineRegisterFailed)]
        assert 2 <= waits[0] <= 2.2
        await h.say(401, CHALLENGE)
        await h.grant(600)
        assert stands(line)[1]

    house(scenario, House)


def test_credentials_refused_for_a_day_are_offered_a_few_dozen_times() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        began = h.now
        while h.now - began < 86_400:
            await h.say(403)
        assert 20 <= line.statistics.failures <= 40

    house(scenario, House)


def test_revoked_credentials_end_a_registration_that_stands() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.grant(600)
        await h.say(403)
        assert not stands(line)[1]
        assert not line.registered
        await h.say(401, CHALLENGE)  # 5 minutes later the account is good again
        await h.grant(600)
        assert stands(line)[1]
        assert h.events.names() == [
            "LineRegisterTrying", "LineRegisterSuccess", "LineRegisterFailed", "LineDown", "LineRegisterTrying",
            "LineRegisterSuccess", "LineUp",
        ]  # fmt: skip

    house(scenario, House)


@pytest.mark.parametrize("status", [404, 408, 480, 500, 503, 603])
def test_other_failures_are_retried_fast_and_then_slower(status: int) -> None:
    async def scenario(h: House) -> None:
        h.add()
        waits: list[float] = []
        for _ in range(7):
            await h.say(status)
            began = h.now
            await h.next()
            waits.append(h.now - began)
        bounds = [(1.5, 3), (24, 37), (48, 73), (96, 145), (192, 289), (384, 577), (720, 1081)]
        assert all(low <= wait <= high for wait, (low, high) in zip(waits, bounds, strict=True)), waits

    house(scenario, House)


def test_a_provider_that_is_down_at_start_is_found_when_it_comes_back() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        for _ in range(20):
            await h.silence()
        assert line.unusable_reason == "no answer from the provider"
        await h.grant()
        assert stands(line)[1]
        assert isinstance(h.events[-1], LineRegisterSuccess)

    house(scenario, House)


def test_a_refused_connection_is_told_in_words() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.silence("connection refused")
        assert line.unusable_reason == "the provider cannot be reached: connection refused"

    house(scenario, House)


def test_a_provider_that_falls_silent_takes_the_line_out_but_a_busy_one_does_not() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.grant(600)
        await h.say(500)
        assert stands(line) == (LineState.WAITING, True)
        await h.silence()
        assert (line.usable, line.unusable_reason) == (False, "no answer from the provider")

    house(scenario, House)


def test_a_busy_provider_whose_registration_ran_out_takes_the_line_out() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.grant(60)
        await h.say(500, ("Retry-After", "300"))
        assert stands(line)[1]
        await asyncio.sleep(60)
        assert not stands(line)[1]
        assert "error of its own" in line.unusable_reason

    house(scenario, House)


def test_retry_after_is_kept_and_bounded() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.say(503, ("Retry-After", "120"))
        assert 120 <= (line.next_attempt_in_s or 0) <= 132
        await h.say(503, ("Retry-After", "999999"))
        assert 3600 <= (line.next_attempt_in_s or 0) <= 3960

    house(scenario, House)


def test_dead_dns_is_told_and_outlived() -> None:
    async def scenario(h: House) -> None:
        line = h.add(server="later.example")
        await h.settle()
        assert line.unusable_reason == "the provider cannot be found: later.example: no such name"
        await asyncio.sleep(3600)
        h.dns["later.example"] = ["198.51.100.6"]
        await h.grant()
        assert stands(line)[1]

    house(scenario, House)


def test_the_next_address_is_tried_at_once_and_kept_while_it_works() -> None:
    async def scenario(h: House) -> None:
        h.dns["sip.itsp.example"] = ["198.51.100.5", "198.51.100.6"]
        line = h.add()
        began = h.now
        assert (await h.silence()).flow.remote[0] == "198.51.100.5"
        assert (await h.grant(600)).flow.remote[0] == "198.51.100.6"
        assert h.now == began
        assert h.events.of(LineRegisterFailed) == []
        assert (await h.grant(600)).flow.remote[0] == "198.51.100.6"
        assert line.server_in_use == Flow("udp", ("198.51.100.6", 5060))

    house(scenario, House)


def test_when_all_addresses_fail_the_line_waits_and_begins_with_the_first() -> None:
    async def scenario(h: House) -> None:
        h.dns["sip.itsp.example"] = ["198.51.100.5", "198.51.100.6"]
        line = h.add()
        await h.silence()
        await h.silence()
        assert stands(line)[0] is LineState.WAITING
        for address in ("198.51.100.5", "198.51.100.6"):
            assert (await h.silence()).flow.remote[0] == address
        assert line.statistics.failures == 2

    house(scenario, House)


def test_an_address_of_a_family_without_listener_is_passed_over() -> None:
    async def scenario(h: House) -> None:
        h.dns["sip.itsp.example"] = ["2001:db8::5", "198.51.100.5"]
        h.add()
        assert (await h.next()).flow.remote[0] == "198.51.100.5"
        h.dns["six.example"] = ["2001:db8::5"]
        six = h.add("six", server="six.example")
        await h.settle()
        assert "no udp listener of ours reaches 2001:db8::5" in six.unusable_reason
        h.addresses.set_listeners([Listening(host="2001:db8::1")])

    house(scenario, House)


def test_unregister_has_the_provider_forget_us() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.grant()
        leaving = asyncio.create_task(h.lines.unregister("itsp"))
        await h.settle()
        sent = await h.say(200)
        assert (sent.headers["Expires"], sent.headers["Contact"][-10:]) == ("0", ";expires=0")
        assert await leaving is True
        assert h.events[-2:] == [LineUnregisterTrying("itsp"), LineUnregisterSuccess("itsp")]
        assert (line.state, line.usable, line.next_attempt_in_s) == (LineState.OFF, False, None)
        assert h.driver.kept_open == {}
        await asyncio.sleep(86_400)
        assert h.open == 0

    house(scenario, House)


def test_a_provider_that_refuses_to_forget_is_told() -> None:
    async def scenario(h: House) -> None:
        h.add()
        await h.grant()
        leaving = asyncio.create_task(h.lines.unregister("itsp"))
        await h.settle()
        await h.say(500, reason="Broken")
        assert await leaving is True
        (stuck,) = h.events.of(LineUnregisterFailed)
        assert isinstance(stuck, LineUnregisterFailed)
        assert stuck.status == 500
        assert stuck.explanation is not None
        assert stuck.explanation.problem == (
            "line itsp: the provider did not confirm that it forgot us: the provider has an error of its own"
        )
        assert stuck.explanation.sent.endswith(", Expires: 0")
        assert stuck.explanation.received == "500 Broken"
        assert stuck.explanation.advice.startswith("it forgets us by itself after 1800 s at most")

    house(scenario, House)


def test_the_wait_for_a_silent_provider_at_stop_is_bounded() -> None:
    async def scenario(h: House) -> None:
        h.add()
        h.add("other")
        await h.grant()
        await h.grant()
        began = h.now
        await h.lines.stop()
        assert 0 < h.now - began < 6
        assert {sent.timeout_s for sent in h.driver.sent[-2:]} == {4.0}

    house(scenario, House)


def test_stop_of_a_line_that_never_registered_waits_for_nobody() -> None:
    async def scenario(h: House) -> None:
        h.add()
        await h.silence()
        began, sent = h.now, len(h.driver.sent)
        await h.lines.stop()
        assert (h.now, len(h.driver.sent)) == (began, sent)
        assert h.events[-1] == LineUnregisterSuccess("itsp")

    house(scenario, House)


def test_stop_while_a_register_is_on_its_way_removes_what_it_may_have_made() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        first = await h.next()
        leaving = asyncio.create_task(h.lines.unregister("itsp"))
        await h.settle()
        removal = h.driver.sent[-1]
        assert (removal.headers["Expires"], removal.headers["CSeq"]) == ("0", "2 REGISTER")
        await h.say(200)  # the first one's answer, late
        assert stands(line)[0] is LineState.LEAVING
        assert first.tx not in h.endpoint._clients
        await h.say(200)
        assert await leaving
        assert stands(line)[0] is LineState.OFF

    house(scenario, House)


def test_register_line_asks_for_another_time_and_tells_success_again() -> None:
    async def scenario(h: House) -> None:
        h.add()
        await h.grant()
        h.lines.register("itsp", 600)
        assert (await h.grant(600)).headers["Expires"] == "600"
        assert h.events[-1] == LineRegisterSuccess("itsp", 600)

    house(scenario, House)


def test_register_line_does_not_wait_for_the_back_off() -> None:
    async def scenario(h: House) -> None:
        h.add()
        await h.say(403)
        began = h.now
        h.lines.register("itsp")
        await h.grant()
        assert h.now == began

    house(scenario, House)


def test_a_lost_connection_is_made_again_but_not_in_a_loop() -> None:
    async def scenario(h: House) -> None:
        h.add(transport=Transport.TCP)
        assert (await h.grant(3600)).headers["Contact"].startswith("<sip:token")
        began = h.now
        line = h.lines["itsp"]
        due_s = line.next_attempt_in_s
        h.lines.flow_closed(at("198.51.100.99", transport="tcp"))
        assert line.next_attempt_in_s == due_s
        h.lines.flow_closed(at("198.51.100.5", transport="tcp"))
        await h.grant(3600)
        assert 29 <= h.now - began <= 31
        await asyncio.sleep(100)
        began = h.now
        h.lines.flow_closed(at("198.51.100.5", transport="tcp"))
        await h.grant(3600)
        assert 1 <= h.now - began <= 3

    house(scenario, House)


def test_a_grant_of_no_time_is_a_failure() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.grant(0)
        assert (line.state, line.unusable_reason) == (LineState.WAITING, "the provider granted no time")

    house(scenario, House)


def test_after_a_success_the_first_retry_is_fast_again() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        for _ in range(4):
            await h.silence()
        await h.grant()
        await h.silence()
        assert (line.next_attempt_in_s or 0) < 3

    house(scenario, House)


def test_after_a_success_the_first_refusal_counts_as_the_first() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        for _ in range(4):
            await h.say(403)
        await h.grant()
        await h.say(403)
        assert 240 <= (line.next_attempt_in_s or 0) <= 360

    house(scenario, House)


def test_a_name_that_resolves_after_the_line_was_stopped_sends_nothing() -> None:
    async def scenario(h: House) -> None:
        h.add()
        assert await h.lines.unregister("itsp")
        await h.settle()
        assert h.driver.sent == []

    house(scenario, House)


# --- outbound (RFC 5626) ------------------------------------------------------------------------------------------------


def test_an_outbound_registration_names_its_instance_and_flow_and_says_that_it_can() -> None:
    async def scenario(h: House) -> None:
        line = h.add(outbound=True)
        sent = await h.grant(600)
        contact = NameAddr.parse(sent.headers["Contact"])
        assert contact.param("reg-id") == "1"
        assert (contact.param("+sip.instance") or "").strip('"').startswith("<urn:uuid:")
        assert contact.param("expires") == "1800"
        assert contact.uri.param("ob") is None
        assert sent.headers["Supported"] == "path, outbound"
        again = await h.grant(600)
        assert NameAddr.parse(again.headers["Contact"]).param("+sip.instance") == contact.param("+sip.instance")
        assert "<sip:" + line.token in h.addresses.contact(sent.flow, line.party(), line.token)
        assert ";ob>" in h.addresses.contact(sent.flow, line.party(), line.token)

    house(scenario, House)


def test_without_outbound_nothing_speaks_of_flows() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        sent = await h.grant()
        assert "reg-id" not in sent.headers["Contact"]
        assert sent.headers["Supported"] == "path"
        assert "ob" not in h.addresses.contact(sent.flow, line.party(), line.token).split(";")

    house(scenario, House)


def test_a_first_hop_that_cannot_do_outbound_is_registered_at_without() -> None:
    async def scenario(h: House) -> None:
        line = h.add(outbound=True)
        began = h.now
        await h.say(439)
        assert "reg-id" not in (await h.grant()).headers["Contact"]
        assert h.now == began
        assert stands(line)[0] is LineState.REGISTERED
        assert h.events.of(LineRegisterFailed) == []

    house(scenario, House)


def test_a_connection_of_an_outbound_line_that_is_lost_is_replaced_at_once_but_not_in_a_loop() -> None:
    async def scenario(h: House) -> None:
        h.add(outbound=True, transport=Transport.TCP)
        await h.grant(3600)
        await asyncio.sleep(100)
        for least_s, most_s in ((0, 0), (29, 31)):
            began = h.now
            h.lines.flow_closed(at("198.51.100.5", transport="tcp"))
            await h.grant(3600)
            assert least_s <= h.now - began <= most_s

    house(scenario, House)


def test_a_connection_is_kept_alive_as_the_flow_timer_says() -> None:
    async def scenario(h: House) -> None:
        h.add(outbound=True, transport=Transport.TCP)
        sent = await h.next()
        over = Flow("tcp", sent.flow.remote, ("192.0.2.1", 40_000), 7)
        timer = ("Flow-Timer", "40")
        answer(h.endpoint, sent, 200, "OK", [("Contact", sent.headers["Contact"]), timer], over=over)
        await h.settle()
        assert list(h.driver.kept_open) == [over]
        assert 32 <= h.driver.kept_open[over] <= 40

    house(scenario, House)


def test_a_connection_whose_server_answers_no_pings_is_closed() -> None:
    async def scenario(h: House) -> None:
        line = h.add(transport=Transport.TCP)
        sent = await h.next()
        over = Flow("tcp", sent.flow.remote, ("192.0.2.1", 40_000), 7)
        answer(h.endpoint, sent, 200, "OK", [("Contact", sent.headers["Contact"])], over=over)
        await h.settle()
        line.server.note_ping(sent.flow)
        for _ in range(3):
            assert h.driver.closed == []
            line.server.note_ping(sent.flow, "no answer to OPTIONS", heard=False)
        assert h.driver.closed == [7]

    house(scenario, House)


# --- several servers ----------------------------------------------------------------------------------------------------


def test_every_answer_but_503_shows_that_a_server_lives() -> None:
    async def scenario(h: House) -> None:
        only = h.add("only")
        sent = await h.silence()
        assert only.server.standing(sent.flow) is Standing.DOUBTFUL
        await h.say(500)
        assert only.server.standing(sent.flow) is Standing.UP
        await h.lines.unregister("only")
        h.dns["sip.itsp.example"] = ["198.51.100.5", "198.51.100.6"]
        line = h.add()
        for status in (500, 404, 486):
            assert (await h.say(status)).flow.remote[0] == "198.51.100.5"
        await h.say(503)
        assert (await h.grant()).flow.remote[0] == "198.51.100.6"
        assert line.server_in_use == Flow("udp", ("198.51.100.6", 5060))

    house(scenario, House)


def test_it_is_unregistered_where_it_was_registered() -> None:
    async def scenario(h: House) -> None:
        h.dns["sip.itsp.example"] = ["198.51.100.5", "198.51.100.6"]
        h.add()
        await h.silence()
        await h.grant()
        leaving = asyncio.create_task(h.lines.unregister("itsp"))
        await h.settle()
        assert (await h.say(200)).flow.remote[0] == "198.51.100.6"
        await leaving

    house(scenario, House)
