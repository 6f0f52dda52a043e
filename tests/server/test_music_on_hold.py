"""Music on hold over real sockets: the held phone hears the file by its frequency, then the other party again; and its setting."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.server.test_sound import PCMA, PCMU, REALM, tone_wav, until_tone
from trunkline.calls.session import CallSession
from trunkline.errors import ConfigurationError
from trunkline.server.config import load_file
from trunkline.server.server import SipServer
from trunkline.server.users import User
from trunkline.sip.endpoint import Direction
from trunkline.testing.phone import Phone

MUSIC_HZ, ALICE_HZ = 700.0, 1000.0

_ports = itertools.count(32_000, 200)


async def to_bob(call: CallSession) -> None:
    await call.accept(to_user="bob")


async def hold_and_resume(direction: Direction, server_options: dict[str, Any], *, hears_music: bool) -> None:
    """Alice talks to bob, holds him and takes him back; bob listens."""
    first = next(_ports)
    server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(first, first + 199), **server_options)
    async with server:
        server.add_user("alice", password="a")
        server.add_user("bob", password="b", codecs=("PCMU",))
        server.on_incoming_call(to_bob)
        address = server.local_address("udp")
        async with (
            Phone("alice", "a", address, realm=REALM, codecs=(PCMU, PCMA)) as alice,
            Phone("bob", "b", address, realm=REALM, codecs=(PCMU,)) as bob,
        ):
            await alice.register()
            await bob.register()
            at_alice = alice.dial("bob")
            at_bob = await bob.next_call()
            at_bob.answer()
            await at_alice.wait_answered()
            at_alice.play_tone(ALICE_HZ)
            await until_tone(at_bob, ALICE_HZ)
            await at_alice.hold(direction)
            if hears_music:
                # alone, whatever alice's phone still sends
                await until_tone(at_bob, MUSIC_HZ)
                # longer than the file, which begins anew
                for _ in range(3):
                    assert (await at_bob.hear(0.5)).level_dbm0 > -30
            else:
                async with asyncio.timeout(5):
                    while (await at_bob.hear(0.3)).level_dbm0 > -60:
                        pass
            await at_alice.resume()
            await until_tone(at_bob, ALICE_HZ)
            at_alice.hangup()
            await at_bob.wait_ended()


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_a_held_phone_hears_the_file_and_then_the_other_party_again(tmp_path: Path, direction: Direction) -> None:
    (tmp_path / "hold.wav").write_bytes(tone_wav(MUSIC_HZ, 1.0))
    asyncio.run(hold_and_resume(direction, {"music_on_hold": tmp_path / "hold.wav"}, hears_music=True))


def test_a_file_that_is_no_audio_leaves_the_held_party_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "hold.wav").write_bytes(b"no audio at all")
    asyncio.run(hold_and_resume("inactive", {"music_on_hold": str(tmp_path / "hold.wav")}, hears_music=False))
    assert [record.levelname for record in caplog.records if "no music on hold" in record.getMessage()] == ["WARNING"]


def test_users_and_lines_have_the_servers_music_unless_they_say_their_own(tmp_path: Path) -> None:
    for name in ("server", "own"):
        (tmp_path / f"{name}.wav").write_bytes(b"")
    (tmp_path / "pbx.toml").write_text(f"""
[server]
realm = "{REALM}"
music_on_hold = "{tmp_path}/server.wav"

[users.plain]
password = "x"

[users.own]
password = "x"
music_on_hold = "{tmp_path}/own.wav"

[users.none]
password = "x"
music_on_hold = ""

[lines.plain]
username = "a"
server = "192.0.2.1"

[lines.own]
username = "b"
server = "192.0.2.1"
music_on_hold = "{tmp_path}/own.wav"

[lines.none]
username = "c"
server = "192.0.2.1"
music_on_hold = ""
""")
    settings = load_file(tmp_path / "pbx.toml")
    users = {name: options.user(name, settings.server) for name, options in settings.users.items()}
    lines = {name: options.values(name, settings.server) for name, options in settings.lines.items()}
    expected = {"plain": f"{tmp_path}/server.wav", "own": f"{tmp_path}/own.wav", "none": ""}
    assert {name: user.party().music_on_hold for name, user in users.items()} == expected
    assert {name: values["music_on_hold"] for name, values in lines.items()} == expected
    again = {name: User.of_record(user.record()).music_on_hold for name, user in users.items()}
    assert again == expected


def test_a_file_that_cannot_be_read_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^music_on_hold: .*none.wav cannot be read: No such file or directory$"
    ):
        SipServer(realm=REALM, music_on_hold=tmp_path / "none.wav")
    server = SipServer(realm=REALM)
    with pytest.raises(ConfigurationError, match=r"^users.alice.music_on_hold: .*cannot be read"):
        server.add_user("alice", password="x", music_on_hold=str(tmp_path / "none.wav"))
    with pytest.raises(ConfigurationError, match=r"^lines.itsp.music_on_hold: .*cannot be read"):
        server.add_line("itsp", username="a", server="192.0.2.1", music_on_hold=str(tmp_path / "none.wav"))
