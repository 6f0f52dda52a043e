"""Every block of Python in the documentation and the README, and every example, is run on the virtual network."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.docs.stage import (
    ACCOUNT,
    MOBILE,
    PASSWORD,
    ROOT,
    Block,
    Stage,
    blocks,
    call_in,
    dial_out,
    make_server,
    performed,
    place_on,
)
from tests.docs.voiced import MODULES, converse, echoed, interrupted, place_on_loopback
from tests.server.test_sound import tone_wav

from trunkline import CallSession, SipServer, TransferResult
from trunkline.events import CallSessionFailed
from trunkline.media.quality import Tally
from trunkline.sip.endpoint import Codec
from trunkline.testing import CallRefused, Phone, RegistrationRefused, ScriptedCall, VirtualNetwork

Run = Callable[[Any], Any]
Namespace = dict[str, Any]
Scene = Callable[[Stage, Namespace], Awaitable[None]]

BLOCKS = blocks()


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.kind.split(" ")[0] == kind]


def test_every_block_of_python_says_how_it_is_run() -> None:
    kinds = {block.kind.split(" ")[0] for block in BLOCKS}
    assert kinds == {"program", "server", "handler", "tests", "script", "sound"}, [str(block) for block in BLOCKS]


@pytest.mark.parametrize("block", of_kind("program"))
def test_a_program_serves_calls_in_both_directions(
    block: Block, run_virtual: Run, virtual_network: VirtualNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(block.code(), run_virtual, virtual_network, monkeypatch)


def test_the_program_of_the_readme_serves_calls_in_both_directions(
    run_virtual: Run, virtual_network: VirtualNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    serve(compile(program, "README.md", "exec"), run_virtual, virtual_network, monkeypatch)


def serve(program: Any, run_virtual: Run, network: VirtualNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    place_on(network, monkeypatch)
    namespace: Namespace = {"__name__": "example"}
    exec(program, namespace)
    assert inspect.iscoroutinefunction(namespace["main"])

    async def main() -> None:
        async with performed(namespace["server"], network) as at:
            await dial_out(at)
            await call_in(at)

    run_virtual(main())


@pytest.mark.parametrize("block", of_kind("server"))
def test_a_fragment_runs_on_a_running_server(block: Block, run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with performed(make_server(virtual_network), virtual_network) as at:
            before = len(at.server.lines)
            body = eval(block.code(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), {"server": at.server})
            if inspect.iscoroutine(body):
                await body
            assert len(at.server.lines) == before
            assert not at.server.has_user("carol")

    run_virtual(main())


@pytest.mark.parametrize("block", of_kind("script"))
def test_a_script_of_the_test_kit_runs(block: Block) -> None:
    namespace: Namespace = {"VirtualNetwork": VirtualNetwork}
    exec(block.code(), namespace)
    assert namespace["network"].links if "network" in namespace else namespace["zone"].delay_s


@pytest.mark.parametrize("block", of_kind("tests"))
def test_the_tests_of_a_page_pass(block: Block, request: pytest.FixtureRequest) -> None:
    namespace: Namespace = {"__name__": "example"}
    exec(block.code(), namespace)
    tests = [thing for name, thing in namespace.items() if name.startswith("test_")]
    assert len(tests) == 2
    for number, test in enumerate(tests):
        names = list(inspect.signature(test).parameters)
        values = {name: request.getfixturevalue(name) for name in names}
        # the second test would find the first one's hosts
        values["virtual_network"] = VirtualNetwork(number)
        test(**values)


@pytest.mark.parametrize("block", of_kind("sound"))
def test_a_handler_gives_a_caller_his_voice_back(block: Block) -> None:
    server = SipServer(realm="pbx.example", listen=["udp://127.0.0.1:0"], media_ports=(34_000, 34_099))
    server.add_user("alice", password=PASSWORD)
    exec(block.code(), {"server": server, **MODULES})
    asyncio.run(converse(server, echoed))


def lay_sounds(folder: Path, text: str) -> None:
    """The prompts that a program names, each a second of a tone."""
    (folder / "sounds").mkdir()
    for name in [
        *re.findall(r'"([a-z/]+\.wav)"', text),
        "sounds/1.wav",
        "sounds/none.wav",
        "sounds/one.wav",
        "sounds/many.wav",
    ]:
        (folder / name).write_bytes(tone_wav(700, 1.0))


# --- handlers -------------------------------------------------------------------------------------------------------------


async def registrations(at: Stage, namespace: Namespace) -> None:
    lobby = await at.phone("lobby", 7)
    assert len(at.server.registrations("alice")) == 1
    scanner = await at.phone("bob", 8, register=False)
    with pytest.raises(RegistrationRefused) as refused:
        await scanner.register(headers=[("User-Agent", "friendly-scanner")])
    assert refused.value.status == 403
    bob = await at.phone("bob", 9 + 1)
    assert len(at.server.registrations("bob")) == 1
    for phone in (lobby, scanner, bob):
        await phone.stop()


async def second_line(at: Stage, namespace: Namespace) -> None:
    # nothing is at its address
    at.server.add_line("first", username="1", server="nowhere.example", password="x")
    await dial_out(at)
    (failed,) = [event for event in at.server.recorder.events if isinstance(event, CallSessionFailed)]
    assert (failed.status, failed.reason) == (503, "line first cannot be used: it is being registered")


async def click_to_dial(at: Stage, namespace: Namespace) -> None:
    alice = await at.phone("alice")
    dialling = asyncio.create_task(namespace["click_to_dial"]("alice", MOBILE))
    call = await alice.next_call()
    assert call.caller_id == MOBILE
    call.answer()
    mobile = await at.itsp.next_call()
    assert mobile.dialled == MOBILE
    mobile.answer()
    await dialling
    mobile.hangup()
    assert (await call.wait_ended()).how == "bye"
    await alice.stop()


async def recorded(at: Stage, namespace: Namespace) -> None:
    @at.server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_line="itsp")

    printed: list[tuple[object, ...]] = []
    namespace["print"] = lambda *values: printed.append(values)
    await dial_out(at)
    await asyncio.sleep(1)
    (who, number, line, talked, reason), (jitter_ms, lost) = printed
    assert (who, number, line, talked, reason) == ("alice", MOBILE, "itsp", 0, "hangup")
    assert (jitter_ms, lost) == (None, None)  # no packets on this network


async def explained(at: Stage, namespace: Namespace) -> None:
    @at.server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_line="itsp")

    printed: list[str] = []
    namespace["print"] = printed.append
    alice = await at.phone("alice")
    call = alice.dial(MOBILE)
    (await at.itsp.next_call()).reject(403, "Forbidden")
    with pytest.raises(CallRefused):
        await call.wait_answered()
    await asyncio.sleep(1)
    problem, sent, received, advice = printed
    assert problem == f"line itsp: the provider forbids this call to {MOBILE}"
    assert sent.startswith(f"INVITE sip:{MOBILE}@sip.itsp.example to udp:10.0.0.9:5060, from sip:{ACCOUNT}@")
    assert received == "403 Forbidden"
    assert advice.startswith("check that the account may call there, and which caller ")
    await alice.stop()


async def refused(at: Stage, namespace: Namespace) -> None:
    printed: list[tuple[object, ...]] = []
    namespace["print"] = lambda *values: printed.append(values)
    alice = await at.phone("alice", codecs=[Codec("speex", 8000)])
    with pytest.raises(CallRefused):
        await alice.dial(MOBILE).wait_answered()
    await asyncio.sleep(1)
    ((source, status, problem, advice),) = printed
    assert (source, status) == ("10.0.0.2", 488)
    assert str(problem).startswith("user alice: none of the offered codecs may be used here")
    assert "codecs of user alice" in str(advice)
    await alice.stop()


async def follow_me(at: Stage, namespace: Namespace) -> None:
    await dial_out(at)
    alice, bob = await at.phone("alice", 3), await at.phone("bob", 4)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    (await alice.next_call()).ring()
    at_bob, at_mobile = await bob.next_call(16), await at.itsp.next_call()
    assert at_mobile.dialled == MOBILE
    at_bob.answer()
    await mobile.wait_answered()
    assert (await at_mobile.wait_ended()).how == "cancel"
    mobile.hangup()
    await at_bob.wait_ended()
    await alice.stop()
    await bob.stop()


async def chat(at: Stage, namespace: Namespace) -> None:
    alice, bob = await at.phone("alice"), await at.phone("bob", 3)
    await bob.send_message("echo", "hello")
    await asyncio.sleep(1)
    assert [message.body for message in bob.messages] == [b"you said hello"]
    await bob.send_message("alice", "hi")
    assert [message.body for message in alice.messages] == [b"hi"]
    await alice.stop()
    await bob.stop()


async def trunks(at: Stage, namespace: Namespace) -> None:
    # nothing is at its address
    at.server.add_line("first", username="1", server="nowhere.example", password="x")
    at.server.add_line_group("trunks", lines=["first", "itsp"])
    await dial_out(at)
    alice = await at.phone("alice", 3)
    call = alice.dial(MOBILE)
    (await at.itsp.next_call()).reject(503)
    assert (await call.wait_ended()).status == 500
    failed = [event for event in at.server.recorder.events if isinstance(event, CallSessionFailed)]
    assert [attempt.status for attempt in failed[-1].attempts] == [503, 503]
    await alice.stop()


async def ticket(at: Stage, namespace: Namespace) -> None:
    alice = await at.phone("alice")
    for given, shown in (([("User-to-User", "01")], "01"), ([], "none")):
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE, headers=given)
        call = await alice.next_call()
        assert call.invite is not None
        assert call.invite.header("X-Ticket") == shown
        call.answer()
        await mobile.wait_answered()
        mobile.hangup()
    await alice.stop()


async def transfer_request(at: Stage, namespace: Namespace) -> None:
    @at.server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_user="alice")

    alice, bob = await at.phone("alice"), await at.phone("bob", 3)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    call = await alice.next_call()
    call.answer()
    await mobile.wait_answered()
    assert await call.refer("sip:+1900@x").outcome() == 403
    number = call.refer("sip:+1555@x")
    over_the_line = await at.itsp.next_call()
    assert over_the_line.dialled == "+1555"
    over_the_line.reject(486)
    assert await number.outcome() == 486
    user = call.refer("sip:bob@x")
    at_bob = await bob.next_call()
    at_bob.answer()
    assert await user.outcome() == 200
    mobile.hangup()
    await at_bob.wait_ended()
    await alice.stop()
    await bob.stop()


async def hand_over(at: Stage, namespace: Namespace) -> None:
    @at.server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_user="alice")

    printed: list[tuple[object, ...]] = []
    namespace["print"] = lambda *values: printed.append(values)
    alice, bob = await at.phone("alice"), await at.phone("bob", 3)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    call = await alice.next_call()
    call.answer()
    await mobile.wait_answered()
    handing = asyncio.create_task(namespace["hand_over"](at.server.calls[0]))
    (await bob.next_call()).reject(486)
    await handing
    assert printed == [(TransferResult.FAILED, 486, "Busy Here")]
    handing = asyncio.create_task(namespace["hand_over"](at.server.calls[0]))
    at_bob = await bob.next_call()
    at_bob.answer()
    await handing
    await call.wait_ended()
    assert len(printed) == 1
    mobile.hangup()
    await at_bob.wait_ended()
    await alice.stop()
    await bob.stop()


async def guarded(at: Stage, namespace: Namespace) -> None:
    printed: list[tuple[object, ...]] = []
    namespace["print"] = lambda *values: printed.append(values)

    @at.server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_user="alice")

    await call_in(at)
    ((words, number),) = printed
    assert words == "somebody may be listening to call"
    assert number == 1


async def reminder(at: Stage, namespace: Namespace) -> None:
    printed: list[tuple[object, ...]] = []
    namespace["print"] = lambda *values: printed.append(values)
    await asyncio.sleep(1)  # until the line knows that it is registered
    reminding = asyncio.ensure_future(namespace["remind"](MOBILE))
    mobile = await at.itsp.next_call()
    mobile.answer()
    await asyncio.sleep(0.5)
    media = at.network.hosts["10.0.0.1"].media
    (leg,) = media.legs
    media.sound(leg, "voice")
    await asyncio.sleep(0.6)
    media.sound(leg, "silence")
    await reminding
    ((kind, _, reason),) = printed
    assert (kind, str(reason)[:9]) == ("human", "spoke for")
    mobile.hangup()


async def quality(at: Stage, namespace: Namespace) -> None:
    printed: list[str] = []
    namespace["print"] = printed.append
    at.server.add_user("carol", password="change me", quality_alarm_mos=3.6)
    at.server.on_incoming_call(lambda call: call.accept(to_user="carol"))
    carol = await at.phone("carol", 5)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    (await carol.next_call()).answer()
    await mobile.wait_answered()
    media = at.network.hosts["10.0.0.1"].media
    for received, lost in ((100, 0), (400, 100)):
        media.statistics = lambda leg, counted=(received, lost): Tally(  # type: ignore[method-assign, assignment, misc]
            packets_received=counted[0], packets_lost=counted[1], loss_bursts=counted[1]
        )
        await asyncio.sleep(10.1)
    assert [line.split(": ")[1] for line in printed] == ["MOS 2.3, loss 25%"]
    del media.statistics
    mobile.hangup()
    await asyncio.sleep(0.1)
    await carol.stop()


async def type_digits(call: ScriptedCall, digits: str) -> None:
    for digit in digits:
        headers, body = [("Content-Type", "application/dtmf-relay")], f"Signal={digit}\r\nDuration=120"
        assert (await call.request("INFO", headers=headers, body=body.encode())).status == 200


async def keys(at: Stage, namespace: Namespace) -> None:
    printed: list[tuple[object, ...]] = []
    namespace["print"] = lambda *values: printed.append(values)

    @at.server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.answer()

    alice = await at.phone("alice")
    call = alice.dial("menu")
    await call.wait_answered()
    await type_digits(call, "4#")
    await asyncio.sleep(1)
    number = at.server.calls[0].id
    assert printed == [(number, "ZERO", "4", 120, "INFO"), (number, "ZERO", "#", 120, "INFO")]
    call.hangup()
    await alice.stop()


async def menu(at: Stage, namespace: Namespace) -> None:
    at.server.add_user("42", password=PASSWORD)
    alice, desk = await at.phone("alice"), await at.phone("42", 3)
    call = alice.dial("menu")
    await call.wait_answered()
    await type_digits(call, "42#")
    at_desk = await desk.next_call()
    at_desk.answer()
    await asyncio.sleep(1)
    at_desk.hangup()
    await asyncio.sleep(1)
    call.hangup()
    await alice.stop()
    await desk.stop()


async def leave_a_message(at: Stage, namespace: Namespace) -> None:
    alice = await at.phone("alice", 4)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    (await alice.next_call()).reject(486)
    await mobile.wait_answered()
    await asyncio.sleep(4)
    mobile.hangup()
    await asyncio.sleep(2)
    call = alice.dial("*97")
    await call.wait_answered()
    await type_digits(call, "2468#")
    await asyncio.sleep(3)
    await type_digits(call, "2")
    await call.wait_ended()
    counts = await namespace["voicemail"].counts("alice")
    assert (counts.new, counts.saved) == (0, 1)
    await alice.stop()


async def sales(at: Stage, namespace: Namespace) -> None:
    printed: list[tuple[object, ...]] = []
    namespace["print"] = lambda *values: printed.append(values)
    alice = await at.phone("alice", 4)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    at_alice = await alice.next_call()
    at_alice.answer()
    await at_alice.wait_answered()
    at_alice.hangup()
    await mobile.wait_ended()
    assert printed == [("served", "alice")]
    await alice.stop()


async def parked(at: Stage, namespace: Namespace) -> None:
    printed: list[tuple[object, ...]] = []
    namespace["print"] = lambda *values: printed.append(values)
    alice, bob = await at.phone("alice", 3), await at.phone("bob", 4)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    at_alice = await alice.next_call()
    at_alice.answer()
    await at_alice.wait_answered()
    await type_digits(at_alice, "*7")
    await at_alice.wait_ended()
    at_bob = bob.dial("701")
    await at_bob.wait_answered()
    mobile.hangup()
    await at_bob.wait_ended()
    assert printed == [("picked_up", "bob")]
    await bob.stop()
    await alice.stop()


async def small_menu(at: Stage, namespace: Namespace) -> None:
    printed: list[tuple[object, ...]] = []
    namespace["print"] = lambda *values: printed.append(values)
    for digits in ("2*9", "1"):
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        await mobile.wait_answered()
        await type_digits(mobile, digits)
        if digits == "1":
            await asyncio.sleep(1)
            mobile.hangup()
        await mobile.wait_ended()
    assert printed == [("call back", MOBILE), ("hung_up", ("2", "*", "9"))]


SCENES: dict[str, Scene] = {
    "voice-menu": small_menu,
    "parked": parked,
    "sales": sales,
    "voicemail": leave_a_message,
    "reminder": reminder,
    "quality": quality,
    "keys": keys,
    "menu": menu,
    "transfer-request": transfer_request,
    "hand-over": hand_over,
    "chat": chat,
    "recorded": recorded,
    "guarded": guarded,
    "explained": explained,
    "refused": refused,
    "follow-me": follow_me,
    "trunks": trunks,
    "ticket": ticket,
    "registrations": registrations,
    "second-line": second_line,
    "click-to-dial": click_to_dial,
}


@pytest.mark.parametrize("block", of_kind("handler"))
def test_a_handler_does_what_its_page_says(
    block: Block,
    run_virtual: Run,
    virtual_network: VirtualNetwork,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_sounds(tmp_path, block.text)
    scene = SCENES[block.kind.split(" ")[1]]
    namespace: Namespace = {"server": make_server(virtual_network)}
    exec(block.code(), namespace)

    async def main() -> None:
        async with performed(namespace["server"], virtual_network) as at:
            await scene(at, namespace)

    run_virtual(main())


# --- examples/ --------------------------------------------------------------------------------------------------------------


async def tutorial(at: Stage, namespace: Namespace) -> None:
    await dial_out(at)
    await call_in(at)


async def receptionist(at: Stage, namespace: Namespace) -> None:
    """Alice has no phone, bob answers, the mobile hangs up."""
    bob = await at.phone("bob", 4)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    await mobile.wait_answered()
    call = await bob.next_call()
    assert call.caller_id == MOBILE
    call.answer()
    await call.wait_answered()
    mobile.hangup()
    assert (await call.wait_ended()).how == "bye"
    await bob.stop()
    await dial_out(at)


async def overflow(at: Stage, namespace: Namespace) -> None:
    """Alice is busy and bob answers; then neither is there."""
    alice, bob = await at.phone("alice", 3), await at.phone("bob", 4)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    (await alice.next_call()).reject(486)
    call = await bob.next_call()
    call.answer()
    await mobile.wait_answered()
    call.hangup()
    assert (await mobile.wait_ended()).how == "bye"
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    (await alice.next_call()).reject(486)
    (await bob.next_call()).reject(486)
    assert (await mobile.wait_ended()).status == 486
    for one in at.server.calls:
        await one.wait_closed()
    await alice.stop()
    await bob.stop()


async def voice_menu(at: Stage, namespace: Namespace) -> None:
    """A mobile looks into the hours, dials a desk, and another one leaves a number; alice is not there."""
    desk = await at.phone("201", 4)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    await mobile.wait_answered()
    await asyncio.sleep(1)
    await type_digits(mobile, "2")
    await asyncio.sleep(3)
    await type_digits(mobile, "*201")
    at_desk = await desk.next_call()
    assert at_desk.caller_id == MOBILE
    at_desk.answer()
    await at_desk.wait_answered()
    at_desk.hangup()
    assert (await mobile.wait_ended()).how == "bye"
    for digits in ("9", "1"):
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        await mobile.wait_answered()
        await type_digits(mobile, digits)
        assert (await mobile.wait_ended(10)).how == "bye"
    await desk.stop()
    await dial_out(at)


async def leave_and_listen(at: Stage, namespace: Namespace) -> None:
    """Alice declines; the mobile leaves a message, her phone shows it, and she deletes it."""
    alice = await at.phone("alice", 4)
    watch = alice.subscribe("message-summary", "alice")
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    (await alice.next_call()).reject(486)
    await mobile.wait_answered()
    await asyncio.sleep(4)  # greeting, tone, and what is said
    await type_digits(mobile, "#")
    await mobile.wait_ended()
    await asyncio.sleep(2)
    (message,) = namespace["voicemail"].mailboxes.messages("alice")
    assert message.caller_id == MOBILE
    call = alice.dial("*97")
    await call.wait_answered()
    await type_digits(call, "2468#")
    await asyncio.sleep(3)
    await type_digits(call, "3")
    await call.wait_ended()
    await asyncio.sleep(2)
    shown = [line for body in watch.bodies for line in body.splitlines() if line.startswith("Voice-Message")]
    assert [line.split(" ")[1] for line in shown] == ["0/0", "1/0", "0/0"]
    watch.unsubscribe()
    await asyncio.sleep(1)
    await alice.stop()
    await dial_out(at)


async def support(at: Stage, namespace: Namespace) -> None:
    """Nobody is there; alice comes and misses a call, bob takes it; alice goes."""
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    assert (await mobile.wait_ended(10)).how == "bye"
    alice, bob = await at.phone("alice", 3), await at.phone("bob", 4)

    async def dial(phone: Phone, key: str) -> None:
        call = phone.dial(key)
        await call.wait_answered()
        await call.wait_ended()

    await dial(alice, "*1")
    await dial(bob, "*1")
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    await mobile.wait_answered()
    (await alice.next_call()).reject(486)
    at_bob = await bob.next_call()
    assert at_bob.caller_id == MOBILE
    at_bob.answer()
    await at_bob.wait_answered()
    mobile.hangup()
    await at_bob.wait_ended()
    await dial(bob, "*3")
    await dial(alice, "*2")
    assert list(namespace["support"].figures.agents) == ["bob"]
    refused = alice.dial("*3")
    assert (await refused.wait_ended()).status == 403
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    assert (await mobile.wait_ended(400)).how == "bye"
    await alice.stop()
    await bob.stop()
    await dial_out(at)


async def park(at: Stage, namespace: Namespace) -> None:
    """Alice parks by key and bob picks up; he parks by transfer, and it comes back to nobody."""
    alice, bob = await at.phone("alice", 3), await at.phone("bob", 4)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    at_alice = await alice.next_call()
    at_alice.answer()
    await at_alice.wait_answered()
    await type_digits(at_alice, "*7")
    await at_alice.wait_ended()
    at_bob = bob.dial("701")
    await at_bob.wait_answered()
    await asyncio.sleep(1)
    assert await at_bob.refer("sip:700@pbx.example").outcome() == 200
    await at_bob.wait_ended()
    assert namespace["parking"].parked[701].by == "bob"
    (await bob.next_call(130)).reject(486)
    assert (await mobile.wait_ended(10)).how == "bye"
    await bob.stop()
    await alice.stop()
    await dial_out(at)


EXAMPLES: dict[str, Scene] = {
    "itsp": tutorial,
    "receptionist": receptionist,
    "overflow": overflow,
    "menu": voice_menu,
    "parking": park,
    "support": support,
    "voicemail": leave_and_listen,
}


def test_an_example_is_short() -> None:
    long = {
        path.stem: lines
        for path in (ROOT / "examples").glob("*.py")
        if (lines := len(path.read_text().splitlines())) >= 120
    }
    assert long == {}


def test_every_example_is_run() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES) | {"voice_agent"}
    assert all(len(path.read_text().splitlines()) < 120 for path in (ROOT / "examples").glob("*.py"))


def test_the_voice_agent_answers_and_gives_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place_on_loopback(monkeypatch)
    caplog.set_level("INFO", "voice_agent")
    namespace: Namespace = {"__name__": "voice_agent"}
    path = ROOT / "examples" / "voice_agent.py"
    exec(compile(path.read_text(), str(path), "exec"), namespace)

    def told(what: str) -> int:
        return sum(record.getMessage().endswith(what) for record in caplog.records)

    asyncio.run(converse(namespace["server"], lambda caller: interrupted(caller, told)))
    assert namespace["agents"] == {}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_what_it_says(
    name: str,
    run_virtual: Run,
    virtual_network: VirtualNetwork,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    place_on(virtual_network, monkeypatch)
    monkeypatch.chdir(tmp_path)
    namespace: Namespace = {"__name__": name}
    path = ROOT / "examples" / f"{name}.py"
    lay_sounds(tmp_path, path.read_text())
    exec(compile(path.read_text(), str(path), "exec"), namespace)

    async def main() -> None:
        async with performed(namespace["server"], virtual_network) as at:
            await EXAMPLES[name](at, namespace)

    run_virtual(main())
    assert [record.getMessage() for record in caplog.records if record.name == "trunkline.features"] == []
