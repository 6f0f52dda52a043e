"""Voicemail: how a message ends, whom the phones' lamps tell of it, and how it is listened to; once over real sockets, by ear."""

from __future__ import annotations

import asyncio
import logging
import wave
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.features.desk import Run, media_of, new_server, nothing_left, phones, press
from tests.server.test_sound import level, stage, tone_wav, until_tone

from trunkline import CallEnded, CallSession, ConfigurationError, SipServer, UnknownPeer
from trunkline.features.listening import Listened, VoicemailPrompts
from trunkline.features.mailboxes import Counts
from trunkline.features.voicemail import Left, LeftEnd, Voicemail
from trunkline.testing import Phone, ScriptedCall, VirtualNetwork

PIN = "739146"
PROMPTS = VoicemailPrompts(greeting=tone_wav(500, 3.0), pin=tone_wav(600, 1.0), keys=tone_wav(600, 1.0))


class Desk:
    """Alice has a mailbox, bob calls it; both by the numbers "leave" and "listen"."""

    def __init__(self, network: VirtualNetwork, folder: Path, **options: float) -> None:
        self.network = network
        self.server = new_server(network, "alice", "bob")
        self.voicemail = Voicemail(self.server, folder, PROMPTS, **options)  # type: ignore[arg-type]
        self.voicemail.add_box("alice", pin=PIN)
        self.left: list[Left] = []
        self.listened: list[Listened] = []
        self.server.on_incoming_call(self._route)

    async def _route(self, call: CallSession) -> None:
        try:
            if call.dial_number == "leave":
                self.left.append(await self.voicemail.leave(call, "alice"))
            else:
                self.listened.append(await self.voicemail.listen(call, "alice"))
        finally:
            call.close()

    def run(self, run_virtual: Run, script: Callable[[Phone, Phone], Awaitable[None]]) -> None:
        async def main() -> None:
            async with self.server, phones(self.network, "alice", "bob") as (alice, bob):
                await script(alice, bob)
                await nothing_left(self.network, self.server)

        run_virtual(main())

    async def leave(self, bob: Phone, *, speak_s: float = 3.0, then: str = "") -> ScriptedCall:
        """Bob speaks after the greeting and the tone."""
        call = bob.dial("leave")
        await call.wait_answered()
        await asyncio.sleep(4.0)
        media = media_of(self.network)
        (leg,) = media.legs
        if speak_s:
            media.sound(leg, "voice")
            await asyncio.sleep(speak_s)
            media.sound(leg, "silence")
        if then:
            await press(call, then)
        return call


def test_a_message_ends_with_silence_a_key_its_length_or_the_caller(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    desk = Desk(virtual_network, tmp_path, max_message_s=20)

    async def script(alice: Phone, bob: Phone) -> None:
        call = await desk.leave(bob)
        await call.wait_ended(20)
        await (await desk.leave(bob, then="1#")).wait_ended()
        await (await desk.leave(bob, speak_s=30)).wait_ended(20)
        call = await desk.leave(bob)
        call.hangup()
        await asyncio.sleep(1)

    desk.run(run_virtual, script)
    assert [left.end for left in desk.left] == [LeftEnd.SILENCE, LeftEnd.KEY, LeftEnd.TOO_LONG, LeftEnd.HUNG_UP]
    lengths = [left.message.duration_s for left in desk.left if left.message is not None]
    assert [round(length) for length in lengths] == [9, 4, 20, 4]  # from the tone's end
    messages = desk.voicemail.mailboxes.messages("alice")
    assert [message.caller_id for message in messages] == ["bob"] * 4
    for message in messages:
        with wave.open(str(message.path)) as file:
            assert abs(file.getnframes() / 8000 - message.duration_s) < 0.5


def test_who_says_nothing_or_hangs_up_before_the_tone_leaves_no_message(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    desk = Desk(virtual_network, tmp_path)

    async def script(alice: Phone, bob: Phone) -> None:
        await (await desk.leave(bob, speak_s=0)).wait_ended(20)
        call = bob.dial("leave")
        await call.wait_answered()
        await asyncio.sleep(1)
        call.hangup()
        call = bob.dial("leave")
        await call.wait_answered()
        await press(call, "#", after_s=1.0)  # cuts the greeting short
        await press(call, "#", after_s=0.8)
        await call.wait_ended()

    desk.run(run_virtual, script)
    assert [(left.end, left.message) for left in desk.left] == [(LeftEnd.SILENCE, None), (LeftEnd.KEY, None)]
    assert list((tmp_path / "alice").iterdir()) == []


def test_the_phones_are_told_what_waits_at_once_and_after_a_restart(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    told: list[str] = []

    def script_of(desk: Desk) -> Callable[[Phone, Phone], Awaitable[None]]:
        async def script(alice: Phone, bob: Phone) -> None:
            first = not told
            await asyncio.sleep(1)
            watch = alice.subscribe("message-summary", "alice")
            await asyncio.sleep(1)
            if first:
                await (await desk.leave(bob, then="#")).wait_ended()
                await asyncio.sleep(3)
            call = alice.dial("listen")
            await call.wait_answered()
            await press(call, PIN + "#")
            await press(call, "2" if first else "3", after_s=1.0)
            await call.wait_ended()
            await asyncio.sleep(3)
            told.extend(watch.bodies)
            watch.unsubscribe()
            await asyncio.sleep(1)

        return script

    desk = Desk(virtual_network, tmp_path)
    desk.run(run_virtual, script_of(desk))
    desk = Desk(VirtualNetwork(2), tmp_path)
    desk.run(run_virtual, script_of(desk))
    counts = [line.split(" ")[1] for body in told for line in body.splitlines() if line.startswith("Voice-Message")]
    assert counts == ["0/0", "1/0", "0/1", "0/1", "0/0"]
    assert desk.listened == [Listened(True, 1, 0, 1)]


def test_messages_are_played_again_kept_deleted_and_passed_over(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    desk = Desk(virtual_network, tmp_path)

    async def script(alice: Phone, bob: Phone) -> None:
        for _ in range(4):
            await (await desk.leave(bob, then="#")).wait_ended()
        call = alice.dial("listen")
        await call.wait_answered()
        await press(call, PIN + "#", after_s=2.0)
        for key in ("0", "1", "2", "3", "#", "*"):
            await press(call, key, after_s=1.0)
        await call.wait_ended()
        call = alice.dial("listen")
        await call.wait_answered()
        await press(call, PIN + "#")
        await call.wait_ended(60)  # nothing is pressed

    desk.run(run_virtual, script)
    assert desk.listened == [Listened(True, 4, 1, 1), Listened(True, 1, 0, 0)]
    first, _, third, fourth = (left.message for left in desk.left)
    assert first is not None
    assert third is not None
    assert fourth is not None
    messages = desk.voicemail.mailboxes.messages("alice")
    assert [message.id for message in messages] == [third.id, fourth.id, first.id]
    assert desk.voicemail.mailboxes.counts("alice") == Counts(2, 1)


def test_who_hangs_up_while_he_listens_keeps_what_he_did(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    desk = Desk(virtual_network, tmp_path)

    async def script(alice: Phone, bob: Phone) -> None:
        for _ in range(2):
            await (await desk.leave(bob, then="#")).wait_ended()
        watch = alice.subscribe("message-summary", "alice")
        await watch.next()
        call = alice.dial("listen")
        await call.wait_answered()
        await press(call, PIN + "#")
        await press(call, "2", after_s=1.0)
        await asyncio.sleep(1)
        call.hangup()
        assert "Voice-Message: 1/1" in await watch.next()
        watch.unsubscribe()
        await asyncio.sleep(1)

    desk.run(run_virtual, script)
    assert desk.listened == []


def test_a_pin_is_asked_three_times_a_call_and_ten_times_altogether(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(virtual_network, tmp_path)

    async def listen(alice: Phone, *pins: str) -> None:
        call = alice.dial("listen")
        await call.wait_answered()
        for pin in pins:
            await press(call, pin + "#", after_s=1.5)
        await call.wait_ended(60)

    async def script(alice: Phone, bob: Phone) -> None:
        await listen(alice, "1111", "", PIN)
        for _ in range(3):
            await listen(alice, "1111", "2222", PIN[:-1])
        await listen(alice, "3333")
        await listen(alice)  # locked
        await asyncio.sleep(890)
        await listen(alice)
        await asyncio.sleep(20)
        await listen(alice, PIN)

    with caplog.at_level(logging.DEBUG):
        desk.run(run_virtual, script)
    assert [listened.proven for listened in desk.listened] == [True, *[False] * 6, True]
    assert "a mailbox is locked for 900 s: too many wrong PINs" in caplog.text
    assert PIN not in caplog.text
    assert PIN not in repr(vars(desk.voicemail))


def test_a_full_mailbox_and_a_disk_that_refuses_end_politely(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    desk = Desk(virtual_network, tmp_path, max_messages=1)

    async def script(alice: Phone, bob: Phone) -> None:
        for _ in range(2):
            call = bob.dial("leave")
            await call.wait_answered()
            await asyncio.sleep(4)
            for leg in media_of(virtual_network).legs:
                media_of(virtual_network).sound(leg, "voice")
            await asyncio.sleep(2)
            call.hangup()
            await asyncio.sleep(1)
        desk.voicemail.mailboxes.delete("alice", desk.voicemail.mailboxes.messages("alice")[0])
        (tmp_path / "alice").rmdir()
        call = bob.dial("leave")
        await call.wait_ended(20)

    desk.run(run_virtual, script)
    assert [left.end for left in desk.left] == [LeftEnd.HUNG_UP, LeftEnd.FULL, LeftEnd.FAILED]


def test_a_mailbox_that_cannot_be_is_refused_by_its_key(tmp_path: Path) -> None:
    server = SipServer(realm="pbx.example")
    voicemail = Voicemail(server, tmp_path)
    for pin in ("123", "12a4", "1" * 13, "١٢٣٤"):
        with pytest.raises(ConfigurationError, match=r"alice\.pin: 4 to 12 digits") as refused:
            voicemail.add_box("alice", pin=pin)
        assert pin not in str(refused.value)
    voicemail.add_box("alice", pin=PIN)
    with pytest.raises(ConfigurationError, match="alice: there is a mailbox"):
        voicemail.add_box("alice", pin=PIN)
    voicemail.remove_box("alice")
    with pytest.raises(UnknownPeer, match="no mailbox of alice"):
        voicemail.remove_box("alice")
    for name, value in (("max_message_s", 0), ("silence_s", 61), ("min_message_s", -1), ("max_messages", 0)):
        with pytest.raises(ConfigurationError, match=f"{name}: "):
            Voicemail(server, tmp_path, **{name: value})  # type: ignore[arg-type]


def test_what_a_caller_says_is_what_the_user_hears(tmp_path: Path) -> None:
    voicemails: list[Voicemail] = []
    done: list[object] = []

    async def handler(call: CallSession) -> None:
        done.append(await voicemails[0].leave(call, "alice"))
        try:
            await voicemails[0].listen(call, "alice")
        except CallEnded:
            done.append("ended")

    def configure(server: SipServer) -> None:
        voicemails.append(Voicemail(server, tmp_path, VoicemailPrompts(pin=tone_wav(500, 30.0))))
        voicemails[0].add_box("alice", pin="2468")

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        await until_tone(at_alice, 1000)
        await asyncio.sleep(0.6)
        at_alice.play_tone(1300.0)
        await asyncio.sleep(2.5)
        await press(at_alice, "#")
        await until_tone(at_alice, 500)
        at_alice.leg.stop_tone()
        await press(at_alice, "2468#")
        await until_tone(at_alice, 1300)

    asyncio.run(stage(handler, scenario, configure=configure))
    (message,) = voicemails[0].mailboxes.messages("alice")
    with wave.open(str(message.path)) as file:
        samples = array("h", file.readframes(file.getnframes()))
    assert level(samples[8000:16000], 1300, 8000) > 3000
    assert level(samples, 1000, 8000) < 200  # the tone before it is not in it
    assert isinstance(done[0], Left)
    assert done[0].end is LeftEnd.KEY
