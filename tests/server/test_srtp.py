"""SRTP of whole servers: heard by frequency over real sockets, as it is configured, and never seen in what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, world
from trunkline import CallSession
from trunkline.events import CallRecorded
from trunkline.server.config import load_file
from trunkline.server.line_settings import LineSettings
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import Flow
from trunkline.sip.traced import traced_message
from trunkline.storage.records import CallRecord
from trunkline.testing import Phone, VirtualNetwork

Run = Callable[[Any], Any]


@pytest.mark.parametrize(
    "suite",
    ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80", "AEAD_AES_256_GCM"],
)
def test_a_phone_with_srtp_and_one_without_hear_each_other(suite: str) -> None:
    async def main() -> CallRecord:
        told: asyncio.Queue[CallRecorded] = asyncio.Queue()
        server = SipServer(realm="real.example", listen=["udp://127.0.0.1:0"], srtp="offered", srtp_in_clear=True)
        server.add_user("alice", password="secret of alice", srtp="required")
        server.add_user("bob", password="secret of bob")

        @server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.accept(to_user=call.dial_number)

        server.on_call_recorded(told.put)

        def phone(name: str, **options: Any) -> Phone:
            return Phone(name, f"secret of {name}", server.local_address(), realm="real.example", **options)

        async with server, phone("alice", srtp="required", suites=[suite]) as alice, phone("bob") as bob:
            await alice.register()
            await bob.register()
            call = alice.dial("bob")
            answered = await bob.next_call()
            answered.answer()
            await call.wait_answered()
            assert (call.suite, answered.suite) == (suite, None)
            call.play_tone(440.0)
            answered.play_tone(1000.0)
            assert abs((await answered.hear_sound(0.5)).frequency_hz - 440) < 10
            assert abs((await call.hear_sound(0.5)).frequency_hz - 1000) < 10
            await call.hold()
            call.renew_keys()
            await call.resume()
            assert abs((await answered.hear_sound(0.5)).frequency_hz - 440) < 10
            assert abs((await call.hear_sound(0.5)).frequency_hz - 1000) < 10
            call.hangup()
            return (await asyncio.wait_for(told.get(), 10)).record

    record = asyncio.run(main())
    assert record.zero["srtp"] == suite
    assert "srtp" not in record.one
    assert record.zero["packets_refused"] == 0


def test_no_key_stands_in_anything_that_is_recorded(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network, srtp="required", srtp_in_clear=True) as at:
            at.server.add_user("carol", password="secret of carol")
            at.itsp.srtp = "required"

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                await call.accept(to_line="itsp")

            alice = await at.phone("alice", srtp="required")
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.answer()
            await call.wait_answered()
            assert call.suite == mobile.suite == "AEAD_AES_256_GCM"
            bodies = [message.data for message in at.server.recorder.messages if b"a=crypto" in message.data]
            assert len(bodies) >= 4
            assert all(b"inline:****" in body and b"inline:A" not in body for body in bodies)
            on_the_wire = [packet.data for packet in virtual_network.delivered if b"a=crypto" in packet.data]
            assert {len(body) for body in bodies} == {len(body) for body in on_the_wire}
            call.hangup()
            await alice.stop()

    run_virtual(main())


def test_every_form_of_a_key_is_starred_out_and_nothing_else() -> None:
    class Event:
        time_s, sent, flow = 0.0, True, Flow("udp", ("192.0.2.1", 5060))
        data = b"a=crypto:1 X inline:QUJD+/==|2^20;INLINE:QUJE|1:4\r\na=inline of no key\r\n"

    told = traced_message(Event())  # type: ignore[arg-type]
    assert told.data == b"a=crypto:1 X inline:********|2^20;INLINE:****|1:4\r\na=inline of no key\r\n"
    Event.data = b"v=0\r\na=inline:QUJD\r\n"
    assert traced_message(Event()).data == Event.data  # type: ignore[arg-type]


def test_a_line_and_a_user_have_their_own_or_the_servers(tmp_path: Path) -> None:
    path = tmp_path / "pbx.toml"
    path.write_text(
        f"""
[server]
realm = "pbx.example"
srtp = "offered"
srtp_in_clear = true

[users.alice]
password = "secret"
srtp = "required"
srtp_in_clear = false

[users.bob]
password = "secret"

[lines.plain]
username = "{ACCOUNT}"
server = "192.0.2.1"
srtp = "never"

[lines.other]
username = "{ACCOUNT}"
server = "192.0.2.1"
"""
    )
    settings = load_file(path)
    users = {name: options.user(name, settings.server) for name, options in settings.users.items()}
    lines = {
        name: LineSettings(name=name, **options.values(name, settings.server))
        for name, options in settings.lines.items()
    }
    found = {name: (each.srtp, each.srtp_in_clear) for name, each in users.items()}
    found |= {name: (each.srtp, each.srtp_in_clear) for name, each in lines.items()}
    assert found == {
        "alice": ("required", False),
        "bob": ("offered", True),
        "plain": ("never", True),
        "other": ("offered", True),
    }
