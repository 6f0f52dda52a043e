"""Dialogs are written down while calls are up, and what a killed server leaves is ended by the next one; in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, PROVIDER, REALM, SERVER
from trunkline.calls.peers import Party
from trunkline.constants import PeerType
from trunkline.server.journal import CSEQ_GAP, MAX_CSEQ, dialog_of, record_of
from trunkline.server.recovery import BATCH, GIVE_UP_S, PAUSE_S
from trunkline.server.server import SipServer
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import Flow
from trunkline.storage.records import DialogRecord
from trunkline.testing import Itsp, Phone, ScriptedCall, VirtualNetwork
from trunkline.testing.clock import run

PARTY = Party(PeerType.LINE, "itsp", ())


class House:
    """A provider, a phone, and a server with a file that may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.network = VirtualNetwork(7)
        self.storage = folder / "pbx.db"
        self.itsp = Itsp({ACCOUNT: "line secret"}, platform=self.network.host(PROVIDER), address=PROVIDER, port=5060)
        self.server: SipServer | None = None

    async def start(self) -> SipServer:
        server = SipServer(
            realm=REALM,
            listen=[f"udp://{SERVER}:5060", f"tcp://{SERVER}:5060"],
            storage=self.storage,
            platform=self.network.host(SERVER),
        )
        server.add_user("alice", password="secret of alice")
        server.add_line(
            "itsp", username=ACCOUNT, password="line secret", server=f"{PROVIDER}:5060", domain=self.itsp.realm
        )
        server.on_incoming_call(lambda call: call.accept(to_line="itsp"))
        await server.start()
        await self.itsp.wait_registered(ACCOUNT)
        self.server = server
        return server

    async def kill(self) -> None:
        """Nothing is said to anybody; what the store was given is written."""
        server: Any = self.server
        await server._running.abandon()

    async def phone(self, **options: Any) -> Phone:
        host = self.network.host("10.0.0.2")
        phone = Phone(
            "alice", "secret of alice", (SERVER, 5060), realm=REALM, platform=host, address=host.address, port=5060,
            **options,
        )  # fmt: skip
        await phone.start()
        await phone.register()
        return phone

    async def talk(self, alice: Phone) -> tuple[ScriptedCall, ScriptedCall]:
        near = alice.dial(MOBILE)
        far = await self.itsp.next_call()
        far.answer()
        await near.wait_answered()
        return near, far

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.storage)) as connection:
            wanted = "peer_type, peer_name, remote_target, local_cseq, transport"
            return connection.execute(f"SELECT {wanted} FROM dialogs ORDER BY peer_type").fetchall()

    def sent(self, start: str) -> list[bytes]:
        return [packet.data for packet in self.network.delivered if packet.data.startswith(start.encode())]


@contextlib.asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    here = House(folder)
    async with here.itsp:
        await here.start()
        try:
            yield here
        finally:
            assert here.server is not None
            await here.server.stop()


def test_the_two_dialogs_of_a_call_are_in_the_store_while_it_is_up_and_no_longer(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as here:
            alice = await here.phone()
            near, far = await here.talk(alice)
            await asyncio.sleep(1)
            line, user = here.rows
            assert line[:2] == ("line", "itsp")
            assert user[:3] == ("user", "alice", "sip:alice@10.0.0.2:5060")
            near.hangup()
            await far.wait_ended()
            await asyncio.sleep(1)
            assert here.rows == []
            await alice.stop()

    run(main())


def test_a_call_that_is_shorter_than_the_batch_leaves_one_change_a_dialog(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as here:
            alice = await here.phone()
            await asyncio.sleep(1)
            server: Any = here.server
            changes: list[tuple[Any, Any]] = []
            database = server._running.store._database
            write = database.write

            def noted(batch: dict[Any, Any]) -> None:
                changes.extend(batch.items())
                write(batch)

            database.write = noted
            near, far = await here.talk(alice)
            near.hangup()
            await far.wait_ended()
            await asyncio.sleep(1)
            dialogs = [record for (kind, _), record in changes if kind is DialogRecord]
            assert dialogs == [None, None]
            assert here.rows == []
            await alice.stop()

    run(main())


def test_a_contact_that_moves_is_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as here:
            alice = await here.phone()
            near, _ = await here.talk(alice)
            assert near.session is not None
            near.session.contact = "<sip:moved@10.0.0.2:5060>"
            await near.hold()
            await asyncio.sleep(1)
            assert here.rows[1][2] == "sip:moved@10.0.0.2:5060"
            near.hangup()
            await asyncio.sleep(1)
            await alice.stop()

    run(main())


def test_a_restart_ends_both_sides_with_a_reason_and_answers_the_challenge(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as here:
            alice = await here.phone()
            here.itsp.challenge_inside.add("BYE")
            near, far = await here.talk(alice)
            for _ in range(5):
                await near.hold()
                await near.resume()
            await here.kill()
            await asyncio.sleep(3)
            assert (near.ended, far.ended) == (None, None)
            await here.start()
            for call in (near, far):
                ended = await call.wait_ended(2)
                assert ended.message is not None
                assert ended.how == "bye"
                assert ended.message.header("Reason") == 'SIP ;cause=503 ;text="Server restarted"'
                assert ended.message.cseq > CSEQ_GAP
            await asyncio.sleep(1)
            assert here.rows == []
            await alice.stop()

    run(main())


def test_a_connection_that_is_gone_is_made_anew_to_the_remote_target(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as here:
            alice = await here.phone(transport="tcp")
            near, _ = await here.talk(alice)
            await here.kill()
            assert [row[4] for row in here.rows] == ["udp", "tcp"]
            await here.start()
            assert (await near.wait_ended(2)).how == "bye"
            await alice.stop()

    run(main())


def test_a_peer_that_is_silent_is_given_up_and_its_row_goes(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as here:
            alice = await here.phone()
            _, far = await here.talk(alice)
            alice.vanish()
            await here.kill()
            await here.start()
            await far.wait_ended(2)
            await asyncio.sleep(1)
            assert [row[0] for row in here.rows] == ["user"]
            await asyncio.sleep(34)
            assert here.rows == []

    run(main())


def test_what_a_stop_interrupts_is_ended_by_the_next_start(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as here:
            alice = await here.phone()
            near, far = await here.talk(alice)
            await here.kill()
            links = [here.network.link(*way) for way in ((SERVER, "10.0.0.2"), ("10.0.0.2", SERVER))]
            for link in links:
                link.up = False
            again = await here.start()
            await far.wait_ended(2)
            await again.stop()
            assert [row[0] for row in here.rows] == ["user"]
            for link in links:
                link.up = True
            await here.start()
            assert (await near.wait_ended(2)).how == "bye"
            await asyncio.sleep(1)
            assert here.rows == []
            await alice.stop()

    run(main())


def test_many_dialogs_are_ended_at_a_bounded_rate_and_for_a_bounded_time(tmp_path: Path) -> None:
    many = 3_000

    async def main() -> None:
        here = House(tmp_path)
        here.network.host("10.0.0.3")  # nobody listens there
        async with here.itsp:
            server: Any = await here.start()
            for number in range(many):
                dialog = Dialog(
                    f"c{number}", "a", "b", "<sip:us@pbx.example>;tag=a", "<sip:them@10.0.0.3>;tag=b",
                    "sip:them@10.0.0.3:5060", Flow("udp", ("10.0.0.3", 5060)),
                )  # fmt: skip
                server._running.store.put(record_of(dialog, PARTY, 1000.0))
            await here.kill()
            begun = asyncio.get_running_loop().time()
            again: Any = await here.start()
            recovery = again._running._recovery
            await asyncio.sleep(1.0)
            first = {data.split(b"branch=")[1].split(b";")[0] for data in here.sent("BYE ")}
            assert 0 < len(first) <= BATCH * (1.0 / PAUSE_S + 2)
            await asyncio.sleep(begun + GIVE_UP_S + 1 - asyncio.get_running_loop().time())
            assert recovery.left == 0
            await asyncio.sleep(1)
            assert here.rows == []
            await again.stop()

    run(main())


def record(**changes: Any) -> DialogRecord:
    plain: dict[str, Any] = {
        "call_id": "c", "local_tag": "a", "remote_tag": "b", "local": "<sip:us@pbx.example>;tag=a",
        "remote": "<sip:them@10.0.0.3>;tag=b", "remote_target": "sip:them@10.0.0.3:5070", "routes": (),
        "local_cseq": 3, "remote_cseq": 1, "nat": False, "transport": "udp", "remote_host": "10.0.0.3",
        "remote_port": 5060, "local_host": "10.0.0.1", "local_port": 5060, "peer_type": "user", "peer_name": "alice",
        "connected_at": 1000.0,
    }  # fmt: skip
    return DialogRecord(**{**plain, **changes})


@pytest.mark.parametrize(
    ("changes", "flow"),
    [
        ({}, Flow("udp", ("10.0.0.3", 5060), ("10.0.0.1", 5060))),
        ({"local_port": 5099}, Flow("udp", ("10.0.0.3", 5060))),
        ({"transport": "tcp", "remote_port": 40_123}, Flow("tcp", ("10.0.0.3", 5070))),
        (
            {"transport": "tcp", "remote_port": 40_123, "routes": ("<sip:10.0.0.3:5061;lr>",)},
            Flow("tcp", ("10.0.0.3", 5061)),
        ),
    ],
)
def test_where_the_bye_of_a_written_dialog_goes(changes: dict[str, Any], flow: Flow) -> None:
    dialog = dialog_of(record(**changes), lambda flow: flow.local in (None, ("10.0.0.1", 5060)))
    assert dialog is not None
    assert dialog.flow == flow


def test_a_dialog_that_no_listener_reaches_is_none() -> None:
    assert dialog_of(record(), lambda flow: False) is None


def test_a_number_never_leaves_the_range_that_rfc_3261_gives_it() -> None:
    dialog = dialog_of(record(local_cseq=MAX_CSEQ), lambda flow: True)
    assert dialog is not None
    _, headers = dialog.request("BYE")
    assert dict(headers)["CSeq"] == f"{2**31 - 1} BYE"


def test_a_written_dialog_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        dialog_of(record(remote_target="nonsense"), lambda flow: True)
